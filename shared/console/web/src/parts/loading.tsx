import { useEffect, useState } from "preact/hooks";

/** A Loading is the skeleton of what comes, after 150 ms; it is never shown over data. */
export function Loading({ rows = 5, what }: { rows?: number; what: string }) {
	const [late, setLate] = useState(false);
	useEffect(() => {
		const timer = setTimeout(() => setLate(true), 150);
		return () => clearTimeout(timer);
	}, []);
	return (
		<div
			class="loading"
			role="status"
			aria-label={`Loading ${what}`}
			style={{ minBlockSize: `calc(var(--row) * ${rows})` }}
		>
			{late && Array.from({ length: rows }, (_, n) => <div key={n} class="bone" />)}
		</div>
	);
}
