import type { ComponentType } from "preact";
import { useRoute } from "preact-iso";
import { useMay, useMe } from "../me.ts";
import { Loading } from "../parts/loading.tsx";
import { Page } from "../parts/page.tsx";
import { choices, type Preferences, prefer, preferences } from "../preferences.ts";
import { Audit } from "./audit.tsx";
import { Keys } from "./integration.tsx";
import { Pause } from "./pause.tsx";
import { Rules } from "./rules.tsx";
import { Webhook } from "./webhook.tsx";

interface Tab {
	name: string;
	title: string;
	part: ComponentType;
	/** Owners and admins only. */
	manages: boolean;
}

const tabs: readonly Tab[] = [
	{ name: "keys", title: "Integration keys", part: Keys, manages: true },
	{ name: "webhook", title: "Webhook secret", part: Webhook, manages: true },
	{ name: "rules", title: "Rules", part: Rules, manages: true },
	{ name: "audit", title: "Audit log", part: Audit, manages: true },
	{ name: "pause", title: "Pause", part: Pause, manages: false },
	{ name: "preferences", title: "Preferences", part: PreferencesTab, manages: false },
];

export default function Settings() {
	const { tab } = useRoute().params;
	const manages = useMay("manage");
	const mine = tabs.filter((t) => manages || !t.manages);
	const now = mine.find((t) => t.name === tab) ?? (tab ? undefined : mine[0]);
	const Part = now?.part ?? PreferencesTab;
	if (!useMe().data) {
		return (
			<Page title="Settings">
				<Loading what="the settings" />
			</Page>
		);
	}
	return (
		<Page title="Settings">
			<nav class="tabs" aria-label="Settings">
				{mine.map(({ name, title }) => (
					<a key={name} href={`/settings/${name}`} aria-current={name === now?.name ? "page" : undefined}>
						{title}
					</a>
				))}
			</nav>
			{now ? <Part /> : <p class="note">Owners and admins see this part of the settings.</p>}
		</Page>
	);
}

const titles: { readonly [K in keyof Preferences]: readonly [title: string, hint: string] } = {
	theme: ["Look", "Light or dark, by default as your system."],
	zone: ["Times", "In your own time zone or in UTC. The other one is always in the tip of a time."],
	density: ["Rows", "Dense rows show more of a list."],
	keys: ["Single keys", "Keys such as j, k and / do something outside of fields. Turn them off when you dictate."],
};

const values: Readonly<Record<string, string>> = {
	system: "As the system",
	light: "Light",
	dark: "Dark",
	local: "My time zone",
	utc: "UTC",
	normal: "Normal",
	dense: "Dense",
	on: "On",
	off: "Off",
};

function PreferencesTab() {
	return (
		<form class="preferences">
			<p class="meta">These are kept in this browser alone.</p>
			{(Object.keys(titles) as (keyof Preferences)[]).map((name) => (
				<fieldset key={name}>
					<legend>{titles[name][0]}</legend>
					<p class="meta">{titles[name][1]}</p>
					<div class="radios">
						{choices[name].map((value) => (
							<label key={value}>
								<input
									type="radio"
									name={name}
									checked={preferences.value[name] === value}
									onChange={() => prefer({ [name]: value })}
								/>
								{values[value]}
							</label>
						))}
					</div>
				</fieldset>
			))}
		</form>
	);
}
