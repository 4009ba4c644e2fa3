// The schema of a definition: which keys and values a place has. It comes from the document
// of the API when the pages are built.
import schemas from "agent:schemas";
import type { Path } from "./places.ts";

/** A Shape is a schema, as far as the editor uses it. */
export interface Shape {
	$ref?: string;
	type?: string | string[];
	required?: string[];
	default?: unknown;
	enum?: unknown[];
	description?: string;
	oneOf?: Shape[];
	items?: Shape;
	properties?: Record<string, Shape>;
}

/** follow resolves references; a description beside one wins. */
export function follow(shape: Shape | undefined): Shape {
	let found = shape ?? {};
	let description = found.description;
	for (let n = 0; found.$ref && n < 10; n++) {
		found = schemas[found.$ref] ?? {};
		description ??= found.description;
	}
	return description === undefined ? found : { ...found, description };
}

/** choose returns the one of several shapes that a value has: by its `type`, else by its
 * keys. While both are open it is what all have in common, or else all together. */
function choose(shape: Shape, value: unknown): Shape {
	if (!shape.oneOf || typeof value !== "object" || value === null) return shape;
	const all = shape.oneOf.map(follow).filter((s) => s.properties);
	const given = value as Record<string, unknown>;
	const byType = all.find((s) => given.type !== undefined && s.properties?.type?.enum?.[0] === given.type);
	if (byType) return byType;
	const inAll = (key: string) => all.every((s) => s.properties?.[key]);
	const byKey = all.find((s) => Object.keys(given).some((k) => s.properties?.[k] && !inAll(k)));
	if (byKey) return byKey;
	const every = Object.assign({}, ...all.map((s) => s.properties)) as Record<string, Shape>;
	const common = Object.entries(every).filter(([key]) => inAll(key));
	return { ...shape, properties: common.length > 0 ? Object.fromEntries(common) : every };
}

/** shapeAt returns the shape of a path in a value, or undefined where anything may stand. */
export function shapeAt(path: Path, value: unknown, top = "AgentInput"): Shape | undefined {
	let shape = choose(follow({ $ref: top }), value);
	let here = value;
	for (const part of path) {
		const next: Shape | undefined = typeof part === "number" ? shape.items : shape.properties?.[part];
		if (!next) return undefined;
		here = (here as Record<string | number, unknown> | undefined)?.[part];
		shape = choose(follow(next), here);
	}
	return shape;
}

/** enumOf returns the literal values of a shape. */
export function enumOf(shape: Shape | undefined): unknown[] {
	const found = follow(shape);
	if (found.enum) return found.enum;
	if (found.type === "boolean") return [true, false];
	return (found.oneOf ?? []).flatMap((s) => follow(s).enum ?? []);
}
