import assert from "node:assert/strict";
import test from "node:test";
import type { Schema } from "../door.ts";
import { asksModels, bodyOf, chargeOf, gatesOf, payloadFault, priceOf, type Trial, verdictOf } from "./testing.ts";

const trial: Trial = { source: "sample", run: "", payload: "", model: "simulated", decisions: {}, anyway: false };

test("gates are found in branches too, in the order of the definition", () => {
	const gate = (id: string, name?: string) => ({ id, name, type: "approval_gate" });
	const steps = [
		gate("first", "Ask"),
		{ type: "wait" },
		{ type: "branch", cases: [{ steps: [gate("second")] }, { steps: [] }, null], else: [gate("third")] },
		null,
		7,
	];
	assert.deepEqual(gatesOf(steps), [
		{ id: "first", name: "Ask" },
		{ id: "second", name: "second" },
		{ id: "third", name: "third" },
	]);
	assert.deepEqual(gatesOf("no list"), []);
});

test("a step that asks a model is found in branches too", () => {
	assert.equal(
		asksModels([{ type: "wait" }, { type: "branch", cases: [{ steps: [] }], else: [{ type: "ai_reason" }] }]),
		true,
	);
	assert.equal(asksModels([{ type: "wait" }]), false);
	assert.equal(asksModels(null), false);
});

test("a payload is an object, and a fault says what is wrong", () => {
	assert.equal(payloadFault('{"a": 1}'), "");
	assert.match(payloadFault("[1]"), /must be an object/);
	assert.match(payloadFault("null"), /must be an object/);
	assert.match(payloadFault('{"a": '), /no JSON yet/);
});

test("a payload is sent with all digits, and only decisions that differ are sent", () => {
	const digits = '{"n": 12345678901234567890.10}';
	assert.equal(
		bodyOf({ ...trial, source: "payload", payload: digits, decisions: { a: "approved", b: "denied" }, anyway: true }),
		`{"event": {"payload": ${digits}}, "model": "simulated", "decisions": {"b":"denied"}, "ignore_match": true}`,
	);
	assert.deepEqual(JSON.parse(bodyOf({ ...trial, source: "execution", run: 'x"}' })).event, { execution_id: 'x"}' });
	assert.equal(JSON.parse(bodyOf(trial)).event, "sample");
});

test("the first sentence says whether it would start and how it would end", () => {
	const result = {
		outcome: "started",
		reason: null,
		status: "completed",
		status_reason: null,
		error: null,
		effects: [{ kind: "action" }, { kind: "message" }, { kind: "message" }],
		gates: [{}],
		credits: { would_cost: 20 },
	} as unknown as Schema["TestResult"];
	assert.deepEqual(verdictOf(result), {
		tone: "ok",
		head: "It would start, and reach its end.",
		why: "",
		more: "It would take 1 action, 2 messages, 1 question, 20 credits.",
	});
	const failed = { ...result, status: "failed", error: { code: "product_error", message: "It is gone." } };
	assert.equal(verdictOf(failed as typeof result).why, "It is gone.");
	const denied = { ...result, status: "cancelled", status_reason: "approval_denied" } as typeof result;
	assert.equal(verdictOf(denied).why, "The approval was denied.");
	const filtered = { ...result, outcome: "filtered", reason: 'priority must be "p1".', status: null, effects: [] };
	const said = verdictOf(filtered as typeof result);
	assert.deepEqual([said.head, said.why, said.more], ["The event would not start it.", 'priority must be "p1".', ""]);
	assert.match(verdictOf({ ...filtered, status: "completed" } as typeof result).head, /all the same/);
});

test("a test with live models has its price before and after", () => {
	assert.equal(
		priceOf(25, 1200),
		"It costs at most 25 credits, charged to this agent; the organization has 1,200 credits left this month.",
	);
	assert.match(priceOf(25, 1), /has 1 credit left this month, which is too few\.$/);
	assert.match(priceOf(0, 0), /^It costs nothing, charged/);
	assert.equal(chargeOf({ would_cost: 25, at_most: 25, charged: 5 }), "The models cost 5 credits.");
	assert.equal(chargeOf({ would_cost: 25, at_most: 25, charged: 0 }), "Nothing was charged.");
});
