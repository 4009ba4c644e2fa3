// Skeletons: steps to begin with. Each is valid as it is, for the event of the definition.
import type { Schema } from "../door.ts";
import { type Doc, doc, eventOf, type Knowledge, list, text } from "./knowledge.ts";
import { nodeAt, type Path, stepAt } from "./places.ts";
import { type Node, readNode } from "./syntax.ts";

export type Kind = Schema["StepType"];

const bases: Readonly<Record<Kind, string>> = {
	ai_reason: "think",
	product_action: "act",
	notification: "tell",
	approval_gate: "ask",
	branch: "choose",
	wait: "wait",
};

/** skeleton returns a step of a kind whose id the definition does not have yet. */
export function skeleton(kind: Kind, definition: unknown, knowledge: Knowledge): Doc {
	const taken = idsOf(definition);
	const free = (base: string) => {
		let id = base;
		for (let n = 2; taken.has(id); n++) id = `${base}_${n}`;
		taken.add(id);
		return id;
	};
	return { id: free(bases[kind]), type: kind, ...restOf(kind, definition, knowledge, free) };
}

function restOf(kind: Kind, definition: unknown, knowledge: Knowledge, free: (base: string) => string): Doc {
	const event = eventOf(definition, knowledge.events);
	switch (kind) {
		case "ai_reason":
			return { name: "Judge the event", model: "standard", prompt: "What happened here? {{ event_payload }}" };
		case "product_action":
			return event && "ticket_id" in event.sample_payload
				? {
						name: "Write a note",
						product: "psa",
						action: "add_note",
						params: { ticket_id: "{{ event_payload.ticket_id }}", body: "Seen.", visibility: "internal" },
					}
				: {
						name: "Open a ticket",
						product: "psa",
						action: "create_ticket",
						params: { subject: event?.display_name ?? "An event came" },
					};
		case "notification":
			return {
				name: "Tell somebody",
				channel: "email",
				recipients: ["somebody@example.com"],
				subject: event?.display_name ?? "An event came",
				body: "{{ event_payload }}",
			};
		case "approval_gate":
			return { name: "Ask a person", message: "Shall this go on?", timeout_seconds: 7200, on_expiry: "deny" };
		case "branch":
			return {
				name: "Choose",
				cases: [
					{
						when: {
							context: "event",
							field: event?.filterable_fields[0]?.path ?? "client_id",
							operator: "exists",
							value: true,
						},
						steps: [{ id: free("wait"), type: "wait", duration_seconds: 60 }],
					},
				],
			};
		case "wait":
			return { duration_seconds: 60 };
	}
}

/** idsOf returns the ids of all steps of a definition. */
export function idsOf(definition: unknown): Set<string> {
	const ids = new Set<string>();
	const walk = (steps: unknown) => {
		for (const step of list(steps).map(doc)) {
			if (text(step.id)) ids.add(text(step.id));
			if (text(step.output_var)) ids.add(text(step.output_var));
			for (const one of list(step.cases)) walk(doc(one).steps);
			walk(step.else);
		}
	};
	walk(doc(definition).steps);
	return ids;
}

/** An Insertion is a text to insert, and where the cursor is afterwards. */
export interface Insertion {
	from: number;
	insert: string;
	cursor: number;
}

/** insertStep returns what to insert for a new step after that of a position, or at the end
 * of the steps; undefined when the text has no list of steps. */
export function insertStep(
	text: string,
	root: Node | undefined,
	pos: number,
	kind: Kind,
	knowledge: Knowledge,
): Insertion | undefined {
	const step = stepAt(root, pos);
	const path: Path = step ? step.slice(0, -1) : ["steps"];
	const steps = nodeAt(root, path);
	if (steps?.kind !== "array" || !steps.closed) return undefined;
	const before = steps.items[step ? Number(step.at(-1)) : steps.items.length - 1];
	const lead = /^[\t ]*/.exec(text.slice(text.lastIndexOf("\n", (before ?? steps).from - 1) + 1))?.[0] ?? "";
	const indent = before ? lead : `${lead}  `;
	const made = JSON.stringify(skeleton(kind, readNode(text, root), knowledge), null, 2).replaceAll("\n", `\n${indent}`);
	const from = before ? before.to : steps.from + 1;
	const insert = before ? `,\n${indent}${made}` : `\n${indent}${made}${steps.items.length > 0 ? "," : `\n${lead}`}`;
	return { from, insert, cursor: from + insert.indexOf('"type"') };
}
