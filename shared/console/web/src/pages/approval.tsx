import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { type Action, useActions } from "../actions.ts";
import { announce } from "../announce.ts";
import { approvalAsk, keys, runAsk } from "../asks.ts";
import { api, Fault, type Schema, take } from "../door.ts";
import { useKeys } from "../keys.ts";
import { useMe } from "../me.ts";
import { useOnline } from "../online.ts";
import { Dialog } from "../parts/dialog.tsx";
import { ErrorNote } from "../parts/error.tsx";
import { Id } from "../parts/id.tsx";
import { Json } from "../parts/json.tsx";
import { Loading } from "../parts/loading.tsx";
import { Quote, Said } from "../parts/quote.tsx";
import { Status } from "../parts/status.tsx";
import { Left, When } from "../parts/when.tsx";
import { put, stale, useAsk } from "../store.ts";
import { second } from "../time.ts";
import { approvalStates, executionStates, plain, reasons, state, stepStates, word } from "../words.ts";
import {
	actOf,
	decidersOf,
	expiryOf,
	isDestructive,
	objectOf,
	progressOf,
	sentenceOf,
	thenOf,
	titleOf,
} from "./deciding.ts";

type OneApproval = Schema["Approval"];
type Run = Schema["ExecutionDetail"];
type Actions = ReadonlyMap<string, Action>;

/** The approval: the page that a person meets first, on a phone, from a message. Nothing on
 * it acts but the two buttons, and those only by POST. */
export function Approval({ id, beside }: { id: string; beside?: boolean }) {
	const answer = useAsk(approvalAsk(id));
	const actions = useActions();
	const approval = answer.data;
	// The evidence is asked for when the question can be read.
	const run = useAsk(runAsk(approval?.execution_id ?? "", approval !== undefined));
	useEffect(() => {
		if (!beside) document.title = "Approval · One Agents";
	}, [beside]);
	if (!approval) {
		return answer.error ? (
			<ErrorNote error={answer.error} what="this approval" again={() => void answer.refetch()} />
		) : (
			<Loading what="the approval" />
		);
	}
	const then = thenOf(approval);
	return (
		<article class={beside ? "approval beside" : "approval"} aria-label="Approval">
			{!beside && (
				<nav class="above" aria-label="Breadcrumb">
					<a href="/approvals">
						<span aria-hidden="true">←</span> Approvals
					</a>
				</nav>
			)}
			<header class="approval-head">
				<Status state={state(approvalStates, approval.status)} />
				{approval.status === "pending" && (
					<span class="meta">
						<Left until={approval.expires_at} /> left
					</span>
				)}
				{answer.error && <span class="live late">the newest state is unknown, trying again</span>}
			</header>
			<Question text={approval.message} beside={beside ?? false} />
			<p class="approval-by">
				<a href={`/agents/${approval.agent_id}`}>
					<bdi>{approval.agent_name ?? approval.agent_id}</bdi>
				</a>{" "}
				asks · <When at={approval.created_at} /> · {progressOf(approval)}
				{run.data?.client_id && (
					<>
						{" · client "}
						<Said text={run.data.client_id} most={60} />
					</>
				)}
			</p>
			{approval.escalated && <p class="note">Nobody decided in time, so the question went to other people.</p>}
			{approval.renews && (
				<p class="note">
					This repeats <a href={`/approvals/${approval.renews}`}>an earlier question</a>: its answer was older than 24
					hours when the action should have begun.
				</p>
			)}

			{approval.shows.actions.length > 0 && (
				<section>
					<h2>
						{approval.status === "pending"
							? "If you approve, these actions run, exactly as shown"
							: "These actions were asked about"}
					</h2>
					{approval.shows.actions.map((shown) => (
						<ActionCard key={shown.step_id} shown={shown} step={stepOf(approval, shown.step_id)} actions={actions} />
					))}
				</section>
			)}
			{then.length > 0 && (
				<section>
					<h2>
						{approval.shows.actions.length > 0 ? "And then, without asking again" : "If you approve, the run does this"}
					</h2>
					<ul class="then">
						{then.map((step) => (
							<li key={step.step_id}>
								<Said text={sentenceOf(step)} most={300} />
								{step.message?.text && (
									<details>
										<summary>What it says</summary>
										{step.message.subject && <Quote text={step.message.subject} by="Subject" />}
										<Quote text={step.message.text} />
									</details>
								)}
							</li>
						))}
					</ul>
				</section>
			)}
			<section class="approval-who">
				<h2>Who may decide</h2>
				<p>
					<bdi>{decidersOf(approval)}</bdi>
					{approval.min_approvals > 1 && `; ${approval.min_approvals} different people must say yes`}.
					{approval.status === "pending" && ` Nobody in time: ${expiryOf(approval)}.`}
				</p>
				{approval.votes.length > 0 && (
					<ul class="votes">
						{approval.votes.map((v) => (
							<li key={`${v.user_id} ${v.at}`}>
								<bdi>{v.user_id}</bdi> {v.decision} <When at={v.at} as="clock" />
								{v.note && <Quote text={v.note} />}
							</li>
						))}
					</ul>
				)}
				<p class="meta">
					<Id id={approval.id} /> · run <a href={`/runs/${approval.execution_id}`}>{approval.execution_id}</a>
				</p>
			</section>
			<Evidence run={run.data} failed={run.error} until={approval.step_id} />
			<Dock approval={approval} actions={actions} run={run.data} />
		</article>
	);
}

