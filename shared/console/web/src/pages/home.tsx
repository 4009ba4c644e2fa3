import { useMemo } from "preact/hooks";
import { agentsAsk, approvalsAsk, runsAsk } from "../asks.ts";
import { creditsAsk } from "../credits.ts";
import type { Schema } from "../door.ts";
import { useMay, useMe } from "../me.ts";
import * as paces from "../paces.ts";
import { Empty } from "../parts/empty.tsx";
import { ErrorNote } from "../parts/error.tsx";
import { Live } from "../parts/live.tsx";
import { Loading } from "../parts/loading.tsx";
import { Page } from "../parts/page.tsx";
import { Said } from "../parts/quote.tsx";
import { Mark, Status } from "../parts/status.tsx";
import { Left, When } from "../parts/when.tsx";
import { useAsk } from "../store.ts";
import { moment } from "../time.ts";
import { counted, executionStates, plain, state } from "../words.ts";
import { sorted } from "./deciding.ts";
import { grouped, headline, hoursOf, troubled } from "./overview.ts";
import { used } from "./spending.ts";

/** Home: what needs me. */
export default function Home() {
	const from = useMemo(midnight, []);
	const me = useMe().data;
	const may = useMay("edit");
	const approvals = useAsk(approvalsAsk("pending", paces.home.approvals));
	const today = useAsk(runsAsk({ from, limit: 50 }, paces.home.runs));
	const failed = useAsk(runsAsk({ from, status: ["failed"], limit: 50 }, paces.home.runs));
	const credits = useAsk({ ...creditsAsk, pace: paces.home.credits });
	const agents = useAsk({ ...agentsAsk, pace: paces.home.agents });

	if (today.error && !today.data) {
		return (
			<Page title="Home">
				<ErrorNote error={today.error} what="the overview" again={() => void today.refetch()} />
			</Page>
		);
	}
	if (!approvals.data || !today.data || !failed.data) {
		return (
			<Page title="Home">
				<Loading what="the overview" rows={8} />
			</Page>
		);
	}
	const mine = sorted(approvals.data.approvals);
	const list = agents.data?.agents ?? [];
	const own = list.filter((a) => a.type !== "system");
	const ran = list.some((a) => a.stats.total_runs > 0) || today.data.total > 0;
	return (
		<Page
			title="Home"
			heading={headline(new Date(moment.value), approvals.data.approvals, failed.data.total)}
			aside={<Live of={today} />}
		>
			{me?.paused && (
				<p class="note bad">
					The organization is paused: no agent starts. <a href="/settings/pause">See what is held</a>
				</p>
			)}
			{agents.data && own.length === 0 && !ran && <FirstSteps may={may} />}
			<div class="home">
				<section class="card home-decide">
					<h2>
						<a href="/approvals">Decide</a>
					</h2>
					{mine.length === 0 ? (
						<p class="meta">Nothing waits for anyone.</p>
					) : (
						<ul class="home-rows">
							{mine.slice(0, 5).map((a) => (
								<li key={a.id}>
									<a href={`/approvals/${a.id}`}>
										<span data-tone="wait">
											<Mark tone="wait" />
										</span>
										<span class="grow">
											<Said text={a.message} most={90} />
										</span>
										<span class="meta figures">
											<Left until={a.expires_at} />
										</span>
									</a>
								</li>
							))}
						</ul>
					)}
					{mine.length > 5 && <a href="/approvals">All {mine.length}</a>}
				</section>
				<section class="card">
					<h2>
						<a href="/credits">Credits</a>
					</h2>
					{credits.data ? <Spent credits={credits.data} agents={list} /> : <Loading what="the credits" rows={2} />}
				</section>
				<section class="card">
					<h2>
						<a href="/runs?status=failed">Failed today</a>
					</h2>
					{failed.data.total === 0 ? (
						<p class="meta">No run failed today.</p>
					) : (
						grouped(failed.data.executions)
							.slice(0, 4)
							.map((g) => (
								<div key={g.key} class="home-group">
									<p class="meta">
										<code>{g.code}</code>
										{g.step && ` at ${plain(g.step)}`} ×{g.runs.length}
									</p>
									<ul class="home-rows">
										{g.runs.slice(0, 3).map((x) => (
											<RunLine key={x.id} run={x} />
										))}
									</ul>
								</div>
							))
					)}
				</section>
				<section class="card">
					<h2>
						<a href="/agents">Agents that need a look</a>
					</h2>
					{troubled(list).length === 0 ? (
						<p class="meta">
							{agents.data
								? `${counted(list.filter((a) => a.status === "active").length, "agent")} active, none in trouble.`
								: "…"}
						</p>
					) : (
						<ul class="home-rows">
							{troubled(list)
								.slice(0, 6)
								.map(({ agent, why }) => (
									<li key={agent.id}>
										<a href={`/agents/${agent.id}`}>
											<span data-tone="fail">
												<Mark tone="fail" />
											</span>
											<span class="grow">
												<Said text={agent.name} most={60} />
											</span>
											<span class="meta">{why}</span>
										</a>
									</li>
								))}
						</ul>
					)}
				</section>
				<section class="card home-today">
					<h2>
						<a href="/runs">Today</a>
					</h2>
					{today.data.total === 0 ? (
						<p class="meta">
							No run yet. A run begins when an event starts an agent. <a href="/runs?period=7d">The last 7 days</a>
						</p>
					) : (
						<>
							<Hours runs={today.data.executions} />
							<p>
								<a href="/runs">
									{counted(today.data.total, "run")}
									{today.data.total_relation === "gte" && " and more"}
								</a>
								{today.data.total > today.data.executions.length && (
									<span class="meta"> · the bars show the newest {today.data.executions.length}</span>
								)}
							</p>
							<ul class="home-rows">
								{today.data.executions.slice(0, 5).map((x) => (
									<RunLine key={x.id} run={x} />
								))}
							</ul>
						</>
					)}
				</section>
			</div>
		</Page>
	);
}

