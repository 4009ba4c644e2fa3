import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { type Doc, eventually, gate, isolate, note, type Org, type Person, story } from "./kit.ts";

/** write replaces the whole text of the editor, and leaves the cursor a number of signs before its end. */
async function write(page: Page, text: string, back = 0): Promise<void> {
	await page.locator(".cm-content").click();
	await page.keyboard.press("ControlOrMeta+a");
	await page.keyboard.insertText(text);
	for (let n = 0; n < back; n++) await page.keyboard.press("ArrowLeft");
}

/** offered returns what the editor completes at the cursor. */
async function offered(page: Page): Promise<string[]> {
	await page.keyboard.press("Control+Space");
	const list = page.locator(".cm-tooltip-autocomplete");
	await list.waitFor();
	const labels = await list.locator(".cm-completionLabel").allTextContents();
	await page.keyboard.press("Escape");
	await list.waitFor({ state: "detached" });
	return labels;
}

/** textOf returns the definition of an agent as the editor shows it, changed. */
async function definitionOf(org: Org, id: string, change: (agent: Doc) => Doc): Promise<string> {
	const { name, description, category, trigger, conditions, steps, conflict_behavior, client_scope } = await org.get(
		`/api/agents/${id}`,
	);
	const agent = { name, description, category, trigger, conditions, steps, conflict_behavior, client_scope };
	return JSON.stringify({ ...agent, ...change(agent) }, null, 2);
}

/** save goes through the dialog before a save. */
async function save(person: Person): Promise<void> {
	await person.sees(/^valid/);
	await person.button("Save…").click();
	await person.button(/^Save version/).click();
	await person.page.getByRole("dialog").waitFor({ state: "detached" });
}

story(
	"from an event to an active agent with two clicked filters: it fires, and its activity says which filter refused",
	async (s) => {
		const org = await s.org();
		const ann = await s.person(org, "user_ann", "member");
		await ann.open("/agents");
		await ann.link("New agent").click();
		await ann.page.getByLabel("When this happens").selectOption("psa:ticket.created");
		await ann.button(/^Demand that Priority is/).click();
		await ann.button(/^Demand that Client is/).click();
		await ann.sees("The sample would start it");
		await ann.shots("new-from-event");
		await ann.page.getByLabel(/^Only the beginning/).check();
		await ann.button("Create draft").click();
		await ann.heading("When ticket created").waitFor();
		await ann.button("Activate").click();
		await ann.sees("This is everything that it can do from then on");
		await ann.sees(/^A run takes at most/);
		await ann.shots("activate");
		await ann.button("Activate it").click();
		await ann.button("Pause").waitFor();
		const ticket = { ticket_id: "tkt_1", priority: "p2", client_id: "cli_acme" };
		await org.publish("psa:ticket.created", ticket);
		const [run] = await org.runs();
		await ann.link("Activity").click();
		await ann.sees("a run was started");
		await org.reaches(String(run?.id), "completed");

		await org.publish("psa:ticket.created", { ...ticket, ticket_id: "tkt_2", priority: "p4" });
		const { agents } = await org.get("/api/agents");
		const id = (agents as Doc[]).find((a) => a.type === "custom")?.id;
		await eventually("the second event was judged", async () => {
			const { activity } = await org.get(`/api/agents/${id}/activity`);
			return (activity as Doc[]).length > 1;
		});
		await ann.page.reload();
		await ann.sees('priority must be "p2"; it is "p4"');
		await ann.button("why?").first().click();
		await ann.sees("refused this event");
		await ann.shots("activity");
		await ann.button(/^Started 1/).click();
		assert.equal(new URL(ann.page.url()).searchParams.get("outcome"), "started");
		assert.equal(await ann.page.getByText('it is "p4"').count(), 0);
	},
);

