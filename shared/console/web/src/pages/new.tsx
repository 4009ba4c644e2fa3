// A new agent: from a template, from an event, or from a text.
import { useSignal } from "@preact/signals";
import { useId, useRef, useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { eventsAsk, sayOf, useKnowledge } from "../agents.ts";
import { announce } from "../announce.ts";
import { keys } from "../asks.ts";
import { api, type Schema, take } from "../door.ts";
import { bodyOf, textOf } from "../editor/document.ts";
import { drafts, drop, keyOf, shelf, store } from "../editor/drafts.ts";
import { type Doc, doc, fieldsOf, text } from "../editor/knowledge.ts";
import { useMay, useMe } from "../me.ts";
import { Empty } from "../parts/empty.tsx";
import { ErrorNote } from "../parts/error.tsx";
import { useFilter } from "../parts/filters.tsx";
import { Flow } from "../parts/flow.tsx";
import { Loading } from "../parts/loading.tsx";
import { Page } from "../parts/page.tsx";
import { Said } from "../parts/quote.tsx";
import { Status } from "../parts/status.tsx";
import { stale, useAsk } from "../store.ts";
import { operators, templateCategories } from "../words.ts";
import { conditionOf, costOf, outlineOf, refusalOf } from "./describing.ts";
import { useLeaving } from "./leaving.ts";
import { startOf, starts } from "./starting.ts";
import { Workbench, type WorkbenchHandle } from "./workbench.tsx";

export default function NewAgent() {
	const edits = useMay("edit");
	const { query } = useLocation();
	const above = (
		<>
			<a href="/agents">Agents</a> <span aria-hidden="true">/</span>{" "}
			{(query.template || query.event || query.from) && <a href="/agents/new">New</a>}
		</>
	);
	return (
		<Page title="New agent" above={above}>
			{!edits ? (
				<Empty title="Your role makes no agents">
					<p>
						Members, admins and owners do. <a href="/agents">See the agents</a>
					</p>
				</Empty>
			) : query.template ? (
				<FromTemplate key={query.template} id={query.template} />
			) : query.event ? (
				<FromEvent key={query.event} name={query.event} />
			) : query.from === "text" ? (
				<FromText />
			) : (
				<Choose />
			)}
		</Page>
	);
}

// ---- the choice ----

const templatesAsk = {
	key: ["templates"],
	ask: () => take(api.GET("/api/templates")),
	fresh: Number.POSITIVE_INFINITY,
};

function Choose() {
	const { route } = useLocation();
	const [words, setWords] = useFilter("q");
	const events = useAsk(eventsAsk);
	const templates = useAsk(templatesAsk);
	const search = useId();
	const event = useId();
	const found = (templates.data?.templates ?? []).filter((t) =>
		`${t.name} ${t.description} ${t.trigger.source_product}:${t.trigger.event_type}`
			.toLowerCase()
			.includes(words.toLowerCase()),
	);
	return (
		<div class="new">
			<div class="new-ways">
				<section class="card">
					<h2>From an event</h2>
					<p class="meta">Choose when it runs, click the values that it shall wait for, and what it does then.</p>
					<label class="labelled" for={event}>
						When this happens
					</label>
					<select
						id={event}
						class="field"
						value=""
						onChange={(e) => route(`/agents/new?event=${encodeURIComponent(e.currentTarget.value)}`)}
					>
						<option value="">Choose an event</option>
						<EventOptions events={events.data?.events ?? []} />
					</select>
					{events.error && !events.data && <p class="bad">{events.error.message}</p>}
				</section>
				<section class="card">
					<h2>From a text</h2>
					<p class="meta">Write the definition, or paste one of another organization.</p>
					<p>
						<a class="button" href="/agents/new?from=text">
							Open the editor
						</a>
					</p>
				</section>
			</div>
			<section>
				<h2>From a template</h2>
				<label class="hidden" for={search}>
					Search the templates
				</label>
				<input
					id={search}
					type="search"
					class="field new-search"
					placeholder="Search the templates"
					value={words}
					onInput={(e) => setWords(e.currentTarget.value)}
				/>
				{templates.error && !templates.data ? (
					<ErrorNote error={templates.error} what="the templates" again={() => void templates.refetch()} />
				) : !templates.data ? (
					<Loading what="the templates" />
				) : found.length === 0 ? (
					<Empty title="No template is like that">
						<p>
							<button type="button" class="link" onClick={() => setWords("")}>
								Show all {templates.data.templates.length}
							</button>
						</p>
					</Empty>
				) : (
					<ul class="templates" aria-label="Templates">
						{found.map((t) => (
							<li key={t.id}>
								<a class="template" href={`/agents/new?template=${t.id}`}>
									<strong>{t.name}</strong>
									<span class="meta">
										{templateCategories[t.category]} · {t.trigger.source_product} · {t.trigger.event_type}
									</span>
									<span>{t.description}</span>
								</a>
							</li>
						))}
					</ul>
				)}
			</section>
		</div>
	);
}

function EventOptions({ events }: { events: readonly Schema["EventType"][] }) {
	const products = [...new Set(events.map((e) => e.source_product))];
	return (
		<>
			{products.map((product) => (
				<optgroup key={product} label={product}>
					{events
						.filter((e) => e.source_product === product)
						.map((e) => (
							<option key={e.id} value={e.id}>
								{e.display_name}
							</option>
						))}
				</optgroup>
			))}
		</>
	);
}

// ---- from a template ----

function FromTemplate({ id }: { id: string }) {
	const { route } = useLocation();
	const answer = useAsk({
		key: ["template", id],
		ask: () => take(api.GET("/api/templates/{id}", { params: { path: { id } } })),
		fresh: Number.POSITIVE_INFINITY,
	});
	const knowledge = useKnowledge();
	const name = useSignal<string | undefined>(undefined);
	const busy = useSignal(false);
	const failed = useSignal("");
	const field = useId();
	if (!answer.data) {
		if (!answer.error) return <Loading what="the template" />;
		return <ErrorNote error={answer.error} what="this template" again={() => void answer.refetch()} />;
	}
	const template = answer.data;
	const outline = outlineOf(template.definition, knowledge);
	const clone = async (event: Event) => {
		event.preventDefault();
		if (busy.value) return;
		busy.value = true;
		try {
			const body = { name: (name.value ?? template.name).trim() || null };
			const made = await take(api.POST("/api/templates/{id}/clone", { params: { path: { id } }, body }));
			stale(keys.agents);
			announce(`${made.name} is made, a draft.`);
			const first = made.warnings[0]?.path;
			route(`/agents/${made.id}/definition${first ? `?at=${encodeURIComponent(first)}` : ""}`);
		} catch (e) {
			failed.value = sayOf(e);
			busy.value = false;
		}
	};
	return (
		<div class="overview">
			<section class="card">
				<h2>{template.name}</h2>
				<p class="overview-about">{template.description}</p>
				<Flow outline={outline} />
				<p class="meta">{costOf(outline)}</p>
			</section>
			<form class="card" onSubmit={(e) => void clone(e)}>
				<h2>Make it yours</h2>
				<FillIn definition={template.definition} />
				<label class="labelled" for={field}>
					Its name
				</label>
				<input
					id={field}
					class="field"
					maxLength={200}
					value={name.value ?? template.name}
					onInput={(e) => (name.value = e.currentTarget.value)}
				/>
				{failed.value && (
					<p class="note bad" role="alert">
						{failed.value}
					</p>
				)}
				<div class="actions">
					<button type="submit" class="button primary" aria-disabled={busy.value}>
						Make a draft
					</button>
				</div>
				<p class="meta">Nothing runs until you activate it.</p>
			</form>
		</div>
	);
}

/** The recipients that templates have are reserved for examples; see the API's PUT of an agent. */
const example = /^\+15550000000$|@example\.com$|^https:\/\/hooks\.example\.com\//;

function FillIn({ definition }: { definition: unknown }) {
	const found = new Set<string>();
	const walk = (value: unknown) => {
		if (typeof value === "string" && example.test(value)) found.add(value);
		else if (typeof value === "object" && value !== null) for (const part of Object.values(value)) walk(part);
	};
	walk(definition);
	if (found.size === 0) return <p>Nothing must be filled in.</p>;
	return (
		<>
			<p>The editor marks what is to be filled in:</p>
			<ul class="then">
				{[...found].map((value) => (
					<li key={value}>
						<code>{value}</code>
					</li>
				))}
			</ul>
		</>
	);
}

// ---- from an event ----

interface Wanted {
	field: string;
	operator: string;
	value: unknown;
}

function FromEvent({ name }: { name: string }) {
	const { route } = useLocation();
	const answer = useAsk(eventsAsk);
	const knowledge = useKnowledge();
	const filters = useSignal<Wanted[]>([]);
	const start = useSignal<(typeof starts)[number][0]>("judge");
	const title = useSignal<string | undefined>(undefined);
	const busy = useSignal(false);
	const failed = useSignal("");
	const [field, select] = [useId(), useId()];
	const event = answer.data?.events.find((e) => e.id === name);
	if (!answer.data) {
		if (!answer.error) return <Loading what="the event" />;
		return <ErrorNote error={answer.error} what="the events" again={() => void answer.refetch()} />;
	}
	const picker = (
		<>
			<label class="labelled" for={select}>
				Event
			</label>
			<select
				id={select}
				class="field"
				value={event?.id ?? ""}
				onChange={(e) => route(`/agents/new?event=${encodeURIComponent(e.currentTarget.value)}`, true)}
			>
				{!event && <option value="">Choose an event</option>}
				<EventOptions events={answer.data.events} />
			</select>
		</>
	);
	if (!event) {
		return (
			<section class="card">
				<p>
					No event is called <Said text={name} />.
				</p>
				{picker}
			</section>
		);
	}
	const called = title.value ?? `When ${event.display_name.toLowerCase()}`;
	const definition = {
		name: called.trim(),
		description: "",
		category: event.category,
		trigger: {
			type: "bus_event",
			source_product: event.source_product,
			event_type: event.event_type,
			filters: filters.value,
		},
		conditions: [],
		steps: startOf(start.value, event, knowledge),
		conflict_behavior: "additive",
		client_scope: "all",
	};
	const change = (n: number, to: Wanted | undefined) => {
		filters.value = filters.value.flatMap((f, k) => (k === n ? (to ?? []) : f));
	};
	const demand = (path: string, value: unknown) => {
		const there = filters.value.findIndex((f) => f.field === path);
		const next = { field: path, operator: "eq", value };
		if (there >= 0) change(there, next);
		else filters.value = [...filters.value, next];
	};
	const make = async () => {
		if (busy.value) return;
		busy.value = true;
		failed.value = "";
		try {
			const made = await take(
				api.POST("/api/agents", { body: {} as Schema["AgentInput"], bodySerializer: () => JSON.stringify(definition) }),
			);
			stale(keys.agents);
			announce(`${made.name} is made, a draft.`);
			route(`/agents/${made.id}`);
		} catch (e) {
			failed.value = sayOf(e);
			busy.value = false;
		}
	};
	return (
		<div class="new-event">
			<section class="card">
				<h2>1 · When</h2>
				{picker}
				<p class="meta">{event.description}</p>
				<h3>A sample: click a value to demand it</h3>
				<Sample event={event} wanted={filters.value} onPick={demand} />
			</section>
			<section class="card">
				<h2>2 · Only if</h2>
				{filters.value.length === 0 && <p class="meta">Every such event starts it.</p>}
				<ul class="wanted">
					{filters.value.map((filter, n) => (
						<Filter
							key={filter.field}
							event={event}
							filter={filter}
							onChange={(to) => change(n, to)}
							onRemove={() => change(n, undefined)}
						/>
					))}
				</ul>
				<AddField event={event} wanted={filters.value} onAdd={demand} />
				{filters.value.length > 0 && <Matches filters={filters.value} event={event} />}
			</section>
			<section class="card">
				<h2>3 · Then</h2>
				<fieldset class="starts">
					<legend class="hidden">What it does</legend>
					{starts.map(([value, words, more]) => (
						<label key={value}>
							<input type="radio" name="start" checked={start.value === value} onChange={() => (start.value = value)} />
							<span>
								{words}
								<span class="meta">{more}</span>
							</span>
						</label>
					))}
				</fieldset>
				<Flow outline={outlineOf(definition, knowledge)} />
				<label class="labelled" for={field}>
					Its name
				</label>
				<input
					id={field}
					class="field"
					maxLength={200}
					value={called}
					onInput={(e) => (title.value = e.currentTarget.value)}
				/>
				{failed.value && (
					<p class="note bad" role="alert">
						{failed.value}
					</p>
				)}
				<div class="actions">
					<button
						type="button"
						class="button primary"
						aria-disabled={busy.value || called.trim() === ""}
						onClick={() => void make()}
					>
						Create draft
					</button>
				</div>
				<p class="meta">Nothing runs until you activate it. Its steps are written on in the editor.</p>
			</section>
		</div>
	);
}

/** Only fields that a filter may name can be clicked. */
function Sample({
	event,
	wanted,
	onPick,
}: {
	event: Schema["EventType"];
	wanted: readonly Wanted[];
	onPick: (path: string, value: unknown) => void;
}) {
	const offered = new Map(event.filterable_fields.map((f) => [f.path, f]));
	const show = (value: unknown, path: string, last: boolean): preact.ComponentChildren => {
		const tail = last ? "" : ",";
		if (typeof value === "object" && value !== null) {
			const list = Array.isArray(value);
			const entries = Object.entries(value);
			return (
				<>
					{list ? "[" : "{"}
					<div class="json-nest">
						{entries.map(([key, part], n) => (
							<div key={key} class="json-line">
								{!list && <span class="json-key">{JSON.stringify(key)}: </span>}
								{show(part, list ? `${path}[${key}]` : path ? `${path}.${key}` : key, n === entries.length - 1)}
							</div>
						))}
					</div>
					{list ? "]" : "}"}
					{tail}
				</>
			);
		}
		const field = offered.get(path);
		const text = JSON.stringify(value);
		return (
			<>
				{field ? (
					<button
						type="button"
						class="sample-value"
						aria-pressed={wanted.some((f) => f.field === path)}
						aria-label={`Demand that ${field.label} is ${text}`}
						onClick={() => onPick(path, value)}
					>
						{text}
					</button>
				) : (
					<span>{text}</span>
				)}
				{tail}
			</>
		);
	};
	return <div class="json sample">{show(event.sample_payload, "", true)}</div>;
}

const forTypes: Readonly<Record<Schema["FilterableField"]["type"], readonly Schema["Operator"][]>> = {
	string: ["eq", "ne", "in", "not_in", "contains", "starts_with", "ends_with", "exists"],
	enum: ["in", "not_in", "eq", "ne", "exists"],
	number: ["eq", "ne", "gt", "gte", "lt", "lte", "exists"],
	boolean: ["eq", "ne", "exists"],
};

function Filter({
	event,
	filter,
	onChange,
	onRemove,
}: {
	event: Schema["EventType"];
	filter: Wanted;
	onChange: (to: Wanted) => void;
	onRemove: () => void;
}) {
	const field = event.filterable_fields.find((f) => f.path === filter.field);
	const label = field?.label ?? filter.field;
	const single = Array.isArray(filter.value) ? filter.value[0] : filter.value;
	const operate = (operator: string) => {
		const many = operator === "in" || operator === "not_in";
		const value =
			operator === "exists" ? true : many ? (Array.isArray(filter.value) ? filter.value : [single]) : single;
		onChange({
			...filter,
			operator,
			value: operator !== "exists" && typeof value === "boolean" && field?.type !== "boolean" ? "" : value,
		});
	};
	return (
		<li>
			<span class="wanted-name">{label}</span>
			<select
				class="field"
				aria-label={`How ${label} is compared`}
				value={filter.operator}
				onChange={(e) => operate(e.currentTarget.value)}
			>
				{forTypes[field?.type ?? "string"].map((o) => (
					<option key={o} value={o}>
						{operators[o]}
					</option>
				))}
			</select>
			<Value field={field} label={label} filter={filter} onChange={(value) => onChange({ ...filter, value })} />
			<button type="button" class="icon-button" aria-label={`Remove the filter on ${label}`} onClick={onRemove}>
				✕
			</button>
		</li>
	);
}

function Value({
	field,
	label,
	filter,
	onChange,
}: {
	field: Schema["FilterableField"] | undefined;
	label: string;
	filter: Wanted;
	onChange: (value: unknown) => void;
}) {
	const { operator, value } = filter;
	const values = field?.enum_values;
	if (operator === "exists" || field?.type === "boolean") {
		return (
			<select
				class="field"
				aria-label={`Value of ${label}`}
				value={String(value)}
				onChange={(e) => onChange(e.currentTarget.value === "true")}
			>
				<option value="true">yes</option>
				<option value="false">no</option>
			</select>
		);
	}
	if (Array.isArray(value)) {
		if (!values) {
			return (
				<input
					class="field"
					aria-label={`Values of ${label}, separated by commas`}
					value={value.join(", ")}
					onChange={(e) =>
						onChange(
							e.currentTarget.value
								.split(",")
								.map((v) => v.trim())
								.filter(Boolean)
								.map((v) => (field?.type === "number" ? Number(v) : v)),
						)
					}
				/>
			);
		}
		return (
			<span class="wanted-values">
				{values.map((v) => (
					<label key={v}>
						<input
							type="checkbox"
							checked={value.includes(v)}
							onChange={(e) => onChange(e.currentTarget.checked ? [...value, v] : value.filter((w) => w !== v))}
						/>
						{v}
					</label>
				))}
			</span>
		);
	}
	if (values) {
		return (
			<select
				class="field"
				aria-label={`Value of ${label}`}
				value={String(value)}
				onChange={(e) => onChange(e.currentTarget.value)}
			>
				{values.map((v) => (
					<option key={v} value={v}>
						{v}
					</option>
				))}
			</select>
		);
	}
	const shown = String(value ?? "");
	const name = `Value of ${label}`;
	return field?.type === "number" ? (
		<input
			class="field"
			type="number"
			step="any"
			aria-label={name}
			value={shown}
			onInput={(e) => onChange(Number(e.currentTarget.value))}
		/>
	) : (
		<input class="field" aria-label={name} value={shown} onInput={(e) => onChange(e.currentTarget.value)} />
	);
}

function AddField({
	event,
	wanted,
	onAdd,
}: {
	event: Schema["EventType"];
	wanted: readonly Wanted[];
	onAdd: (path: string, value: unknown) => void;
}) {
	const id = useId();
	const free = event.filterable_fields.filter((f) => !wanted.some((w) => w.field === f.path));
	const samples = new Map(fieldsOf(event).map((k) => [k.path, k.sample]));
	if (free.length === 0) return null;
	const empty: Readonly<Record<string, unknown>> = { number: 0, boolean: true };
	return (
		<>
			<label class="hidden" for={id}>
				Add a field
			</label>
			<select
				id={id}
				class="field wanted-add"
				value=""
				onChange={(e) => {
					const field = free.find((f) => f.path === e.currentTarget.value);
					if (!field) return;
					onAdd(field.path, samples.get(field.path) ?? field.enum_values?.[0] ?? empty[field.type] ?? "");
					e.currentTarget.value = "";
				}}
			>
				<option value="">+ field</option>
				{free.map((f) => (
					<option key={f.path} value={f.path}>
						{f.label}
					</option>
				))}
			</select>
		</>
	);
}

/** Matches says whether the sample would start the agent, in the words of its activity. */
function Matches({ filters, event }: { filters: readonly Wanted[]; event: Schema["EventType"] }) {
	const refusals = filters.map((f) => refusalOf(f as unknown as Doc, event.sample_payload)).filter(Boolean);
	return (
		<div class="matches" role="status">
			{refusals.length === 0 ? (
				<Status state={{ label: "The sample would start it", tone: "ok" }} bare />
			) : (
				<>
					<Status state={{ label: "The sample would not start it", tone: "stop" }} bare />
					<ul>
						{refusals.map((sentence) => (
							<li key={sentence}>
								<Said text={sentence} most={300} />
							</li>
						))}
					</ul>
				</>
			)}
			<p class="hidden">{filters.map((f) => conditionOf(f)).join(", ")}</p>
		</div>
	);
}

// ---- from a text ----

const skeletonText = textOf({
	name: "",
	description: "",
	category: "service_desk",
	trigger: { type: "bus_event", source_product: "", event_type: "", filters: [] },
	conditions: [],
	steps: [],
	conflict_behavior: "additive",
	client_scope: "all",
});

function FromText() {
	const { route } = useLocation();
	const org = useMe().data?.org_id ?? "";
	const knowledge = useKnowledge();
	const early = useRef(drafts(shelf(), org, "new", Date.now())[0]);
	const [content, setContent] = useState(early.current?.text ?? skeletonText);
	const key = useRef(early.current?.key ?? keyOf(org, "new", "", Math.random().toString(36).slice(2)));
	const [, again] = useState(0);
	const kept = useSignal(true);
	const busy = useSignal(false);
	const failed = useSignal("");
	const bench = useRef<WorkbenchHandle | undefined>(undefined);
	useLeaving(!kept.value);
	const ready = bench.current?.ready() ?? "";
	const make = async () => {
		const hindrance = bench.current?.ready() ?? "";
		if (hindrance) announce(hindrance);
		if (busy.value || hindrance) return;
		busy.value = true;
		failed.value = "";
		try {
			const body = bodyOf(content);
			const made = await take(
				api.POST("/api/agents", { body: {} as Schema["AgentInput"], bodySerializer: () => body }),
			);
			drop(shelf(), key.current);
			stale(keys.agents);
			announce(`${made.name} is made, a draft.`);
			route(`/agents/${made.id}`);
		} catch (e) {
			failed.value = sayOf(e);
			busy.value = false;
		}
	};
	const named = text(doc(safe(content)).name);
	return (
		<>
			{early.current && content !== skeletonText && (
				<div class="note draft-note" role="status">
					<span>What you wrote before is here again{named && `: ${named}`}.</span>
					<button
						type="button"
						class="link"
						onClick={() => {
							early.current = undefined;
							bench.current?.set(skeletonText);
						}}
					>
						Begin anew
					</button>
				</div>
			)}
			{failed.value && (
				<p class="note bad" role="alert">
					{failed.value} Your text is kept.
				</p>
			)}
			<Workbench
				label="Definition of the new agent"
				text={content}
				agentId={undefined}
				readOnly={false}
				warnings={[]}
				knowledge={knowledge}
				onText={(next) => {
					setContent(next);
					const draft = { etag: "", version: 0, base: skeletonText, text: next, at: Date.now() };
					kept.value = store(shelf(), key.current, draft);
				}}
				onSave={() => void make()}
				onState={() => again((n) => n + 1)}
				handle={bench}
				actions={
					<button
						type="button"
						class="button primary"
						aria-disabled={ready !== "" || busy.value}
						title={ready || undefined}
						onClick={() => void make()}
					>
						Create draft
					</button>
				}
			/>
		</>
	);
}

function safe(content: string): unknown {
	try {
		return JSON.parse(content);
	} catch {
		return undefined;
	}
}
