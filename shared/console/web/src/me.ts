// Who is signed in, and what this person may do.
import { api, type Schema, take } from "./door.ts";
import { type Ask, useAsk } from "./store.ts";
import { roles } from "./words.ts";

export type Me = Schema["Me"];

export const meAsk: Ask<Me> = { key: ["me"], ask: () => take(api.GET("/api/me")), fresh: 5 * 60_000 };

export function useMe() {
	return useAsk(meAsk);
}

/** useMay reports whether the person has a right. The API decides; a page hides what it would refuse. */
export function useMay(right: Schema["Right"]): boolean {
	return useMe().data?.rights.includes(right) ?? false;
}

const order: readonly Schema["Role"][] = ["owner", "admin", "member", "viewer"];

/** roleName returns the strongest role of a person. */
export function roleName(me: Me): string {
	return roles[order.find((role) => me.roles.includes(role)) ?? "viewer"];
}
