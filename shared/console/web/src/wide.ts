import { useEffect, useState } from "preact/hooks";

const query = "(min-width: 1000px)";

/** useWide reports whether a list and what is selected in it have room side by side. */
export function useWide(): boolean {
	const [wide, setWide] = useState(() => matchMedia(query).matches);
	useEffect(() => {
		const media = matchMedia(query);
		const look = () => setWide(media.matches);
		media.addEventListener("change", look);
		return () => media.removeEventListener("change", look);
	}, []);
	return wide;
}
