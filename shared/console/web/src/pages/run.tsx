import { useRef, useState } from "preact/hooks";
import { useLocation, useRoute } from "preact-iso";
import { keys, runAsk, versionAsk } from "../asks.ts";
import type { Schema } from "../door.ts";
import { useKeys } from "../keys.ts";
import { useMay, useMe } from "../me.ts";
import { isOpen } from "../paces.ts";
import { ErrorNote } from "../parts/error.tsx";
import { Tabs, useFilter } from "../parts/filters.tsx";
import { Copy, Id } from "../parts/id.tsx";
import { Json } from "../parts/json.tsx";
import { Live } from "../parts/live.tsx";
import { Loading } from "../parts/loading.tsx";
import { Page } from "../parts/page.tsx";
import { Quote, Said } from "../parts/quote.tsx";
import { Mark, Status } from "../parts/status.tsx";
import { Values } from "../parts/values.tsx";
import { When } from "../parts/when.tsx";
import { client, useAsk } from "../store.ts";
import { duration, second } from "../time.ts";
import { counted, executionStates, models, plain, state, stepStates, stepTypes, word } from "../words.ts";
import { hrefOf } from "./explaining.ts";
import { Cancel, Retry } from "./runacts.tsx";
import { depthsOf, firstStep, nameOf, sentencesOf, sentOf, tell, whySkipped } from "./telling.ts";
import { waterfall } from "./waterfall.ts";

type Run = Schema["ExecutionDetail"];
type Step = Schema["StepTrace"];

const tabs = [
	["", "Steps"],
	["event", "Event"],
	["definition", "Definition"],
] as const;

/** One run: what happened, why, and what to do about it. */
export default function RunPage() {
	const id = useRoute().params.id ?? "";
	const answer = useAsk(runAsk(id));
	const run = answer.data;
	const known = useMe().data !== undefined; // with the rights come the buttons
	if (!run || !known) {
		return (
			<Page title="Run" above={<a href="/runs">Runs</a>}>
				{answer.error ? (
					<ErrorNote error={answer.error} what="this run" again={() => void answer.refetch()} />
				) : (
					<Loading what="the run" rows={8} />
				)}
			</Page>
		);
	}
	return <Open key={id} run={run} live={answer} />;
}

function Open({ run, live }: { run: Run; live: Parameters<typeof Live>[0]["of"] }) {
	const { route } = useLocation();
	const [tab] = useFilter("tab");
	const may = useMay("edit");
	const open = isOpen(run.status);
	useSiblings(run.id, route);
	useKeys("Run", [
		{
			keys: "c",
			does: "Copy the link",
			run: () => void navigator.clipboard.writeText(`${location.origin}/runs/${run.id}`),
		},
	]);
	const telling = tell(run, second.value);
	return (
		<Page
			title={`${run.subject ?? run.agent_name ?? run.id}`}
			heading={<Said text={run.subject ?? plain(run.event_type)} most={120} />}
			above={
				<>
					<a href="/runs">Runs</a> <span aria-hidden="true">/</span> <Id id={run.id} />
				</>
			}
			aside={
				<>
					{open && <Live of={live} />}
					{may && open && <Cancel run={run} />}
					{may && (run.status === "failed" || run.status === "cancelled") && <Retry run={run} />}
					<Copy text={`${location.origin}/runs/${run.id}`} what="link" />
				</>
			}
		>
			<p class="run-facts">
				<Status state={state(executionStates, run.status)} />
				<span>
					<a href={`/agents/${run.agent_id}`}>
						<bdi>{run.agent_name ?? run.agent_id}</bdi>
					</a>{" "}
					v{run.agent_version}
				</span>
				<span class="figures">{run.duration_ms === null ? "" : duration(run.duration_ms)}</span>
				{run.credits_used > 0 && <a href="/credits">{counted(run.credits_used, "credit")}</a>}
				<When at={run.created_at} />
				{run.client_id && (
					<a href={`/runs?period=all&client_id=${encodeURIComponent(run.client_id)}`}>
						client <Said text={run.client_id} most={60} />
					</a>
				)}
				<a href={`/events/${run.source_product}:${run.event_type}`}>
					{run.source_product}:{run.event_type}
				</a>
			</p>
			<section
				class="telling"
				data-tone={state(executionStates, run.status).tone}
				aria-label="What happened"
				aria-live="polite"
			>
				<p>
					<strong>{telling.head}</strong>
				</p>
				{telling.said && (
					<p>
						<Said text={telling.said} most={600} />
					</p>
				)}
				{telling.more && <p class="meta">{telling.more}</p>}
				<Leads run={run} />
			</section>
			<Story run={run} />
			<Tabs name="tab" label="Parts of the run" options={tabs} path={`/runs/${run.id}`} />
			{tab === "event" ? <Event run={run} /> : tab === "definition" ? <Definition run={run} /> : <Steps run={run} />}
		</Page>
	);
}

