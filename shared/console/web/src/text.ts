// Text of others: an event, a model or a person outside wrote it. It is shown as it is,
// never as markup, and nothing in it is invisible.

// Code points that a reader cannot see: control characters but line feed and tab, marks of
// writing direction, characters without width, and the tags block.
const hidden: readonly (readonly [from: number, to: number])[] = [
	[0x00, 0x08],
	[0x0b, 0x1f],
	[0x7f, 0x9f],
	[0xad, 0xad],
	[0x61c, 0x61c],
	[0x180e, 0x180e],
	[0x200b, 0x200f],
	[0x2028, 0x202e],
	[0x2060, 0x206f],
	[0xfeff, 0xfeff],
	[0xfff9, 0xfffb],
	[0xe0000, 0xe007f],
];

/** visible replaces every character that a reader could not see by its code. */
export function visible(text: string): string {
	let out = "";
	for (const c of text.replaceAll("\r\n", "\n")) {
		const code = c.codePointAt(0) ?? 0;
		const shown = !hidden.some(([from, to]) => code >= from && code <= to);
		out += shown ? c : `[U+${code.toString(16).toUpperCase().padStart(4, "0")}]`;
	}
	return out;
}

/** cut returns the beginning of a text, whole characters only, and how many were left out. */
export function cut(text: string, most: number): { text: string; left: number } {
	if (text.length <= most) return { text, left: 0 };
	const end = /[\ud800-\udbff]/.test(text.charAt(most - 1)) ? most - 1 : most;
	return { text: text.slice(0, end), left: text.length - end };
}

/** bytes returns a size in words: "740 B", "1.2 KB". */
export function bytes(n: number): string {
	return n < 1000 ? `${n} B` : n < 1_000_000 ? `${(n / 1000).toFixed(1)} KB` : `${(n / 1_000_000).toFixed(1)} MB`;
}
