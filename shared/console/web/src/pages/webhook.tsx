import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { announce } from "../announce.ts";
import { api, type Schema, take } from "../door.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Refusal } from "../parts/error.tsx";
import { Copy } from "../parts/id.tsx";
import { When } from "../parts/when.tsx";
import { useSending } from "../sending.ts";

const shownFor = 30_000; // milliseconds until the secret hides itself

/** The secret that signs the organization's webhooks. It is read only when one asks to see it. */
export function Webhook() {
	const secret = useSignal("");
	const asking = useSignal(false);
	const rotated = useSignal<Schema["RotatedWebhookSecret"] | undefined>(undefined);
	useEffect(() => {
		if (!secret.value) return;
		const timer = setTimeout(() => {
			secret.value = "";
		}, shownFor);
		return () => clearTimeout(timer);
	}, [secret.value, secret]);
	const reveal = useSending(async () => {
		secret.value = (await take(api.GET("/api/webhook-secret"))).secret;
	});
	const rotate = useSending(async () => {
		rotated.value = await take(api.POST("/api/webhook-secret/rotate"));
		secret.value = rotated.value.secret;
		announce("There is a new secret.");
		asking.value = false;
	});
	return (
		<div class="settings">
			<p>
				Every message to a webhook is signed, as Standard Webhooks says. The receiver checks it with this secret; see
				the <a href="/docs/guides/webhooks">guide</a>.
			</p>
			{secret.value ? (
				<p class="secret">
					<bdi>{secret.value}</bdi> <Copy text={secret.value} what="secret" />
				</p>
			) : (
				<p class="secret" aria-hidden="true">
					whsec_••••••••••••••••••••••••••••••••
				</p>
			)}
			{rotated.value && (
				<p class="note">
					The secret before this one is valid until <When at={rotated.value.previous_valid_until} as="clock" />. Change
					the receivers by then.
				</p>
			)}
			<Refusal fault={reveal.failed.value ?? rotate.failed.value} />
			<div class="actions">
				{secret.value ? (
					<button type="button" class="button" onClick={() => (secret.value = "")}>
						Hide
					</button>
				) : (
					<button type="button" class="button" onClick={() => void reveal.send()}>
						Show the secret for 30 seconds
					</button>
				)}
				<button type="button" class="button" onClick={() => (asking.value = true)}>
					Rotate…
				</button>
			</div>
			<section>
				<h2>Check a message</h2>
				{/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
				<pre class="code" tabIndex={0}>
					{snippet}
				</pre>
			</section>
			{asking.value && (
				<Dialog title="Make a new secret?" onClose={() => (asking.value = false)}>
					<p>
						The present one is valid for 24 more hours: until then every message carries a signature of both. After
						that, receivers that still use it refuse every message.
					</p>
					<div class="actions">
						<button
							type="button"
							class="button primary"
							disabled={rotate.sending.value}
							onClick={() => void rotate.send()}
						>
							{rotate.sending.value ? "Rotating…" : "Make a new secret"}
						</button>
					</div>
				</Dialog>
			)}
		</div>
	);
}

const snippet = `import base64, hashlib, hmac

def verify(secret, headers, body):
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = headers["webhook-id"] + "." + headers["webhook-timestamp"] + "."
    want = base64.b64encode(hmac.digest(key, signed.encode() + body, hashlib.sha256)).decode()
    return any(hmac.compare_digest(s, "v1," + want) for s in headers["webhook-signature"].split())`;
