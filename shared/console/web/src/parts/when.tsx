import { ago, clock, full, left, moment, second } from "../time.ts";

/** A When is a time: how long ago, with the exact time for the pointer and the focus. */
export function When({ at, as = "ago" }: { at: string; as?: "ago" | "clock" | "seconds" }) {
	const then = Date.parse(at);
	return (
		<time dateTime={at} title={full(then)}>
			{as === "ago" ? ago(then, moment.value) : clock(then, as === "seconds")}
		</time>
	);
}

/** A Left is the time until a moment; it counts seconds only in its last two minutes. */
export function Left({ until }: { until: string }) {
	const end = Date.parse(until);
	const near = end - moment.value < 130_000;
	return (
		<time dateTime={until} title={full(end)}>
			{left(end, near ? second.value : moment.value)}
		</time>
	);
}
