// What became of an event: which agents to show first, and where the page of an event is.
import type { Schema } from "../door.ts";
import { outcomes, type State, state } from "../words.ts";

type Agent = Schema["AgentExplanation"];

/** hrefOf returns the page of a received event, which finds it by its type and time. */
export function hrefOf(
	event: Pick<Schema["ReceivedEvent"], "event_id" | "source_product" | "event_type" | "published_at">,
): string {
	const query = new URLSearchParams({ type: `${event.source_product}:${event.event_type}`, at: event.published_at });
	return `/events/${event.event_id}?${query}`;
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
