// One received event: what it started, and why the other agents did not run.
import { eventsAsk } from "../agents.ts";
import type { Schema } from "../door.ts";
import { useMay } from "../me.ts";
import { Demands } from "../parts/demands.tsx";
import { Empty } from "../parts/empty.tsx";
import { ErrorNote } from "../parts/error.tsx";
import { useFilter } from "../parts/filters.tsx";
import { Id } from "../parts/id.tsx";
import { Json } from "../parts/json.tsx";
import { Loading } from "../parts/loading.tsx";
import { Page } from "../parts/page.tsx";
import { Said } from "../parts/quote.tsx";
import { Status } from "../parts/status.tsx";
import { When } from "../parts/when.tsx";
import { useAsk } from "../store.ts";
import { agentStates, counted, executionStates, state } from "../words.ts";
import { askOf, headOf, hrefOf, nowOf, ranked, stateOf, supposeHref } from "./explaining.ts";

type Explanation = Schema["EventExplanation"];
type Agent = Schema["AgentExplanation"];

export default function Why({ id }: { id: string }) {
	const [type] = useFilter("type");
	const [at] = useFilter("at");
	const [agent, setAgent] = useFilter("agent");
	const answer = useAsk(askOf({ id, type, at, agent }));
	const above = <a href="/events/received">Received events</a>;
	if (!answer.data) {
		return (
			<Page title="Why" above={above}>
				{answer.error?.status === 404 ? (
					<Empty title="Nothing is known of this event">
						<p>
							<Said text={answer.error.message} most={400} />
						</p>
						<p>
							<a href="/events/received">See the received events</a>
						</p>
					</Empty>
				) : answer.error ? (
					<ErrorNote error={answer.error} what="this event" again={() => void answer.refetch()} />
				) : (
					<Loading what="the event" rows={6} />
				)}
			</Page>
		);
	}
	return <Shown explanation={answer.data} onAll={agent ? () => setAgent("") : undefined} />;
}

function Shown({ explanation, onAll }: { explanation: Explanation; onAll: (() => void) | undefined }) {
	const { event, agents } = explanation;
	const name = `${event.source_product}:${event.event_type}`;
	const title = useAsk(eventsAsk).data?.events.find((e) => e.id === name)?.display_name ?? event.event_type;
	const { concerned, others } = ranked(agents);
	return (
		<Page
			title={title}
			above={
				<>
					<a href="/events/received">Received events</a> <span aria-hidden="true">/</span> <Id id={event.event_id} />
				</>
			}
		>
			<p class="run-facts">
				<a href={`/events/${name}`}>{name}</a>
				{event.client_id && (
					<span>
						client <Said text={event.client_id} most={60} />
					</span>
				)}
				<span>
					published <When at={event.published_at} />
				</span>
			</p>
			<section
				class="telling"
				data-tone={concerned.some((a) => a.then?.outcome === "started") ? "ok" : "stop"}
				aria-label="What became of it"
			>
				<p>
					<strong>{headOf(agents)}</strong>
				</p>
				{event.dead_letter && (
					<p>
						The platform gave it up <When at={event.dead_letter.at} /> ({event.dead_letter.reason}):{" "}
						<Said text={event.dead_letter.message} most={600} />
					</p>
				)}
			</section>
			{concerned.length > 0 && (
				<ul class="why-agents" aria-label="Agents">
					{concerned.map((a) => (
						<One key={a.agent_id} agent={a} deed={explanation.did.find((d) => d.agent_id === a.agent_id)} />
					))}
				</ul>
			)}
			{others.length > 0 && (
				<details class="card">
					<summary>{counted(others.length, "other agent")}</summary>
					<ul class="why-others">
						{others.map((a) => (
							<li key={a.agent_id}>
								<a href={`/agents/${a.agent_id}`}>
									<Said text={a.name ?? a.agent_id} most={100} />
								</a>{" "}
								<span class="meta">
									<Said text={a.because} most={600} />
								</span>
							</li>
						))}
					</ul>
				</details>
			)}
			{explanation.more_agents && <p class="meta">There are more agents; open one and look at its activity.</p>}
			{onAll && (
				<p>
					<button type="button" class="link" onClick={onAll}>
						Show all agents
					</button>
				</p>
			)}
			<Caused explanation={explanation} />
			<section class="card">
				<h2>What the event said</h2>
				{event.payload ? (
					<>
						<Json value={event.payload} label="What the event said" path="event_payload" />
						<p class="why-leads">
							<a href={supposeHref(event)}>What if it said something else?</a>
						</p>
					</>
				) : (
					<p class="meta">
						{event.payload_cut
							? "It was too large to be kept."
							: "It was not kept: received events are kept as long as the rules of the organization say."}
					</p>
				)}
			</section>
		</Page>
	);
}

