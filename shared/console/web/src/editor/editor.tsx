// The editor of a definition: CodeMirror in a shadow root, where the policy of the pages lets
// its styles in. Nothing but the definition's page loads it.
import {
	acceptCompletion,
	autocompletion,
	type Completion,
	type CompletionContext,
	type CompletionResult,
	closeBrackets,
	closeBracketsKeymap,
	completionKeymap,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { json } from "@codemirror/lang-json";
import { bracketMatching, foldGutter, foldKeymap, indentOnInput, indentUnit } from "@codemirror/language";
import { type Diagnostic, lintGutter, nextDiagnostic, setDiagnostics } from "@codemirror/lint";
import { Compartment, EditorState, type Extension } from "@codemirror/state";
import {
	Decoration,
	drawSelection,
	EditorView,
	highlightActiveLine,
	highlightActiveLineGutter,
	hoverTooltip,
	keymap,
	lineNumbers,
	MatchDecorator,
	ViewPlugin,
	type ViewUpdate,
} from "@codemirror/view";
import { useEffect, useRef } from "preact/hooks";
import { offersAt, tipAt } from "./complete.ts";
import type { Knowledge } from "./knowledge.ts";
import { look } from "./look.ts";
import { type Path, rangeOf, stepAt } from "./places.ts";
import { insertStep, type Kind } from "./skeletons.ts";
import { parse } from "./syntax.ts";

/** A Finding is a fault or a warning at a range of the text. */
export interface Finding {
	from: number;
	to: number;
	severity: "error" | "warning";
	message: string;
}

/** A Handle does to the editor what the page around it asks. */
export interface Handle {
	text(): string;
	/** set replaces the whole text; it can be undone. */
	set(text: string): void;
	goTo(path: Path): void;
	select(from: number, to: number): void;
	insert(kind: Kind): boolean;
	nextFinding(): void;
}

interface EditorProps {
	/** The text at first; later the editor has its own, see Handle. */
	initial: string;
	label: string;
	readOnly: boolean;
	knowledge: Knowledge;
	findings: readonly Finding[];
	/** Another text whose differences are shown in place, each with a way to take it. */
	against: string | undefined;
	onText: (text: string) => void;
	/** The step at the cursor, when it has changed. */
	onStep: (path: Path | undefined) => void;
	onSave: () => void;
	onCheck: () => void;
	handle: { current: Handle | undefined };
}

export default function Editor(props: EditorProps) {
	const host = useRef<HTMLDivElement>(null);
	const view = useRef<EditorView | undefined>(undefined);
	const newest = useRef(props);
	newest.current = props;
	const merging = useRef(new Compartment());

	// The editor lives as long as this part; what changes reaches it below.
	useEffect(() => {
		const place = host.current;
		if (!place) return;
		const shadow = place.shadowRoot ?? place.attachShadow({ mode: "open" });
		const made = new EditorView({
			parent: shadow,
			root: shadow,
			state: EditorState.create({ doc: newest.current.initial, extensions: extensions(newest, merging.current) }),
		});
		// What scrolls must be reachable by keyboard
		made.scrollDOM.tabIndex = 0;
		made.scrollDOM.setAttribute("role", "group");
		made.scrollDOM.setAttribute("aria-label", `${newest.current.label}, text`);
		view.current = made;
		newest.current.handle.current = handleOf(made, newest);
		return () => {
			newest.current.handle.current = undefined;
			view.current = undefined;
			made.destroy();
		};
	}, []);

	useEffect(() => {
		const editor = view.current;
		if (!editor) return;
		const length = editor.state.doc.length;
		const diagnostics: Diagnostic[] = props.findings.map((f) => {
			const from = Math.min(f.from, length);
			return { ...f, from, to: Math.min(Math.max(f.to, from), length) };
		});
		editor.dispatch(setDiagnostics(editor.state, diagnostics));
	}, [props.findings]);

	useEffect(() => {
		let over = false;
		const original = props.against;
		const show = async () => {
			const merge = await import("@codemirror/merge");
			if (over || original === undefined) return;
			view.current?.dispatch({
				effects: merging.current.reconfigure(merge.unifiedMergeView({ original, mergeControls, gutter: true })),
			});
		};
		if (original === undefined) view.current?.dispatch({ effects: merging.current.reconfigure([]) });
		else void show();
		return () => {
			over = true;
		};
	}, [props.against]);

	return <div ref={host} class="editor" />;
}

type Newest = { readonly current: EditorProps };

function extensions(newest: Newest, merging: Compartment): Extension {
	const { readOnly, label } = newest.current;
	return [
		lineNumbers(),
		highlightActiveLineGutter(),
		foldGutter(),
		lintGutter(),
		history(),
		drawSelection(),
		indentOnInput(),
		indentUnit.of("  "),
		bracketMatching(),
		closeBrackets(),
		highlightActiveLine(),
		json(),
		EditorView.lineWrapping,
		look,
		placeholders,
		replacing,
		merging.of([]),
		autocompletion({ override: [(context) => complete(context, newest.current.knowledge)], icons: false }),
		hoverTooltip((view, pos) => {
			const text = view.state.doc.toString();
			const tip = tipAt(text, parse(text), pos, newest.current.knowledge);
			return tip ? { pos: tip.from, end: tip.to, create: () => ({ dom: tipElement(tip.title, tip.text) }) } : null;
		}),
		EditorState.readOnly.of(readOnly),
		EditorView.contentAttributes.of({
			"aria-label": label,
			spellcheck: "false",
			...(readOnly ? { "aria-readonly": "true" } : {}),
		}),
		EditorView.updateListener.of((update) => {
			if (update.docChanged) newest.current.onText(update.state.doc.toString());
			if (update.selectionSet || update.docChanged) {
				const text = update.state.doc.toString();
				newest.current.onStep(stepAt(parse(text), update.state.selection.main.head));
			}
		}),
		keymap.of([
			{ key: "Mod-s", run: told(() => newest.current.onSave()), preventDefault: true },
			{ key: "Mod-Enter", run: told(() => newest.current.onCheck()) },
			{ key: "F8", run: nextDiagnostic, preventDefault: true },
			...closeBracketsKeymap,
			...completionKeymap,
			{ key: "Tab", run: acceptCompletion },
			...defaultKeymap,
			...historyKeymap,
			...foldKeymap,
		]),
	];
}

/** told makes a command of something that always happens. */
const told = (act: () => void) => () => {
	act();
	return true;
};

/** The browser itself writes styles into the page when a text replaces a selection, which the
 * policy refuses and reports. So the editor makes that change instead of the browser. */
const replacing = EditorView.domEventHandlers({
	beforeinput(event, view) {
		const { from, to, empty } = view.state.selection.main;
		const typed = event.inputType === "insertText" ? event.data : /^deleteContent/.test(event.inputType) ? "" : null;
		if (empty || typed === null || view.composing) return false;
		const made = () =>
			view.state.update(view.state.replaceSelection(typed), {
				userEvent: typed ? "input.type" : "delete.selection",
				scrollIntoView: true,
			});
		const handlers = typed ? view.state.facet(EditorView.inputHandler) : [];
		if (!handlers.some((handler) => handler(view, from, to, typed, made))) view.dispatch(made());
		event.preventDefault();
		return true;
	},
});

/** mergeControls names what the two buttons beside a difference do. */
function mergeControls(type: "accept" | "reject", act: (event: MouseEvent) => void): HTMLElement {
	const button = document.createElement("button");
	button.type = "button";
	button.textContent = type === "accept" ? "Keep mine" : "Take theirs";
	button.addEventListener("mousedown", act);
	button.addEventListener("click", (event) => {
		if (event.detail === 0) act(event); // by keyboard
	});
	return button;
}

function handleOf(view: EditorView, newest: Newest): Handle {
	const text = () => view.state.doc.toString();
	const select = (from: number, to: number) => {
		view.dispatch({ selection: { anchor: from, head: to }, effects: EditorView.scrollIntoView(from, { y: "center" }) });
		view.focus();
	};
	return {
		text,
		set(next) {
			view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: next } });
		},
		select,
		goTo(path) {
			const { from } = rangeOf(parse(text()), path);
			select(from, from);
		},
		insert(kind) {
			const now = text();
			const made = insertStep(now, parse(now), view.state.selection.main.head, kind, newest.current.knowledge);
			if (!made) return false;
			view.dispatch({
				changes: { from: made.from, insert: made.insert },
				selection: { anchor: made.cursor },
				effects: EditorView.scrollIntoView(made.cursor, { y: "center" }),
				userEvent: "input",
			});
			view.focus();
			return true;
		},
		nextFinding() {
			view.focus();
			nextDiagnostic(view);
		},
	};
}

