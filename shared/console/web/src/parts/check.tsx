import { Said } from "./quote.tsx";
import { Mark } from "./status.tsx";

/** A Check is a row of a list: what is demanded of an event, whether it holds, and what was
 * found, which may be empty. */
export function Check({ holds, text, found }: { holds: boolean; text: string; found: string }) {
	return (
		<li>
			<span data-tone={holds ? "ok" : "fail"}>
				<Mark tone={holds ? "ok" : "fail"} />
			</span>
			<span>
				<span class="hidden">{holds ? "Holds: " : "Does not hold: "}</span>
				<Said text={text} most={300} />{" "}
				{found && (
					<span class="meta">
						<Said text={found} most={200} />
					</span>
				)}
			</span>
		</li>
	);
}