story("a template is cloned, and the editor shows what to fill in", async (s) => {
	const org = await s.org();
	const ann = await s.person(org, "user_ann", "member");
	await ann.open("/agents/new");
	await ann.shots("new");
	await ann.page.getByLabel("Search the templates").fill("admin rights");
	await ann.link(/Admin Rights Watch/).click();
	await ann.sees("The editor marks what is to be filled in:");
	await ann.shots("new-from-template");
	await ann.button("Make a draft").click();
	const findings = ann.page.getByRole("list", { name: "Faults and warnings" });
	await findings.getByText(/example/).waitFor();
	await findings.getByRole("button", { name: /step 1, recipients/ }).click();
	await eventually("one can type in the editor", () =>
		ann.page.evaluate(() => document.activeElement?.shadowRoot?.activeElement?.classList.contains("cm-content")),
	);
	await ann.page.keyboard.press("Shift+End"); // the recipient is the whole rest of its line
	await ann.page.keyboard.insertText('"team@brightside.example"');
	await ann.sees(/^valid/);
	await save(ann);
	await ann.sees(/version 2/);
});

story("completion offers what fits the event and the action, and nothing else", async (s) => {
	const org = await s.org();
	const { page } = await s.person(org, "user_ann", "member");
	await page.goto("/agents/new?from=text");
	await page.locator(".cm-content").waitFor();
	const filter = (event: string) =>
		`{"trigger": {"source_product": "psa", "event_type": "${event}", "filters": [{"field": ""}]}}`;
	// The catalogue comes a moment after the editor
	await eventually("the catalogue is there", async () => {
		await write(page, filter("ticket.escalated"), 5);
		return (await offered(page).catch(() => [] as string[])).includes("escalated_to");
	});
	await write(page, filter("ticket.created"), 5);
	const other = await offered(page);
	assert.ok(other.includes("priority") && !other.includes("escalated_to"), other.join());

	const params = (action: string) =>
		`{"steps": [{"id": "a", "type": "product_action", "product": "defend", "action": "${action}", "params": {"": 1}}]}`;
	await write(page, params("isolate_device"), 8);
	assert.ok((await offered(page)).includes("device_id"));
	await write(page, params("block_indicator"), 8);
	assert.ok(!(await offered(page)).includes("device_id"));

	await write(
		page,
		filter("ticket.escalated").replace("}]}}", `}]}, "steps": [{"type": "ai_reason", "prompt": "{{ "}]}`),
		4,
	);
	const paths = await offered(page);
	assert.ok(paths.includes("event_payload.escalated_to"), paths.join());
});

story("without its gate a destructive step is marked at its line, and nothing can be saved", async (s) => {
	const org = await s.org();
	const id = await org.agent([gate(), isolate()]);
	const ann = await s.person(org, "user_ann", "member");
	await ann.open(`/agents/${id}/definition`);
	await ann.sees(/^valid/);
	await ann.shots("definition");
	const whole = await definitionOf(org, id, () => ({}));
	await write(ann.page, await definitionOf(org, id, () => ({ steps: [isolate()] })));
	const findings = ann.page.getByRole("list", { name: "Faults and warnings" });
	await findings.getByRole("button", { name: "step 1" }).waitFor();
	await ann.sees("no approval before it");
	assert.equal(await ann.page.locator(".cm-lintRange-error").first().textContent(), '"isolate"');
	const button = ann.button("Save…");
	assert.equal(await button.getAttribute("aria-disabled"), "true");
	await ann.page.keyboard.press("ControlOrMeta+s");
	assert.equal(await ann.page.getByRole("dialog").count(), 0);
	await ann.page.keyboard.press("F8");
	await ann.page
		.locator(".cm-tooltip")
		.getByText(/approval/)
		.waitFor();
	await ann.shots("definition-fault");
	await ann.page.keyboard.press("Escape");
	await write(ann.page, whole.replace('"type": "approval_gate"', '"type": '));
	await ann.sees("not yet JSON");
	assert.equal(await button.getAttribute("aria-disabled"), "true");
});