function complete(context: CompletionContext, knowledge: Knowledge): CompletionResult | null {
	const text = context.state.doc.toString();
	const found = offersAt(text, parse(text), context.pos, knowledge);
	// Without a word, a sign that opens one, or the wish to see all, nothing pops up
	if (!found || (!context.explicit && found.from === context.pos && !/["{|.:]\s?$/.test(text.slice(0, context.pos)))) {
		return null;
	}
	const { from, range, comma } = found;
	const [lead, trail] = [from - range.from, range.to - context.pos];
	return {
		from,
		options: found.offers.map((offer, n): Completion => {
			const option: Completion = {
				label: offer.label,
				boost: -n / 1000, // as they come
				apply: (view, _completion, start, end) => {
					const to = Math.min(end + trail, view.state.doc.length);
					const at = start - lead;
					const added = comma === undefined ? [] : [{ from: comma, insert: "," }];
					view.dispatch({
						changes: [...added, { from: at, to, insert: offer.insert }],
						selection: { anchor: at + added.length + (offer.cursor ?? offer.insert.length) },
						userEvent: "input.complete",
					});
				},
			};
			if (offer.detail) option.detail = offer.detail;
			if (offer.info) option.info = () => infoElement(offer.info ?? "");
			return option;
		}),
		validFor: /^[\w.[\]-]*$/,
	};
}

function infoElement(text: string): HTMLElement {
	const element = document.createElement("div");
	element.textContent = text;
	return element;
}

function tipElement(title: string, text: string): HTMLElement {
	const element = document.createElement("div");
	element.className = "cm-tip";
	const head = document.createElement("strong");
	head.textContent = title;
	element.append(head);
	if (text) element.append(infoElement(text));
	return element;
}

const placeholderMatch = new MatchDecorator({
	regexp: /\{\{[^{}]*\}\}/g,
	decoration: Decoration.mark({ class: "cm-placeholder-path" }),
});

const placeholders = ViewPlugin.fromClass(
	class {
		decorations;
		constructor(view: EditorView) {
			this.decorations = placeholderMatch.createDeco(view);
		}
		update(update: ViewUpdate) {
			this.decorations = placeholderMatch.updateDeco(update, this.decorations);
		}
	},
	{ decorations: (plugin) => plugin.decorations },
);
