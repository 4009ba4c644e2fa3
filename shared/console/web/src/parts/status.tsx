import type { State, Tone } from "../words.ts";

/** A Status is a state as shape, word and colour; colour alone never says anything. */
export function Status({ state, bare }: { state: State; bare?: boolean }) {
	return (
		<span class={bare ? "status bare" : "status"} data-tone={state.tone}>
			<Mark tone={state.tone} />
			{state.label}
		</span>
	);
}

/** A Mark is the shape of a state, beside a word that says the same. */
export function Mark({ tone }: { tone: Tone }) {
	return (
		<svg class="mark" data-tone={tone} width="12" height="12" viewBox="0 0 12 12" aria-hidden="true">
			{marks[tone]}
		</svg>
	);
}

const line = { fill: "none", stroke: "currentColor", "stroke-width": 2, "stroke-linecap": "round" } as const;

const marks = {
	ok: <path {...line} d="M2 6.5 4.7 9 10 3" />,
	fail: <path {...line} d="M2.5 2.5l7 7m0-7-7 7" />,
	wait: <path {...line} d="M3.8 2v8M8.2 2v8" />,
	run: <path {...line} class="turning" d="M6 1.5A4.5 4.5 0 1 1 1.5 6" />,
	stop: <path {...line} d="M2 6h8" />,
	pending: <circle {...line} stroke-width="1.6" cx="6" cy="6" r="4" />,
} as const;