story(
	"two tabs change one agent: the second is told, merges, and loses nothing; a draft survives its tab",
	async (s) => {
		const org = await s.org();
		const id = await org.agent([note()]);
		const ann = await s.person(org, "user_ann", "member");
		ann.expected.add(412);
		await ann.open(`/agents/${id}/definition`);
		await ann.sees(/^valid/);
		await write(ann.page, await definitionOf(org, id, () => ({ steps: [note({ name: "Mine" })] })));
		await ann.sees(/^valid/);

		// Another person saves first
		await org.call("PUT", `/api/agents/${id}`, { category: "operations", client_scope: { include: ["cli_1"] } });
		await ann.button("Save…").click();
		await ann.button(/^Save version/).click();
		await ann.sees("user_owner saved version 2");
		await ann.shots("definition-conflict");
		await ann.button("Merge both").click();
		await ann.sees(/Green is yours/);
		// Of their changes both are taken, of ours the name stays
		const chunks = ann.page.locator(".cm-deletedChunk");
		await chunks.first().waitFor();
		for (const theirs of ["operations", "include"]) {
			await chunks.filter({ hasText: theirs }).getByRole("button", { name: "Take theirs" }).click();
		}
		await save(ann);
		const merged = await org.get(`/api/agents/${id}`);
		assert.equal(merged.category, "operations");
		assert.deepEqual(merged.client_scope, { include: ["cli_1"] });
		assert.equal((merged.steps as Doc[])[0]?.name, "Mine");

		await write(ann.page, await definitionOf(org, id, () => ({ description: "Not saved." })));
		await ann.page.waitForTimeout(600); // the draft is stored 300 ms after the last key
		await ann.page.close();
		const page = await ann.context.newPage();
		await page.goto(`/agents/${id}/definition`);
		await page.getByText(/^Draft of version 3/).waitFor();
		await page
			.locator(".cm-content")
			.getByText(/Not saved\./)
			.waitFor();
		await page.getByRole("button", { name: "Discard" }).click();
		await page.getByText(/^Draft of version/).waitFor({ state: "detached" });
		await page.reload();
		await page.getByText(/^valid/).waitFor();
		assert.equal(await page.getByText(/^Draft of version/).count(), 0);
	},
);

story("the session ends while a definition is written: after a sign-in the text is there and is saved", async (s) => {
	const org = await s.org();
	const id = await org.agent([note()]);
	const ann = await s.person(org, "user_ann", "member");
	await ann.open(`/agents/${id}/definition`);
	await ann.sees(/^valid/);
	ann.expected.add(401);
	await ann.context.clearCookies();
	await write(ann.page, await definitionOf(org, id, () => ({ steps: [note({ name: "Typed meanwhile" })] })));
	await ann.page.getByRole("dialog").getByText("Your session ended").waitFor();
	await ann.signIn(org, "user_ann", "member");
	await ann.page.evaluate(() => document.dispatchEvent(new Event("visibilitychange", { bubbles: true })));
	await ann.page.getByRole("dialog").waitFor({ state: "detached" });
	await ann.page
		.locator(".cm-content")
		.getByText(/Typed meanwhile/)
		.waitFor();
	await ann.button("Check again").click(); // the check was refused with the session
	await save(ann);
	const saved = await org.get(`/api/agents/${id}`);
	assert.equal((saved.steps as Doc[])[0]?.name, "Typed meanwhile");
});

story("versions are compared, and a roll back makes a new version like the old one", async (s) => {
	const org = await s.org();
	const id = await org.agent([gate(), isolate()]);
	await org.call("PUT", `/api/agents/${id}`, { steps: [gate({ message: "Really?" }), isolate()] });
	await org.call("PUT", `/api/agents/${id}`, { steps: [gate({ message: "Really?" }), isolate(), note()] });
	const ann = await s.person(org, "user_ann", "member");
	await ann.open(`/agents/${id}/versions?from=1&to=3`);
	await ann.sees("Write it down");
	await ann.sees("Really?");
	await ann.sees("Isolate {{ event_payload.ticket_id }}?");
	await ann.shots("versions");
	await ann.button("As text").click();
	await ann.page.getByRole("group", { name: "Changed lines" }).getByText("Really?").waitFor();
	await ann.page
		.getByRole("listitem")
		.filter({ has: ann.page.getByRole("button", { name: /^Compare version 1 / }) })
		.getByRole("button", { name: "Roll back to it…" })
		.click();
	await ann.sees("Version 4 will do what version 1 did.");
	await ann.shots("roll-back");
	await ann.button("Roll back to version 1").click();
	await ann.page.getByRole("dialog").waitFor({ state: "detached" });
	await ann.sees("Version 4");
	const [one, four] = await Promise.all([1, 4].map((v) => org.get(`/api/agents/${id}/versions/${v}`)));
	for (const key of ["trigger", "conditions", "steps", "conflict_behavior", "client_scope", "category"]) {
		assert.deepEqual(four?.[key], one?.[key], key);
	}
});

