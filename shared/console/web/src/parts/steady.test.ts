import assert from "node:assert/strict";
import test from "node:test";
import { steady } from "./steady.ts";

interface Row {
	id: string;
	v: number;
}
const rows = (...ids: string[]): Row[] => ids.map((id) => ({ id, v: 1 }));
const list = () => ({ order: [] as string[], known: new Map<string, Row>() });
const of = (l: ReturnType<typeof list>, answer: Row[]) => {
	const { rows, held } = steady(answer, (r) => r.id, l.order, l.known);
	return [rows.map((r) => r.id).join(""), held] as const;
};

test("new rows at the top are held back, also after several answers", () => {
	const l = list();
	assert.deepEqual(of(l, rows("c", "b", "a")), ["cba", 0]);
	assert.deepEqual(of(l, rows("d", "c", "b", "a")), ["cba", 1]);
	assert.deepEqual(of(l, rows("e", "d", "c", "b")), ["cba", 2]);
});

test("older rows that the person loaded follow at the end", () => {
	const l = list();
	of(l, rows("d", "c"));
	assert.deepEqual(of(l, rows("e", "d", "c", "b", "a")), ["dcba", 1]);
});

test("a row that left the answer stays where it was, with its last data", () => {
	const l = list();
	of(l, rows("c", "b", "a"));
	assert.deepEqual(of(l, rows("c", "a")), ["cba", 0]);
});

test("an answer without any shown row moves nothing", () => {
	const l = list();
	of(l, rows("b", "a"));
	assert.deepEqual(of(l, rows("z", "y")), ["ba", 2]);
	assert.deepEqual(of(l, []), ["ba", 0]);
});

test("a shown row has its newest data", () => {
	const l = list();
	of(l, rows("a"));
	assert.equal(steady([{ id: "a", v: 2 }], (r) => r.id, l.order, l.known).rows[0]?.v, 2);
});

test("an empty list takes what comes first", () => {
	const l = list();
	assert.deepEqual(of(l, []), ["", 0]);
	assert.deepEqual(of(l, rows("a")), ["a", 0]);
});
