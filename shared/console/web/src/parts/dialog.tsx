import close from "lucide:x";
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { Icon } from "./icon.tsx";

/** A Dialog asks before something happens. Escape closes it, the focus returns to where it
 * was, and on a phone it is a sheet at the bottom. Without `onClose` only its own buttons
 * end it. */
export function Dialog({
	title,
	children,
	onClose,
	wide,
}: {
	title: string;
	children: ComponentChildren;
	onClose?: () => void;
	wide?: boolean;
}) {
	const dialog = useRef<HTMLDialogElement>(null);
	const heading = useId();
	useEffect(() => {
		const element = dialog.current;
		const before = document.activeElement;
		element?.showModal();
		return () => {
			element?.close();
			if (before instanceof HTMLElement && before.isConnected) before.focus();
		};
	}, []);
	return (
		<dialog
			ref={dialog}
			class={wide ? "dialog wide" : "dialog"}
			aria-labelledby={heading}
			onCancel={(event) => {
				event.preventDefault();
				onClose?.();
			}}
		>
			<header>
				<h2 id={heading}>{title}</h2>
				{onClose && (
					<button type="button" class="icon-button" aria-label="Close" onClick={onClose}>
						<Icon shapes={close} size={18} />
					</button>
				)}
			</header>
			<div class="dialog-body">{children}</div>
		</dialog>
	);
}
