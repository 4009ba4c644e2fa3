import { useRoute } from "preact-iso";
import { useMay } from "../me.ts";
import { Empty } from "../parts/empty.tsx";
import { Page } from "../parts/page.tsx";
import { choices, type Preferences, prefer, preferences } from "../preferences.ts";

const tabs = [
	["keys", "Integration keys"],
	["webhook", "Webhook secret"],
	["preferences", "Preferences"],
] as const;

export default function Settings() {
	const { tab } = useRoute().params;
	const manages = useMay("manage");
	const mine = tabs.filter(([name]) => name === "preferences" || manages);
	const now = mine.find(([name]) => name === tab)?.[0] ?? mine[0]?.[0] ?? "preferences";
	return (
		<Page title="Settings">
			<nav class="tabs" aria-label="Settings">
				{mine.map(([name, title]) => (
					<a key={name} href={`/settings/${name}`} aria-current={name === now ? "page" : undefined}>
						{title}
					</a>
				))}
			</nav>
			{now === "preferences" ? (
				<PreferencesTab />
			) : (
				<Empty title="This page is being built">
					<p>The API already answers: see its documentation at /docs.</p>
				</Empty>
			)}
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
