// What a retry would do again, computed from the trace: people must know before they press.
import type { Action } from "../actions.ts";
import type { Schema } from "../door.ts";
import { counted, plain } from "../words.ts";
import { hasEffect, nameOf, sentOf } from "./telling.ts";

type Run = Schema["ExecutionDetail"];

export interface Preview {
	/** Effects that happened and would happen once more. */
	again: { step: string; text: string; destructive: boolean }[];
	/** Gates that ask anew. */
	asked: string[];
	/** Credits of the answers of this run, which the retry pays again. */
	credits: number;
	/** The version that ran, and the one that would, when it is another. */
	versions: { ran: number; now: number } | undefined;
}

/** previewOf returns what a retry would do again. `steps` are those of the version that ran,
 * and `current` is the agent's version now; undefined while they are not known. */
export function previewOf(
	run: Run,
	actions: ReadonlyMap<string, Action>,
	steps: unknown,
	current: number | undefined,
): Preview {
	const names = actionsOf(steps);
	const again = run.steps.filter(hasEffect).map((s) => {
		const named = names.get(s.step_id);
		const action = named ? actions.get(named) : undefined;
		const sent = sentOf(s.output).filter((m) => m.status === "sent" || m.status === "unknown");
		const did = action?.display_name ?? (named ? plain(named.split(":")[1] ?? named) : nameOf(s));
		const how = s.status === "completed" ? "was done" : "may have been done";
		const to =
			sent.length > 0 ? ` to ${sent.length === 1 ? sent[0]?.recipient : counted(sent.length, "recipient")}` : "";
		return {
			step: s.step_id,
			text:
				s.step_type === "notification"
					? `message${to} (${s.status === "completed" ? "was sent" : "may have been sent"})`
					: `${did} (${how})`,
			destructive: action?.destructive ?? false,
		};
	});
	return {
		again,
		asked: run.steps.filter((s) => s.step_type === "approval_gate" && s.started_at !== null).map(nameOf),
		credits: run.steps.filter((s) => s.step_type === "ai_reason").reduce((sum, s) => sum + s.credits_used, 0),
		versions:
			current !== undefined && current !== run.agent_version ? { ran: run.agent_version, now: current } : undefined,
	};
}

/** actionsOf returns the qualified names of the actions of a definition's steps. */
function actionsOf(steps: unknown, out = new Map<string, string>()): ReadonlyMap<string, string> {
	if (!Array.isArray(steps)) return out;
	for (const s of steps as Record<string, unknown>[]) {
		if (typeof s?.id === "string" && typeof s.product === "string" && typeof s.action === "string") {
			out.set(s.id, `${s.product}:${s.action}`);
		}
		for (const c of Array.isArray(s?.cases) ? (s.cases as Record<string, unknown>[]) : []) actionsOf(c?.steps, out);
		actionsOf(s?.else, out);
	}
	return out;
}
