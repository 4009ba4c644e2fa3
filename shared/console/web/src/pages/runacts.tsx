import { useSignal } from "@preact/signals";
import { useLocation } from "preact-iso";
import { useActions } from "../actions.ts";
import { agentsAsk, keys, versionAsk } from "../asks.ts";
import { api, type Schema, take } from "../door.ts";
import { useKeys } from "../keys.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Refusal } from "../parts/error.tsx";
import { Said } from "../parts/quote.tsx";
import { useSending } from "../sending.ts";
import { put, stale, useAsk } from "../store.ts";
import { counted, listed } from "../words.ts";
import { previewOf } from "./retrying.ts";
import { hasEffect, nameOf } from "./telling.ts";

type Run = Schema["ExecutionDetail"];

/** Retry asks before a run begins anew: it says what would happen once more. */
export function Retry({ run }: { run: Run }) {
	const asking = useSignal(false);
	const agents = useAsk(agentsAsk).data?.agents;
	const agent = agents?.find((a) => a.id === run.agent_id);
	const gone = agents !== undefined && !agent;
	useKeys("Run", gone ? [] : [{ keys: "r", does: "Retry…", run: () => (asking.value = true) }]);
	return (
		<>
			<button
				type="button"
				class="button"
				disabled={gone}
				title={gone ? "Its agent is deleted" : undefined}
				onClick={() => (asking.value = true)}
			>
				{gone ? "Retry: the agent is deleted" : "Retry…"}
			</button>
			{asking.value && <RetryDialog run={run} current={agent?.version} onClose={() => (asking.value = false)} />}
		</>
	);
}

function RetryDialog({ run, current, onClose }: { run: Run; current: number | undefined; onClose: () => void }) {
	const { route } = useLocation();
	const actions = useActions();
	const version = useAsk(versionAsk(run.agent_id, run.agent_version)).data;
	const agreed = useSignal(false);
	const preview = previewOf(run, actions, version?.steps, current);
	const again = preview.again.length > 0;
	const { send, sending, failed } = useSending(async () => {
		const made = await take(api.POST("/api/executions/{id}/retry", { params: { path: { id: run.id } } }));
		put(keys.run(made.id), made);
		stale(keys.runs, keys.run(run.id));
		onClose();
		route(`/runs/${made.id}`);
	});
	return (
		<Dialog title="Retry this run?" onClose={onClose}>
			<p>A new run begins at the first step, for the same event.</p>
			{again && (
				<>
					<h3>Will happen again</h3>
					<ul class="then">
						{preview.again.map((a) => (
							<li key={a.step}>
								<Said text={a.text} />
								{a.destructive && (
									<>
										{" · "}
										<strong class="danger-word">destructive</strong>
									</>
								)}
							</li>
						))}
					</ul>
				</>
			)}
			{preview.asked.length > 0 && <p>Asks again: {listed(preview.asked)}.</p>}
			{preview.credits > 0 && <p>AI answers cost about {counted(preview.credits, "credit")} again.</p>}
			{preview.versions && (
				<p>
					It uses version {preview.versions.now}; this run ran version {preview.versions.ran}.{" "}
					<a href={`/agents/${run.agent_id}/versions?from=${preview.versions.ran}&to=${preview.versions.now}`}>
						See the difference
					</a>
				</p>
			)}
			{again && (
				<label class="agree">
					<input type="checkbox" checked={agreed.value} onChange={(e) => (agreed.value = e.currentTarget.checked)} />I
					know that {preview.again.length === 1 ? "this happens" : "these happen"} again
				</label>
			)}
			<Refusal fault={failed.value} />
			<div class="actions">
				<button
					type="button"
					class="button primary"
					disabled={sending.value || (again && !agreed.value)}
					onClick={() => void send()}
				>
					{sending.value ? "Starting…" : "Retry the run"}
				</button>
			</div>
		</Dialog>
	);
}

/** Cancel asks before an open run ends. */
export function Cancel({ run }: { run: Run }) {
	const asking = useSignal(false);
	const gate = run.steps.find((s) => s.step_type === "approval_gate" && s.status === "waiting");
	const effects = run.steps.filter(hasEffect);
	const { send, sending, failed } = useSending(async () => {
		try {
			put(keys.run(run.id), await take(api.POST("/api/executions/{id}/cancel", { params: { path: { id: run.id } } })));
			asking.value = false;
		} finally {
			stale(keys.runs, keys.run(run.id), keys.approvals); // also after a refusal: the run has ended by itself
		}
	});
	return (
		<>
			<button type="button" class="button" onClick={() => (asking.value = true)}>
				Cancel…
			</button>
			{asking.value && (
				<Dialog title="Cancel this run?" onClose={() => (asking.value = false)}>
					<ul class="then">
						<li>Steps that have not begun do not run.</li>
						{gate && <li>The approval “{nameOf(gate)}” is denied.</li>}
						<li>
							{effects.length === 0
								? "It has changed nothing so far."
								: `What was done stays: ${listed(effects.map(nameOf))}.`}
						</li>
					</ul>
					<Refusal fault={failed.value} />
					<div class="actions">
						<button type="button" class="button danger" disabled={sending.value} onClick={() => void send()}>
							{sending.value ? "Cancelling…" : "Cancel the run"}
						</button>
					</div>
				</Dialog>
			)}
		</>
	);
}
