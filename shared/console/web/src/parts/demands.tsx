// The conditions that an event must meet for an agent to start, each with the value found.
import type { Schema } from "../door.ts";
import { conditionOf } from "../pages/describing.ts";
import { Check } from "./check.tsx";

/** Demands lists the checks of a verdict; nothing where there is none. */
export function Demands({ verdict, open }: { verdict: Schema["AgentExplanation"]["now"]; open: boolean }) {
	if (!verdict || verdict.checks.length === 0) return null;
	return (
		<details open={open}>
			<summary>What its present version demands</summary>
			<ul class="testrun-checks">
				{verdict.checks.flatMap((check) =>
					check.comparisons.length === 0
						? [<Check key={check.path} holds={check.holds} text={check.detail || demands[check.part]} found="" />]
						: check.comparisons.map((c) => (
								<Check
									key={c.path}
									holds={c.holds}
									text={conditionOf({ ...c, value: c.wanted })}
									found={c.missing ? "it is missing" : `it is ${JSON.stringify(c.found)}`}
								/>
							)),
				)}
			</ul>
		</details>
	);
}

/** What a part demands, where it compares nothing. */
const demands: Readonly<Record<Schema["EventCheck"]["part"], string>> = {
	trigger: "the event is the one that it listens for",
	filter: "the filter holds",
	client_scope: "the client is among its clients",
	condition: "the condition holds",
	agent_triggered: "the event was not caused by an agent, or the agent allows it",
};
