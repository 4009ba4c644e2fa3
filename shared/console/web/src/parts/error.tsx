import { Fault } from "../door.ts";
import { useMe } from "../me.ts";
import { Copy } from "./id.tsx";

/** An ErrorNote shows a fault of the API in the place of what could not be shown: its
 * sentence, its code and the id of the request, and what to do. */
export function ErrorNote({ error, what, again }: { error: Error; what: string; again?: () => void }) {
	const fault = error instanceof Fault ? error : new Fault(0, "page_error", "This page failed. Load it again.");
	const me = useMe().data;
	return (
		<section class="error-note" role="alert">
			<h2>{title(fault, what, me?.org_id ?? "your organization")}</h2>
			<p>{fault.message}</p>
			{fault.details.length > 0 && (
				<ul>
					{fault.details.map((d) => (
						<li key={d.path}>
							<code>{d.path}</code> {d.message}
						</li>
					))}
				</ul>
			)}
			<p class="meta">
				<code>{fault.code}</code>
				{fault.requestId && (
					<>
						{" · request "}
						<code>{fault.requestId}</code> <Copy text={fault.requestId} what="request id" />
					</>
				)}
			</p>
			<div class="actions">
				{again && fault.status !== 403 && fault.status !== 404 && (
					<button type="button" class="button" onClick={again}>
						Try again
					</button>
				)}
				{fault.status === 402 && (
					<a class="button" href="/credits">
						See the credits
					</a>
				)}
			</div>
		</section>
	);
}

/** A Refusal says beside a button why the API refused what it asked. */
export function Refusal({ fault }: { fault: Fault | undefined }) {
	if (!fault) return null;
	return (
		<p class="note bad" role="alert">
			{fault.message}
		</p>
	);
}

function title(fault: Fault, what: string, org: string): string {
	switch (fault.status) {
		case 0:
			return "The API cannot be reached";
		case 402:
			return "The credits are used up";
		case 403:
			return `Your role may not see ${what}`;
		case 404:
			return `${capital(what)} is not in ${org}`;
		case 429:
			return "Too many requests for now";
		default:
			return fault.status >= 500 ? "Something went wrong on our side" : `${capital(what)} could not be shown`;
	}
}

function capital(text: string): string {
	return text.charAt(0).toUpperCase() + text.slice(1);
}
