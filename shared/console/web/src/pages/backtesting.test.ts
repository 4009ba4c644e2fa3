import assert from "node:assert/strict";
import test from "node:test";
import type { Schema } from "../door.ts";
import { isRunning, linesOf, pathOf, summaryOf, widestOf } from "./backtesting.ts";

const result = {
	would_start: 312,
	events: { of_type: 2210, sampled: false, factor: 1 },
	credits: { at_most: 6240, likely: 4100.4, share_of_allocation: 0.041 },
	approvals: { questions: 12, per_week: 2.84 },
	played: { runs: 312, of: 312, failed: 0 },
	unknown: { client_context: 0, payload: 0 },
} as unknown as Schema["BacktestResult"];

test("the result begins with how often it would have started, its price, and its questions", () => {
	assert.equal(widestOf(result), "It would have started 312 times, of 2,210 events.");
	assert.deepEqual(linesOf(result), [
		"Some 4,100 credits, at most 6,240 credits; 4 % of a month's allocation.",
		"2.8 questions a week to people.",
	]);
	assert.equal(widestOf({ ...result, would_start: 0 }), "It would not have started on any of 2,210 events.");
});

test("what a result does not tell is said", () => {
	const partial = {
		...result,
		events: { ...result.events, sampled: true, factor: 3.5 },
		credits: { at_most: 10, likely: null, share_of_allocation: 0.0001 },
		approvals: null,
		played: { runs: 2000, of: 5000, failed: 1 },
		unknown: { client_context: 2, payload: 1 },
	} as Schema["BacktestResult"];
	assert.deepEqual(linesOf(partial), [
		"At most 10 credits; less than 1 % of a month's allocation.",
		"Each judged event stands for 3.5; the counts are of the judged ones.",
		"2,000 runs of 5,000 were played.",
		"1 played run failed with made-up answers.",
		"2 events more cannot be judged: the client's profile was not kept then.",
		"1 event more, too large to be kept.",
	]);
});

test("a job says how far it is", () => {
	const progress = { done: 1200, of: 41230 };
	assert.equal(summaryOf({ status: "running", progress }), "1,200 of 41,230 events are played.");
	assert.equal(summaryOf({ status: "running", progress: { done: 0, of: null } }), "It reads the events.");
	assert.deepEqual(
		(["pending", "running", "completed", "failed", "cancelled"] as const).map((status) => isRunning({ status })),
		[true, true, false, false, false],
	);
});

test("an event of a result leads to its page", () => {
	const event = {
		event_id: "evt_1",
		event_type: "psa:ticket.created",
		client_id: null,
		published_at: "2026-02-03T09:12:44Z",
	};
	assert.equal(pathOf(event), "/events/evt_1?type=psa%3Aticket.created&at=2026-02-03T09%3A12%3A44Z");
});
