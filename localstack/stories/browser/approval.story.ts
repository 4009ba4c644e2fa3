import assert from "node:assert/strict";
import { type Doc, eventually, gate, isolate, note, outputs, phone, story } from "./kit.ts";

const linkOf = (approval: Doc) => `/approvals/${approval.id}`;

story("a technician opens the link of a message signed out, signs in, and approves with one thumb", async (s) => {
	const org = await s.org();
	const hook = outputs.hook_url.replace("{org}", org.id).replace("{channel}", "webhook");
	await org.agent([
		gate({ approvers: { roles: ["member"] }, notify: [{ channel: "webhook", recipients: [hook] }] }),
		isolate(),
		note(),
	]);
	const ticket = await org.escalate();
	const approval = await org.approval();
	const calls = await eventually("the message is sent", async () => {
		const answer = await fetch(`${outputs.products_url}/_calls?org_id=${org.id}`);
		const text = await answer.text();
		return text.includes(String(approval.id)) && text;
	});
	const link = `${outputs.console_url}${linkOf(approval)}`;
	assert.ok(calls.includes(link), `the message links to ${link}: ${calls}`);

	const ann = await s.stranger({ size: phone });
	ann.expected.add(401);
	await ann.open(link);
	await ann.link("Sign in").tap();
	await ann.page.getByLabel("Organization").waitFor();
	ann.calls.length = 0;
	await ann.page.getByLabel("Organization").fill(org.id);
	await ann.button("Member").tap();

	await ann.heading(`Isolate ${ticket}?`).waitFor();
	const asked = ann.calls.filter((c) => !c.includes("/api/executions/"));
	await ann.sees("If you approve, these actions run, exactly as shown");
	await ann.sees("Cuts a device off from the network");
	await ann.sees("destructive");
	assert.ok(asked.length <= 4, `calls until the question: ${asked}`);
	await ann.shots("approval");
	const yes = ann.button("Approve: isolate device").first();
	const box = await yes.boundingBox();
	assert.ok(
		box && box.height >= 44 && box.y > phone.height / 2 && box.y + box.height < phone.height,
		`within reach: ${JSON.stringify(box)}`,
	);
	await yes.tap();
	const sheet = ann.page.getByRole("dialog");
	await sheet.getByText("dev_1").waitFor();
	await ann.shots("approval-sheet", [phone]);
	assert.equal((await org.get(`/api/approvals/${approval.id}`)).status, "pending", "the sheet decides nothing");
	await sheet.getByRole("button", { name: /^Approve/ }).tap();
	await ann.sees("you");
	await ann.page.locator(".moved").getByText("Isolate the device").waitFor();
	await ann.page.locator(".dock").getByText("Completed").first().waitFor();
	assert.equal((await org.calls("isolate_device")).length, 1);
	await ann.page.locator(".dock > .meta").getByText("Completed").waitFor();
	await ann.shots("approval-done");
});

story("a scanner that reads the link ten times decides nothing and learns nothing", async (s) => {
	const org = await s.org();
	await org.agent([gate(), isolate()]);
	const ticket = await org.escalate();
	const approval = await org.approval();
	for (let n = 0; n < 10; n++) {
		for (const method of ["GET", "HEAD"]) {
			const answer = await fetch(outputs.console_url + linkOf(approval), { method });
			const body = await answer.text();
			assert.equal(answer.status, 200);
			for (const secret of [org.id, ticket, String(approval.id), "Isolate"])
				assert.equal(body.includes(secret), false, secret);
		}
	}
	// A scanner that runs scripts, in the session of a person, reads too and decides nothing.
	const bot = await s.person(org, "user_owner", "owner");
	await bot.open(linkOf(approval));
	await bot.heading(`Isolate ${ticket}?`).waitFor();
	assert.deepEqual(
		bot.calls.filter((c) => !c.startsWith("GET ")),
		[],
	);
	assert.equal((await org.get(`/api/approvals/${approval.id}`)).status, "pending");
});

