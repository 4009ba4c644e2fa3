// A definition in words: when it starts, what its steps do, and what a run costs. It reads
// any text that is JSON, so that it can follow an author who is not finished.
import { actionOf, type Doc, doc, eventOf, type Knowledge, list, text } from "../editor/knowledge.ts";
import { channels, counted, listed, manyRoles, operators, plain, word } from "../words.ts";

/** A Line is one step of the flow. */
export interface Line {
	/** Its place in the definition, such as `steps[2].cases[0].steps[1]`. */
	path: string;
	id: string;
	/** Its number at its level: "1", "5.2". */
	number: string;
	type: string;
	name: string;
	/** What it does. */
	does: string;
	/** What later steps may read of it. */
	gives: string;
	/** Under which condition it runs; empty for always. */
	only: string;
	destructive: boolean;
	/** The gate that is passed before a destructive step; empty without one. */
	guard: string;
	credits: number;
	cases: { label: string; lines: Line[] }[];
}

/** An Outline is a whole definition. */
export interface Outline {
	product: string;
	event: string;
	about: string;
	/** Under which conditions it starts, each a sentence. */
	only: string[];
	clients: string;
	limit: string;
	lines: Line[];
	/** The credits of a run: at least and at most. */
	least: number;
	most: number;
}

const prices: Readonly<Record<string, number>> = { quick: 5, standard: 20, premium: 100, expert: 200 };

/** outlineOf describes a definition. */
export function outlineOf(definition: unknown, knowledge: Knowledge): Outline {
	const given = doc(definition);
	const trigger = doc(given.trigger);
	const event = eventOf(given, knowledge.events);
	const labels = new Map(event?.filterable_fields.map((f) => [f.path, f.label]));
	const { lines } = walk(given.steps, "steps", "", "", knowledge);
	return {
		product: text(trigger.source_product),
		event: event?.display_name ?? text(trigger.event_type),
		about: event?.description ?? "",
		only: [...list(trigger.filters), ...list(given.conditions)].map((c) => conditionOf(c, labels)),
		clients: clientsOf(given.client_scope),
		limit: limitOf(given.execution_limit),
		lines,
		least: credits(lines, Math.min, true),
		most: credits(lines, Math.max, false),
	};
}

function walk(
	steps: unknown,
	path: string,
	numbered: string,
	guarded: string,
	knowledge: Knowledge,
	before = 0,
): { lines: Line[]; guard: string } {
	let guard = guarded;
	const lines = list(steps).map((value, n): Line => {
		const step = doc(value);
		const here = `${path}[${n}]`;
		const number = `${numbered}${before + n + 1}`;
		const action = actionOf(step, knowledge.actions);
		let inside = 0; // steps of earlier cases, which are numbered on
		const into = (steps: unknown, path: string, label: string) => {
			const found = { label, ...walk(steps, path, `${number}.`, guard, knowledge, inside) };
			inside += found.lines.length;
			return found;
		};
		const cases = list(step.cases).map((one, k) =>
			into(doc(one).steps, `${here}.cases[${k}].steps`, conditionOf(doc(one).when)),
		);
		if (step.type === "branch") {
			cases.push(into(step.else, `${here}.else`, ""));
			// After a branch, what every way has passed is passed.
			if (!step.if && cases.every((c) => c.guard !== "")) guard = cases.map((c) => c.guard)[0] ?? guard;
		}
		const id = text(step.id);
		const name = text(step.name) || plain(id || word(kinds, text(step.type), plain));
		const line = {
			path: here,
			id,
			number,
			type: text(step.type),
			name,
			does: doesOf(step, knowledge),
			gives: givesOf(step),
			only: step.if ? conditionOf(step.if) : "",
			destructive: action?.destructive ?? false,
			guard: action?.destructive ? guard : "",
			credits: step.type === "ai_reason" ? (prices[text(step.model)] ?? 0) : 0,
			cases: cases.filter((c) => c.lines.length > 0 || c.label !== "").map(({ label, lines }) => ({ label, lines })),
		};
		const counts = !step.if && step.on_error !== "continue" && step.on_expiry !== "approve";
		if (step.type === "approval_gate" && counts) guard = name;
		return line;
	});
	return { lines, guard };
}

const kinds: Readonly<Record<string, string>> = { wait: "Wait", branch: "Choose" };

