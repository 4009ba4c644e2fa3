import assert from "node:assert/strict";
import test from "node:test";
import type { Schema } from "./door.ts";
import * as paces from "./paces.ts";

const start = Date.parse("2026-03-09T14:00:00Z");
const at = (seconds: number) => new Date(start + seconds * 1000).toISOString();

function execution(more: Partial<Schema["ExecutionDetail"]>): Schema["ExecutionDetail"] {
	return { status: "running", steps: [], created_at: at(0), completed_at: null, ...more } as Schema["ExecutionDetail"];
}

test("a run that moves is asked for each second, then less often", () => {
	const waits = [0, 29, 31, 299, 301].map((s) => paces.run(execution({}), start + s * 1000));
	assert.deepEqual(waits, [1000, 1000, 2000, 2000, 5000]);
});

test("a run that waits for a person is asked for every 5, later every 15 seconds", () => {
	const waiting = execution({
		status: "waiting_approval",
		steps: [{ status: "waiting", started_at: at(10) } as Schema["StepTrace"]],
	});
	assert.deepEqual(
		[11, 69, 71].map((s) => paces.run(waiting, start + s * 1000)),
		[5000, 5000, 15000],
	);
});

test("a run that has ended is asked for once more and then no more", () => {
	const ended = execution({ status: "completed", completed_at: at(10) });
	assert.equal(paces.run(ended, start + 11_000), 2000);
	assert.equal(paces.run(ended, start + 15_000), false);
});

test("an approval is asked for at the moment of its expiry, and no more after its end", () => {
	const open = { status: "pending", created_at: at(0), expires_at: at(100) } as Schema["Approval"];
	assert.equal(paces.approval(open, start), 5000);
	assert.equal(paces.approval(open, start + 90_000), 11_000);
	assert.equal(paces.approval(open, start + 101_000), 2000);
	assert.equal(paces.approval({ ...open, status: "expired" }, start), false);
});

test("the list of runs is faster while one of them is open", () => {
	const list = (status: Schema["ExecutionStatus"]) => ({ executions: [{ status }] }) as Schema["ExecutionList"];
	assert.equal(paces.runs(list("running"), 0), 3000);
	assert.equal(paces.runs(list("failed"), 0), 10_000);
	assert.equal(paces.runs(undefined, 0), 10_000);
});
