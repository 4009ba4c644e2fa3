import assert from "node:assert/strict";
import { eventually, gate, outputs, phone, story } from "./kit.ts";

story("every page opens for each role without an error, and a phone's bar leads to all of them", async (s) => {
	const org = await s.org();
	for (const role of ["owner", "viewer"]) {
		const person = await s.person(org, `user_${role}`, role);
		await person.open("/");
		for (const title of ["Home", "Approvals", "Runs", "Agents", "Events", "Credits", "Settings"]) {
			await person
				.link(new RegExp(`^${title}`))
				.first()
				.click();
			await person.page.waitForFunction((t) => document.title.startsWith(t), title);
		}
	}
	const thumb = await s.person(org, "user_thumb", "member", { size: phone });
	await thumb.open("/");
	await thumb.button("More").click();
	await thumb.link("Settings").last().click();
	await thumb.heading("Settings").waitFor();
});

story("a stranger sees nothing, signs in with one click, and is back on the page that was asked for", async (s) => {
	const org = await s.org();
	const ann = await s.stranger();
	ann.expected.add(401);
	await ann.open("/runs?status=failed");
	await ann.sees("Sign in to see this page.");
	assert.equal((await ann.page.content()).includes("org_"), false);
	await ann.link("Sign in").click();
	await ann.page.getByLabel("Organization").fill(org.id);
	await ann.button("Member").click();
	await ann.heading("Runs").waitFor();
	assert.equal(new URL(ann.page.url()).search, "?status=failed");
	await ann.page.getByRole("link", { name: "Sign out" }).click();
	await ann.sees("Sign in to see this page.");
});

story("the session ends while a page is open: the page stays, and works again after a sign-in", async (s) => {
	const org = await s.org();
	const ann = await s.person(org, "user_ann", "owner");
	await ann.open("/settings/preferences");
	await ann.heading("Settings").waitFor();
	ann.expected.add(401);
	await ann.context.clearCookies();
	// An answer that is on its way when the page is looked at again is not asked for twice
	const looks = async (at: number) => {
		await ann.page.evaluate(() => document.dispatchEvent(new Event("visibilitychange", { bubbles: true })));
		return (await ann.page.getByRole("dialog").getByText("Your session ended").count()) === at;
	};
	await eventually("the page says that the session ended", () => looks(1));
	await ann.heading("Settings").waitFor();
	await ann.signIn(org, "user_ann", "owner");
	await eventually("the page works again", () => looks(0));
});

story("a link to another organization's run, approval or agent says that it is not in this one", async (s) => {
	const theirs = await s.org();
	const agent = await theirs.agent([gate()]);
	await theirs.escalate();
	const approval = await theirs.approval();
	const ours = await s.org();
	const ann = await s.person(ours, "user_ann", "owner");
	ann.expected.add(404);
	for (const path of [`/runs/${approval.execution_id}`, `/approvals/${approval.id}`, `/agents/${agent}`]) {
		await ann.open(path);
		await ann.page.getByText(/ is not in /).waitFor();
		assert.equal(await ann.page.getByText("Story agent").count(), 0, path);
	}
	await ann.shots("not-in-this-organization");
});

story("preferences are kept in the browser, and single keys can be turned off", async (s) => {
	const org = await s.org();
	const ann = await s.person(org, "user_ann", "viewer");
	await ann.open("/settings/preferences");
	await ann.page.getByLabel("Dark").check();
	await ann.page.reload();
	await ann.page.getByLabel("Dark").waitFor();
	assert.equal(await ann.page.evaluate(() => document.documentElement.dataset.theme), "dark");
	await ann.page.getByLabel("As the system").check();
	await ann.shots("preferences");
	await ann.page.locator("h1").click();
	await ann.page.keyboard.press("g");
	await ann.page.keyboard.press("r");
	await ann.heading("Runs").waitFor();
	await ann.open("/settings/preferences");
	await ann.page.getByLabel("Off").check();
	await ann.page.keyboard.press("g");
	await ann.page.keyboard.press("r");
	await ann.heading("Settings").waitFor();
});

