import assert from "node:assert/strict";
import test from "node:test";
import type { Schema } from "../door.ts";
import {
	headOf,
	hrefOf,
	nowOf,
	ranked,
	stateOf,
	supposedOf,
	supposeHref,
	suppositionOf,
	wouldOf,
} from "./explaining.ts";

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

const asked = (status: string, now: string | null) => ({ ...agent("a", null, now), status }) as unknown as Agent;

test("an event that never came starts only agents that are active", () => {
	assert.equal(wouldOf(asked("active", "started")).label, "Would start");
	assert.equal(wouldOf(asked("paused", "started")).label, "Would not start");
	assert.equal(wouldOf(asked("active", "filtered")).label, "Would not start");
	assert.equal(wouldOf(asked("active", null)).label, "Not judged");
	const [ready, draft, deaf] = [
		asked("active", "started"),
		asked("draft", "started"),
		asked("active", "not_listening"),
	];
	assert.equal(supposedOf([deaf, ready, draft]).head, "It would start 1 run.");
	assert.equal(supposedOf([ready, ready]).head, "It would start 2 runs.");
	assert.equal(supposedOf([deaf, draft]).head, "It would start nothing. 1 agent listens for it.");
	assert.equal(supposedOf([draft, draft]).head, "It would start nothing. 2 agents listen for it.");
	assert.equal(supposedOf([deaf]).head, "No agent listens for it.");
});

test("a supposed payload keeps its digits, and a client is named only where a person wrote one", () => {
	const event = { type: "psa:ticket.created", payload: '{"n": 12345678901234567890}', client: "", caused: false };
	assert.equal(
		suppositionOf(event),
		'{"event_type": "psa:ticket.created", "payload": {"n": 12345678901234567890}, "depth": 0}',
	);
	assert.equal(
		suppositionOf({ ...event, payload: "{}", client: ' cli_"1 ', caused: true }),
		'{"event_type": "psa:ticket.created", "payload": {}, "client_id": "cli_\\"1", "depth": 1}',
	);
});

test("the page of a supposed event finds the received one", () => {
	const event = {
		event_id: "evt_1",
		source_product: "psa",
		event_type: "ticket.created",
		published_at: "2026-03-09T14:23:01Z",
	} as Schema["ExplainedEvent"];
	assert.equal(supposeHref(event), "/events/suppose?type=psa%3Aticket.created&event=evt_1&at=2026-03-09T14%3A23%3A01Z");
});
