import { ErrorBoundary, lazy, useLocation, useRoute } from "preact-iso";
import { type Agent, agentAsk, type OpenAgent, useKnowledge } from "../agents.ts";
import { keys } from "../asks.ts";
import { api, take } from "../door.ts";
import { where } from "../editor/places.ts";
import { useMay, useMe } from "../me.ts";
import { ErrorNote } from "../parts/error.tsx";
import { Flow } from "../parts/flow.tsx";
import { Id } from "../parts/id.tsx";
import { Loading } from "../parts/loading.tsx";
import { Page } from "../parts/page.tsx";
import { Said } from "../parts/quote.tsx";
import { Status } from "../parts/status.tsx";
import { When } from "../parts/when.tsx";
import { useAsk } from "../store.ts";
import { duration } from "../time.ts";
import { agentStates, agentTypes, conflicts, counted, state, word } from "../words.ts";
import { CloneButton, DeleteButton, StatusButton } from "./acting.tsx";
import { percent } from "./agents.tsx";
import { costOf, type Outline, outlineOf } from "./describing.ts";

const Definition = lazy(() => import("./definition.tsx"));
const Backtest = lazy(() => import("./backtest.tsx"));
const Activity = lazy(() => import("./activity.tsx"));
const TestRun = lazy(() => import("./testrun.tsx"));
const Versions = lazy(() => import("./versions.tsx"));

const tabs = [
	["", "Overview"],
	["definition", "Definition"],
	["test", "Test"],
	["backtest", "Back-test"],
	["activity", "Activity"],
	["versions", "Versions"],
] as const;

/** One agent: what it does, its definition, why it did or did not run, and its versions. */
export default function AgentPage() {
	const { id = "", tab } = useRoute().params;
	const answer = useAsk(agentAsk(id));
	const above = <a href="/agents">Agents</a>;
	// The page waits for the rights of the person, which decide about its buttons: buttons
	// that came later would move what is below them.
	const known = useMe().data !== undefined;
	if (!answer.data || !known) {
		const gone = answer.error?.status === 404;
		return (
			<Page title="Agent" above={above}>
				{answer.error ? (
					<>
						<ErrorNote error={answer.error} what="this agent" again={() => void answer.refetch()} />
						{gone && (
							<section class="gone">
								<ErrorBoundary>
									<Versions id={id} agent={undefined} />
								</ErrorBoundary>
							</section>
						)}
					</>
				) : (
					<Loading what="the agent" />
				)}
			</Page>
		);
	}
	const { agent } = answer.data;
	const now = tabs.find(([name]) => name === tab)?.[0] ?? "";
	return (
		<Page
			title={agent.name}
			heading={<Said text={agent.name} most={200} />}
			above={
				<>
					{above} <span aria-hidden="true">/</span> <Id id={agent.id} />
				</>
			}
			aside={
				<>
					<StatusButton agent={agent} />
					<CloneButton agent={agent} primary={agent.type === "system"} />
					<DeleteButton agent={agent} />
				</>
			}
		>
			<p class="agent-line">
				<Status state={state(agentStates, agent.status)} />
				<span class="meta">
					{word<string>(agentTypes, agent.type, (t) => t)} · version {agent.version} · changed{" "}
					<When at={agent.updated_at} />
					{agent.updated_by && (
						<>
							{" by "}
							<bdi>{agent.updated_by}</bdi>
						</>
					)}
				</span>
				{answer.error && <span class="live late">the newest state is unknown, trying again</span>}
			</p>
			<nav class="tabs" aria-label="Agent">
				{tabs.map(([name, title]) => (
					<a
						key={name}
						href={name ? `/agents/${id}/${name}` : `/agents/${id}`}
						aria-current={name === now ? "page" : undefined}
					>
						{title}
					</a>
				))}
			</nav>
			<ErrorBoundary>
				{now === "definition" ? (
					<Definition key={id} open={answer.data} />
				) : now === "test" ? (
					<TestRun key={id} agent={agent} />
				) : now === "backtest" ? (
					<Backtest key={id} agent={agent} />
				) : now === "activity" ? (
					<Activity key={id} agent={agent} />
				) : now === "versions" ? (
					<Versions key={id} id={id} agent={answer.data} />
				) : (
					<Overview key={id} open={answer.data} />
				)}
			</ErrorBoundary>
		</Page>
	);
}

const week = 7 * 24 * 3_600_000; // milliseconds

