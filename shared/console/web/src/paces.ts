// The paces: how long to wait before asking the API again, in milliseconds. Nothing asks
// while the tab is hidden; on focus everything asks at once; the governor and failures
// make every pace slower.
import type { Schema } from "./door.ts";

/** A Pace returns the wait before the next question, or false to wait for the focus. */
export type Pace<T> = (data: T | undefined, now: number) => number | false;

const second = 1000;

export const every =
	(seconds: number): Pace<unknown> =>
	() =>
		seconds * second;

/** isOpen reports whether an execution has not ended. */
export function isOpen(status: Schema["ExecutionStatus"]): boolean {
	return status === "pending" || status === "running" || status === "waiting_approval";
}

/** The run page: fast while steps move, slow while a person or a time is awaited, and
 * once more after the end, when the credits have settled. */
export const run: Pace<Schema["ExecutionDetail"]> = (data, now) => {
	if (!data) return false;
	if (!isOpen(data.status)) {
		const ended = data.completed_at ? Date.parse(data.completed_at) : 0;
		return now - ended < 4 * second ? 2 * second : false;
	}
	const waits = data.status === "waiting_approval" || data.steps.some((s) => s.status === "waiting");
	if (waits) {
		const since = Math.max(...data.steps.map((s) => (s.started_at ? Date.parse(s.started_at) : 0)));
		return now - since < 60 * second ? 5 * second : 15 * second;
	}
	const age = now - Date.parse(data.created_at);
	return age < 30 * second ? second : age < 300 * second ? 2 * second : 5 * second;
};

/** The first page of the runs. */
export const runs: Pace<Schema["ExecutionList"]> = (data) =>
	data?.executions.some((x) => isOpen(x.status)) ? 3 * second : 10 * second;

/** One approval: faster near its end, and at the very moment of its expiry. */
export const approval: Pace<Schema["Approval"]> = (data, now) => {
	if (data?.status !== "pending") return false;
	const left = Date.parse(data.expires_at) - now;
	const wait = now - Date.parse(data.created_at) < 60 * second ? 5 * second : 15 * second;
	return left > 0 ? Math.min(wait, left + second) : 2 * second;
};

export const approvals = every(10);
export const badge = every(30);
export const home = { approvals: every(15), runs: every(15), credits: every(60), agents: every(60) };
