import { plain } from "../words.ts";
import { Json } from "./json.tsx";
import { Quote, Said } from "./quote.tsx";

/** Values are short values in rows, and anything else as JSON. */
export function Values({ value, label, path }: { value: unknown; label: string; path?: string }) {
	const flat =
		typeof value === "object" &&
		value !== null &&
		!Array.isArray(value) &&
		Object.entries(value).length <= 12 &&
		Object.values(value).every((v) => v === null || ["string", "number", "boolean"].includes(typeof v));
	if (!flat) return <Json value={value} label={label} {...(path ? { path } : {})} />;
	return (
		<>
			<dl class="rows">
				{Object.entries(value as Record<string, unknown>).map(([name, v]) => (
					<div key={name}>
						<dt>
							<Said text={plain(name)} most={60} />
						</dt>
						<dd>
							{v === null ? (
								<span class="meta">nothing</span>
							) : typeof v === "string" && v.length > 200 ? (
								<Quote text={v} />
							) : (
								<Said text={String(v)} />
							)}
						</dd>
					</div>
				))}
			</dl>
			<details>
				<summary>As JSON</summary>
				<Json value={value} label={label} {...(path ? { path } : {})} />
			</details>
		</>
	);
}
