import assert from "node:assert/strict";
import { eventually, gate, isolate, note, phone, story } from "./kit.ts";

const mail = {
	id: "tell",
	name: "Tell security",
	type: "notification",
	channel: "email",
	recipients: ["security@acme.example"],
	subject: "An alert",
	body: "Look at {{ event_payload.ticket_id }}.",
};

story("a run is watched from its start over the approval to its end, and what is selected stays", async (s) => {
	const org = await s.org();
	await org.agent([note(), gate(), isolate()]);
	await org.escalate({ subject: "VPN drops every few minutes" });
	const id = String((await org.runs())[0]?.id);
	const ann = await s.person(org, "user_ann", "member");
	await ann.open(`/runs/${id}`);
	await ann.sees("waits for an approval");
	await ann.shots("run-waiting");
	await ann.button(/Write it down/).click();
	await ann.page.getByRole("region", { name: "Step Write it down" }).waitFor();
	const approval = await org.approval();
	await org.call("POST", `/api/approvals/${approval.id}/decision`, { decision: "approved" });
	await ann.sees(/^Completed in/);
	const told = ann.page.getByRole("region", { name: "The story" }).getByRole("listitem");
	await told.filter({ hasText: /^.*psa published ticket\.escalated/ }).waitFor();
	await told.filter({ hasText: /approved at “/ }).waitFor();
	await told.filter({ hasText: /The run completed after/ }).waitFor();
	await ann.page.getByRole("region", { name: "Step Write it down" }).waitFor();
	assert.match(ann.page.url(), /step=note/);
	await ann.shots("run-completed");
});

story("a failed run explains itself in its first line, and a retry says what happens again", async (s) => {
	const org = await s.org();
	await org.rules("_products", { product: "psa", action: "add_note", status: 500 });
	await org.agent([mail, note(), note({ id: "later", name: "Write it again" })]);
	await org.escalate({ subject: "<img src=x onerror=alert(1)> {{ event_payload }} \u202Egnp.exe" });
	const id = String((await org.runs())[0]?.id);
	await org.reaches(id, "failed");
	const ann = await s.person(org, "user_ann", "member");
	await ann.open(`/runs/${id}`);
	await ann.sees("Failed at Write it down");
	await ann.sees("Nothing after it ran.");
	const told = ann.page.getByRole("region", { name: "The story" }).getByRole("listitem");
	await told.filter({ hasText: /Write it down” failed after \d tries: “/ }).waitFor();
	await told
		.filter({ hasText: /failed after/ })
		.getByRole("link", { name: "Show the step note" })
		.click();
	await ann.page.getByRole("region", { name: "Step Write it down" }).waitFor();
	assert.equal(await ann.page.locator("img").count(), 0, "the subject is no markup");
	await ann.shots("run-failed");
	await ann.button("Retry…").click();
	const dialog = ann.page.getByRole("dialog");
	await dialog.getByText("message to security@acme.example (was sent)").waitFor();
	const retry = dialog.getByRole("button", { name: "Retry the run" });
	assert.equal(await retry.isDisabled(), true, "nobody agreed yet");
	await ann.shots("retry");
	await dialog.getByRole("checkbox").check();
	await retry.click();
	await ann.link("The run that this one retries").click();
	await ann.page.waitForURL(new RegExp(id));
	await ann.link("The newest retry of this run").waitFor();
});

story("a waiting run is cancelled: its approval is denied, and the page says what stays", async (s) => {
	const org = await s.org();
	await org.agent([note(), gate(), isolate()]);
	await org.escalate();
	const approval = await org.approval();
	const ann = await s.person(org, "user_ann", "member", { size: phone });
	await ann.open(`/runs/${approval.execution_id}`);
	await ann.button("Cancel…").click();
	await ann.sees("What was done stays: Write it down.");
	await ann.button("Cancel the run").click();
	await ann.sees("Cancelled: a person cancelled it");
	assert.equal((await org.get(`/api/approvals/${approval.id}`)).status, "denied");
});

story("the address is the filter: a reload and the way back show the same rows", async (s) => {
	const org = await s.org();
	await org.rules("_products", { product: "psa", action: "add_note", status: 400, times: 1 });
	await org.agent([note()]);
	await org.escalate();
	const failed = String((await org.runs())[0]?.id);
	await org.reaches(failed, "failed");
	await org.escalate();
	const done = String((await org.runs(2)).find((x) => x.id !== failed)?.id);
	await org.reaches(done, "completed");
	const ann = await s.person(org, "user_ann", "member");
	await ann.open("/runs");
	const rows = ann.page.getByRole("table", { name: "Runs" }).locator("tbody tr");
	await eventually("two rows", async () => (await rows.count()) === 2);
	ann.calls.length = 0;
	await ann.page.getByLabel("Status").selectOption("failed");
	await eventually("one row", async () => (await rows.count()) === 1);
	assert.equal(new URL(ann.page.url()).searchParams.get("status"), "failed");
	await ann.page.reload();
	await eventually("one row after the reload", async () => (await rows.count()) === 1);
	await rows.first().getByRole("link").click();
	await ann.sees(/^Failed at/);
	await ann.page.goBack();
	await eventually("one row after the way back", async () => (await rows.count()) === 1);
	await ann.shots("runs");
	await ann.open("/runs?status=cancelled");
	await ann.heading("No run that is cancelled in the last 24 h").waitFor();
	await ann.shots("runs-empty");
});

