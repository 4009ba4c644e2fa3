// The kit of the stories: people with browsers, who fail a story on every violation of the
// content security policy, every error in the console and every request that failed, unless
// the story expects it.
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { after, test } from "node:test";
import axe from "axe-core";
import { type Browser, type BrowserContext, chromium, type Locator, type Page } from "playwright-core";
import { Org, outputs } from "./system.ts";

export * from "./system.ts";

/** The sizes of the shots. */
export const phone = { width: 390, height: 844 };
export const desk = { width: 1360, height: 860 };

const patience = 20_000; // milliseconds for what a page should show; processors may be busy

let browser: Browser | undefined;
after(async () => {
	await browser?.close();
});

async function theBrowser(): Promise<Browser> {
	browser ??= await chromium.launch({
		executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
		args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-background-networking"],
	});
	return browser;
}

interface Look {
	size?: typeof phone;
	/** Milliseconds that one waits for an element. */
	touch?: boolean;
}

/** A Person has a browser of their own. */
export class Person {
	/** Statuses of refused requests that the story expects. */
	readonly expected = new Set<number>();
	private readonly faults: string[] = [];
	/** Requests of the API, as "GET /api/approvals". */
	readonly calls: string[] = [];
	/** Bytes of every response, as they came over the wire, and their number. */
	readonly loaded = { bytes: 0, requests: 0 };

	private constructor(
		readonly page: Page,
		readonly context: BrowserContext,
	) {}

	static async create({ size = desk, touch = size === phone }: Look): Promise<Person> {
		const context = await (await theBrowser()).newContext({
			baseURL: outputs.console_url,
			viewport: size,
			hasTouch: touch,
			isMobile: touch,
			deviceScaleFactor: touch ? 2 : 1,
			reducedMotion: "reduce",
			locale: "en-GB",
			timezoneId: "Europe/Berlin",
			permissions: ["clipboard-read", "clipboard-write"],
		});
		const page = await context.newPage();
		const person = new Person(page, context);
		await person.watch();
		return person;
	}

	private async watch(): Promise<void> {
		const { page, context } = this;
		page.setDefaultTimeout(patience);
		await page.addInitScript(() => {
			document.addEventListener("securitypolicyviolation", (e) => {
				// biome-ignore lint/suspicious/noConsole: the collector listens there
				console.error(`policy: ${e.violatedDirective} ${e.blockedURI} ${e.sample}`);
			});
		});
		page.on("pageerror", (error) => this.faults.push(`error: ${error.stack ?? error.message}`));
		page.on("console", (message) => {
			if (message.type() !== "error" && message.type() !== "warning") return;
			const refused = /the server responded with a status of (\d+)/.exec(message.text());
			if (refused && this.expected.has(Number(refused[1]))) return;
			if (/net::ERR_/.test(message.text()) && this.expected.has(0)) return;
			this.faults.push(`console: ${message.text()} (${message.location().url})`);
		});
		const session = await context.newCDPSession(page);
		await session.send("Network.enable");
		session.on("Network.loadingFinished", (e) => {
			this.loaded.bytes += e.encodedDataLength;
			this.loaded.requests++;
		});
		page.on("request", (request) => {
			const { pathname } = new URL(request.url());
			if (pathname.startsWith("/api/")) this.calls.push(`${request.method()} ${pathname}`);
		});
	}

	/** signIn presses a button of the Hub, without looking at its page. */
	async signIn(org: Org, user: string, role: string): Promise<void> {
		const answer = await this.context.request.post("/hub/sign-in", {
			form: { org: org.id, user, role, return_to: "/" },
			maxRedirects: 0,
		});
		assert.equal(answer.status(), 303, await answer.text());
	}

	async open(path: string): Promise<void> {
		await this.page.goto(path);
	}

	/** sees waits until an element with this text is visible. */
	async sees(text: string | RegExp): Promise<Locator> {
		const found = this.page.getByText(text).filter({ visible: true }).first();
		await found.waitFor();
		return found;
	}

	button(name: string | RegExp): Locator {
		return this.page.getByRole("button", { name });
	}

	link(name: string | RegExp): Locator {
		return this.page.getByRole("link", { name });
	}

	heading(name: string | RegExp): Locator {
		return this.page.getByRole("heading", { name });
	}

