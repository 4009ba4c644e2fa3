import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { agentsAsk, type RunsQuery, readRuns, runsAsk } from "../asks.ts";
import { type Fault, faultFrom, type Schema } from "../door.ts";
import { useMay } from "../me.ts";
import * as paces from "../paces.ts";
import { Empty } from "../parts/empty.tsx";
import { ErrorNote } from "../parts/error.tsx";
import { Choice, Filters, Search, useFilter } from "../parts/filters.tsx";
import { Copy } from "../parts/id.tsx";
import { Live } from "../parts/live.tsx";
import { Loading } from "../parts/loading.tsx";
import { Page } from "../parts/page.tsx";
import { Said } from "../parts/quote.tsx";
import { Status } from "../parts/status.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { When } from "../parts/when.tsx";
import { useAsk } from "../store.ts";
import { duration } from "../time.ts";
import { counted, executionStates, plain, state } from "../words.ts";
import { Many } from "./many.tsx";

type Row = Schema["Execution"];

/** The periods that one can look at: the name in the address, the words, the hours. */
const periods = [
	["", "24 h", 24],
	["7d", "7 days", 7 * 24],
	["30d", "30 days", 30 * 24],
	["all", "all time", 0],
] as const;

const statuses = [
	["failed", "Failed"],
	["waiting_approval", "Needs approval"],
	["running", "Running"],
	["pending", "Pending"],
	["completed", "Completed"],
	["cancelled", "Cancelled"],
] as const satisfies readonly (readonly [Schema["ExecutionStatus"], string])[];

/** since returns the begin of a period of so many hours, at a full minute. */
function since(hours: number): { from?: string } {
	if (hours === 0) return {};
	const from = new Date(Date.now() - hours * 3_600_000);
	from.setUTCSeconds(0, 0);
	return { from: from.toISOString().replace(".000", "") };
}

const columns: Column<Row>[] = [
	{ title: "Status", cell: (x) => <Status state={state(executionStates, x.status)} bare /> },
	{ title: "Subject", grows: true, cell: (x) => <Subject run={x} /> },
	{ title: "Agent", from: "phone", cell: (x) => <Said text={x.agent_name ?? x.agent_id} most={28} /> },
	{ title: "Event", from: "desk", cell: (x) => <span class="meta">{x.event_type}</span> },
	{ title: "Time", from: "phone", figures: true, cell: (x) => (x.duration_ms === null ? "" : duration(x.duration_ms)) },
	{ title: "Credits", from: "desk", figures: true, cell: (x) => (x.credits_used > 0 ? x.credits_used : "") },
	{ title: "Started", figures: true, cell: (x) => <When at={x.created_at} /> },
];

function Subject({ run }: { run: Row }) {
	return (
		<>
			{run.subject ? <Said text={run.subject} most={90} /> : <span class="meta">{plain(run.event_type)}</span>}
			{run.client_id && (
				<span class="meta">
					{" · "}
					<Said text={run.client_id} most={40} />
				</span>
			)}
		</>
	);
}

/** below is the reason of a failure: it answers most visits. */
function below(run: Row) {
	if (run.status !== "failed" || !run.error_message) return null;
	return (
		<>
			<span aria-hidden="true">└ </span>
			{run.at_step && `${plain(run.at_step)}: `}
			<Said text={run.error_message} most={160} />
		</>
	);
}

