// build.mjs [--watch] FOLDER builds the pages into FOLDER: index.html, and assets whose
// names have the hash of their content, each beside its compressed forms. With --watch it
// builds again whenever a source is saved, and removes the folder when it ends.
//
// build.mjs --test FOLDER builds the tests of rules, and --stories FOLDER the stories in a
// browser, for node --test.
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import * as esbuild from "esbuild";
import { load } from "js-yaml";

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, "../../..");
const src = join(here, "src");
const packages = join(root, "node_modules");

// An icon is imported by the name that Lucide gives it, as a list of its shapes: the
// policy of the pages lets no text become markup.
const icons = {
	name: "icons",
	setup(build) {
		build.onResolve({ filter: /^lucide:/ }, ({ path }) => ({ path: path.slice(7), namespace: "lucide" }));
		build.onLoad({ filter: /.*/, namespace: "lucide" }, async ({ path }) => {
			const svg = await readFile(join(packages, "lucide-static/icons", `${path}.svg`), "utf8");
			const shapes = [...svg.matchAll(/<(path|circle|rect|line|polyline|polygon|ellipse)\s([^>]*?)\/>/g)];
			const attributes = (text) =>
				Object.fromEntries([...text.matchAll(/([\w-]+)="([^"]*)"/g)].map(([, k, v]) => [k, v]));
			return { contents: `export default ${JSON.stringify(shapes.map(([, tag, text]) => [tag, attributes(text)]))}` };
		});
	},
};

// All files of src/style make one style sheet; their cascade layers say which rule wins,
// not the order of the files.
const styles = {
	name: "styles",
	setup(build) {
		build.onResolve({ filter: /^styles$/ }, () => ({ path: "styles.css", namespace: "styles" }));
		build.onLoad({ filter: /.*/, namespace: "styles" }, async () => {
			const files = (await readdir(join(src, "style"))).filter((name) => name.endsWith(".css")).sort();
			return {
				contents: [
					"@layer reset, tokens, parts, pages, forced;",
					...files.map((name) => `@import "./style/${name}";`),
				].join("\n"),
				loader: "css",
				resolveDir: src,
				watchDirs: [join(src, "style")],
				watchFiles: files.map((name) => join(src, "style", name)),
			};
		});
	},
};

// The schemas of a definition, from the document of the API: "agent:schemas" is an object of
// them by name, with the first sentence of each description.
const schemas = {
	name: "schemas",
	setup(build) {
		build.onResolve({ filter: /^agent:schemas$/ }, ({ path }) => ({ path, namespace: "schemas" }));
		build.onLoad({ filter: /.*/, namespace: "schemas" }, async () => {
			const file = join(root, "shared/httpapi/openapi.yaml");
			const all = load(await readFile(file, "utf8")).components.schemas;
			const kept = {};
			const shorten = (schema) => {
				if (Array.isArray(schema)) return schema.map(shorten);
				if (typeof schema !== "object" || schema === null) return schema;
				const { $ref, properties, description, items, oneOf, type, required, default: usual } = schema;
				const name = $ref?.slice($ref.lastIndexOf("/") + 1);
				if (name && !(name in kept)) {
					kept[name] = {};
					kept[name] = shorten(all[name]);
				}
				return {
					$ref: name,
					type,
					required,
					default: usual,
					enum: schema.enum,
					description:
						description
							?.trim()
							.match(/^.*?[.:](?=\s|$)/s)?.[0]
							.replaceAll(/\s+/g, " ") ?? description,
					oneOf: oneOf && shorten(oneOf),
					items: items && shorten(items),
					properties:
						properties && Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, shorten(value)])),
				};
			};
			shorten({ $ref: "AgentInput" });
			return { contents: `export default ${JSON.stringify(kept)}`, watchFiles: [file] };
		});
	},
};

// Pages are never rendered on a server: what the router has for that is left out.
const noServer = {
	name: "no server",
	setup(build) {
		build.onResolve({ filter: /\/prerender\.js$/ }, () => ({ path: "prerender.js", namespace: "empty" }));
		build.onLoad({ filter: /.*/, namespace: "empty" }, () => ({ contents: "export default undefined" }));
	},
};

