// The door is the only way out of the page: the public API of this origin, with the
// visitor's own session. It turns every refusal into a Fault.
import { signal } from "@preact/signals";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.gen";
import { Governor, readLimits } from "./governor.ts";

/** Schemas of the API's document, by name. */
export type Schema = components["schemas"];

/** A Fault is a refusal of the API, or a failure to reach it (status 0). */
export class Fault extends Error {
	constructor(
		readonly status: number,
		readonly code: string,
		message: string,
		readonly requestId = "",
		readonly details: Schema["Fault"][] = [],
	) {
		super(message);
	}
}

/** faultFrom returns what was thrown as a Fault; anything else than one is a failure of the page. */
export function faultFrom(thrown: unknown): Fault {
	return thrown instanceof Fault ? thrown : new Fault(0, "page_error", "The page failed. Try again.");
}

/** The state of the session, as the newest answer shows it. */
export const session = signal<"unknown" | "valid" | "ended">("unknown");

export const governor = new Governor();

const patience = 30_000; // milliseconds; the API gives up before that
const keptAnswers = 50;

interface Kept {
	etag: string;
	body: string;
}

// Answers with an ETag, by address, so that an unchanged answer need not be sent again.
// The API forbids the browser to store them.
const kept = new Map<string, Kept>();

function keep(url: string, answer: Kept): void {
	kept.delete(url);
	kept.set(url, answer);
	const oldest = kept.keys().next().value;
	if (kept.size > keptAnswers && oldest !== undefined) kept.delete(oldest);
}

let sent = 0; // requests so far
let told = 0; // the newest request whose answer told about the session

/** noteSession learns from an answer whether there is a session. An answer to an earlier
 * request that comes late tells nothing: the person may have signed in meanwhile. */
function noteSession(request: number, status: number): void {
	if (request < told || (status !== 401 && (status >= 500 || status === 429))) return;
	told = request;
	session.value = status === 401 ? "ended" : "valid";
}

async function knock(asked: Request): Promise<Response> {
	const number = ++sent;
	const before = asked.method === "GET" ? kept.get(asked.url) : undefined;
	if (before) asked.headers.set("If-None-Match", before.etag);
	let answer: Response;
	try {
		answer = await fetch(asked, { signal: AbortSignal.any([asked.signal, AbortSignal.timeout(patience)]) });
	} catch (cause) {
		if (asked.signal.aborted) throw cause;
		throw new Fault(0, "unreachable", "The API cannot be reached. Check the connection; this page tries again.");
	}
	governor.note(readLimits(answer.headers));
	noteSession(number, answer.status);
	if (answer.status === 304 && before) return new Response(before.body, { headers: answer.headers });
	if (answer.ok) {
		const etag = answer.headers.get("ETag");
		if (asked.method !== "GET" || !etag) return answer;
		const body = await answer.text();
		keep(asked.url, { etag, body });
		return new Response(body, { status: answer.status, headers: answer.headers });
	}
	throw await faultOf(answer);
}

async function faultOf(answer: Response): Promise<Fault> {
	if (answer.status === 429) governor.hold(Number(answer.headers.get("Retry-After") ?? 1) || 1, Date.now());
	const id = answer.headers.get("X-Request-Id") ?? "";
	let body: Partial<Schema["Error"]>;
	try {
		body = (await answer.json()) as Partial<Schema["Error"]>;
	} catch {
		body = {};
	}
	return new Fault(
		answer.status,
		typeof body.error === "string" ? body.error : "unreadable_answer",
		typeof body.message === "string" ? body.message : `The API answered ${answer.status} without a reason.`,
		typeof body.request_id === "string" ? body.request_id : id,
		Array.isArray(body.details) ? body.details : [],
	);
}

/** api has one typed call for each operation: `take(api.GET("/api/agents", …))`. */
export const api = createClient<paths>({ baseUrl: globalThis.location?.origin ?? "", fetch: knock });

/** take returns the body of a call, or throws its Fault. */
export async function take<T>(call: Promise<{ data?: T; response: Response }>): Promise<T> {
	const { data } = await call;
	return data as T;
}

/** taken is like take, with the ETag that a later change sends as If-Match. */
export async function taken<T>(call: Promise<{ data?: T; response: Response }>): Promise<{ value: T; etag: string }> {
	const { data, response } = await call;
	return { value: data as T, etag: response.headers.get("ETag") ?? "" };
}
