import assert from "node:assert/strict";
import test from "node:test";
import { matching } from "./palette.ts";

const entries = [
	{ title: "Home", href: "/" },
	{ title: "New agent", href: "/agents/new" },
	{ title: "Agents", href: "/agents" },
];
const found = (text: string) => matching(entries, text).map((e) => e.href);

test("a page is found by the beginning of any of its words", () => {
	assert.deepEqual(found(""), ["/", "/agents/new", "/agents"]);
	assert.deepEqual(found(" AG "), ["/agents/new", "/agents"]);
	assert.deepEqual(found("new a"), ["/agents/new"]);
	assert.deepEqual(found("ome"), []);
});

test("a pasted id leads to what it names, and nothing else does", () => {
	assert.deepEqual(found(" exec_01M8HG7BV6T0XCPVP8EKXBBRPX"), ["/runs/exec_01M8HG7BV6T0XCPVP8EKXBBRPX"]);
	assert.deepEqual(found("appr_1"), ["/approvals/appr_1"]);
	assert.deepEqual(found("agent_system_dispatch"), ["/agents/agent_system_dispatch"]);
	for (const text of ["exec_", "exec_../x", "exec_a/b", "evt_1", "//evil.example"])
		assert.deepEqual(found(text), [], text);
});
