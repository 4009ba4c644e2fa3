// Why an agent did or did not run: one row for each event that it listened for.
import { useSignal } from "@preact/signals";
import { useState } from "preact/hooks";
import { type Agent, useKnowledge } from "../agents.ts";
import { keys } from "../asks.ts";
import { api, type Schema, take } from "../door.ts";
import { doc, list, text } from "../editor/knowledge.ts";
import { useMay } from "../me.ts";
import { Empty } from "../parts/empty.tsx";
import { ErrorNote } from "../parts/error.tsx";
import { useFilter } from "../parts/filters.tsx";
import { Id } from "../parts/id.tsx";
import { Loading } from "../parts/loading.tsx";
import { Said } from "../parts/quote.tsx";
import { Mark, Status } from "../parts/status.tsx";
import { When } from "../parts/when.tsx";
import { useAsk } from "../store.ts";
import { moment } from "../time.ts";
import { counted, outcomes, plain, state } from "../words.ts";
import { conditionOf } from "./describing.ts";

type Row = Schema["Activity"];

const page = 200;
const days = 7;

export default function Activity({ agent }: { agent: Agent }) {
	const [pages, setPages] = useState(1);
	const answer = useAsk({ key: [...keys.agent(agent.id), "activity", pages], ask: () => load(agent.id, pages) });
	const [outcome, setOutcome] = useFilter("outcome");
	if (!answer.data) {
		if (!answer.error) return <Loading what="the activity" />;
		return <ErrorNote error={answer.error} what="the activity" again={() => void answer.refetch()} />;
	}
	const { rows, more } = answer.data;
	if (rows.length === 0) return <Nothing agent={agent} />;
	const since = moment.value - days * 86_400_000;
	const recent = rows.filter((r) => Date.parse(r.at) >= since);
	const whole = !more || recent.length < rows.length;
	const counts = countsOf(recent);
	const shown = outcome ? rows.filter((r) => r.outcome === outcome) : rows;
	return (
		<div class="activity">
			<section class="card" aria-label="Outcomes">
				<p class="meta">
					{whole
						? `${counted(recent.length, "event")} in ${days} days`
						: `The newest ${counted(rows.length, "event")}; older ones are not counted yet`}
				</p>
				<Bar counts={counts} all={recent.length} />
				<ul class="activity-counts">
					{counts.map(([name, n]) => (
						<li key={name}>
							<button
								type="button"
								class="chip"
								data-tone={state(outcomes, name).tone}
								aria-pressed={outcome === name}
								onClick={() => setOutcome(outcome === name ? "" : name)}
							>
								<Mark tone={state(outcomes, name).tone} />
								{state(outcomes, name).label} {n.toLocaleString("en")}
							</button>
						</li>
					))}
				</ul>
			</section>
			{shown.length === 0 ? (
				<Empty title={`No event was “${state(outcomes, outcome).label}”`}>
					<p>
						<button type="button" class="link" onClick={() => setOutcome("")}>
							Show all {rows.length}
						</button>
					</p>
				</Empty>
			) : (
				<ul class="activity-list" aria-label="Events">
					{shown.map((row) => (
						<Entry key={row.id} row={row} agent={agent} />
					))}
				</ul>
			)}
			<p class="activity-end">
				{more ? (
					<button type="button" class="button" onClick={() => setPages(pages + 1)}>
						Load older
					</button>
				) : (
					<span class="meta">Decisions are kept for 30 days.</span>
				)}
			</p>
		</div>
	);
}

/** countsOf returns how often each outcome is there, the most frequent first. */
function countsOf(rows: readonly Row[]): [Row["outcome"], number][] {
	const counts = new Map<Row["outcome"], number>();
	for (const { outcome } of rows) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
	return [...counts].sort((a, b) => b[1] - a[1]);
}

async function load(id: string, pages: number): Promise<{ rows: Row[]; more: boolean }> {
	const rows: Row[] = [];
	let cursor: string | undefined;
	for (let n = 0; n < pages; n++) {
		const query = { limit: page, ...(cursor ? { cursor } : {}) };
		const answer = await take(api.GET("/api/agents/{id}/activity", { params: { path: { id }, query } }));
		rows.push(...answer.activity);
		if (!answer.next_cursor) return { rows, more: false };
		cursor = answer.next_cursor;
	}
	return { rows, more: true };
}

/** The bar is decoration: the buttons below have its numbers. */
function Bar({ counts, all }: { counts: readonly (readonly [string, number])[]; all: number }) {
	let x = 0;
	return (
		<svg class="activity-bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
			{counts.map(([name, n]) => {
				const width = (n / Math.max(1, all)) * 100;
				x += width;
				return (
					<rect
						key={name}
						data-tone={state(outcomes, name).tone}
						x={x - width}
						y="0"
						width={Math.max(0.4, width - 0.3)}
						height="4"
					/>
				);
			})}
		</svg>
	);
}

