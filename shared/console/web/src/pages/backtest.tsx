// A back-test: how often an agent would have started on the events of the past weeks.
import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import type { Agent } from "../agents.ts";
import { agentsAsk } from "../asks.ts";
import { api, type Schema, take } from "../door.ts";
import { useMay } from "../me.ts";
import { Bars, Columns } from "../parts/bars.tsx";
import { ErrorNote, Refusal } from "../parts/error.tsx";
import { useFilter } from "../parts/filters.tsx";
import { Loading } from "../parts/loading.tsx";
import { Said } from "../parts/quote.tsx";
import { When } from "../parts/when.tsx";
import { useSending } from "../sending.ts";
import { put, useAsk } from "../store.ts";
import { counted, outcomes, state } from "../words.ts";
import { isRunning, linesOf, pathOf, summaryOf, widestOf } from "./backtesting.ts";

type Job = Schema["Job"];
type Result = Schema["BacktestResult"];

const day = 86_400_000; // milliseconds
const keyOf = (id: string) => ["job", id];

export default function Backtest({ agent }: { agent: Agent }) {
	const may = useMay("edit");
	const [job, setJob] = useFilter("job");
	return (
		<div class="testrun">
			{may ? <Form agent={agent} onJob={setJob} /> : <p class="note">Owners, admins and members back-test an agent.</p>}
			<section class="testrun-result" aria-label="Result">
				{job ? (
					<Shown key={job} id={job} agent={agent} />
				) : (
					<p class="meta">
						A back-test plays the events of the past through the agent, in their order, with its limits. It says how
						often the agent would have started, on what, and at what price. Nothing is sent, asked or charged.
					</p>
				)}
			</section>
		</div>
	);
}

function Form({ agent, onJob }: { agent: Agent; onJob: (job: string) => void }) {
	const days = useSignal("30");
	const version = useSignal(String(agent.version));
	const against = useSignal(false);
	const id = useId();
	const older = Number(version.value) !== agent.version;
	const { send, sending, failed } = useSending(async () => {
		const job = await take(
			api.POST("/api/backtests", {
				body: {
					agent_id: agent.id,
					version: Number(version.value),
					from: new Date(Date.now() - Number(days.value) * day).toISOString().replace(/\.\d+/, ""),
					against: older && against.value ? "live" : null,
					play: "simulated",
				},
			}),
		);
		put(keyOf(job.id), job);
		onJob(job.id);
	});
	const code = failed.value?.code;
	return (
		<form
			class="testrun-form card"
			aria-label="Back-test"
			onSubmit={(e) => {
				e.preventDefault();
				void send();
			}}
		>
			<label class="labelled" htmlFor={`${id}days`}>
				The events of the last
				<select
					id={`${id}days`}
					class="field"
					value={days.value}
					onChange={(e) => {
						days.value = e.currentTarget.value;
					}}
				>
					{["7", "30", "90"].map((n) => (
						<option key={n} value={n}>
							{n} days
						</option>
					))}
				</select>
			</label>
			<label class="labelled" htmlFor={`${id}version`}>
				The version
				<input
					id={`${id}version`}
					class="field"
					type="number"
					min={1}
					max={agent.version}
					required
					value={version.value}
					onInput={(e) => {
						version.value = e.currentTarget.value;
					}}
				/>
			</label>
			{older && agent.status === "active" && (
				<label class="check">
					<input
						type="checkbox"
						checked={against.value}
						onChange={(e) => {
							against.value = e.currentTarget.checked;
						}}
					/>{" "}
					Compare it with version {agent.version}, which runs today
				</label>
			)}
			<Refusal fault={failed.value} />
			{(code === "journal_off" || code === "nothing_kept") && (
				<p>
					<a href="/settings/rules">For how long events are kept</a>
				</p>
			)}
			<div class="actions">
				<button type="submit" class="button primary" aria-disabled={sending.value}>
					{sending.value ? "Starting…" : "Back-test"}
				</button>
			</div>
		</form>
	);
}

function Shown({ id, agent }: { id: string; agent: Agent }) {
	const may = useMay("edit");
	const answer = useAsk<Job>({
		key: keyOf(id),
		ask: () => take(api.GET("/api/jobs/{id}", { params: { path: { id } } })),
		pace: (job) => (job && isRunning(job) ? 1000 : false),
	});
	const cancel = useSending(async () => {
		put(keyOf(id), await take(api.POST("/api/jobs/{id}/cancel", { params: { path: { id } } })));
	});
	const job = answer.data;
	if (!job) {
		if (!answer.error) return <Loading what="the back-test" rows={4} />;
		return <ErrorNote error={answer.error} what="this back-test" again={() => void answer.refetch()} />;
	}
	if (job.result) return <Outcome result={job.result as Result} agent={agent} />;
	const { done, of } = job.progress;
	return (
		<section class="telling" data-tone={isRunning(job) ? "run" : "stop"} aria-label="State" aria-live="polite">
			<p>
				<strong>{summaryOf(job)}</strong>
			</p>
			{job.error && (
				<p>
					<Said text={job.error.message} most={600} />
				</p>
			)}
			{isRunning(job) && (
				<>
					{of === null ? <progress aria-label="Progress" /> : <progress aria-label="Progress" value={done} max={of} />}
					{may && (
						<p>
							<button
								type="button"
								class="link"
								aria-disabled={cancel.sending.value}
								onClick={() => void cancel.send()}
							>
								Cancel it
							</button>
						</p>
					)}
				</>
			)}
			<Refusal fault={cancel.failed.value} />
		</section>
	);
}

