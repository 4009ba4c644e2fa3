// The governor slows down every page that asks again by itself, before the rate limit of
// the person refuses what the person does.

/** Limits of an answer, as its headers give them. */
export interface Limits {
	limit: number;
	remaining: number;
	/** Seconds since 1970 at which `remaining` is full again. */
	reset: number;
}

/** readLimits returns the limits of an answer, or undefined when it has none. */
export function readLimits(headers: Headers): Limits | undefined {
	const read = (name: string) => Number.parseInt(headers.get(name) ?? "", 10);
	const limits = {
		limit: read("X-RateLimit-Limit"),
		remaining: read("X-RateLimit-Remaining"),
		reset: read("X-RateLimit-Reset"),
	};
	return Object.values(limits).some(Number.isNaN) || limits.limit <= 0 ? undefined : limits;
}

export class Governor {
	private limits: Limits | undefined;
	private heldUntil = 0;

	/** note remembers the limits of the newest answer. */
	note(limits: Limits | undefined): void {
		if (limits) this.limits = limits;
	}

	/** hold lets nothing ask by itself for a number of seconds: the Retry-After of a 429. */
	hold(seconds: number, now: number): void {
		this.heldUntil = Math.max(this.heldUntil, now + seconds * 1000);
	}

	/** slowed returns the wait to keep instead of this one, in milliseconds. */
	slowed(wait: number, now: number): number {
		const part = this.limits && now < this.limits.reset * 1000 ? this.limits.remaining / this.limits.limit : 1;
		const factor = part < 0.2 ? 5 : part < 0.4 ? 2 : 1;
		return Math.max(wait * factor, this.heldUntil - now);
	}
}

/** backoff returns the wait after a number of failures in a row, in milliseconds. */
export function backoff(failures: number): number {
	return Math.min(60_000, 1000 * 2 ** Math.max(1, failures));
}
