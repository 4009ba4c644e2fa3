// The words: every label, status and reason that people read, in one table for each
// enumeration of the API. A value that the API gains fails the type check here.
import type { Schema } from "./door.ts";

/** A Tone is the colour and shape of a state. */
export type Tone = "ok" | "fail" | "wait" | "run" | "stop" | "pending";

export interface State {
	label: string;
	tone: Tone;
}

type All<K extends string, V> = Readonly<Record<K, V>>;

export const executionStates: All<Schema["ExecutionStatus"], State> = {
	pending: { label: "Pending", tone: "pending" },
	running: { label: "Running", tone: "run" },
	waiting_approval: { label: "Needs approval", tone: "wait" },
	completed: { label: "Completed", tone: "ok" },
	failed: { label: "Failed", tone: "fail" },
	cancelled: { label: "Cancelled", tone: "stop" },
};

export const stepStates: All<Schema["StepStatus"], State> = {
	pending: { label: "Not reached", tone: "pending" },
	running: { label: "Running", tone: "run" },
	waiting: { label: "Waiting", tone: "wait" },
	completed: { label: "Completed", tone: "ok" },
	failed: { label: "Failed", tone: "fail" },
	skipped: { label: "Skipped", tone: "stop" },
};

export const approvalStates: All<Schema["ApprovalStatus"], State> = {
	pending: { label: "Needs approval", tone: "wait" },
	approved: { label: "Approved", tone: "ok" },
	denied: { label: "Denied", tone: "fail" },
	expired: { label: "Expired", tone: "stop" },
};

export const agentStates: All<Schema["AgentStatus"], State> = {
	active: { label: "Active", tone: "ok" },
	paused: { label: "Paused", tone: "stop" },
	draft: { label: "Draft", tone: "pending" },
	error: { label: "Error", tone: "fail" },
};

export const outcomes: All<Schema["Outcome"], State> = {
	started: { label: "Started", tone: "ok" },
	filtered: { label: "Filtered", tone: "stop" },
	out_of_scope: { label: "Other client", tone: "stop" },
	condition_not_met: { label: "Condition not met", tone: "stop" },
	client_context_missing: { label: "No client profile", tone: "wait" },
	loop_guard: { label: "Loop guard", tone: "wait" },
	overridden: { label: "Overridden", tone: "stop" },
	duplicate: { label: "Duplicate", tone: "stop" },
	limit_reached: { label: "Limit reached", tone: "wait" },
	quota_reached: { label: "Quota reached", tone: "wait" },
	org_suspended: { label: "Organization suspended", tone: "fail" },
	org_paused: { label: "Organization paused", tone: "wait" },
	agent_error: { label: "Agent error", tone: "fail" },
};

export const agentTypes: All<Schema["AgentType"], string> = {
	system: "System",
	template: "Template",
	custom: "Custom",
	cloned: "Clone",
};

export const stepTypes: All<Schema["StepType"], string> = {
	ai_reason: "AI",
	product_action: "Action",
	notification: "Message",
	approval_gate: "Approval",
	branch: "Branch",
	wait: "Wait",
};

export const categories: All<Schema["Category"], string> = {
	service_desk: "Service desk",
	security: "Security",
	operations: "Operations",
	finance: "Finance",
	compliance: "Compliance",
	communications: "Communications",
	onboarding: "Onboarding",
	client_success: "Client success",
};

export const templateCategories: All<Schema["TemplateCategory"], string> = {
	operations: "Operations",
	security: "Security",
	billing: "Billing",
	hr: "HR",
	custom: "Custom",
};

export const models: All<Schema["ModelTier"], string> = {
	quick: "quick · 5 credits",
	standard: "standard · 20 credits",
	premium: "premium · 100 credits",
	expert: "expert · 200 credits",
};

export const channels: All<Schema["Channel"], string> = {
	sms: "text message",
	email: "e-mail",
	slack: "Slack message",
	teams: "Teams message",
	webhook: "webhook call",
};

export const risks: All<Schema["ActionRisk"], State> = {
	internal: { label: "own records only", tone: "stop" },
	outward: { label: "people outside read it", tone: "wait" },
	money: { label: "costs money", tone: "wait" },
	access: { label: "changes an access", tone: "wait" },
	destructive: { label: "destructive", tone: "fail" },
};

export const operators: All<Schema["Operator"], string> = {
	eq: "is",
	ne: "is not",
	gt: "is more than",
	gte: "is at least",
	lt: "is less than",
	lte: "is at most",
	contains: "contains",
	in: "is one of",
	not_in: "is none of",
	exists: "exists",
	starts_with: "starts with",
	ends_with: "ends with",
};

export const verdicts: All<Schema["Decision"], string> = { approved: "approved", denied: "denied" };

/** What happens when nobody decides in time. */
export const expiries: All<Schema["OnExpiry"], string> = {
	deny: "Denied automatically",
	approve: "Approved automatically",
	escalate: "Passed on to others",
};

