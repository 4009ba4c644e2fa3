import assert from "node:assert/strict";
import test from "node:test";
import type { Schema } from "../door.ts";
import { offersAt, tipAt } from "./complete.ts";
import type { Knowledge } from "./knowledge.ts";
import { insertStep, type Kind, skeleton } from "./skeletons.ts";
import { parse } from "./syntax.ts";

const event = (type: string, fields: Schema["FilterableField"][], sample: Record<string, unknown>) =>
	({
		id: `psa:${type}`,
		source_product: "psa",
		event_type: type,
		category: "service_desk",
		display_name: type,
		description: `Fires for ${type}.`,
		filterable_fields: fields,
		sample_payload: sample,
	}) satisfies Schema["EventType"];

const knowledge: Knowledge = {
	events: [
		event("ticket.escalated", [{ path: "escalated_to", label: "Escalated to", type: "string" }], {
			ticket_id: "tkt_1",
			escalated_to: "p1",
			labels: [{ name: "vip" }],
		}),
		event("ticket.created", [{ path: "priority", label: "Priority", type: "enum", enum_values: ["p1", "p2"] }], {
			priority: "p2",
		}),
	],
	actions: [
		{
			id: "defend:isolate_device",
			product: "defend",
			action: "isolate_device",
			display_name: "Isolate Device",
			description: "Cuts a device off.",
			destructive: true,
			risk: "destructive",
			params: [
				{ name: "device_id", type: "string", required: true, role: "target", description: "The device to isolate." },
				{ name: "reason", type: "string", required: false, role: "content", description: "Why." },
			],
			emits: [],
			sample_params: {},
			sample_reply: {},
		},
	],
};

/** offered returns the labels at the sign ¦. */
function offered(marked: string): string[] {
	const pos = marked.indexOf("¦");
	const text = marked.replace("¦", "");
	return offersAt(text, parse(text), pos, knowledge)?.offers.map((o) => o.label) ?? [];
}

/** applied returns the text after the first offer with this label. */
function applied(marked: string, label: string): string {
	const pos = marked.indexOf("¦");
	const text = marked.replace("¦", "");
	const found = offersAt(text, parse(text), pos, knowledge);
	const offer = found?.offers.find((o) => o.label === label);
	assert.ok(found && offer, `${label} at ${marked}`);
	const after = text.slice(0, found.range.from) + offer.insert + text.slice(found.range.to);
	return found.comma === undefined ? after : `${after.slice(0, found.comma)},${after.slice(found.comma)}`;
}

const escalated = '"trigger": {"source_product": "psa", "event_type": "ticket.escalated"';
const created = '"trigger": {"source_product": "psa", "event_type": "ticket.created"';

test("a field is offered only for its own event", () => {
	assert.deepEqual(offered(`{${escalated}, "filters": [{"field": "¦"}]}}`), ["escalated_to"]);
	assert.deepEqual(offered(`{${created}, "filters": [{"field": "¦"}]}}`), ["priority"]);
	const prompt = (trigger: string) => offered(`{${trigger}}, "steps": [{"type": "ai_reason", "prompt": "{{ ¦"}]}`);
	assert.ok(prompt(escalated).includes("event_payload.escalated_to"));
	assert.ok(!prompt(created).includes("event_payload.escalated_to"));
	assert.ok(prompt(escalated).includes("event_payload.labels[0].name"));
});

test("a parameter is offered only for its own action", () => {
	const params = (action: string) =>
		offered(`{"steps": [{"type": "product_action", "product": "defend", "action": "${action}", "params": {¦}}]}`);
	assert.deepEqual(params("isolate_device"), ["device_id", "reason"]);
	assert.deepEqual(params("other"), []);
});

test("a parameter that is there is not offered again", () => {
	assert.deepEqual(
		offered('{"steps": [{"product": "defend", "action": "isolate_device", "params": {"device_id": "x", "¦"}}]}'),
		["reason"],
	);
});

test("products, events, actions, kinds and enumerations", () => {
	assert.deepEqual(offered('{"trigger": {"source_product": ¦}}'), ["psa"]);
	assert.deepEqual(offered('{"trigger": {"source_product": "psa", "event_type": "¦"}}'), [
		"ticket.escalated",
		"ticket.created",
	]);
	assert.deepEqual(offered('{"steps": [{"type": "product_action", "product": "defend", "action": "¦"}]}'), [
		"isolate_device",
	]);
	assert.equal(offered('{"steps": [{"type": "¦"}]}').length, 6);
	assert.deepEqual(offered('{"steps": [{"type": "ai_reason", "model": "¦"}]}'), [
		"quick",
		"standard",
		"premium",
		"expert",
	]);
	assert.ok(offered('{"category": "¦"}').includes("security"));
	assert.deepEqual(offered('{"client_scope": "¦"}'), ["all"]);
});

test("operators and values follow the field", () => {
	const filter = (rest: string) => offered(`{${created}, "filters": [{"field": "priority", ${rest}}]}}`);
	assert.ok(!filter('"operator": "¦"').includes("gt"));
	assert.deepEqual(filter('"operator": "eq", "value": "¦"'), ["p1", "p2"]);
	assert.deepEqual(filter('"operator": "in", "value": ["¦"]'), ["p1", "p2"]);
	assert.deepEqual(filter('"operator": "in", "value": ¦'), ['["p1"]', '["p2"]']);
});