// What pages share is one script, not one for each set of pages that use the same parts:
// everything that loads with a page imports all of it, and esbuild puts it together.
const core = {
	name: "core",
	setup(build) {
		const sharing = /src[/\\](main|(pages|editor)[/\\].+)\.tsx?$/;
		build.onLoad({ filter: sharing }, async ({ path }) => ({
			contents: `${await readFile(path, "utf8")}\nimport "core";\n`,
			loader: path.endsWith("x") ? "tsx" : "ts",
		}));
		build.onResolve({ filter: /^core$/ }, () => ({ path: "core.ts", namespace: "core" }));
		build.onLoad({ filter: /.*/, namespace: "core" }, async () => {
			const own = (await readdir(src)).filter((name) => !/^(main|routes|shell)\./.test(name));
			const parts = (await readdir(join(src, "parts"))).map((name) => `parts/${name}`);
			const modules = [];
			for (const name of [...own, ...parts].filter((name) => /(?<!\.d|\.test)\.tsx?$/.test(name))) {
				// A module that knows a page or the editor belongs to those that show it.
				if (!/from "\.{1,2}\/(pages|editor)\//.test(await readFile(join(src, name), "utf8"))) modules.push(name);
			}
			return { contents: modules.map((name) => `import "./${name}";`).join("\n"), loader: "ts", resolveDir: src };
		});
	},
};

const common = {
	absWorkingDir: root,
	bundle: true,
	format: "esm",
	jsx: "automatic",
	jsxImportSource: "preact",
	logLevel: "warning",
	plugins: [icons, styles, schemas],
};

const pages = (outdir, more) => ({
	...common,
	plugins: [...common.plugins, noServer, core],
	entryPoints: { main: join(src, "main.tsx"), styles: "styles" },
	outdir,
	write: false,
	metafile: true,
	minify: true,
	splitting: true,
	target: ["es2022"],
	entryNames: "assets/[name]-[hash]",
	chunkNames: "assets/[name]-[hash]",
	assetNames: "assets/[name]-[hash]",
	publicPath: "/",
	loader: { ".woff2": "file", ".svg": "file" },
	legalComments: "none",
	...more,
});

const brotli = promisify(brotliCompress);
const zip = promisify(gzip);

// store writes what esbuild built, with the compressed forms, and the index.
async function store(outdir, result) {
	const outputs = Object.entries(result.metafile.outputs);
	const named = (test) => `/assets/${basename(outputs.find(([, o]) => test(o))[0])}`;
	// What the first script imports is fetched together with it, not after it.
	const first = outputs.find(([, o]) => o.entryPoint?.endsWith("src/main.tsx"))[1];
	const early = first.imports
		.filter((i) => i.kind === "import-statement")
		.map((i) => `<link rel="modulepreload" href="/assets/${basename(i.path)}">`);
	const index = (await readFile(join(src, "index.html"), "utf8"))
		.replace(
			"{{main}}",
			named((o) => o.entryPoint?.endsWith("src/main.tsx")),
		)
		.replace("{{early}}", early.join("\n"))
		.replace(
			"{{styles}}",
			named((o) => o.entryPoint === "styles:styles.css"),
		)
		.replace(
			"{{font}}",
			named((o) => Object.keys(o.inputs).some((name) => name.endsWith("geist-latin-wght-normal.woff2"))),
		);
	await mkdir(join(outdir, "assets"), { recursive: true });
	const kept = new Set();
	await Promise.all(
		result.outputFiles.map(async ({ path, contents }) => {
			const file = join(outdir, "assets", basename(path));
			kept.add(basename(file));
			await writeFile(file, contents);
			if (!/\.(js|css|svg)$/.test(file)) return;
			kept.add(`${basename(file)}.br`).add(`${basename(file)}.gz`);
			await writeFile(
				`${file}.br`,
				await brotli(contents, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: contents.length } }),
			);
			await writeFile(`${file}.gz`, await zip(contents, { level: 9 }));
		}),
	);
	await writeFile(join(outdir, "index.html"), index);
	for (const name of await readdir(join(outdir, "assets"))) {
		if (!kept.has(name)) await rm(join(outdir, "assets", name)); // of an earlier build
	}
}

async function files(folder, ending) {
	const all = await readdir(folder, { recursive: true });
	return all
		.filter((name) => name.endsWith(ending) && !name.includes("node_modules"))
		.map((name) => join(folder, name));
}

// runnable builds programs for node.
const runnable = (entryPoints, outdir) =>
	esbuild.build({
		...common,
		entryPoints,
		outdir,
		outExtension: { ".js": ".mjs" },
		entryNames: "[name]",
		platform: "node",
		target: "node20",
		sourcemap: "inline",
		packages: "external",
	});

const [mode, folder = mode] = process.argv.slice(2);
const outdir = resolve(folder);
switch (mode) {
	case "--test":
		await rm(outdir, { recursive: true, force: true });
		await runnable(await files(src, ".test.ts"), outdir);
		break;
	case "--stories":
		await rm(outdir, { recursive: true, force: true });
		await runnable(await files(join(root, "localstack/stories/browser"), ".story.ts"), outdir);
		break;
	case "--watch": {
		const rebuilt = {
			name: "rebuilt",
			setup(build) {
				build.onEnd(async (result) => {
					if (result.errors.length > 0) return;
					await store(outdir, result);
					process.stdout.write(`${new Date().toLocaleTimeString()} built\n`);
				});
			},
		};
		const context = await esbuild.context(pages(outdir, { plugins: [...common.plugins, noServer, core, rebuilt] }));
		await context.watch();
		const end = async () => {
			await context.dispose();
			await rm(outdir, { recursive: true, force: true });
			process.exit(0);
		};
		process.on("SIGINT", end).on("SIGTERM", end);
		break;
	}
	default:
		await rm(outdir, { recursive: true, force: true });
		await store(outdir, await esbuild.build(pages(outdir)));
}
