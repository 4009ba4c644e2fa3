import { useSignal } from "@preact/signals";
import { type Change, changes, type FieldChange, hunks, lines } from "../editor/diff.ts";
import { cut, visible } from "../text.ts";
import { plain } from "../words.ts";
import { Said } from "./quote.tsx";

/** A Changes shows what differs between two definitions: in words by step, or line by line. */
export function Changes({ before, after }: { before: string; after: string }) {
	const raw = useSignal(false);
	const [old, now] = [parsed(before), parsed(after)];
	// A text that is no JSON yet has no steps to compare
	if (old === undefined || now === undefined) return <Lines before={before} after={after} />;
	return (
		<div class="changes">
			<div class="tabs small" role="group" aria-label="Way to compare">
				<button type="button" aria-pressed={!raw.value} onClick={() => (raw.value = false)}>
					In words
				</button>
				<button type="button" aria-pressed={raw.value} onClick={() => (raw.value = true)}>
					As text
				</button>
			</div>
			{raw.value ? <Lines before={before} after={after} /> : <InWords found={changes(old, now)} />}
		</div>
	);
}

function parsed(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}

const signs = { added: "+", removed: "−", moved: "↕", changed: "~" } as const;

function InWords({ found }: { found: readonly Change[] }) {
	if (found.length === 0) return <p class="meta">Nothing has changed.</p>;
	return (
		<ul class="changes-list">
			{found.map((change) => (
				<li key={`${change.kind} ${change.step?.id ?? ""}`} data-kind={change.kind}>
					<p>
						<span class="changes-sign" aria-hidden="true">
							{signs[change.kind]}
						</span>{" "}
						<strong>{change.step ? <Said text={change.step.name} /> : "The agent"}</strong> {change.kind}
						{change.within && (
							<span class="meta">
								{" "}
								<Said text={change.within} />
							</span>
						)}
					</p>
					{change.fields.map((field) => (
						<Field key={field.path} field={field} />
					))}
				</li>
			))}
		</ul>
	);
}

function Field({ field }: { field: FieldChange }) {
	const name = field.path.startsWith("params.") ? field.path.slice(7) : plain(field.path.replaceAll(/\[\d+\]/g, ""));
	return (
		<div class="changes-field">
			<span class="meta" title={field.path}>
				{name}
			</span>
			<Value kind="removed" value={field.before} />
			<Value kind="added" value={field.after} />
		</div>
	);
}

function Value({ kind, value }: { kind: "added" | "removed"; value: unknown }) {
	if (value === undefined) return null;
	const text = typeof value === "string" ? value : (JSON.stringify(value, null, 1)?.replaceAll(/\n\s*/g, " ") ?? "");
	const part = cut(text, 2000);
	const Tag = kind === "added" ? "ins" : "del";
	return (
		<Tag class="changes-value">
			<bdi>
				{visible(part.text)}
				{part.left > 0 && "…"}
			</bdi>
		</Tag>
	);
}

function Lines({ before, after }: { before: string; after: string }) {
	const all = hunks(lines(before, after));
	return (
		// biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
		<div class="lines" tabIndex={0} role="group" aria-label="Changed lines">
			{all.map((hunk, n) =>
				"skipped" in hunk ? (
					<p key={n} class="lines-skipped">
						{hunk.skipped} equal {hunk.skipped === 1 ? "line" : "lines"}
					</p>
				) : (
					<div key={n}>
						{hunk.lines.map((line) => (
							<div key={`${line.before} ${line.after}`} class="line" data-kind={line.kind}>
								<span class="line-number">{line.before}</span>
								<span class="line-number">{line.after}</span>
								<span class="line-sign">
									{line.kind === "same" ? " " : line.kind === "added" ? "+" : "−"}
									{line.kind !== "same" && <span class="hidden"> {line.kind}: </span>}
								</span>
								<bdi>{visible(line.text)}</bdi>
							</div>
						))}
					</div>
				),
			)}
		</div>
	);
}
