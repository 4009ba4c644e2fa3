// Why an event did or did not start anything, from the event and from the agent.
import assert from "node:assert/strict";
import { eventually, note, phone, story } from "./kit.ts";

const trigger = {
	type: "bus_event",
	source_product: "psa",
	event_type: "ticket.escalated",
	filters: [{ field: "escalated_to", operator: "eq", value: "p1" }],
};

story("a person finds why an event started nothing, from the list of events", async (s) => {
	const org = await s.org();
	const olga = await s.person(org, "user_olga", "owner");
	await olga.open("/events/received");
	await olga.heading("Received events are not kept").waitFor();
	await olga.link("Keep them").click();
	await olga.page.getByLabel("How long received events are kept").selectOption("30");
	await eventually("the setting is stored", async () => (await org.get("/api/settings")).journal_days === 30);

	await org.agent([note()], { name: "P1 desk", trigger });
	const paused = await org.agent([note()], { name: "Resting desk" });
	await org.call("PUT", `/api/agents/${paused}`, { status: "paused" });
	await org.escalate({ escalated_to: "p2", client_id: "cli_acme", subject: "<img src=x>" });
	const received = async () => (await org.get("/api/events/received")).events as unknown[];
	await eventually("the event is kept", async () => (await received()).length === 1);

	const vic = await s.person(org, "user_vic", "viewer");
	await vic.open("/events/received");
	await vic.page.getByRole("cell", { name: "nothing" }).waitFor();
	await vic.shots("received");
	await vic.page.getByRole("table", { name: "Received events" }).getByRole("link").first().click();
	await vic.sees(/^It started nothing/);
	const agents = vic.page.getByRole("list", { name: "Agents" }).getByRole("listitem");
	await agents
		.filter({ hasText: "P1 desk" })
		.getByText(/escalated_to must be "p1"; it is "p2"/)
		.first()
		.waitFor();
	await agents
		.filter({ hasText: "Resting desk" })
		.getByText(/paused/i)
		.first()
		.waitFor();
	await vic.sees('it is "p2"');
	await vic.shots("why");
	assert.equal(await vic.page.locator("img").count(), 0, "the payload is no markup");
});

story("an event that started a run leads to it, and an unknown one says so", async (s) => {
	const org = await s.org();
	await org.call("PATCH", "/api/settings", { journal_days: 7 });
	const id = await org.agent([note()], { name: "P1 desk", trigger });
	await org.escalate();
	const run = String((await org.runs())[0]?.id);
	await org.reaches(run, "completed");
	const ann = await s.person(org, "user_ann", "member");
	await ann.open(`/runs/${run}?tab=event`);
	await ann.link("What it was at all agents").click();
	await ann.sees("It started one run.");
	await ann.link(/^See the run/).click();
	await ann.page.waitForURL(new RegExp(run));
	await ann.open(`/agents/${id}/activity`);
	await ann.button("why?").first().click();
	await ann.link("What it was at all agents").click();
	await ann.sees("It started one run.");
	ann.expected.add(404);
	await ann.open("/events/evt_01HXYZ00000000000000000000");
	await ann.heading("Nothing is known of this event").waitFor();
});

story("the page of an event tells what its runs did and caused", async (s) => {
	const org = await s.org();
	await org.call("PATCH", "/api/settings", { journal_days: 7 });
	await org.rules("_products", { product: "psa", action: "add_note", status: 400 });
	await org.agent([note()], { name: "P1 desk", trigger });
	await org.escalate();
	const run = String((await org.runs())[0]?.id);
	await org.reaches(run, "failed");
	const vic = await s.person(org, "user_vic", "viewer", { size: phone });
	await vic.open(`/runs/${run}?tab=event`);
	await vic.link("What it was at all agents").click();
	await vic.sees("It started one run.");
	await vic.sees(/^The run failed at the step “note” \(product_error\)/);
	const caused = vic.page.getByRole("region", { name: "What it caused" });
	await caused.getByRole("link", { name: "P1 desk" }).waitFor();
	await vic.shots("why-caused");
	await caused.getByRole("link", { name: "agents:execution.failed" }).click();
	await vic.page.waitForURL(/type=agents%3Aexecution\.failed/);
});