function stepOf(approval: OneApproval, id: string): Schema["ShownStep"] | undefined {
	return approval.shows.then.find((s) => s.step_id === id);
}

/** The question is at most three lines, until one wants more. */
function Question({ text, beside }: { text: string; beside: boolean }) {
	const whole = useSignal(false);
	const long = text.length > 140 || text.includes("\n");
	const Heading = beside ? "h2" : "h1";
	return (
		<>
			<Heading class={whole.value ? "question whole" : "question"}>
				<Said text={text} most={whole.value ? 20_000 : 600} />
			</Heading>
			{long && (
				<button type="button" class="link" aria-expanded={whole.value} onClick={() => (whole.value = !whole.value)}>
					{whole.value ? "less" : "more"}
				</button>
			)}
		</>
	);
}

function ActionCard({
	shown,
	step,
	actions,
}: {
	shown: Schema["ShownAction"];
	step: Schema["ShownStep"] | undefined;
	actions: Actions;
}) {
	const catalogued = actions.get(`${shown.product}:${shown.action}`);
	const params = Object.entries(shown.params ?? {});
	return (
		<div class="action-card" data-danger={shown.destructive !== false}>
			<h3>
				{titleOf(shown)}
				<span class="meta">
					{shown.product}
					{shown.destructive !== false && (
						<>
							{" · "}
							<strong class="danger-word">destructive</strong>
						</>
					)}
					{step && !step.certain && " · only if its condition holds"}
				</span>
			</h3>
			<p class="meta action-about">{catalogued?.description}</p>
			{shown.params === null ? (
				<p class="meta">Its values are known later.</p>
			) : (
				<dl class="rows">
					{params.map(([name, value]) => (
						<div key={name}>
							<dt>{plain(name)}</dt>
							<dd>
								<Value value={value} label={plain(name)} />
							</dd>
						</div>
					))}
				</dl>
			)}
		</div>
	);
}

function Value({ value, label }: { value: unknown; label: string }) {
	if (value === null || value === undefined) return <span class="meta">nothing</span>;
	if (typeof value === "string") return value.length > 200 ? <Quote text={value} /> : <Said text={value} />;
	if (typeof value === "object") return <Json value={value} label={label} />;
	return <>{String(value)}</>;
}

const mostFields = 12;

/** The evidence: what the event said and what models answered before the gate. Others wrote
 * all of it, so it is quoted. */
