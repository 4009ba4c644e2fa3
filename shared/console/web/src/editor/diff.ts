// Differences of two definitions: by step, in words, and line by line.
import { plain } from "../words.ts";
import { type Doc, doc, list, text } from "./knowledge.ts";

/** A Change is one difference. */
export interface Change {
	kind: "added" | "removed" | "moved" | "changed";
	/** The step, or undefined for a field of the agent. */
	step?: { id: string; name: string; type: string };
	/** Where it is: "in the case 1 of Choose", or "". */
	within: string;
	/** The changed fields of the agent or of a step that is in both. */
	fields: FieldChange[];
}

/** A FieldChange is a value that differs; undefined is absent. */
export interface FieldChange {
	path: string;
	before: unknown;
	after: unknown;
}

interface Placed {
	step: Doc;
	id: string;
	/** The list that it is in, and its place there. */
	list: string;
	within: string;
	index: number;
}

const top: readonly string[] = [
	"name",
	"description",
	"category",
	"trigger",
	"conditions",
	"conflict_behavior",
	"client_scope",
	"execution_limit",
];

/** changes returns the differences between two definitions, in the order of the newer one. */
export function changes(before: unknown, after: unknown): Change[] {
	const [old, now] = [doc(before), doc(after)];
	const fields = top.flatMap((key) => fieldChanges(old[key] ?? undefined, now[key] ?? undefined, key));
	const [steps, next] = [placed(old), placed(now)];
	const was = new Map(steps.map((s) => [s.id, s]));
	const is = new Map(next.map((s) => [s.id, s]));
	const moved = movedIds(steps, next);
	const found: Change[] = [];
	if (fields.length > 0) found.push({ kind: "changed", within: "", fields });
	for (const s of steps)
		if (!is.has(s.id)) found.push({ kind: "removed", step: shown(s), within: s.within, fields: [] });
	for (const s of next) {
		const earlier = was.get(s.id);
		if (!earlier) {
			found.push({ kind: "added", step: shown(s), within: s.within, fields: [] });
			continue;
		}
		if (moved.has(s.id)) found.push({ kind: "moved", step: shown(s), within: s.within, fields: [] });
		const differing = fieldChanges(own(earlier.step), own(s.step), "");
		if (differing.length > 0) found.push({ kind: "changed", step: shown(s), within: s.within, fields: differing });
	}
	return found;
}

function shown({ step, id }: Placed): { id: string; name: string; type: string } {
	return { id, name: text(step.name) || plain(id), type: text(step.type) };
}

/** own returns the fields of a step without the steps inside it, which are compared by themselves. */
function own(step: Doc): Doc {
	const { cases, else: otherwise, ...rest } = step;
	if (cases === undefined && otherwise === undefined) return rest;
	return { ...rest, cases: list(cases).map((c) => doc(c).when) };
}

/** placed returns all steps with their places. Two steps of one id, in a text that is not
 * valid yet, are told apart by a number. */
function placed(definition: Doc): Placed[] {
	const found: Placed[] = [];
	const seen = new Map<string, number>();
	const walk = (steps: unknown, name: string, within: string) => {
		list(steps)
			.map(doc)
			.forEach((step, index) => {
				const given = text(step.id) || `step ${index + 1}`;
				const n = (seen.get(given) ?? 0) + 1;
				seen.set(given, n);
				const id = n > 1 ? `${given} (${n})` : given;
				found.push({ step, id, list: name, within, index });
				const title = text(step.name) || plain(id);
				list(step.cases).forEach((c, k) => {
					walk(doc(c).steps, `${id}.${k}`, `in case ${k + 1} of ${title}`);
				});
				walk(step.else, `${id}.else`, `in the other case of ${title}`);
			});
	};
	walk(definition.steps, "", "");
	return found;
}

/** movedIds returns the steps that are in another list, or in another order among those that
 * both definitions have: as few as explain the new order. */
function movedIds(before: Placed[], after: Placed[]): Set<string> {
	const was = new Map(before.map((s) => [s.id, s]));
	const moved = new Set<string>();
	const lists = new Map<string, Placed[]>();
	for (const s of after) {
		const earlier = was.get(s.id);
		if (!earlier) continue;
		if (earlier.list !== s.list) moved.add(s.id);
		else lists.set(s.list, [...(lists.get(s.list) ?? []), earlier]);
	}
	for (const kept of lists.values()) {
		const stay = new Set(rising(kept.map((s) => s.index)));
		for (const s of kept) if (!stay.has(s.index)) moved.add(s.id);
	}
	return moved;
}

/** rising returns a longest rising part of a list of different numbers. */
function rising(numbers: readonly number[]): number[] {
	const best: number[][] = [];
	numbers.forEach((n, i) => {
		const longest = best
			.slice(0, i)
			.reduce<number[]>((a, b) => ((b.at(-1) ?? 0) < n && b.length > a.length ? b : a), []);
		best.push([...longest, n]);
	});
	return best.reduce<number[]>((a, b) => (b.length > a.length ? b : a), []);
}

/** fieldChanges returns the values that differ, each at its smallest part. Lists of plain
 * values and of different lengths are one value. */
function fieldChanges(before: unknown, after: unknown, path: string): FieldChange[] {
	if (same(before, after)) return [];
	if (isObject(before) && isObject(after)) {
		const keys = [...new Set([...Object.keys(after), ...Object.keys(before)])];
		return keys.flatMap((key) => fieldChanges(before[key], after[key], path ? `${path}.${key}` : key));
	}
	if (Array.isArray(before) && Array.isArray(after) && before.length === after.length && after.some(isObject)) {
		return after.flatMap((item, n) => fieldChanges(before[n], item, `${path}[${n}]`));
	}
	return [{ path, before, after }];
}

