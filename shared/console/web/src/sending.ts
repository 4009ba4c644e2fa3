// Sending: what a button asks of the API, once at a time, and what came of it.
import { type Signal, useSignal } from "@preact/signals";
import { type Fault, faultFrom } from "./door.ts";

interface Sending {
	/** Asks, unless it is asking already. */
	send: () => Promise<void>;
	sending: Signal<boolean>;
	failed: Signal<Fault | undefined>;
}

/** useSending returns how to send what `act` asks. A fault is kept until the next try. */
export function useSending(act: () => Promise<void>): Sending {
	const sending = useSignal(false);
	const failed = useSignal<Fault | undefined>(undefined);
	const send = async () => {
		if (sending.value) return;
		sending.value = true;
		failed.value = undefined;
		try {
			await act();
		} catch (e) {
			failed.value = faultFrom(e);
		} finally {
			sending.value = false;
		}
	};
	return { send, sending, failed };
}
