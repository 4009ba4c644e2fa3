// The routes: one line for each page, which is loaded when it is first opened.
import { lazy, Route, Router } from "preact-iso";
import { Empty } from "./parts/empty.tsx";

const Home = lazy(() => import("./pages/home.tsx"));
const Approvals = lazy(() => import("./pages/approvals.tsx"));
const Runs = lazy(() => import("./pages/runs.tsx"));
const Run = lazy(() => import("./pages/run.tsx"));
const Agents = lazy(() => import("./pages/agents.tsx"));
const NewAgent = lazy(() => import("./pages/new.tsx"));
const Agent = lazy(() => import("./pages/agent.tsx"));
const Events = lazy(() => import("./pages/events.tsx"));
const Credits = lazy(() => import("./pages/credits.tsx"));
const Settings = lazy(() => import("./pages/settings.tsx"));

export function Pages({ onChange }: { onChange: () => void }) {
	return (
		<Router onRouteChange={onChange}>
			<Route path="/" component={Home} />
			<Route path="/approvals" component={Approvals} />
			<Route path="/approvals/:id" component={Approvals} />
			<Route path="/runs" component={Runs} />
			<Route path="/runs/:id" component={Run} />
			<Route path="/agents" component={Agents} />
			<Route path="/agents/new" component={NewAgent} />
			<Route path="/agents/:id/:tab?" component={Agent} />
			<Route path="/events/:id?" component={Events} />
			<Route path="/credits" component={Credits} />
			<Route path="/settings/:tab?" component={Settings} />
			<Route default component={Nowhere} />
		</Router>
	);
}

function Nowhere() {
	return (
		<Empty title="No page is here">
			<p>The address may have been cut when it was copied.</p>
			<p>
				<a href="/">Go to Home</a>
			</p>
		</Empty>
	);
}
