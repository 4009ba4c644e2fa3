import type { ComponentChildren } from "preact";

/** An Empty says what belongs here, why nothing is here, and what to do: one action. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
	return (
		<section class="empty">
			<h2>{title}</h2>
			{children && <div>{children}</div>}
		</section>
	);
}
