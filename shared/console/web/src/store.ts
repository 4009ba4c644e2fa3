// The store keeps the answers of the API for all pages, and decides when to ask again.
// A page names a key, a question and a pace; see paces.ts.
import {
	type DefaultedQueryObserverOptions,
	QueryClient,
	QueryObserver,
	type QueryObserverResult,
} from "@tanstack/query-core";
import { useEffect, useReducer, useState } from "preact/hooks";
import { Fault, governor, session } from "./door.ts";
import { backoff } from "./governor.ts";
import type { Pace } from "./paces.ts";

export const client = new QueryClient({
	defaultOptions: {
		queries: {
			retry: false, // the pace after a failure is ours
			networkMode: "always", // an unreachable API is told at once, and asked again
			staleTime: 5_000,
			gcTime: 10 * 60_000,
			refetchOnWindowFocus: "always",
			refetchOnReconnect: "always",
		},
	},
});
client.mount();

/** An Ask is a question to the API that several parts of a page may share by its key. */
export interface Ask<T> {
	/** Two asks with the same key share one answer. */
	key: readonly unknown[];
	ask: () => Promise<T>;
	/** How often to ask again by itself; without it only on focus. */
	pace?: Pace<T>;
	/** False: do not ask yet. */
	when?: boolean;
	/** Milliseconds for which an answer is not asked for again when a page opens (5,000). */
	fresh?: number;
}

/** An Answer keeps the old data while the API fails: `data` and `error` may both be set. */
export type Answer<T> = QueryObserverResult<T, Fault>;

type Options<T> = DefaultedQueryObserverOptions<T, Fault, T, T, readonly unknown[]>;

// Failures in a row of each question.
const failures = new Map<string, number>();

function optionsOf<T>({ key, ask, pace, when, fresh }: Ask<T>): Options<T> {
	const hash = JSON.stringify(key);
	return client.defaultQueryOptions<T, Fault, T, T, readonly unknown[]>({
		queryKey: key,
		queryHash: hash,
		queryFn: async () => {
			try {
				const value = await ask();
				failures.delete(hash);
				return value;
			} catch (e) {
				failures.set(hash, (failures.get(hash) ?? 0) + 1);
				throw e;
			}
		},
		enabled: when ?? true,
		...(fresh === undefined ? {} : { staleTime: fresh }),
		refetchInterval: (query) => {
			if (session.peek() === "ended") return false;
			const failed = failures.get(hash) ?? 0;
			if (failed > 0) {
				const { error } = query.state;
				if (error && !worthAsking(error)) return false;
				return governor.slowed(backoff(failed), Date.now());
			}
			const wait = pace?.(query.state.data, Date.now()) ?? false;
			return wait === false ? false : governor.slowed(wait, Date.now());
		},
	});
}

/** worthAsking reports whether the same question may succeed later. */
function worthAsking(error: Fault): boolean {
	return !(error instanceof Fault) || error.status === 0 || error.status === 429 || error.status >= 500;
}

/** useAsk asks the API, and renders the part again when what it uses of the answer changes. */
export function useAsk<T>(ask: Ask<T>): Answer<T> {
	const options = optionsOf(ask);
	const [observer] = useState(() => new QueryObserver<T, Fault, T, T, readonly unknown[]>(client, options));
	const [, tell] = useReducer((n: number) => n + 1, 0);
	useEffect(() => {
		const end = observer.subscribe(() => tell(undefined as never));
		observer.updateResult(); // what changed between the first rendering and now
		return end;
	}, [observer]);
	useEffect(() => observer.setOptions(options));
	return observer.trackResult(observer.getOptimisticResult(options));
}

/** put stores what a write answered, so that no page shows what was before. */
export function put<T>(key: readonly unknown[], value: T): void {
	client.setQueryData(key, value);
}

/** stale lets every open page ask again for what a write has changed. */
export function stale(...keys: (readonly unknown[])[]): void {
	for (const key of keys) void client.invalidateQueries({ queryKey: key });
}

// After a new sign-in everything is asked again.
session.subscribe((now) => {
	if (now === "valid") failures.clear();
});
