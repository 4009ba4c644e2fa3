// Completion: what may stand at a place of a definition. It is a rule without any editor.
import { operators, stepTypes } from "../words.ts";
import {
	actionOf,
	at,
	clientFields,
	doc,
	eventOf,
	fieldsOf,
	type Knowledge,
	type Known,
	knownAt,
	text as textOf,
} from "./knowledge.ts";
import { type Path, type Range, type Spot, spotAt, stepAt } from "./places.ts";
import { enumOf, follow, type Shape, shapeAt } from "./schema.ts";
import { type Kind, skeleton } from "./skeletons.ts";
import { type Node, readNode } from "./syntax.ts";

/** An Offer is one thing that may stand there. */
export interface Offer {
	label: string;
	detail?: string;
	info?: string;
	/** The text that replaces `range`. */
	insert: string;
	/** Where the cursor is in it afterwards; by default at its end. */
	cursor?: number;
}

export interface Offers {
	/** Where the word begins by which offers are chosen. */
	from: number;
	/** What an offer replaces. */
	range: Range;
	/** Where a comma is inserted too. */
	comma: number | undefined;
	offers: Offer[];
}

/** offersAt returns what may stand at a position, or undefined when nothing is known. */
export function offersAt(text: string, root: Node | undefined, pos: number, knowledge: Knowledge): Offers | undefined {
	const spot = spotAt(text, root, pos);
	if (!spot) return undefined;
	const definition = readNode(text, root);
	if (spot.quoted && spot.at !== "key") {
		const inside = placeholder(spot, definition, stepAt(root, pos), knowledge, pos);
		if (inside) return inside;
	}
	const range = spot.quoted
		? { from: spot.from - 1, to: text.charAt(spot.to) === '"' ? spot.to + 1 : spot.to }
		: { from: spot.from, to: spot.to };
	const offers =
		spot.at === "key" ? keysAt(text, spot, range, definition, knowledge) : valuesAt(spot, definition, knowledge);
	return offers.length > 0 ? { from: spot.from, range, comma: spot.comma, offers } : undefined;
}

// ---- keys ----