story(
	"runs of a client, of an event and of a version are found by the API, however many others there are",
	async (s) => {
		const org = await s.org();
		const id = await org.agent([note()]);
		for (const client of ["cli_acme", "cli_globex", "cli_acme"]) await org.escalate({ client_id: client });
		await org.runs(3);
		await org.call("PUT", `/api/agents/${id}`, { steps: [note({ name: "Again" })] });
		await org.escalate({ client_id: "cli_globex" });
		await org.runs(4);
		const ann = await s.person(org, "user_ann", "member");
		const rows = ann.page.getByRole("table", { name: "Runs" }).locator("tbody tr");
		await ann.open("/runs?client_id=cli_acme");
		await eventually("two rows", async () => (await rows.count()) === 2);
		await ann.sees("2 in the last 24 h");
		await ann.button(/^cli_acme|Client cli_acme/).click();
		await eventually("four rows", async () => (await rows.count()) === 4);
		await ann.open(`/agents/${id}/versions`);
		await ann.link("Runs that used it").first().click();
		await eventually("one row", async () => (await rows.count()) === 1);
		await ann.button(/^Version 2/).waitFor();
		await ann.open("/runs?event_type=ticket.created");
		await ann.heading("No run that ticket.created started in the last 24 h").waitFor();
	},
);

story("runs that arrive wait behind a pill: nothing moves under the hand", async (s) => {
	const org = await s.org();
	await org.agent([note()]);
	for (let n = 0; n < 4; n++) await org.escalate();
	await org.runs(4);
	const ann = await s.person(org, "user_ann", "member");
	await ann.open("/runs");
	const rows = ann.page.getByRole("table", { name: "Runs" }).locator("tbody tr");
	await eventually("four rows", async () => (await rows.count()) === 4);
	for (let n = 0; n < 3; n++) await ann.page.keyboard.press("j");
	const focused = () => ann.page.evaluate(() => document.activeElement?.closest("tr")?.getAttribute("data-key"));
	const before = await focused();
	const place = await rows.nth(2).boundingBox();
	for (let n = 0; n < 3; n++) await org.escalate();
	await ann.button(/3 new runs/).waitFor();
	assert.equal(await focused(), before);
	assert.deepEqual(await rows.nth(2).boundingBox(), place);
	await ann.button(/3 new runs/).click();
	await eventually("seven rows", async () => (await rows.count()) === 7);
});

story("Home says what needs me, and asks little", async (s) => {
	const org = await s.org();
	const ann = await s.person(org, "user_ann", "owner");
	await ann.open("/");
	await ann.heading(/Nothing needs you/).waitFor();
	await ann.heading("Three steps to the first run").waitFor();
	await ann.shots("home-first");
	await org.rules("_products", { product: "psa", action: "add_note", status: 400, times: 1 });
	await org.agent([note()]);
	await org.escalate({ subject: "Backup failed again" });
	await org.reaches(String((await org.runs())[0]?.id), "failed");
	await org.agent([gate(), isolate()], { name: "Guard" });
	await org.escalate();
	await org.approval();
	ann.calls.length = 0;
	await ann.page.reload();
	await ann.heading(/1 decision waits for you, 1 run failed today/).waitFor();
	await ann
		.link(/Isolate tkt_/)
		.first()
		.waitFor();
	assert.ok(ann.calls.length <= 6, `${ann.calls.length} calls until content: ${ann.calls}`);
	await ann.shots("home");
});

story("a run and the list of runs ask at most three questions until they are there", async (s) => {
	const org = await s.org();
	await org.agent([note()]);
	await org.escalate();
	const id = String((await org.runs())[0]?.id);
	await org.reaches(id, "completed");
	const ann = await s.person(org, "user_ann", "viewer");
	await ann.open(`/runs/${id}`);
	await ann.sees(/^Completed in/);
	assert.ok(ann.calls.length <= 3, `run: ${ann.calls}`);
	assert.equal(await ann.button(/Retry|Cancel/).count(), 0, "a viewer acts on nothing");
	ann.calls.length = 0;
	await ann.open("/runs");
	await ann.page.getByRole("table", { name: "Runs" }).waitFor();
	assert.ok(ann.calls.length <= 4, `runs: ${ann.calls}`);
	assert.equal(await ann.page.getByRole("checkbox").count(), 0);
});
