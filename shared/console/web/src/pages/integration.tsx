import { useSignal } from "@preact/signals";
import { announce } from "../announce.ts";
import { api, type Schema, take } from "../door.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Empty } from "../parts/empty.tsx";
import { ErrorNote, Refusal } from "../parts/error.tsx";
import { Copy, Id } from "../parts/id.tsx";
import { Loading } from "../parts/loading.tsx";
import { Said } from "../parts/quote.tsx";
import { When } from "../parts/when.tsx";
import { useSending } from "../sending.ts";
import { stale, useAsk } from "../store.ts";
import { keyAccesses } from "../words.ts";

const place = ["keys"] as const;

/** The integration keys: programs call the API with them. */
export function Keys() {
	const answer = useAsk({ key: place, ask: () => take(api.GET("/api/keys")) });
	const making = useSignal(false);
	const revoking = useSignal<Schema["Key"] | undefined>(undefined);
	const made = useSignal<Schema["NewKey"] | undefined>(undefined);
	if (!answer.data) {
		return answer.error ? (
			<ErrorNote error={answer.error} what="the keys" again={() => void answer.refetch()} />
		) : (
			<Loading what="the keys" />
		);
	}
	const list = answer.data.keys;
	return (
		<div class="settings">
			<p>
				<button type="button" class="button primary" onClick={() => (making.value = true)}>
					New key…
				</button>
			</p>
			{list.length === 0 ? (
				<Empty title="No program has a key">
					<p>A program that calls the API sends a key as X-Integration-Key. Each program should have its own.</p>
				</Empty>
			) : (
				<div class="scrolls">
					<table class="plain-table" aria-label="Integration keys">
						<thead>
							<tr>
								<th scope="col">Name</th>
								<th scope="col">Access</th>
								<th scope="col">Created</th>
								<th scope="col">Last used</th>
								<th scope="col">Expires</th>
								<th scope="col">
									<span class="hidden">Acts</span>
								</th>
							</tr>
						</thead>
						<tbody>
							{list.map((k) => (
								<tr key={k.id}>
									<th scope="row">
										<Said text={k.name} most={60} />
										<br />
										<Id id={k.id} short />
									</th>
									<td>{keyAccesses[k.access]}</td>
									<td>
										<When at={k.created_at} />
										{k.created_by && (
											<span class="meta">
												{" by "}
												<bdi>{k.created_by}</bdi>
											</span>
										)}
									</td>
									<td>{k.last_used_on ?? <span class="meta">never</span>}</td>
									<td>{k.expires_at ? <When at={k.expires_at} /> : <span class="meta">never</span>}</td>
									<td>
										<button type="button" class="button" onClick={() => (revoking.value = k)}>
											Revoke…
										</button>
									</td>
								</tr>
							))}
						</tbody>
					</table>
				</div>
			)}
			{making.value && (
				<NewKey
					onClose={() => (making.value = false)}
					onMade={(k) => {
						making.value = false;
						made.value = k;
						stale(place);
					}}
				/>
			)}
			{made.value && <Secret made={made.value} onClose={() => (made.value = undefined)} />}
			{revoking.value && (
				<Revoke
					of={revoking.value}
					onClose={() => {
						revoking.value = undefined;
					}}
				/>
			)}
		</div>
	);
}

const lives = [
	["", "Never"],
	["30", "30 days"],
	["90", "90 days"],
	["365", "A year"],
] as const;

function NewKey({ onClose, onMade }: { onClose: () => void; onMade: (made: Schema["NewKey"]) => void }) {
	const name = useSignal("");
	const access = useSignal<Schema["KeyAccess"]>("read");
	const days = useSignal("365");
	const { send, sending, failed } = useSending(async () => {
		const expires = days.value
			? { expires_at: new Date(Date.now() + Number(days.value) * 86_400_000).toISOString().replace(/\.\d+/, "") }
			: {};
		onMade(await take(api.POST("/api/keys", { body: { name: name.value.trim(), access: access.value, ...expires } })));
	});
	return (
		<Dialog title="New integration key" onClose={onClose}>
			<form
				class="settings"
				onSubmit={(e) => {
					e.preventDefault();
					void send();
				}}
			>
				<label class="labelled">
					Which program uses it?
					<input
						class="field"
						required
						maxLength={200}
						value={name.value}
						onInput={(e) => (name.value = e.currentTarget.value)}
					/>
				</label>
				<fieldset>
					<legend>What may it do?</legend>
					<div class="radios">
						<label>
							<input
								type="radio"
								name="access"
								checked={access.value === "read"}
								onChange={() => (access.value = "read")}
							/>
							Read: see agents, runs and credits
						</label>
						<label>
							<input
								type="radio"
								name="access"
								checked={access.value === "read_write"}
								onChange={() => (access.value = "read_write")}
							/>
							Read and write: also change agents, retry and cancel runs. It never decides approvals.
						</label>
					</div>
				</fieldset>
				<label class="labelled">
					It stops working after
					<select class="field" value={days.value} onChange={(e) => (days.value = e.currentTarget.value)}>
						{lives.map(([value, words]) => (
							<option key={value} value={value}>
								{words}
							</option>
						))}
					</select>
				</label>
				<Refusal fault={failed.value} />
				<div class="actions">
					<button type="submit" class="button primary" disabled={sending.value || name.value.trim() === ""}>
						{sending.value ? "Creating…" : "Create the key"}
					</button>
				</div>
			</form>
		</Dialog>
	);
}

/** Secret shows a key once. Only its own button closes it. */
function Secret({ made, onClose }: { made: Schema["NewKey"]; onClose: () => void }) {
	return (
		<Dialog title={`The key of ${made.name}`}>
			<p>It is shown once. Store it where the program reads its secrets.</p>
			<p class="secret">
				<bdi>{made.key}</bdi> <Copy text={made.key} what="key" />
			</p>
			<div class="actions">
				<button type="button" class="button primary" onClick={onClose}>
					I have stored it
				</button>
			</div>
		</Dialog>
	);
}

function Revoke({ of, onClose }: { of: Schema["Key"]; onClose: () => void }) {
	const typed = useSignal("");
	const { send, sending, failed } = useSending(async () => {
		await take(api.DELETE("/api/keys/{id}", { params: { path: { id: of.id } } }));
		announce("The key is revoked.");
		stale(place);
		onClose();
	});
	return (
		<Dialog title="Revoke this key?" onClose={onClose}>
			<p>
				The program that uses it is refused at once, and it cannot be undone.{" "}
				{of.last_used_on ? `It was last used on ${of.last_used_on}.` : "It was never used."}
			</p>
			<label class="labelled">
				<span>
					Type the name of the key:{" "}
					<strong>
						<Said text={of.name} most={200} />
					</strong>
				</span>
				<input class="field" value={typed.value} onInput={(e) => (typed.value = e.currentTarget.value)} />
			</label>
			<Refusal fault={failed.value} />
			<div class="actions">
				<button
					type="button"
					class="button danger"
					disabled={sending.value || typed.value.trim() !== of.name.trim()}
					onClick={() => void send()}
				>
					{sending.value ? "Revoking…" : "Revoke the key"}
				</button>
			</div>
		</Dialog>
	);
}
