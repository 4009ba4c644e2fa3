// The documentation beside the console.
import assert from "node:assert/strict";
import { story } from "./kit.ts";

story(
	"the documentation is small, readable without a script, and has no fault on a phone or in the dark",
	async (s) => {
		const ann = await s.stranger();
		await ann.open("/docs");
		await ann.page.locator("h1").waitFor();
		await ann.page.evaluate(() => document.fonts.ready);
		await ann.page.waitForLoadState("networkidle");
		assert.ok(ann.loaded.bytes <= 48_000, `${ann.loaded.bytes} bytes`);
		assert.ok(ann.loaded.requests <= 5, `${ann.loaded.requests} requests`);
		const answer = await ann.page.request.get("/docs");
		const policy = answer.headers()["content-security-policy"] ?? "";
		assert.match(policy, /default-src 'none'/);
		assert.match(policy, /require-trusted-types-for 'script'/);
		assert.doesNotMatch(policy, /unsafe/);
		await ann.shots("docs");
		for (const page of ["operators", "api-agents"]) {
			await ann.open(`/docs/${page}`);
			await ann.page.locator("h1").waitFor();
			await ann.shots(`docs-${page}`);
		}
	},
);

story("the console leads to the documentation", async (s) => {
	const org = await s.org();
	const ann = await s.person(org, "user_ann", "viewer");
	await ann.open("/");
	await ann.heading("Nothing needs you").waitFor();
	await ann.link("Documentation").click();
	await ann.page.waitForURL(/\/docs$/);
	await ann.page.goBack();
	await ann.heading("Nothing needs you").waitFor();
	await ann.page.keyboard.press("ControlOrMeta+k");
	await ann.page.getByRole("combobox").fill("docu");
	await ann.page.keyboard.press("Enter");
	await ann.page.waitForURL(/\/docs$/);
});
