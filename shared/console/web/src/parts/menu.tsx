import down from "lucide:chevron-down";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { Icon } from "./icon.tsx";

interface MenuProps<T extends string> {
	title: string;
	options: readonly (readonly [value: T, text: string])[];
	onPick: (value: T) => void;
}

/** A Menu is a button with a list of acts below it. Arrows walk, Escape closes. */
export function Menu<T extends string>({ title, options, onPick }: MenuProps<T>) {
	const [open, setOpen] = useState(false);
	const place = useRef<HTMLDivElement>(null);
	const id = useId();
	const items = () => [...(place.current?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];
	const close = (focus: boolean) => {
		setOpen(false);
		if (focus) place.current?.querySelector("button")?.focus();
	};
	useEffect(() => {
		if (!open) return;
		items()[0]?.focus();
		const outside = (event: Event) => {
			if (event.target instanceof Node && !place.current?.contains(event.target)) setOpen(false);
		};
		document.addEventListener("pointerdown", outside);
		return () => document.removeEventListener("pointerdown", outside);
	}, [open]);
	return (
		<div
			ref={place}
			class="menu"
			role="group"
			aria-label={title}
			onKeyDown={(event) => {
				if (!open) return;
				if (event.key === "Escape") close(true);
				else if (event.key === "Tab") setOpen(false);
				else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
					const all = items();
					const at = all.indexOf(document.activeElement as HTMLElement);
					all[(at + (event.key === "ArrowDown" ? 1 : -1) + all.length) % all.length]?.focus();
				} else return;
				if (event.key !== "Tab") event.preventDefault();
				event.stopPropagation();
			}}
		>
			<button
				type="button"
				class="button"
				aria-haspopup="menu"
				aria-expanded={open}
				aria-controls={id}
				onClick={() => setOpen(!open)}
			>
				{title} <Icon shapes={down} size={14} />
			</button>
			<div id={id} class="menu-list" role="menu" aria-label={title} hidden={!open}>
				{options.map(([value, text]) => (
					<button
						key={value}
						type="button"
						role="menuitem"
						tabIndex={-1}
						onClick={() => {
							close(false);
							onPick(value);
						}}
					>
						{text}
					</button>
				))}
			</div>
		</div>
	);
}
