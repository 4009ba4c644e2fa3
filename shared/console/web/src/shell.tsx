// The shell: navigation, who is signed in, the session's end, the lost connection.
import docs from "lucide:book-open";
import agents from "lucide:bot";
import credits from "lucide:coins";
import more from "lucide:ellipsis";
import home from "lucide:house";
import runs from "lucide:list-checks";
import leave from "lucide:log-out";
import settings from "lucide:settings";
import approvals from "lucide:shield-check";
import events from "lucide:zap";
import { useSignal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { ErrorBoundary, LocationProvider, useLocation } from "preact-iso";
import { announcement } from "./announce.ts";
import { approvalsAsk } from "./asks.ts";
import { session } from "./door.ts";
import { useKeys } from "./keys.ts";
import { roleName, useMe } from "./me.ts";
import { useOnline } from "./online.ts";
import * as paces from "./paces.ts";
import { Dialog } from "./parts/dialog.tsx";
import { ErrorNote } from "./parts/error.tsx";
import { Icon } from "./parts/icon.tsx";
import { KeyHelp, Palette } from "./parts/palette.tsx";
import { Pages } from "./routes.tsx";
import { signInAddress, signOutAddress } from "./sign.ts";
import { useAsk } from "./store.ts";

// The paths that are pages here. The Hub and the API's documentation may have the same
// origin, and are left to the browser.
const ours = /^\/(?!(hub|docs|api)(\/|$))/;

export function Shell() {
	return (
		<LocationProvider scope={ours}>
			<Frame />
		</LocationProvider>
	);
}

interface Place {
	href: string;
	title: string;
	key: string;
	icon: Shape[];
	/** Part of the bar at the bottom of a phone. */
	thumb: boolean;
}

const places: readonly Place[] = [
	{ href: "/", title: "Home", key: "h", icon: home, thumb: true },
	{ href: "/approvals", title: "Approvals", key: "a", icon: approvals, thumb: true },
	{ href: "/runs", title: "Runs", key: "r", icon: runs, thumb: true },
	{ href: "/agents", title: "Agents", key: "g", icon: agents, thumb: true },
	{ href: "/events", title: "Events", key: "e", icon: events, thumb: false },
	{ href: "/credits", title: "Credits", key: "c", icon: credits, thumb: false },
	{ href: "/settings", title: "Settings", key: "s", icon: settings, thumb: false },
];

const entries = [
	...places.map((p) => ({ title: p.title, href: p.href, keys: `g ${p.key}` })),
	{ title: "New agent", href: "/agents/new" },
	{ title: "Integration keys", href: "/settings/keys" },
	{ title: "Webhook secret", href: "/settings/webhook" },
	{ title: "Preferences", href: "/settings/preferences" },
	{ title: "Documentation", href: "/docs", away: true as const },
];

function Frame() {
	const { path, route } = useLocation();
	const me = useMe();
	const [failed, setFailed] = useState<Error>();
	const main = useRef<HTMLElement>(null);
	const first = useRef(true);
	const [over, setOver] = useState<"palette" | "keys">();
	useKeys("Everywhere", [
		{ keys: "mod+k", does: "Go to a page, or to a pasted id", run: () => setOver("palette") },
		{ keys: "?", does: "These keys", run: () => setOver("keys") },
	]);
	useKeys("Go to", [
		...places.map((p) => ({ keys: `g ${p.key}`, does: p.title, run: () => route(p.href) })),
		{
			keys: "Escape",
			does: "Back to the list",
			run: () => {
				const above = `/${path.split("/")[1]}`;
				if (path !== above) route(above);
			},
		},
	]);
	// A new page begins without the fault of the one before
	useEffect(() => {
		setFailed(undefined);
		setOver(undefined);
	}, [path]);

	if (session.value === "ended" && !me.data) return <SignedOut />;
	return (
		<div class="frame">
			<a class="skip" href="#main">
				To the content
			</a>
			<Navigation path={path} />
			<main id="main" ref={main} tabIndex={-1} class="main">
				<Connection />
				{failed ? (
					<ErrorNote error={failed} what="the page" again={() => location.reload()} />
				) : me.error && !me.data ? (
					<ErrorNote error={me.error} what="your organization" again={() => void me.refetch()} />
				) : (
					<ErrorBoundary onError={setFailed}>
						<Pages
							onChange={() => {
								// A new page is read from its beginning, by eyes and by screen readers.
								if (!first.current) main.current?.focus({ preventScroll: true });
								first.current = false;
							}}
						/>
					</ErrorBoundary>
				)}
			</main>
			<p class="hidden" aria-live="polite">
				{announcement}
			</p>
			{over === "palette" && <Palette entries={entries} onClose={() => setOver(undefined)} />}
			{over === "keys" && <KeyHelp onClose={() => setOver(undefined)} />}
			{session.value === "ended" && me.data && <SessionEnded />}
		</div>
	);
}

/** A section is current on its own page and below it. */
function isCurrent(href: string, path: string): boolean {
	return href === "/" ? path === "/" : path === href || path.startsWith(`${href}/`);
}

function Navigation({ path }: { path: string }) {
	const me = useMe().data;
	const open = useSignal(false);
	const waiting = useAsk(approvalsAsk("pending", paces.badge)).data?.approvals.length ?? 0;
	// The sheet closes when a page opens
	useEffect(() => {
		open.value = false;
	}, [path]);
	return (
		<nav class="nav" aria-label="Main">
			<p class="brand">One Agents</p>
			<ul>
				{places.map((p) => (
					<li key={p.href} class={p.thumb ? undefined : "not-thumb"}>
						<a href={p.href} aria-current={isCurrent(p.href, path) ? "page" : undefined} title={p.title}>
							<Icon shapes={p.icon} />
							<span class="nav-title">{p.title}</span>
							{p.href === "/approvals" && waiting > 0 && (
								<span class="badge">
									{waiting}
									<span class="hidden"> waiting</span>
								</span>
							)}
						</a>
					</li>
				))}
				<li class="only-thumb">
					<button type="button" onClick={() => (open.value = true)} aria-haspopup="dialog">
						<Icon shapes={more} />
						<span class="nav-title">More</span>
					</button>
				</li>
			</ul>
			<div class="who">
				<Who me={me} />
			</div>
			{open.value && (
				<Dialog title="More" onClose={() => (open.value = false)}>
					<ul class="sheet-list">
						{places
							.filter((p) => !p.thumb)
							.map((p) => (
								<li key={p.href}>
									<a href={p.href}>
										<Icon shapes={p.icon} /> {p.title}
									</a>
								</li>
							))}
					</ul>
					<Who me={me} />
				</Dialog>
			)}
		</nav>
	);
}

function Who({ me }: { me: ReturnType<typeof useMe>["data"] }) {
	if (!me) return null;
	return (
		<>
			<p class="who-org" title={me.org_id}>
				<bdi>{me.org_name || me.org_id}</bdi>
			</p>
			<p class="who-user" title={me.user_id ?? undefined}>
				<bdi>{me.user_id}</bdi> · {roleName(me)}
			</p>
			<a class="who-link" href="/docs">
				<Icon shapes={docs} size={14} /> Documentation
			</a>
			<a class="who-link" href={signOutAddress()}>
				<Icon shapes={leave} size={14} /> Sign out
			</a>
		</>
	);
}

/** A stranger sees nothing of any organization, and the way in. */
function SignedOut() {
	return (
		<main class="signed-out" id="main">
			<h1>One Agents</h1>
			<p>Sign in to see this page.</p>
			<a class="button primary" href={signInAddress()}>
				Sign in
			</a>
		</main>
	);
}

/** The page stays as it is below this dialog: what was typed is there after the sign-in. */
function SessionEnded() {
	return (
		<Dialog title="Your session ended">
			<p>Sign in again. What you typed stays on this page if you sign in in a new tab.</p>
			<div class="actions">
				<a class="button" href={signInAddress()} target="_blank" rel="noopener">
					Sign in in a new tab
				</a>
				<a class="button primary" href={signInAddress()}>
					Sign in here
				</a>
			</div>
		</Dialog>
	);
}

function Connection() {
	if (useOnline()) return null;
	return (
		<p class="offline" role="status">
			You are offline. This page shows what was last seen, and changes nothing until the connection is back.
		</p>
	);
}
