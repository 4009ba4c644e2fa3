// The waterfall of a run: where the bar of each step begins and ends on a line whose long
// waits are folded, so that a night of waiting does not crush the seconds of work.
import type { Schema } from "../door.ts";
import { duration } from "../time.ts";

type Step = Pick<Schema["StepTrace"], "step_id" | "step_type" | "status" | "started_offset_ms" | "duration_ms">;

/** A Fold is a part of the line without work: it is drawn as a break with its length. */
export interface Fold {
	/** Percent of the line. */
	at: number;
	width: number;
	/** The time that it stands for. */
	label: string;
}

/** A Bar is a step on the line, in percent of it. A step that has not begun has none. */
export interface Bar {
	at: number;
	width: number;
	/** Waits for a person or a time: drawn hatched. */
	idle: boolean;
}

export interface Tick {
	at: number;
	label: string;
}

export interface Waterfall {
	bars: ReadonlyMap<string, Bar>;
	folds: Fold[];
	ticks: Tick[];
}

/** Milliseconds without work from which a wait is folded. */
export const foldable = 30_000;

type Span = [from: number, to: number];

/** waterfall places the steps of a run that has lasted `total` milliseconds so far. */
export function waterfall(steps: readonly Step[], total: number): Waterfall {
	const end = Math.max(total, 1, ...steps.map((s) => (s.started_offset_ms ?? 0) + (s.duration_ms ?? 0)));
	const spans = new Map<string, Span>();
	for (const s of steps) {
		if (s.started_offset_ms === null) continue;
		const open = s.status === "running" || s.status === "waiting";
		spans.set(s.step_id, [s.started_offset_ms, open ? end : s.started_offset_ms + (s.duration_ms ?? 0)]);
	}
	const idle = (s: Step) => s.step_type === "approval_gate" || s.step_type === "wait";
	const works = steps.flatMap((s) => (idle(s) ? [] : (spans.get(s.step_id) ?? []))) as number[];
	const line = lineOf(pairs(works), end);
	const bars = new Map<string, Bar>();
	for (const s of steps) {
		const span = spans.get(s.step_id);
		if (!span) continue;
		const at = line.at(span[0]);
		bars.set(s.step_id, { at, width: line.at(span[1]) - at, idle: idle(s) });
	}
	return { bars, folds: line.folds, ticks: ticksOf(end, line) };
}

function pairs(flat: readonly number[]): Span[] {
	const out: Span[] = [];
	for (let i = 0; i + 1 < flat.length; i += 2) out.push([flat[i] as number, flat[i + 1] as number]);
	return out.sort((a, b) => a[0] - b[0]);
}

interface Line {
	at: (ms: number) => number;
	folds: Fold[];
	gaps: Span[];
}

/** lineOf returns the line: gaps between works that are long enough get a fixed width. */
function lineOf(works: readonly Span[], end: number): Line {
	const gaps: Span[] = [];
	let worked = 0;
	for (const [from, to] of [...works, [end, end] as Span]) {
		if (from - worked > foldable) gaps.push([worked, from]);
		worked = Math.max(worked, to);
	}
	const hidden = gaps.reduce((sum, [from, to]) => sum + to - from, 0);
	const seen = Math.max(end - hidden, 1);
	const each = gaps.length === 0 ? 0 : Math.min(12, 50 / gaps.length);
	const perMs = (100 - gaps.length * each) / seen;
	const at = (ms: number) => {
		let x = 0;
		let before = 0;
		for (const [from, to] of gaps) {
			if (ms <= from) break;
			x += (from - before) * perMs;
			before = from;
			x += each * Math.min(1, (ms - from) / (to - from));
			before = Math.min(ms, to);
			if (ms <= to) return x;
		}
		return x + (ms - before) * perMs;
	};
	return { at, gaps, folds: gaps.map(([from, to]) => ({ at: at(from), width: each, label: duration(to - from) })) };
}

/** ticksOf returns up to five round times. Beyond a fold the line has none: its steps have
 * their durations in words. */
function ticksOf(end: number, line: Line): Tick[] {
	const until = line.gaps[0]?.[0] ?? end;
	const ticks: Tick[] = [{ at: 0, label: "0" }];
	if (until <= 0) return ticks;
	const raw = until / 4;
	const power = 10 ** Math.floor(Math.log10(raw));
	const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= raw) as number;
	if (step < 1) return ticks;
	for (let ms = step; ms <= until; ms += step) {
		const at = line.at(ms);
		if (at < 95) ticks.push({ at, label: duration(ms) });
	}
	return ticks;
}
