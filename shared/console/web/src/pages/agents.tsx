import add from "lucide:plus";
import { useLocation } from "preact-iso";
import { agentsAsk } from "../asks.ts";
import type { Schema } from "../door.ts";
import { useMay, useMe } from "../me.ts";
import { Empty } from "../parts/empty.tsx";
import { ErrorNote } from "../parts/error.tsx";
import { Choice, Filters, Search, useFilter } from "../parts/filters.tsx";
import { Icon } from "../parts/icon.tsx";
import { Loading } from "../parts/loading.tsx";
import { Page } from "../parts/page.tsx";
import { Status } from "../parts/status.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { When } from "../parts/when.tsx";
import { useAsk } from "../store.ts";
import { cut, visible } from "../text.ts";
import { duration } from "../time.ts";
import { agentStates, agentTypes, counted, plain, type State, state, word } from "../words.ts";
import { StatusButton } from "./acting.tsx";

type Row = Schema["AgentSummary"];

/** The agents: what runs by itself here, and how well. */
export default function Agents() {
	const answer = useAsk(agentsAsk);
	const me = useMe().data;
	const edits = useMay("edit");
	const { query } = useLocation();
	const [status] = useFilter("status");
	const [type] = useFilter("type");
	const [words] = useFilter("q");
	const all = answer.data?.agents ?? [];
	const rows = all.filter(
		(a) => (!status || a.status === status) && (!type || a.type === type) && matches(a, words.toLowerCase()),
	);
	const active = all.filter((a) => a.status === "active" && a.type !== "system").length;
	const add_ = edits && (
		<a class="button primary" href="/agents/new">
			<Icon shapes={add} size={14} /> New agent
		</a>
	);
	return (
		<Page
			title="Agents"
			aside={
				<>
					{answer.data && (
						<span class="meta">
							{active}
							{me?.agent_limit ? ` of ${me.agent_limit}` : ""} active
						</span>
					)}
					{add_}
				</>
			}
		>
			<Filters>
				<Search name="q" label="Name, event or description" />
				<Choice
					name="status"
					label="Status"
					any="Any status"
					options={Object.entries(agentStates).map(([value, s]) => [value, s.label] as const)}
				/>
				<Choice
					name="type"
					label="Type"
					any="Any type"
					options={(["system", "custom", "cloned"] as const).map((t) => [t, agentTypes[t]] as const)}
				/>
			</Filters>
			{answer.error && !answer.data ? (
				<ErrorNote error={answer.error} what="the agents" again={() => void answer.refetch()} />
			) : !answer.data || !me ? (
				<Loading what="the agents" />
			) : rows.length === 0 ? (
				<Empty title={all.length === 0 ? "No agent yet" : "No agent is like that"}>
					<p>
						{all.length === 0 ? (
							<>
								An agent waits for an event, and then runs its steps.{" "}
								{edits && <a href="/agents/new">Make the first one</a>}
							</>
						) : (
							<>
								{counted(all.length, "agent")} in all. <a href="/agents">Show all</a>
							</>
						)}
					</p>
				</Empty>
			) : (
				<Table
					label="Agents"
					one="agent"
					list={JSON.stringify(query)}
					rows={rows}
					keyOf={(a) => a.id}
					hrefOf={(a) => `/agents/${a.id}`}
					nameOf={(a) => `${shortName(a)} ${lineOf(a)}, ${stateOf(a).label}`}
					columns={columns}
				/>
			)}
		</Page>
	);
}

function matches(agent: Row, words: string): boolean {
	const { name, description, trigger } = agent;
	const text = [name, description, agent.id, trigger && `${trigger.source_product}:${trigger.event_type}`].join(" ");
	return text.toLowerCase().includes(words);
}

/** A paused system agent is paused for this organization alone. */
function stateOf(agent: Row): State {
	const found = state(agentStates, agent.status);
	return agent.type === "system" && agent.status === "paused" ? { ...found, label: "Paused for you" } : found;
}

function shortName(agent: Row): string {
	const { text, left } = cut(agent.name, 120);
	return visible(left > 0 ? `${text}…` : text);
}

/** lineOf says for what an agent waits. */
function lineOf({ type, trigger }: Row): string {
	const event = trigger ? visible(`${trigger.source_product} · ${plain(trigger.event_type)}`) : "";
	return [type === "system" && "System", event].filter(Boolean).join(" · ");
}

const columns: Column<Row>[] = [
	{
		title: "Agent",
		grows: true,
		cell: (a) => (
			<>
				<span class="agent-name">
					<bdi>{shortName(a)}</bdi>
				</span>{" "}
				<span class="meta agent-event">{lineOf(a)}</span>
			</>
		),
	},
	{ title: "Status", cell: (a) => <Status state={stateOf(a)} bare /> },
	{
		title: "Type",
		from: "desk",
		cell: (a) => <span class="meta">{word<string>(agentTypes, a.type, plain)}</span>,
	},
	{
		title: "Success",
		figures: true,
		from: "phone",
		cell: (a) => (a.stats.success_rate === null ? "–" : percent(a.stats.success_rate)),
	},
	{
		title: "Mean time",
		figures: true,
		from: "desk",
		cell: (a) => (a.stats.avg_duration_ms === null ? "–" : duration(a.stats.avg_duration_ms)),
	},
	{
		title: "Credits this month",
		figures: true,
		from: "desk",
		cell: (a) => a.stats.credits_used_this_month.toLocaleString("en"),
	},
	{
		title: "Last run",
		from: "phone",
		cell: (a) =>
			a.stats.last_run_at ? (
				<a href={`/runs?agent_id=${a.id}`}>
					<When at={a.stats.last_run_at} />
					<span class="hidden"> runs of {shortName(a)}</span>
				</a>
			) : (
				<span class="meta">never</span>
			),
	},
	{ title: "Switch", from: "phone", cell: (a) => <StatusButton agent={a} small /> },
];

/** percent never rounds up to all or down to none. */
export function percent(share: number): string {
	const whole = Math.round(share * 100);
	if (whole === 100 && share < 1) return "99.9 %";
	if (whole === 0 && share > 0) return "0.1 %";
	return `${whole} %`;
}
