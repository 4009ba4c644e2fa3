import assert from "node:assert/strict";
import { test } from "node:test";
import { boundsOf, cansOf, differenceOf } from "./capable.ts";
import type { Schema } from "./door.ts";

const bounds: Schema["CapabilityBounds"] = {
	credits_at_most: 20,
	actions_at_most: 2,
	messages_at_most: 1,
	people_asked_at_most: 1,
	waits_seconds_at_most: 7200,
};

const nothing: Schema["Capabilities"] = {
	wakes_on: {
		event: "psa:ticket.created",
		when: [],
		clients: "all",
		agent_triggered: false,
		overrides: false,
		limit: null,
	},
	reads: [],
	asks: [],
	does: [],
	tells: [],
	people: [],
	can_cause: [],
	bounds,
};

const action = (name: string, risk: Schema["CapabilityAction"]["risk"], gates: string[], from: string[]) => ({
	step_id: name,
	action: name,
	risk,
	when: [],
	gates,
	params: { body: { role: "content" as const, from, shown_at_gate: gates.length > 0 } },
});

test("the action that changes most is first, and a model's words are named", () => {
	const cans = cansOf({
		...nothing,
		does: [
			action("psa:add_note", "internal", [], ["author", "model:triage"]),
			action("defend:isolate_device", "destructive", ["confirm_isolation"], ["event"]),
		],
	});
	assert.deepEqual(
		cans.map((c) => [c.text, c.more, c.tone]),
		[
			["Does defend: isolate device", "only after an approval at confirm isolation", "wait"],
			["Does psa: add note", "without an approval; a model's answer fills body", "calm"],
		],
	);
});

test("recipients that the event names are told apart from those of the definition", () => {
	const [tells] = cansOf({
		...nothing,
		tells: [
			{
				step_id: "tell",
				channel: "sms",
				of: "notification",
				to: ["+15551234567"],
				to_from: ["event"],
				words_from: ["author", "product:note"],
				when: [],
			},
		],
	});
	assert.equal(tells?.text, "Tells +15551234567 and recipients from the event by text message");
	assert.equal(tells?.more, "with words of the definition and from a product's reply");
});

test("bounds and differences are sentences", () => {
	assert.match(boundsOf(bounds), /^A run takes at most 20 credits, 2 actions and 1 message, and waits at most 2/);
	assert.equal(differenceOf({ what: "does psa:add_note", was: "no", now: "yes" }), "does psa:add_note");
	assert.equal(
		differenceOf({ what: "credits of a run, at most", was: "20", now: "40" }),
		"credits of a run, at most: 20 → 40",
	);
	assert.equal(differenceOf({ what: "starts only when x", was: "yes", now: "no" }), "no longer: starts only when x");
});