story("two people decide at once: one wins, the other reads who", async (s) => {
	const org = await s.org();
	await org.agent([gate(), note()]);
	const ticket = await org.escalate();
	const approval = await org.approval();
	const [ann, ben] = await Promise.all([s.person(org, "user_ann", "admin"), s.person(org, "user_ben", "admin")]);
	for (const person of [ann, ben]) {
		person.expected.add(409);
		await person.open(linkOf(approval));
		await person.heading(`Isolate ${ticket}?`).waitFor();
		await person.button(/^Approve/).waitFor();
	}
	await Promise.all([ann.button(/^Approve/).click(), ben.button("Deny").click()]);
	const decided = await eventually("it is decided", async () => {
		const now = await org.get(`/api/approvals/${approval.id}`);
		return now.status !== "pending" && now;
	});
	const annWins = decided.decided_by === "user_ann";
	const [winner, loser, name] = annWins ? ([ann, ben, "user_ann"] as const) : ([ben, ann, "user_ben"] as const);
	await winner.page.locator(".verdict").getByText("by you").waitFor();
	await loser.page.locator(".verdict").getByText(`by ${name}`).waitFor();
	await loser.sees("Somebody was faster.");
	assert.equal((await org.calls("add_note")).length <= 1, true);
});

story("an approval expires while it is looked at: the buttons go, and the page says what happened", async (s) => {
	const org = await s.org();
	await org.agent([gate({ timeout_seconds: 20 }), note()]);
	await org.escalate();
	const approval = await org.approval();
	const ann = await s.person(org, "user_ann", "admin", { size: phone });
	await ann.open(linkOf(approval));
	await ann.sees(/Denied automatically in|The time is over/);
	await ann.page
		.locator(".verdict")
		.getByText("Nobody decided in time: denied automatically")
		.waitFor({ timeout: 60_000 });
	assert.equal(await ann.button(/^Approve/).count(), 0);
	assert.equal((await org.calls("add_note")).length, 0);
});

story("a person without the right sees everything, why there is no button, and who may decide", async (s) => {
	const org = await s.org();
	await org.agent([gate({ approvers: { users: ["user_mia"] } }), isolate()]);
	const ticket = await org.escalate();
	const approval = await org.approval();
	for (const [user, role] of [
		["user_ben", "member"],
		["user_vic", "viewer"],
	] as const) {
		const person = await s.person(org, user, role);
		await person.open(linkOf(approval));
		await person.heading(`Isolate ${ticket}?`).waitFor();
		await person.sees(/may not decide|cannot decide|may decide/);
		await person.sees(/user_mia/);
		assert.equal(await person.button(/^(Approve|Deny)/).count(), 0);
		assert.equal(await person.page.getByRole("textbox").count(), 0);
		await person.open("/approvals");
		await person.page.getByLabel("Only those that I may decide").click();
		await person.sees("Nothing waits for you");
		await person.page.reload();
		await person.sees("Nothing waits for you");
		await person.link("See all of it").click();
		await person.heading(`Isolate ${ticket}?`).waitFor();
	}
});

story("two must say yes: the first is counted and sees no button any more, the second decides", async (s) => {
	const org = await s.org();
	await org.agent([gate({ min_approvals: 2 }), note()]);
	await org.escalate();
	const approval = await org.approval();
	const ann = await s.person(org, "user_ann", "admin");
	const ben = await s.person(org, "user_ben", "owner");
	await ann.open(linkOf(approval));
	await ann.sees("0 of 2 yes");
	await ann.page.getByLabel("Note (optional)").fill("fine with me");
	await ann.button(/^Approve/).click();
	await ann.sees("1 of 2 yes");
	await eventually("the buttons are gone", async () => (await ann.button(/^Approve/).count()) === 0);
	await ben.open(linkOf(approval));
	await ben.sees("fine with me");
	await ben.button(/^Approve/).click();
	await ben.page.locator(".verdict").getByText("by you").waitFor();
	await ann.page.locator(".verdict").getByText("by user_ben").waitFor({ timeout: 40_000 });
	assert.equal((await org.calls("add_note")).length, 1);
});

