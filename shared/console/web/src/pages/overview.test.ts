import assert from "node:assert/strict";
import test from "node:test";
import type { Schema } from "../door.ts";
import { grouped, headline, hoursOf, troubled } from "./overview.ts";
import { forecast, used } from "./spending.ts";

const at = (hour: number) => new Date(2026, 2, 9, hour);

test("the first line says what waits for the person, and only then what waits for others", () => {
	assert.equal(
		headline(at(9), [{ can_decide: true }, { can_decide: false }], 2),
		"Good morning. 1 decision waits for you, 2 runs failed today.",
	);
	assert.equal(
		headline(at(15), [{ can_decide: false }, { can_decide: false }], 0),
		"Good afternoon. 2 decisions wait for others.",
	);
	assert.equal(headline(at(20), [], 0), "Good evening. Nothing needs you.");
});

test("failures with one cause are together, the largest group first", () => {
	const x = (id: string, error_code: string, at_step: string) =>
		({ id, agent_id: "agent_1", error_code, at_step }) as Schema["Execution"];
	const groups = grouped([
		x("1", "step_timeout", "a"),
		x("2", "product_error", "b"),
		x("3", "product_error", "b"),
		x("4", "product_error", "c"),
	]);
	assert.deepEqual(
		groups.map((g) => [g.code, g.step, g.runs.length]),
		[
			["product_error", "b", 2],
			["step_timeout", "a", 1],
			["product_error", "c", 1],
		],
	);
});

test("an agent in error, and one whose runs mostly fail, need a look", () => {
	const agent = (status: string, success_rate: number | null, total_runs: number) =>
		({ status, stats: { success_rate, total_runs } }) as Schema["AgentSummary"];
	const why = troubled([
		agent("error", 1, 9),
		agent("active", 0.25, 8),
		agent("active", 0.25, 4),
		agent("paused", 0, 9),
		agent("active", null, 0),
	]).map((t) => t.why);
	assert.deepEqual(why, ["in error", "75 % of its runs failed"]);
});

test("runs are counted by the hour of the person's day", () => {
	const hours = hoursOf([
		{ created_at: at(9).toISOString(), status: "failed" },
		{ created_at: at(9).toISOString(), status: "completed" },
	]);
	assert.deepEqual(hours[9], { hour: 9, all: 2, failed: 1 });
	assert.equal(hours.length, 24);
});

const credits = (total_used: number) => ({ month: "2026-11", total_used, allocation: 100_000 }) as Schema["Credits"];

test("the forecast assumes an even use, says when the credits are out, and is none in the first two days", () => {
	const noon = Date.parse("2026-11-16T00:00:00Z"); // half of the month
	assert.deepEqual(forecast(credits(40_000), noon), { total: 80_000, daysLeft: 15, out: undefined });
	assert.deepEqual(forecast(credits(100_000), noon), { total: 200_000, daysLeft: 15, out: noon });
	assert.equal(forecast(credits(10), Date.parse("2026-11-02T23:00:00Z")), undefined);
	assert.equal(used(credits(25_000)), 0.25);
});
