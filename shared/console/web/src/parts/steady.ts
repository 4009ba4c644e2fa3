// Steady rows: a list that is asked for again and again moves only when the person says so.

/** A Steady is what a list shows, and what it keeps back. */
export interface Steady<T> {
	rows: T[];
	/** The number of new rows that are kept back. */
	held: number;
}

/** steady returns the rows to show: those of `order`, the ids that are shown already, with
 * their newest data, and then those that follow them in the answer, since the person asked
 * for older ones. Rows before or between them are held back. A row that has left the answer
 * stays as it was. It extends `order` and `known`. */
export function steady<T>(
	answer: readonly T[],
	keyOf: (row: T) => string,
	order: string[],
	known: Map<string, T>,
): Steady<T> {
	const first = order.length === 0;
	const shown = new Set(order);
	let lastShown = -1;
	answer.forEach((row, n) => {
		if (shown.has(keyOf(row))) lastShown = n;
	});
	let held = 0;
	answer.forEach((row, n) => {
		const key = keyOf(row);
		if (shown.has(key)) {
			known.set(key, row);
		} else if (n > lastShown && (first || lastShown >= 0)) {
			order.push(key);
			shown.add(key);
			known.set(key, row);
		} else {
			held++;
		}
	});
	return { rows: order.flatMap((key) => known.get(key) ?? []), held };
}
