import { useSignal } from "@preact/signals";
import { announce } from "../announce.ts";
import { api, type Schema, take } from "../door.ts";
import { meAsk, useMay } from "../me.ts";
import { every } from "../paces.ts";
import { Dialog } from "../parts/dialog.tsx";
import { ErrorNote, Refusal } from "../parts/error.tsx";
import { Loading } from "../parts/loading.tsx";
import { Said } from "../parts/quote.tsx";
import { When } from "../parts/when.tsx";
import { useSending } from "../sending.ts";
import { put, stale, useAsk } from "../store.ts";
import { counted, openRuns } from "../words.ts";

const place = ["pause"] as const;

/** The pause stops every agent of the organization. */
export function Pause() {
	const answer = useAsk({ key: place, ask: () => take(api.GET("/api/pause")), pace: every(15) });
	const mayPause = useMay("edit");
	const mayResume = useMay("manage");
	const asking = useSignal<"" | "pause" | "resume">("");
	if (!answer.data) {
		return answer.error ? (
			<ErrorNote error={answer.error} what="the pause" again={() => void answer.refetch()} />
		) : (
			<Loading what="the pause" />
		);
	}
	const now = answer.data;
	return (
		<div class="settings">
			{now.paused ? (
				<>
					<p class="note bad">
						Paused
						{now.by && (
							<>
								{" by "}
								<bdi>{now.by}</bdi>
							</>
						)}{" "}
						{now.at && <When at={now.at} />}: no agent starts.
						{now.reason && (
							<>
								{" "}
								<Said text={now.reason} />
							</>
						)}
					</p>
					<p>
						{counted(now.held, "open run")} held, {counted(now.missed, "start")} prevented.{" "}
						{now.open_runs && `Open runs: ${openRuns[now.open_runs].toLowerCase()}.`}
					</p>
					{mayResume ? (
						<p>
							<button type="button" class="button primary" onClick={() => (asking.value = "resume")}>
								Resume…
							</button>
						</p>
					) : (
						<p class="meta">Owners and admins can resume it.</p>
					)}
				</>
			) : (
				<>
					<p>Agents start as their events come. A pause stops all of them at once, system agents too.</p>
					{mayPause && (
						<p>
							<button type="button" class="button danger" onClick={() => (asking.value = "pause")}>
								Pause everything…
							</button>
						</p>
					)}
				</>
			)}
			{asking.value === "pause" && <Begin onClose={() => (asking.value = "")} />}
			{asking.value === "resume" && <End pause={now} onClose={() => (asking.value = "")} />}
		</div>
	);
}

function Begin({ onClose }: { onClose: () => void }) {
	const reason = useSignal("");
	const runs = useSignal<Schema["OpenRuns"]>("hold");
	const { send, sending, failed } = useSending(async () => {
		const body = { open_runs: runs.value, ...(reason.value.trim() ? { reason: reason.value.trim() } : {}) };
		changed(await take(api.POST("/api/pause", { body })));
		onClose();
	});
	return (
		<Dialog title="Pause everything?" onClose={onClose}>
			<p>
				No event starts an agent until an owner or an admin resumes. Events that come meanwhile are not made up for.
			</p>
			<fieldset>
				<legend>Runs that are open</legend>
				<div class="radios">
					{(Object.keys(openRuns) as Schema["OpenRuns"][]).map((value) => (
						<label key={value}>
							<input type="radio" name="open" checked={runs.value === value} onChange={() => (runs.value = value)} />
							{openRuns[value]}
						</label>
					))}
				</div>
			</fieldset>
			<label class="labelled">
				Why (optional, the audit log keeps it)
				<input
					class="field"
					maxLength={200}
					value={reason.value}
					onInput={(e) => (reason.value = e.currentTarget.value)}
				/>
			</label>
			<Refusal fault={failed.value} />
			<div class="actions">
				<button type="button" class="button danger" disabled={sending.value} onClick={() => void send()}>
					{sending.value ? "Pausing…" : "Pause everything"}
				</button>
			</div>
		</Dialog>
	);
}

function End({ pause, onClose }: { pause: Schema["Pause"]; onClose: () => void }) {
	const { send, sending, failed } = useSending(async () => {
		changed(await take(api.DELETE("/api/pause", { body: { confirm: true } })));
		onClose();
	});
	return (
		<Dialog title="Resume?" onClose={onClose}>
			<p>
				{pause.held > 0 ? `${counted(pause.held, "held run goes", "held runs go")} on at once. ` : ""}
				Agents start again with the next event.{" "}
				{pause.missed > 0 &&
					`The ${counted(pause.missed, "start")} that the pause prevented ${pause.missed === 1 ? "is" : "are"} not made up for.`}
			</p>
			<Refusal fault={failed.value} />
			<div class="actions">
				<button type="button" class="button primary" disabled={sending.value} onClick={() => void send()}>
					{sending.value ? "Resuming…" : "Resume"}
				</button>
			</div>
		</Dialog>
	);
}

/** changed shows the pause as it is now. */
function changed(now: Schema["Pause"]): void {
	put(place, now);
	stale(meAsk.key);
	announce(now.paused ? "Everything is paused." : "Agents start again.");
}
