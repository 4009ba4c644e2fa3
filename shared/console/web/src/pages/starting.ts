// Ways to start: the steps of a new agent, fitting its event.
import type { Schema } from "../door.ts";
import { type Doc, type Knowledge, knownAt } from "../editor/knowledge.ts";
import { skeleton } from "../editor/skeletons.ts";

/** The ways, each with its words. */
export const starts = [
	["judge", "AI judges, then a note", "A model reads the event, and its answer is written down."],
	["ask", "Ask a person, then act", "An approval shows the action before it happens."],
	["empty", "Only the beginning", "One short wait, to be replaced in the editor."],
] as const;

/** startOf returns the steps of a way. They are valid for the event, whatever it is. */
export function startOf(way: (typeof starts)[number][0], event: Schema["EventType"], knowledge: Knowledge): Doc[] {
	const trigger = { source_product: event.source_product, event_type: event.event_type };
	const make = (kind: Schema["StepType"], more: Doc, before: Doc[] = []): Doc => ({
		...skeleton(kind, { trigger, steps: before }, knowledge),
		...more,
	});
	const about = event.display_name;
	const has = (field: string) => field in event.sample_payload;
	switch (way) {
		case "judge": {
			const judge = make("ai_reason", {
				id: "judge",
				name: "Judge the event",
				model: "quick",
				prompt: `${about}: what happened, and what should be done? Answer in two sentences.\n\n{{ event_payload }}`,
				output_schema: {
					type: "object",
					properties: { advice: { type: "string", maxLength: 1000 } },
					required: ["advice"],
				},
			});
			const body = "{{ steps.judge.output.advice }}";
			// A note of a model's words stays internal: others may not read it without an approval
			const params = has("ticket_id")
				? { ticket_id: "{{ event_payload.ticket_id }}", body, visibility: "internal" }
				: { subject: about, description: body };
			const action = has("ticket_id") ? "add_note" : "create_ticket";
			const name = has("ticket_id") ? "Write it down" : "Open a ticket";
			return [judge, make("product_action", { id: "write", name, product: "psa", action, params }, [judge])];
		}
		case "ask": {
			const gate = make("approval_gate", { id: "ask", name: "Ask a person", message: questionOf(event, knowledge) });
			if (has("device_id")) {
				const params = { device_id: "{{ event_payload.device_id }}", reason: about };
				const more = { id: "act", name: "Isolate the device", product: "defend", action: "isolate_device", params };
				return [gate, make("product_action", more, [gate])];
			}
			return [gate, make("product_action", { id: "act" }, [gate])];
		}
		case "empty":
			return [make("wait", { id: "wait", duration_seconds: 1 })];
	}
}

/** questionOf asks about the event, with the first of its fields that names something. */
function questionOf(event: Schema["EventType"], knowledge: Knowledge): string {
	const trigger = { source_product: event.source_product, event_type: event.event_type };
	const [first] = knownAt({ trigger }, undefined, knowledge).filter((k) => typeof k.sample === "string");
	return first
		? `${event.display_name}: {{ ${first.path} | default: "unknown" | truncate: 100 }}. Go on?`
		: `${event.display_name}. Go on?`;
}
