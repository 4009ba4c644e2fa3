// The definition of an agent: the flow beside the text. What is typed is kept in this browser
// until it is saved, and a save never overwrites what another person saved meanwhile.
import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { agentAsk, type OpenAgent, sayOf, update, useKnowledge } from "../agents.ts";
import { announce } from "../announce.ts";
import { Fault, type Schema } from "../door.ts";
import { changes, summary } from "../editor/diff.ts";
import { bodyOf, read, textOf } from "../editor/document.ts";
import { drafts, drop, keyOf, type Stored, shelf, store } from "../editor/drafts.ts";
import { useKeys } from "../keys.ts";
import { useMay, useMe } from "../me.ts";
import { Widening } from "../parts/capable.tsx";
import { Changes } from "../parts/changes.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { When } from "../parts/when.tsx";
import { client } from "../store.ts";
import { counted } from "../words.ts";
import { effectsOf, outlineOf } from "./describing.ts";
import { useLeaving } from "./leaving.ts";
import { Workbench, type WorkbenchHandle } from "./workbench.tsx";

/** What another person saved, while a text began with something else. */
interface Conflict {
	theirs: OpenAgent;
	draft: Pick<Stored, "text" | "version" | "at">;
}

const storing = 300; // milliseconds after the last key

export default function Definition({ open }: { open: OpenAgent }) {
	const { agent } = open;
	const me = useMe().data;
	const edits = useMay("edit") && agent.type !== "system";
	const org = me?.org_id ?? "";
	const knowledge = useKnowledge();

	// The state of the agent that the text began with. It follows the agent, unless there is a
	// text that began with an earlier one.
	const [base, setBase] = useState(open);
	const own = useRef(""); // the ETag of the newest version that was saved here
	const baseText = useMemo(() => textOf(read(base.answer)), [base.answer]);
	const openText = useMemo(() => textOf(read(open.answer)), [open.answer]);

	const page = useRef(Math.random().toString(36).slice(2));
	const found = useRef<{ draft: Stored | undefined } | undefined>(undefined);
	found.current ??= { draft: edits ? newest(org, agent.id, openText) : undefined };
	const early = found.current.draft;
	const fits = early?.base === openText;
	const [text, setText] = useState(early && fits ? early.text : openText);
	const [conflict, setConflict] = useState<Conflict | undefined>(
		early && !fits ? { theirs: open, draft: early } : undefined,
	);
	const [restored, setRestored] = useState(early && fits ? early : undefined);
	const [against, setAgainst] = useState<string>();
	const comparing = useSignal(false);
	const saving = useSignal(false);
	const unkept = useSignal(false);
	const bench = useRef<WorkbenchHandle | undefined>(undefined);
	const dirty = text !== baseText;

	// ---- the draft ----

	const newestText = useRef({ text, base, baseText });
	newestText.current = { text, base, baseText };
	const key = keyOf(org, agent.id, base.etag, page.current);
	const keep = () => {
		if (!edits) return;
		const { text: now, base: of, baseText: before } = newestText.current;
		const draft = { etag: of.etag, version: of.agent.version, base: before, text: now, at: Date.now() };
		unkept.value = !store(shelf(), key, draft) && now !== before;
		// The draft of an earlier page is this one now
		const earlier = found.current?.draft;
		if (earlier && earlier.key !== key && !conflict) {
			drop(shelf(), earlier.key);
			found.current = { draft: undefined };
		}
	};
	const keeping = useRef(keep);
	keeping.current = keep;
	const typed = useRef(false);
	useEffect(() => {
		if (!typed.current) return;
		const timer = setTimeout(() => keeping.current(), storing);
		return () => clearTimeout(timer);
	}, [text]);
	useEffect(() => {
		if (typed.current) keeping.current(); // under the key of the state that it begins with now
	}, [base.etag]);
	useEffect(() => {
		const now = () => {
			if (typed.current) keeping.current();
		};
		document.addEventListener("visibilitychange", now);
		window.addEventListener("pagehide", now);
		return () => {
			document.removeEventListener("visibilitychange", now);
			window.removeEventListener("pagehide", now);
			now();
		};
	}, []);
	useLeaving(unkept.value && dirty);

	// ---- what others save meanwhile ----

	useEffect(() => {
		if (open.etag === base.etag || open.etag === own.current) return;
		if (openText === baseText || !dirty) {
			// Only its status has changed, or nothing is typed: the text follows
			drop(shelf(), key);
			setBase(open);
			if (!dirty && openText !== text) show(openText);
			if (dirty) typed.current = true;
		} else if (conflict?.theirs.etag !== open.etag && !saving.value) {
			setConflict({ theirs: open, draft: { text, version: base.agent.version, at: Date.now() } });
		}
	}, [open.etag]);

	/** show puts another text into the editor. */
	const show = (next: string) => {
		bench.current?.set(next);
		setText(next);
	};

	/** begin lets a text begin with the state that another person saved. */
	const begin = (theirs: OpenAgent, next: string, merging: boolean) => {
		drop(shelf(), key);
		const earlier = found.current?.draft;
		if (earlier) drop(shelf(), earlier.key);
		found.current = { draft: undefined };
		setBase(theirs);
		typed.current = true;
		show(next);
		setAgainst(merging ? textOf(read(theirs.answer)) : undefined);
		setConflict(undefined);
		setRestored(undefined);
	};

	const discard = () => {
		drop(shelf(), key);
		const earlier = found.current?.draft;
		if (earlier) drop(shelf(), earlier.key);
		found.current = { draft: undefined };
		setRestored(undefined);
		setAgainst(undefined);
		comparing.value = false;
		show(baseText);
		announce("The draft is discarded.");
	};

	const saved = (now: OpenAgent) => {
		own.current = now.etag;
		drop(shelf(), key);
		setBase(now);
		setRestored(undefined);
		setAgainst(undefined);
		saving.value = false;
		const next = textOf(read(now.answer));
		// What was typed while it was being saved stays
		if (newestText.current.text === text) show(next);
		announce(`Saved as version ${now.agent.version}.`);
	};

	const lost = async () => {
		saving.value = false;
		const theirs = await client.fetchQuery({
			queryKey: agentAsk(agent.id).key,
			queryFn: agentAsk(agent.id).ask,
			staleTime: 0,
		});
		if (textOf(read(theirs.answer)) === baseText) {
			setBase(theirs); // only the status: saving again works
			saving.value = true;
		} else setConflict({ theirs, draft: { text, version: base.agent.version, at: Date.now() } });
	};

	const ready = bench.current?.ready() ?? "";
	const trySave = () => {
		if (!edits) return;
		const hindrance = bench.current?.ready() ?? "";
		if (!dirty) announce("Nothing has changed.");
		else if (hindrance) announce(hindrance);
		else saving.value = true;
	};
	useKeys("Editor", [
		{ keys: "mod+s", does: "Save…", run: trySave },
		{ keys: "F8", does: "Next fault", run: () => bench.current?.nextFinding() },
	]);
	const [, again] = useState(0);

	return (
		<div class="definition">
			{!edits && (
				<p class="note">
					{agent.type === "system"
						? "A system agent comes with the platform. Clone it to change it; the clone is yours."
						: "You may read this definition and copy from it. Members, admins and owners change it."}
				</p>
			)}
			{dirty && restored && (
				<div class="note draft-note" role="status">
					<span>
						Draft of version {restored.version}, from <When at={new Date(restored.at).toISOString()} />:{" "}
						{counted(changeCount(baseText, text), "change")}.
					</span>
					<button type="button" class="link" onClick={() => (comparing.value = true)}>
						Compare
					</button>
					<button type="button" class="link" onClick={discard}>
						Discard
					</button>
				</div>
			)}
			{unkept.value && (
				<p class="note bad" role="alert">
					This browser does not keep drafts: it is full, or forbids it. Save before you leave this page.
				</p>
			)}
			{against !== undefined && (
				<div class="note draft-note" role="status">
					<span>
						Green is yours, red is what version {base.agent.version} has instead. Choose at each place, and save.
					</span>
					<button type="button" class="link" onClick={() => setAgainst(undefined)}>
						Hide the other version
					</button>
				</div>
			)}
			<Workbench
				label={`Definition of ${agent.name}`}
				text={text}
				agentId={agent.id}
				readOnly={!edits}
				warnings={dirty ? [] : agent.warnings}
				knowledge={knowledge}
				against={against}
				onText={(next) => {
					typed.current = true;
					setText(next);
				}}
				onSave={trySave}
				onState={() => again((n) => n + 1)}
				handle={bench}
				actions={
					edits && (
						<>
							{dirty && (
								<button type="button" class="button" onClick={() => (comparing.value = true)}>
									Compare
								</button>
							)}
							<button
								type="button"
								class="button primary"
								aria-disabled={!dirty || ready !== ""}
								title={!dirty ? "Nothing has changed." : ready || undefined}
								onClick={trySave}
							>
								Save…
							</button>
						</>
					)
				}
			/>
			{comparing.value && (
				<Dialog
					title={`Your draft, compared with version ${base.agent.version}`}
					onClose={() => (comparing.value = false)}
					wide
				>
					<Changes before={baseText} after={text} />
					<div class="actions">
						<button type="button" class="button" onClick={discard}>
							Discard the draft
						</button>
						<button type="button" class="button primary" onClick={() => (comparing.value = false)}>
							Keep writing
						</button>
					</div>
				</Dialog>
			)}
			{saving.value && (
				<SaveDialog
					base={base}
					before={baseText}
					after={text}
					change={bench.current?.change()}
					effects={effectsOf(outlineOf(read(text), knowledge), agent.status, base.agent.version + 1)}
					onClose={() => (saving.value = false)}
					onSaved={saved}
					onLost={() => void lost()}
				/>
			)}
			{conflict && (
				<ConflictDialog
					conflict={conflict}
					onMine={() => begin(conflict.theirs, conflict.draft.text, false)}
					onTheirs={() => begin(conflict.theirs, textOf(read(conflict.theirs.answer)), false)}
					onMerge={() => begin(conflict.theirs, conflict.draft.text, true)}
				/>
			)}
		</div>
	);
}

