import assert from "node:assert/strict";
import test from "node:test";
import { cut, visible } from "./text.ts";

test("a reader sees every character that could deceive", () => {
	const cases: [string, string][] = [
		["plain text\n\twith tabs", "plain text\n\twith tabs"],
		["a\r\nb", "a\nb"],
		["a\u202egnp.exe", "a[U+202E]gnp.exe"],
		["zero\u200bwidth", "zero[U+200B]width"],
		["\u0000\u001b[31m", "[U+0000][U+001B][31m"],
		["\u{e0041}", "[U+E0041]"],
		["שלום <img onerror=x>", "שלום <img onerror=x>"],
	];
	for (const [text, want] of cases) assert.equal(visible(text), want);
});

test("a cut text has whole characters", () => {
	assert.deepEqual(cut("abc", 3), { text: "abc", left: 0 });
	assert.deepEqual(cut("ab😀d", 3), { text: "ab", left: 3 });
	assert.deepEqual(cut("ab😀d", 4), { text: "ab😀", left: 1 });
});
