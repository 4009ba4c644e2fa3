// Preferences of one person in one browser. Nothing of them reaches the API.
import { effect, signal } from "@preact/signals";

export interface Preferences {
	theme: "system" | "light" | "dark";
	zone: "local" | "utc";
	density: "normal" | "dense";
	/** Whether single keys such as j and k do something (WCAG 2.1.4). */
	keys: "on" | "off";
}

const initial: Preferences = { theme: "system", zone: "local", density: "normal", keys: "on" };

/** The values that each preference may have, the default first. */
export const choices: { readonly [K in keyof Preferences]: readonly Preferences[K][] } = {
	theme: ["system", "light", "dark"],
	zone: ["local", "utc"],
	density: ["normal", "dense"],
	keys: ["on", "off"],
};

const place = "console.preferences";

function stored(): Preferences {
	try {
		const given = JSON.parse(localStorage.getItem(place) ?? "{}") as Record<string, unknown>;
		const known = Object.entries(given).filter(([name, value]) =>
			(choices[name as keyof Preferences] as readonly unknown[] | undefined)?.includes(value),
		);
		return { ...initial, ...Object.fromEntries(known) };
	} catch {
		return initial; // no storage, or a text that is no JSON
	}
}

export const preferences = signal<Preferences>(stored());

export function prefer(change: Partial<Preferences>): void {
	preferences.value = { ...preferences.value, ...change };
	try {
		localStorage.setItem(place, JSON.stringify(preferences.value));
	} catch {
		// Without storage the preference lasts as long as the page.
	}
}

/** apply keeps the document's look equal to the preferences. */
export function apply(): void {
	effect(() => {
		document.documentElement.dataset.theme = preferences.value.theme;
		document.documentElement.dataset.density = preferences.value.density;
	});
}