function isObject(value: unknown): value is Doc {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** same reports whether two values are equal; the order of keys does not matter. */
export function same(a: unknown, b: unknown): boolean {
	if (a === b) return true;
	if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((v, n) => same(v, b[n]));
	if (!isObject(a) || !isObject(b)) return false;
	const keys = Object.keys(a);
	return keys.length === Object.keys(b).length && keys.every((key) => key in b && same(a[key], b[key]));
}

const mostNamed = 3;

/** summary says in one line what has changed: "Confirm added, prompt of Judge changed". */
export function summary(found: readonly Change[]): string {
	if (found.length === 0) return "nothing changed";
	const parts = found.flatMap((change) => {
		const { step } = change;
		if (change.kind !== "changed") return [`${step?.name ?? ""} ${change.kind}`];
		const names = [...new Set(change.fields.map((f) => fieldName(f.path, step !== undefined)))];
		const shownNames = names.length > 2 ? `${names.length} fields` : names.join(" and ");
		return [step ? `${shownNames} of ${step.name} changed` : `${shownNames} changed`];
	});
	const more = parts.length - mostNamed;
	return [...parts.slice(0, mostNamed), ...(more > 0 ? [`${more} more`] : [])].join(", ");
}

/** fieldName returns the first name of a path; for a trigger and parameters the first two. */
function fieldName(path: string, ofStep: boolean): string {
	const [first = "", second] = path.split(/[.[]/);
	if (ofStep && first === "params" && second) return second;
	return !ofStep && first === "trigger" && second ? plain(second).toLowerCase() : plain(first).toLowerCase();
}

// ---- lines ----

/** A Line is one line of a comparison of two texts. */
export interface Line {
	kind: "same" | "added" | "removed";
	text: string;
	/** Its numbers in the two texts. */
	before: number | undefined;
	after: number | undefined;
}

const mostWork = 4_000_000; // steps of the search, before the rest counts as replaced

/** lines compares two texts line by line (Myers' algorithm). */
export function lines(before: string, after: string): Line[] {
	const a = before.replace(/\n$/, "").split("\n");
	const b = after.replace(/\n$/, "").split("\n");
	let start = 0;
	while (start < a.length && start < b.length && a[start] === b[start]) start++;
	let end = 0;
	while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
	const found: Line[] = [];
	let [i, j] = [0, 0];
	const push = (kind: Line["kind"]) => {
		const line = kind === "added" ? b[j] : a[i];
		found.push({
			kind,
			text: line ?? "",
			before: kind === "added" ? undefined : ++i,
			after: kind === "removed" ? undefined : ++j,
		});
	};
	for (let n = 0; n < start; n++) push("same");
	for (const kind of script(a.slice(start, a.length - end), b.slice(start, b.length - end))) push(kind);
	for (let n = 0; n < end; n++) push("same");
	return found;
}

/** script returns the shortest list of steps that makes b of a. */
function script(a: string[], b: string[]): Line["kind"][] {
	const most = a.length + b.length;
	const furthest = new Map<number, number>([[1, 0]]);
	const trail: Map<number, number>[] = [];
	let work = 0;
	for (let d = 0; d <= most; d++) {
		trail.push(new Map(furthest));
		for (let k = -d; k <= d; k += 2) {
			if (++work > mostWork) return [...a.map(() => "removed" as const), ...b.map(() => "added" as const)];
			const down = k === -d || (k !== d && (furthest.get(k - 1) ?? -1) < (furthest.get(k + 1) ?? -1));
			let x = down ? (furthest.get(k + 1) ?? 0) : (furthest.get(k - 1) ?? 0) + 1;
			while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
			furthest.set(k, x);
			if (x >= a.length && x - k >= b.length) return back(trail, a.length, b.length);
		}
	}
	return [];
}

function back(trail: readonly Map<number, number>[], width: number, height: number): Line["kind"][] {
	const found: Line["kind"][] = [];
	let [x, y] = [width, height];
	for (let d = trail.length - 1; d >= 0; d--) {
		const furthest = trail[d] ?? new Map<number, number>();
		const k = x - y;
		const down = k === -d || (k !== d && (furthest.get(k - 1) ?? -1) < (furthest.get(k + 1) ?? -1));
		const from = down ? k + 1 : k - 1;
		const [px, py] = [furthest.get(from) ?? 0, (furthest.get(from) ?? 0) - from];
		while (x > px && y > py) {
			found.push("same");
			x--;
			y--;
		}
		if (d > 0) found.push(down ? "added" : "removed");
		[x, y] = [px, py];
	}
	return found.reverse();
}

/** A Hunk is a part of a comparison: changed lines with their neighbours, or a number of
 * equal lines that are left out. */
export type Hunk = { lines: Line[] } | { skipped: number };

/** hunks leaves out equal lines that are far from every change. */
export function hunks(all: readonly Line[], near = 3): Hunk[] {
	const changed = all.flatMap((line, n) => (line.kind === "same" ? [] : [n]));
	const keep = new Set(changed.flatMap((n) => Array.from({ length: 2 * near + 1 }, (_, k) => n - near + k)));
	const found: Hunk[] = [];
	all.forEach((line, n) => {
		const last = found.at(-1);
		if (keep.has(n)) {
			if (last && "lines" in last) last.lines.push(line);
			else found.push({ lines: [line] });
		} else if (last && "skipped" in last) last.skipped++;
		else found.push({ skipped: 1 });
	});
	return found;
}