function Outcome({ result, agent }: { result: Result; agent: Agent }) {
	const agents = useAsk(agentsAsk).data?.agents;
	const names = new Map(agents?.map((a) => [a.id, a.name]));
	const nameOf = (id: string) => names.get(id) ?? id;
	const refused = Object.entries(result.refused).sort((a, b) => b[1] - a[1]);
	const { diff } = result;
	return (
		<>
			<section class="telling" data-tone={result.would_start > 0 ? "ok" : "stop"} aria-label="What would have happened">
				<p>
					<strong>{widestOf(result)}</strong>
				</p>
				{linesOf(result).map((line) => (
					<p key={line} class="meta">
						{line}
					</p>
				))}
				<p class="meta">
					From <When at={result.from} /> to <When at={result.to} />
					{result.version !== null && result.version !== agent.version && `, with version ${result.version}`}.
				</p>
			</section>
			{diff && (
				<section class="card">
					<h2>Against the agent as it is</h2>
					<p>
						Both start {counted(diff.both, "time")}; only this version {counted(diff.only_candidate, "time")}, only
						today's {counted(diff.only_live, "time")}.
					</p>
					<ul class="why-others">
						{diff.examples.map((e) => (
							<li key={e.event_id + e.event_type}>
								<a href={pathOf(e)}>
									<When at={e.published_at} />
								</a>{" "}
								{e.why_live === null ? "starts today's" : "starts this version"}:{" "}
								<span class="meta">
									<Said text={e.why_live ?? e.why_candidate ?? ""} most={300} />
								</span>
							</li>
						))}
					</ul>
				</section>
			)}
			{result.per_day.length > 0 && (
				<section class="card">
					<h2>By day</h2>
					<Columns
						label="Starts by day"
						head={["Day", "Starts"]}
						bars={result.per_day.map((d) => ({
							label: d.day.slice(5),
							value: d.started,
							text: counted(d.started, "start"),
						}))}
					/>
				</section>
			)}
			{result.near_misses.length > 0 && (
				<section class="card">
					<h2>Near misses</h2>
					<p class="meta">Events that this one demand alone refused.</p>
					<ul class="why-others">
						{result.near_misses.map((m) => (
							<li key={m.check}>
								<Said text={m.check} most={300} /> <span class="meta">{counted(m.only_this_failed, "event")}</span>
							</li>
						))}
					</ul>
				</section>
			)}
			{result.effects && result.effects.length > 0 && (
				<section class="card">
					<h2>What it would have done</h2>
					<Bars
						label="Effects"
						head={["Effect", "Times"]}
						bars={result.effects.map((e) => ({ label: e.what, value: e.times, text: counted(e.times, "time") }))}
					/>
				</section>
			)}
			{result.overlap.length > 0 && (
				<section class="card">
					<h2>Other agents on the same events</h2>
					<ul class="why-others">
						{result.overlap.map((o) => (
							<li key={o.agent_id}>
								<a href={`/agents/${o.agent_id}`}>
									<Said text={nameOf(o.agent_id)} most={100} />
								</a>{" "}
								<span class="meta">
									{counted(o.events, "event")}
									{o.same_target ? `; both act on the same thing ${counted(o.same_target, "time")}` : ""}
								</span>
							</li>
						))}
					</ul>
				</section>
			)}
			{result.loops.length > 0 && (
				<section class="card">
					<h2>Agents that it would wake</h2>
					<ul class="why-others">
						{result.loops.map((l) => (
							<li key={l.via + l.agent_id}>
								<a href={`/agents/${l.agent_id}`}>
									<Said text={nameOf(l.agent_id)} most={100} />
								</a>{" "}
								<span class="meta">
									by {l.via}
									{l.agent_triggered ? ", also when an agent caused it" : "; the loop guard ends it"}
								</span>
							</li>
						))}
					</ul>
				</section>
			)}
			{result.by_client.length > 1 && (
				<section class="card">
					<h2>By client</h2>
					<Bars
						label="Starts by client"
						head={["Client", "Starts"]}
						bars={result.by_client.map((c) => ({
							label: c.client_id ?? "no client",
							value: c.started,
							text: counted(c.started, "start"),
						}))}
					/>
				</section>
			)}
			{(result.examples.started.length > 0 || refused.length > 0) && (
				<section class="card">
					<h2>Events to look at</h2>
					<ul class="why-others">
						{result.examples.started.slice(0, 5).map((e) => (
							<li key={e.event_id + e.event_type}>
								<a href={pathOf(e)}>
									<When at={e.published_at} />
								</a>{" "}
								<span class="meta">would have started it</span>
							</li>
						))}
						{refused.flatMap(([outcome, n]) => [
							<li key={outcome}>
								<strong>{state(outcomes, outcome).label}</strong> <span class="meta">{counted(n, "event")}</span>
							</li>,
							...(result.examples.refused[outcome] ?? []).slice(0, 3).map((e) => (
								<li key={outcome + e.event_id + e.event_type}>
									<a href={pathOf(e)}>
										<When at={e.published_at} />
									</a>{" "}
									<span class="meta">
										<Said text={e.why} most={300} />
									</span>
								</li>
							)),
						])}
					</ul>
				</section>
			)}
		</>
	);
}
