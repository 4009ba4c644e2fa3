import wait from "lucide:clock";
import gate from "lucide:hand";
import message from "lucide:mail";
import ai from "lucide:sparkles";
import branch from "lucide:split";
import action from "lucide:zap";
import type { Line, Outline } from "../pages/describing.ts";
import { cut, visible } from "../text.ts";
import { plain, stepTypes, word } from "../words.ts";
import { Icon } from "./icon.tsx";
import { Said } from "./quote.tsx";

interface FlowProps {
	outline: Outline;
	/** Called with the place of a step; without it steps are no buttons. */
	onPick?: (path: string) => void;
	/** The step that is being looked at. */
	current?: string | undefined;
}

/** A Flow is a definition in words: when it starts, and its steps in order. */
export function Flow({ outline, onPick, current }: FlowProps) {
	return (
		<div class="flow">
			<When outline={outline} />
			<Steps lines={outline.lines} onPick={onPick} current={current} label="Steps" />
			{outline.lines.length === 0 && <p class="meta flow-none">No step yet.</p>}
		</div>
	);
}

function When({ outline }: { outline: Outline }) {
	return (
		<div class="flow-when">
			<p>
				<span class="flow-word">When</span>{" "}
				<strong>
					<Said text={outline.event || "an event that is not chosen yet"} />
				</strong>{" "}
				{outline.product && (
					<span class="meta">
						from <Said text={outline.product} />
					</span>
				)}
			</p>
			{outline.only.length > 0 && (
				<ul class="flow-only">
					{outline.only.map((sentence, n) => (
						<li key={n}>
							<span class="flow-word">{n === 0 ? "if" : "and"}</span> <Said text={sentence} most={300} />
						</li>
					))}
				</ul>
			)}
			<p class="meta">
				<Said text={outline.clients} />
				{outline.limit && ` · ${outline.limit}`}
			</p>
		</div>
	);
}

const icons: Readonly<Record<string, Shape[]>> = {
	ai_reason: ai,
	product_action: action,
	notification: message,
	approval_gate: gate,
	branch,
	wait,
};

interface StepsProps {
	lines: readonly Line[];
	onPick: ((path: string) => void) | undefined;
	current: string | undefined;
	label: string;
}

function Steps({ lines, onPick, current, label }: StepsProps) {
	if (lines.length === 0) return null;
	return (
		<ol class="flow-steps" aria-label={label}>
			{lines.map((line) => (
				<li key={line.path} data-danger={line.destructive}>
					{onPick ? (
						<button
							type="button"
							class="flow-step"
							aria-current={current === line.path ? "step" : undefined}
							onClick={() => onPick(line.path)}
						>
							<Step line={line} />
						</button>
					) : (
						<div class="flow-step">
							<Step line={line} />
						</div>
					)}
					{line.cases.map((c, n) => (
						<div key={n} class="flow-case">
							<p class="flow-case-label">
								<span class="flow-word">{c.label ? (n === 0 ? "if" : "or if") : "otherwise"}</span>{" "}
								{c.label && <Said text={c.label} most={300} />}
							</p>
							<Steps
								lines={c.lines}
								onPick={onPick}
								current={current}
								label={c.label ? `If ${cut(visible(c.label), 80).text}` : "Otherwise"}
							/>
							{c.lines.length === 0 && <p class="meta flow-none">nothing</p>}
						</div>
					))}
				</li>
			))}
		</ol>
	);
}

function Step({ line }: { line: Line }) {
	const icon = icons[line.type];
	return (
		<>
			<span class="flow-number">{line.number}</span>
			<span class="flow-icon" title={word<string>(stepTypes, line.type, plain)}>
				{icon && <Icon shapes={icon} />}
			</span>
			<span class="flow-text">
				<span class="flow-name">
					<Said text={line.name} most={120} />
				</span>
				<span class="flow-does">
					<Said text={line.does} most={200} />
					{line.destructive && (
						<>
							{" · "}
							<strong class="danger-word">destructive</strong>
						</>
					)}
				</span>
				{line.gives && (
					<span class="flow-does">
						→ <Said text={line.gives} />
					</span>
				)}
				{line.only && (
					<span class="flow-does">
						only if <Said text={line.only} most={300} />
					</span>
				)}
				{line.destructive && (
					<span class={line.guard ? "flow-does" : "flow-does bad"}>
						{line.guard ? (
							<>
								after a yes at <Said text={line.guard} />
							</>
						) : (
							"no approval before it"
						)}
					</span>
				)}
			</span>
		</>
	);
}