/** The lines of a story that a page shows before one asks for all. */
const mostLines = 12;

/** The story tells the run in the sentences of the API, before its steps. */
function Story({ run }: { run: Run }) {
	const [whole, setWhole] = useState(false);
	const told = useRef(run.story);
	told.current = run.story ?? told.current;
	const lines = told.current;
	if (!lines) return <Loading what="the story" rows={4} />;
	const shown = whole ? lines : lines.slice(0, mostLines);
	return (
		<section class="story" aria-labelledby="story">
			<h2 id="story">The story</h2>
			<ol>
				{shown.map((line, n) => (
					<li key={n}>
						<When at={line.at} as="seconds" />
						<p>
							<Said text={line.text} most={2000} />
							{line.step_id && (
								<>
									{" "}
									<a
										class="meta"
										href={`/runs/${run.id}?step=${encodeURIComponent(line.step_id)}`}
										aria-label={`Show the step ${line.step_id}`}
									>
										step
									</a>
								</>
							)}
						</p>
					</li>
				))}
			</ol>
			{shown.length < lines.length && (
				<button type="button" class="link" onClick={() => setWhole(true)}>
					Show all {lines.length} lines
				</button>
			)}
		</section>
	);
}

/** Leads are the ways from here: the approval that waits, the run before and after. */
function Leads({ run }: { run: Run }) {
	const gate = run.steps.find((s) => s.step_type === "approval_gate" && s.status === "waiting");
	const approval = approvalOf(gate);
	const cause = run.trigger_event.causation?.execution_id;
	if (!approval && !run.retry_of && !run.retried_as && !cause) return null;
	return (
		<p class="leads">
			{approval && (
				<a class="button primary" href={`/approvals/${approval}`}>
					Open the approval
				</a>
			)}
			{run.retry_of && <a href={`/runs/${run.retry_of}`}>The run that this one retries</a>}
			{run.retried_as && <a href={`/runs/${run.retried_as}`}>The newest retry of this run</a>}
			{cause && <a href={`/runs/${cause}`}>The run that caused the event</a>}
		</p>
	);
}

function approvalOf(step: Step | undefined): string | undefined {
	const output = step?.output;
	if (typeof output !== "object" || output === null || !("approval_id" in output)) return undefined;
	return typeof output.approval_id === "string" ? output.approval_id : undefined;
}

/** useSiblings lets [ and ] walk through the list that one came from. */
function useSiblings(id: string, route: (to: string) => void) {
	const walk = (by: number) => {
		const lists = client.getQueriesData<Schema["ExecutionList"]>({ queryKey: keys.runs });
		const list = lists.map(([, data]) => data?.executions ?? []).find((rows) => rows.some((x) => x.id === id)) ?? [];
		const next = list[list.findIndex((x) => x.id === id) + by];
		if (next) route(`/runs/${next.id}`);
	};
	useKeys("Run", [
		{ keys: "]", does: "Next run of the list", run: () => walk(1) },
		{ keys: "[", does: "Previous run of the list", run: () => walk(-1) },
	]);
}

