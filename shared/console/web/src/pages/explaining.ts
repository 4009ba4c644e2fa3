// What became of an event, or would become of one: which agents to show first, what to say
// first, and where the pages are.
import { api, type Schema, take } from "../door.ts";
import type { Ask } from "../store.ts";
import { counted, outcomes, type State, state } from "../words.ts";

type Agent = Schema["AgentExplanation"];

/** hrefOf returns the page of a received event, which finds it by its type and time. */
export function hrefOf(
	event: Pick<Schema["ReceivedEvent"], "event_id" | "source_product" | "event_type" | "published_at">,
): string {
	const query = new URLSearchParams({ type: `${event.source_product}:${event.event_type}`, at: event.published_at });
	return `/events/${event.event_id}?${query}`;
}

/** A Received names a received event. The type and the time make the search for it fast. */
interface Received {
	id: string;
	type: string;
	at: string;
	/** The one agent to ask about; empty for all. */
	agent: string;
}

/** askOf asks what became of a received event. */
export function askOf({ id, type, at, agent }: Received): Ask<Schema["EventExplanation"]> {
	return {
		key: ["why", id, type, at, agent],
		ask: () => {
			const query = {
				...(type ? { event_type: type } : {}),
				...(at ? { at } : {}),
				...(agent ? { agent_id: agent } : {}),
			};
			return take(api.GET("/api/events/{id}/explain", { params: { path: { id }, query } }));
		},
	};
}

/** supposeHref returns the page that asks what would become of an event like a received one. */
export function supposeHref(event: Schema["ExplainedEvent"]): string {
	const query = new URLSearchParams({
		type: `${event.source_product}:${event.event_type}`,
		event: event.event_id,
		at: event.published_at,
	});
	return `/events/suppose?${query}`;
}

/** ranked puts the agents that ran first, then those that listen, then all others. */
export function ranked(agents: readonly Agent[]): { concerned: Agent[]; others: Agent[] } {
	const others = agents.filter((a) => a.then === null && (a.now === null || a.now.outcome === "not_listening"));
	const concerned = agents.filter((a) => !others.includes(a));
	concerned.sort((a, b) => Number(b.then?.outcome === "started") - Number(a.then?.outcome === "started"));
	return { concerned, others };
}

/** stateOf returns what happened to an event at an agent, or what would happen today. */
export function stateOf(agent: Agent): State {
	if (agent.then) return state(outcomes, agent.then.outcome);
	return { label: "Not looked at", tone: "pending" };
}

/** headOf says first what became of an event. */
export function headOf(agents: readonly Agent[]): string {
	const { concerned } = ranked(agents);
	const ran = concerned.filter((a) => a.then?.outcome === "started").length;
	if (ran > 0) return `It started ${ran === 1 ? "one run" : `${ran} runs`}.`;
	if (concerned.length === 0) return "No agent listens for it.";
	return concerned.length === 1
		? "It started nothing. One agent listened or listens for it."
		: `It started nothing. ${concerned.length} agents listened or listen for it.`;
}

/** nowOf says what the present version would decide, where this differs from then. */
export function nowOf(agent: Agent): string {
	if (!agent.now || agent.now.outcome === "not_listening") return "";
	if (agent.now.outcome === agent.then?.outcome) return "";
	return agent.now.outcome === "started" ? "Today its definition would let it start." : "";
}

/** A Supposition is an event that a person makes up. */
export interface Supposition {
	type: string;
	/** The payload as the person wrote it. */
	payload: string;
	/** The client; empty for that of the payload. */
	client: string;
	/** Whether an agent caused it. */
	caused: boolean;
}

/** suppositionOf returns the body of the question. The payload goes as the person wrote it, so
 * that its numbers keep all their digits. */
export function suppositionOf({ type, payload, client, caused }: Supposition): string {
	const named = client.trim() ? `, "client_id": ${JSON.stringify(client.trim())}` : "";
	return `{"event_type": ${JSON.stringify(type)}, "payload": ${payload}${named}, "depth": ${caused ? 1 : 0}}`;
}

/** wouldOf says whether an agent would start on a supposed event. */
export function wouldOf(agent: Agent): State {
	if (agent.now === null) return { label: "Not judged", tone: "pending" };
	if (agent.now.outcome !== "started" || agent.status !== "active") return { label: "Would not start", tone: "stop" };
	return { label: "Would start", tone: "ok" };
}

/** listening returns the agents that listen for a supposed event, those not judged too. */
export const listening = (agents: readonly Agent[]) => agents.filter((a) => a.now?.outcome !== "not_listening");

/** supposedOf says first what would become of an event. */
export function supposedOf(agents: readonly Agent[]): { tone: State["tone"]; head: string } {
	const asked = listening(agents);
	const start = asked.filter((a) => wouldOf(a).tone === "ok").length;
	if (start > 0) return { tone: "ok", head: `It would start ${counted(start, "run")}.` };
	if (asked.length === 0) return { tone: "stop", head: "No agent listens for it." };
	const listen = `${counted(asked.length, "agent")} ${asked.length === 1 ? "listens" : "listen"} for it.`;
	return { tone: "stop", head: `It would start nothing. ${listen}` };
}