story("a first visit is small, and an unchanged page asks little and changes nothing", async (s) => {
	const org = await s.org();
	const ann = await s.person(org, "user_ann", "member", { size: phone });
	await ann.open("/approvals");
	await ann.sees("Nothing waits for anyone");
	await ann.page.evaluate(() => document.fonts.ready);
	const statics = ann.loaded.requests - ann.calls.length;
	assert.ok(ann.loaded.bytes <= 110_000, `${ann.loaded.bytes} bytes`);
	assert.ok(statics <= 8, `${statics} requests of static files`);
	const sizes = await ann.page.evaluate(() =>
		(performance.getEntriesByType("resource") as PerformanceResourceTiming[]).map(
			(e) => [e.name, e.encodedBodySize] as const,
		),
	);
	const sum = (ending: string) => sizes.reduce((n, [name, size]) => n + (name.endsWith(ending) ? size : 0), 0);
	assert.ok(sum(".js") > 0 && sum(".js") <= 45_000, `${sum(".js")} bytes of scripts`);
	assert.ok(sum(".css") <= 10_000, `${sum(".css")} bytes of style`);
	assert.ok(sum(".woff2") <= 30_000, `${sum(".woff2")} bytes of fonts`);
	await eventually("the page is quiet", async () => (await ann.mutations(() => ann.page.waitForTimeout(1500))) === 0);
	const before = ann.calls.length;
	assert.equal(await ann.mutations(() => ann.page.waitForTimeout(12_000)), 0, "changes while polling the unchanged");
	assert.ok(ann.calls.length > before, "the page polls");
	assert.ok(ann.calls.length - before <= 3, `${ann.calls.length - before} calls in 12 s: ${ann.calls.slice(before)}`);
});

story("no page of the console has data of an organization in its answer", async () => {
	for (const path of ["/", "/approvals/appr_01M8HG7BV6T0XCPVP8EKXBBRPX", "/runs"]) {
		const answer = await fetch(outputs.console_url + path);
		const body = await answer.text();
		assert.equal(answer.status, 200);
		assert.equal(/appr_|org_|exec_/.test(body), false, body);
	}
});

story("keys lead everywhere, and a pasted id opens what it names", async (s) => {
	const org = await s.org();
	const ann = await s.person(org, "user_ann", "member");
	await ann.open("/");
	await ann.heading("Nothing needs you").waitFor();
	await ann.page.keyboard.press("?");
	await ann.page.getByRole("dialog", { name: "Keys" }).getByText("Go to a page, or to a pasted id").waitFor();
	await ann.shots("keys");
	await ann.page.keyboard.press("Escape");
	await ann.page.keyboard.press("ControlOrMeta+k");
	const field = ann.page.getByRole("combobox");
	await field.waitFor();
	assert.equal(await field.evaluate((e) => e === document.activeElement), true, "one can type at once");
	await ann.page.keyboard.type("cre");
	await ann.page.keyboard.press("Enter");
	await ann.heading("Credits").waitFor();
	await ann.page.keyboard.press("ControlOrMeta+k");
	await field.waitFor();
	await ann.page.keyboard.type("appr_unknown");
	ann.expected.add(404);
	await ann.shots("palette");
	await ann.page.keyboard.press("Enter");
	await ann.sees(/is not in org_/);
	await ann.sees("approval_not_found");
	await ann.shots("approval-missing");
});

story("offline the page stays, says so, and writes nothing", async (s) => {
	const org = await s.org();
	const ann = await s.person(org, "user_ann", "member");
	await ann.open("/approvals");
	await ann.sees("Nothing waits for anyone");
	ann.expected.add(0);
	await ann.context.setOffline(true);
	await ann.sees(/You are offline/);
	await ann.sees("Nothing waits for anyone");
	await ann.context.setOffline(false);
	await ann.page.getByText(/You are offline/).waitFor({ state: "detached" });
});
