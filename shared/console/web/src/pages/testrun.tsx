// A test run of an agent: an event is played, and nothing reaches anybody.
import { useSignal } from "@preact/signals";
import { useId, useRef } from "preact/hooks";
import { type Agent, useKnowledge } from "../agents.ts";
import { announce } from "../announce.ts";
import { keys, runsAsk } from "../asks.ts";
import { creditsAsk } from "../credits.ts";
import { api, Fault, type Schema, take } from "../door.ts";
import { read } from "../editor/document.ts";
import { doc } from "../editor/knowledge.ts";
import { useMay } from "../me.ts";
import { Check } from "../parts/check.tsx";
import { Refusal } from "../parts/error.tsx";
import { useFilter } from "../parts/filters.tsx";
import { Json } from "../parts/json.tsx";
import { Loading } from "../parts/loading.tsx";
import { Payload } from "../parts/payload.tsx";
import { Quote, Said } from "../parts/quote.tsx";
import { Status } from "../parts/status.tsx";
import { Values } from "../parts/values.tsx";
import { useSending } from "../sending.ts";
import { useAsk } from "../store.ts";
import { ago, duration, moment } from "../time.ts";
import { channels, counted, listed, plain, risks, state, stepStates, stepTypes, word } from "../words.ts";
import { isRunning } from "./backtesting.ts";
import { conditionOf, span } from "./describing.ts";
import { nameOf } from "./telling.ts";
import {
	asksModels,
	bodyOf,
	chargeOf,
	gatesOf,
	type Model,
	origins,
	payloadFault,
	priceOf,
	type Source,
	verdictOf,
} from "./testing.ts";

type Result = Schema["TestResult"];

/** A Played is a result, with the payload of its event as the API wrote it. */
interface Played {
	result: Result;
	payload: string;
	number: number;
}

export default function TestRun({ agent }: { agent: Agent }) {
	const may = useMay("edit");
	const played = useSignal<Played | undefined>(undefined);
	if (!may) return <p class="note">Owners, admins and members test an agent.</p>;
	return (
		<div class="testrun">
			<Form
				agent={agent}
				played={played.value}
				onPlayed={(next) => {
					played.value = next;
				}}
			/>
			<section class="testrun-result" aria-label="Result">
				{played.value ? (
					<Shown key={played.value.number} result={played.value.result} agent={agent} />
				) : (
					<p class="meta">
						A test plays an event through the agent as it is saved. No product is called and no message is sent. No
						model is asked and nothing is charged, unless you choose it.
					</p>
				)}
			</section>
		</div>
	);
}

const between = 1000; // milliseconds between two looks at a job

/** resultOf returns the result of a test, also as the API wrote it. One with live models is a
 * job, whose end it awaits. */
async function resultOf(text: string): Promise<{ result: Result; written: ReturnType<typeof doc> }> {
	let answer = JSON.parse(text) as Result | Schema["Job"];
	if (!("kind" in answer)) return { result: answer, written: doc(read(text)) };
	announce("The models are asked.");
	const { id } = answer;
	for (;;) {
		if (answer.error) throw new Fault(422, answer.error.code, answer.error.message);
		if (!isRunning(answer)) break;
		await new Promise((done) => setTimeout(done, between));
		text = (await take(api.GET("/api/jobs/{id}", { params: { path: { id } }, parseAs: "text" }))) as unknown as string;
		answer = JSON.parse(text) as Schema["Job"];
	}
	if (!answer.result) throw new Fault(409, "cancelled", "The test was cancelled.");
	return { result: answer.result as Result, written: doc(doc(read(text)).result) };
}

/** What a test with live models may cost, and what is left. */
function Price({ agent }: { agent: Agent }) {
	const bounds = useAsk({
		key: keys.capabilities(agent.id),
		ask: () => take(api.GET("/api/agents/{id}/capabilities", { params: { path: { id: agent.id } } })),
	}).data?.capabilities.bounds;
	const credits = useAsk(creditsAsk).data;
	if (!bounds || !credits) return <Loading what="the price" rows={1} />;
	return <p class="note">{priceOf(bounds.credits_at_most, credits.remaining)}</p>;
}

interface FormProps {
	agent: Agent;
	played: Played | undefined;
	onPlayed: (played: Played) => void;
}