/** midnight returns the begin of the person's day. */
function midnight(): string {
	const day = new Date();
	day.setHours(0, 0, 0, 0);
	return day.toISOString().replace(".000", "");
}

function RunLine({ run }: { run: Schema["Execution"] }) {
	return (
		<li>
			<a href={`/runs/${run.id}`}>
				<Status state={state(executionStates, run.status)} bare />
				<span class="grow">{run.subject ? <Said text={run.subject} most={70} /> : plain(run.event_type)}</span>
				<span class="meta">
					<When at={run.created_at} as="clock" />
				</span>
			</a>
		</li>
	);
}

function Spent({ credits, agents }: { credits: Schema["Credits"]; agents: readonly Schema["AgentSummary"][] }) {
	const name = new Map(agents.map((a) => [a.id, a.name]));
	const top = Object.entries(credits.by_agent)
		.sort(([, a], [, b]) => b - a)
		.slice(0, 3);
	const part = used(credits);
	return (
		<>
			<p>
				<a href="/credits">
					<strong>{credits.total_used.toLocaleString("en")}</strong> of {credits.allocation.toLocaleString("en")}
				</a>{" "}
				<span class="meta">{Math.round(part * 100)} %</span>
			</p>
			<div class="meter" data-tone={part >= 0.9 ? "fail" : part >= 0.75 ? "wait" : "run"} aria-hidden="true">
				<span style={{ inlineSize: `${Math.min(100, part * 100)}%` }} />
			</div>
			{top.length > 0 && (
				<p class="meta">
					{top.map(([id, n], i) => (
						<span key={id}>
							{i > 0 && " · "}
							<a href={`/runs?agent_id=${id}&period=30d`}>
								<Said text={name.get(id) ?? id} most={30} />
							</a>{" "}
							{n.toLocaleString("en")}
						</span>
					))}
				</p>
			)}
		</>
	);
}

function Hours({ runs }: { runs: readonly Schema["Execution"][] }) {
	const hours = hoursOf(runs);
	const most = Math.max(1, ...hours.map((h) => h.all));
	return (
		<div
			class="hours"
			role="img"
			aria-label={`Runs by hour: ${hours
				.filter((h) => h.all > 0)
				.map((h) => `${h.hour} o'clock ${h.all}, of them ${h.failed} failed`)
				.join("; ")}`}
		>
			{hours.map((h) => (
				<span key={h.hour} class="hour" title={`${h.hour}:00: ${counted(h.all, "run")}, ${h.failed} failed`}>
					<span class="hour-ok" style={{ blockSize: `${((h.all - h.failed) / most) * 100}%` }} />
					{h.failed > 0 && <span class="hour-fail" style={{ blockSize: `${(h.failed / most) * 100}%` }} />}
				</span>
			))}
		</div>
	);
}

/** FirstSteps is what a new organization sees instead of figures. */
function FirstSteps({ may }: { may: boolean }) {
	return (
		<Empty title="Three steps to the first run">
			<ol class="first-steps">
				<li>
					<a href="/events">See what your products tell</a>: each event with its fields and a sample.
				</li>
				<li>
					{may ? <a href="/agents/new">Make an agent</a> : "Ask an owner, an admin or a member to make an agent"}: from
					a template, or from an event.
				</li>
				<li>Activate it. The next event that fits starts a run, which shows here at once.</li>
			</ol>
		</Empty>
	);
}
