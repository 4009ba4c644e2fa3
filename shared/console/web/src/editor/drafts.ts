// Drafts: what somebody has typed and not saved. They are kept in this browser, one for each
// page that edits, so that two tabs never overwrite each other's.

/** A Draft is a text, with the text that it began with. */
export interface Draft {
	/** The ETag and version of the agent that it began with. */
	etag: string;
	version: number;
	base: string;
	text: string;
	/** When it was last changed, in milliseconds since 1970. */
	at: number;
}

/** A Stored draft has the key under which it is kept. */
export interface Stored extends Draft {
	key: string;
}

/** A Shelf is a storage, such as localStorage. */
export type Shelf = Pick<Storage, "getItem" | "setItem" | "removeItem" | "key" | "length">;

const prefix = "console.draft:";
const kept = 30 * 24 * 3_600_000; // milliseconds that a draft is kept

/** keyOf returns the key of a draft. `page` differs for each page that edits. */
export function keyOf(org: string, agent: string, etag: string, page: string): string {
	return `${prefix}${[org, agent, etag, page].map(encodeURIComponent).join(":")}`;
}

/** store keeps a draft, and reports whether the browser could. A text that equals its base
 * is no draft. */
export function store(shelf: Shelf | undefined, key: string, draft: Draft): boolean {
	try {
		if (!shelf) return draft.text === draft.base;
		if (draft.text === draft.base) shelf.removeItem(key);
		else shelf.setItem(key, JSON.stringify(draft));
		return true;
	} catch {
		return false; // full, or forbidden
	}
}

/** drafts returns the drafts of an agent, the newest first. It removes old ones. */
export function drafts(shelf: Shelf | undefined, org: string, agent: string, now: number): Stored[] {
	if (!shelf) return [];
	const start = `${prefix}${encodeURIComponent(org)}:${encodeURIComponent(agent)}:`;
	const found: Stored[] = [];
	try {
		const keys = Array.from({ length: shelf.length }, (_, n) => shelf.key(n) ?? "");
		for (const key of keys.filter((k) => k.startsWith(prefix))) {
			const draft = read(shelf.getItem(key));
			if (!draft || now - draft.at > kept) shelf.removeItem(key);
			else if (key.startsWith(start)) found.push({ ...draft, key });
		}
	} catch {
		return found;
	}
	return found.sort((a, b) => b.at - a.at);
}

function read(text: string | null): Draft | undefined {
	try {
		const value = JSON.parse(text ?? "") as Partial<Draft> | null;
		const ok =
			typeof value?.etag === "string" &&
			typeof value.version === "number" &&
			typeof value.base === "string" &&
			typeof value.text === "string" &&
			typeof value.at === "number";
		return ok ? (value as Draft) : undefined;
	} catch {
		return undefined;
	}
}

/** drop removes a draft. */
export function drop(shelf: Shelf | undefined, key: string): void {
	try {
		shelf?.removeItem(key);
	} catch {
		// what cannot be removed is removed when it is old
	}
}

/** shelf returns the storage of this browser, or undefined where it is forbidden. */
export function shelf(): Shelf | undefined {
	try {
		return globalThis.localStorage;
	} catch {
		return undefined;
	}
}
