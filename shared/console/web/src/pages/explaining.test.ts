import assert from "node:assert/strict";
import test from "node:test";
import type { Schema } from "../door.ts";
import { headOf, hrefOf, nowOf, ranked, stateOf } from "./explaining.ts";

type Agent = Schema["AgentExplanation"];

const agent = (agent_id: string, then: string | null, now: string | null) =>
	({
		agent_id,
		then: then === null ? null : { outcome: then },
		now: now === null ? null : { outcome: now },
	}) as unknown as Agent;

test("agents that ran come first, then those that listen, and the rest is apart", () => {
	const list = [
		agent("other", null, "not_listening"),
		agent("refused", "filtered", "filtered"),
		agent("ran", "started", "started"),
		agent("draft", null, "started"),
		agent("beyond", null, null),
	];
	const { concerned, others } = ranked(list);
	assert.deepEqual(
		concerned.map((a) => a.agent_id),
		["ran", "refused", "draft"],
	);
	assert.deepEqual(
		others.map((a) => a.agent_id),
		["other", "beyond"],
	);
});

test("the first sentence says what the event started", () => {
	const refused = agent("a", "filtered", "filtered");
	const ran = agent("b", "started", null);
	assert.equal(headOf([refused, ran]), "It started one run.");
	assert.equal(headOf([ran, agent("c", "started", null)]), "It started 2 runs.");
	assert.equal(headOf([refused]), "It started nothing. One agent listened or listens for it.");
	assert.equal(headOf([agent("d", null, "not_listening")]), "No agent listens for it.");
});

test("what the present version would do is said only where it differs", () => {
	assert.equal(nowOf(agent("a", "filtered", "filtered")), "");
	assert.equal(nowOf(agent("a", "filtered", "started")), "Today its definition would let it start.");
	assert.equal(nowOf(agent("a", null, "not_listening")), "");
	assert.equal(stateOf(agent("a", null, "started")).label, "Not looked at");
	assert.equal(stateOf(agent("a", "started", null)).tone, "ok");
});

test("the page of an event names its type and its time", () => {
	const event = {
		event_id: "evt_1",
		source_product: "psa",
		event_type: "ticket.created",
		published_at: "2026-03-09T14:23:01Z",
	};
	assert.equal(hrefOf(event), "/events/evt_1?type=psa%3Aticket.created&at=2026-03-09T14%3A23%3A01Z");
});
