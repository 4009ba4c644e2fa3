import assert from "node:assert/strict";
import test from "node:test";
import type { Knowledge } from "../editor/knowledge.ts";
import { conditionOf, costOf, effectsOf, outlineOf, refusalOf, span } from "./describing.ts";

const knowledge: Knowledge = {
	events: [],
	actions: [
		{
			id: "defend:isolate_device",
			product: "defend",
			action: "isolate_device",
			display_name: "Isolate Device",
			description: "",
			destructive: true,
			risk: "destructive",
			params: [],
			emits: [],
			sample_params: {},
			sample_reply: {},
		},
	],
};
const harm = { id: "isolate", type: "product_action", product: "defend", action: "isolate_device" };
const gate = (more: object = {}) => ({ id: "ask", type: "approval_gate", message: "Go?", ...more });
const ai = (model: string, more: object = {}) => ({ id: model, type: "ai_reason", model, prompt: "x", ...more });
const branch = (cases: object[][], otherwise?: object[]) => ({
	id: "fork",
	type: "branch",
	cases: cases.map((steps) => ({ when: { field: "x", operator: "exists", value: true }, steps })),
	...(otherwise ? { else: otherwise } : {}),
});
const outline = (...steps: object[]) => outlineOf({ steps }, knowledge);
const guards = (...steps: object[]) => {
	const found: string[] = [];
	const walk = (lines: ReturnType<typeof outlineOf>["lines"]) => {
		for (const line of lines) {
			if (line.destructive) found.push(line.guard || "none");
			for (const c of line.cases) walk(c.lines);
		}
	};
	walk(outline(...steps).lines);
	return found;
};

test("a destructive step is guarded by a gate before it on its path", () => {
	assert.deepEqual(guards(harm), ["none"]);
	assert.deepEqual(guards(gate(), harm), ["Ask"]);
	assert.deepEqual(guards(harm, gate()), ["none"]);
	assert.deepEqual(guards(gate(), branch([[harm]])), ["Ask"]);
	assert.deepEqual(guards(branch([[gate()]]), harm), ["none"]);
	assert.deepEqual(guards(branch([[gate()]], [gate()]), harm), ["Ask"]);
});

test("a gate that may be passed without a yes guards nothing", () => {
	for (const more of [{ if: { field: "x" } }, { on_expiry: "approve" }, { on_error: "continue" }]) {
		assert.deepEqual(guards(gate(more), harm), ["none"]);
	}
});

test("a run costs what its way costs", () => {
	assert.equal(costOf(outline()), "A run costs no credits.");
	assert.equal(costOf(outline(ai("standard"), ai("quick"))), "A run costs about 25 credits.");
	const forked = outline(ai("quick"), branch([[ai("premium")]], [ai("standard")]));
	assert.deepEqual([forked.least, forked.most], [25, 105]);
	const open = outline(branch([[ai("premium")]]));
	assert.deepEqual([open.least, open.most], [0, 100]);
	const maybe = outline(ai("expert", { if: { field: "x" } }));
	assert.deepEqual([maybe.least, maybe.most], [0, 200]);
});

test("conditions are sentences", () => {
	const of = (field: string, operator: string, value: unknown, more: object = {}) =>
		conditionOf({ field, operator, value, ...more });
	assert.equal(of("severity", "in", ["critical", "high"]), "severity is critical or high");
	assert.equal(of("priority", "eq", "p1"), "priority is p1");
	assert.equal(of("count", "gte", 3), "count is at least 3");
	assert.equal(of("device_id", "exists", false), "device_id is missing");
	assert.equal(
		of("security_posture_score", "lt", 50, { context: "client_context" }),
		"the client's security posture score is less than 50",
	);
	assert.equal(
		conditionOf({
			any: [{ field: "a", operator: "eq", value: 1 }, { all: [{ field: "b", operator: "eq", value: 2 }] }],
		}),
		"a is 1 or (b is 2)",
	);
});

test("any text that is JSON has an outline", () => {
	const broken = [null, 1, "x", [], { steps: 5 }, { steps: [null, 1, { cases: 3 }, { type: "branch", cases: [1] }] }];
	for (const value of broken) outlineOf(value, knowledge);
});

test("steps in cases are numbered on", () => {
	const [fork] = outline(branch([[gate()]], [ai("quick")])).lines;
	assert.deepEqual(
		fork?.cases.flatMap((c) => c.lines.map((l) => [l.number, l.path])),
		[
			["1.1", "steps[0].cases[0].steps[0]"],
			["1.2", "steps[0].else[0]"],
		],
	);
});

test("durations are in words", () => {
	assert.deepEqual(
		[span(3600), span(7200), span(90), span(86_400), span(172_800), span(5400), span("x")],
		["1 h", "2 h", "90 s", "1 day", "2 days", "90 min", "no time"],
	);
});

test("saving says what it does", () => {
	assert.match(effectsOf(outline(gate(), harm), "active", 5).join(" "), /“Ask” asks before it.*version 5/);
	assert.match(effectsOf(outline(harm), "draft", 2).join(" "), /no approval.*not active/);
});

test("a refusal has the words of the activity", () => {
	const refused = (operator: string, value: unknown, payload: unknown) =>
		refusalOf({ field: "priority", operator, value }, payload);
	assert.equal(refused("eq", "p1", { priority: "p3" }), 'priority must be "p1"; it is "p3"');
	assert.equal(refused("in", ["p1"], {}), 'priority must be one of ["p1"]; it is missing');
	assert.equal(refused("gt", 5, { priority: 5 }), "priority must be greater than 5; it is 5");
	assert.equal(refused("eq", "p1", { priority: "p1" }), "");
	assert.equal(refused("ne", "p1", {}), "");
	assert.equal(refused("exists", false, { priority: null }), "priority must not exist; it is null");
	assert.equal(refused("contains", "a", { priority: 5 }), 'priority must contain "a"; it is 5');
});
