// What the editor knows besides the schema: the catalogue, and the values that placeholders
// may name at a step.
import type { Schema } from "../door.ts";
import { nameOf, type Path } from "./places.ts";

export interface Knowledge {
	events: readonly Schema["EventType"][];
	actions: readonly Schema["CatalogAction"][];
}

/** A Known is a value that a placeholder may name. */
export interface Known {
	path: string;
	/** Where it comes from, or what it means. */
	about: string;
	/** An example of it, if there is one. */
	sample: unknown;
}

export type Doc = Record<string, unknown>;

/** doc returns a value as an object; what is none is empty. */
export function doc(value: unknown): Doc {
	return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Doc) : {};
}

/** list returns a value as a list; what is none is empty. */
export function list(value: unknown): unknown[] {
	return Array.isArray(value) ? value : [];
}

export function text(value: unknown): string {
	return typeof value === "string" ? value : "";
}

/** at returns the value of a path. */
export function at(value: unknown, path: Path): unknown {
	return path.reduce<unknown>((here, part) => (typeof part === "number" ? list(here)[part] : doc(here)[part]), value);
}

/** eventOf returns the event type that a definition listens for, if the catalogue has it. */
export function eventOf(definition: unknown, events: Knowledge["events"]): Schema["EventType"] | undefined {
	const trigger = doc(doc(definition).trigger);
	return events.find((e) => e.source_product === trigger.source_product && e.event_type === trigger.event_type);
}

/** actionOf returns the action that a step calls, if the catalogue has it. */
export function actionOf(step: unknown, actions: Knowledge["actions"]): Schema["CatalogAction"] | undefined {
	const { product, action } = doc(step);
	return actions.find((a) => a.product === product && a.action === action);
}

const envelope: readonly (readonly [name: string, about: string])[] = [
	["id", "the id that the product gave the event"],
	["event_type", "the type of the event"],
	["source_product", "the product that published it"],
	["org_id", "your organization"],
	["client_id", "the client that the event is about; it may be missing"],
	["published_at", "when the product published it"],
];

const profile: readonly (readonly [name: string, about: string])[] = [
	["security_posture_score", "a number of the client's profile"],
	["recent_incidents", "a number of the client's profile"],
	["device_inventory.count", "the number of the client's devices"],
	["device_inventory.devices", "the client's devices, a list"],
];

const own: readonly (readonly [path: string, about: string])[] = [
	["agent.id", "the id of this agent"],
	["agent.name", "the name of this agent"],
	["agent.version", "the version that runs"],
	["execution.id", "the id of the run"],
	["execution.created_at", "when the run was created"],
	["execution.retry_of", "the run that this one retries"],
];

const verdict: readonly (readonly [name: string, about: string])[] = [
	["decision", "approved, denied or expired"],
	["decided_by", "the person who decided"],
	["note", "the note of that person"],
];

/** clientFields are the fields of a client's profile. */
export const clientFields: readonly Known[] = profile.map(([path, about]) => ({ path, about, sample: undefined }));

/** fieldsOf returns the fields of an event that a condition may name: those of the catalogue
 * first, then those of the sample. */
export function fieldsOf(event: Schema["EventType"] | undefined): Known[] {
	if (!event) return [];
	const sample = leaves(event.sample_payload, "", "in the sample");
	const listed = event.filterable_fields.map((f) => ({
		path: f.path,
		about: f.label,
		sample: sample.find((s) => s.path === f.path)?.sample,
	}));
	return [...listed, ...sample.filter((s) => !listed.some((l) => l.path === s.path))];
}

/** knownAt returns the values that a placeholder may name in a step: of the event, of the
 * client, of earlier steps on the same path, and of the run. */
export function knownAt(definition: unknown, step: Path | undefined, knowledge: Knowledge): Known[] {
	const event = eventOf(definition, knowledge.events);
	const labels = new Map(event?.filterable_fields.map((f) => [f.path, f.label]));
	return [
		...leaves(event?.sample_payload ?? {}, "event_payload", "").map((k) => ({
			...k,
			about: labels.get(k.path.slice("event_payload.".length)) ?? "of the event",
		})),
		...earlier(definition, step).flatMap((s) => outputsOf(s)),
		...envelope.map(([name, about]) => ({ path: `event.${name}`, about, sample: undefined })),
		...profile.map(([name, about]) => ({ path: `client_context.${name}`, about, sample: undefined })),
		...own.map(([path, about]) => ({ path, about, sample: undefined })),
	];
}

/** earlier returns the steps before a step, in its own list and in those around it. */
function earlier(definition: unknown, step: Path | undefined): Doc[] {
	if (!step) return [];
	return step.flatMap((part, n) => {
		if (typeof part !== "number" || !["steps", "else"].includes(String(step[n - 1]))) return [];
		return list(at(definition, step.slice(0, n)))
			.slice(0, part)
			.map(doc);
	});
}

function outputsOf(step: Doc): Known[] {
	const id = text(step.id);
	if (!id) return [];
	const name = text(step.name) || id;
	const root = text(step.output_var) || `steps.${id}.output`;
	const whole = { path: root, about: `what “${name}” returned`, sample: undefined };
	if (step.type === "approval_gate") {
		return [
			...verdict.map(([key, about]) => ({
				path: `${root}.${key}`,
				about: `${about}, of “${name}”`,
				sample: undefined,
			})),
			whole,
		];
	}
	if (step.type !== "ai_reason") return [whole];
	if (!step.output_schema) return [{ path: `${root}.text`, about: `the answer to “${name}”`, sample: undefined }];
	return [...promised(doc(step.output_schema), root, name, 0), whole];
}

/** promised returns the properties of an output schema. */
function promised(schema: Doc, root: string, name: string, depth: number): Known[] {
	return Object.entries(doc(schema.properties)).flatMap(([key, value]) => {
		const part = doc(value);
		const path = nameOf([...root.split("."), key]);
		const values = list(part.enum).map((v) => JSON.stringify(v));
		const about = `from the answer to “${name}”${values.length > 0 ? `: ${values.join(", ")}` : ""}`;
		const below = depth < 3 ? promised(part, path, name, depth + 1) : [];
		return [{ path, about, sample: undefined }, ...below];
	});
}

const most = 200; // values that are offered from one sample

/** leaves returns the values in a sample, at most four levels deep. */
function leaves(sample: unknown, root: string, about: string, depth = 0): Known[] {
	const parts: [string | number, unknown][] = Array.isArray(sample)
		? sample.slice(0, 1).map((v, n) => [n, v])
		: Object.entries(doc(sample));
	return parts
		.flatMap(([key, value]) => {
			const path = typeof key === "number" ? `${root}[${key}]` : root ? `${root}.${key}` : key;
			const below = depth < 3 && typeof value === "object" ? leaves(value, path, about, depth + 1) : [];
			return [{ path, about, sample: value }, ...below];
		})
		.slice(0, most);
}
