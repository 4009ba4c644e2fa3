import { useSignal } from "@preact/signals";
import { announce } from "../announce.ts";
import { api, type Fault, faultFrom, type Schema, take } from "../door.ts";
import { ErrorNote, Refusal } from "../parts/error.tsx";
import { Loading } from "../parts/loading.tsx";
import { put, useAsk } from "../store.ts";
import { counted, dispatchNotes, modelContents, selfApprovals } from "../words.ts";

const place = ["settings"] as const;

type Policy = Schema["Policy"];

const questions: {
	readonly [K in keyof Policy]: readonly [title: string, hint: string, words: Readonly<Record<Policy[K], string>>];
} = {
	dispatch_notes: ["Notes of the Dispatch agent", "Who reads the notes that it writes on tickets.", dispatchNotes],
	model_content: [
		"What a model wrote, in actions that reach people outside, cost money or change an access",
		"Whether it needs a person's approval first.",
		modelContents,
	],
	self_approval: [
		"Deciding an approval of a run that one retried oneself",
		"Whether one person may do both.",
		selfApprovals,
	],
};

/** The rules of the organization. */
export function Rules() {
	const answer = useAsk({ key: place, ask: () => take(api.GET("/api/settings")) });
	const failed = useSignal<Fault | undefined>(undefined);
	const sending = useSignal("");
	if (!answer.data) {
		return answer.error ? (
			<ErrorNote error={answer.error} what="the rules" again={() => void answer.refetch()} />
		) : (
			<Loading what="the rules" />
		);
	}
	const { policy, journal_days, retention_days } = answer.data;
	const change = async (name: string, body: Schema["SettingsPatch"]) => {
		sending.value = name;
		failed.value = undefined;
		try {
			put(place, await take(api.PATCH("/api/settings", { body })));
			announce("The rule is changed.");
		} catch (e) {
			failed.value = faultFrom(e);
			void answer.refetch();
		} finally {
			sending.value = "";
		}
	};
	return (
		<div class="settings">
			{(Object.keys(questions) as (keyof Policy)[]).map((name) => {
				const [title, hint, words] = questions[name];
				return (
					<fieldset key={name} disabled={sending.value !== ""}>
						<legend>
							<strong>{title}</strong>
						</legend>
						<p class="meta">{hint}</p>
						<div class="radios">
							{Object.entries(words).map(([value, label]) => (
								<label key={value}>
									<input
										type="radio"
										name={name}
										checked={policy[name] === value}
										onChange={() => void change(name, { policy: { [name]: value } } as Schema["SettingsPatch"])}
									/>
									{label}
								</label>
							))}
						</div>
					</fieldset>
				);
			})}
			<fieldset disabled={sending.value !== ""}>
				<legend>
					<strong>Received events</strong>
				</legend>
				<p class="meta">
					How long each is kept, also one that started nothing, so that people see <a href="/events/received">why</a>.
				</p>
				<select
					class="field"
					aria-label="How long received events are kept"
					value={String(journal_days)}
					onChange={(e) => void change("journal", { journal_days: Number(e.currentTarget.value) })}
				>
					{[...new Set([0, 7, 30, 90, journal_days])]
						.sort((a, b) => a - b)
						.map((n) => (
							<option key={n} value={String(n)}>
								{n === 0 ? "They are not kept" : counted(n, "day")}
							</option>
						))}
				</select>
			</fieldset>
			<p>
				Runs are kept for {counted(retention_days, "day")} after their end.{" "}
				<span class="meta">PATCH /api/settings changes it.</span>
			</p>
			<Refusal fault={failed.value} />
		</div>
	);
}
