// An event that never came: what each agent would do with it. Nothing is published or started.
import { useSignal } from "@preact/signals";
import { useId, useRef, useState } from "preact/hooks";
import { eventsAsk } from "../agents.ts";
import { announce } from "../announce.ts";
import { api, type Schema, take } from "../door.ts";
import { Demands } from "../parts/demands.tsx";
import { ErrorNote, Refusal } from "../parts/error.tsx";
import { useFilter } from "../parts/filters.tsx";
import { Loading } from "../parts/loading.tsx";
import { Page } from "../parts/page.tsx";
import { Payload } from "../parts/payload.tsx";
import { Said } from "../parts/quote.tsx";
import { Status } from "../parts/status.tsx";
import { useSending } from "../sending.ts";
import { useAsk } from "../store.ts";
import { agentStates, counted, state } from "../words.ts";
import { EventTabs } from "./events.tsx";
import { askOf, listening, supposedOf, suppositionOf, wouldOf } from "./explaining.ts";
import { payloadFault } from "./testing.ts";

type EventType = Schema["EventType"];
type Answer = Schema["EventSupposition"];

/** A Draft is the event that the form begins with. */
interface Draft {
	type: string;
	payload: string;
	client: string;
}

export default function Suppose() {
	const [type] = useFilter("type");
	const [event] = useFilter("event");
	const [at] = useFilter("at");
	const [from] = useState({ id: event, type, at, agent: "" }); // what the address said when the page opened
	const types = useAsk(eventsAsk);
	const like = useAsk({ ...askOf(from), when: from.id !== "" });
	const error = types.error ?? (from.id ? like.error : undefined);
	return (
		<Page title="What if" heading="Events">
			<EventTabs at="suppose" />
			{types.data && (!from.id || like.data) ? (
				<Asking types={types.data.events} first={firstOf(types.data.events, from.type, like.data)} />
			) : error ? (
				<ErrorNote error={error} what="the event" again={() => void (types.data ? like : types).refetch()} />
			) : (
				<Loading what="the event" rows={8} />
			)}
		</Page>
	);
}

/** firstOf returns the received event, or the sample of a type. */
function firstOf(types: readonly EventType[], type: string, like: Schema["EventExplanation"] | undefined): Draft {
	if (like?.event.payload) {
		return { type, payload: written(like.event.payload), client: like.event.client_id ?? "" };
	}
	const one = type ? types.find((e) => e.id === type) : types[0];
	return { type: type || (one?.id ?? ""), payload: written(one?.sample_payload ?? {}), client: "" };
}

const written = (payload: object) => JSON.stringify(payload, null, 2);

