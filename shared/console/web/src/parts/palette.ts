// What the palette offers for a text.

export interface Entry {
	title: string;
	href: string;
	keys?: string;
	/** It is no page of the console: the browser loads it. */
	away?: true;
}

const ids: Readonly<Record<string, readonly [path: string, what: string]>> = {
	exec: ["/runs/", "Run"],
	appr: ["/approvals/", "Approval"],
	agent: ["/agents/", "Agent"],
};

/** matching returns the entry of a pasted id, or the entries whose titles have a word that
 * begins with the text. */
export function matching(entries: readonly Entry[], text: string): Entry[] {
	const wanted = text.trim();
	const id = /^(exec|appr|agent)_[A-Za-z0-9_]{1,64}$/.exec(wanted);
	const known = id?.[1] ? ids[id[1]] : undefined;
	if (known) return [{ title: `${known[1]} ${wanted}`, href: known[0] + wanted }];
	const lower = wanted.toLowerCase();
	return entries.filter((e) =>
		e.title
			.toLowerCase()
			.split(/\s+/)
			.some((_, n, all) => all.slice(n).join(" ").startsWith(lower)),
	);
}
