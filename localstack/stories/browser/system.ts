// The deployed system, seen from outside: organizations, events, and what the products'
// stand-ins received. Each story has an organization of its own.
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export type Doc = Record<string, unknown>;

/** Addresses of the system; see localstack/local/cloud/outputs.go. */
export interface Outputs {
	api_url: string;
	console_url: string;
	products_url: string;
	hook_url: string;
}

const file = process.env.LOCAL_OUTPUTS;
if (!file) throw new Error("LOCAL_OUTPUTS is not set; make test-console starts a system and sets it");
export const outputs = JSON.parse(await readFile(file, "utf8")) as Outputs;
const state = dirname(file);

/** local runs a command of the developer's program, such as token or publish. */
async function local(command: string, ...args: string[]): Promise<string> {
	const { stdout } = await run(".local/bin/local", [command, "-state", state, ...args]);
	return stdout.trim();
}

const random = (length: number) => randomBytes(length).toString("hex").slice(0, length);

/** eventually waits until look returns something other than undefined, null or false. */
export async function eventually<T>(
	what: string,
	look: () => Promise<T | undefined | null | false>,
	patience = 30_000,
): Promise<T> {
	const end = Date.now() + patience;
	for (;;) {
		const found = await look();
		if (found) return found;
		if (Date.now() > end) throw new Error(`not within ${patience / 1000} s: ${what}`);
		await new Promise((resolve) => setTimeout(resolve, 100));
	}
}

/** An Org is an organization that one story has for itself. */
export class Org {
	private constructor(readonly id: string) {}

	private tokens = new Map<string, string>();

	static async create(plan = "growth"): Promise<Org> {
		const org = new Org(`org_${random(14)}`);
		await local("org", "-org", org.id, "-plan", plan);
		return org;
	}

	/** token returns a session of a person, by default of the owner. */
	async token(user = "user_owner", role = "owner"): Promise<string> {
		const key = `${user} ${role}`;
		const known = this.tokens.get(key) ?? (await local("token", "-org", this.id, "-user", user, "-role", role));
		this.tokens.set(key, known);
		return known;
	}

	/** call calls the API as a person, and fails unless the answer has this status. */
	async call(
		method: string,
		path: string,
		body?: Doc,
		status = 200,
		user = "user_owner",
		role = "owner",
	): Promise<Doc> {
		const answer = await fetch(outputs.api_url + path, {
			method,
			headers: { Authorization: `Bearer ${await this.token(user, role)}`, "Content-Type": "application/json" },
			...(body ? { body: JSON.stringify(body) } : {}),
		});
		const text = await answer.text();
		if (answer.status !== status) throw new Error(`${method} ${path}: ${answer.status}, want ${status}: ${text}`);
		return text ? (JSON.parse(text) as Doc) : {};
	}

	get(path: string): Promise<Doc> {
		return this.call("GET", path);
	}

	/** publish puts an event on the bus and returns its id. */
	async publish(event: string, payload: Doc): Promise<string> {
		const path = join(tmpdir(), `event-${random(12)}.json`);
		await writeFile(path, JSON.stringify(payload));
		try {
			return await local("publish", "-org", this.id, "-event", event, "-file", path);
		} finally {
			await rm(path);
		}
	}

	/** agent creates and activates an agent that runs these steps on psa:ticket.escalated. */
	async agent(steps: Doc[], more: Doc = {}): Promise<string> {
		const made = await this.call(
			"POST",
			"/api/agents",
			{
				name: "Story agent",
				description: "Made by a story.",
				category: "service_desk",
				trigger: { type: "bus_event", source_product: "psa", event_type: "ticket.escalated", filters: [] },
				steps,
				...more,
			},
			201,
		);
		await this.call("PUT", `/api/agents/${made.id}`, { status: "active" });
		return String(made.id);
	}

	/** escalate publishes the event that agents of stories listen for, and returns its ticket. */
	async escalate(more: Doc = {}): Promise<string> {
		const ticket = `tkt_${random(10)}`;
		await this.publish("psa:ticket.escalated", { ticket_id: ticket, escalated_to: "p1", ...more });
		return ticket;
	}

	/** runs returns the executions, newest first, once there are so many. */
	async runs(least = 1): Promise<Doc[]> {
		return eventually(`${this.id} has ${least} runs`, async () => {
			const { executions } = await this.get("/api/executions");
			return (executions as Doc[]).length >= least && (executions as Doc[]);
		});
	}

	/** reaches waits until an execution has a status and returns it. */
	async reaches(execution: string, status: string): Promise<Doc> {
		return eventually(`${execution} is ${status}`, async () => {
			const found = await this.get(`/api/executions/${execution}`);
			return found.status === status && found;
		});
	}

	/** approval waits for the approval that waits for a decision. With `but`, another one. */
	async approval(...but: string[]): Promise<Doc> {
		return eventually(`${this.id} has a pending approval`, async () => {
			const { approvals } = await this.get("/api/approvals?status=pending");
			return (approvals as Doc[]).find((a) => !but.includes(String(a.id)));
		});
	}

	/** calls returns the calls of one action that the products received. */
	async calls(action: string): Promise<Doc[]> {
		const answer = await fetch(`${outputs.products_url}/_calls?org_id=${this.id}`);
		const { calls } = (await answer.json()) as { calls: Doc[] };
		return calls.filter((c) => c.action === action);
	}

	/** rules adds rules of this organization to the stand-in of the products or of the models. */
	async rules(of: "_products" | "_model", ...rules: Doc[]): Promise<void> {
		const body = JSON.stringify({ rules: rules.map((r) => ({ ...r, org_id: this.id })) });
		const answer = await fetch(`${outputs.products_url}/${of}`, { method: "POST", body });
		if (!answer.ok) throw new Error(`rules: ${answer.status} ${await answer.text()}`);
	}
}

/** gate returns an approval gate. */
export function gate(more: Doc = {}): Doc {
	return {
		id: "gate",
		type: "approval_gate",
		message: "Isolate {{ event_payload.ticket_id }}?",
		timeout_seconds: 3600,
		...more,
	};
}

/** isolate returns a destructive action. */
export function isolate(more: Doc = {}): Doc {
	return {
		id: "isolate",
		name: "Isolate the device",
		type: "product_action",
		product: "defend",
		action: "isolate_device",
		params: { device_id: "dev_1", reason: "a story" },
		...more,
	};
}

/** note returns an action that is not destructive. */
export function note(more: Doc = {}): Doc {
	return {
		id: "note",
		name: "Write it down",
		type: "product_action",
		product: "psa",
		action: "add_note",
		params: { ticket_id: "{{ event_payload.ticket_id }}", body: "Seen.", visibility: "internal" },
		...more,
	};
}
