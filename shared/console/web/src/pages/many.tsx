import { useSignal } from "@preact/signals";
import { keys } from "../asks.ts";
import { api, type Fault, faultFrom, type Schema, take } from "../door.ts";
import { isOpen } from "../paces.ts";
import { Dialog } from "../parts/dialog.tsx";
import { stale } from "../store.ts";
import { counted } from "../words.ts";

const atOnce = 4;

interface Result {
	id: string;
	fault?: Fault;
}

/** Many acts on several runs, four at a time, and says what became of each. */
export function Many({ runs, done }: { runs: readonly Schema["Execution"][]; done: () => void }) {
	const asking = useSignal<"" | "retry" | "cancel">("");
	const results = useSignal<Result[]>([]);
	const busy = useSignal(false);
	const retried = runs.filter((x) => x.status === "failed" || x.status === "cancelled");
	const cancelled = runs.filter((x) => isOpen(x.status));
	const these = asking.value === "retry" ? retried : cancelled;

	const act = async () => {
		busy.value = true;
		results.value = [];
		const waiting = [...these];
		const worker = async () => {
			for (let x = waiting.shift(); x; x = waiting.shift()) {
				const params = { path: { id: x.id } };
				try {
					if (asking.value === "retry") await take(api.POST("/api/executions/{id}/retry", { params }));
					else await take(api.POST("/api/executions/{id}/cancel", { params }));
					results.value = [...results.value, { id: x.id }];
				} catch (e) {
					results.value = [...results.value, { id: x.id, fault: faultFrom(e) }];
				}
			}
		};
		await Promise.all(Array.from({ length: atOnce }, worker));
		busy.value = false;
		stale(keys.runs, ...these.map((x) => keys.run(x.id)));
	};
	const close = () => {
		if (busy.value) return;
		const acted = results.value.length > 0;
		asking.value = "";
		results.value = [];
		if (acted) done();
	};
	const failed = results.value.filter((r) => r.fault);
	const verb = asking.value === "retry" ? "Retry" : "Cancel";
	return (
		<>
			<button
				type="button"
				class="button"
				disabled={retried.length === 0}
				title={retried.length === 0 ? "Only failed and cancelled runs can be retried" : undefined}
				onClick={() => (asking.value = "retry")}
			>
				Retry {retried.length > 0 && retried.length}…
			</button>
			<button
				type="button"
				class="button"
				disabled={cancelled.length === 0}
				title={cancelled.length === 0 ? "Only open runs can be cancelled" : undefined}
				onClick={() => (asking.value = "cancel")}
			>
				Cancel {cancelled.length > 0 && cancelled.length}…
			</button>
			{asking.value && (
				<Dialog title={`${verb} ${counted(these.length, "run")}?`} onClose={close}>
					{results.value.length === 0 && !busy.value ? (
						<p>
							{asking.value === "retry"
								? "Each begins anew with the agent's current version. What it did before happens again, and its AI answers are paid again. Open one run to see what that is."
								: "Steps that have not begun do not run, and an open approval is denied. What was done already stays."}
						</p>
					) : (
						<p role="status">
							{results.value.length} of {these.length} done{failed.length > 0 && `, ${failed.length} refused`}.
						</p>
					)}
					{failed.length > 0 && (
						<ul class="then">
							{failed.map((r) => (
								<li key={r.id}>
									<a href={`/runs/${r.id}`}>{r.id}</a>: {r.fault?.message}
								</li>
							))}
						</ul>
					)}
					<div class="actions">
						{results.value.length === 0 ? (
							<button
								type="button"
								class={asking.value === "cancel" ? "button danger" : "button primary"}
								disabled={busy.value}
								onClick={() => void act()}
							>
								{busy.value ? "Sending…" : `${verb} ${counted(these.length, "run")}`}
							</button>
						) : (
							<button type="button" class="button" disabled={busy.value} onClick={close}>
								Close
							</button>
						)}
					</div>
				</Dialog>
			)}
		</>
	);
}
