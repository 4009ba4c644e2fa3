import { useEffect } from "preact/hooks";

/** useLeaving asks before the page is left, while `held` is true: only when what was typed is
 * kept nowhere else. */
export function useLeaving(held: boolean): void {
	useEffect(() => {
		if (!held) return;
		const unload = (event: BeforeUnloadEvent) => event.preventDefault();
		const click = (event: MouseEvent) => {
			const link = event.composedPath().find((e) => e instanceof HTMLAnchorElement);
			if (!link || link.target === "_blank" || event.ctrlKey || event.metaKey) return;
			if (confirm("What you typed is not saved, and this browser does not keep it. Leave anyway?")) return;
			event.preventDefault();
			event.stopImmediatePropagation();
		};
		window.addEventListener("beforeunload", unload);
		document.addEventListener("click", click, true);
		return () => {
			window.removeEventListener("beforeunload", unload);
			document.removeEventListener("click", click, true);
		};
	}, [held]);
}