story(
	"an agent is tested on the sample, on the event of a run and on a payload, and nothing reaches anybody",
	async (s) => {
		const org = await s.org();
		const id = await org.agent([gate(), isolate()], {
			trigger: {
				type: "bus_event",
				source_product: "psa",
				event_type: "ticket.escalated",
				filters: [{ field: "escalated_to", operator: "eq", value: "p1" }],
			},
		});
		await org.escalate();
		await org.approval();
		const run = String((await org.runs())[0]?.id);
		const ann = await s.person(org, "user_ann", "member");
		await ann.open(`/runs/${run}?tab=event`);
		await ann.link("Test the agent as it is today on this event").click();
		const form = ann.page.getByRole("form", { name: "Test" });
		const test = form.getByRole("button", { name: "Test" });
		await test.click();
		await ann.sees("It would start, and reach its end.");
		await ann.sees("What was held back");
		await ann.sees(/^Isolate tkt_/);
		await ann.shots("test-run");
		await form.getByLabel(/^At /).selectOption("denied");
		await test.click();
		await ann.sees("It would start, and end early.");
		await form.getByLabel(/^The event/).selectOption("own");
		const payload = form.getByLabel(/^Payload of/);
		assert.match(await payload.inputValue(), /"escalated_to": "p1"/, "the payload that was played last");
		await payload.fill('{"escalated_to": "p2", ');
		await test.click();
		await ann.sees(/^The payload is no JSON yet/);
		await payload.fill('{"escalated_to": "p2", "ticket_id": "tkt_<img src=x>"}');
		await test.click();
		await ann.sees("The event would not start it.");
		await ann.sees('it is "p2"');
		await ann.shots("test-run-refused");
		await form.getByRole("checkbox").check();
		await test.click();
		await ann.sees(/played all the same/);
		assert.equal(await ann.page.locator("img").count(), 0, "the payload is no markup");
		assert.equal((await org.runs()).length, 1, "a test is no run");
		assert.deepEqual(await org.calls("isolate_device"), []);
		const viewer = await s.person(org, "user_vic", "viewer");
		await viewer.open(`/agents/${id}/test`);
		await viewer.sees("Owners, admins and members test an agent.");
	},
);

story("a test shows what live models may cost before it asks them, and takes answers of earlier runs", async (s) => {
	const org = await s.org();
	const think = { id: "think", type: "ai_reason", model: "quick", prompt: "Judge {{ event_payload.ticket_id }}." };
	const id = await org.agent([think, note()]);
	const ann = await s.person(org, "user_ann", "member");
	await ann.open(`/agents/${id}/test`);
	const form = ann.page.getByRole("form", { name: "Test" });
	await form.getByLabel("Models answer").selectOption("live");
	await ann.sees(/^It costs at most 5 credits, charged to this agent; the organization has [\d,]+ credits left/);
	await ann.shots("test-run-live");
	await form.getByRole("button", { name: "Test for credits" }).click();
	await ann.sees("It would start, and reach its end.");
	await ann.sees(/The models cost 5 credits\.$/);
	await ann.sees(/as a model said it just now/);
	assert.deepEqual(await org.runs(0), [], "a test is no run");
	assert.deepEqual(await org.calls("add_note"), []);
	await org.escalate();
	const run = String((await org.runs())[0]?.id);
	await org.reaches(run, "completed");
	await ann.open(`/agents/${id}/test?run=${run}`);
	await form.getByLabel("Models answer").selectOption("recorded");
	await form.getByRole("button", { name: "Test", exact: true }).click();
	await ann.sees(/as an earlier run got it/);
	await ann.sees(/Nothing was charged\.$/);
	await ann.link("that run").click();
	await ann.page.waitForURL(`**/runs/${run}`);
});

