import { h } from "preact";

/** An Icon is decoration: a word beside it, or the label of its button, says the same. */
export function Icon({ shapes, size = 16 }: { shapes: Shape[]; size?: number }) {
	return (
		<svg
			class="icon"
			width={size}
			height={size}
			viewBox="0 0 24 24"
			fill="none"
			stroke="currentColor"
			stroke-width="2"
			stroke-linecap="round"
			stroke-linejoin="round"
			aria-hidden="true"
		>
			{shapes.map(([tag, attributes], n) => h(tag, { ...attributes, key: n }))}
		</svg>
	);
}
