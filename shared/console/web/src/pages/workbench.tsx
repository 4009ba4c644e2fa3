// The workbench: the flow of a definition beside its text, with what is wrong with it.
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ErrorBoundary, lazy, useLocation } from "preact-iso";
import { sayOf } from "../agents.ts";
import { api, Fault, type Schema, take } from "../door.ts";
import { bodyOf, syntaxFault } from "../editor/document.ts";
import type { Finding, Handle } from "../editor/editor.tsx";
import type { Knowledge } from "../editor/knowledge.ts";
import { nameOf, pathOf, rangeOf, where } from "../editor/places.ts";
import type { Kind } from "../editor/skeletons.ts";
import { parse } from "../editor/syntax.ts";
import { Flow } from "../parts/flow.tsx";
import { Menu } from "../parts/menu.tsx";
import { Said } from "../parts/quote.tsx";
import { useWide } from "../wide.ts";
import { counted, stepTypes } from "../words.ts";
import { costOf, outlineOf } from "./describing.ts";

const Editor = lazy(() => import("../editor/editor.tsx"));

export interface WorkbenchHandle {
	set(text: string): void;
	nextFinding(): void;
	/** Why the text cannot be saved yet; empty when it can. */
	ready(): string;
	/** What the text lets the agent do more and less than now; undefined while that is not known. */
	change(): Schema["CapabilityChange"] | undefined;
}

interface WorkbenchProps {
	label: string;
	text: string;
	/** The agent that is changed, or undefined for a new one. */
	agentId: string | undefined;
	readOnly: boolean;
	/** Warnings of the saved agent, which hold while the text is that of the agent. */
	warnings: readonly Schema["Warning"][];
	knowledge: Knowledge;
	against?: string | undefined;
	onText: (text: string) => void;
	onSave: () => void;
	/** Called when `ready` may say something else. */
	onState: () => void;
	handle: { current: WorkbenchHandle | undefined };
	/** Buttons beside "+ Step". */
	actions: ComponentChildren;
}

/** A Check is what the API said about a text. */
interface Check {
	text: string;
	/** Faults that keep it from being saved. */
	faults: readonly Schema["Fault"][];
	warnings: readonly Schema["Fault"][];
	/** What it makes wider and narrower, for a valid change of an agent. */
	change?: Schema["CapabilityChange"] | undefined;
	/** Why it could not be checked; saving checks it again. */
	failed: string;
}

const patience = 350; // milliseconds after the last key