export const conflicts: All<Schema["ConflictBehavior"], string> = {
	additive: "System agents run on the same event too",
	override: "System agents do not run on the same event",
};

export const plans: All<Schema["Plan"], string> = { starter: "Starter", growth: "Growth", scale: "Scale" };

export const quotas: All<Schema["QuotaName"], string> = {
	runs_per_minute: "Runs a minute",
	open_runs: "Open runs",
	sms_per_day: "Text messages a day",
	emails_per_day: "E-mails a day",
	chat_and_webhook_messages_per_day: "Chat and webhook messages a day",
	live_tests_per_day: "Test runs that ask the models, a day",
};

export const keyAccesses: All<Schema["KeyAccess"], string> = { read: "Read", read_write: "Read and write" };

export const openRuns: All<Schema["OpenRuns"], string> = {
	hold: "Hold them until somebody resumes",
	cancel: "Cancel them",
	finish: "Let them finish",
};

export const dispatchNotes: All<Schema["DispatchNotes"], string> = {
	public: "The client reads it",
	internal: "Only technicians read it",
};

export const modelContents: All<Schema["ModelContent"], string> = {
	gate: "Needs an approval",
	allow: "May run without an approval",
};

export const selfApprovals: All<Schema["SelfApproval"], string> = { allow: "Allowed", deny: "Refused" };

export const acts: All<Schema["AuditKind"], string> = {
	"agent.created": "created an agent",
	"agent.cloned": "cloned an agent",
	"agent.updated": "changed an agent",
	"agent.status_changed": "changed the status of an agent",
	"agent.deleted": "deleted an agent",
	"system_agent.paused": "paused a system agent",
	"system_agent.resumed": "resumed a system agent",
	"system_agent.pinned": "pinned a system agent to a version",
	"system_agent.unpinned": "let a system agent follow the releases",
	"execution.cancelled": "cancelled a run",
	"execution.retried": "retried a run",
	"approval.approved": "approved",
	"approval.denied": "denied",
	"key.created": "created an integration key",
	"key.revoked": "revoked an integration key",
	"settings.changed": "changed the settings",
	"org.paused": "paused the organization",
	"org.resumed": "resumed the organization",
	"webhook_secret.rotated": "rotated the webhook secret",
	"job.started": "started a back-test",
	"job.cancelled": "cancelled a back-test",
};

/** The products are known by their own short names. */
export const products: All<Schema["Product"], string> = {
	psa: "psa",
	rmm: "rmm",
	defend: "defend",
	crm: "crm",
	books: "books",
	backups: "backups",
	hub: "hub",
	people: "people",
	oncall: "oncall",
	compliance: "compliance",
	agents: "agents",
};

export const roles: All<Schema["Role"], string> = {
	owner: "Owner",
	admin: "Admin",
	member: "Member",
	viewer: "Viewer",
};

export const manyRoles: All<Schema["Role"], string> = {
	owner: "owners",
	admin: "admins",
	member: "members",
	viewer: "viewers",
};

/** What a right lets a person do. */
export const rights: All<Schema["Right"], string> = {
	see: "see everything but keys, settings and the audit log",
	edit: "change agents, retry and cancel runs",
	delete: "delete agents",
	decide: "decide approvals",
	manage: "manage keys and settings",
};

/** Reasons of a final status of a run. Codes of errors have their own sentence in the run. */
export const reasons: Readonly<Record<string, string>> = {
	approval_denied: "the approval was denied",
	approval_expired: "nobody decided in time",
	cancelled_by_user: "a person cancelled it",
	agent_deleted: "its agent was deleted",
	org_paused: "the organization is paused",
	org_deleted: "the organization was deleted",
	product_error: "the product refused",
	notification_failed: "the message reached nobody",
	invalid_recipient: "a recipient is invalid",
	model_unavailable: "the model was not available",
	invalid_model_output: "the model's answer did not fit",
	credit_insufficient: "the credits are used up",
	template_error: "a value could not be filled in",
	step_timeout: "the step took too long",
	internal_error: "something went wrong on our side",
};

/** word returns the word for a value of a newer API as the value itself. */
export function word<V>(table: Readonly<Record<string, V>>, value: string, otherwise: (value: string) => V): V {
	return Object.hasOwn(table, value) ? (table[value] as V) : otherwise(value);
}

/** state returns the state of a value; one of a newer API has a neutral look. */
export function state(table: Readonly<Record<string, State>>, value: string): State {
	return word(table, value, (unknown) => ({ label: plain(unknown), tone: "stop" }));
}

/** plain turns a name like `device_id` into words. */
export function plain(name: string): string {
	const words = name.replaceAll(/[_.]+/g, " ").trim();
	return words.charAt(0).toUpperCase() + words.slice(1);
}

/** counted returns "1 run" or "3 runs". */
export function counted(n: number, one: string, many = `${one}s`): string {
	return `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
}

/** listed returns "a, b and c". */
export function listed(items: readonly string[]): string {
	if (items.length < 2) return items.join("");
	return `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;
}
