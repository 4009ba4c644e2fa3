import type { Answer } from "../store.ts";
import { clock } from "../time.ts";

/** A Live says that data is kept up to date, or since when it is not. It never covers data. */
export function Live({ of }: { of: Pick<Answer<unknown>, "error" | "dataUpdatedAt"> }) {
	if (of.error && of.dataUpdatedAt > 0) {
		return <span class="live late">last seen {clock(of.dataUpdatedAt, true)}, trying again</span>;
	}
	return (
		<span class="live">
			<span class="pulse" aria-hidden="true" /> live
		</span>
	);
}
