import { agentsAsk } from "../asks.ts";
import { creditsAsk } from "../credits.ts";
import { api, type Schema, take } from "../door.ts";
import { Bars, Columns } from "../parts/bars.tsx";
import { ErrorNote } from "../parts/error.tsx";
import { Loading } from "../parts/loading.tsx";
import { Page } from "../parts/page.tsx";
import { useAsk } from "../store.ts";
import { date, moment } from "../time.ts";
import { counted, models, plain, quotas, word } from "../words.ts";
import { csvOf, forecast, used } from "./spending.ts";

/** The credits: what AI has cost this month, who used it, and whether it lasts. */
export default function Credits() {
	const answer = useAsk(creditsAsk);
	const history = useAsk({ key: ["credits", "history"], ask: () => take(api.GET("/api/credits/history")) });
	const agents = useAsk(agentsAsk).data?.agents ?? [];
	const limits = useAsk({ key: ["quotas"], ask: () => take(api.GET("/api/quotas")) });
	const credits = answer.data;
	if (!credits) {
		return (
			<Page title="Credits">
				{answer.error ? (
					<ErrorNote error={answer.error} what="the credits" again={() => void answer.refetch()} />
				) : (
					<Loading what="the credits" />
				)}
			</Page>
		);
	}
	const names = new Map(agents.map((a) => [a.id, a.name]));
	const byAgent = Object.entries(credits.by_agent).sort(([, a], [, b]) => b - a);
	const byModel = Object.entries(credits.by_model).filter(([, n]) => n > 0);
	return (
		<Page title="Credits" heading={`Credits, ${monthName(credits.month)}`}>
			<section class="card">
				<p class="credits-sum">
					<strong>{credits.total_used.toLocaleString("en")}</strong> used of {credits.allocation.toLocaleString("en")} ·{" "}
					{credits.remaining.toLocaleString("en")} left
				</p>
				<div class="meter" data-tone={tone(credits)} aria-hidden="true">
					<span style={{ inlineSize: `${Math.min(100, used(credits) * 100)}%` }} />
				</div>
				<Outlook credits={credits} />
			</section>
			<div class="credits-parts">
				<section class="card">
					<h2>By agent</h2>
					{byAgent.length === 0 ? (
						<p class="meta">
							No AI step was charged this month. Actions, messages and approvals cost no credits.{" "}
							<a href="/agents">See the agents</a>
						</p>
					) : (
						<Bars
							label="Credits by agent"
							head={["Agent", "Credits"]}
							bars={byAgent.map(([id, value]) => ({
								label: names.get(id) ?? id,
								value,
								text: shareOf(value, credits.total_used),
								href: `/runs?agent_id=${id}&period=30d`,
							}))}
						/>
					)}
				</section>
				<section class="card">
					<h2>By class of models</h2>
					{byModel.length === 0 ? (
						<p class="meta">None was asked this month.</p>
					) : (
						<Bars
							label="Credits by class of models"
							head={["Class", "Credits"]}
							bars={byModel.map(([name, value]) => ({
								label: word(models, name, plain),
								value,
								text: shareOf(value, credits.total_used),
							}))}
						/>
					)}
				</section>
			</div>
			<section class="card" id="quotas">
				<h2>Quotas of the plan</h2>
				{limits.data ? (
					<table class="plain-table" aria-label="Quotas">
						<thead>
							<tr>
								<th scope="col">Quota</th>
								<th scope="col" class="figures">
									Used
								</th>
								<th scope="col" class="figures">
									Limit
								</th>
							</tr>
						</thead>
						<tbody>
							{limits.data.quotas.map((q) => (
								<tr key={q.name}>
									<th scope="row">{word(quotas, q.name, plain)}</th>
									<td class="figures">{q.used.toLocaleString("en")}</td>
									<td class="figures">{q.limit.toLocaleString("en")}</td>
								</tr>
							))}
						</tbody>
					</table>
				) : (
					<Loading what="the quotas" rows={6} />
				)}
			</section>
			<section class="card">
				<h2>Twelve months</h2>
				{history.data ? <History months={history.data.history} /> : <Loading what="the history" />}
			</section>
		</Page>
	);
}

function tone(credits: Schema["Credits"]): string {
	const part = used(credits);
	return part >= 0.9 ? "fail" : part >= 0.75 ? "wait" : "run";
}

function monthName(month: string): string {
	return new Intl.DateTimeFormat("en-GB", { month: "long", year: "numeric", timeZone: "UTC" }).format(
		Date.parse(`${month}-01T00:00:00Z`),
	);
}

function Outlook({ credits }: { credits: Schema["Credits"] }) {
	const next = forecast(credits, moment.value);
	if (!next) return <p class="meta">A forecast needs two days of the month.</p>;
	return (
		<p class={next.out ? "note bad" : "meta"}>
			{counted(next.daysLeft, "day")} to go. At this pace {next.total.toLocaleString("en")} at the end of the month, if
			the use stays even.
			{next.out &&
				` The credits are used up on ${date(next.out, moment.value)}. AI steps then fail with credit_insufficient, until the next month begins or the plan grows; other steps go on.`}
		</p>
	);
}

/** shareOf returns a figure with its part of the whole: "41,200 · 66 %". */
function shareOf(value: number, whole: number): string {
	return `${value.toLocaleString("en")}${whole > 0 ? ` · ${Math.round((value / whole) * 100)} %` : ""}`;
}

function History({ months }: { months: readonly Schema["CreditMonth"][] }) {
	const save = () => {
		const file = URL.createObjectURL(new Blob([csvOf(months)], { type: "text/csv" }));
		const link = document.createElement("a");
		link.href = file;
		link.download = "credits.csv";
		link.click();
		URL.revokeObjectURL(file);
	};
	return (
		<>
			<Columns
				label="Credits of twelve months"
				head={["Month", "Credits"]}
				bars={[...months].reverse().map((m) => ({
					label: m.month,
					value: m.total_used,
					text: m.total_used.toLocaleString("en"),
				}))}
				bound={months[0]?.allocation ?? 0}
			/>
			<p>
				<button type="button" class="button" onClick={save}>
					Save as CSV
				</button>
			</p>
		</>
	);
}
