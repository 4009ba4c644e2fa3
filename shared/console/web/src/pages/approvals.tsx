import { useRef, useState } from "preact/hooks";
import { useLocation, useRoute } from "preact-iso";
import { approvalsAsk, keys } from "../asks.ts";
import { api, type Schema, take } from "../door.ts";
import { useKeys } from "../keys.ts";
import * as paces from "../paces.ts";
import { Empty } from "../parts/empty.tsx";
import { ErrorNote } from "../parts/error.tsx";
import { Tabs, useFilter } from "../parts/filters.tsx";
import { Live } from "../parts/live.tsx";
import { Loading } from "../parts/loading.tsx";
import { Page } from "../parts/page.tsx";
import { Said } from "../parts/quote.tsx";
import { Status } from "../parts/status.tsx";
import { steady } from "../parts/steady.ts";
import { Left, When } from "../parts/when.tsx";
import { client, useAsk } from "../store.ts";
import { useWide } from "../wide.ts";
import { approvalStates, counted, state } from "../words.ts";
import { Approval } from "./approval.tsx";
import { isDestructive, sorted } from "./deciding.ts";

type OneApproval = Schema["Approval"];

const tabs = [
	["", "Waiting"],
	["approved", "Approved"],
	["denied", "Denied"],
	["expired", "Expired"],
] as const;

/** The approvals: on a desk the list is beside the single approval, on a phone they are two pages. */
export default function Approvals() {
	const id = useRoute().params.id;
	const wide = useWide();
	if (id && !wide) return <Approval key={id} id={id} />;
	return <List id={id} wide={wide} />;
}

function List({ id, wide }: { id: string | undefined; wide: boolean }) {
	const { route } = useLocation();
	const [asked] = useFilter("status");
	const status = (tabs.find(([value]) => value === asked)?.[0] || "pending") as Schema["ApprovalStatus"];
	const answer = useAsk(approvalsAsk(status, paces.approvals));
	const all = answer.data?.approvals ?? [];

	// What was decided meanwhile stays where it was, until another tab is opened.
	// The pill, and another tab, begin afresh.
	const [pills, setPills] = useState(0);
	const list = `${status} ${pills}`;
	const shown = useRef({ list, order: [] as string[], known: new Map<string, OneApproval>() });
	if (shown.current.list !== list) shown.current = { list, order: [], known: new Map() };
	const here = new Set(all.map((a) => a.id));
	// What one has just decided oneself stays too.
	const isMine = (a: OneApproval) => a.can_decide || !here.has(a.id);
	const [mine, setMine] = useFilter("mine");
	const only = mine !== "" && status === "pending";
	const asking = only ? all.filter(isMine) : all;
	const { rows: every, held } = answer.data
		? steady(status === "pending" ? sorted(asking) : asking, (a) => a.id, shown.current.order, shown.current.known)
		: { rows: [] as OneApproval[], held: 0 };
	const rows = only ? every.filter(isMine) : every;
	const others = status === "pending" && all.some((a) => !isMine(a));
	// The first one is open beside the list, and stays open when another one comes first.
	const opened = useRef<string | undefined>(undefined);
	if (!rows.some((a) => a.id === opened.current)) opened.current = rows[0]?.id;
	const current = id ?? (wide ? opened.current : undefined);
	const search = location.search;
	const move = (by: number) => {
		const next = rows[rows.findIndex((a) => a.id === current) + by];
		if (next) route(`/approvals/${next.id}${search}`, id !== undefined);
	};
	useKeys("Approvals", [
		{ keys: "j", does: "Next approval", run: () => move(1) },
		{ keys: "k", does: "Previous approval", run: () => move(-1) },
	]);

	return (
		<Page
			title="Approvals"
			aside={
				<>
					{(only || others) && (
						<label class="toggle">
							<input type="checkbox" checked={only} onChange={() => setMine(only ? "" : "1")} /> Only those that I may
							decide
						</label>
					)}
					{answer.data && <Live of={answer} />}
				</>
			}
		>
			<Tabs name="status" label="Status" options={tabs} path="/approvals" />
			{answer.error && !answer.data ? (
				<ErrorNote error={answer.error} what="the approvals" again={() => void answer.refetch()} />
			) : !answer.data ? (
				<Loading what="the approvals" />
			) : rows.length === 0 && !id ? (
				<Nothing status={status} others={only && others} />
			) : (
				<div class={wide ? "approvals" : undefined}>
					<div class="approvals-list">
						{held > 0 && (
							<button type="button" class="pill approvals-pill" onClick={() => setPills(pills + 1)}>
								↑ {counted(held, "new approval")}
							</button>
						)}
						<ul class="cards" aria-label="Approvals">
							{rows.map((a) => (
								<Card
									key={a.id}
									approval={here.has(a.id) ? a : (client.getQueryData<OneApproval>(keys.approval(a.id)) ?? a)}
									gone={!here.has(a.id)}
									destructive={isDestructive(a)}
									href={`/approvals/${a.id}${search}`}
									current={current === a.id}
								/>
							))}
						</ul>
						{answer.data.next_cursor && <p class="meta">The newest 200 are shown.</p>}
					</div>
					{wide && current && (
						<div class="approvals-one">
							<Approval key={current} id={current} beside />
						</div>
					)}
				</div>
			)}
		</Page>
	);
}

