// What Home says: the first line, the failures by their cause, and the agents to look at.
import type { Schema } from "../door.ts";
import { counted } from "../words.ts";

type Row = Schema["Execution"];
type Summary = Schema["AgentSummary"];

/** headline answers "what needs me?" in one line. */
export function headline(
	now: Date,
	waiting: readonly Pick<Schema["Approval"], "can_decide">[],
	failed: number,
): string {
	const hour = now.getHours();
	const greeting = hour < 5 || hour >= 18 ? "Good evening" : hour < 12 ? "Good morning" : "Good afternoon";
	const mine = waiting.filter((a) => a.can_decide).length;
	const parts = [
		mine > 0
			? `${counted(mine, "decision")} ${mine === 1 ? "waits" : "wait"} for you`
			: waiting.length > 0
				? `${counted(waiting.length, "decision")} ${waiting.length === 1 ? "waits" : "wait"} for others`
				: "",
		failed > 0 ? `${counted(failed, "run")} failed today` : "",
	].filter(Boolean);
	return `${greeting}. ${parts.length > 0 ? `${parts.join(", ")}.` : "Nothing needs you."}`;
}

/** A Group is the failed runs with one cause. */
export interface Group {
	key: string;
	code: string;
	step: string | null;
	runs: Row[];
}

/** grouped puts failed runs with the same code at the same step together, the largest first. */
export function grouped(runs: readonly Row[]): Group[] {
	const groups = new Map<string, Group>();
	for (const x of runs) {
		const code = x.error_code ?? "unknown";
		const key = `${x.agent_id} ${code} ${x.at_step ?? ""}`;
		const group = groups.get(key) ?? { key, code, step: x.at_step, runs: [] };
		group.runs.push(x);
		groups.set(key, group);
	}
	return [...groups.values()].sort((a, b) => b.runs.length - a.runs.length);
}

/** troubled returns the agents that need a look, and why. */
export function troubled(agents: readonly Summary[]): { agent: Summary; why: string }[] {
	return agents.flatMap((agent) => {
		if (agent.status === "error") return [{ agent, why: "in error" }];
		const { success_rate, total_runs } = agent.stats;
		if (agent.status === "active" && success_rate !== null && total_runs >= 5 && success_rate < 0.5) {
			return [{ agent, why: `${Math.round((1 - success_rate) * 100)} % of its runs failed` }];
		}
		return [];
	});
}

export interface Hour {
	hour: number;
	all: number;
	failed: number;
}

/** hoursOf counts runs by the hour of the person's day. */
export function hoursOf(runs: readonly Pick<Row, "created_at" | "status">[]): Hour[] {
	const hours = Array.from({ length: 24 }, (_, hour) => ({ hour, all: 0, failed: 0 }));
	for (const x of runs) {
		const h = hours[new Date(x.created_at).getHours()];
		if (!h) continue;
		h.all++;
		if (x.status === "failed") h.failed++;
	}
	return hours;
}
