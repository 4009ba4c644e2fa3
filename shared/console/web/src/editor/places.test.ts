import assert from "node:assert/strict";
import test from "node:test";
import { nameOf, pathOf, rangeOf, spotAt, stepAt } from "./places.ts";
import { parse, readNode } from "./syntax.ts";

const text = `{
  "name": "A",
  "trigger": {"filters": [{"field": "a", "operator": "eq", "value": 1}]},
  "steps": [
    {"id": "ask", "type": "approval_gate", "message": "Go?"},
    {"id": "choose", "type": "branch", "cases": [
      {"when": {"field": "x"}, "steps": [{"id": "inner", "params": {"ticket_id": "t"}}]}
    ], "else": [{"id": "other"}]}
  ]
}`;
const marked = (path: string, of = text) => {
	const { from, to } = rangeOf(parse(of), pathOf(path));
	return of.slice(from, to);
};

test("a path is read and written as the API writes it", () => {
	for (const path of ["steps[2].params.ticket_id", "name", "steps[0].cases[1].steps[0]", 'params["a.b"]']) {
		assert.equal(nameOf(pathOf(path)), path);
	}
	assert.deepEqual(pathOf("steps[2].params.x"), ["steps", 2, "params", "x"]);
});

test("a fault is marked at its value, its key, or the id of its step", () => {
	assert.equal(marked("name"), '"A"');
	assert.equal(marked("trigger.filters[0].value"), "1");
	assert.equal(marked("trigger.filters[0]"), '"a"');
	assert.equal(marked("steps[0]"), '"ask"');
	assert.equal(marked("steps[1].cases[0].steps[0].params"), '"params"');
	assert.equal(marked("steps[1].cases[0].steps[0].params.ticket_id"), '"t"');
	assert.equal(marked("steps[1].else[0]"), '"other"');
});

test("a fault about what is missing is marked at the nearest part around it", () => {
	assert.equal(marked("steps[1].cases[0].steps[0].params.body"), '"params"');
	assert.equal(marked("category"), "{");
	assert.equal(marked("steps[9]"), '"steps"');
	assert.equal(marked("steps[0].timeout_seconds"), '"ask"');
});

test("a text that is not finished has places too", () => {
	const open = '{"steps": [{"id": "a", "params": {"x": ';
	assert.deepEqual(readNode(open, parse(open)), { steps: [{ id: "a", params: { x: undefined } }] });
	assert.deepEqual(spotAt(open, parse(open), open.length)?.path, ["steps", 0, "params"]);
	assert.equal(spotAt(open, parse(open), open.length)?.key, "x");
	for (let n = 0; n <= text.length; n++) {
		const part = text.slice(0, n);
		spotAt(part, parse(part), n); // ends
		rangeOf(parse(part), pathOf("steps[1].cases[0]"));
	}
});

test("garbage ends, and is no place", () => {
	for (const garbage of ["", "}", "]]]", '"', "{{{{", "[[", "{,,,}", "nul", `${"[".repeat(5000)}`, '{"a"}}}', "{:}"]) {
		const root = parse(garbage);
		readNode(garbage, root);
		spotAt(garbage, root, garbage.length);
	}
});

const spot = (marked: string) => {
	const pos = marked.indexOf("¦");
	const of = marked.replace("¦", "");
	return spotAt(of, parse(of), pos);
};

test("a spot is a key, a value or an item", () => {
	assert.equal(spot("{¦}")?.at, "key");
	assert.equal(spot('{"na¦"}')?.typed, "na");
	assert.equal(spot('{"name": "x", ¦}')?.at, "key");
	assert.deepEqual(spot('{"name": "x", "ty¦": 1}')?.present, ["name"]);
	assert.equal(spot('{"model": "st¦"}')?.at, "value");
	assert.equal(spot('{"model": "st¦"}')?.typed, "st");
	assert.equal(spot('{"model": ¦}')?.key, "model");
	assert.equal(spot('{"model": ¦, "b": 1}')?.key, "model");
	assert.equal(spot('{"steps": [¦]}')?.at, "item");
	assert.deepEqual(spot('{"steps": [{"id": "a"}, {¦}]}')?.path, ["steps", 1]);
	assert.equal(spot('{"in": ["p1", "¦"]}')?.at, "item");
});

test("a key after a value without a comma brings the comma", () => {
	assert.equal(spot('{"name": "x"\n¦}')?.comma, '{"name": "x"'.length);
	assert.equal(spot('{"name": "x",\n¦}')?.comma, undefined);
});

test("the step of a position is the innermost one", () => {
	const root = parse(text);
	assert.deepEqual(stepAt(root, text.indexOf("Go?")), ["steps", 0]);
	assert.deepEqual(stepAt(root, text.indexOf("ticket_id")), ["steps", 1, "cases", 0, "steps", 0]);
	assert.deepEqual(stepAt(root, text.indexOf("other")), ["steps", 1, "else", 0]);
	assert.equal(stepAt(root, text.indexOf("operator")), undefined);
});