export function Workbench(props: WorkbenchProps) {
	const { label, text, agentId, readOnly, knowledge, handle } = props;
	const { query } = useLocation();
	const wide = useWide();
	const editor = useRef<Handle | undefined>(undefined);
	const [check, setCheck] = useState<Check>();
	const step = useSignal<string | undefined>(undefined);
	const broken = useMemo(() => syntaxFault(text), [text]);

	// ---- checking ----

	const asked = useRef(0);
	const ask = async () => {
		const number = ++asked.current;
		const answer = await checked(text, agentId);
		if (number === asked.current) setCheck(answer); // the newest answer wins
	};
	const first = useRef(true);
	useEffect(() => {
		if (readOnly || broken) return;
		const timer = setTimeout(() => void ask(), first.current ? 0 : patience);
		first.current = false;
		return () => clearTimeout(timer);
	}, [text]);

	const current = check?.text === text ? check : undefined;
	const findings = useMemo((): Finding[] => {
		if (broken) {
			return [
				{
					from: Math.max(0, broken.at),
					to: Math.min(text.length, broken.at + 1),
					severity: "error",
					message: broken.message,
				},
			];
		}
		const root = parse(text);
		const found = (faults: readonly Schema["Fault"][], severity: Finding["severity"]) =>
			faults.map((f) => ({ ...rangeOf(root, pathOf(f.path)), severity, message: f.message, path: f.path }));
		// Until the new answer comes, the faults of the one before stay where they are meant
		return [...found(check?.faults ?? [], "error"), ...found(check?.warnings ?? props.warnings, "warning")].sort(
			(a, b) => a.from - b.from,
		);
	}, [text, check, broken, props.warnings]);
	const errors = findings.filter((f) => f.severity === "error").length;

	const hindrance = broken
		? "The text is no JSON yet."
		: !current
			? "The text is being checked."
			: current.faults.length > 0
				? `${counted(current.faults.length, "fault")} must be repaired first.`
				: "";
	handle.current = {
		set: (next) => editor.current?.set(next),
		nextFinding: () => editor.current?.nextFinding(),
		ready: () => hindrance,
		change: () => current?.change,
	};
	const { onState } = props;
	useEffect(() => onState(), [hindrance]);

	// ---- the flow follows the last text that was JSON ----

	const outlined = useRef<unknown>({});
	if (!broken) outlined.current = JSON.parse(text);
	const outline = useMemo(() => outlineOf(outlined.current, knowledge), [broken ? undefined : text, knowledge]);
	const goTo = (path: string) => editor.current?.goTo(pathOf(path));

	// A link to a place of the definition leads there once
	const at = query.at;
	const shown = useRef(false);
	useEffect(() => {
		if (!at || shown.current) return;
		const timer = setInterval(() => {
			if (!editor.current) return;
			clearInterval(timer);
			shown.current = true;
			editor.current.goTo(pathOf(at));
		}, 50);
		return () => clearInterval(timer);
	}, [at]);

	const flow = <Flow outline={outline} onPick={goTo} current={step.value} />;
	return (
		<div class="workbench">
			<aside class="workbench-flow" aria-label="Flow">
				{wide ? (
					flow
				) : (
					<details>
						<summary>What it does</summary>
						{flow}
					</details>
				)}
				<p class="meta">{costOf(outline)}</p>
			</aside>
			<div class="workbench-text">
				<div class="workbench-bar">
					{!readOnly && (
						<Menu<Kind>
							title="+ Step"
							options={Object.entries(stepTypes) as [Kind, string][]}
							onPick={(kind) => editor.current?.insert(kind)}
						/>
					)}
					<p class="workbench-state" role="status">
						{readOnly ? "Read only" : <State broken={broken !== undefined} check={current} errors={errors} />}
					</p>
					<div class="workbench-actions">{props.actions}</div>
				</div>
				<ErrorBoundary>
					<EditorPlace>
						<Editor
							initial={text}
							label={label}
							readOnly={readOnly}
							knowledge={knowledge}
							findings={findings}
							against={props.against}
							onText={props.onText}
							onStep={(path) => {
								step.value = path && nameOf(path);
							}}
							onSave={props.onSave}
							onCheck={() => void ask()}
							handle={editor}
						/>
					</EditorPlace>
				</ErrorBoundary>
				{current?.failed && (
					<p class="note">
						The text could not be checked: {current.failed} Saving checks it too.{" "}
						<button type="button" class="link" onClick={() => void ask()}>
							Check again
						</button>
					</p>
				)}
				{findings.length > 0 && (
					<ul class="findings" aria-label="Faults and warnings">
						{findings.map((f) => (
							<li key={`${f.from} ${f.message}`} data-tone={f.severity === "error" ? "fail" : "wait"}>
								<button type="button" class="link" onClick={() => editor.current?.select(f.from, f.to)}>
									{"path" in f && typeof f.path === "string" ? where(f.path) : `line ${lineOf(text, f.from)}`}
								</button>{" "}
								{f.severity === "warning" && <span class="meta">perhaps: </span>}
								<Said text={f.message} most={1200} />
							</li>
						))}
					</ul>
				)}
			</div>
		</div>
	);
}

/** The place of the editor has its height before the editor comes. */
function EditorPlace({ children }: { children: ComponentChildren }) {
	return <div class="editor-place">{children}</div>;
}

function State({ broken, check, errors }: { broken: boolean; check: Check | undefined; errors: number }) {
	if (broken) return <span class="bad">not yet JSON</span>;
	if (!check) return <>checking…</>;
	if (check.failed) return <>not checked</>;
	if (errors > 0)
		return (
			<span class="bad">
				{counted(errors, "fault")} · <kbd>F8</kbd> leads to the next
			</span>
		);
	return <>valid{check.warnings.length > 0 && `, ${counted(check.warnings.length, "warning")}`}</>;
}

function lineOf(text: string, at: number): number {
	return text.slice(0, at).split("\n").length;
}

/** checked asks the API whether a text could be saved. It writes nothing. */
async function checked(text: string, agentId: string | undefined): Promise<Check> {
	try {
		const answer = await validate(bodyOf(text), agentId);
		return { text, faults: answer.details, warnings: answer.warnings, change: answer.change, failed: "" };
	} catch (e) {
		if (e instanceof Fault && e.details.length > 0) return { text, faults: e.details, warnings: [], failed: "" };
		if (e instanceof Fault && e.status > 0 && e.status < 500 && e.status !== 429 && e.status !== 401) {
			return { text, faults: [{ path: "", message: e.message }], warnings: [], failed: "" };
		}
		return { text, faults: [], warnings: [], failed: sayOf(e) };
	}
}

/** validate asks about a change of an agent, or about a new one. The body is the text itself. */
function validate(body: string, agentId: string | undefined): Promise<Schema["Validation"]> {
	const whole = agentId ? body.replace("{", `{"id": ${JSON.stringify(agentId)},`) : body;
	return take(api.POST("/api/agents/validate", { body: {}, bodySerializer: () => whole }));
}
