// The events that the organization received, also those that started nothing.
import { useState } from "preact/hooks";
import { eventsAsk } from "../agents.ts";
import { api, type Schema, take } from "../door.ts";
import { useMay } from "../me.ts";
import * as paces from "../paces.ts";
import { Empty } from "../parts/empty.tsx";
import { ErrorNote } from "../parts/error.tsx";
import { Choice, Filters, useFilter } from "../parts/filters.tsx";
import { Loading } from "../parts/loading.tsx";
import { Page } from "../parts/page.tsx";
import { Said } from "../parts/quote.tsx";
import { Table } from "../parts/table.tsx";
import { When } from "../parts/when.tsx";
import { useAsk } from "../store.ts";
import { counted } from "../words.ts";
import { EventTabs } from "./events.tsx";
import { hrefOf } from "./explaining.ts";

type Received = Schema["ReceivedEvent"];

const page = 100;

export default function ReceivedEvents() {
	const [pages, setPages] = useState(1);
	const [type] = useFilter("type");
	const types = useAsk(eventsAsk).data?.events ?? [];
	const answer = useAsk({
		key: ["received", type, pages],
		ask: () => load(type, pages),
		pace: paces.every(10),
	});
	return (
		<Page title="Received events" heading="Events">
			<EventTabs at="received" />
			{!answer.data ? (
				answer.error ? (
					<ErrorNote error={answer.error} what="the received events" again={() => void answer.refetch()} />
				) : (
					<Loading what="the received events" rows={8} />
				)
			) : answer.data.since === null ? (
				<NotKept />
			) : (
				<>
					<Filters>
						<Choice
							name="type"
							label="Type"
							any="Every type"
							options={types.map((t) => [t.id, t.display_name] as const)}
							later
						/>
					</Filters>
					<List {...answer.data} type={type} since={answer.data.since} onMore={() => setPages(pages + 1)} />
				</>
			)}
		</Page>
	);
}

interface ListProps {
	rows: readonly Received[];
	more: boolean;
	since: string;
	type: string;
	onMore: () => void;
}

function List({ rows, more, since, type, onMore }: ListProps) {
	const types = useAsk(eventsAsk).data?.events ?? [];
	const titles = new Map(types.map((t) => [t.id, t.display_name]));
	const titleOf = (e: Received) => titles.get(`${e.source_product}:${e.event_type}`) ?? e.event_type;
	return (
		<>
			{rows.length === 0 && !more ? (
				<Empty title={type ? "No event of this type was received" : "No event was received"}>
					<p>
						They are kept since <When at={since} />.
					</p>
				</Empty>
			) : (
				<Table
					label="Received events"
					one="new event"
					list={type}
					rows={rows}
					keyOf={(e) => `${e.source_product}:${e.event_type}:${e.event_id}`}
					hrefOf={hrefOf}
					nameOf={(e) => `${titleOf(e)} ${e.event_id}`}
					columns={[
						{ title: "Event", grows: true, cell: (e) => titleOf(e) },
						{
							title: "Type",
							from: "desk",
							cell: (e) => <span class="meta">{`${e.source_product}:${e.event_type}`}</span>,
						},
						{ title: "Client", from: "phone", cell: (e) => (e.client_id ? <Said text={e.client_id} most={40} /> : "") },
						{
							title: "Started",
							cell: (e) =>
								e.started === null ? (
									""
								) : e.started.length === 0 ? (
									<span class="meta">nothing</span>
								) : (
									counted(e.started.length, "run")
								),
						},
						{ title: "Published", cell: (e) => <When at={e.published_at} /> },
					]}
				/>
			)}
			<p class="activity-end">
				{more ? (
					<button type="button" class="button" onClick={onMore}>
						Load older
					</button>
				) : (
					rows.length > 0 && (
						<span class="meta">
							Events are kept since <When at={since} />.
						</span>
					)
				)}
			</p>
		</>
	);
}

function NotKept() {
	const manages = useMay("manage");
	return (
		<Empty title="Received events are not kept">
			<p>When they are, you see here each event, what it started, and why the agents that did not run did not.</p>
			<p>
				{manages ? (
					<a class="button primary" href="/settings/rules">
						Keep them
					</a>
				) : (
					"An owner or an admin can have them kept."
				)}
			</p>
			<p>
				What an agent decided about its events is kept for 30 days all the same: see its <a href="/agents">activity</a>.
			</p>
		</Empty>
	);
}

async function load(type: string, pages: number): Promise<{ rows: Received[]; more: boolean; since: string | null }> {
	const rows: Received[] = [];
	let cursor: string | undefined;
	for (let n = 1; ; n++) {
		const query = { limit: page, ...(type ? { event_type: type } : {}), ...(cursor ? { cursor } : {}) };
		const answer = await take(api.GET("/api/events/received", { params: { query } }));
		rows.push(...answer.events);
		cursor = answer.next_cursor ?? undefined;
		if (!cursor || n === pages) return { rows, more: cursor !== undefined, since: answer.kept_since };
	}
}