function Evidence({ run, failed, until }: { run: Run | undefined; failed: Fault | null; until: string }) {
	if (!run) {
		return (
			<section class="evidence">
				<h2>Why</h2>
				{failed ? (
					<p class="meta">The run could not be read: {failed.message}</p>
				) : (
					<Loading what="the evidence" rows={3} />
				)}
			</section>
		);
	}
	const event = run.trigger_event;
	const fields = Object.entries(event.payload);
	const at = run.steps.findIndex((s) => s.step_id === until);
	const answers = run.steps
		.slice(0, at < 0 ? undefined : at)
		.filter((s) => s.step_type === "ai_reason" && s.output !== null);
	return (
		<section class="evidence">
			<h2>Why</h2>
			<blockquote class="quote">
				<p class="quote-by">
					The event{" "}
					<code>
						{event.source_product}:{event.event_type}
					</code>{" "}
					said
				</p>
				<dl class="rows">
					{fields.slice(0, mostFields).map(([name, value]) => (
						<div key={name}>
							<dt>
								<Said text={plain(name)} most={60} />
							</dt>
							<dd>
								{typeof value === "object" && value !== null ? (
									<Said text={JSON.stringify(value)} />
								) : (
									<Value value={value} label={name} />
								)}
							</dd>
						</div>
					))}
				</dl>
				{fields.length > 0 && (
					<details>
						<summary>The whole event</summary>
						<Json value={event.payload} label="The event" />
					</details>
				)}
			</blockquote>
			{answers.map((s) => (
				<blockquote key={s.step_id} class="quote">
					<p class="quote-by">
						Written by a model, in step <code>{s.step_id}</code>
					</p>
					{typeof s.output === "object" && s.output !== null && !Array.isArray(s.output) ? (
						<dl class="rows">
							{Object.entries(s.output).map(([name, value]) => (
								<div key={name}>
									<dt>{plain(name)}</dt>
									<dd>
										<Value value={value} label={name} />
									</dd>
								</div>
							))}
						</dl>
					) : (
						<Value value={s.output} label={s.step_id} />
					)}
				</blockquote>
			))}
		</section>
	);
}

/** The dock is within reach of a thumb: the time left, the note and the two buttons; after
 * the decision the verdict, and what the run does with it. */
function Dock({ approval, actions, run }: { approval: OneApproval; actions: Actions; run: Run | undefined }) {
	const me = useMe().data;
	const place = `note ${approval.id}`;
	const note = useSignal(sessionStorage.getItem(place) ?? "");
	const sending = useSignal<Schema["Decision"] | "">("");
	const asking = useSignal(false);
	const failed = useSignal<Fault | undefined>(undefined);
	const yes = useRef<HTMLButtonElement>(null);
	const no = useRef<HTMLButtonElement>(null);
	const open = approval.status === "pending";
	const online = useOnline();
	const over = open && Date.parse(approval.expires_at) <= second.value;
	const may = open && approval.can_decide;
	useKeys(
		"Approval",
		may
			? [
					{ keys: "a", does: "To the button Approve (decides nothing)", run: () => yes.current?.focus() },
					{ keys: "d", does: "To the button Deny (decides nothing)", run: () => no.current?.focus() },
				]
			: [],
	);

	const decide = async (decision: Schema["Decision"]) => {
		if (sending.value) return;
		sending.value = decision;
		failed.value = undefined;
		try {
			const body = { decision, ...(note.value.trim() ? { note: note.value.trim() } : {}) };
			put(
				keys.approval(approval.id),
				await take(api.POST("/api/approvals/{id}/decision", { params: { path: { id: approval.id } }, body })),
			);
			sessionStorage.removeItem(place);
			announce(decision === "approved" ? "Your yes is recorded." : "Denied.");
		} catch (e) {
			failed.value = e instanceof Fault ? e : new Fault(0, "page_error", String(e));
		} finally {
			sending.value = "";
			asking.value = false;
			// Also after a refusal: somebody else may have decided.
			stale(keys.approval(approval.id), keys.approvals, keys.run(approval.execution_id));
		}
	};

	if (!open) return <Verdict approval={approval} run={run} me={me?.user_id ?? null} late={failed.value} />;
	const act = actOf(approval);
	return (
		<footer class="dock">
			<Countdown approval={approval} />
			{failed.value && <Refused fault={failed.value} />}
			{!may ? (
				<p class="note">{approval.cannot_decide_reason ?? "You may not decide this approval."}</p>
			) : (
				<>
					<textarea
						class="field note-field"
						rows={1}
						maxLength={2000}
						placeholder="Note (optional)"
						aria-label="Note (optional)"
						value={note.value}
						onInput={(e) => {
							note.value = e.currentTarget.value;
							sessionStorage.setItem(place, note.value);
						}}
					/>
					<div class="verdict-buttons">
						<button
							ref={no}
							type="button"
							class="button"
							disabled={over || !online || sending.value !== ""}
							onClick={() => void decide("denied")}
						>
							{sending.value === "denied" ? "Denying…" : "Deny"}
						</button>
						<button
							ref={yes}
							type="button"
							class={isDestructive(approval) ? "button danger" : "button primary"}
							disabled={over || !online || sending.value !== ""}
							onClick={() => {
								if (isDestructive(approval)) asking.value = true;
								else void decide("approved");
							}}
						>
							{sending.value === "approved" ? "Approving…" : `Approve: ${act}`}
						</button>
					</div>
				</>
			)}
			{asking.value && (
				<Dialog title={`Really ${act}?`} onClose={() => (asking.value = false)}>
					<ul class="then">
						{approval.shows.actions.map((shown) => (
							<li key={shown.step_id}>
								{titleOf(shown)}
								{objectOf(shown, actions) && (
									<>
										{": "}
										<strong>
											<Said text={objectOf(shown, actions)} most={80} />
										</strong>
									</>
								)}
							</li>
						))}
					</ul>
					{run?.client_id && (
						<p>
							Client <Said text={run.client_id} most={80} />
						</p>
					)}
					<p class="meta">This is hard to undo. It begins at once.</p>
					<div class="actions">
						<button
							type="button"
							class="button danger"
							disabled={sending.value !== ""}
							onClick={() => void decide("approved")}
						>
							{sending.value ? "Approving…" : `Approve: ${act}`}
						</button>
					</div>
				</Dialog>
			)}
		</footer>
	);
}