/** newest returns the newest draft of an agent that says something else than the agent. */
function newest(org: string, agent: string, now: string): Stored | undefined {
	const all = drafts(shelf(), org, agent, Date.now());
	for (const draft of all) if (draft.text === now) drop(shelf(), draft.key); // it was saved
	return all.find((draft) => draft.text !== now);
}

function changeCount(before: string, after: string): number {
	try {
		return (
			changes(JSON.parse(before), JSON.parse(after)).reduce((sum, c) => sum + Math.max(1, c.fields.length), 0) || 1
		);
	} catch {
		return 1; // no JSON yet: the text itself has changed
	}
}

interface SaveDialogProps {
	base: OpenAgent;
	before: string;
	after: string;
	/** What it lets the agent do more and less, where that is known. */
	change?: Schema["CapabilityChange"] | undefined;
	effects: readonly string[];
	/** The words of the button. */
	act?: string;
	onClose: () => void;
	onSaved: (now: OpenAgent) => void;
	onLost: () => void;
}

/** A SaveDialog shows what will change and what that does, before it saves. */
export function SaveDialog({ base, before, after, change, effects, act, onClose, onSaved, onLost }: SaveDialogProps) {
	const busy = useSignal(false);
	const failed = useSignal("");
	const version = base.agent.version + 1;
	const found = changes(JSON.parse(before), JSON.parse(after));
	// A name and a description make no new version
	const renames = found.every((c) => !c.step && c.fields.every((f) => ["name", "description"].includes(f.path)));
	const save = async () => {
		if (busy.value) return;
		busy.value = true;
		failed.value = "";
		try {
			onSaved(await update(base.agent.id, bodyOf(after), base.etag));
		} catch (e) {
			if (e instanceof Fault && e.status === 412) onLost();
			else failed.value = sayOf(e);
			busy.value = false;
		}
	};
	return (
		<Dialog title={renames ? "Save the agent?" : `Save as version ${version}?`} onClose={onClose} wide>
			<p class="meta">{summary(found)}</p>
			<Changes before={before} after={after} />
			{change && !renames && <Widening change={change} />}
			<ul class="effects">
				{(renames ? ["The definition stays the same, so this makes no new version."] : effects).map((effect) => (
					<li key={effect}>{effect}</li>
				))}
			</ul>
			{failed.value && (
				<p class="note bad" role="alert">
					{failed.value} Your text is kept.
				</p>
			)}
			<div class="actions">
				<button type="button" class="button" onClick={onClose}>
					Keep writing
				</button>
				<button type="button" class="button primary" aria-disabled={busy.value} onClick={() => void save()}>
					{act ?? (renames ? "Save" : `Save version ${version}`)}
				</button>
			</div>
		</Dialog>
	);
}

function ConflictDialog({
	conflict,
	onMine,
	onTheirs,
	onMerge,
}: {
	conflict: Conflict;
	onMine: () => void;
	onTheirs: () => void;
	onMerge: () => void;
}) {
	const { theirs, draft } = conflict;
	const { agent } = theirs;
	return (
		<Dialog title={`${agent.updated_by ?? "Somebody"} saved version ${agent.version}`} wide>
			<p>
				Your text began with version {draft.version}. Nothing is lost: choose how to go on. This is what your text would
				change in version {agent.version}:
			</p>
			<Changes before={textOf(read(theirs.answer))} after={draft.text} />
			<div class="actions">
				<button type="button" class="button" onClick={onTheirs}>
					Take theirs, drop mine
				</button>
				<button type="button" class="button" onClick={onMine}>
					Keep mine
				</button>
				<button type="button" class="button primary" onClick={onMerge}>
					Merge both
				</button>
			</div>
		</Dialog>
	);
}