function Form({ agent, played, onPlayed }: FormProps) {
	const [run, setRun] = useFilter("run");
	const own = useSignal(false);
	const payload = useSignal("");
	const model = useSignal<Model>("simulated");
	const decisions = useSignal<Readonly<Record<string, Schema["TestDecision"]>>>({});
	const anyway = useSignal(false);
	const wrong = useSignal("");
	const field = useRef<HTMLTextAreaElement>(null);
	const id = useId();
	const source: Source = own.value ? "payload" : run ? "execution" : "sample";
	const { source_product: product, event_type: type } = agent.trigger;
	const sample = useKnowledge().events.find((e) => e.id === `${product}:${type}`)?.sample_payload;
	const past = useAsk(runsAsk({ event_type: type, limit: 20 })).data?.executions ?? [];
	const runs = past.filter((x) => x.source_product === product);
	const gates = gatesOf(agent.steps);
	const { send, sending, failed } = useSending(async () => {
		wrong.value = source === "payload" ? payloadFault(payload.value) : "";
		if (wrong.value) {
			field.current?.focus();
			return;
		}
		const body = bodyOf({
			source,
			run,
			payload: payload.value,
			model: model.value,
			decisions: decisions.value,
			anyway: anyway.value,
		});
		const text = (await take(
			api.POST("/api/agents/{id}/test", {
				params: { path: { id: agent.id } },
				body: {},
				bodySerializer: () => body,
				parseAs: "text",
			}),
		)) as unknown as string;
		const { result, written } = await resultOf(text);
		const exact = doc(written.event).payload;
		onPlayed({ result, payload: JSON.stringify(exact, null, 2), number: (played?.number ?? 0) + 1 });
		announce(verdictOf(result).head);
	});
	const pick = (value: string) => {
		own.value = value === "own";
		if (own.value) {
			// What was played last is the beginning, unless something is written already
			if (!payload.value) payload.value = played?.payload ?? JSON.stringify(sample ?? {}, null, 2);
		} else setRun(value);
	};
	return (
		<form
			class="testrun-form card"
			aria-label="Test"
			onSubmit={(e) => {
				e.preventDefault();
				void send();
			}}
		>
			<label class="labelled" htmlFor={`${id}event`}>
				The event
				<select
					class="field"
					id={`${id}event`}
					value={own.value ? "own" : run}
					onChange={(e) => pick(e.currentTarget.value)}
				>
					<option value="">The sample of the catalogue</option>
					{run && !runs.some((x) => x.id === run) && <option value={run}>That of {run}</option>}
					{runs.map((x) => (
						<option key={x.id} value={x.id}>
							{`${(x.subject ?? plain(x.event_type)).slice(0, 60)} · ${ago(Date.parse(x.created_at), moment.value)}`}
						</option>
					))}
					<option value="own">A payload of my own</option>
				</select>
			</label>
			{own.value && (
				<Payload text={payload} wrong={wrong} field={field}>
					Payload of {product}:{type}
				</Payload>
			)}
			{asksModels(agent.steps) && (
				<label class="labelled" htmlFor={`${id}model`}>
					Models answer
					<select
						class="field"
						id={`${id}model`}
						value={model.value}
						onChange={(e) => {
							model.value = e.currentTarget.value as Model;
						}}
					>
						<option value="simulated">with made-up words that fit</option>
						<option value="recorded">as in earlier runs, where they were asked the same</option>
						<option value="live">themselves, for credits</option>
					</select>
				</label>
			)}
			{model.value === "live" && <Price agent={agent} />}
			{gates.map((gate) => (
				<label key={gate.id} class="labelled" htmlFor={`${id}${gate.id}`}>
					<span>
						At <Said text={gate.name} most={60} />, people
					</span>
					<select
						class="field"
						id={`${id}${gate.id}`}
						value={decisions.value[gate.id] ?? "approved"}
						onChange={(e) => {
							const decision = e.currentTarget.value as Schema["TestDecision"];
							decisions.value = { ...decisions.value, [gate.id]: decision };
						}}
					>
						<option value="approved">approve</option>
						<option value="denied">deny</option>
						<option value="expired">do not decide in time</option>
					</select>
				</label>
			))}
			<label class="check">
				<input
					type="checkbox"
					checked={anyway.value}
					onChange={(e) => {
						anyway.value = e.currentTarget.checked;
					}}
				/>{" "}
				Play the steps also when the event would not start it
			</label>
			<Refusal fault={failed.value} />
			<div class="actions">
				<button type="submit" class="button primary" aria-disabled={sending.value}>
					{sending.value ? "Testing…" : model.value === "live" ? "Test for credits" : "Test"}
				</button>
			</div>
		</form>
	);
}

