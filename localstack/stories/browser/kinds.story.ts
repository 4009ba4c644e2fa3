// Every page in kinds of weather: narrow and enlarged, in the colours of a person, with an
// API that fails, and with long texts.
import assert from "node:assert/strict";
import { type Doc, eventually, gate, isolate, note, type Org, type Person, type Stage, story } from "./kit.ts";

/** A text without a place to break, and one that is read from right to left. */
const long = "Servicedesk".repeat(12);
const arabic = "فشل النسخ الاحتياطي على الخادم الرئيسي مرة أخرى";

/** A House is an organization in which every page has something to show. */
interface House {
	org: Org;
	agent: string;
	failed: string;
	approval: Doc;
	/** The paths of all pages. */
	paths: string[];
}

/** house fills an organization with long texts, texts from right to left, a run that failed
 * and one that waits. */
async function house(s: Stage): Promise<House> {
	const org = await s.org();
	await org.call("PATCH", "/api/settings", { journal_days: 7 });
	await org.rules("_products", { product: "psa", action: "add_note", status: 500 });
	const agent = await org.agent([note({ name: `Write it down ${long}` }), note({ id: "later" })], {
		name: `Watch of escalations ${long}`.slice(0, 100),
		description: `${arabic} ${long}`,
	});
	await org.escalate({ subject: `${arabic} ${long}` });
	const failed = String((await org.runs())[0]?.id);
	await org.reaches(failed, "failed");
	const on = { type: "bus_event", source_product: "psa", event_type: "ticket.reopened", filters: [] };
	await org.agent([gate({ message: `${arabic} ${long}?` }), isolate({ params: { device_id: long, reason: arabic } })], {
		name: arabic,
		trigger: on,
	});
	await org.publish("psa:ticket.reopened", { ticket_id: "tkt_1", reason: `${long} ${arabic}` });
	const approval = await org.approval();
	const event = (await org.get(`/api/executions/${failed}`)).trigger_event as Doc;
	const paths = [
		"/",
		"/approvals",
		`/approvals/${approval.id}`,
		"/runs",
		`/runs/${failed}`,
		`/runs/${approval.execution_id}?tab=event`,
		`/runs/${failed}?tab=definition`,
		"/agents",
		`/agents/${agent}`,
		`/agents/${agent}/definition`,
		`/agents/${agent}/test`,
		`/agents/${agent}/backtest`,
		`/agents/${agent}/activity`,
		`/agents/${agent}/versions`,
		"/agents/new",
		"/agents/new?event=psa:ticket.created",
		"/events",
		"/events/psa:ticket.created",
		"/events/received",
		`/events/${event.id}`,
		"/credits",
		"/settings",
		"/settings/keys",
		"/settings/webhook",
		"/settings/pause",
		"/settings/rules",
		"/settings/audit",
		"/settings/preferences",
	];
	return { org, agent, failed, approval, paths };
}

/** still waits until the page has its content and asks nothing. */
async function still(person: Person): Promise<void> {
	await person.page.locator("h1").first().waitFor();
	await eventually("nothing loads", async () => (await person.page.locator(".loading").count()) === 0);
	await person.page.waitForLoadState("networkidle");
}

/** beyond returns the elements that reach over the right edge, outside of what scrolls by itself. */
function beyond(person: Person): Promise<string[]> {
	return person.page.evaluate(() => {
		const width = document.documentElement.clientWidth;
		const out: string[] = [];
		if (document.documentElement.scrollWidth > width) out.push(`the page: ${document.documentElement.scrollWidth}`);
		for (const e of document.querySelectorAll<HTMLElement>("main *, nav *, dialog *")) {
			const box = e.getBoundingClientRect();
			if (box.width === 0 || box.right <= width + 1) continue;
			let scrolls = false;
			for (let up: Element | null = e; up; up = up.parentElement) {
				if (["auto", "scroll", "hidden", "clip"].includes(getComputedStyle(up).overflowX)) scrolls = true;
			}
			if (!scrolls) out.push(`${e.tagName}.${e.className}: ${Math.round(box.right)}`);
		}
		return out.slice(0, 5);
	});
}

story("at 320 px, and enlarged to 200 %, no page is wider than the window", async (s) => {
	const { org, paths } = await house(s);
	const small = { width: 320, height: 640 };
	const enlarged = { width: 680, height: 430 };
	const olga = await s.person(org, "user_olga", "owner");
	const found: string[] = [];
	for (const path of paths) {
		await olga.page.setViewportSize(small);
		await olga.open(path);
		await still(olga);
		const name = path.replaceAll(/exec_\w+|appr_\w+|agent_\w+/g, "x").replaceAll(/\W+/g, "-");
		for (const size of [small, enlarged]) {
			await olga.page.setViewportSize(size);
			for (const what of await beyond(olga)) found.push(`${path} at ${size.width}: ${what}`);
			await olga.picture(`kinds/${size.width}${name}`);
		}
	}
	assert.deepEqual(found, []);
});

