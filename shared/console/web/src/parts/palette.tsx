import { useId, useRef, useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { groups } from "../keys.ts";
import { Dialog } from "./dialog.tsx";
import { type Entry, matching } from "./palette.ts";

/** The palette goes to a page by its name, or to what a pasted id names. */
export function Palette({ entries, onClose }: { entries: readonly Entry[]; onClose: () => void }) {
	const { route } = useLocation();
	const [text, setText] = useState("");
	const [at, setAt] = useState(0);
	const list = useId();
	const field = useRef<HTMLInputElement>(null);
	const found = matching(entries, text);
	const now = Math.min(at, found.length - 1);
	const go = (entry: Entry | undefined) => {
		if (!entry) return;
		onClose();
		if (entry.away) location.assign(entry.href);
		else route(entry.href);
	};
	return (
		<Dialog title="Go to" onClose={onClose}>
			<input
				ref={field}
				autoFocus
				class="field"
				role="combobox"
				aria-expanded="true"
				aria-controls={list}
				aria-activedescendant={found[now] ? `${list}-${now}` : undefined}
				aria-label="Page, or an id to open"
				placeholder="A page, or paste an id: exec_… appr_… agent_…"
				value={text}
				onInput={(e) => {
					setText(e.currentTarget.value);
					setAt(0);
				}}
				onKeyDown={(e) => {
					if (e.key === "ArrowDown") setAt(Math.min(found.length - 1, now + 1));
					else if (e.key === "ArrowUp") setAt(Math.max(0, now - 1));
					else if (e.key === "Enter") go(found[now]);
					else return;
					e.preventDefault();
				}}
			/>
			<div class="palette" id={list} role="listbox" aria-label="Pages">
				{found.map((entry, n) => (
					// biome-ignore lint/a11y/useKeyWithClickEvents: the field above has the keys
					// biome-ignore lint/a11y/useFocusableInteractive: aria-activedescendant moves, the focus stays in the field
					<div key={entry.href} id={`${list}-${n}`} role="option" aria-selected={n === now} onClick={() => go(entry)}>
						{entry.title}
						{entry.keys && <kbd>{entry.keys}</kbd>}
					</div>
				))}
			</div>
			{found.length === 0 && (
				<p class="meta">No page has this name, and this is no id of a run, an approval or an agent.</p>
			)}
		</Dialog>
	);
}

/** The help lists the shortcuts of what is shown at the moment. */
export function KeyHelp({ onClose }: { onClose: () => void }) {
	const titles = [...new Set(groups.value.map((g) => g.title))];
	return (
		<Dialog title="Keys" onClose={onClose} wide>
			<div class="key-help">
				{titles.map((title) => (
					<section key={title}>
						<h3>{title}</h3>
						<dl>
							{groups.value
								.filter((g) => g.title === title)
								.flatMap((g) => g.shortcuts)
								.map((s) => (
									<div key={s.keys}>
										<dt>
											<kbd>{s.keys.replace("mod+", "⌘/Ctrl ")}</kbd>
										</dt>
										<dd>{s.does}</dd>
									</div>
								))}
						</dl>
					</section>
				))}
			</div>
			<p class="meta">
				No key decides an approval. Single keys can be turned off in the <a href="/settings/preferences">preferences</a>
				. The <a href="/docs">documentation</a> has the guides.
			</p>
		</Dialog>
	);
}