function Overview({ open: { agent } }: { open: OpenAgent }) {
	const { route } = useLocation();
	const knowledge = useKnowledge();
	const outline = outlineOf(agent, knowledge);
	const pick = (path: string) => route(`/agents/${agent.id}/definition?at=${encodeURIComponent(path)}`);
	return (
		<div class="overview">
			<div class="overview-main">
				{agent.description && (
					<p class="overview-about">
						<Said text={agent.description} most={2000} />
					</p>
				)}
				{agent.status === "error" && (
					<p class="note bad">
						The platform switched this agent off: an event type or an action that it names is gone. Open its definition;
						what is wrong is marked there.
					</p>
				)}
				{agent.status === "draft" && (
					<p class="note">This agent is a draft: no event starts it until it is activated.</p>
				)}
				<section class="card">
					<h2>What it does</h2>
					<Flow outline={outline} onPick={pick} />
				</section>
				<Warnings agent={agent} onPick={pick} />
			</div>
			<aside class="overview-side" aria-label="Figures">
				<Figures agent={agent} />
				<Cost agent={agent} outline={outline} when={knowledge.actions.length > 0} />
			</aside>
		</div>
	);
}

interface CostProps {
	agent: Agent;
	outline: Outline;
	/** The runs are counted when the rest can be read. */
	when: boolean;
}

function Cost({ agent, outline, when }: CostProps) {
	const from = new Date(Math.floor(Date.now() / 3_600_000) * 3_600_000 - week).toISOString();
	const runs = useAsk({
		key: [...keys.runs, "week", agent.id],
		ask: () => take(api.GET("/api/executions", { params: { query: { agent_id: agent.id, from, limit: 1 } } })),
		when,
	}).data;
	const month = runs && runs.total_relation === "eq" ? Math.round((runs.total * outline.most * 30) / 7) : undefined;
	return (
		<section class="card">
			<h2>Cost</h2>
			<p>{costOf(outline)}</p>
			{runs && (
				<p>
					<a href={`/runs?agent_id=${agent.id}&from=${from.slice(0, 10)}`}>
						{runs.total_relation === "gte" && "more than "}
						{counted(runs.total, "run")} in 7 days
					</a>
					{month !== undefined && month > 0 && (
						<>
							{" "}
							≈ {outline.least < outline.most && "at most "}
							{counted(month, "credit")} a month
						</>
					)}
				</p>
			)}
			<p class="meta">
				This month so far: <a href="/credits">{counted(agent.stats.credits_used_this_month, "credit")}</a>
			</p>
		</section>
	);
}

function Figures({ agent }: { agent: Agent }) {
	const { stats } = agent;
	const runs = `/runs?agent_id=${agent.id}`;
	return (
		<section class="card">
			<h2>Runs</h2>
			<dl class="rows">
				<div>
					<dt>Ended</dt>
					<dd>
						<a href={runs}>{stats.total_runs.toLocaleString("en")}</a>
					</dd>
				</div>
				<div>
					<dt>Success</dt>
					<dd>
						{stats.success_rate === null ? (
							"no run has ended"
						) : (
							<a href={`${runs}&status=${stats.success_rate < 1 ? "failed" : "completed"}`}>
								{percent(stats.success_rate)}
							</a>
						)}
					</dd>
				</div>
				<div>
					<dt>Mean time</dt>
					<dd>{stats.avg_duration_ms === null ? "–" : duration(stats.avg_duration_ms)}</dd>
				</div>
				<div>
					<dt>Last run</dt>
					<dd>{stats.last_run_at ? <When at={stats.last_run_at} /> : "never"}</dd>
				</div>
			</dl>
			<p class="meta">{word<string>(conflicts, agent.conflict_behavior, (c) => c)}.</p>
			<p>
				<a href={`/agents/${agent.id}/activity`}>Why did it run, or not?</a>
			</p>
		</section>
	);
}

function Warnings({ agent, onPick }: { agent: Agent; onPick: (path: string) => void }) {
	const edits = useMay("edit");
	if (agent.warnings.length === 0) return null;
	return (
		<section class="card">
			<h2>{counted(agent.warnings.length, "part")} that may be wrong</h2>
			<ul class="findings">
				{agent.warnings.map((w) => (
					<li key={`${w.path} ${w.message}`}>
						<button type="button" class="link" onClick={() => onPick(w.path)}>
							{where(w.path)}
						</button>{" "}
						<Said text={w.message} most={600} />
					</li>
				))}
			</ul>
			{edits && agent.type === "system" && <p class="meta">A system agent is changed in a clone.</p>}
		</section>
	);
}