story("hostile text of an event is text: it runs nothing, hides nothing and decides nothing", async (s) => {
	const org = await s.org();
	const hostile = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script> {{ event_payload.ticket_id }} \u202egnp.exe\u202c [click](javascript:alert(1)) https://evil.example `;
	await org.agent([
		gate({ message: "Isolate {{ event_payload.ticket_id }}? {{ event_payload.escalated_to }}" }),
		note({ params: { ticket_id: "tkt_1", body: "{{ event_payload.reason }}", visibility: "internal" } }),
	]);
	await org.publish("psa:ticket.escalated", {
		ticket_id: "tkt_<b>bold</b>",
		escalated_to: `${hostile}`,
		reason: hostile + "x".repeat(20_000),
	});
	const approval = await org.approval();
	const ann = await s.person(org, "user_ann", "admin", { size: phone });
	await ann.open(linkOf(approval));
	await ann.sees("tkt_<b>bold</b>");
	await ann.page.locator(".quote").getByText("<img src=x onerror=").first().waitFor();
	await ann.page.locator(".quote").getByText("[U+202E]").first().waitFor();
	const article = ann.page.getByRole("article", { name: "Approval" });
	assert.equal(await article.locator("img, script, iframe, b").count(), 0);
	assert.equal(await article.locator('a[href*="evil"], a[href^="javascript"]').count(), 0);
	assert.equal(await ann.page.title(), "Approval · One Agents");
	assert.deepEqual(
		ann.calls.filter((c) => !c.startsWith("GET ")),
		[],
	);
	await ann.shots("approval-hostile");
});

story("the list puts what ends first on top, keeps what was decided in its place, and walks by keys", async (s) => {
	const org = await s.org();
	await org.agent([gate({ timeout_seconds: 7200 }), note()]);
	const on = { type: "bus_event", source_product: "psa", event_type: "ticket.reopened", filters: [] };
	await org.agent([gate({ timeout_seconds: 600, message: "Reopen it?" }), isolate()], {
		name: "Hasty agent",
		trigger: on,
	});
	const late = await org.escalate();
	const first = await org.approval();
	const ann = await s.person(org, "user_ann", "admin");
	await ann.open("/approvals");
	const cards = ann.page.getByRole("list", { name: "Approvals" }).getByRole("link");
	const one = ann.page.getByRole("article", { name: "Approval" });
	await one.getByText(`Isolate ${late}?`).waitFor();

	await org.publish("psa:ticket.reopened", { ticket_id: "tkt_1" });
	const second = await org.approval(String(first.id));
	const pill = ann.button(/1 new approval/);
	await pill.waitFor();
	assert.equal(await cards.count(), 1, "nothing moves by itself");
	await pill.click();
	await cards.nth(1).waitFor();
	assert.match((await cards.first().textContent()) ?? "", /Reopen it\?.*destructive/s);
	await one.getByText(`Isolate ${late}?`).waitFor(); // the open approval stays open
	await ann.page.locator("h1").click();
	await ann.page.keyboard.press("k");
	await one.getByText("Reopen it?").first().waitFor();
	assert.match(ann.page.url(), /\/approvals\/appr_/);
	await ann.page.keyboard.press("j");
	await one.getByText(`Isolate ${late}?`).waitFor();
	await ann.page.keyboard.press("k");
	await one.getByText("Reopen it?").first().waitFor();
	await one.getByRole("button", { name: /^Approve/ }).waitFor();
	await ann.page.keyboard.press("a");
	assert.match((await ann.page.evaluate(() => document.activeElement?.textContent)) ?? "", /^Approve/);
	assert.equal((await org.get(`/api/approvals/${second.id}`)).status, "pending", "a key decides nothing");
	await ann.shots("approvals");
	await ann.page.keyboard.press("d");
	await ann.page.keyboard.press("Enter");
	await ann.page.locator(".verdict").getByText("by you").waitFor();
	await cards.first().getByText("Denied").waitFor();
	assert.equal(await cards.count(), 2, "what was decided stays in its place");
	await ann.link("Denied").first().click();
	await eventually("one denied", async () => (await cards.count()) === 1);
});
