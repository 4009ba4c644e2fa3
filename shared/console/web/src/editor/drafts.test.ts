import assert from "node:assert/strict";
import test from "node:test";
import { bodyOf, read, syntaxFault, textOf } from "./document.ts";
import { type Draft, drafts, drop, keyOf, type Shelf, store } from "./drafts.ts";

function shelf(full = false): Shelf {
	const all = new Map<string, string>();
	return {
		get length() {
			return all.size;
		},
		key: (n) => [...all.keys()][n] ?? null,
		getItem: (key) => all.get(key) ?? null,
		setItem: (key, value) => {
			if (full) throw new Error("full");
			all.set(key, value);
		},
		removeItem: (key) => void all.delete(key),
	};
}
const draft = (text: string, at: number): Draft => ({ etag: '"1"', version: 1, base: "{}", text, at });
const now = 1_700_000_000_000;

test("the drafts of two pages do not overwrite each other, and the newest is first", () => {
	const place = shelf();
	store(place, keyOf("org_a", "agent_1", '"1"', "one"), draft("mine", now - 2));
	store(place, keyOf("org_a", "agent_1", '"1"', "two"), draft("other", now - 1));
	assert.deepEqual(
		drafts(place, "org_a", "agent_1", now).map((d) => d.text),
		["other", "mine"],
	);
});

test("drafts of another organization or agent are not seen", () => {
	const place = shelf();
	store(place, keyOf("org_a", "agent_1", '"1"', "one"), draft("mine", now));
	assert.deepEqual(drafts(place, "org_b", "agent_1", now), []);
	assert.deepEqual(drafts(place, "org_a", "agent_", now), []);
});

test("a text that equals its base is no draft", () => {
	const place = shelf();
	const key = keyOf("org_a", "agent_1", '"1"', "one");
	store(place, key, draft("x", now));
	store(place, key, draft("{}", now));
	assert.deepEqual(drafts(place, "org_a", "agent_1", now), []);
});

test("a browser that stores nothing says so", () => {
	assert.equal(store(shelf(true), "k", draft("x", now)), false);
	assert.equal(store(undefined, "k", draft("x", now)), false);
	assert.equal(store(undefined, "k", draft("{}", now)), true);
});

test("old and unreadable drafts are removed", () => {
	const place = shelf();
	store(place, keyOf("org_a", "agent_1", '"1"', "old"), draft("x", now - 31 * 86_400_000));
	place.setItem(keyOf("org_a", "agent_1", '"1"', "bad"), "{");
	place.setItem("other", "kept");
	assert.deepEqual(drafts(place, "org_a", "agent_1", now), []);
	assert.equal(place.length, 1);
	drop(place, "other");
	assert.equal(place.length, 0);
});

test("a definition has its fields in the order of their importance, and nothing else", () => {
	const agent = { id: "agent_1", steps: [{ type: "wait", id: "a" }], name: "A", stats: {}, execution_limit: null };
	assert.equal(textOf(agent), `${JSON.stringify({ name: "A", steps: [{ id: "a", type: "wait" }] }, null, 2)}\n`);
});

test("the keys that an author chose keep their order", () => {
	const text = textOf({ steps: [{ id: "a", params: { value: 1, id: 2, body: 3 } }] });
	assert.ok(text.indexOf('"value"') < text.indexOf('"body"') && text.indexOf('"id": 2') < text.indexOf('"body"'));
});

test("what an author took away is sent as what its absence means", () => {
	const body = JSON.parse(bodyOf('{"name": "A", "client_scope": "all"}')) as Record<string, unknown>;
	assert.deepEqual(body.conditions, []);
	assert.equal(body.execution_limit, null);
	assert.equal(body.client_scope, "all");
	assert.deepEqual(JSON.parse(bodyOf("{}")).conditions, []);
});

test("the digits of a number survive where the browser can keep them", () => {
	const text = '{"name": "A", "conditions": [{"value": 12345678901234567890}]}';
	if ("rawJSON" in JSON) assert.match(textOf(read(text)), /12345678901234567890/);
	assert.match(bodyOf(text), /12345678901234567890/);
});

test("a text that is no object says where", () => {
	assert.equal(syntaxFault("{}"), undefined);
	assert.ok(syntaxFault("[]"));
	assert.ok((syntaxFault('{"a": }')?.at ?? 0) > 3);
	assert.ok(syntaxFault(""));
});
