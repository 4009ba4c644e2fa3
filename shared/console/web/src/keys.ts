// Keys: one registry of all shortcuts. The help lists what is registered at the moment.
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { preferences } from "./preferences.ts";

export interface Shortcut {
	/** "j", "g r" for one after the other, "mod+k" with Command or Control, "Escape", "?". */
	keys: string;
	does: string;
	run: (event: KeyboardEvent) => void;
}

interface Group {
	title: string;
	shortcuts: Shortcut[];
}

/** The registered groups, the newest last: a newer shortcut wins over an older one. */
export const groups = signal<Group[]>([]);

/** useKeys registers shortcuts while the part is shown. */
export function useKeys(title: string, shortcuts: Shortcut[]): void {
	const newest = useRef(shortcuts);
	newest.current = shortcuts;
	const names = shortcuts.map((s) => s.keys).join(" ");
	// The names say whether the group is another one
	useEffect(() => {
		const group: Group = {
			title,
			shortcuts: newest.current.map((s, n) => ({ ...s, run: (event) => newest.current[n]?.run(event) })),
		};
		groups.value = [...groups.peek(), group];
		return () => {
			groups.value = groups.peek().filter((g) => g !== group);
		};
	}, [title, names]);
}

/** typing reports whether a key belongs to a field. */
function typing(target: EventTarget | null): boolean {
	return (
		target instanceof HTMLElement &&
		(target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) &&
		!(target instanceof HTMLInputElement && /^(checkbox|radio|button|submit)$/.test(target.type))
	);
}

const patience = 1000; // milliseconds between the two keys of "g r"

/** listen starts the one listener of the document. */
export function listen(): void {
	let before = "";
	let at = 0;
	document.addEventListener("keydown", (event) => {
		if (event.defaultPrevented || event.isComposing || event.altKey) return;
		const held = event.metaKey || event.ctrlKey;
		const key = held ? `mod+${event.key.toLowerCase()}` : event.key;
		const path = event.composedPath();
		if (!held && (path.some(typing) || preferences.peek().keys === "off" || /^(Shift|Tab)$/.test(key))) return;
		if (document.querySelector("dialog[open]")) return; // it has its own keys
		const pair = event.timeStamp - at < patience && before ? `${before} ${key}` : "";
		const all = groups
			.peek()
			.flatMap((g) => g.shortcuts)
			.reverse();
		const found = (pair && all.find((s) => s.keys === pair)) || all.find((s) => s.keys === key);
		before = found && pair ? "" : key;
		at = event.timeStamp;
		if (!found) return;
		event.preventDefault();
		found.run(event);
	});
}