function Entry({ row, agent }: { row: Row; agent: Agent }) {
	const open = useSignal(false);
	const sentence = row.detail || (row.outcome === "started" ? "a run was started" : state(outcomes, row.outcome).label);
	return (
		<li class="activity-row">
			<div class="activity-line">
				<Status state={state(outcomes, row.outcome)} bare />
				<span class="activity-what">
					<Said text={sentence} most={1200} />
				</span>
				<span class="meta activity-at">
					<When at={row.at} />
				</span>
			</div>
			<div class="activity-more">
				<span class="meta">
					<Said text={`${row.source_product}:${row.event_type}`} />
					{row.client_id && (
						<>
							{" · client "}
							<Said text={row.client_id} most={60} />
						</>
					)}
				</span>
				{row.execution_id && <a href={`/runs/${row.execution_id}`}>See the run</a>}
				{!row.execution_id && row.related_execution_id && (
					<a href={`/runs/${row.related_execution_id}`}>See the run it repeats</a>
				)}
				<button type="button" class="link" aria-expanded={open.value} onClick={() => (open.value = !open.value)}>
					{open.value ? "less" : "why?"}
				</button>
			</div>
			{open.value && <Why row={row} agent={agent} />}
		</li>
	);
}

/** Why shows what the agent demands of an event, with the part that this one did not meet. */
function Why({ row, agent }: { row: Row; agent: Agent }) {
	const event = useKnowledge().events.find((e) => e.id === `${row.source_product}:${row.event_type}`);
	const labels = new Map(event?.filterable_fields.map((f) => [f.path, f.label]));
	const changed = Date.parse(agent.updated_at) > Date.parse(row.at);
	const { filters = [] } = agent.trigger;
	const demands = [...filters, ...agent.conditions].map((demand, n) => ({
		key: n,
		fields: fieldsIn(demand),
		text: conditionOf(demand, labels),
	}));
	const at = demands.findIndex(({ fields }) =>
		row.fault ? fields.includes(row.fault.path) : fields.some((field) => begins(row.detail, field)),
	);
	return (
		<div class="why">
			{demands.length === 0 ? (
				<p class="meta">The agent demands nothing of its event.</p>
			) : (
				<ul>
					{demands.map((demand, n) => {
						// Demands are judged in order: those after the first refusal were not looked at
						const tone = row.outcome === "started" || n < at ? "ok" : n === at ? "fail" : "pending";
						return (
							<li key={demand.key} data-tone={tone}>
								<Mark tone={tone} />
								<Said text={demand.text} most={300} />
								<span class="hidden">
									{tone === "ok" ? " holds" : tone === "fail" ? " refused this event" : " was not looked at"}
								</span>
								{n === at && row.detail && (
									<p class="why-found">
										<Said text={row.detail} most={1200} />
									</p>
								)}
							</li>
						);
					})}
				</ul>
			)}
			{at < 0 && row.detail && (
				<p>
					<Said text={row.detail} most={1200} />
				</p>
			)}
			{changed && <p class="meta">The agent was changed after this event; its filters may have been others.</p>}
			<p class="meta">
				event <Id id={row.event_id} /> ·{" "}
				<a href={`/events/${row.event_id}?type=${encodeURIComponent(`${row.source_product}:${row.event_type}`)}`}>
					What it was at all agents
				</a>
			</p>
		</div>
	);
}

/** fieldsIn returns the fields that a filter or a condition compares, as a refusal names them. */
function fieldsIn(condition: unknown): string[] {
	const { all, any, field, context } = doc(condition);
	if (all ?? any) return list(all ?? any).flatMap(fieldsIn);
	return [context === "client_context" ? `client_context.${text(field)}` : text(field)];
}

/** begins reports whether a sentence is about a field; entries from before refusals had a
 * `fault` have only the sentence. */
function begins(detail: string, field: string): boolean {
	const named = field.replace(/^client_context\./, "client_context ");
	return [named, `event ${named}`].some((name) => detail.startsWith(`${name} must `));
}

function Nothing({ agent }: { agent: Agent }) {
	const edits = useMay("edit");
	const { source_product, event_type } = agent.trigger;
	return (
		<Empty title="This agent has seen no event">
			<p>
				It waits for{" "}
				<a href={`/events/${source_product}:${event_type}`}>
					<Said text={`${source_product} · ${plain(event_type)}`} />
				</a>
				, and none came in the last 30 days.{" "}
				{agent.status === "active"
					? `Is ${source_product} connected to this organization?`
					: `The agent is ${agent.status}: only active agents see events.${edits ? " Activate it above." : ""}`}
			</p>
		</Empty>
	);
}