function Shown({ result, agent }: { result: Result; agent: Agent }) {
	const verdict = verdictOf(result);
	const { event } = result;
	const live = result.steps.some((s) => s.source === "live");
	return (
		<>
			<section class="telling" data-tone={verdict.tone} aria-label="What would happen">
				<p>
					<strong>{verdict.head}</strong>
				</p>
				{verdict.why && (
					<p>
						<Said text={verdict.why} most={600} />
					</p>
				)}
				{verdict.more && (
					<p class="meta">
						{verdict.more} All of it was held back{live && ", but for the questions to models"}.{" "}
						{chargeOf(result.credits)}
					</p>
				)}
			</section>
			{result.warnings.length > 0 && (
				<ul class="note">
					{result.warnings.map((w) => (
						<li key={w.path + w.message}>
							<Said text={w.message} most={400} />
						</li>
					))}
				</ul>
			)}
			{result.checks.length > 0 && (
				<section class="card">
					<h2>Would it start?</h2>
					<ul class="testrun-checks">
						{result.checks.map((c) => (
							<Check
								key={c.path}
								holds={c.holds}
								text={conditionOf({ ...c, value: c.want })}
								found={c.found === null ? "it is missing" : `it is ${JSON.stringify(c.found)}`}
							/>
						))}
					</ul>
				</section>
			)}
			{result.effects.length > 0 && (
				<section class="card">
					<h2>What was held back</h2>
					<ol class="testrun-effects">
						{result.effects.map((e) => (
							<Effect key={e.idempotency_key + (e.recipient ?? "")} effect={e} />
						))}
					</ol>
				</section>
			)}
			{result.gates.length > 0 && (
				<section class="card">
					<h2>What people would be asked</h2>
					{result.gates.map((g, n) => (
						<Asked key={n} gate={g} />
					))}
				</section>
			)}
			{result.steps.length > 0 && (
				<section class="card">
					<h2>Its steps</h2>
					<ol class="testrun-steps">
						{result.steps.map((s) => (
							<Step key={s.step_id} step={s} />
						))}
					</ol>
					<p class="meta">
						{result.time_passed_seconds > 0 && `Waits and questions would take ${span(result.time_passed_seconds)}. `}
						At most {counted(result.credits.at_most, "credit")} for any event.
					</p>
				</section>
			)}
			<details class="card">
				<summary>The event that was played</summary>
				<Json value={event.payload} label="What the event said" path="event_payload" />
			</details>
			<p class="meta">Version {agent.version} was played. Its limits, duplicates and quotas were not asked.</p>
		</>
	);
}

function Effect({ effect }: { effect: Schema["TestEffect"] }) {
	return (
		<li>
			<p class="testrun-line">
				<strong>
					{effect.kind === "action" ? (
						<code>{effect.what}</code>
					) : (
						<>
							{word<string>(channels, effect.what, plain)} to <Said text={effect.recipient ?? ""} most={80} />
						</>
					)}
				</strong>{" "}
				{effect.risk && <Status state={state(risks, effect.risk)} bare />}{" "}
				<span class="meta">
					{effect.gate ? `after people approved at ${plain(effect.gate)}` : "without asking anybody"}
				</span>
			</p>
			{effect.params && <Values value={effect.params} label={`Parameters of ${effect.what}`} />}
			{effect.subject && (
				<p>
					<Said text={effect.subject} most={200} />
				</p>
			)}
			{effect.text && <Quote text={effect.text} by="The message" />}
		</li>
	);
}

function Asked({ gate }: { gate: Schema["TestGate"] }) {
	const { roles, users, min_approvals: least } = gate.approvers;
	const who = [...users, ...roles.map((r) => `any ${r}`)];
	return (
		<div class="testrun-gate">
			<Quote text={gate.message} by={`Asked of ${listed(who)}${least > 1 ? `, ${least} must approve` : ""}`} />
			<p class="meta">
				For {duration(gate.timeout_seconds * 1000)}
				{gate.escalated && ", after nobody had decided"}
				{gate.renewed && ", again because the approval was too old"}
				{gate.would_notify.length > 0 && `; ${counted(gate.would_notify.length, "message")} about it`}. This test
				assumed: {gate.decision === "expired" ? "nobody decided" : gate.decision}.
			</p>
			<details>
				<summary>What they would see</summary>
				<Json value={gate.shows} label={`What ${gate.step_id} shows`} />
			</details>
		</div>
	);
}

function Step({ step }: { step: Schema["TestStep"] }) {
	const tone = state(stepStates, step.status).tone;
	return (
		<li>
			<p class="testrun-line">
				<Status state={state(stepStates, step.status)} bare /> <bdi>{nameOf(step)}</bdi>{" "}
				<span class="meta">
					{word(stepTypes, step.step_type, plain)}
					{step.credits > 0 && ` · ${counted(step.credits, "credit")}`}
					{step.source && ` · ${word<string>(origins, step.source, plain)}`}
					{step.source_execution_id && (
						<>
							{" "}
							(<a href={`/runs/${encodeURIComponent(step.source_execution_id)}`}>that run</a>)
						</>
					)}
				</span>
			</p>
			{step.error && <Quote text={step.error.message} by={`Why it fails · ${step.error.code}`} />}
			{tone !== "stop" && step.output !== null && (
				<details>
					<summary>Output</summary>
					<Values value={step.output} label={`Output of ${nameOf(step)}`} path={`steps.${step.step_id}.output`} />
				</details>
			)}
		</li>
	);
}
