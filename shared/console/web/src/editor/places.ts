// Places: which part of a text a path of the API means, and which path a position has.
import type { Entry, Node } from "./syntax.ts";

/** A Path leads to a part of a definition: ["steps", 2, "params", "ticket_id"]. */
export type Path = readonly (string | number)[];

export interface Range {
	from: number;
	to: number;
}

/** pathOf reads a path as the API writes it, such as `steps[2].params.ticket_id`. */
export function pathOf(text: string): Path {
	const path: (string | number)[] = [];
	for (const [, quoted, index, name] of text.matchAll(/\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|([^.[\]]+)/g)) {
		if (index !== undefined) path.push(Number(index));
		else path.push(quoted ?? name ?? "");
	}
	return path;
}

/** nameOf writes a path as the API does. */
export function nameOf(path: Path): string {
	return path.reduce<string>((text, part) => {
		if (typeof part === "number") return `${text}[${part}]`;
		if (!/^[^.[\]]+$/.test(part)) return `${text}[${JSON.stringify(part)}]`;
		return text ? `${text}.${part}` : part;
	}, "");
}

/** nodeAt returns the node of a path, or undefined. */
export function nodeAt(root: Node | undefined, path: Path): Node | undefined {
	let node = root;
	for (const part of path) {
		if (typeof part === "number") node = node?.items[part];
		else node = entryOf(node, part)?.value;
	}
	return node;
}

function entryOf(node: Node | undefined, key: string): Entry | undefined {
	return node?.entries.findLast((e) => e.key === key);
}

/** rangeOf returns what to mark for a fault: the value of the path if it is short, its key,
 * for a step its id; and for a part that is missing, the nearest one around it. */
export function rangeOf(root: Node | undefined, path: Path): Range {
	let node = root;
	let mark: Range = { from: root?.from ?? 0, to: (root?.from ?? 0) + (root ? 1 : 0) };
	for (const part of path) {
		const entry = typeof part === "string" ? entryOf(node, part) : undefined;
		const next = typeof part === "number" ? node?.items[part] : entry?.value;
		if (!next && !entry) break;
		mark = next && isShort(next) ? next : entry ? entry : opening(next);
		node = next;
	}
	return { from: mark.from, to: mark.to };
}

function isShort(node: Node): boolean {
	return node.kind === "string" || node.kind === "word";
}

/** An item of a list is marked at its id, or at its first sign. */
function opening(node: Node | undefined): Range {
	const id = entryOf(node, "id")?.value ?? entryOf(node, "field")?.value;
	return id ?? { from: node?.from ?? 0, to: (node?.from ?? 0) + 1 };
}

/** A Spot is where something is being written. */
export interface Spot {
	/** The object or list around it. */
	path: Path;
	/** A key of that object, the value of `key`, or an item of that list. */
	at: "key" | "value" | "item";
	key: string | undefined;
	/** What stands there already, without quotation marks, and its whole range. */
	from: number;
	to: number;
	typed: string;
	quoted: boolean;
	/** Keys that the object around it has, without the one that is being written. */
	present: readonly string[];
	/** Where a comma is missing before it. */
	comma: number | undefined;
}

/** spotAt returns the spot of a position, or undefined where nothing can be completed. */
export function spotAt(text: string, root: Node | undefined, pos: number): Spot | undefined {
	if (!root || pos <= root.from) return undefined;
	const path: (string | number)[] = [];
	let node = root;
	for (;;) {
		if (node.kind === "object") {
			const entry = node.entries.find((e) => within(e, pos) || (e.value && within(e.value, pos)));
			if (entry?.value && within(entry.value, pos)) {
				if (isShort(entry.value)) return spot(path, "value", entry.key, entry.value, node);
				path.push(entry.key);
				node = entry.value;
				continue;
			}
			if (entry) return spot(path, "key", undefined, entry, node);
			const last = node.entries.findLast((e) => (e.value?.to ?? e.to) <= pos);
			const between = text.slice(last ? (last.value?.to ?? last.to) : node.from + 1, pos);
			if (last && !last.value && /^\s*:\s*$/.test(between))
				return spot(path, "value", last.key, { from: pos, to: pos }, node);
			if (!/^[\s,]*$/.test(between)) return undefined;
			const comma = last?.value && !between.includes(",") ? last.value.to : undefined;
			return { ...spot(path, "key", undefined, { from: pos, to: pos }, node), comma };
		}
		const index = node.items.findIndex((item) => within(item, pos));
		const item = node.items[index];
		if (!item) return spot(path, "item", undefined, { from: pos, to: pos }, node);
		if (isShort(item)) return spot(path, "item", undefined, item, node);
		path.push(index);
		node = item;
	}

	function spot(around: Path, at: Spot["at"], key: string | undefined, range: Range, object: Node): Spot {
		const quoted = text.charAt(range.from) === '"';
		const open = quoted && (range.to === range.from + 1 || text.charAt(range.to - 1) !== '"');
		const from = quoted ? range.from + 1 : range.from;
		const to = quoted && !open ? range.to - 1 : range.to;
		return {
			path: [...around],
			at,
			key,
			from,
			to,
			typed: text.slice(from, Math.max(from, pos)),
			quoted,
			present: object.entries.filter((e) => e.from !== range.from).map((e) => e.key),
			comma: undefined,
		};
	}
}

/** within reports whether a position is in a part: inside of a container or at an end of a word. */
function within(part: Node | Entry, pos: number): boolean {
	if ("kind" in part && !isShort(part)) return pos > part.from && (pos < part.to || !part.closed);
	if ("kind" in part && part.kind === "string" && part.closed) return pos > part.from && pos < part.to;
	return pos >= part.from && pos <= part.to;
}

/** stepAt returns the path of the innermost step around a position, or undefined. */
export function stepAt(root: Node | undefined, pos: number): Path | undefined {
	let found: Path | undefined;
	let node = root;
	const path: (string | number)[] = [];
	while (node) {
		if (node.kind === "object") {
			const entry = node.entries.find((e) => e.value && pos >= e.from && pos <= e.value.to);
			if (!entry?.value) break;
			path.push(entry.key);
			node = entry.value;
		} else {
			const index = node.items.findIndex((item) => pos >= item.from && pos <= item.to);
			const list = path.at(-1);
			if (index < 0) break;
			path.push(index);
			if (list === "steps" || list === "else") found = [...path];
			node = node.items[index];
		}
	}
	return found;
}

/** where says a place in words: "step 2, recipients". */
export function where(path: string): string {
	const parts = pathOf(path);
	const words = parts.map((part, n) => {
		if (typeof part !== "number") {
			if (n === parts.length - 1) return part;
			return ["steps", "cases", "filters", "conditions", "else"].includes(part) ? "" : part;
		}
		const list = parts[n - 1];
		const names: Readonly<Record<string, string>> = {
			steps: "step",
			else: "other step",
			cases: "case",
			filters: "filter",
			conditions: "condition",
		};
		return `${names[String(list)] ?? "item"} ${part + 1}`;
	});
	return words.filter(Boolean).join(", ") || "the definition";
}
