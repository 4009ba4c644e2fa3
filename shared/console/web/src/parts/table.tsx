import { type Signal, useSignal } from "@preact/signals";
import { Component, type ComponentChildren } from "preact";
import { useRef } from "preact/hooks";
import { useLocation } from "preact-iso";
import { announce } from "../announce.ts";
import { useKeys } from "../keys.ts";
import { counted } from "../words.ts";
import { steady } from "./steady.ts";

export interface Column<T> {
	title: string;
	cell: (row: T) => ComponentChildren;
	/** Figures are aligned at their end. */
	figures?: boolean;
	/** A column of less weight is left out in a narrow place: "phone" below 600 px, "desk" below 900 px. */
	from?: "phone" | "desk";
	/** The one column whose text is cut instead of the table growing. */
	grows?: boolean;
}

interface TableProps<T> {
	/** What the rows are: "runs". */
	label: string;
	one: string;
	rows: readonly T[];
	keyOf: (row: T) => string;
	/** The page of a row: Enter and a click open it. */
	hrefOf: (row: T) => string;
	/** What the link to a row is called by screen readers. */
	nameOf: (row: T) => string;
	columns: Column<T>[];
	/** A second line below a row, such as the reason of a failure. */
	below?: (row: T) => ComponentChildren;
	/** The ids that are selected. With it, rows have a checkbox and the key x. */
	selected?: Signal<ReadonlySet<string>>;
	/** Another list, such as that of another filter: rows are shown afresh. */
	list: string;
	/** The row whose details are beside the table. */
	current?: string | undefined;
}

/** A Table lists rows that have a page. New rows wait behind a pill, so that nothing moves
 * under the pointer; j and k move the focus, Enter opens, x selects. */
export function Table<T>(props: TableProps<T>) {
	const { label, rows: answer, keyOf, columns, selected, list, current } = props;
	const { route } = useLocation();
	const taken = useSignal(0); // renders again after the pill
	const body = useRef<HTMLTableSectionElement>(null);
	const shown = useRef({ list, order: [] as string[], known: new Map<string, T>() });
	if (shown.current.list !== list) shown.current = { list, order: [], known: new Map() };
	const { rows, held } = steady(answer, keyOf, shown.current.order, shown.current.known);

	const take = () => {
		shown.current = { list, order: [], known: new Map() };
		taken.value++;
		announce(`${counted(held, props.one)} added to the list.`);
	};
	const links = () => [...(body.current?.querySelectorAll<HTMLElement>("a.row-link") ?? [])];
	const move = (by: number) => {
		const all = links();
		const at = all.findIndex((link) => link.closest("tr")?.contains(document.activeElement));
		const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(all.length - 1, at + by))];
		next?.focus();
		next?.scrollIntoView({ block: "nearest" });
	};
	const toggle = (key: string) => {
		if (!selected) return;
		const next = new Set(selected.value);
		if (!next.delete(key)) next.add(key);
		selected.value = next;
	};
	useKeys("List", [
		{ keys: "j", does: "Next row", run: () => move(1) },
		{ keys: "k", does: "Previous row", run: () => move(-1) },
		...(selected
			? [
					{
						keys: "x",
						does: "Select the row",
						run: () => {
							const key = document.activeElement?.closest("tr")?.dataset.key;
							if (key && body.current?.contains(document.activeElement)) toggle(key);
						},
					},
				]
			: []),
	]);
	void taken.value;

	return (
		<div class="table-place">
			<div class="pill-place">
				{held > 0 && (
					<button type="button" class="pill" onClick={take}>
						↑ {counted(held, `new ${props.one}`)}
					</button>
				)}
			</div>
			<table class="table" aria-label={label}>
				<thead>
					<tr>
						{selected && (
							<th class="check">
								<span class="hidden">Selected</span>
							</th>
						)}
						{columns.map((c) => (
							<th key={c.title} scope="col" class={classOf(c)}>
								{c.title}
							</th>
						))}
					</tr>
				</thead>
				<tbody ref={body}>
					{rows.map((row) => {
						const key = keyOf(row);
						return (
							<Row
								key={key}
								id={key}
								row={row}
								of={props}
								open={route}
								checked={selected?.value.has(key)}
								current={current === key}
								onToggle={() => toggle(key)}
							/>
						);
					})}
				</tbody>
			</table>
		</div>
	);
}

interface RowProps<T> {
	id: string;
	row: T;
	of: TableProps<T>;
	open: (href: string) => void;
	/** Undefined: rows cannot be selected. */
	checked: boolean | undefined;
	current: boolean;
	onToggle: () => void;
}

/** A Row is rendered again only when the row itself, its selection or the columns change: of
 * 500 rows one is selected without the others. */
class Row<T> extends Component<RowProps<T>> {
	override shouldComponentUpdate(next: RowProps<T>): boolean {
		const { row, checked, current, of } = this.props;
		return next.row !== row || next.checked !== checked || next.current !== current || next.of.columns !== of.columns;
	}

	override render({ id, row, of, open, checked, current, onToggle }: RowProps<T>) {
		const more = of.below?.(row);
		const href = of.hrefOf(row);
		return (
			<tr
				data-key={id}
				class={current ? "current" : undefined}
				onClick={(event) => {
					if (event.target instanceof Element && event.target.closest("a, button, input, label, summary")) return;
					if (getSelection()?.isCollapsed === false) return; // a text is being selected
					if (event.metaKey || event.ctrlKey) window.open(href, "_blank", "noopener");
					else open(href);
				}}
			>
				{checked !== undefined && (
					<td class="check">
						<label>
							<input type="checkbox" checked={checked} onChange={onToggle} />
							<span class="hidden">Select {of.nameOf(row)}</span>
						</label>
					</td>
				)}
				{of.columns.map((c, n) => (
					<td key={c.title} class={classOf(c)}>
						{n === 0 ? (
							<a class="row-link" href={href} aria-label={of.nameOf(row)} aria-current={current ? "true" : undefined}>
								{c.cell(row)}
							</a>
						) : (
							c.cell(row)
						)}
						{c.grows && more && <div class="below">{more}</div>}
					</td>
				))}
			</tr>
		);
	}
}

function classOf<T>(c: Column<T>): string | undefined {
	return (
		[c.figures && "figures", c.grows && "grows", c.from && `from-${c.from}`].filter(Boolean).join(" ") || undefined
	);
}
