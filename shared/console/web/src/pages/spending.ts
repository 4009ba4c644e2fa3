// What the credits of a month mean: the part used, and where the pace leads.
import type { Schema } from "../door.ts";

type Credits = Schema["Credits"];

const day = 86_400_000;

/** used returns the part of the allocation that is used; 0 without an allocation. */
export function used(credits: Credits): number {
	return credits.allocation > 0 ? credits.total_used / credits.allocation : 0;
}

/** A Forecast is where an even use of the month's rest leads. */
export interface Forecast {
	/** Credits at the end of the month. */
	total: number;
	daysLeft: number;
	/** When the allocation is used up; undefined when it suffices. */
	out: number | undefined;
}

/** forecast assumes an even use. It returns undefined before the third day, when it would
 * only be a guess. */
export function forecast(credits: Credits, now: number): Forecast | undefined {
	const begin = Date.parse(`${credits.month}-01T00:00:00Z`);
	const end = Date.UTC(new Date(begin).getUTCFullYear(), new Date(begin).getUTCMonth() + 1, 1);
	const gone = now - begin;
	if (gone < 2 * day || now >= end) return undefined;
	const perMs = credits.total_used / gone;
	const total = Math.round(perMs * (end - begin));
	const out = total > credits.allocation && perMs > 0 ? begin + credits.allocation / perMs : undefined;
	return { total, daysLeft: Math.ceil((end - now) / day), out };
}

/** csvOf returns the months as a table for spreadsheets. */
export function csvOf(months: readonly Schema["CreditMonth"][]): string {
	return ["month,used,allocation", ...months.map((m) => `${m.month},${m.total_used},${m.allocation}`)].join("\r\n");
}