function Asking({ types, first }: { types: readonly EventType[]; first: Draft }) {
	const [, setType] = useFilter("type");
	const [, setEvent] = useFilter("event");
	const [, setAt] = useFilter("at");
	const type = useSignal(first.type);
	const payload = useSignal(first.payload);
	const begun = useSignal(first.payload); // the payload before a person changed it
	const client = useSignal(first.client);
	const caused = useSignal(false);
	const wrong = useSignal("");
	const answer = useSignal<Answer | undefined>(undefined);
	const field = useRef<HTMLTextAreaElement>(null);
	const id = useId();
	const { send, sending, failed } = useSending(async () => {
		wrong.value = payloadFault(payload.value);
		if (wrong.value) {
			field.current?.focus();
			return;
		}
		const body = suppositionOf({
			type: type.value,
			payload: payload.value,
			client: client.value,
			caused: caused.value,
		});
		answer.value = await take(
			api.POST("/api/events/explain", {
				body: {} as Schema["EventSuppositionInput"],
				bodySerializer: () => body,
			}),
		);
		announce(supposedOf(answer.value.agents).head);
	});
	const pick = (next: string) => {
		type.value = next;
		setType(next);
		setEvent("");
		setAt("");
		const sample = types.find((e) => e.id === next)?.sample_payload;
		if (sample && payload.value === begun.value) {
			payload.value = begun.value = written(sample);
			client.value = "";
		}
	};
	return (
		<div class="testrun">
			<form
				class="testrun-form card"
				aria-label="What if"
				onSubmit={(e) => {
					e.preventDefault();
					void send();
				}}
			>
				<label class="labelled" htmlFor={`${id}type`}>
					The event
					<select class="field" id={`${id}type`} value={type.value} onChange={(e) => pick(e.currentTarget.value)}>
						{!types.some((e) => e.id === type.value) && <option value={type.value}>{type.value}</option>}
						{types.map((e) => (
							<option key={e.id} value={e.id}>
								{`${e.display_name} · ${e.id}`}
							</option>
						))}
					</select>
				</label>
				<Payload text={payload} wrong={wrong} field={field}>
					What it says
				</Payload>
				<label class="labelled" htmlFor={`${id}client`}>
					The client, unless the payload names it
					<input
						id={`${id}client`}
						class="field"
						autocapitalize="off"
						spellcheck={false}
						value={client.value}
						onInput={(e) => {
							client.value = e.currentTarget.value;
						}}
					/>
				</label>
				<label class="check">
					<input
						type="checkbox"
						checked={caused.value}
						onChange={(e) => {
							caused.value = e.currentTarget.checked;
						}}
					/>{" "}
					An agent caused it
				</label>
				<Refusal fault={failed.value} />
				<div class="actions">
					<button type="submit" class="button primary" aria-disabled={sending.value}>
						{sending.value ? "Asking…" : "What would it start?"}
					</button>
				</div>
			</form>
			<section class="testrun-result" aria-label="Answer">
				{answer.value ? (
					<Shown
						answer={answer.value}
						onSimilar={(similar) => {
							pick(similar);
							void send();
						}}
					/>
				) : (
					<p class="meta">
						Every agent is asked what it would do with this event, as it is now. Nothing is published, started or kept.
					</p>
				)}
			</section>
		</div>
	);
}

function Shown({ answer, onSimilar }: { answer: Answer; onSimilar: (type: string) => void }) {
	const { event, agents } = answer;
	const { similar_type: similar } = event;
	const { tone, head } = supposedOf(agents);
	const asked = listening(agents);
	const deaf = agents.length - asked.length;
	return (
		<>
			<section class="telling" data-tone={tone} aria-label="What would become of it">
				<p>
					<strong>{head}</strong>
				</p>
				{!event.in_catalog && (
					<p>
						No product publishes {event.source_product}:{event.event_type}.
						{similar && (
							<>
								{" "}
								<button type="button" class="link" onClick={() => onSimilar(similar)}>
									Ask about {similar}
								</button>
							</>
						)}
					</p>
				)}
			</section>
			{asked.length > 0 && (
				<ul class="why-agents" aria-label="Agents">
					{asked.map((a) => (
						<li key={a.agent_id} class="card">
							<p class="testrun-line">
								<Status state={wouldOf(a)} bare />
								<a href={`/agents/${a.agent_id}`}>
									<Said text={a.name ?? a.agent_id} most={100} />
								</a>
								<span class="meta">
									{a.status && state(agentStates, a.status).label.toLowerCase()}
									{a.version !== null && ` · version ${a.version}`}
								</span>
							</p>
							{wouldOf(a).tone !== "ok" && (
								<p>
									<Said text={a.because} most={1200} />
								</p>
							)}
							<Demands verdict={a.now} open={a.now !== null && a.now.outcome !== "started"} />
						</li>
					))}
				</ul>
			)}
			<p class="meta">
				{deaf > 0 && `${counted(deaf, "other agent")} ${deaf === 1 ? "listens" : "listen"} for other events. `}
				{answer.more_agents && "There are more agents than were asked. "}
				Duplicates, limits, quotas, and agents that override others were not looked at.
			</p>
		</>
	);
}