/** The runs: what ran, what failed and why, the newest first. */
export default function Runs() {
	const { route } = useLocation();
	const [status] = useFilter("status");
	const [agent] = useFilter("agent_id");
	const [client, setClient] = useFilter("client_id");
	const [event, setEvent] = useFilter("event_type");
	const [asked, setVersion] = useFilter("version");
	const version = agent && /^[1-9][0-9]{0,5}$/.test(asked) ? Number(asked) : undefined;
	const [span] = useFilter("period");
	const [text] = useFilter("q");
	const period = periods.find(([name]) => name === span) ?? periods[0];
	const agents = useAsk(agentsAsk).data?.agents ?? [];
	const may = useMay("edit");
	const query = useMemo(
		() => ({
			...since(period[2]),
			...(status ? { status: status.split(",") as Schema["ExecutionStatus"][] } : {}),
			...(agent ? { agent_id: agent } : {}),
			...(version ? { version } : {}),
			...(client ? { client_id: client } : {}),
			...(event ? { event_type: event } : {}),
		}),
		[period, status, agent, version, client, event],
	);
	// A search reads many runs for one page: it is asked again on focus alone.
	const searches = version !== undefined || client !== "" || event !== "";
	const answer = useAsk(runsAsk(query, searches ? undefined : paces.runs));
	const older = useOlder(query, answer.data);
	const selected = useSignal<ReadonlySet<string>>(new Set());
	const list = JSON.stringify(query) + text;
	useEffect(() => {
		selected.value = new Set();
	}, [list]);
	useEffect(() => {
		if (/^exec_[A-Za-z0-9]+$/.test(text)) route(`/runs/${text}`); // an id that was pasted
	}, [text, route]);

	const all = [...(answer.data?.executions ?? []), ...older.rows];
	const known = new Set<string>();
	const rows = all.filter((x) => !known.has(x.id) && known.add(x.id) && fits(x, text));
	const total =
		answer.data && `${answer.data.total.toLocaleString("en")}${answer.data.total_relation === "gte" ? "+" : ""}`;
	const chosen = rows.filter((x) => selected.value.has(x.id));

	return (
		<Page
			title="Runs"
			heading={
				<>
					Runs{" "}
					{total !== undefined && (
						<span class="count">
							{total} {period[2] === 0 ? "in all" : `in the last ${period[1]}`}
						</span>
					)}
				</>
			}
			aside={answer.data && !searches && <Live of={answer} />}
		>
			<Filters>
				<Search name="q" label="Filter the rows, or paste an id" />
				<Choice name="status" label="Status" any="Every status" options={statuses} />
				<Choice
					name="agent_id"
					label="Agent"
					any="Every agent"
					options={agents.map((a) => [a.id, a.name] as const)}
					later
				/>
				<Choice
					name="period"
					label="Period"
					any={periods[0][1]}
					options={periods.slice(1).map(([name, words]) => [name, words] as const)}
				/>
				{version && <Drop what={`Version ${version}`} drop={() => setVersion("")} />}
				{client && <Drop what={`Client ${client}`} drop={() => setClient("")} />}
				{event && <Drop what={event} drop={() => setEvent("")} />}
			</Filters>
			{answer.error && !answer.data ? (
				<ErrorNote error={answer.error} what="the runs" again={() => void answer.refetch()} />
			) : !answer.data ? (
				<Loading what="the runs" rows={10} />
			) : rows.length === 0 ? (
				<Nothing query={query} period={period[1]} text={text} searches={searches} more={older.cursor !== null} />
			) : (
				<>
					<div class="selected-place">
						{may && chosen.length > 0 && (
							<div class="selected">
								<strong>{counted(chosen.length, "run")} selected</strong>
								<Many runs={chosen} done={() => (selected.value = new Set())} />
								<Copy text={chosen.map((x) => `${location.origin}/runs/${x.id}`).join("\n")} what="links" />
							</div>
						)}
					</div>
					<Table
						label="Runs"
						one="run"
						list={list}
						rows={rows}
						keyOf={(x) => x.id}
						hrefOf={(x) => `/runs/${x.id}`}
						nameOf={(x) =>
							`${state(executionStates, x.status).label}: ${x.subject ?? plain(x.event_type)}, ${x.agent_name ?? x.agent_id}`
						}
						columns={columns}
						below={below}
						{...(may ? { selected } : {})}
					/>
				</>
			)}
			{older.cursor !== null && (
				<div class="actions">
					<button type="button" class="button" disabled={older.loading} onClick={older.load}>
						{older.loading ? "Loading…" : searches ? "Search on among older runs" : "Load older"}
					</button>
					{older.failed && <span class="bad">{older.failed.message}</span>}
				</div>
			)}
		</Page>
	);
}

