import assert from "node:assert/strict";
import test from "node:test";
import { ago, duration, left } from "./time.ts";

test("a duration has at most two units", () => {
	const cases: [number, string][] = [
		[0, "0 ms"],
		[43, "43 ms"],
		[999, "999 ms"],
		[1000, "1.0 s"],
		[1100, "1.1 s"],
		[9949, "9.9 s"],
		[9950, "10 s"],
		[59_400, "59 s"],
		[60_000, "1 min"],
		[125_000, "2 min 5 s"],
		[3_600_000, "1 h"],
		[7_924_000, "2 h 12 min"],
		[90_000_000, "1 d 1 h"],
	];
	for (const [ms, want] of cases) assert.equal(duration(ms), want, String(ms));
});

test("the time left is rounded down, and never says more than there is", () => {
	const cases: [number, string][] = [
		[-1, "no time"],
		[0, "no time"],
		[1, "1 s"],
		[119_000, "119 s"],
		[120_000, "2 min"],
		[2_519_000, "41 min"],
		[7_200_000, "2 h"],
		[172_800_000, "2 days"],
	];
	for (const [ms, want] of cases) assert.equal(left(ms, 0), want, String(ms));
});

test("what is older than a day has a date", () => {
	const now = Date.parse("2026-03-09T14:00:00Z");
	assert.equal(ago(now - 59_000, now), "just now");
	assert.equal(ago(now - 19 * 60_000, now), "19 min ago");
	assert.equal(ago(now - 23 * 3_600_000, now), "23 h ago");
	assert.equal(ago(now - 48 * 3_600_000, now), "7 Mar");
	assert.match(ago(Date.parse("2025-03-09T14:00:00Z"), now), /2025/);
});
