// The field for the payload of an event.
import type { Signal } from "@preact/signals";
import type { ComponentChildren, RefObject } from "preact";
import { useId } from "preact/hooks";
import { payloadFault } from "../pages/testing.ts";

interface PayloadProps {
	/** Its label. */
	children: ComponentChildren;
	text: Signal<string>;
	/** Why the text is no payload; empty until somebody sent it. */
	wrong: Signal<string>;
	field: RefObject<HTMLTextAreaElement | null>;
}

/** A Payload is written as JSON. Once it was refused, it is checked at each key. */
export function Payload({ children, text, wrong, field }: PayloadProps) {
	const id = useId();
	return (
		<label class="labelled" htmlFor={id}>
			{children}
			<textarea
				ref={field}
				id={id}
				class="field testrun-payload"
				rows={12}
				spellcheck={false}
				autocapitalize="off"
				value={text.value}
				aria-invalid={wrong.value !== ""}
				aria-describedby={wrong.value ? `${id}wrong` : undefined}
				onInput={(e) => {
					text.value = e.currentTarget.value;
					if (wrong.value) wrong.value = payloadFault(text.value);
				}}
			/>
			{wrong.value && (
				<span id={`${id}wrong`} class="note bad" role="alert">
					{wrong.value}
				</span>
			)}
		</label>
	);
}