/** useOlder returns the pages after the first, which the person asked for. */
function useOlder(query: RunsQuery, first: Schema["ExecutionList"] | undefined) {
	const list = JSON.stringify(query);
	const none = {
		list,
		rows: [] as Row[],
		next: undefined as string | null | undefined,
		loading: false,
		failed: undefined as Fault | undefined,
	};
	const [kept, keep] = useState(none);
	const now = kept.list === list ? kept : none;
	const cursor = now.next === undefined ? (first?.next_cursor ?? null) : now.next;
	return {
		rows: now.rows,
		cursor,
		loading: now.loading,
		failed: now.failed,
		load: async () => {
			if (now.loading || cursor === null) return;
			keep({ ...now, loading: true, failed: undefined });
			try {
				// The first page moves on while it is looked at; older ones follow the cursor.
				const more = await readRuns({ ...query, cursor });
				keep({
					...now,
					rows: [...now.rows, ...(now.next === undefined ? (first?.executions ?? []) : []), ...more.executions],
					next: more.next_cursor,
				});
			} catch (e) {
				keep({ ...now, failed: faultFrom(e) });
			}
		},
	};
}

/** fits reports whether a row has all words of a text. */
function fits(x: Row, text: string): boolean {
	if (!text) return true;
	const all = [x.id, x.subject, x.agent_name, x.agent_id, x.client_id, x.event_type, x.error_message, x.error_code]
		.join(" ")
		.toLowerCase();
	return text
		.toLowerCase()
		.split(/\s+/)
		.every((word) => all.includes(word));
}

function Drop({ what, drop }: { what: string; drop: () => void }) {
	return (
		<button type="button" class="button drop" onClick={drop}>
			<Said text={what} most={40} /> <span aria-hidden="true">×</span>
			<span class="hidden">: remove this filter</span>
		</button>
	);
}

/** Nothing says why no row is here, and where the next ones are. */
function Nothing({
	query,
	period,
	text,
	searches,
	more,
}: {
	query: RunsQuery;
	period: string;
	text: string;
	searches: boolean;
	more: boolean;
}) {
	const { query: address, path } = useLocation();
	const filtered = Object.keys(query).some((name) => name !== "from");
	const wider = useAsk({
		...runsAsk({ ...query, ...since(7 * 24), limit: 1 }),
		when: !text && !searches && period === "24 h",
	}).data;
	const link = (name: string, value: string) => {
		const next = new URLSearchParams(address as Record<string, string>);
		if (value) next.set(name, value);
		else next.delete(name);
		return `${path}?${next}`;
	};
	if (text) {
		return (
			<Empty title="No loaded row has these words">
				<p>
					{more ? "Older rows may have them: load them below, or " : "You can "}
					<a href={link("q", "")}>remove the words</a>.
				</p>
			</Empty>
		);
	}
	if (searches && more) {
		return (
			<Empty title="None among the newest runs">
				<p>The search read the newest 1,000 runs. Search on below, or choose a shorter period.</p>
			</Empty>
		);
	}
	const what = [
		"run",
		query.status?.length &&
			`that is ${query.status.map((s) => executionStates[s]?.label.toLowerCase() ?? s).join(" or ")}`,
		query.version ? `of version ${query.version} of this agent` : query.agent_id && "of this agent",
		query.client_id && `for ${query.client_id}`,
		query.event_type && `that ${query.event_type} started`,
	]
		.filter(Boolean)
		.join(" ");
	return (
		<Empty title={`No ${what}${period === "all time" ? "" : ` in the last ${period}`}`}>
			{wider && wider.total > 0 ? (
				<p>
					{wider.total.toLocaleString("en")} in the last 7 days. <a href={link("period", "7d")}>Show them</a>
				</p>
			) : filtered ? (
				<p>
					<a href="/runs?period=all">Show all runs</a>
				</p>
			) : (
				<p>
					A run begins when an event starts an agent. <a href="/agents">See the agents</a> or{" "}
					<a href="/agents/new">make one</a>.
				</p>
			)}
		</Empty>
	);
}
