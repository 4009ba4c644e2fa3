// Questions about agents and the catalogue, which several pages ask.

import { actionsAsk } from "./actions.ts";
import { agentsAsk, keys, runsAsk } from "./asks.ts";
import { api, Fault, type Schema, take } from "./door.ts";
import type { Knowledge } from "./editor/knowledge.ts";
import { useMe } from "./me.ts";
import { type Ask, put, stale, useAsk } from "./store.ts";

export type Agent = Schema["Agent"];

/** An OpenAgent is an agent with its ETag, and the text of the answer, which has all digits
 * of its numbers. */
export interface OpenAgent {
	agent: Agent;
	etag: string;
	answer: string;
}

export const agentAsk = (id: string): Ask<OpenAgent> => ({
	key: keys.agent(id),
	ask: () => opened(api.GET("/api/agents/{id}", { params: { path: { id } }, parseAs: "text" })),
});

async function opened(call: Promise<{ data?: string; response: Response }>): Promise<OpenAgent> {
	const { data, response } = await call;
	const answer = data ?? "";
	return { agent: JSON.parse(answer) as Agent, etag: response.headers.get("ETag") ?? "", answer };
}

/** update changes an agent, and keeps the answer for all pages. With an etag it changes
 * nothing when the agent has changed since. */
export async function update(id: string, body: string, etag?: string): Promise<OpenAgent> {
	const header = etag ? { "If-Match": etag } : {};
	const answer = await opened(
		api.PUT("/api/agents/{id}", {
			params: { path: { id }, header },
			body: {},
			bodySerializer: () => body,
			parseAs: "text",
		}),
	);
	put(keys.agent(id), answer);
	stale(keys.agents, [...keys.agent(id), "versions"], keys.capabilities(id));
	return answer;
}

export const eventsAsk: Ask<Schema["EventList"]> = {
	key: ["events"],
	ask: () => take(api.GET("/api/events")),
	fresh: Number.POSITIVE_INFINITY, // it changes with a release alone
};

const none: Knowledge = { events: [], actions: [] };

/** useKnowledge returns the catalogue; it is empty until `when`, and until it has come. */
export function useKnowledge(when = true): Knowledge {
	const events = useAsk({ ...eventsAsk, when }).data?.events;
	const actions = useAsk({ ...actionsAsk, when }).data?.actions;
	return events || actions ? { events: events ?? none.events, actions: actions ?? none.actions } : none;
}

/** openRunsAsk counts the runs of an agent that have not ended. */
export const openRunsAsk = (id: string): Ask<Schema["ExecutionList"]> =>
	runsAsk({ agent_id: id, status: ["pending", "running", "waiting_approval"], limit: 1 });

const securityResponse = "agent_system_security_response";

/** useRefusal says why a person may not pause or activate an agent; empty when nothing is
 * known against it. The API decides. */
export function useRefusal(agent: Pick<Agent, "id" | "status" | "type">): string {
	const me = useMe().data;
	const starts = agent.status !== "active" && agent.type !== "system";
	const list = useAsk({ ...agentsAsk, when: starts }).data?.agents ?? [];
	if (agent.id === securityResponse && !me?.rights.includes("manage")) {
		return "Owners and admins pause and resume Security Response.";
	}
	const limit = me?.agent_limit;
	const counts = (a: Pick<Agent, "status" | "type">) => a.status === "active" && a.type !== "system";
	const active = list.filter(counts).length;
	if (starts && limit && active >= limit) {
		return `${active} of ${limit} agents are active, which is the limit of your plan. Pause one first.`;
	}
	return "";
}

/** sayOf returns the sentences of a refusal, with the parts that it names. */
export function sayOf(error: unknown): string {
	if (!(error instanceof Fault)) return "The page failed. Nothing was changed.";
	return [error.message, ...error.details.map((d) => `${d.path}: ${d.message}`)].join(" ");
}
