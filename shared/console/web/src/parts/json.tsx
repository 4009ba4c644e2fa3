import { useState } from "preact/hooks";
import { bytes, cut, visible } from "../text.ts";
import { Copy } from "./id.tsx";

const small = 2_000; // characters up to which everything is open
const branch = 100; // entries of one object or list before "more"
const leaf = 2_000; // characters of one text before "more"
const bound = 200_000; // characters that are ever shown at once

/** A Json is any value of an event, a step or an answer: a tree whose parts open one by
 * one, so that a large value costs no more than what is looked at. With `path`, each part
 * offers the placeholder that reads it, such as `steps.classify.output`. */
export function Json({ value, path, label }: { value: unknown; path?: string; label: string }) {
	const text = JSON.stringify(value, null, 2) ?? "null";
	return (
		<div class="json" role="group" aria-label={label}>
			<div class="json-head">
				<span class="meta">{bytes(text.length)}</span>
				<Copy text={text} what="JSON" />
			</div>
			{/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
			<div class="json-body" tabIndex={0} role="group" aria-label={`${label}, text`}>
				<Part value={value} path={path} open={text.length <= small ? 99 : 1} last />
			</div>
		</div>
	);
}

interface PartProps {
	value: unknown;
	name?: string | undefined;
	path?: string | undefined;
	open: number; // levels that are open at first
	last: boolean;
}

function Part({ value, name, path, open, last }: PartProps) {
	const tail = last ? "" : ",";
	const head = name === undefined ? null : <span class="json-key">{JSON.stringify(visible(name))}: </span>;
	if (typeof value === "object" && value !== null) {
		return <Branch value={value} head={head} path={path} open={open} tail={tail} />;
	}
	return (
		<div class="json-line">
			{head}
			<Leaf value={value} />
			{tail}
			{path && <Placeholder path={path} />}
		</div>
	);
}

function Branch({
	value,
	head,
	path,
	open,
	tail,
}: {
	value: object;
	head: preact.ComponentChildren;
	path?: string | undefined;
	open: number;
	tail: string;
}) {
	const [shown, setShown] = useState(open > 0);
	const [most, setMost] = useState(branch);
	const list = Array.isArray(value);
	const entries = Object.entries(value);
	const [from, to] = list ? "[]" : "{}";
	if (entries.length === 0) {
		return (
			<div class="json-line">
				{head}
				{from}
				{to}
				{tail}
			</div>
		);
	}
	return (
		<div>
			<div class="json-line">
				<button type="button" class="json-fold" aria-expanded={shown} onClick={() => setShown(!shown)}>
					<span aria-hidden="true">{shown ? "▾" : "▸"}</span>
					<span class="hidden">{shown ? "Close" : "Open"}</span>
				</button>
				{head}
				{from}
				{!shown && (
					<>
						<span class="json-count">
							{entries.length}{" "}
							{list ? (entries.length === 1 ? "entry" : "entries") : entries.length === 1 ? "field" : "fields"}
						</span>
						{to}
						{tail}
					</>
				)}
				{path && <Placeholder path={path} />}
			</div>
			{shown && (
				<>
					<div class="json-nest">
						{entries.slice(0, most).map(([key, part], n) => (
							<Part
								key={key}
								value={part}
								name={list ? undefined : key}
								path={path && step(path, key, list)}
								open={open - 1}
								last={n === entries.length - 1}
							/>
						))}
						{entries.length > most && (
							<button type="button" class="link" onClick={() => setMost(most + branch)}>
								{Math.min(branch, entries.length - most)} more of {entries.length}
							</button>
						)}
					</div>
					<div class="json-line">
						{to}
						{tail}
					</div>
				</>
			)}
		</div>
	);
}

/** step returns the path of a part, or undefined for a name that no path can have. */
function step(path: string, key: string, list: boolean): string | undefined {
	if (list) return `${path}[${key}]`;
	return /^[A-Za-z_][A-Za-z0-9_]*$/.test(key) ? `${path}.${key}` : undefined;
}

function Leaf({ value }: { value: unknown }) {
	const [most, setMost] = useState(leaf);
	if (typeof value !== "string")
		return <span class={`json-${value === null ? "null" : typeof value}`}>{String(value)}</span>;
	const part = cut(value, Math.min(most, bound));
	return (
		<span class="json-string">
			<bdi>{visible(JSON.stringify(part.text))}</bdi>
			{part.left > 0 && most < bound && (
				<button type="button" class="link" onClick={() => setMost(bound)}>
					… {bytes(part.left)} more
				</button>
			)}
		</span>
	);
}

function Placeholder({ path }: { path: string }) {
	return (
		<span class="json-path">
			<Copy text={`{{ ${path} }}`} what={`placeholder ${path}`} />
		</span>
	);
}
