import { Empty } from "../parts/empty.tsx";
import { Page } from "../parts/page.tsx";

export default function Unbuilt() {
	return (
		<Page title="Agents">
			<Empty title="This page is being built">
				<p>The API already answers: see its documentation at /docs.</p>
			</Empty>
		</Page>
	);
}