	/** accessible fails on every finding of axe. */
	async accessible(where: string): Promise<void> {
		await this.page.evaluate(axe.source);
		const found = await this.page.evaluate(async () => {
			const { axe } = globalThis as unknown as { axe: typeof import("axe-core") };
			const { violations } = await axe.run(document, {
				runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
				resultTypes: ["violations"],
			});
			return violations.map(
				(v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => `${n.target} ${n.failureSummary}`).join(" | ")}`,
			);
		});
		assert.deepEqual(found, [], `axe at ${where}`);
	}

	/** shots takes a picture in both sizes, or in those given, light and dark, into .local/shots, each checked
	 * by axe and for scrolling sideways. The page must not change meanwhile. */
	async shots(name: string, sizes = [phone, desk]): Promise<void> {
		await mkdir(".local/shots", { recursive: true });
		await this.page.locator("h1, .error-note").first().waitFor();
		await this.page.locator(".loading").first().waitFor({ state: "detached" });
		const before = this.page.viewportSize();
		for (const size of sizes) {
			const { width } = size;
			await this.page.setViewportSize(size);
			for (const scheme of ["light", "dark"] as const) {
				await this.page.emulateMedia({ colorScheme: scheme });
				const at = `${name}-${width}-${scheme}`;
				await this.page.screenshot({ path: `.local/shots/${at}.png` });
				await this.accessible(at);
			}
			const wide = await this.page.evaluate(
				() => document.documentElement.scrollWidth - document.documentElement.clientWidth,
			);
			assert.ok(wide <= 0, `${name} scrolls sideways by ${wide} px at ${width} px`);
		}
		await this.page.emulateMedia({ colorScheme: null });
		if (before) await this.page.setViewportSize(before);
	}

	/** picture takes one picture, without any check, into .local/shots. */
	async picture(name: string): Promise<void> {
		await this.page.screenshot({ path: `.local/shots/${name}.png` });
	}

	/** mutations counts the changes of the document while something happens. */
	async mutations(during: () => Promise<void>): Promise<number> {
		await this.page.evaluate(() => {
			const seen = globalThis as unknown as { changes: number; observer: MutationObserver };
			seen.changes = 0;
			seen.observer = new MutationObserver((list) => {
				seen.changes += list.length;
			});
			seen.observer.observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
		});
		await during();
		return this.page.evaluate(() => {
			const seen = globalThis as unknown as { changes: number; observer: MutationObserver };
			seen.observer.disconnect();
			return seen.changes;
		});
	}

	async end(): Promise<string[]> {
		await this.context.close();
		return this.faults;
	}
}

/** A Stage is what one story has. */
export class Stage {
	private readonly people: Person[] = [];

	org(plan?: string): Promise<Org> {
		return Org.create(plan);
	}

	/** person returns a person who is signed in. */
	async person(org: Org, user = "user_ann", role = "member", look: Look = {}): Promise<Person> {
		const person = await this.stranger(look);
		await person.signIn(org, user, role);
		return person;
	}

	/** stranger returns a person who is not signed in. */
	async stranger(look: Look = {}): Promise<Person> {
		const person = await Person.create(look);
		this.people.push(person);
		return person;
	}

	/** end closes all browsers and returns their faults. */
	async end(): Promise<string[]> {
		return (await Promise.all(this.people.map((p) => p.end()))).flat();
	}

	/** picture keeps what people saw when a story failed. */
	async picture(name: string): Promise<void> {
		await mkdir(".local/shots/failed", { recursive: true });
		for (const [n, { page }] of this.people.entries()) {
			const path = `.local/shots/failed/${name.replaceAll(/\W+/g, "-").slice(0, 60)}-${n}.png`;
			await page.screenshot({ path, timeout: 5000 }).catch(() => undefined);
		}
	}
}

/** story declares a story. It fails on every fault of a page too. */
export function story(name: string, tell: (stage: Stage) => Promise<void>): void {
	test(name, { timeout: 120_000 }, async () => {
		const stage = new Stage();
		try {
			await tell(stage);
		} catch (e) {
			await stage.picture(name);
			await stage.end();
			throw e;
		}
		assert.deepEqual(await stage.end(), [], "faults of the pages");
	});
}
