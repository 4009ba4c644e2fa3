// What people do to a whole agent: pause, activate, clone, delete.
import copy from "lucide:copy-plus";
import pause from "lucide:pause";
import play from "lucide:play";
import remove from "lucide:trash-2";
import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import { useLocation } from "preact-iso";
import { type Agent, openRunsAsk, sayOf, update, useRefusal } from "../agents.ts";
import { announce } from "../announce.ts";
import { keys } from "../asks.ts";
import { api, take } from "../door.ts";
import { useMay } from "../me.ts";
import { Capable } from "../parts/capable.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { Icon } from "../parts/icon.tsx";
import { Said } from "../parts/quote.tsx";
import { useSending } from "../sending.ts";
import { client, stale, useAsk } from "../store.ts";
import { counted } from "../words.ts";

type One = Pick<Agent, "id" | "name" | "status" | "type">;

/** A StatusButton pauses or activates an agent, a system agent for this organization alone. */
export function StatusButton({ agent, small }: { agent: One; small?: boolean }) {
	const edits = useMay("edit");
	const refusal = useRefusal(agent);
	const busy = useSignal(false);
	const failed = useSignal("");
	if (!edits || agent.status === "error") return null;
	const asking = useSignal(false);
	const active = agent.status === "active";
	const act = active ? "Pause" : "Activate";
	const change = async () => {
		asking.value = false;
		if (busy.value || refusal) return;
		busy.value = true;
		failed.value = "";
		try {
			await update(agent.id, JSON.stringify({ status: active ? "paused" : "active" }));
			announce(`${agent.name} is ${active ? "paused" : "active"}.`);
		} catch (e) {
			failed.value = sayOf(e);
			announce(failed.value);
		} finally {
			busy.value = false;
		}
	};
	const name = `${act} ${agent.name}`;
	return (
		<span class="act">
			<button
				type="button"
				class={small ? "button small" : active ? "button" : "button primary"}
				aria-label={small ? name : undefined}
				aria-disabled={busy.value || refusal !== ""}
				title={refusal || undefined}
				onClick={() => {
					if (active || refusal) void change();
					else asking.value = true;
				}}
			>
				<Icon shapes={active ? pause : play} size={14} />
				{act}
				{!small && agent.type === "system" && " for this organization"}
			</button>
			{refusal && !small && <span class="meta act-why">{refusal}</span>}
			{asking.value && (
				<ActivateDialog agent={agent} onClose={() => (asking.value = false)} onActivate={() => void change()} />
			)}
			{failed.value && (
				<Dialog title={`${agent.name} is still ${agent.status}`} onClose={() => (failed.value = "")}>
					<p>{failed.value}</p>
					<div class="actions">
						<a class="button" href={`/agents/${agent.id}/definition`} onClick={() => (failed.value = "")}>
							Open its definition
						</a>
						<button type="button" class="button primary" onClick={() => (failed.value = "")}>
							Close
						</button>
					</div>
				</Dialog>
			)}
		</span>
	);
}

interface PinProps {
	agent: Pick<Agent, "id" | "name">;
	/** The version to stay at; null to follow the releases. */
	version: number | null;
}

/** A PinButton keeps a system agent at a version for this organization, or frees it. */
export function PinButton({ agent, version }: PinProps) {
	const manages = useMay("manage");
	const { send, sending, failed } = useSending(async () => {
		await update(agent.id, JSON.stringify({ pinned_version: version }));
		announce(version === null ? `${agent.name} follows the releases.` : `${agent.name} stays at version ${version}.`);
	});
	if (!manages) return null;
	return (
		<>
			<button type="button" class="link" aria-disabled={sending.value} onClick={() => void send()}>
				{version === null ? "Follow the releases" : "Stay at it"}
			</button>
			{failed.value && (
				<Dialog title={`${agent.name} is unchanged`} onClose={() => (failed.value = undefined)}>
					<p role="alert">{sayOf(failed.value)}</p>
					<div class="actions">
						<button type="button" class="button primary" onClick={() => (failed.value = undefined)}>
							Close
						</button>
					</div>
				</Dialog>
			)}
		</>
	);
}

/** An ActivateDialog shows what an agent can do before it does it. */
function ActivateDialog({ agent, onClose, onActivate }: { agent: One; onClose: () => void; onActivate: () => void }) {
	const report = useAsk({
		key: keys.capabilities(agent.id),
		ask: () => take(api.GET("/api/agents/{id}/capabilities", { params: { path: { id: agent.id } } })),
	});
	const known = report.data !== undefined || report.error !== null;
	return (
		<Dialog title={`Activate ${agent.name}?`} onClose={onClose} wide>
			<p>This is everything that it can do from then on:</p>
			<div class="capable-place" aria-busy={!known}>
				{report.data ? (
					<Capable report={report.data} />
				) : (
					report.error && <p class="note">What it can do is not known: {sayOf(report.error)}</p>
				)}
			</div>
			<div class="actions">
				<button type="button" class="button" onClick={onClose}>
					Cancel
				</button>
				<button
					type="button"
					class="button primary"
					aria-disabled={!known}
					title={known ? undefined : "What it can do is being read."}
					onClick={() => known && onActivate()}
				>
					Activate it
				</button>
			</div>
		</Dialog>
	);
}

