// The question about the credits of the month, which two pages ask.
import { api, type Schema, take } from "./door.ts";
import type { Ask } from "./store.ts";

export const creditsAsk: Ask<Schema["Credits"]> = {
	key: ["credits"],
	ask: () => take(api.GET("/api/credits")),
};
