// The versions of an agent: what has changed when and by whom, and the way back.
import { useSignal } from "@preact/signals";
import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { type OpenAgent, useKnowledge } from "../agents.ts";
import { announce } from "../announce.ts";
import { keys } from "../asks.ts";
import { api, type Schema, take } from "../door.ts";
import { changes, same, summary } from "../editor/diff.ts";
import { read, textOf } from "../editor/document.ts";
import { doc } from "../editor/knowledge.ts";
import { useMay } from "../me.ts";
import { Changes } from "../parts/changes.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { Empty } from "../parts/empty.tsx";
import { ErrorNote } from "../parts/error.tsx";
import { useFilter } from "../parts/filters.tsx";
import { Flow } from "../parts/flow.tsx";
import { Loading } from "../parts/loading.tsx";
import { Said } from "../parts/quote.tsx";
import { When } from "../parts/when.tsx";
import { stale, useAsk } from "../store.ts";
import { PinButton } from "./acting.tsx";
import { SaveDialog } from "./definition.tsx";
import { effectsOf, outlineOf } from "./describing.ts";

type Version = Schema["AgentVersion"];

const page = 50;

/** The versions of an agent; `agent` is undefined for a deleted one. */
export default function Versions({ id, agent }: { id: string; agent: OpenAgent | undefined }) {
	const [pages, setPages] = useState(1);
	const answer = useAsk({
		key: [...keys.agent(id), "versions", pages],
		ask: () => load(id, pages),
	});
	const [from, setFrom] = useFilter("from");
	const [to, setTo] = useFilter("to");
	const { route } = useLocation();
	const back = useSignal<Version | undefined>(undefined);
	const edits = useMay("edit") && agent !== undefined && agent.agent.type !== "system";
	const knowledge = useKnowledge();

	if (!answer.data) {
		if (!answer.error) return <Loading what="the versions" />;
		return agent ? <ErrorNote error={answer.error} what="the versions" again={() => void answer.refetch()} /> : null;
	}
	const { versions, more } = answer.data;
	if (versions.length === 0) return agent ? <Empty title="No version is kept" /> : null;
	const newest = versions[0]?.version ?? 1;
	const current = agent?.agent.version;
	const system = agent?.agent.type === "system" ? agent.agent : undefined;
	const right = versions.find((v) => String(v.version) === to) ?? versions[0];
	const left =
		versions.find((v) => String(v.version) === from) ??
		versions.find((v) => v.version === (right?.version ?? 1) - 1) ??
		right;
	const select = (a: number, b: number) => {
		const path = location.pathname;
		route(`${path}?from=${Math.min(a, b)}&to=${Math.max(a, b)}`, true);
	};
	return (
		<div class="versions">
			{!agent && <h2>Its versions</h2>}
			{system?.pinned_version && (
				<p class="note">
					The agent stays at version {system.pinned_version} for this organization when a newer one is released.{" "}
					<PinButton agent={system} version={null} />
				</p>
			)}
			<ol class="versions-list" aria-label="Versions" reversed>
				{versions.map((v, n) => {
					const before = versions[n + 1];
					const shown = v.version === right?.version || v.version === left?.version;
					return (
						<li key={v.version} data-shown={shown}>
							<div class="versions-head">
								<button
									type="button"
									class="link"
									aria-label={`Compare version ${v.version} with the one before`}
									onClick={() => select(before?.version ?? v.version, v.version)}
								>
									Version {v.version}
								</button>
								{v.version === current && (
									<span class="meta"> {agent?.agent.pinned_version ? "pinned" : "current"}</span>
								)}
								<span class="meta">
									<When at={v.created_at} />
									{v.created_by && (
										<>
											{" by "}
											<bdi>{v.created_by}</bdi>
										</>
									)}
								</span>
							</div>
							<p class="versions-what">
								<Said
									text={
										before
											? summary(changes(before, v))
											: v.version === 1
												? "the first version"
												: "earlier changes are not shown"
									}
									most={300}
								/>
							</p>
							<p class="versions-acts">
								<a href={`/runs?agent_id=${id}&version=${v.version}&period=all`}>Runs that used it</a>
								{edits && v.version !== newest && (
									<button type="button" class="link" onClick={() => (back.value = v)}>
										Roll back to it…
									</button>
								)}
								{system && v.version !== system.pinned_version && <PinButton agent={system} version={v.version} />}
							</p>
						</li>
					);
				})}
				{more && (
					<li>
						<button type="button" class="button" onClick={() => setPages(pages + 1)}>
							Load older versions
						</button>
					</li>
				)}
			</ol>
			{left && right && (
				<section class="versions-compare" aria-label="Comparison">
					<div class="versions-pair">
						<Pick label="From" value={left.version} versions={versions} onPick={(v) => setFrom(String(v))} />
						<span aria-hidden="true">→</span>
						<Pick label="To" value={right.version} versions={versions} onPick={(v) => setTo(String(v))} />
					</div>
					{left.version === right.version ? (
						<>
							<p class="meta">Version {right.version} as a whole:</p>
							<Flow outline={outlineOf(right, knowledge)} />
						</>
					) : (
						<Changes before={textOf(left)} after={textOf(right)} />
					)}
				</section>
			)}
			{back.value && agent && (
				<RollBack
					agent={agent}
					version={back.value}
					onClose={() => (back.value = undefined)}
					effects={effectsOf(outlineOf(back.value, knowledge), agent.agent.status, agent.agent.version + 1)}
				/>
			)}
		</div>
	);
}

