// What an approval says to a person: its act, its evidence, who may decide, and the verdict.
import type { Action } from "../actions.ts";
import type { Schema } from "../door.ts";
import { duration } from "../time.ts";
import { channels, listed, manyRoles, plain } from "../words.ts";

type Approval = Schema["Approval"];
type Shown = Schema["ShownStep"];

/** titleOf returns the words for an action: its name in the catalogue, or its own. */
export function titleOf(shown: Schema["ShownAction"]): string {
	return shown.display_name ?? plain(shown.action);
}

/** isDestructive reports whether an approval lets a destructive action happen. An action that
 * the catalogue no longer knows counts as one. */
export function isDestructive(approval: Approval): boolean {
	return approval.shows.actions.some((a) => a.destructive !== false);
}

/** actOf names what a yes does, for the button: "isolate device", "isolate device and 2 more". */
export function actOf(approval: Approval): string {
	const weight = (a: Schema["ShownAction"]) => (a.destructive === false ? 0 : 1);
	const [first, ...more] = [...approval.shows.actions].sort((a, b) => weight(b) - weight(a));
	if (!first) return "continue the run";
	const title = titleOf(first);
	const name = title.toLowerCase();
	return more.length > 0 ? `${name} and ${more.length} more` : name;
}

/** objectOf returns the target of an action, such as the device: what one reads before the yes. */
export function objectOf(shown: Schema["ShownAction"], actions: ReadonlyMap<string, Action>): string {
	const catalogued = actions.get(`${shown.product}:${shown.action}`);
	const target = catalogued?.params.find((p) => p.role === "target" && shown.params?.[p.name] !== undefined);
	const value = target && shown.params?.[target.name];
	return typeof value === "string" || typeof value === "number" ? String(value) : "";
}

/** thenOf returns what else follows without another question: every step but the actions. */
export function thenOf(approval: Approval): Shown[] {
	const shown = new Set(approval.shows.actions.map((a) => a.step_id));
	return approval.shows.then.filter((s) => !shown.has(s.step_id));
}

/** sentenceOf says what a step that follows does. */
export function sentenceOf(step: Shown): string {
	const may = step.certain ? "" : " if its condition holds";
	switch (step.type) {
		case "notification": {
			const to = step.message?.recipients;
			const more = step.message?.recipients_left_out ?? 0;
			const whom =
				to === null || to === undefined
					? "recipients that are known later"
					: listed([...to, ...(more > 0 ? [`${more} more`] : [])]);
			return `${step.message ? channels[step.message.channel] : "message"} to ${whom}${may}`;
		}
		case "ai_reason":
			return `a model is asked: ${step.name ?? step.step_id}${may}`;
		case "wait":
			return `${waitOf(step.wait)}${may}`;
		case "branch":
			if (!step.branch || step.branch.taken === null)
				return `a choice that is made later: ${step.name ?? step.step_id}`;
			return `${step.branch.taken === "else" ? "the other case" : `case ${(step.branch.case ?? 0) + 1}`} of ${step.name ?? step.step_id}`;
		case "approval_gate":
			return `another approval is asked for: ${step.name ?? step.step_id}${may}`;
		case "product_action":
			return `${step.name ?? plain(step.step_id)}${may}`;
	}
}

function waitOf(wait: Shown["wait"]): string {
	if (wait?.duration_seconds) return `a wait of ${duration(wait.duration_seconds * 1000)}`;
	return `a wait until ${wait?.until ?? "a time that is known later"}`;
}

/** decidersOf names who may decide: "owners, admins, members and user_ann". */
export function decidersOf(approval: Approval): string {
	return listed([...approval.approvers.roles.map((r) => manyRoles[r]), ...approval.approvers.users]);
}

/** expiryOf says what happens without a decision. */
export function expiryOf(approval: Approval): string {
	switch (approval.on_expiry) {
		case "approve":
			return "approved automatically";
		case "escalate":
			return approval.escalated ? "denied automatically" : "passed on to others";
		default:
			return "denied automatically";
	}
}

/** progressOf says how many people have agreed: "1 of 2 yes". */
export function progressOf(approval: Approval): string {
	return `${approval.approvals_given} of ${approval.min_approvals} yes`;
}

/** sorted puts what ends first on top, and what is destructive before what is not. */
export function sorted(list: readonly Approval[]): Approval[] {
	const minute = (a: Approval) => Math.floor(Date.parse(a.expires_at) / 60_000);
	const weight = (a: Approval) => (isDestructive(a) ? 0 : 1);
	return [...list].sort((a, b) => minute(a) - minute(b) || weight(a) - weight(b) || a.id.localeCompare(b.id));
}
