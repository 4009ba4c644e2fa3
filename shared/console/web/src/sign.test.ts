import assert from "node:assert/strict";
import test from "node:test";
import { hubAddress } from "./sign.ts";

test("the Hub leads back to a path of this origin only", () => {
	const to = (path: string) =>
		new URL(hubAddress("https://hub.example", "sign-in", "https://c.example", path)).searchParams.get("return_to");
	assert.equal(to("/approvals/appr_1?x=1"), "https://c.example/approvals/appr_1?x=1");
	for (const path of ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:x", ""]) {
		assert.equal(to(path), "https://c.example/");
	}
});