function Steps({ run }: { run: Run }) {
	const [asked, choose] = useFilter("step");
	const open = isOpen(run.status);
	const started = run.steps.find((s) => s.started_at)?.started_at;
	const total = run.duration_ms ?? (open && started ? Math.max(0, second.value - Date.parse(started)) : 0);
	const branches = run.steps.some((s) => s.step_type === "branch");
	const version = useAsk(versionAsk(run.agent_id, run.agent_version, branches)).data;
	const depths = depthsOf(version?.steps);
	const { bars, folds, ticks } = waterfall(run.steps, total);
	const current = run.steps.find((s) => s.step_id === asked) ?? run.steps.find((s) => s.step_id === firstStep(run));
	const list = useRef<HTMLOListElement>(null);
	const move = (by: number) => {
		const at = run.steps.findIndex((s) => s.step_id === current?.step_id);
		const next = run.steps[Math.max(0, Math.min(run.steps.length - 1, at + by))];
		if (!next) return;
		choose(next.step_id);
		list.current?.querySelector<HTMLElement>(`[data-step="${CSS.escape(next.step_id)}"]`)?.focus();
	};
	useKeys("Run", [
		{ keys: "j", does: "Next step", run: () => move(1) },
		{ keys: "k", does: "Previous step", run: () => move(-1) },
	]);
	if (run.steps.length === 0) return <p class="meta">The run has no steps yet.</p>;
	return (
		<div class="trace">
			<section class="waterfall" aria-label="Steps">
				<div class="ticks" aria-hidden="true">
					{ticks.map((t) => (
						<span key={t.label} style={{ insetInlineStart: `${t.at}%` }}>
							{t.label}
						</span>
					))}
					{folds.map((f) => (
						<span key={f.at} class="fold-label" style={{ insetInlineStart: `${f.at}%`, inlineSize: `${f.width}%` }}>
							⫽ {f.label}
						</span>
					))}
				</div>
				<ol ref={list}>
					{run.steps.map((s) => {
						const bar = bars.get(s.step_id);
						return (
							<li key={s.step_id}>
								<button
									type="button"
									class="step-row"
									data-step={s.step_id}
									aria-current={s === current ? "true" : undefined}
									onClick={() => choose(s.step_id)}
								>
									<span class="step-name" style={{ paddingInlineStart: `${(depths.get(s.step_id) ?? 0) * 16}px` }}>
										<span data-tone={state(stepStates, s.status).tone}>
											<Mark tone={state(stepStates, s.status).tone} />
										</span>
										<bdi>{nameOf(s)}</bdi>
										<span class="hidden">{state(stepStates, s.status).label}</span>
									</span>
									<span class="step-line" aria-hidden="true">
										{folds.map((f) => (
											<span
												key={f.at}
												class="fold"
												style={{ insetInlineStart: `${f.at}%`, inlineSize: `${f.width}%` }}
											/>
										))}
										{bar && (
											<span
												class={bar.idle ? "bar idle" : "bar"}
												data-tone={state(stepStates, s.status).tone}
												style={{ insetInlineStart: `${bar.at}%`, inlineSize: `${bar.width}%` }}
											/>
										)}
									</span>
									<span class="step-figures figures meta">
										{s.status === "skipped"
											? "skipped"
											: s.status === "pending"
												? ""
												: s.duration_ms === null
													? state(stepStates, s.status).label.toLowerCase()
													: duration(s.duration_ms)}
										{s.attempts > 1 && ` ×${s.attempts}`}
										{s.credits_used > 0 && ` · ${s.credits_used} cr`}
									</span>
								</button>
							</li>
						);
					})}
				</ol>
			</section>
			{current && <Inspector key={current.step_id} step={current} run={run} />}
		</div>
	);
}

const parts = [
	["input", "Input", "1"],
	["", "Output", "2"],
	["details", "Details", "3"],
] as const;

function Inspector({ step, run }: { step: Step; run: Run }) {
	const [part, show] = useFilter("show");
	useKeys(
		"Run",
		parts.map(([name, title, key]) => ({ keys: key, does: `${title} of the step`, run: () => show(name) })),
	);
	return (
		<section class="inspector card" aria-label={`Step ${nameOf(step)}`}>
			<header>
				<h2>
					<bdi>{nameOf(step)}</bdi>
				</h2>
				<Status state={state(stepStates, step.status)} />
				<span class="meta">
					{word(stepTypes, step.step_type, plain)} · <code>{step.step_id}</code>
				</span>
			</header>
			{step.error && (
				<div class="step-error">
					<Quote text={step.error.message} by={`Why it failed · ${step.error.code}`} />
				</div>
			)}
			{step.status === "skipped" && <p class="note">{whySkipped(step, run)}</p>}
			<nav class="tabs" aria-label="Parts of the step">
				{parts.map(([name, title]) => (
					<button
						key={name}
						type="button"
						class="tab"
						aria-current={part === name ? "true" : undefined}
						onClick={() => show(name)}
					>
						{title}
					</button>
				))}
			</nav>
			{part === "input" ? (
				<Input step={step} run={run} />
			) : part === "details" ? (
				<Details step={step} />
			) : (
				<Output step={step} />
			)}
		</section>
	);
}

function Input({ step, run }: { step: Step; run: Run }) {
	const asksModel = step.step_type === "ai_reason";
	const version = useAsk(versionAsk(run.agent_id, run.agent_version, asksModel)).data;
	const prompt = asksModel ? promptOf(version?.steps, step.step_id) : undefined;
	return (
		<>
			{prompt && <Quote text={prompt} by="The prompt of the definition; the values below fill it" />}
			{step.input === null ? (
				<p class="meta">{step.status === "pending" ? "It has not begun." : "It has no input."}</p>
			) : (
				<Values value={step.input} label={`Input of ${nameOf(step)}`} />
			)}
		</>
	);
}

