// The document: the text of a definition that people edit, and what is sent of it.
import { type Doc, doc } from "./knowledge.ts";

/** The fields of a definition, in the order of their importance. */
const order: readonly string[] = [
	"name",
	"description",
	"category",
	"trigger",
	"conditions",
	"steps",
	"conflict_behavior",
	"client_scope",
	"execution_limit",
];

/** The order of keys inside: others follow as they come. */
const inner: readonly string[] = [
	"id",
	"type",
	"name",
	"source_product",
	"event_type",
	"filters",
	"allow_agent_triggered",
	"if",
	"model",
	"system",
	"prompt",
	"output_schema",
	"output_var",
	"product",
	"action",
	"params",
	"channel",
	"recipients",
	"subject",
	"body",
	"message",
	"approvers",
	"min_approvals",
	"on_expiry",
	"escalate_to",
	"notify",
	"context",
	"field",
	"operator",
	"value",
	"when",
	"cases",
	"steps",
	"else",
	"duration_seconds",
	"until",
	"timeout_seconds",
	"retry",
	"on_error",
];

/** What an absent field means. An update must say so, for it leaves absent fields alone. */
const absent: Readonly<Doc> = {
	description: "",
	conditions: [],
	conflict_behavior: "additive",
	client_scope: "all",
	execution_limit: null,
};

interface Raw {
	rawJSON?: (text: string) => unknown;
}

/** read parses JSON and keeps all digits of its numbers where the browser can. */
export function read(text: string): unknown {
	const { rawJSON } = JSON as unknown as Raw;
	if (!rawJSON) return JSON.parse(text);
	return JSON.parse(text, function (this: unknown, _key: string, value: unknown, context?: { source?: string }) {
		const source = context?.source;
		return typeof value === "number" && source !== undefined && source !== String(value) ? rawJSON(source) : value;
	} as (this: unknown, key: string, value: unknown) => unknown);
}

/** textOf returns the text of a definition: of an agent, a version, a template. Fields that
 * are no part of a definition are left out. */
export function textOf(definition: unknown): string {
	const given = doc(definition);
	const kept = order.filter((key) => given[key] !== undefined && given[key] !== null);
	return `${JSON.stringify(Object.fromEntries(kept.map((key) => [key, sorted(given[key], key)])), null, 2)}\n`;
}

/** The keys of what the author names are the author's: parameters, schemas, values. */
const free: readonly string[] = ["params", "output_schema", "value"];

function sorted(value: unknown, name: string): unknown {
	if (Array.isArray(value)) return value.map((item) => sorted(item, name));
	if (typeof value !== "object" || value === null || isRaw(value) || free.includes(name)) return value;
	const rank = (key: string) => (inner.includes(key) ? inner.indexOf(key) : inner.length);
	const entries = Object.entries(value).sort(([a], [b]) => rank(a) - rank(b));
	return Object.fromEntries(entries.map(([key, part]) => [key, sorted(part, key)]));
}

function isRaw(value: object): boolean {
	const { isRawJSON } = JSON as unknown as { isRawJSON?: (value: unknown) => boolean };
	return isRawJSON?.(value) ?? false;
}

/** bodyOf returns what to send for a text: the text itself, completed by what its absent
 * fields mean. The text must be JSON. */
export function bodyOf(text: string): string {
	const given = doc(JSON.parse(text));
	const missing = Object.entries(absent).filter(([key]) => !(key in given));
	if (missing.length === 0) return text;
	const more = missing.map(([key, value]) => `${JSON.stringify(key)}: ${JSON.stringify(value)}`).join(", ");
	const open = text.indexOf("{") + 1;
	return `${text.slice(0, open)}${more}${Object.keys(given).length > 0 ? "," : ""}${text.slice(open)}`;
}

/** syntaxFault returns what is wrong with a text that is no JSON object, and where. */
export function syntaxFault(text: string): { at: number; message: string } | undefined {
	try {
		const value: unknown = JSON.parse(text);
		if (typeof value === "object" && value !== null && !Array.isArray(value)) return undefined;
		return { at: 0, message: "A definition is a JSON object: it begins with {." };
	} catch (e) {
		return { at: faultyAt(text, e instanceof Error ? e.message : ""), message: "This is no JSON: see the sign here." };
	}
}

// Browsers word their message differently, so only the place is taken from it.
function faultyAt(text: string, message: string): number {
	const position = /position (\d+)/.exec(message)?.[1];
	if (position) return Math.min(Number(position), text.length);
	const [, line, column] = /line (\d+) column (\d+)/.exec(message) ?? [];
	if (!line || !column) return Math.max(0, text.trimEnd().length - 1);
	const lines = text.split("\n").slice(0, Number(line) - 1);
	return Math.min(lines.reduce((sum, one) => sum + one.length + 1, 0) + Number(column) - 1, text.length);
}
