import assert from "node:assert/strict";
import test from "node:test";
import { backoff, Governor, readLimits } from "./governor.ts";

const at = (remaining: number) => ({ limit: 100, remaining, reset: 60 });

test("paces double below 40 % of the rate limit and are five times slower below 20 %", () => {
	const g = new Governor();
	assert.equal(g.slowed(1000, 0), 1000);
	for (const [remaining, want] of [
		[100, 1000],
		[40, 1000],
		[39, 2000],
		[20, 2000],
		[19, 5000],
		[0, 5000],
	] as const) {
		g.note(at(remaining));
		assert.equal(g.slowed(1000, 0), want, `${remaining} left`);
	}
});

test("a limit that is full again slows nothing", () => {
	const g = new Governor();
	g.note(at(0));
	assert.equal(g.slowed(1000, 59_999), 5000);
	assert.equal(g.slowed(1000, 60_000), 1000);
});

test("nothing asks before the Retry-After of a 429 has passed", () => {
	const g = new Governor();
	g.hold(30, 1000);
	g.hold(10, 1000);
	assert.equal(g.slowed(1000, 1000), 30_000);
	assert.equal(g.slowed(1000, 30_500), 1000);
});

test("an answer without limits changes nothing", () => {
	const g = new Governor();
	g.note(at(0));
	g.note(readLimits(new Headers({ "X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "x" })));
	assert.equal(g.slowed(1000, 0), 5000);
	assert.equal(readLimits(new Headers()), undefined);
});

test("failures in a row wait 2, 4, 8 … 60 seconds", () => {
	assert.deepEqual([1, 2, 3, 4, 5, 6, 60].map(backoff), [2000, 4000, 8000, 16000, 32000, 60000, 60000]);
});