test("keys are those of the kind of step", () => {
	const gate = offered('{"steps": [{"id": "a", "type": "approval_gate", ¦}]}');
	assert.ok(gate.includes("message") && gate.includes("on_expiry") && !gate.includes("prompt") && !gate.includes("id"));
	assert.ok(offered("{¦}").includes("trigger"));
	assert.ok(offered('{"trigger": {¦}}').includes("filters"));
	assert.deepEqual(offered('{"client_scope": {¦}}'), ["include", "exclude"]);
	assert.ok(offered('{"conditions": [{¦}]}').includes("any"));
	assert.deepEqual(offered('{"execution_limit": {¦}}'), ["max_per_hour", "max_per_day", "cooldown_minutes"]);
});

test("a placeholder may name earlier steps on its path, and no later ones", () => {
	const steps = `"steps": [
		{"id": "judge", "type": "ai_reason", "output_schema": {"properties": {"verdict": {"enum": ["noise"]}}}},
		{"id": "fork", "type": "branch", "cases": [{"steps": [
			{"id": "a", "type": "wait"},
			{"id": "b", "type": "ai_reason", "prompt": "{{ ¦"}
		]}], "else": [{"id": "c", "type": "wait"}]},
		{"id": "late", "type": "ai_reason"}
	]`;
	const paths = offered(`{${escalated}}, ${steps}}`);
	assert.ok(paths.includes("steps.judge.output.verdict"));
	assert.ok(paths.includes("steps.a.output"));
	for (const not of ["b", "c", "late", "fork"]) assert.ok(!paths.some((p) => p.startsWith(`steps.${not}.`)), not);
});

test("filters follow a bar", () => {
	assert.ok(offered('{"steps": [{"prompt": "{{ event.id | tr¦"}]}').includes("truncate"));
	assert.deepEqual(offered('{"steps": [{"prompt": "{{ event.id }} ¦"}]}'), []);
});

test("what is inserted is JSON", () => {
	const cases: [string, string, string][] = [
		['{"steps": [{"type": "ai_reason", ¦}]}', "prompt", '{"steps": [{"type": "ai_reason", "prompt": ""}]}'],
		['{"steps": [{"type": "ai_reason", "pr¦"}]}', "prompt", '{"steps": [{"type": "ai_reason", "prompt": ""}]}'],
		['{"steps": [{"type": "ai_reason", "pr¦": "x"}]}', "prompt", '{"steps": [{"type": "ai_reason", "prompt": "x"}]}'],
		['{¦ "name": "x"}', "category", '{"category": "service_desk", "name": "x"}'],
		['{"name": "x"\n¦}', "category", '{"name": "x",\n"category": "service_desk"}'],
		['{"category": sec¦}', "security", '{"category": "security"}'],
		['{"category": "sec¦"}', "security", '{"category": "security"}'],
	];
	for (const [before, label, want] of cases) {
		assert.equal(applied(before, label), want);
		JSON.parse(applied(before, label));
	}
	JSON.parse(applied(`{${created}}, "steps": [{"prompt": "{{ event.id | ¦ }}"}]}`, "default"));
});

test("a tip says what a word means", () => {
	const tip = (marked: string) => {
		const pos = marked.indexOf("¦");
		const text = marked.replace("¦", "");
		return tipAt(text, parse(text), pos, knowledge)?.text;
	};
	assert.match(tip('{"conf¦lict_behavior": "additive"}') ?? "", /system agents/);
	assert.equal(tip(`{${escalated}}, "steps": [{"prompt": "{{ event_payload.esc¦alated_to }}"}]}`), 'For example "p1"');
	assert.match(
		tip('{"steps": [{"product": "defend", "action": "isolate_device", "params": {"dev¦ice_id": ""}}]}') ?? "",
		/device to isolate/,
	);
});

test("a new step stands after that of the cursor, with an id of its own", () => {
	const text = `{
  ${escalated}},
  "steps": [
    {
      "id": "wait",
      "type": "wait"
    },
    {"id": "b", "type": "wait"}
  ]
}`;
	for (const pos of [text.indexOf('"wait"'), text.indexOf('"b"'), 2]) {
		const made = insertStep(text, parse(text), pos, "wait", knowledge);
		assert.ok(made);
		const after = JSON.parse(text.slice(0, made.from) + made.insert + text.slice(made.from)) as {
			steps: { id: string }[];
		};
		assert.deepEqual(
			after.steps.map((s) => s.id),
			pos === text.indexOf('"wait"') ? ["wait", "wait_2", "b"] : ["wait", "b", "wait_2"],
		);
	}
	const empty = '{"steps": []}';
	const made = insertStep(empty, parse(empty), 2, "wait", knowledge);
	assert.ok(made);
	JSON.parse(empty.slice(0, made.from) + made.insert + empty.slice(made.from));
	assert.equal(insertStep("{}", parse("{}"), 1, "wait", knowledge), undefined);
});

test("every skeleton has an id and a kind, and no id twice", () => {
	const kinds: Kind[] = ["ai_reason", "product_action", "notification", "approval_gate", "branch", "wait"];
	const definition = { steps: [{ id: "think" }, { id: "wait" }] };
	for (const kind of kinds) {
		const made = skeleton(kind, definition, knowledge);
		assert.equal(made.type, kind);
		assert.ok(made.id !== "think" && made.id !== "wait");
	}
});