story("in forced colours the focus, the current place and every state are still to be seen", async (s) => {
	const { org, failed, approval } = await house(s);
	const olga = await s.person(org, "user_olga", "owner");
	await olga.page.emulateMedia({ forcedColors: "active" });
	/** outlined returns how the outline of the first of these elements is drawn. */
	const outlined = (selector: string) =>
		olga.page
			.locator(selector)
			.first()
			.evaluate((e) => getComputedStyle(e).outlineStyle);
	/** painted reports whether an element has another colour than the page behind it. */
	const painted = (selector: string) =>
		olga.page
			.locator(selector)
			.first()
			.evaluate((e) => {
				const own = getComputedStyle(e);
				return (
					own.backgroundColor !== getComputedStyle(document.body).backgroundColor || own.backgroundImage !== "none"
				);
			});
	await olga.open(`/runs/${failed}`);
	await still(olga);
	assert.equal(await outlined('.nav [aria-current="page"]'), "dotted", "where one is");
	assert.equal(await outlined(".step-row[aria-current]"), "dotted", "which step is shown");
	assert.equal(await painted(".bar"), true, "how long a step took");
	for (let n = 0; n < 12; n++) {
		await olga.page.keyboard.press("Tab");
		const focus = await olga.page.evaluate(() => {
			const own = getComputedStyle(document.activeElement ?? document.body);
			return `${own.outlineStyle} ${own.outlineWidth}`;
		});
		assert.equal(focus, "solid 3px", `the focus after ${n + 1} times Tab`);
	}
	await olga.picture("kinds/forced-run");
	await olga.open(`/approvals/${approval.id}`);
	await still(olga);
	assert.equal(await painted(".countdown-bar span"), true, "how much time is left");
	await olga.picture("kinds/forced-approval");
	await olga.open("/credits");
	await still(olga);
	await olga.picture("kinds/forced-credits");
	await olga.open("/");
	await still(olga);
	assert.equal(await painted(".hour-fail"), true, "what failed in which hour");
	await olga.picture("kinds/forced-home");
});

story("when the API fails, each page says what to do, and does it when the API is back", async (s) => {
	const { org, paths } = await house(s);
	const olga = await s.person(org, "user_olga", "owner");
	olga.expected.add(500);
	const silent: string[] = [];
	const asking = paths.filter((p) => !/settings$|preferences|webhook|tab=/.test(p)); // the others ask nothing
	for (const path of asking) {
		await olga.page.route(/\/api\/(?!me$)/, (route) =>
			route.fulfill({
				status: 500,
				contentType: "application/json",
				body: JSON.stringify({
					error: "internal",
					message: "The request failed; try again.",
					status: 500,
					request_id: "req_x",
				}),
			}),
		);
		await olga.open(path);
		const again = olga.button("Try again").first();
		const says = await again.waitFor({ timeout: 5000 }).then(
			() => true,
			() => false,
		);
		await olga.page.unrouteAll({ behavior: "ignoreErrors" });
		if (!says) {
			silent.push(path);
			await olga.picture(`kinds/failing${path.replaceAll(/\W+/g, "-")}`);
			continue;
		}
		await again.click({ timeout: 3000 }).catch(() => undefined); // the page may have asked again by itself
		await again.waitFor({ state: "detached", timeout: 5000 }).catch(() => silent.push(`${path}, again`));
	}
	assert.deepEqual(silent, []);
});

story("what was typed stays when the API refuses it", async (s) => {
	const { org, agent, approval } = await house(s);
	const olga = await s.person(org, "user_olga", "owner");
	olga.expected.add(500);
	await olga.page.route("**/api/**", (route) =>
		route.request().method() === "GET" || route.request().url().endsWith("/validate")
			? route.continue()
			: route.fulfill({
					status: 500,
					contentType: "application/json",
					body: JSON.stringify({ error: "internal", message: "The request failed; try again.", status: 500 }),
				}),
	);
	await olga.open("/settings/keys");
	await olga.button("New key…").click();
	await olga.page.getByLabel("Which program uses it?").fill("nightly report");
	await olga.button("Create the key").click();
	await olga.sees("The request failed; try again.");
	assert.equal(await olga.page.getByLabel("Which program uses it?").inputValue(), "nightly report");

	await olga.open("/settings/pause");
	await olga.button("Pause everything…").click();
	await olga.page.getByLabel(/Why/).fill("a bad release");
	await olga.button("Pause everything").last().click();
	await olga.sees("The request failed; try again.");
	assert.equal(await olga.page.getByLabel(/Why/).inputValue(), "a bad release");

	await olga.open(`/approvals/${approval.id}`);
	await olga.page.getByLabel("Note (optional)").fill("I called them");
	await olga.button("Deny").click();
	await olga.sees("The request failed; try again.");
	assert.equal(await olga.page.getByLabel("Note (optional)").inputValue(), "I called them");
	await olga.page.reload();
	await olga.page.getByLabel("Note (optional)").waitFor();
	assert.equal(await olga.page.getByLabel("Note (optional)").inputValue(), "I called them");

	await olga.open(`/agents/${agent}`);
	await olga.button("Clone…").click();
	await olga.page.getByLabel("Its name").fill("A copy");
	await olga.button("Clone").last().click();
	await olga.sees("The request failed; try again.");
	assert.equal(await olga.page.getByLabel("Its name").inputValue(), "A copy");
	assert.equal((await org.get(`/api/approvals/${approval.id}`)).status, "pending");
});
