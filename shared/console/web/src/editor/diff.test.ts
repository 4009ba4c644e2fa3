import assert from "node:assert/strict";
import test from "node:test";
import { changes, hunks, lines, summary } from "./diff.ts";

const step = (id: string, more: object = {}) => ({ id, type: "wait", duration_seconds: 1, ...more });
const agent = (steps: object[], more: object = {}) => ({ name: "A", trigger: { filters: [] }, steps, ...more });
const told = (before: object, after: object) =>
	changes(before, after).map((c) => `${c.kind} ${c.step?.id ?? "agent"} ${c.fields.map((f) => f.path)}`.trim());

test("nothing has changed when only the order of keys differs", () => {
	assert.deepEqual(told({ name: "A", category: "x", steps: [] }, { category: "x", steps: [], name: "A" }), []);
	assert.equal(summary([]), "nothing changed");
});

test("steps are told apart by their ids", () => {
	const before = agent([step("a"), step("b")]);
	assert.deepEqual(told(before, agent([step("a"), step("x"), step("b")])), ["added x"]);
	assert.deepEqual(told(before, agent([step("b")])), ["removed a"]);
	assert.deepEqual(told(before, agent([step("a"), step("b", { duration_seconds: 2 })])), [
		"changed b duration_seconds",
	]);
});

test("as few steps as possible have moved", () => {
	const before = agent(["a", "b", "c", "d"].map((id) => step(id)));
	assert.deepEqual(told(before, agent(["d", "a", "b", "c"].map((id) => step(id)))), ["moved d"]);
	assert.deepEqual(told(before, agent(["b", "a", "c", "d"].map((id) => step(id)))).length, 1);
});

test("a step that goes into a branch has moved, and the branch has not changed", () => {
	const fork = (steps: object[]) => ({ id: "fork", type: "branch", cases: [{ when: { field: "x" }, steps }] });
	assert.deepEqual(told(agent([step("a"), fork([step("b")])]), agent([fork([step("b"), step("a")])])), ["moved a"]);
	const deep = changes(agent([fork([step("b")])]), agent([fork([step("b", { duration_seconds: 5 })])]));
	assert.equal(deep[0]?.within, "in case 1 of Fork");
});

test("fields are compared at their smallest part", () => {
	const filter = (value: string) => ({ filters: [{ field: "p", operator: "eq", value }] });
	assert.deepEqual(told(agent([], { trigger: filter("p1") }), agent([], { trigger: filter("p2") })), [
		"changed agent trigger.filters[0].value",
	]);
	assert.deepEqual(told(agent([], { execution_limit: { max_per_day: 1 } }), agent([])), [
		"changed agent execution_limit",
	]);
});

test("a summary names what has changed", () => {
	const before = agent([step("judge", { name: "Judge", prompt: "a" })]);
	const after = agent([step("gate", { name: "Confirm" }), step("judge", { name: "Judge", prompt: "b" })]);
	assert.equal(summary(changes(before, after)), "Confirm added, prompt of Judge changed");
});

test("two steps of one id, in a text that is not valid yet, are both compared", () => {
	assert.deepEqual(told(agent([step("a")]), agent([step("a"), step("a")])), ["added a (2)"]);
});

test("a comparison by lines makes the second text of the first", () => {
	const random = (seed: number) => () => {
		seed = (seed * 48271) % 2147483647;
		return seed / 2147483647;
	};
	for (let n = 1; n <= 200; n++) {
		const next = random(n);
		const text = () =>
			Array.from({ length: Math.floor(next() * 12) }, () => String.fromCharCode(97 + Math.floor(next() * 4))).join(
				"\n",
			);
		const [before, after] = [text(), text()];
		const all = lines(before, after);
		const of = (not: string) =>
			all
				.filter((l) => l.kind !== not)
				.map((l) => l.text)
				.join("\n");
		assert.equal(of("added"), before);
		assert.equal(of("removed"), after);
	}
	assert.equal(lines("a\nb\nc\n", "a\nx\nc\n").filter((l) => l.kind !== "same").length, 2);
});

test("equal lines far from a change are left out", () => {
	const text = Array.from({ length: 40 }, (_, n) => String(n)).join("\n");
	const found = hunks(lines(text, text.replace("\n20\n", "\nx\n")));
	assert.deepEqual(
		found.map((h) => ("skipped" in h ? h.skipped : h.lines.length)),
		[17, 8, 16],
	);
});