story("a system agent stays at the version that an owner picks, until it follows the releases again", async (s) => {
	const org = await s.org();
	const page = "/agents/agent_system_dispatch/versions";
	const olga = await s.person(org, "user_olga", "owner");
	await olga.open(page);
	const first = olga.page
		.getByRole("listitem")
		.filter({ has: olga.page.getByRole("button", { name: /^Compare version 1 / }) });
	await first.getByText("current").waitFor();
	await first.getByRole("button", { name: "Stay at it" }).click();
	await olga.sees(/^The agent stays at version 1/);
	await first.getByText("pinned").waitFor();
	await olga.shots("pinned");
	assert.equal((await org.get("/api/agents/agent_system_dispatch")).pinned_version, 1);
	const ann = await s.person(org, "user_ann", "member");
	await ann.open(page);
	await ann.sees(/^The agent stays at version 1/);
	assert.equal(await ann.button("Follow the releases").count(), 0, "a member does not decide it");
	await olga.button("Follow the releases").click();
	await first.getByText("current").waitFor();
	assert.equal((await org.get("/api/agents/agent_system_dispatch")).pinned_version, null);
});

story("an agent is paused, activated, cloned and deleted", async (s) => {
	const org = await s.org();
	const id = await org.agent([gate()]);
	await org.escalate();
	await org.approval();
	const olga = await s.person(org, "user_olga", "owner");
	await olga.open("/agents");
	await olga.shots("agents");
	await olga.button("Pause Story agent").click();
	await olga.button("Activate Story agent").waitFor();
	await olga.link(/^Story agent/).click();
	await olga.sees("A run costs no credits.");
	await olga.shots("agent");
	olga.calls.length = 0;
	await olga.open(`/agents/${id}`);
	await olga.sees("What it does");
	const own = olga.calls.filter((call) => call !== "GET /api/approvals"); // the badge of the shell, at times earlier
	assert.ok(own.length <= 5, `calls until the content: ${own.join(", ")}`);
	await olga.button("Clone…").click();
	await olga.page.getByLabel("Its name").fill("A copy");
	await olga.button("Clone").last().click();
	await olga.heading("A copy").waitFor();

	await olga.open(`/agents/${id}`);
	await olga.button("Delete…").click();
	await olga.sees(/1 open run is cancelled/);
	const sure = olga.page.getByRole("dialog").getByRole("button", { name: "Delete" });
	assert.equal(await sure.getAttribute("aria-disabled"), "true");
	await olga.page.getByLabel("Type its name to delete it").fill("Story agent");
	await olga.shots("agent-delete");
	await sure.click();
	await olga.heading("Agents").waitFor();
	olga.expected.add(404);
	await olga.open(`/agents/${id}`);
	await olga.sees(/is not in org_/);
	await olga.sees("Its versions");
});

story("a viewer walks all pages of agents, finds nothing that acts, and is refused nothing", async (s) => {
	const org = await s.org();
	const id = await org.agent([gate(), isolate()]);
	const vic = await s.person(org, "user_vic", "viewer");
	const acts = /^(Pause|Activate|Clone|Delete|Save|\+ Step|Roll back|Create|Make)/;
	const system = "agent_system_security_response";
	for (const path of [
		"",
		`/${id}`,
		`/${id}/definition`,
		`/${id}/test`,
		`/${id}/backtest`,
		`/${id}/activity`,
		`/${id}/versions`,
		`/${system}/definition`,
	]) {
		await vic.open(`/agents${path}`);
		await vic.page.locator("h1").waitFor();
		await vic.page.waitForLoadState("networkidle");
		assert.equal(await vic.button(acts).count(), 0, path);
		assert.equal(await vic.link("New agent").count(), 0, path);
	}
	await vic.page.locator(".cm-content").click();
	await vic.page.keyboard.insertText("x");
	assert.equal(await vic.page.getByText("not yet JSON").count(), 0);
	await vic.open("/agents/new");
	await vic.sees("Your role makes no agents");
});

story("the editor comes with the definition alone, and is small", async (s) => {
	const org = await s.org();
	const id = await org.agent([note()]);
	const ann = await s.person(org, "user_ann", "member");
	await ann.open(`/agents/${id}`);
	await ann.sees("What it does");
	await ann.page.waitForLoadState("networkidle");
	const before = ann.loaded.bytes;
	assert.ok(before < 145_000, `${before} bytes before the editor`);
	await ann.link("Definition").click();
	await ann.page.locator(".cm-content").waitFor();
	await ann.page.waitForLoadState("networkidle");
	assert.ok(ann.loaded.bytes - before <= 140_000, `${ann.loaded.bytes - before} bytes of the editor`);
});
