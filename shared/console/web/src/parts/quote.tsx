import { useState } from "preact/hooks";
import { bytes, cut, visible } from "../text.ts";

const most = 600; // characters before "show all"
const atAll = 200_000;

/** A Quote is what an event or a model said: plain text in a marked block, never markup
 * and never a link, with nothing invisible in it. */
export function Quote({ text, by }: { text: string; by?: string }) {
	const [whole, setWhole] = useState(false);
	const part = cut(text, whole ? atAll : most);
	return (
		<blockquote class="quote">
			{by && <p class="quote-by">{by}</p>}
			<bdi class="said">{visible(part.text)}</bdi>
			{part.left > 0 && (
				<p>
					{whole ? (
						<span class="meta">and {bytes(part.left)} more, which the API has</span>
					) : (
						<button type="button" class="link" onClick={() => setWhole(true)}>
							Show all {bytes(text.length)}
						</button>
					)}
				</p>
			)}
		</blockquote>
	);
}

/** A Said is a short text of others within a line. */
export function Said({ text, most: limit = 200 }: { text: string; most?: number }) {
	const part = cut(text, limit);
	return (
		<bdi class="said" title={part.left > 0 ? visible(cut(text, 2000).text) : undefined}>
			{visible(part.text)}
			{part.left > 0 && "…"}
		</bdi>
	);
}