/** Caused lists the events that the runs of the event caused. */
function Caused({ explanation }: { explanation: Explanation }) {
	const { did, caused, caused_note: note } = explanation;
	if (did.length === 0) return null;
	return (
		<section class="card" aria-labelledby="caused">
			<h2 id="caused">What it caused</h2>
			{caused.length > 0 ? (
				<ul class="why-others">
					{caused.map((e) => (
						<li key={e.event_id}>
							<a href={hrefOf(e)}>
								{e.source_product}:{e.event_type}
							</a>{" "}
							<span class="meta">
								<When at={e.published_at} /> · by{" "}
								<a href={`/runs/${e.execution_id}`}>
									<Said text={nameOf(did, e)} most={100} />
								</a>
								{e.depth > 1 && ` · ${e.depth} runs after the first event`}
							</span>
						</li>
					))}
				</ul>
			) : (
				<p class="meta">No event that its runs caused is known.</p>
			)}
			{note && (
				<p class="meta">
					<Said text={note} most={1200} />
				</p>
			)}
		</section>
	);
}

/** nameOf returns the name of the agent whose run caused an event. */
function nameOf(did: readonly Schema["EventDeed"][], e: Schema["CausedEvent"]): string {
	const by = did.find((d) => d.execution_id === e.execution_id);
	return by?.agent_name ?? by?.agent_id ?? e.execution_id;
}

function One({ agent, deed }: { agent: Agent; deed: Schema["EventDeed"] | undefined }) {
	const may = useMay("edit");
	const { then, now } = agent;
	const today = nowOf(agent);
	const run = then?.execution_id ?? then?.related_execution_id;
	return (
		<li class="card">
			<p class="testrun-line">
				<Status state={stateOf(agent)} bare />
				<a href={`/agents/${agent.agent_id}`}>
					<Said text={agent.name ?? agent.agent_id} most={100} />
				</a>
				<span class="meta">
					{agent.status === "deleted" ? "deleted" : state(agentStates, agent.status).label.toLowerCase()}
					{agent.version !== null && ` · version ${agent.version}`}
					{then?.agent_version && then.agent_version !== agent.version && ` · ran version ${then.agent_version}`}
				</span>
			</p>
			<p>
				<Said text={agent.because} most={1200} />
			</p>
			{deed && (
				<p>
					<Said text={deed.story} most={1200} />
				</p>
			)}
			{today && <p class="meta">{today}</p>}
			<p class="why-leads">
				{run && (
					<a href={`/runs/${run}`}>
						{then?.execution_id ? "See the run" : "See the run that kept it from starting"}
						{then?.execution_status && ` (${state(executionStates, then.execution_status).label.toLowerCase()})`}
					</a>
				)}
				{may && then?.execution_id && (
					<a href={`/agents/${agent.agent_id}/test?run=${then.execution_id}`}>Test it on this event</a>
				)}
				<a href={`/agents/${agent.agent_id}/activity`}>Its activity</a>
			</p>
			<Demands verdict={now} open={then !== null && then.outcome !== "started"} />
		</li>
	);
}
