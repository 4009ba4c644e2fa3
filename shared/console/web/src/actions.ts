// The catalogue of actions: plain words and the risk of what a step does.
import { api, type Schema, take } from "./door.ts";
import { type Ask, useAsk } from "./store.ts";

export type Action = Schema["CatalogAction"];

export const actionsAsk: Ask<Schema["ActionList"]> = {
	key: ["actions"],
	ask: () => take(api.GET("/api/actions")),
	fresh: Number.POSITIVE_INFINITY, // it changes with a release alone
};

/** useActions returns the catalogue by qualified name, such as "psa:add_note"; it is empty at first. */
export function useActions(): ReadonlyMap<string, Action> {
	const { data } = useAsk(actionsAsk);
	return new Map(data?.actions.map((a) => [a.id, a]));
}