function Countdown({ approval }: { approval: OneApproval }) {
	const end = Date.parse(approval.expires_at);
	const whole = end - Date.parse(approval.created_at);
	const part = Math.max(0, Math.min(1, (end - second.value) / whole));
	const what = expiryOf(approval);
	return (
		<div class="countdown">
			<p>
				{part === 0 ? (
					`The time is over: ${what}, in a moment.`
				) : (
					<>
						{what.charAt(0).toUpperCase() + what.slice(1)} in <Left until={approval.expires_at} />, at{" "}
						<When at={approval.expires_at} as="clock" />
					</>
				)}
			</p>
			<div class="countdown-bar" aria-hidden="true">
				<span style={{ inlineSize: `${Math.round(part * 1000) / 10}%` }} />
			</div>
		</div>
	);
}

function Refused({ fault }: { fault: Fault }) {
	return (
		<p class="note bad" role="alert">
			{fault.status === 0
				? "The answer did not arrive. Press again: the same verdict counts only once."
				: fault.message}
		</p>
	);
}

/** The verdict, and after a yes what became of it, followed live. */
function Verdict({
	approval,
	run,
	me,
	late,
}: {
	approval: OneApproval;
	run: Run | undefined;
	me: string | null;
	late: Fault | undefined;
}) {
	const who = approval.decided_by === me ? "you" : approval.decided_by;
	const mine = new Set([...approval.shows.actions.map((a) => a.step_id), ...approval.shows.then.map((s) => s.step_id)]);
	const moved = run?.steps.filter((s) => mine.has(s.step_id) && s.status !== "pending") ?? [];
	return (
		<footer class="dock" aria-live="polite">
			{late?.status === 409 && who !== "you" && <p class="note">Somebody was faster.</p>}
			<p class="verdict">
				<Status state={state(approvalStates, approval.status)} />{" "}
				{approval.status === "expired"
					? `Nobody decided in time: ${expiryOf(approval)}`
					: who && (
							<>
								by <bdi>{who}</bdi>
							</>
						)}{" "}
				{approval.decided_at && <When at={approval.decided_at} as="clock" />}
			</p>
			{approval.note && <Quote text={approval.note} />}
			{moved.length > 0 && (
				<ul class="moved">
					{moved.map((s) => (
						<li key={s.step_id}>
							<Status state={state(stepStates, s.status)} bare />{" "}
							<Said text={approval.shows.then.find((t) => t.step_id === s.step_id)?.name ?? plain(s.step_id)} />{" "}
							{s.completed_at && <When at={s.completed_at} as="seconds" />}
							{s.error && (
								<span class="bad">
									{" "}
									<Said text={s.error.message} />
								</span>
							)}
						</li>
					))}
				</ul>
			)}
			{run && (
				<p class="meta">
					<Status state={state(executionStates, run.status)} bare />
					{run.status_reason && `: ${word(reasons, run.status_reason, plain)}`} ·{" "}
					<a href={`/runs/${run.id}`}>Open the run</a>
				</p>
			)}
		</footer>
	);
}