story("a person asks what an event would start before it comes", async (s) => {
	const org = await s.org();
	await org.call("PATCH", "/api/settings", { journal_days: 7 });
	await org.agent([note()], { name: "P1 desk", trigger });
	const vic = await s.person(org, "user_vic", "viewer");
	await vic.open("/events/psa:ticket.escalated");
	await vic.link("What would it start?").click();
	await vic.page.waitForURL(/suppose\?type=psa%3Aticket\.escalated|suppose\?type=psa:ticket\.escalated/);
	const payload = vic.page.getByLabel("What it says");
	const ask = vic.button("What would it start?");
	await payload.fill('{"escalated_to": "p2"');
	await ask.click();
	await vic.sees(/^The payload is no JSON yet/);
	await payload.fill('{"escalated_to": "p2", "ticket_id": "tkt_1"}');
	await ask.click();
	await vic.sees("It would start nothing. 1 agent listens for it.");
	await vic.sees('it is "p2"');
	await payload.fill('{"escalated_to": "p1", "ticket_id": "tkt_1"}');
	await ask.click();
	await vic.sees("It would start 1 run.");
	await vic.shots("suppose");
	assert.equal((await org.runs(0)).length, 0, "nothing is started");

	await vic.open("/events/suppose?type=psa:ticket.escalatd");
	await ask.click();
	await vic.button("Ask about psa:ticket.escalated").click();
	await vic.sees(/^It would start/);

	await org.escalate({ escalated_to: "p3" });
	const received = async () => (await org.get("/api/events/received")).events as unknown[];
	await eventually("the event is kept", async () => (await received()).length === 1);
	await vic.open("/events/received");
	await vic.page.getByRole("table", { name: "Received events" }).getByRole("link").first().click();
	await vic.link("What if it said something else?").click();
	await eventually("the form begins with the event", async () => /"p3"/.test(await payload.inputValue()));
	await payload.fill((await payload.inputValue()).replace('"p3"', '"p1"'));
	await ask.click();
	await vic.sees("It would start 1 run.");
	await vic.page.getByLabel("The event").selectOption("psa:ticket.created");
	await ask.click();
	await vic.sees(/^It would start|^No agent listens/);
	assert.match(await payload.inputValue(), /"p1"/, "what was typed is kept");
	assert.equal(new URL(vic.page.url()).searchParams.get("event"), null);
});

story("a back-test says how often an agent would have started, and leads to the events", async (s) => {
	const org = await s.org();
	const id = await org.agent([note()], { name: "P1 desk", trigger });
	const ann = await s.person(org, "user_ann", "member");
	ann.expected.add(409);
	await ann.open(`/agents/${id}/backtest`);
	const start = ann.page.getByRole("form", { name: "Back-test" }).getByRole("button", { name: "Back-test" });
	await start.click();
	await ann.link("For how long events are kept").waitFor();
	await org.call("PATCH", "/api/settings", { journal_days: 7 });
	await org.escalate();
	await org.escalate({ escalated_to: "p2" });
	await eventually(
		"both events are kept",
		async () => ((await org.get("/api/events/received")).events as unknown[]).length === 2,
	);
	await start.click();
	await ann.sees("It would have started 1 time, of 2 events.");
	await ann.page.getByRole("region", { name: "Result" }).getByText("Near misses").waitFor();
	await ann.shots("back-test");
	await ann.page.reload();
	await ann.sees("It would have started 1 time, of 2 events.");
	await ann.page
		.getByRole("listitem")
		.filter({ hasText: /escalated_to must be "p1"; it is/ })
		.getByRole("link")
		.click();
	await ann.sees(/^It started nothing/);
});
