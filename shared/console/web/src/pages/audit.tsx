import { useState } from "preact/hooks";
import { api, type Fault, faultFrom, type Schema, take } from "../door.ts";
import { Empty } from "../parts/empty.tsx";
import { ErrorNote } from "../parts/error.tsx";
import { Choice, Filters, Search, useFilter } from "../parts/filters.tsx";
import { Loading } from "../parts/loading.tsx";
import { Said } from "../parts/quote.tsx";
import { When } from "../parts/when.tsx";
import { useAsk } from "../store.ts";
import { acts, plain, word } from "../words.ts";

type Entry = Schema["AuditEntry"];

function read(query: { actor?: string; kind?: Schema["AuditKind"]; object?: string; cursor?: string }) {
	return take(api.GET("/api/audit", { params: { query: { limit: 50, ...query } } }));
}

/** The audit log: who did what to which. */
export function Audit() {
	const [kind] = useFilter("kind");
	const [who] = useFilter("q");
	const query = {
		...(kind ? { kind: kind as Schema["AuditKind"] } : {}),
		...(/^(user_|key_)/.test(who) ? { actor: who } : who ? { object: who } : {}),
	};
	const name = JSON.stringify(query);
	const answer = useAsk({ key: ["audit", name], ask: () => read(query) });
	const [older, setOlder] = useState<{ name: string; rows: Entry[]; next: string | null; failed?: Fault }>({
		name,
		rows: [],
		next: null,
	});
	const mine = older.name === name ? older : { name, rows: [], next: null };
	const next = mine.rows.length > 0 ? mine.next : (answer.data?.next_cursor ?? null);
	const rows = [...(answer.data?.entries ?? []), ...mine.rows];
	return (
		<div class="settings wide">
			<Filters>
				<Search name="q" label="A person, a key, or what was changed: an id" />
				<Choice name="kind" label="Act" any="Every act" options={Object.entries(acts)} />
			</Filters>
			{answer.error && !answer.data ? (
				<ErrorNote error={answer.error} what="the audit log" again={() => void answer.refetch()} />
			) : !answer.data ? (
				<Loading what="the audit log" rows={8} />
			) : rows.length === 0 && next === null ? (
				<Empty title={name === "{}" ? "Nobody has changed anything yet" : "No act is like this"}>
					<p>
						Every change of a person or a key has an entry here. <a href="/settings/audit">Show all</a>
					</p>
				</Empty>
			) : (
				<div class="scrolls">
					<table class="plain-table" aria-label="Acts">
						<thead>
							<tr>
								<th scope="col">When</th>
								<th scope="col">Who</th>
								<th scope="col">What</th>
								<th scope="col">From</th>
								<th scope="col">To</th>
							</tr>
						</thead>
						<tbody>
							{rows.map((e) => (
								<tr key={e.id}>
									<th scope="row">
										<When at={e.at} />
									</th>
									<td>
										<a href={`/settings/audit?q=${encodeURIComponent(e.actor)}`}>
											<bdi>{e.actor}</bdi>
										</a>
										{e.address && <span class="meta"> {e.address}</span>}
									</td>
									<td>
										{word(acts, e.kind, plain)} <ObjectLink of={e} />
										{e.reason && (
											<span class="meta">
												{" · "}
												<Said text={e.reason} most={120} />
											</span>
										)}
									</td>
									<td>{e.from && <Said text={e.from} most={80} />}</td>
									<td>{e.to && <Said text={e.to} most={80} />}</td>
								</tr>
							))}
						</tbody>
					</table>
				</div>
			)}
			{next !== null && (
				<div class="actions">
					<button
						type="button"
						class="button"
						onClick={async () => {
							try {
								const more = await read({ ...query, cursor: next });
								setOlder({ name, rows: [...mine.rows, ...more.entries], next: more.next_cursor });
							} catch (e) {
								setOlder({
									...mine,
									failed: faultFrom(e),
								});
							}
						}}
					>
						Load older
					</button>
					{mine.failed && <span class="bad">{mine.failed.message}</span>}
				</div>
			)}
		</div>
	);
}

const pages: readonly (readonly [prefix: string, path: string])[] = [
	["agent_", "/agents/"],
	["exec_", "/runs/"],
	["appr_", "/approvals/"],
];

/** ObjectLink leads to what was changed, if it has a page. */
function ObjectLink({ of: e }: { of: Entry }) {
	const to = pages.find(([prefix]) => e.object.startsWith(prefix));
	return to ? <a href={to[1] + e.object}>{e.object}</a> : <bdi>{e.object}</bdi>;
}