function promptOf(steps: unknown, id: string): string | undefined {
	if (!Array.isArray(steps)) return undefined;
	for (const s of steps as Record<string, unknown>[]) {
		if (s?.id === id && typeof s.prompt === "string") return s.prompt;
		for (const c of Array.isArray(s?.cases) ? (s.cases as Record<string, unknown>[]) : []) {
			const found = promptOf(c?.steps, id);
			if (found) return found;
		}
		const found = promptOf(s?.else, id);
		if (found) return found;
	}
	return undefined;
}

function Output({ step }: { step: Step }) {
	const sent = step.step_type === "notification" ? sentOf(step.output) : [];
	const approval = approvalOf(step);
	if (step.output === null) {
		return (
			<p class="meta">
				{step.status === "pending"
					? "It has not begun."
					: step.status === "running"
						? "It is running."
						: "It has no output."}
			</p>
		);
	}
	return (
		<>
			{sent.length > 0 && (
				<ul class="then">
					{sent.map((m) => (
						<li key={m.recipient}>
							<Said text={m.recipient} most={80} />: {sentencesOf(m.status)}
							{m.reason && (
								<>
									{" · "}
									<Said text={m.reason} />
								</>
							)}
						</li>
					))}
				</ul>
			)}
			{approval && (
				<p>
					<a href={`/approvals/${approval}`}>The approval</a>
				</p>
			)}
			{step.step_type === "ai_reason" && <p class="meta">Written by a model.</p>}
			<Values value={step.output} label={`Output of ${nameOf(step)}`} path={`steps.${step.step_id}.output`} />
		</>
	);
}

function Details({ step }: { step: Step }) {
	const rows: [string, preact.ComponentChildren][] = [];
	if (step.started_at) rows.push(["Began", <When key="b" at={step.started_at} as="seconds" />]);
	if (step.started_offset_ms !== null) rows.push(["After the start", duration(step.started_offset_ms)]);
	if (step.completed_at) rows.push(["Ended", <When key="e" at={step.completed_at} as="seconds" />]);
	if (step.duration_ms !== null) rows.push(["Took", duration(step.duration_ms)]);
	rows.push(["Attempts", String(step.attempts)]);
	if (step.step_type === "ai_reason") {
		rows.push(["Credits", String(step.credits_used)]);
		if (step.model) rows.push(["Model", <code key="m">{step.model}</code>]);
		if (step.tokens)
			rows.push([
				"Tokens",
				`${step.tokens.input.toLocaleString("en")} read, ${step.tokens.output.toLocaleString("en")} written`,
			]);
		const tier =
			typeof step.input === "object" && step.input !== null && "model" in step.input ? String(step.input.model) : "";
		if (tier) rows.push(["Class", word(models, tier, plain)]);
	}
	return (
		<dl class="rows">
			{rows.map(([name, value]) => (
				<div key={name}>
					<dt>{name}</dt>
					<dd>{value}</dd>
				</div>
			))}
		</dl>
	);
}

function Event({ run }: { run: Run }) {
	const may = useMay("edit");
	const event = run.trigger_event;
	return (
		<section class="card">
			<h2>
				{event.source_product}:{event.event_type}
			</h2>
			<p class="meta">
				published <When at={event.published_at} /> · <Id id={event.id} />
				{event.causation && ` · ${counted(event.causation.depth, "run")} after the first event`}
			</p>
			<Json value={event.payload} label="What the event said" path="event_payload" />
			<p>
				<a
					href={hrefOf({
						event_id: event.id,
						source_product: event.source_product,
						event_type: event.event_type,
						published_at: event.published_at,
					})}
				>
					What it was at all agents
				</a>
			</p>
			{may && (
				<p>
					<a href={`/agents/${run.agent_id}/test?run=${run.id}`}>Test the agent as it is today on this event</a>
				</p>
			)}
		</section>
	);
}

function Definition({ run }: { run: Run }) {
	const answer = useAsk(versionAsk(run.agent_id, run.agent_version));
	if (answer.error && !answer.data)
		return <ErrorNote error={answer.error} what="this version" again={() => void answer.refetch()} />;
	if (!answer.data) return <Loading what="the definition" />;
	return (
		<section class="card">
			<h2>Version {run.agent_version}, which this run ran</h2>
			<p class="meta">
				saved <When at={answer.data.created_at} />
				{answer.data.created_by && (
					<>
						{" by "}
						<bdi>{answer.data.created_by}</bdi>
					</>
				)}{" "}
				· <a href={`/agents/${run.agent_id}/versions`}>All versions</a>
			</p>
			<Json value={answer.data} label={`Version ${run.agent_version}`} />
		</section>
	);
}
