// A back-test in words: its state, its result, and the pages of its events.
import type { Schema } from "../door.ts";
import { counted } from "../words.ts";
import { hrefOf } from "./explaining.ts";

type Job = Schema["Job"];
type Result = Schema["BacktestResult"];

/** isRunning reports whether a job has not ended. */
export function isRunning(job: Pick<Job, "status">): boolean {
	return job.status === "pending" || job.status === "running";
}

/** summaryOf says how far a job is, or how it ended without a result. */
export function summaryOf({ status, progress: { done, of } }: Pick<Job, "status" | "progress">): string {
	switch (status) {
		case "pending":
			return "It is about to begin.";
		case "running":
			return of === null
				? "It reads the events."
				: `${done.toLocaleString("en")} of ${counted(of, "event")} are played.`;
		case "cancelled":
			return "It was cancelled.";
		case "failed":
			return "It could not be done.";
		default:
			return "Its result is no longer kept.";
	}
}

/** widestOf says first how often the agent would have started. */
export function widestOf(result: Result): string {
	const of = `of ${counted(result.events.of_type, "event")}`;
	if (result.would_start === 0) return `It would not have started on any ${of}.`;
	return `It would have started ${counted(result.would_start, "time")}, ${of}.`;
}

/** linesOf says the price, what people would be asked, and on what the figures rest. */
export function linesOf(result: Result): string[] {
	const { credits, approvals, events, unknown, played } = result;
	const lines: string[] = [];
	const share = percentOf(credits.share_of_allocation);
	if (credits.at_most > 0) {
		const likely = credits.likely === null ? "" : `Some ${counted(Math.round(credits.likely), "credit")}, `;
		lines.push(
			`${likely}${likely ? "at" : "At"} most ${counted(credits.at_most, "credit")}; ${share} of a month's allocation.`,
		);
	} else if (result.would_start > 0) lines.push("No credits.");
	if (approvals && approvals.questions > 0) lines.push(`${oneDigit(approvals.per_week)} questions a week to people.`);
	if (events.sampled)
		lines.push(`Each judged event stands for ${oneDigit(events.factor)}; the counts are of the judged ones.`);
	if (played && played.runs < played.of)
		lines.push(`${counted(played.runs, "run")} of ${played.of.toLocaleString("en")} were played.`);
	if (played && played.failed > 0) lines.push(`${counted(played.failed, "played run")} failed with made-up answers.`);
	if (unknown.client_context > 0)
		lines.push(
			`${counted(unknown.client_context, "event")} more cannot be judged: the client's profile was not kept then.`,
		);
	if (unknown.payload > 0) lines.push(`${counted(unknown.payload, "event")} more, too large to be kept.`);
	return lines;
}

function percentOf(share: number): string {
	if (share > 0 && share < 0.01) return "less than 1 %";
	return `${Math.round(share * 100).toLocaleString("en")} %`;
}

const oneDigit = (n: number) => n.toLocaleString("en", { maximumFractionDigits: 1 });

/** pathOf returns the page of an event that a result names. */
export function pathOf(event: Schema["BacktestExample"]): string {
	const [source_product = "", event_type = ""] = event.event_type.split(":", 2);
	return hrefOf({ event_id: event.event_id, source_product, event_type, published_at: event.published_at });
}
