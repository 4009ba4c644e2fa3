import { type ComponentChildren, h } from "preact";

export interface Bar {
	label: string;
	value: number;
	/** What the figure is called: "41,200 credits". */
	text: string;
	/** The rows that the bar counts. */
	href?: string;
	tone?: "ok" | "fail" | "wait" | "run" | "stop";
}

/** Bars compare figures: a table for those who read, a bar beside each figure for those who
 * look. Every bar that counts rows leads to them. */
export function Bars({ label, bars, head }: { label: string; bars: readonly Bar[]; head: readonly [string, string] }) {
	const most = Math.max(1, ...bars.map((b) => b.value));
	return (
		<table class="bars" aria-label={label}>
			<thead class="hidden">
				<tr>
					<th scope="col">{head[0]}</th>
					<th scope="col">{head[1]}</th>
				</tr>
			</thead>
			<tbody>
				{bars.map((b) => (
					<tr key={b.label}>
						<th scope="row">{b.href ? <a href={b.href}>{b.label}</a> : b.label}</th>
						<td class="bars-track">
							<span
								class="bars-bar"
								data-tone={b.tone ?? "run"}
								style={{ inlineSize: `${(b.value / most) * 100}%` }}
								aria-hidden="true"
							/>
							<span class="bars-text">{b.text}</span>
						</td>
					</tr>
				))}
			</tbody>
		</table>
	);
}

/** Columns are figures over time, such as the credits of twelve months, with a line for a
 * bound. The same figures are in a table that screen readers and the disclosure show. */
export function Columns({
	label,
	bars,
	bound,
	head,
}: {
	label: string;
	bars: readonly Bar[];
	bound?: number;
	head: readonly [string, string];
}) {
	const most = Math.max(1, bound ?? 0, ...bars.map((b) => b.value));
	const width = 100 / Math.max(1, bars.length);
	const shapes: ComponentChildren[] = bars.map((b, n) => {
		const height = (b.value / most) * 100;
		const shape = h(
			"rect",
			{
				key: b.label,
				class: "columns-bar",
				"data-tone": b.tone ?? "run",
				x: n * width + width * 0.15,
				y: 100 - height,
				width: width * 0.7,
				height,
			},
			h("title", {}, `${b.label}: ${b.text}`),
		);
		return b.href ? h("a", { href: b.href, tabIndex: -1, "aria-hidden": true }, shape) : shape;
	});
	return (
		<figure class="columns">
			<svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label={label}>
				{shapes}
				{bound !== undefined && (
					<line class="columns-bound" x1="0" x2="100" y1={100 - (bound / most) * 100} y2={100 - (bound / most) * 100} />
				)}
			</svg>
			<details>
				<summary>Table</summary>
				<table class="table plain">
					<thead>
						<tr>
							<th scope="col">{head[0]}</th>
							<th scope="col" class="figures">
								{head[1]}
							</th>
						</tr>
					</thead>
					<tbody>
						{bars.map((b) => (
							<tr key={b.label}>
								<td>{b.href ? <a href={b.href}>{b.label}</a> : b.label}</td>
								<td class="figures">{b.text}</td>
							</tr>
						))}
					</tbody>
				</table>
			</details>
		</figure>
	);
}
