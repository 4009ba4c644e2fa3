import assert from "node:assert/strict";
import test from "node:test";
import type { Schema } from "../door.ts";
import { previewOf } from "./retrying.ts";
import { depthsOf, firstStep, hasEffect, sentOf, tell, whySkipped } from "./telling.ts";

type Run = Schema["ExecutionDetail"];
type Step = Schema["StepTrace"];

const at = (ms: number) => new Date(Date.parse("2026-03-09T14:00:00Z") + ms).toISOString();

function step(step_id: string, more: Partial<Step>): Step {
	return {
		step_id,
		step_type: "product_action",
		status: "completed",
		name: null,
		output: null,
		input: null,
		error: null,
		credits_used: 0,
		duration_ms: 5,
		started_at: at(0),
		completed_at: at(5),
		started_offset_ms: 0,
		attempts: 1,
		model: null,
		tokens: null,
		...more,
	};
}

function run(more: Partial<Run>): Run {
	return {
		id: "exec_1",
		agent_id: "agent_1",
		agent_name: "Dispatch",
		agent_version: 1,
		status: "completed",
		steps: [],
		error: null,
		status_reason: null,
		duration_ms: 48,
		warnings: 0,
		created_at: at(0),
		completed_at: at(48),
		started_by: { type: "event", id: "evt_1" },
		cancelled_by: null,
		retry_of: null,
		retried_as: null,
		story: null,
		trigger_event: {
			id: "evt_1",
			event_type: "ticket.created",
			source_product: "psa",
			payload: {},
			causation: null,
			client_id: null,
			published_at: at(-10),
		},
		...more,
	} as Run;
}

test("a failed run names the step, what was said, the tries, and that nothing followed", () => {
	const failed = run({
		status: "failed",
		error: { code: "product_error", message: "psa answered 500.", step_id: "b" },
		steps: [
			step("a", {}),
			step("b", { name: "Update the ticket", status: "failed", attempts: 3, duration_ms: 602 }),
			step("c", { status: "skipped", attempts: 0 }),
		],
	});
	assert.deepEqual(tell(failed, 0), {
		head: "Failed at Update the ticket",
		said: "psa answered 500.",
		more: "Tried 3 times in 602 ms. Nothing after it ran.",
		step: "b",
	});
	assert.equal(firstStep(failed), "b");
});

test("the page opens on the failed step, else on the one that waits, else on the last that ended", () => {
	assert.equal(
		firstStep(run({ steps: [step("a", {}), step("b", { status: "waiting" }), step("c", { status: "pending" })] })),
		"b",
	);
	assert.equal(firstStep(run({ steps: [step("a", {}), step("b", {}), step("c", { status: "skipped" })] })), "b");
	assert.equal(firstStep(run({ steps: [] })), undefined);
});

test("a cancelled run says which effects stay", () => {
	const cancelled = run({
		status: "cancelled",
		status_reason: "approval_denied",
		steps: [step("a", {}), step("b", { step_type: "approval_gate" })],
	});
	assert.deepEqual(tell(cancelled, 0), {
		head: "Cancelled: the approval was denied",
		more: "1 effect from before stays.",
	});
	assert.equal(tell({ ...cancelled, steps: [] }, 0).more, "It changed nothing before.");
});

test("an action that failed after calls may have had an effect, and a skipped one had none", () => {
	assert.equal(hasEffect(step("a", { status: "failed", attempts: 2 })), true);
	assert.equal(hasEffect(step("a", { status: "failed", attempts: 0 })), false);
	assert.equal(hasEffect(step("a", { status: "skipped" })), false);
	assert.equal(hasEffect(step("a", { step_type: "ai_reason" })), false);
});

test("a skipped step says the condition that did not hold, or what ended the run", () => {
	assert.equal(
		whySkipped(step("a", { input: { if: "severity is low" } }), run({})),
		"Its condition did not hold: severity is low",
	);
	assert.equal(whySkipped(step("a", {}), run({ status: "failed" })), "The run failed before it.");
});

test("a retry says which effects happen again, what asks again, and what it costs", () => {
	const before = run({
		status: "failed",
		agent_version: 4,
		steps: [
			step("ai", { step_type: "ai_reason", credits_used: 20 }),
			step("update", { input: { ticket_id: "tkt_1" } }),
			step("mail", {
				step_type: "notification",
				output: { recipients: [{ recipient: "security@acme.test", status: "sent", reason: null }] },
			}),
			step("gate", { step_type: "approval_gate", name: "Confirm" }),
			step("never", { status: "skipped", attempts: 0, started_at: null }),
		],
	});
	const steps = [{ id: "choice", cases: [{ steps: [{ id: "update", product: "psa", action: "update_ticket" }] }] }];
	assert.deepEqual(previewOf(before, new Map(), steps, 5), {
		again: [
			{ step: "update", text: "Update ticket (was done)", destructive: false },
			{ step: "mail", text: "message to security@acme.test (was sent)", destructive: false },
		],
		asked: ["Confirm"],
		credits: 20,
		versions: { ran: 4, now: 5 },
	});
	assert.equal(previewOf(before, new Map(), steps, 4).versions, undefined);
});

test("what a product or a model put in the place of recipients is no recipient", () => {
	assert.deepEqual(sentOf({ recipients: ["x", null, { status: "sent" }, { recipient: "a", status: "sent" }] }), [
		{ recipient: "a", status: "sent", reason: "" },
	]);
	assert.deepEqual(sentOf("x"), []);
});

test("a definition tells how deep the steps of branches are", () => {
	const depths = depthsOf([
		{ id: "a" },
		{ id: "b", cases: [{ steps: [{ id: "c" }] }], else: [{ id: "d", cases: [{ steps: [{ id: "e" }] }] }] },
	]);
	assert.deepEqual(
		[...depths],
		[
			["a", 0],
			["b", 0],
			["c", 1],
			["d", 1],
			["e", 2],
		],
	);
});