/** credits returns the price of the cheapest or the dearest way through some steps. */
function credits(lines: readonly Line[], choose: (...n: number[]) => number, least: boolean): number {
	return lines.reduce((sum, line) => {
		if (least && line.only) return sum;
		const open = line.cases.every((c) => c.label !== ""); // no other case: it may do nothing
		const ways = line.cases.map((c) => credits(c.lines, choose, least));
		return sum + line.credits + (ways.length > 0 ? choose(...ways, ...(open ? [0] : [])) : 0);
	}, 0);
}

function doesOf(step: Doc, knowledge: Knowledge): string {
	switch (step.type) {
		case "ai_reason":
			return `AI ${text(step.model) || "of no tier"} · ${counted(prices[text(step.model)] ?? 0, "credit")}`;
		case "product_action": {
			const action = actionOf(step, knowledge.actions);
			return `${text(step.product) || "no product"} · ${action?.display_name ?? plain(text(step.action) || "no action")}`;
		}
		case "notification": {
			const to = list(step.recipients).filter((r) => typeof r === "string");
			const whom = to.length > 2 ? `${to.length} recipients` : listed(to);
			return `${word<string>(channels, text(step.channel), plain)} to ${whom || "no one yet"}`;
		}
		case "approval_gate": {
			const { roles, users } = doc(step.approvers);
			const who = [...list(roles).map((r) => word<string>(manyRoles, text(r), plain)), ...list(users).map(text)];
			const least = Number(step.min_approvals ?? 1);
			const many = least > 1 ? `${least} of ` : "";
			return `${many}${listed([...new Set(["owners", "admins", ...who])])} · ${span(step.timeout_seconds ?? 7200)}, else ${endsOf(step)}`;
		}
		case "branch":
			return "the first case that holds";
		case "wait":
			return step.until === undefined ? span(step.duration_seconds) : `until ${text(step.until)}`;
		default:
			return "";
	}
}

function endsOf(step: Doc): string {
	switch (step.on_expiry) {
		case "approve":
			return "approved";
		case "escalate":
			return "passed on to others";
		default:
			return "denied";
	}
}

function givesOf(step: Doc): string {
	if (step.type !== "ai_reason") return "";
	const names = Object.keys(doc(doc(step.output_schema).properties));
	return names.length > 4 ? `${names.slice(0, 4).join(", ")} and ${names.length - 4} more` : names.join(", ");
}

/** span returns a number of seconds in words: "1 h", "2 days", "90 s". */
export function span(seconds: unknown): string {
	const n = Number(seconds);
	if (!Number.isFinite(n) || n <= 0) return "no time";
	for (const [size, one, many] of [
		[86_400, "day", "days"],
		[3600, "h", "h"],
		[60, "min", "min"],
	] as const) {
		if (n >= size && n % size === 0) return `${(n / size).toLocaleString("en")} ${n === size ? one : many}`;
	}
	return n > 3600 ? `${Math.floor(n / 3600)} h ${Math.round((n % 3600) / 60)} min` : `${n} s`;
}

/** conditionOf says a filter or a condition in words: `severity is critical or high`. */
export function conditionOf(value: unknown, labels?: ReadonlyMap<string, string>): string {
	const given = doc(value);
	for (const [key, joint] of [
		["all", " and "],
		["any", " or "],
	] as const) {
		if (!Array.isArray(given[key])) continue;
		const parts = list(given[key]).map((c) => {
			const inner = conditionOf(c, labels);
			return doc(c).all || doc(c).any ? `(${inner})` : inner;
		});
		return parts.join(joint);
	}
	const field = text(given.field);
	const name = labels?.get(field)?.toLowerCase() ?? fieldOf(field, given.context);
	const operator = text(given.operator);
	if (operator === "exists") return `${name} ${given.value === false ? "is missing" : "exists"}`;
	if (operator === "in") return `${name} is ${shown(given.value)}`;
	return `${name} ${word<string>(operators, operator, plain)} ${shown(given.value)}`;
}

function fieldOf(field: string, context: unknown): string {
	if (context === "client_context") return `the client's ${field.replaceAll("_", " ")}`;
	return field.replace(/^event_payload\./, "") || "a field";
}

function shown(value: unknown): string {
	if (Array.isArray(value)) {
		const all = value.map(shown);
		if (all.length > 4) return `${all.slice(0, 3).join(", ")} or ${all.length - 3} more`;
		return all.length < 2 ? all.join("") : `${all.slice(0, -1).join(", ")} or ${all.at(-1)}`;
	}
	return typeof value === "string" ? value || "an empty text" : (JSON.stringify(value) ?? "nothing");
}

