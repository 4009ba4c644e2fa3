import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";

interface PageProps {
	/** The title of the browser's tab and, unless `heading` is given, of the page. */
	title: string;
	heading?: ComponentChildren;
	/** What is beside the heading: Live, buttons. */
	aside?: ComponentChildren;
	/** The way here: links to the pages above. */
	above?: ComponentChildren;
	children: ComponentChildren;
}

/** A Page is the frame of every page: title, what acts on the whole page, and the content. */
export function Page({ title, heading, aside, above, children }: PageProps) {
	useEffect(() => {
		document.title = `${title} · One Agents`;
	}, [title]);
	return (
		<article class="page">
			{above && (
				<nav class="above" aria-label="Breadcrumb">
					{above}
				</nav>
			)}
			<header class="page-head">
				<h1>{heading ?? title}</h1>
				{aside && <div class="page-aside">{aside}</div>}
			</header>
			{children}
		</article>
	);
}
