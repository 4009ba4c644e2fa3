import { lazy, useRoute } from "preact-iso";
import { eventsAsk } from "../agents.ts";
import { agentsAsk } from "../asks.ts";
import type { Schema } from "../door.ts";
import { useMay } from "../me.ts";
import { Empty } from "../parts/empty.tsx";
import { ErrorNote } from "../parts/error.tsx";
import { Choice, Filters, Search, useFilter } from "../parts/filters.tsx";
import { Json } from "../parts/json.tsx";
import { Loading } from "../parts/loading.tsx";
import { Page } from "../parts/page.tsx";
import { Mark } from "../parts/status.tsx";
import { useAsk } from "../store.ts";
import { useWide } from "../wide.ts";
import { agentStates, categories, counted, plain, state, word } from "../words.ts";

type EventType = Schema["EventType"];

const Received = lazy(() => import("./received.tsx"));
const Suppose = lazy(() => import("./suppose.tsx"));
const Why = lazy(() => import("./why.tsx"));

/** Events: the catalogue of types, the received ones, one of these, and one that never came. */
export default function Events() {
	const { id } = useRoute().params;
	if (id === "received") return <Received />;
	if (id === "suppose") return <Suppose />;
	if (id && !id.includes(":")) return <Why key={id} id={id} />; // a type has its product before a colon
	return <Types id={id} />;
}

/** The parts of the events. */
export function EventTabs({ at }: { at: "types" | "received" | "suppose" }) {
	return (
		<nav class="tabs" aria-label="Events">
			<a href="/events" aria-current={at === "types" ? "page" : undefined}>
				Types
			</a>
			<a href="/events/received" aria-current={at === "received" ? "page" : undefined}>
				Received
			</a>
			<a href="/events/suppose" aria-current={at === "suppose" ? "page" : undefined}>
				What if
			</a>
		</nav>
	);
}

/** The catalogue: what the products tell, and which agents listen. */
function Types({ id }: { id: string | undefined }) {
	const wide = useWide();
	const answer = useAsk(eventsAsk);
	const [text] = useFilter("q");
	const [product] = useFilter("product");
	const [category] = useFilter("category");
	const events = answer.data?.events;
	if (!events) {
		return (
			<Page title="Events">
				{answer.error ? (
					<ErrorNote error={answer.error} what="the events" again={() => void answer.refetch()} />
				) : (
					<Loading what="the events" rows={10} />
				)}
			</Page>
		);
	}
	const one = events.find((e) => e.id === id);
	if (id && !one) {
		return (
			<Page title="Events" above={<a href="/events">Events</a>}>
				<Empty title={`No product publishes ${id}`}>
					<p>
						<a href="/events">See all events</a>
					</p>
				</Empty>
			</Page>
		);
	}
	if (one && !wide) {
		return (
			<Page title={one.display_name} above={<a href="/events">Events</a>}>
				<One event={one} />
			</Page>
		);
	}
	const words = text.toLowerCase().split(/\s+/);
	const rows = events.filter(
		(e) =>
			(!product || e.source_product === product) &&
			(!category || e.category === category) &&
			words.every((w) => `${e.id} ${e.display_name} ${e.description}`.toLowerCase().includes(w)),
	);
	const search = new URLSearchParams(Object.entries({ q: text, product, category }).filter(([, v]) => v)).toString();
	const shown = one ?? rows[0];
	return (
		<Page
			title="Events"
			heading={
				<>
					Events <span class="count">{counted(rows.length, "type")}</span>
				</>
			}
		>
			<EventTabs at="types" />
			<Filters>
				<Search name="q" label="Filter events" />
				<Choice
					name="product"
					label="Product"
					any="Every product"
					options={[...new Set(events.map((e) => e.source_product))].map((p) => [p, p] as const)}
				/>
				<Choice
					name="category"
					label="Category"
					any="Every category"
					options={[...new Set(events.map((e) => e.category))].map((c) => [c, word(categories, c, plain)] as const)}
				/>
			</Filters>
			{rows.length === 0 ? (
				<Empty title="No event has these words">
					<p>
						<a href="/events">Show all events</a>
					</p>
				</Empty>
			) : (
				<div class={wide ? "events" : undefined}>
					<ul class="event-list" aria-label="Events">
						{rows.map((e) => (
							<li key={e.id}>
								<a
									href={`/events/${e.id}${search ? `?${search}` : ""}`}
									aria-current={wide && e === shown ? "true" : undefined}
								>
									<strong>{e.display_name}</strong>
									<span class="meta">{e.id}</span>
								</a>
							</li>
						))}
					</ul>
					{wide && shown && <One event={shown} />}
				</div>
			)}
		</Page>
	);
}

function One({ event }: { event: EventType }) {
	const may = useMay("edit");
	const agents = useAsk(agentsAsk).data?.agents;
	const listening = agents?.filter(
		(a) => a.trigger && `${a.trigger.source_product}:${a.trigger.event_type}` === event.id,
	);
	return (
		<article class="event-one card" aria-label={event.display_name}>
			<header>
				<h2>{event.display_name}</h2>
				<p>{event.description}</p>
				<p class="meta">
					<code>{event.id}</code> · {word(categories, event.category, plain)} ·{" "}
					<a href={`/runs?event_type=${event.event_type}&period=7d`}>runs that it started</a>
				</p>
			</header>
			{may && (
				<p>
					<a class="button primary" href={`/agents/new?event=${event.id}`}>
						New agent for this event
					</a>
				</p>
			)}
			<section>
				<h3>Fields for filters</h3>
				{event.filterable_fields.length === 0 ? (
					<p class="meta">It has none.</p>
				) : (
					<table class="plain-table" aria-label="Fields for filters">
						<thead>
							<tr>
								<th scope="col">Field</th>
								<th scope="col">Type</th>
							</tr>
						</thead>
						<tbody>
							{event.filterable_fields.map((f) => (
								<tr key={f.path}>
									<th scope="row">
										{f.label}
										<br />
										<code class="meta">{f.path}</code>
									</th>
									<td>
										{f.enum_values ? (
											<span class="chips">
												{f.enum_values.map((v) => (
													<code key={v}>{v}</code>
												))}
											</span>
										) : (
											f.type
										)}
									</td>
								</tr>
							))}
						</tbody>
					</table>
				)}
			</section>
			<section>
				<h3>A sample</h3>
				<Json value={event.sample_payload} label={`Sample of ${event.display_name}`} path="event_payload" />
				<p class="why-leads">
					<a href={`/events/suppose?type=${event.id}`}>What would it start?</a>
				</p>
			</section>
			<section>
				<h3>Agents that listen</h3>
				{!listening ? (
					<Loading what="the agents" rows={1} />
				) : listening.length === 0 ? (
					<p class="meta">None.</p>
				) : (
					<ul class="home-rows">
						{listening.map((a) => (
							<li key={a.id}>
								<a href={`/agents/${a.id}`}>
									<span data-tone={state(agentStates, a.status).tone}>
										<Mark tone={state(agentStates, a.status).tone} />
									</span>
									<bdi class="grow">{a.name}</bdi>
									<span class="meta">{state(agentStates, a.status).label}</span>
								</a>
							</li>
						))}
					</ul>
				)}
			</section>
		</article>
	);
}
