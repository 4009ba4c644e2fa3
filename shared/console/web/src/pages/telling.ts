// A run in a few words: its first line, why a step was skipped, and which messages were
// sent. Pure rules over the trace. The API tells the whole story.
import type { Schema } from "../door.ts";
import { duration } from "../time.ts";
import { counted, plain, reasons } from "../words.ts";

type Run = Schema["ExecutionDetail"];
type Step = Schema["StepTrace"];

/** nameOf returns the words for a step: its name in the definition, or its id. */
export function nameOf(step: Pick<Step, "name" | "step_id">): string {
	return step.name ?? plain(step.step_id);
}

/** A Telling is the first line of a run: what happened, and what follows from it. */
export interface Telling {
	head: string;
	/** The words of others: of a product, of a model. They are quoted. */
	said?: string;
	more?: string;
	/** The step that it is about. */
	step?: string;
}

/** tell answers the question with which one opens the page of a run. */
export function tell(run: Run, now: number): Telling {
	switch (run.status) {
		case "failed": {
			const at = run.steps.find((s) => s.step_id === run.error?.step_id);
			const left = run.steps.filter((s) => s.status === "pending" || s.status === "skipped").length;
			const tries = at && at.attempts > 1 ? `Tried ${at.attempts} times in ${duration(at.duration_ms ?? 0)}. ` : "";
			const after = left > 0 && at && run.steps.indexOf(at) < run.steps.length - 1 ? "Nothing after it ran." : "";
			return {
				head: at ? `Failed at ${nameOf(at)}` : "Failed",
				said: run.error?.message ?? "No reason is recorded.",
				...(tries + after ? { more: (tries + after).trim() } : {}),
				...(at ? { step: at.step_id } : {}),
			};
		}
		case "waiting_approval": {
			const gate = run.steps.find((s) => s.step_type === "approval_gate" && s.status === "waiting");
			return {
				head: gate ? `${nameOf(gate)}: waits for an approval` : "Waits for an approval",
				...(gate ? { step: gate.step_id } : {}),
			};
		}
		case "pending":
			return {
				head: run.status_reason === "org_paused" ? "Held, because the organization is paused" : "Has not begun yet",
			};
		case "running": {
			if (run.status_reason === "org_paused") return { head: "Held, because the organization is paused" };
			const at = run.steps.find((s) => s.status === "running" || s.status === "waiting");
			if (!at) return { head: "Running" };
			const since = at.started_at ? ` for ${duration(Math.max(0, now - Date.parse(at.started_at)))}` : "";
			return {
				head: at.status === "waiting" ? `${nameOf(at)}: waits${since}` : `${nameOf(at)}: running${since}`,
				step: at.step_id,
			};
		}
		case "completed": {
			const done = run.steps.filter((s) => s.status === "completed").length;
			const skipped = run.steps.filter((s) => s.status === "skipped").length;
			const parts = [`${counted(done, "step")} done`];
			if (skipped > 0) parts.push(`${skipped} skipped`);
			const more =
				run.warnings > 0
					? `${counted(run.warnings, "failed step was", "failed steps were")} passed over, as the agent says.`
					: "";
			return { head: `Completed in ${duration(run.duration_ms ?? 0)}: ${parts.join(", ")}`, ...(more ? { more } : {}) };
		}
		case "cancelled": {
			const why =
				reasons[run.status_reason ?? ""] ??
				(run.status_reason ? plain(run.status_reason).toLowerCase() : "no reason is recorded");
			const effects = run.steps.filter((s) => hasEffect(s)).length;
			return {
				head: `Cancelled: ${why}`,
				more:
					effects === 0
						? "It changed nothing before."
						: `${counted(effects, "effect")} from before ${effects === 1 ? "stays" : "stay"}.`,
			};
		}
	}
}

/** hasEffect reports whether a step changed something outside, or may have. */
export function hasEffect(step: Step): boolean {
	if (step.step_type !== "product_action" && step.step_type !== "notification") return false;
	return step.status === "completed" || (step.attempts > 0 && step.status !== "skipped");
}

/** firstStep returns the step on which the page opens: the failed, else the waiting or
 * running, else the last one that ended. */
export function firstStep(run: Run): string | undefined {
	const failed =
		run.steps.find((s) => s.step_id === run.error?.step_id) ?? run.steps.find((s) => s.status === "failed");
	const moving = run.steps.find((s) => s.status === "waiting" || s.status === "running");
	const ended = run.steps.filter((s) => s.status === "completed").at(-1);
	return (failed ?? moving ?? ended ?? run.steps[0])?.step_id;
}

/** whySkipped says why a step did not run. */
export function whySkipped(step: Step, run: Run): string {
	const input = step.input;
	if (typeof input === "object" && input !== null && !Array.isArray(input) && "if" in input)
		return `Its condition did not hold: ${String(input.if)}`;
	if (run.status === "failed") return "The run failed before it.";
	if (run.status === "cancelled") return "The run was cancelled before it.";
	return "It was not needed.";
}

/** One message to one recipient, as a notification's output records it. */
export interface Sent {
	recipient: string;
	status: string;
	reason: string;
}

const sentences: Readonly<Record<string, string>> = {
	sent: "sent",
	failed: "failed",
	unknown: "nobody knows whether it was sent; it is not sent again",
	sending: "being sent",
	pending: "not sent yet",
};

/** sentencesOf says what a status of a message means. */
export function sentencesOf(status: string): string {
	return sentences[status] ?? plain(status).toLowerCase();
}

/** sentOf reads the results of a notification: none, or one for each recipient. */
export function sentOf(output: unknown): Sent[] {
	if (typeof output !== "object" || output === null) return [];
	const list = (output as { recipients?: unknown }).recipients;
	if (!Array.isArray(list)) return [];
	return list.flatMap((r: unknown) => {
		if (typeof r !== "object" || r === null) return [];
		const { recipient, status, reason } = r as Record<string, unknown>;
		return typeof recipient === "string"
			? [{ recipient, status: String(status ?? ""), reason: typeof reason === "string" ? reason : "" }]
			: [];
	});
}

/** depthsOf returns how deep each step is nested in the branches of a definition. */
export function depthsOf(steps: unknown, depth = 0, out = new Map<string, number>()): ReadonlyMap<string, number> {
	if (!Array.isArray(steps)) return out;
	for (const s of steps as Record<string, unknown>[]) {
		if (typeof s?.id === "string") out.set(s.id, depth);
		for (const c of Array.isArray(s?.cases) ? (s.cases as Record<string, unknown>[]) : [])
			depthsOf(c?.steps, depth + 1, out);
		depthsOf(s?.else, depth + 1, out);
	}
	return out;
}
