import copied from "lucide:check";
import copy from "lucide:copy";
import { useState } from "preact/hooks";
import { announce } from "../announce.ts";
import { Icon } from "./icon.tsx";

/** An Id is an identifier: its whole text is in the title, and a click copies it. */
export function Id({ id, short }: { id: string; short?: boolean }) {
	const shown = short && id.length > 16 ? `${id.slice(0, id.indexOf("_") + 1)}…${id.slice(-4)}` : id;
	return (
		<span class="id" title={id}>
			<bdi>{shown}</bdi> <Copy text={id} what="id" />
		</span>
	);
}

/** A Copy copies a text to the clipboard, and says so. */
export function Copy({ text, what }: { text: string; what: string }) {
	const [done, setDone] = useState(false);
	return (
		<button
			type="button"
			class="icon-button"
			aria-label={`Copy the ${what}`}
			onClick={async (event) => {
				event.stopPropagation();
				await navigator.clipboard.writeText(text);
				setDone(true);
				setTimeout(() => setDone(false), 1500);
				announce(`The ${what} is copied.`);
			}}
		>
			<Icon shapes={done ? copied : copy} size={14} />
		</button>
	);
}
