// The ways to the Hub: sign-in and sign-out lead back to this page.
const meta = (name: string) => document.querySelector<HTMLMetaElement>(`meta[name="${name}"]`)?.content ?? "";

/** hubAddress returns the address of a page of the Hub that leads back to a path of this origin. */
export function hubAddress(hub: string, page: "sign-in" | "sign-out", origin: string, path: string): string {
	const back = path.startsWith("/") && !/^\/[/\\]/.test(path) ? path : "/";
	return `${hub}/${page}?return_to=${encodeURIComponent(origin + back)}`;
}

export function signInAddress(): string {
	return hubAddress(meta("hub"), "sign-in", location.origin, location.pathname + location.search);
}

export function signOutAddress(): string {
	return hubAddress(meta("hub"), "sign-out", location.origin, "/");
}