interface CardProps {
	approval: OneApproval;
	gone: boolean;
	destructive: boolean;
	href: string;
	current: boolean;
}

function Card({ approval, gone, destructive, href, current }: CardProps) {
	const open = approval.status === "pending";
	return (
		<li>
			<a class="approval-card" href={href} aria-current={current ? "true" : undefined} data-danger={destructive}>
				<span class="approval-card-head">
					{gone && open ? (
						<Status state={{ label: "Decided meanwhile", tone: "stop" }} bare />
					) : (
						<Status state={state(approvalStates, approval.status)} bare />
					)}
					<span class="meta">
						{open && !gone ? (
							<>
								<Left until={approval.expires_at} /> left
							</>
						) : (
							approval.decided_at && <When at={approval.decided_at} />
						)}
					</span>
				</span>
				<span class="approval-card-question">
					<Said text={approval.message} />
				</span>
				<span class="meta">
					{destructive && <strong class="danger-word">destructive</strong>}
					{destructive && " · "}
					<bdi>{approval.agent_name ?? approval.agent_id}</bdi> asked <When at={approval.created_at} />
					{approval.min_approvals > 1 && ` · ${approval.approvals_given} of ${approval.min_approvals} yes`}
					{open && !gone && !approval.can_decide && " · others decide"}
				</span>
			</a>
		</li>
	);
}

function Nothing({ status, others }: { status: Schema["ApprovalStatus"]; others: boolean }) {
	const last = useAsk({
		key: [...keys.approvals, "newest"],
		ask: () => take(api.GET("/api/approvals", { params: { query: { limit: 20 } } })),
		when: status === "pending" && !others,
	}).data?.approvals.find((a) => a.decided_at);
	if (others) {
		return (
			<Empty title="Nothing waits for you">
				<p>
					Other people decide what waits. <a href="/approvals">See all of it</a>
				</p>
			</Empty>
		);
	}
	if (status !== "pending") {
		return (
			<Empty title={`No approval was ${status}`}>
				<p>
					Approvals are kept as long as their runs. <a href="/approvals">See what waits</a>
				</p>
			</Empty>
		);
	}
	return (
		<Empty title="Nothing waits for anyone">
			<p>
				{last?.decided_at ? (
					<>
						The last one was {last.status} <When at={last.decided_at} />
						{last.decided_by && (
							<>
								{" by "}
								<bdi>{last.decided_by}</bdi>
							</>
						)}
						. <a href={`/approvals/${last.id}`}>See it</a>
					</>
				) : (
					<>
						An agent asks here before it does what needs a person's yes. <a href="/agents">See the agents</a>
					</>
				)}
			</p>
		</Empty>
	);
}