function clientsOf(scope: unknown): string {
	const { include, exclude } = doc(scope);
	if (Array.isArray(include))
		return include.length > 3 ? `${include.length} clients` : `only ${listed(include.map(String))}`;
	if (Array.isArray(exclude))
		return exclude.length > 3 ? `all but ${exclude.length} clients` : `all but ${listed(exclude.map(String))}`;
	return "all clients";
}

function limitOf(limit: unknown): string {
	const { max_per_hour, max_per_day, cooldown_minutes } = doc(limit);
	return [
		max_per_hour !== undefined && `at most ${max_per_hour} an hour`,
		max_per_day !== undefined && `at most ${max_per_day} a day`,
		cooldown_minutes !== undefined && `${cooldown_minutes} min between two`,
	]
		.filter(Boolean)
		.join(", ");
}

/** costOf says what a run costs: "no credits", "20 credits a run", "20 to 120 credits a run". */
export function costOf({ least, most }: Pick<Outline, "least" | "most">): string {
	if (most === 0) return "A run costs no credits.";
	if (least === most) return `A run costs about ${counted(most, "credit")}.`;
	return `A run costs ${least === 0 ? "nothing" : least.toLocaleString("en")} to ${counted(most, "credit")}, by the way that it takes.`;
}

/** effectsOf says what saving does, for the dialog before it. */
export function effectsOf(outline: Outline, status: string, version: number): string[] {
	const found: string[] = [];
	const each = (lines: readonly Line[], see: (line: Line) => void) => {
		for (const line of lines) {
			see(line);
			for (const c of line.cases) each(c.lines, see);
		}
	};
	each(outline.lines, (line) => {
		if (!line.destructive) return;
		found.push(
			line.guard
				? `“${line.name}” is destructive; “${line.guard}” asks before it.`
				: `“${line.name}” is destructive, and no approval is asked for before it.`,
		);
	});
	if (status === "active") {
		found.push(
			`Active at once: the next event runs version ${version}. Runs that have begun keep the version they began with.`,
		);
	} else if (status === "error") {
		found.push("The agent is paused then, since it was switched off by an error. Activate it afterwards.");
	} else {
		found.push("Nothing runs yet: the agent is not active.");
	}
	return found;
}

// ---- filters on a sample ----

/** refusalOf says why a value does not pass a filter, in the words of an agent's activity;
 * empty when it passes. It knows the operators on plain values, as a new agent uses them. */
export function refusalOf(filter: Doc, payload: unknown): string {
	const field = text(filter.field);
	const found = field.split(".").reduce<unknown>((here, key) => doc(here)[key], payload);
	const want = filter.value;
	const json = (v: unknown) => JSON.stringify(v);
	const [ok, demand] = judge(text(filter.operator), found, want);
	if (ok) return "";
	return `${field} must ${demand}; it is ${found === undefined ? "missing" : json(found)}`;

	function judge(operator: string, value: unknown, wanted: unknown): [boolean, string] {
		const said = typeof value === "string" && typeof wanted === "string" ? ([value, wanted] as const) : undefined;
		const both = typeof value === "number" && typeof wanted === "number" ? ([value, wanted] as const) : undefined;
		switch (operator) {
			case "eq":
				return [value === wanted, `be ${json(wanted)}`];
			case "ne":
				return [value !== wanted, `not be ${json(wanted)}`];
			case "in":
				return [list(wanted).includes(value), `be one of ${json(wanted)}`];
			case "not_in":
				return [!list(wanted).includes(value), `not be one of ${json(wanted)}`];
			case "gt":
				return [both !== undefined && both[0] > both[1], `be greater than ${json(wanted)}`];
			case "gte":
				return [both !== undefined && both[0] >= both[1], `be at least ${json(wanted)}`];
			case "lt":
				return [both !== undefined && both[0] < both[1], `be less than ${json(wanted)}`];
			case "lte":
				return [both !== undefined && both[0] <= both[1], `be at most ${json(wanted)}`];
			case "contains":
				return [said?.[0].includes(said[1]) ?? false, `contain ${json(wanted)}`];
			case "starts_with":
				return [said?.[0].startsWith(said[1]) ?? false, `start with ${json(wanted)}`];
			case "ends_with":
				return [said?.[0].endsWith(said[1]) ?? false, `end with ${json(wanted)}`];
			case "exists":
				return [(value !== undefined) === (wanted !== false), wanted === false ? "not exist" : "exist"];
			default:
				return [true, ""];
		}
	}
}
