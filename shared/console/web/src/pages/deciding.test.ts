import assert from "node:assert/strict";
import test from "node:test";
import type { Action } from "../actions.ts";
import type { Schema } from "../door.ts";
import { actOf, decidersOf, expiryOf, isDestructive, objectOf, sentenceOf, sorted, thenOf } from "./deciding.ts";

type Shown = Schema["ShownAction"];
type Step = Schema["ShownStep"];

const action = (more: Partial<Shown> = {}): Shown => ({
	step_id: "isolate",
	product: "defend",
	action: "isolate_device",
	params: { reason: "x", device_id: "dev_1" },
	display_name: "Isolate Device",
	destructive: true,
	...more,
});
const step = (more: Partial<Step>): Step => ({
	step_id: "s",
	type: "wait",
	name: null,
	certain: true,
	within: null,
	message: null,
	branch: null,
	wait: null,
	...more,
});
const approval = (more: object = {}) =>
	({
		id: "appr_1",
		expires_at: "2026-03-09T14:00:00Z",
		approvers: { roles: ["owner", "admin"], users: [] },
		on_expiry: "deny",
		escalated: false,
		shows: { message: "?", actions: [action()], then: [] },
		...more,
	}) as unknown as Schema["Approval"];
const shows = (actions: Shown[], then: Step[] = []) => approval({ shows: { message: "?", actions, then } });

test("the button names the act, the destructive one first", () => {
	const note = action({ step_id: "note", action: "add_note", display_name: "Add Note", destructive: false });
	assert.equal(actOf(approval()), "isolate device");
	assert.equal(actOf(shows([note, action()])), "isolate device and 1 more");
	assert.equal(actOf(shows([action({ display_name: null })])), "isolate device");
	assert.equal(actOf(shows([])), "continue the run");
});

test("an action that the catalogue no longer knows counts as destructive", () => {
	assert.equal(isDestructive(shows([action({ destructive: null })])), true);
	assert.equal(isDestructive(shows([action({ destructive: false })])), false);
});

test("the object of an action is its target", () => {
	const known = {
		params: [
			{ name: "reason", role: "content" },
			{ name: "device_id", role: "target" },
		],
	} as Action;
	const actions = new Map([["defend:isolate_device", known]]);
	assert.equal(objectOf(action(), actions), "dev_1");
	assert.equal(objectOf(action({ params: null }), actions), "");
	assert.equal(objectOf(action({ params: { device_id: { a: 1 } } }), actions), "");
	assert.equal(objectOf(action(), new Map()), "");
});

test("what follows is told without the actions, which have a card each", () => {
	const then = [step({ step_id: "isolate", type: "product_action" }), step({ step_id: "tell", type: "notification" })];
	assert.deepEqual(
		thenOf(shows([action()], then)).map((s) => s.step_id),
		["tell"],
	);
});

test("a sentence says what a step does, and what is not known yet", () => {
	const message = {
		channel: "email",
		recipients: ["a@x.example", "b@x.example"],
		recipients_left_out: 2,
		subject: null,
		text: null,
		text_left_out: 0,
	} as const;
	const cases: [Step, string][] = [
		[
			step({ type: "notification", message: { ...message, recipients: [...message.recipients] } }),
			"e-mail to a@x.example, b@x.example and 2 more",
		],
		[
			step({ type: "notification", message: { ...message, recipients: null }, certain: false }),
			"e-mail to recipients that are known later if its condition holds",
		],
		[step({ type: "wait", wait: { duration_seconds: 1, until: null } }), "a wait of 1.0 s"],
		[step({ type: "wait", wait: { duration_seconds: null, until: null } }), "a wait until a time that is known later"],
		[
			step({ type: "branch", name: "How bad?", branch: { taken: null, case: null } }),
			"a choice that is made later: How bad?",
		],
		[step({ type: "branch", name: "How bad?", branch: { taken: "case", case: 1 } }), "case 2 of How bad?"],
		[step({ type: "approval_gate", step_id: "again" }), "another approval is asked for: again"],
	];
	for (const [s, want] of cases) assert.equal(sentenceOf(s), want);
});

test("without a decision the gate does what it says, and after an escalation denies", () => {
	assert.equal(expiryOf(approval()), "denied automatically");
	assert.equal(expiryOf(approval({ on_expiry: "approve" })), "approved automatically");
	assert.equal(expiryOf(approval({ on_expiry: "escalate" })), "passed on to others");
	assert.equal(expiryOf(approval({ on_expiry: "escalate", escalated: true })), "denied automatically");
	assert.equal(expiryOf(approval({ on_expiry: null })), "denied automatically");
});

test("deciders are roles and people", () => {
	assert.equal(
		decidersOf(approval({ approvers: { roles: ["owner", "admin"], users: ["user_mia"] } })),
		"owners, admins and user_mia",
	);
});

test("what ends first is on top, and at the same minute what is destructive", () => {
	const at = (id: string, expires_at: string, destructive: boolean) =>
		approval({ id, expires_at, shows: { message: "?", actions: [action({ destructive })], then: [] } });
	const list = [
		at("c", "2026-03-09T15:00:00Z", true),
		at("b", "2026-03-09T14:00:01Z", false),
		at("a", "2026-03-09T14:00:30Z", true),
	];
	assert.deepEqual(
		sorted(list).map((a) => a.id),
		["a", "b", "c"],
	);
});
