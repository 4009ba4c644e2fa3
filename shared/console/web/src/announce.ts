// Announcements: what happened where a person acted, for those who cannot see it.
import { signal } from "@preact/signals";

/** The text of the one polite live region. */
export const announcement = signal("");

export function announce(text: string): void {
	announcement.value = ""; // the same text again is read again
	queueMicrotask(() => {
		announcement.value = text;
	});
}
