// Times and durations in words.
import { signal } from "@preact/signals";
import { preferences } from "./preferences.ts";

/** The time, in milliseconds since 1970, at every full second while somebody looks. */
export const second = signal(Date.now());

/** The same at steps of ten seconds: what shows only minutes renders no more often. */
export const moment = signal(Date.now());

/** tick keeps the two signals going. */
export function tick(): void {
	const now = () => {
		if (document.hidden) return;
		second.value = Date.now();
		if (Math.abs(second.value - moment.value) >= 10_000) moment.value = second.value;
	};
	setInterval(now, 1000);
	document.addEventListener("visibilitychange", now);
}

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

/** duration returns "43 ms", "1.1 s", "2 min 5 s", "3 h 10 min" or "2 days". */
export function duration(ms: number): string {
	if (ms < 1000) return `${Math.round(ms)} ms`;
	if (ms < 9950) return `${(ms / 1000).toFixed(1)} s`;
	const seconds = Math.round(ms / 1000);
	if (seconds < 60) return `${seconds} s`;
	return joined(
		[
			[Math.floor(seconds / 86_400), "d"],
			[Math.floor(seconds / 3600) % 24, "h"],
			[Math.floor(seconds / 60) % 60, "min"],
			[seconds % 60, "s"],
		],
		2,
	);
}

function joined(parts: [number, string][], most: number): string {
	const first = parts.findIndex(([n]) => n > 0);
	return parts
		.slice(first, first + most)
		.filter(([n]) => n > 0)
		.map(([n, unit]) => `${n} ${unit}`)
		.join(" ");
}

/** left returns how long it is until a time: "2 days", "41 min", "12 s", or "no time". */
export function left(until: number, now: number): string {
	const ms = until - now;
	if (ms <= 0) return "no time";
	if (ms >= 2 * day) return `${Math.floor(ms / day)} days`;
	if (ms >= 2 * hour) return `${Math.floor(ms / hour)} h`;
	if (ms >= 2 * minute) return `${Math.floor(ms / minute)} min`;
	return `${Math.ceil(ms / 1000)} s`;
}

/** ago returns how long ago a time was; beyond a day the date. */
export function ago(then: number, now: number): string {
	const ms = now - then;
	if (ms < minute) return "just now";
	if (ms < hour) return `${Math.floor(ms / minute)} min ago`;
	if (ms < day) return `${Math.floor(ms / hour)} h ago`;
	return date(then, now);
}

const zone = () => (preferences.value.zone === "utc" ? { timeZone: "UTC" } : {});

/** date returns "9 Mar", with the year when it is another one than now. */
export function date(then: number, now: number): string {
	const sameYear = new Date(then).getUTCFullYear() === new Date(now).getUTCFullYear();
	return new Intl.DateTimeFormat("en-GB", {
		day: "numeric",
		month: "short",
		...(sameYear ? {} : { year: "numeric" }),
		...zone(),
	}).format(then);
}

/** clock returns the time of a day: "16:36", or with seconds "16:36:07". */
export function clock(then: number, seconds = false): string {
	return new Intl.DateTimeFormat("en-GB", {
		hour: "2-digit",
		minute: "2-digit",
		...(seconds ? { second: "2-digit" as const } : {}),
		hourCycle: "h23",
		...zone(),
	}).format(then);
}

/** full returns date and time in the person's zone and in UTC, for the pointer and for screen readers. */
export function full(then: number): string {
	const local = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long", ...zone() }).format(then);
	return `${local} · ${new Date(then).toISOString().replace(".000", "")}`;
}
