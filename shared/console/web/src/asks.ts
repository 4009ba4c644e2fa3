// Questions that more than one page asks. Their keys are shared, so that one answer serves
// all of them, and a write can say which of them are stale.
import { api, type Schema, take } from "./door.ts";
import * as paces from "./paces.ts";
import type { Ask } from "./store.ts";

export const keys = {
	approvals: ["approvals"] as const, // all lists of approvals
	approval: (id: string) => ["approval", id] as const,
	runs: ["runs"] as const, // all lists of runs
	run: (id: string) => ["run", id] as const,
	agents: ["agents"] as const, // all lists of agents
	agent: (id: string) => ["agent", id] as const,
	capabilities: (id: string) => ["agent", id, "capabilities"] as const,
};

/** Approvals of one status, at most 200, the newest first. */
export const approvalsAsk = (
	status: Schema["ApprovalStatus"],
	pace: paces.Pace<unknown>,
): Ask<Schema["ApprovalList"]> => ({
	key: [...keys.approvals, status],
	ask: () => take(api.GET("/api/approvals", { params: { query: { status, limit: 200 } } })),
	pace,
});

export const approvalAsk = (id: string): Ask<Schema["Approval"]> => ({
	key: keys.approval(id),
	ask: () => take(api.GET("/api/approvals/{id}", { params: { path: { id } } })),
	pace: paces.approval,
});

/** A run with its story. What a cancellation or a retry answers has none until the next question. */
export const runAsk = (id: string, when = true): Ask<Schema["ExecutionDetail"]> => ({
	key: keys.run(id),
	ask: () => take(api.GET("/api/executions/{id}", { params: { path: { id }, query: { include: "story" } } })),
	pace: paces.run,
	when,
});

export const agentsAsk: Ask<Schema["AgentList"]> = {
	key: keys.agents,
	ask: () => take(api.GET("/api/agents")),
	fresh: 60_000,
};

/** A version never changes. */
export const versionAsk = (agent: string, version: number, when = true): Ask<Schema["AgentVersion"]> => ({
	key: ["version", agent, version],
	ask: () => take(api.GET("/api/agents/{id}/versions/{version}", { params: { path: { id: agent, version } } })),
	fresh: Number.POSITIVE_INFINITY,
	when,
});

/** Which runs a list has. */
export interface RunsQuery {
	status?: Schema["ExecutionStatus"][];
	agent_id?: string;
	/** The API searches for these three: a page may be short, and more still follow. */
	version?: number;
	client_id?: string;
	event_type?: string;
	from?: string;
	cursor?: string;
	/** 50 without it. */
	limit?: number;
}

/** readRuns reads one page of the runs, the newest first. */
export function readRuns(query: RunsQuery): Promise<Schema["ExecutionList"]> {
	return take(
		api.GET("/api/executions", {
			params: { query: { limit: 50, ...query } },
			querySerializer: { array: { style: "form", explode: false } },
		}),
	);
}

export const runsAsk = (
	query: RunsQuery,
	pace?: paces.Pace<Schema["ExecutionList"]>,
): Ask<Schema["ExecutionList"]> => ({
	key: [...keys.runs, query],
	ask: () => readRuns(query),
	...(pace ? { pace } : {}),
});
