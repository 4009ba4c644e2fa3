// A test run: what is sent to the API, and its result in words.
import type { Schema } from "../door.ts";
import { list, text } from "../editor/knowledge.ts";
import { counted, outcomes, plain, reasons, state, type Tone, word } from "../words.ts";

export type Source = "sample" | "execution" | "payload";

export type Model = "simulated" | "recorded" | "live";

/** A Trial is what a person has chosen to play. */
export interface Trial {
	source: Source;
	/** The run whose event is played, for the source `execution`. */
	run: string;
	/** The payload as the person wrote it, for the source `payload`. */
	payload: string;
	/** Where the answers of models come from. */
	model: Model;
	/** What people decide, by gate; approved without an entry. */
	decisions: Readonly<Record<string, Schema["TestDecision"]>>;
	/** Whether an event is played that does not start the agent. */
	anyway: boolean;
}

/** A Gate is a question that the agent may ask. */
export interface Gate {
	id: string;
	name: string;
}

/** stepsOf returns all steps, those of branches too, in order. */
function stepsOf(steps: unknown): Record<string, unknown>[] {
	return list(steps).flatMap((step) => {
		if (typeof step !== "object" || step === null) return [];
		const one = step as Record<string, unknown>;
		const inner = list(one.cases).map((c) =>
			typeof c === "object" && c !== null ? (c as { steps?: unknown }).steps : [],
		);
		return [one, ...[...inner, one.else].flatMap(stepsOf)];
	});
}

/** asksModels says whether a model may be asked in one of the steps. */
export const asksModels = (steps: unknown) => stepsOf(steps).some((s) => s.type === "ai_reason");

/** gatesOf returns the approval gates among steps, those of branches too, in order. */
export function gatesOf(steps: unknown): Gate[] {
	return stepsOf(steps)
		.filter((s) => s.type === "approval_gate")
		.map(({ id, name }) => ({ id: text(id), name: text(name) || text(id) }));
}

/** payloadFault says why a text is no payload; empty when it is one. */
export function payloadFault(payload: string): string {
	try {
		const value: unknown = JSON.parse(payload);
		if (typeof value === "object" && value !== null && !Array.isArray(value)) return "";
		return 'The payload must be an object, as in {"ticket_id": "tkt_1"}.';
	} catch (e) {
		return `The payload is no JSON yet: ${e instanceof Error ? e.message : String(e)}`;
	}
}

/** bodyOf returns the body of a test run. A payload goes as the person wrote it, so that
 * its numbers keep all their digits. */
export function bodyOf(trial: Trial): string {
	const event =
		trial.source === "payload"
			? `{"payload": ${trial.payload}}`
			: trial.source === "execution"
				? JSON.stringify({ execution_id: trial.run })
				: '"sample"';
	const decisions = Object.fromEntries(Object.entries(trial.decisions).filter(([, d]) => d !== "approved"));
	return `{"event": ${event}, "model": ${JSON.stringify(trial.model)}, "decisions": ${JSON.stringify(decisions)}, "ignore_match": ${trial.anyway}}`;
}

/** A Verdict is what a test run says first. */
export interface Verdict {
	tone: Tone;
	head: string;
	/** Why; empty when the first sentence says it all. */
	why: string;
	more: string;
}

/** verdictOf says what the agent would do. */
export function verdictOf(result: Schema["TestResult"]): Verdict {
	const actions = result.effects.filter((e) => e.kind === "action").length;
	const messages = result.effects.length - actions;
	const more = [
		actions > 0 && counted(actions, "action"),
		messages > 0 && counted(messages, "message"),
		result.gates.length > 0 && counted(result.gates.length, "question"),
		counted(result.credits.would_cost, "credit"),
	]
		.filter(Boolean)
		.join(", ");
	const would = result.status === null ? "" : `It would take ${more}.`;
	if (result.outcome !== "started") {
		return {
			tone: state(outcomes, result.outcome).tone,
			head:
				result.status === null
					? "The event would not start it."
					: "The event would not start it; it was played all the same.",
			why: result.reason ?? "",
			more: would,
		};
	}
	switch (result.status) {
		case "failed":
			return { tone: "fail", head: "It would start, and fail.", why: result.error?.message ?? "", more: would };
		case "cancelled":
			return {
				tone: "stop",
				head: "It would start, and end early.",
				why: result.status_reason ? `${capital(word(reasons, result.status_reason, plain))}.` : "",
				more: would,
			};
		default:
			return { tone: "ok", head: "It would start, and reach its end.", why: "", more: would };
	}
}

const capital = (s: string) => s.charAt(0).toUpperCase() + s.slice(1);

/** Where the answer to a step came from, in words. */
export const origins: Readonly<Record<string, string>> = {
	mock: "an answer of this test",
	sample: "the sample reply of the catalogue",
	empty: "an empty reply, since the catalogue has no sample",
	recorded: "as an earlier run got it",
	live: "as a model said it just now",
	simulated: "made up to fit the schema; no model was asked",
	assumed: "assumed; no person was asked",
};

/** priceOf says what a test with live models may cost, and what is left for it. */
export function priceOf(most: number, left: number): string {
	const cost = most === 0 ? "It costs nothing" : `It costs at most ${counted(most, "credit")}`;
	return `${cost}, charged to this agent; the organization has ${counted(left, "credit")} left this month${left < most ? ", which is too few" : ""}.`;
}

/** chargeOf says what a test has cost. */
export function chargeOf({ charged }: Schema["TestResult"]["credits"]): string {
	return charged > 0 ? `The models cost ${counted(charged, "credit")}.` : "Nothing was charged.";
}
