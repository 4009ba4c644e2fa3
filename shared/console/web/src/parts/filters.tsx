import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { useLocation } from "preact-iso";
import { useKeys } from "../keys.ts";

/** useFilter binds one parameter of the address: the address is the state of the page, so a
 * reload, the way back and a copied link show the same rows. Empty removes it. */
export function useFilter(name: string): [value: string, set: (value: string) => void] {
	const { query, route } = useLocation();
	return [
		query[name] ?? "",
		(value) => {
			const next = new URLSearchParams(location.search); // the newest: two filters may change at once
			if (value) next.set(name, value);
			else next.delete(name);
			route(location.pathname + (next.size > 0 ? `?${next}` : ""), true);
		},
	];
}

/** Filters are in one line above what they filter, on a phone in one that scrolls. */
export function Filters({ children }: { children: ComponentChildren }) {
	return (
		<search class="filters" aria-label="Filters">
			{children}
		</search>
	);
}

/** A Choice filters by one of some values. */
export function Choice({
	name,
	label,
	any,
	options,
	later,
}: {
	name: string;
	label: string;
	any: string;
	options: readonly (readonly [value: string, text: string])[];
	/** Its options come after the page: it keeps its width. */
	later?: boolean;
}) {
	const [value, set] = useFilter(name);
	return (
		<label class={later ? "choice later" : "choice"}>
			<span class="hidden">{label}</span>
			<select value={value} onChange={(event) => set(event.currentTarget.value)} data-set={value !== ""}>
				<option value="">{any}</option>
				{options.map(([v, text]) => (
					<option key={v} value={v}>
						{text}
					</option>
				))}
			</select>
		</label>
	);
}

/** A Search filters by text, a moment after the last key. The key / leads to it. */
export function Search({ name, label }: { name: string; label: string }) {
	const [value, set] = useFilter(name);
	const id = useId();
	const field = useRef<HTMLInputElement>(null);
	const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
	useKeys("List", [{ keys: "/", does: "Filter by text", run: () => field.current?.focus() }]);
	useEffect(() => {
		if (field.current && field.current !== document.activeElement) field.current.value = value;
	}, [value]);
	useEffect(() => () => clearTimeout(timer.current), []);
	return (
		<input
			ref={field}
			id={id}
			type="search"
			class="field search"
			aria-label={label}
			placeholder={label}
			defaultValue={value}
			onInput={(event) => {
				const text = event.currentTarget.value;
				clearTimeout(timer.current);
				timer.current = setTimeout(() => set(text.trim()), 250);
			}}
		/>
	);
}

interface TabsProps {
	name: string;
	label: string;
	options: readonly (readonly [value: string, text: string])[];
	/** The page that the tabs lead to, by default this one. */
	path?: string;
}

/** Tabs are the few values of one filter, side by side. */
export function Tabs({ name, label, options, path }: TabsProps) {
	const here = useLocation();
	const now = here.query[name] ?? "";
	return (
		<nav class="tabs" aria-label={label}>
			{options.map(([value, text]) => {
				const next = new URLSearchParams(here.query as Record<string, string>);
				if (value) next.set(name, value);
				else next.delete(name);
				return (
					<a
						key={value}
						href={(path ?? here.path) + (next.size > 0 ? `?${next}` : "")}
						aria-current={now === value ? "page" : undefined}
					>
						{text}
					</a>
				);
			})}
		</nav>
	);
}