async function load(id: string, pages: number): Promise<{ versions: Version[]; more: boolean }> {
	const versions: Version[] = [];
	let cursor: string | undefined;
	for (let n = 0; n < pages; n++) {
		const query = { limit: page, ...(cursor ? { cursor } : {}) };
		const answer = await take(api.GET("/api/agents/{id}/versions", { params: { path: { id }, query } }));
		versions.push(...answer.versions);
		if (!answer.next_cursor) return { versions, more: false };
		cursor = answer.next_cursor;
	}
	return { versions, more: true };
}

function Pick({
	label,
	value,
	versions,
	onPick,
}: {
	label: string;
	value: number;
	versions: readonly Version[];
	onPick: (version: number) => void;
}) {
	return (
		<label class="choice">
			<span class="meta">{label}</span>{" "}
			<select value={String(value)} onChange={(event) => onPick(Number(event.currentTarget.value))}>
				{versions.map((v) => (
					<option key={v.version} value={String(v.version)}>
						Version {v.version}
					</option>
				))}
			</select>
		</label>
	);
}

/** A RollBack saves an old definition as a new version, after the same questions as any save. */
function RollBack({
	agent,
	version,
	effects,
	onClose,
}: {
	agent: OpenAgent;
	version: Version;
	effects: readonly string[];
	onClose: () => void;
}) {
	const { route } = useLocation();
	const { id, name, description } = agent.agent;
	// The text of the answer has all digits of its numbers
	const answer = useAsk({
		key: [...keys.agent(id), "version", version.version],
		ask: () =>
			take(
				api.GET("/api/agents/{id}/versions/{version}", {
					params: { path: { id, version: version.version } },
					parseAs: "text",
				}),
			),
	});
	if (!answer.data) {
		return (
			<Dialog title={`Roll back to version ${version.version}`} onClose={onClose}>
				{answer.error ? (
					<ErrorNote error={answer.error} what="the version" again={() => void answer.refetch()} />
				) : (
					<Loading what="the version" rows={3} />
				)}
			</Dialog>
		);
	}
	// The name and the description stay: they belong to no version
	const old = { ...doc(read(answer.data)), name, description };
	const [before, after] = [textOf(read(agent.answer)), textOf(old)];
	if (same(JSON.parse(before), JSON.parse(after))) {
		return (
			<Dialog title="Nothing to roll back" onClose={onClose}>
				<p>The agent does today what version {version.version} did.</p>
				<div class="actions">
					<button type="button" class="button primary" onClick={onClose}>
						Close
					</button>
				</div>
			</Dialog>
		);
	}
	return (
		<SaveDialog
			base={agent}
			before={before}
			after={after}
			act={`Roll back to version ${version.version}`}
			effects={[`Version ${agent.agent.version + 1} will do what version ${version.version} did.`, ...effects]}
			onClose={onClose}
			onSaved={(now) => {
				onClose();
				announce(`Rolled back to version ${version.version}, as version ${now.agent.version}.`);
				route(`/agents/${now.agent.id}/versions`, true);
			}}
			onLost={() => {
				onClose();
				stale(keys.agent(agent.agent.id));
				announce("The agent was changed meanwhile. Look at its newest version first.");
			}}
		/>
	);
}
