// Everything that an agent can do, in sentences, from what the API derives of its
// definition. Pure rules.
import type { Schema } from "./door.ts";
import { duration } from "./time.ts";
import { channels, counted, listed } from "./words.ts";

type Capabilities = Schema["Capabilities"];
type Action = Schema["CapabilityAction"];

/** A Can is one thing that an agent can do. */
export interface Can {
	text: string;
	/** What it may come from or under which condition. */
	more: string;
	tone: "calm" | "wait" | "fail";
}

/** cansOf returns what an agent can do: first what changes most. */
export function cansOf(capabilities: Capabilities): Can[] {
	const order: readonly string[] = ["destructive", "access", "money", "outward", "internal"];
	const does = [...capabilities.does].sort((a, b) => order.indexOf(a.risk) - order.indexOf(b.risk));
	return [
		...does.map(actionCan),
		...capabilities.tells
			.filter((t) => t.of === "notification")
			.map((t): Can => {
				const to = [...t.to, ...(t.to_from.length > 0 ? [`recipients ${wordsOf(t.to_from)}`] : [])];
				return {
					text: `Tells ${listed(to)} by ${channels[t.channel]}`,
					more: `with words ${wordsOf(t.words_from)}`,
					tone: t.to_from.length > 0 ? "wait" : "calm",
				};
			}),
		...capabilities.people.map(
			(p): Can => ({
				text: `Asks people at ${spaced(p.step_id)}`,
				more: p.required ? "no run comes past it without an approval" : `without an answer: ${p.on_expiry}`,
				tone: "calm",
			}),
		),
		...capabilities.asks.map(
			(a): Can => ({
				text: `Asks a ${a.model} model`,
				more: a.sees.length > 0 ? `which reads ${listed(a.sees)}` : "which reads nothing of the event",
				tone: "calm",
			}),
		),
	];
}

function actionCan(action: Action): Can {
	const strange = Object.entries(action.params).filter(([, p]) => p.from.some((o) => o.startsWith("model:")));
	const more = [
		action.gates.length > 0 ? `only after an approval at ${listed(action.gates.map(spaced))}` : "without an approval",
		...strange.map(([name]) => `a model's answer fills ${spaced(name)}`),
	];
	return {
		text: `Does ${action.action.replace(":", ": ").replaceAll("_", " ")}`,
		more: more.join("; "),
		tone: action.risk === "internal" ? "calm" : action.gates.length > 0 ? "wait" : "fail",
	};
}

/** spaced returns a name within a sentence. */
const spaced = (name: string) => name.replaceAll("_", " ");

/** wordsOf returns origins in words. */
function wordsOf(from: readonly string[]): string {
	const kinds: Readonly<Record<string, string>> = {
		author: "of the definition",
		event: "from the event",
		client: "from the client's profile",
		run: "from the run's record",
		model: "from a model's answer",
		product: "from a product's reply",
		people: "from people",
		receiver: "from a receiver's reply",
	};
	return listed([...new Set(from.map((o) => kinds[o.split(":")[0] ?? ""] ?? o))]);
}

/** boundsOf returns the limits of one run. */
export function boundsOf(bounds: Schema["CapabilityBounds"]): string {
	const parts = [
		`${counted(bounds.credits_at_most, "credit")}`,
		`${counted(bounds.actions_at_most, "action")}`,
		`${counted(bounds.messages_at_most, "message")}`,
	];
	const wait = bounds.waits_seconds_at_most;
	return `A run takes at most ${listed(parts)}${wait > 0 ? `, and waits at most ${duration(wait * 1000)}` : ""}.`;
}

/** differenceOf returns one difference in words. */
export function differenceOf(d: Schema["CapabilityDifference"]): string {
	if (d.was === "no" && d.now === "yes") return d.what;
	if (d.was === "yes" && d.now === "no") return `no longer: ${d.what}`;
	return `${d.what}: ${d.was} → ${d.now}`;
}
