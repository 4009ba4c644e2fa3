import { useEffect, useState } from "preact/hooks";

/** useOnline reports whether the browser has a connection. Without one nothing is written. */
export function useOnline(): boolean {
	const [online, setOnline] = useState(navigator.onLine);
	useEffect(() => {
		const look = () => setOnline(navigator.onLine);
		window.addEventListener("online", look);
		window.addEventListener("offline", look);
		return () => {
			window.removeEventListener("online", look);
			window.removeEventListener("offline", look);
		};
	}, []);
	return online;
}