function keysAt(text: string, spot: Spot, range: Range, definition: unknown, knowledge: Knowledge): Offer[] {
	const rest = text.slice(range.to);
	const named = /^\s*:/.test(rest); // the value is there already
	const tail = /^\s*["{[\w]/.test(rest) ? "," : "";
	const offer = (key: string, value: unknown, more: Omit<Offer, "label" | "insert">): Offer => {
		const head = JSON.stringify(key);
		if (named) return { label: key, insert: head, ...more };
		const shown = JSON.stringify(value);
		const insert = `${head}: ${shown}${tail}`;
		const inner = /^(""|\[\]|\{\})$/.test(shown) ? 1 : shown.length;
		return { label: key, insert, cursor: head.length + 2 + inner, ...more };
	};
	const absent = (key: string) => !spot.present.includes(key);
	if (spot.path.at(-1) === "params") {
		const action = actionOf(at(definition, spot.path.slice(0, -1)), knowledge.actions);
		return (action?.params ?? [])
			.filter((p) => absent(p.name))
			.map((p) =>
				offer(p.name, p.enum_values?.[0] ?? blanks[p.type], {
					detail: p.required ? "required" : p.type,
					info: p.description,
				}),
			);
	}
	const shape = shapeAt(spot.path, definition);
	return Object.entries(shape?.properties ?? {})
		.filter(([key]) => absent(key))
		.map(([key, part]) =>
			offer(key, blankOf(part), {
				...(shape?.required?.includes(key) ? { detail: "required" } : {}),
				info: follow(part).description ?? "",
			}),
		);
}

const blanks: Readonly<Record<string, unknown>> = {
	string: "",
	number: 0,
	integer: 0,
	boolean: true,
	enum: "",
	object: {},
	array: [],
};

/** blankOf returns a value to begin with. */
function blankOf(part: Shape): unknown {
	const shape = follow(part);
	if (shape.default !== undefined) return shape.default;
	const [first] = enumOf(shape);
	if (first !== undefined && !shape.oneOf?.some((s) => follow(s).type === "object")) return first;
	const type = Array.isArray(shape.type) ? shape.type[0] : shape.type;
	return type ? (blanks[type] ?? null) : shape.oneOf ? {} : "";
}

// ---- values ----

function valuesAt(spot: Spot, definition: unknown, knowledge: Knowledge): Offer[] {
	const around = at(definition, spot.path);
	const key = spot.at === "item" ? String(spot.path.at(-1)) : spot.key;
	const place = spot.path.map((part) => (typeof part === "number" ? "#" : part)).join(".");
	const value = (v: unknown, more: Omit<Offer, "label" | "insert"> = {}): Offer => ({
		label: typeof v === "string" ? v : JSON.stringify(v),
		insert: JSON.stringify(v),
		...more,
	});

	if (place === "trigger" && key === "source_product") {
		return [...new Set(knowledge.events.map((e) => e.source_product))].map((p) => value(p));
	}
	if (place === "trigger" && key === "event_type") {
		const product = doc(around).source_product;
		const ofProduct = knowledge.events.filter((e) => e.source_product === product);
		return (ofProduct.length > 0 ? ofProduct : knowledge.events).map((e) =>
			value(e.event_type, { detail: e.display_name, info: e.description }),
		);
	}
	// A comparison: a filter of the trigger, a condition, an if or a when
	const compared = spot.at === "item" ? at(definition, spot.path.slice(0, -1)) : around;
	if (isComparison(compared, place)) {
		const filter = place.startsWith("trigger.filters");
		const fields = comparable(definition, doc(compared), filter, spot.path, knowledge);
		if (key === "field") return fields.map((f) => value(f.path, about(f)));
		const field = eventOf(definition, knowledge.events)?.filterable_fields.find(
			(f) => f.path === doc(compared).field && inEvent(doc(compared)),
		);
		if (key === "operator") {
			return operatorsOf(field?.type).map((o) => value(o, { detail: operators[o as keyof typeof operators] ?? "" }));
		}
		if (key === "value") {
			const sample = fields.find((f) => f.path === doc(compared).field)?.sample;
			const all =
				field?.enum_values ?? (field?.type === "boolean" ? [true, false] : sample === undefined ? [] : [sample]);
			const many = spot.at === "value" && ["in", "not_in"].includes(textOf(doc(compared).operator));
			return all.map((v) => (many ? { ...value([v]), label: JSON.stringify([v]) } : value(v)));
		}
	}
	// A step
	if (spot.at === "item" && (key === "steps" || key === "else")) {
		return (Object.keys(stepTypes) as Kind[]).map((kind) => {
			const insert = JSON.stringify(skeleton(kind, definition, knowledge), null, 2);
			return { label: kind, detail: stepTypes[kind], insert };
		});
	}
	if (spot.at === "item" && key === "filters") {
		const field = eventOf(definition, knowledge.events)?.filterable_fields[0]?.path ?? "";
		return [value({ field, operator: "eq", value: "" }, { detail: "a filter" })].map((o) => ({
			...o,
			label: "filter",
		}));
	}
	if (isStep(spot.path)) {
		if (key === "type") return Object.entries(stepTypes).map(([kind, name]) => value(kind, { detail: name }));
		if (key === "product") return [...new Set(knowledge.actions.map((a) => a.product))].map((p) => value(p));
		if (key === "action") {
			const product = doc(around).product;
			const ofProduct = knowledge.actions.filter((a) => a.product === product);
			return (ofProduct.length > 0 ? ofProduct : knowledge.actions).map((a) =>
				value(a.action, {
					detail: a.destructive ? `${a.display_name} · destructive` : a.display_name,
					info: a.description,
				}),
			);
		}
	}
	if (spot.path.at(-1) === "params") {
		const action = actionOf(at(definition, spot.path.slice(0, -1)), knowledge.actions);
		const param = action?.params.find((p) => p.name === key);
		const all = param?.enum_values ?? (param?.type === "boolean" ? [true, false] : []);
		return all.map((v) => value(v, { info: param?.description ?? "" }));
	}
	const shape = shapeAt(spot.at === "item" ? spot.path : [...spot.path, String(key)], definition);
	return enumOf(spot.at === "item" ? shape?.items : shape).map((v) => value(v));
}

/** isStep reports whether a path is that of a step. */
export function isStep(path: Path): boolean {
	return typeof path.at(-1) === "number" && ["steps", "else"].includes(String(path.at(-2)));
}

function isComparison(value: unknown, place: string): boolean {
	return (
		/(^|\.)(filters|conditions|all|any)\.#(\.value)?$|(^|\.)(if|when)(\.value)?$/.test(place) && !Array.isArray(value)
	);
}

function inEvent(comparison: { context?: unknown }): boolean {
	return comparison.context === undefined || comparison.context === "event";
}

function comparable(
	definition: unknown,
	comparison: { context?: unknown },
	filter: boolean,
	path: Path,
	knowledge: Knowledge,
): Known[] {
	const event = eventOf(definition, knowledge.events);
	if (filter) return fieldsOf(event).slice(0, event?.filterable_fields.length ?? 0);
	if (comparison.context === "client_context") return [...clientFields];
	if (comparison.context !== "run") return fieldsOf(event);
	const step = path.findLastIndex((part, n) => isStep(path.slice(0, n + 1)) && typeof part === "number");
	return knownAt(definition, path.slice(0, step + 1), knowledge);
}

/** operatorsOf returns the operators that may hold for a field of a type. */
function operatorsOf(type: string | undefined): string[] {
	switch (type) {
		case "number":
			return ["eq", "ne", "gt", "gte", "lt", "lte", "in", "not_in", "exists"];
		case "boolean":
			return ["eq", "ne", "exists"];
		case "string":
		case "enum":
			return ["eq", "ne", "in", "not_in", "contains", "starts_with", "ends_with", "exists"];
		default:
			return Object.keys(operators);
	}
}

// ---- placeholders ----

/** The filters of placeholders, as the API lists them. */
export const filters = (
	"abs append at_least at_most capitalize ceil compact concat date default divided_by downcase escape escape_once " +
	"first floor join json last lstrip map minus modulo newline_to_br plus prepend remove remove_first remove_last " +
	"replace replace_first replace_last reverse round rstrip size slice sort sort_natural split strip strip_html " +
	"strip_links strip_newlines sum times truncate truncatewords uniq upcase url_decode url_encode where"
).split(" ");

/** Filters that take an argument begin with one. */
const argument: Readonly<Record<string, string>> = {
	default: ': \\"\\"',
	truncate: ": 100",
	truncatewords: ": 20",
	date: ': \\"%Y-%m-%d\\"',
	join: ': \\", \\"',
	split: ': \\",\\"',
	append: ': \\"\\"',
	prepend: ': \\"\\"',
	remove: ': \\"\\"',
	map: ': \\"\\"',
	plus: ": 1",
	minus: ": 1",
	times: ": 1",
	divided_by: ": 1",
	modulo: ": 1",
	at_least: ": 0",
	at_most: ": 0",
};

function placeholder(
	spot: Spot,
	definition: unknown,
	step: Path | undefined,
	knowledge: Knowledge,
	pos: number,
): Offers | undefined {
	const open = spot.typed.lastIndexOf("{{");
	if (open < 0 || spot.typed.indexOf("}}", open) >= 0) return undefined;
	const inside = spot.typed.slice(open + 2);
	const filter = /\|\s*(\w*)$/.exec(inside);
	if (filter) {
		const from = pos - (filter[1]?.length ?? 0);
		const offers = filters.map((name) => ({ label: name, detail: "filter", insert: name + (argument[name] ?? "") }));
		return { from, range: { from, to: pos }, comma: undefined, offers };
	}
	if (!/^\s*[\w.[\]]*$/.test(inside)) return undefined;
	const from = pos - (/[\w.[\]]*$/.exec(inside)?.[0].length ?? 0);
	const offers = knownAt(definition, step, knowledge).map((known) => ({
		label: known.path,
		insert: known.path,
		...about(known),
	}));
	return { from, range: { from, to: pos }, comma: undefined, offers };
}

function about(known: Known): { detail: string; info: string } {
	const sample = known.sample === undefined ? "" : shortened(known.sample);
	return { detail: sample, info: known.about };
}

/** shortened returns a value as a short text. */
export function shortened(value: unknown): string {
	const text = JSON.stringify(value) ?? "";
	return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

// ---- tips ----

export interface Tip extends Range {
	title: string;
	text: string;
}

/** tipAt says what the word at a position means. */
export function tipAt(text: string, root: Node | undefined, pos: number, knowledge: Knowledge): Tip | undefined {
	const definition = readNode(text, root);
	const spot = spotAt(text, root, pos);
	if (!spot) return undefined;
	if (spot.at !== "key" && spot.quoted) {
		const whole = text.slice(spot.from, spot.to);
		for (const found of whole.matchAll(/\{\{\s*([\w.[\]]+)/g)) {
			const path = found[1] ?? "";
			const from = spot.from + found.index + found[0].length - path.length;
			if (pos < from || pos > from + path.length) continue;
			const known = knownAt(definition, stepAt(root, pos), knowledge).find((k) => k.path === path);
			if (!known) return undefined;
			const sample = known.sample === undefined ? "" : `For example ${shortened(known.sample)}`;
			return { from, to: from + path.length, title: known.about, text: sample };
		}
	}
	const range = { from: spot.from, to: spot.to };
	if (spot.at === "key") {
		const key = text.slice(spot.from, spot.to);
		if (spot.path.at(-1) === "params") {
			const param = actionOf(at(definition, spot.path.slice(0, -1)), knowledge.actions)?.params.find(
				(p) => p.name === key,
			);
			return (
				param && { ...range, title: `${param.type}${param.required ? ", required" : ""}`, text: param.description }
			);
		}
		const shape = shapeAt([...spot.path, key], definition);
		return shape?.description ? { ...range, title: key, text: shape.description } : undefined;
	}
	const here = text.slice(spot.from, spot.to);
	const found = valuesAt(spot, definition, knowledge).find((o) => o.label === here);
	return found && (found.info || found.detail)
		? { ...range, title: found.detail || found.label, text: found.info ?? "" }
		: undefined;
}
