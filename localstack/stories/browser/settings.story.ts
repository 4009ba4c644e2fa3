import assert from "node:assert/strict";
import { eventually, gate, isolate, note, story } from "./kit.ts";

story("a key is shown once, and revoked by its name", async (s) => {
	const org = await s.org();
	const ann = await s.person(org, "user_ann", "owner");
	await ann.open("/settings/keys");
	await ann.heading("No program has a key").waitFor();
	await ann.button("New key…").click();
	await ann.page.getByLabel("Which program uses it?").fill("nightly report");
	await ann.shots("key-new");
	await ann.button("Create the key").click();
	const shown = String(await ann.page.getByRole("dialog").locator(".secret bdi").textContent());
	assert.match(shown, /^ik_/);
	await ann.page.keyboard.press("Escape");
	await ann.button("I have stored it").click();
	await ann.sees("nightly report");
	assert.equal((await ann.page.content()).includes(shown), false, "the page forgets the key");
	await ann.shots("keys-list");
	await ann.button("Revoke…").click();
	const revoke = ann.button("Revoke the key");
	assert.equal(await revoke.isDisabled(), true);
	await ann.page.getByLabel(/Type the name/).fill("nightly report");
	await revoke.click();
	await ann.heading("No program has a key").waitFor();
	await ann.open("/settings/audit");
	await ann.sees("revoked an integration key");
	await ann.shots("audit");
});

story("the webhook secret shows on request, and a new one replaces it", async (s) => {
	const org = await s.org();
	const ann = await s.person(org, "user_ann", "admin");
	await ann.open("/settings/webhook");
	await ann.heading("Check a message").waitFor();
	assert.equal(
		ann.calls.some((c) => c.includes("webhook-secret")),
		false,
		"nothing is read before one asks",
	);
	await ann.button(/Show the secret/).click();
	const before = await ann.page.locator(".secret bdi").textContent();
	await ann.button("Rotate…").click();
	await ann.button("Make a new secret").click();
	await ann.sees(/The secret before this one is valid until/);
	assert.notEqual(await ann.page.locator(".secret bdi").textContent(), before);
	await ann.button("Hide").click();
	await ann.shots("webhook");
});

story("a member pauses everything, and an owner resumes", async (s) => {
	const org = await s.org();
	await org.agent([gate(), isolate()]);
	await org.escalate();
	await org.approval();
	const ann = await s.person(org, "user_ann", "member");
	await ann.open("/settings/pause");
	await ann.button("Pause everything…").click();
	await ann.page.getByLabel(/Why/).fill("a bad release");
	await ann.shots("pause-dialog");
	await ann.button("Pause everything").last().click();
	await ann.sees(/Paused by user_ann/);
	assert.equal(await ann.button("Resume…").count(), 0);
	await ann.shots("paused");
	const owner = await s.person(org, "user_owner", "owner");
	await owner.open("/settings/pause");
	await owner.button("Resume…").click();
	await owner.button("Resume").last().click();
	await owner.button("Pause everything…").waitFor();
});

story("a rule is changed by one click, and members do not see the rules", async (s) => {
	const org = await s.org();
	const ann = await s.person(org, "user_ann", "owner");
	await ann.open("/settings/rules");
	await ann.page.getByLabel("Refused").click();
	await eventually("the rule is changed", () => ann.page.getByLabel("Refused").isChecked());
	await ann.page.reload();
	await ann.page.getByLabel("Refused").waitFor();
	assert.equal(await ann.page.getByLabel("Refused").isChecked(), true);
	await ann.shots("rules");
	const bob = await s.person(org, "user_bob", "member");
	await bob.open("/settings/rules");
	await bob.sees("Owners and admins see this part of the settings.");
	assert.equal(await bob.link("Audit log").count(), 0);
});

story("the catalogue shows each event with its fields, its sample and the agents that listen", async (s) => {
	const org = await s.org();
	const agent = await org.agent([note()], { name: "Escalation watch" });
	const ann = await s.person(org, "user_ann", "member");
	await ann.open("/events");
	await ann.page.getByLabel("Filter events").fill("escalated");
	await ann.link(/Ticket Escalated/).click();
	await ann.link(/Escalation watch/).waitFor();
	assert.match(ann.page.url(), /\/events\/psa:ticket\.escalated/);
	await ann.shots("event");
	await ann.link(/Escalation watch/).click();
	await ann.page.waitForURL(new RegExp(agent));
	await ann.open("/events/psa:unknown.event");
	await ann.heading("No product publishes psa:unknown.event").waitFor();
});

story("the credits say what is used, by whom, and whether they last", async (s) => {
	const org = await s.org();
	await org.rules("_model", { respond: "fine" });
	await org.agent(
		[{ id: "think", type: "ai_reason", model: "standard", prompt: "Judge {{ event_payload.ticket_id }}." }],
		{ name: "Thinker" },
	);
	await org.escalate();
	await org.reaches(String((await org.runs())[0]?.id), "completed");
	await eventually("the used credits are summed", async () => (await org.get("/api/credits")).total_used === 20);
	const ann = await s.person(org, "user_ann", "viewer");
	await ann.open("/credits");
	await ann.sees(/20 used of 100,000/);
	await ann.link("Thinker").waitFor();
	await ann.shots("credits");
});
