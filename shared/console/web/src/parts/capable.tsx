import { boundsOf, type Can, cansOf, differenceOf } from "../capable.ts";
import type { Schema } from "../door.ts";
import { Said } from "./quote.tsx";

/** A Capable shows everything that an agent can do. */
export function Capable({ report }: { report: Schema["CapabilityReport"] }) {
	const cans = cansOf(report.capabilities);
	return (
		<>
			{cans.length === 0 ? (
				<p>It does nothing that anybody outside its run notices.</p>
			) : (
				<ul class="capable">
					{cans.map((can, n) => (
						<One key={n} can={can} />
					))}
				</ul>
			)}
			<p class="meta">{boundsOf(report.capabilities.bounds)}</p>
			{report.may_wake.length > 0 && (
				<p class="note">
					It may wake{" "}
					{report.may_wake.map((a, n) => (
						<>
							{n > 0 && ", "}
							<a href={`/agents/${a.agent_id}`}>
								<Said text={a.name} />
							</a>
						</>
					))}
					.
				</p>
			)}
		</>
	);
}

function One({ can }: { can: Can }) {
	return (
		<li data-tone={can.tone}>
			<Said text={can.text} /> <span class="meta">{<Said text={can.more} />}</span>
		</li>
	);
}

/** A Widening shows what a change lets an agent do that it could not do, and the reverse. */
export function Widening({ change }: { change: Schema["CapabilityChange"] }) {
	const { wider, narrower } = change;
	if (wider.length + narrower.length === 0)
		return <p class="meta">It can do what it could do before, and nothing else.</p>;
	return (
		<div class="widening">
			{wider.length > 0 && (
				<>
					<h3>New: it can do more</h3>
					<Differences list={wider} />
				</>
			)}
			{narrower.length > 0 && (
				<>
					<h3>It can no longer</h3>
					<Differences list={narrower} />
				</>
			)}
		</div>
	);
}

function Differences({ list }: { list: readonly Schema["CapabilityDifference"][] }) {
	return (
		<ul class="effects">
			{list.map((d) => (
				<li key={d.what}>
					<Said text={differenceOf(d)} most={400} />
				</li>
			))}
		</ul>
	);
}
