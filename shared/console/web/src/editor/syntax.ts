// The syntax of a text that somebody is writing: a tree of JSON that forgives what is not
// there yet, with the place of each part.

/** A Node is a value in the text. A text without its closing sign ends where it ends. */
export interface Node {
	kind: "object" | "array" | "string" | "word";
	from: number;
	to: number;
	/** Whether the closing sign is there. */
	closed: boolean;
	entries: Entry[]; // of an object
	items: Node[]; // of an array
}

/** An Entry is a key of an object, with its value if there is one. */
export interface Entry {
	key: string;
	from: number;
	/** The end of the key. */
	to: number;
	value: Node | undefined;
}

const deepest = 100; // levels that are read; what is deeper is not looked at

/** parse returns the tree of a text, or undefined for one without any value. */
export function parse(text: string): Node | undefined {
	let pos = 0;
	const skip = (signs: RegExp) => {
		while (pos < text.length && signs.test(text.charAt(pos))) pos++;
	};
	const node = (kind: Node["kind"], from: number): Node => ({
		kind,
		from,
		to: from,
		closed: false,
		entries: [],
		items: [],
	});

	function value(depth: number): Node | undefined {
		skip(/\s/);
		const sign = text.charAt(pos);
		if (sign === '"') return string();
		if ((sign === "{" || sign === "[") && depth < deepest) return container(sign, depth);
		const from = pos;
		while (pos < text.length && !/[\s,:"{}[\]]/.test(text.charAt(pos))) pos++;
		if (pos === from) return undefined;
		return { ...node("word", from), to: pos, closed: true };
	}

	function string(): Node {
		const found = node("string", pos);
		pos++;
		while (pos < text.length && text.charAt(pos) !== "\n") {
			if (text.charAt(pos) === "\\") pos++;
			else if (text.charAt(pos) === '"') {
				found.closed = true;
				pos++;
				break;
			}
			pos++;
		}
		pos = Math.min(pos, text.length);
		found.to = pos;
		return found;
	}

	function container(sign: string, depth: number): Node {
		const found = node(sign === "{" ? "object" : "array", pos);
		const close = sign === "{" ? "}" : "]";
		pos++;
		while (pos < text.length) {
			skip(/[\s,]/);
			const next = text.charAt(pos);
			if (next === close) {
				pos++;
				found.closed = true;
				break;
			}
			if (next === "}" || next === "]") break; // it belongs to one above
			const before = pos;
			if (found.kind === "object") entry(found, depth);
			else {
				const item = value(depth + 1);
				if (item) found.items.push(item);
			}
			if (pos === before) pos++;
		}
		found.to = Math.min(pos, text.length);
		return found;
	}

	function entry(object: Node, depth: number): void {
		const key = value(depth + 1);
		if (key?.kind !== "string" && key?.kind !== "word") return;
		const found: Entry = { key: stringOf(text, key), from: key.from, to: key.to, value: undefined };
		object.entries.push(found);
		skip(/\s/);
		if (text.charAt(pos) !== ":") return;
		pos++;
		skip(/\s/);
		if (!/^[,}\]]?$/.test(text.charAt(pos))) found.value = value(depth + 1);
	}

	return value(0);
}

function stringOf(text: string, node: Node): string {
	const raw = text.slice(node.from, node.to);
	if (node.kind === "word") return raw;
	try {
		return JSON.parse(node.closed ? raw : `${raw}"`) as string;
	} catch {
		return raw.slice(1, node.closed ? -1 : undefined);
	}
}

/** readNode returns the value that a node has so far. Of two equal keys the last one counts. */
export function readNode(text: string, node: Node | undefined): unknown {
	switch (node?.kind) {
		case "object":
			return Object.fromEntries(node.entries.map((e) => [e.key, readNode(text, e.value)]));
		case "array":
			return node.items.map((item) => readNode(text, item));
		case "string":
			return stringOf(text, node);
		case "word":
			try {
				return JSON.parse(text.slice(node.from, node.to));
			} catch {
				return undefined;
			}
		default:
			return undefined;
	}
}