/** A CloneButton makes a draft that is a copy. */
export function CloneButton({ agent, primary }: { agent: One; primary?: boolean }) {
	const open = useSignal(false);
	if (!useMay("edit")) return null;
	return (
		<>
			<button type="button" class={primary ? "button primary" : "button"} onClick={() => (open.value = true)}>
				<Icon shapes={copy} size={14} /> Clone…
			</button>
			{open.value && <CloneDialog agent={agent} onClose={() => (open.value = false)} />}
		</>
	);
}

function CloneDialog({ agent, onClose }: { agent: One; onClose: () => void }) {
	const { route } = useLocation();
	const name = useSignal(`${agent.name} (copy)`.slice(0, 200));
	const busy = useSignal(false);
	const failed = useSignal("");
	const field = useId();
	const clone = async (event: Event) => {
		event.preventDefault();
		if (busy.value) return;
		busy.value = true;
		try {
			const made = await take(
				api.POST("/api/agents/{id}/clone", {
					params: { path: { id: agent.id } },
					body: { name: name.value.trim() || null },
				}),
			);
			stale(keys.agents);
			announce(`${made.name} is made, a draft.`);
			onClose();
			route(`/agents/${made.id}/definition`);
		} catch (e) {
			failed.value = sayOf(e);
			busy.value = false;
		}
	};
	return (
		<Dialog title={`Clone ${agent.name}`} onClose={onClose}>
			<form onSubmit={(event) => void clone(event)}>
				<p>The copy is a draft of your own: nothing runs until you activate it.</p>
				<label class="labelled" for={field}>
					Its name
				</label>
				<input
					id={field}
					class="field"
					maxLength={200}
					value={name.value}
					onInput={(event) => (name.value = event.currentTarget.value)}
				/>
				{failed.value && (
					<p class="note bad" role="alert">
						{failed.value}
					</p>
				)}
				<div class="actions">
					<button type="button" class="button" onClick={onClose}>
						Cancel
					</button>
					<button type="submit" class="button primary" aria-disabled={busy.value}>
						Clone
					</button>
				</div>
			</form>
		</Dialog>
	);
}

/** A DeleteButton deletes an agent of the organization, after its name was typed. */
export function DeleteButton({ agent }: { agent: One }) {
	const open = useSignal(false);
	if (!useMay("delete") || agent.type === "system") return null;
	return (
		<>
			<button type="button" class="button" onClick={() => (open.value = true)}>
				<Icon shapes={remove} size={14} /> Delete…
			</button>
			{open.value && <DeleteDialog agent={agent} onClose={() => (open.value = false)} />}
		</>
	);
}

function DeleteDialog({ agent, onClose }: { agent: One; onClose: () => void }) {
	const { route } = useLocation();
	const runs = useAsk(openRunsAsk(agent.id));
	const typed = useSignal("");
	const busy = useSignal(false);
	const failed = useSignal("");
	const field = useId();
	const same = typed.value.trim() === agent.name.trim();
	const open = runs.data;
	const end = async (event: Event) => {
		event.preventDefault();
		if (busy.value || !same) return;
		busy.value = true;
		try {
			await api.DELETE("/api/agents/{id}", { params: { path: { id: agent.id } } });
			announce(`${agent.name} is deleted.`);
			onClose();
			route("/agents");
			client.removeQueries({ queryKey: keys.agent(agent.id) });
			stale(keys.agents, keys.runs, keys.approvals);
		} catch (e) {
			failed.value = sayOf(e);
			busy.value = false;
		}
	};
	return (
		<Dialog title="Delete this agent?" onClose={onClose}>
			<form onSubmit={(event) => void end(event)}>
				<p>
					<strong>
						<Said text={agent.name} />
					</strong>{" "}
					runs no more.{" "}
					{!open
						? "Its open runs are cancelled."
						: open.total === 0
							? "It has no open run."
							: `${open.total_relation === "gte" ? "At least " : ""}${counted(open.total, "open run")} ${open.total === 1 ? "is" : "are"} cancelled, and what they wait for is withdrawn.`}{" "}
					Its past runs and its versions stay readable.
				</p>
				<label class="labelled" for={field}>
					Type its name to delete it
				</label>
				<input
					id={field}
					class="field"
					autocomplete="off"
					value={typed.value}
					onInput={(event) => (typed.value = event.currentTarget.value)}
				/>
				{failed.value && (
					<p class="note bad" role="alert">
						{failed.value}
					</p>
				)}
				<div class="actions">
					<button type="button" class="button" onClick={onClose}>
						Keep it
					</button>
					<button type="submit" class="button danger" aria-disabled={!same || busy.value}>
						Delete
					</button>
				</div>
			</form>
		</Dialog>
	);
}
