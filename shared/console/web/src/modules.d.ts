// A shape of an icon: a tag of SVG with its attributes.
type Shape = [tag: string, attributes: Record<string, string>];

// An icon by the name that Lucide gives it; see build.mjs.
declare module "lucide:*" {
	const shapes: Shape[];
	export default shapes;
}

// Schemas of a definition by name, shortened; see build.mjs.
declare module "agent:schemas" {
	const schemas: Readonly<Record<string, import("./editor/schema.ts").Shape>>;
	export default schemas;
}
