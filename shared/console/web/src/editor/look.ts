// The look of the editor: the tokens of the pages, in both schemes.
import { HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import type { Extension } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import { tags } from "@lezer/highlight";

const floating = {
	border: "1px solid var(--line)",
	borderRadius: "6px",
	background: "var(--surface)",
	color: "var(--text)",
	boxShadow: "var(--float)",
};

const theme = EditorView.theme({
	"&": { height: "100%", color: "var(--text)", backgroundColor: "var(--surface)", fontSize: "12.5px" },
	"&.cm-focused": { outline: "2px solid var(--accent)", outlineOffset: "-2px" },
	".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "18px" },
	".cm-scroller:focus-visible": { outline: "2px solid var(--accent)", outlineOffset: "-2px" },
	".cm-content": { caretColor: "var(--text)", padding: "8px 0" },
	".cm-cursor": { borderLeftColor: "var(--text)" },
	"&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
		backgroundColor: "light-dark(#cfdbff, #2c3f7d)",
	},
	".cm-gutters": { color: "var(--text-3)", backgroundColor: "var(--sunken)", borderRight: "1px solid var(--line)" },
	".cm-activeLine": { backgroundColor: "light-dark(rgb(43 87 224 / 5%), rgb(143 169 255 / 7%))" },
	".cm-activeLineGutter": { color: "var(--text)", backgroundColor: "transparent" },
	"&.cm-focused .cm-matchingBracket": { backgroundColor: "var(--run-tint)", outline: "1px solid var(--run)" },
	"&.cm-focused .cm-nonmatchingBracket": { backgroundColor: "var(--fail-tint)" },
	".cm-foldPlaceholder": { color: "var(--text-2)", backgroundColor: "var(--sunken)", border: "1px solid var(--line)" },
	".cm-placeholder-path": { backgroundColor: "var(--wait-tint)", borderRadius: "3px" },
	".cm-placeholder-path, .cm-placeholder-path *": { color: "var(--wait)" },
	".cm-tooltip": floating,
	".cm-tooltip .cm-tip": { maxWidth: "420px", padding: "8px 12px", font: "13px / 18px var(--font)" },
	".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", maxHeight: "260px" },
	".cm-tooltip.cm-tooltip-autocomplete > ul > li": { padding: "3px 10px", lineHeight: "20px" },
	".cm-tooltip-autocomplete ul li[aria-selected]": { background: "var(--accent)", color: "var(--on-accent)" },
	".cm-completionDetail": {
		color: "var(--text-3)",
		fontFamily: "var(--font)",
		fontStyle: "normal",
		marginLeft: "12px",
	},
	"li[aria-selected] .cm-completionDetail": { color: "inherit" },
	".cm-completionMatchedText": { textDecoration: "none", fontWeight: "600" },
	".cm-tooltip.cm-completionInfo": { maxWidth: "320px", padding: "8px 12px", font: "13px / 18px var(--font)" },
	".cm-diagnostic": { borderLeft: "0", padding: "8px 12px", font: "13px / 18px var(--font)" },
	".cm-diagnostic-error": { borderLeft: "4px solid var(--fail-solid)" },
	".cm-diagnostic-warning": { borderLeft: "4px solid var(--wait-solid)" },
	".cm-changedLine, .cm-insertedLine": { backgroundColor: "var(--ok-tint) !important" },
	".cm-deletedChunk": { backgroundColor: "var(--fail-tint) !important", color: "var(--text)" },
	".cm-deletedChunk .cm-chunkButtons button": {
		background: "var(--surface) !important",
		color: "var(--text) !important",
		border: "1px solid var(--edge)",
		borderRadius: "6px",
		padding: "2px 8px",
		font: "12px / 16px var(--font)",
	},
	"@media (pointer: coarse)": { "&": { fontSize: "16px" }, ".cm-scroller": { lineHeight: "22px" } },
});

const style = HighlightStyle.define([
	{ tag: tags.propertyName, color: "var(--text)" },
	{ tag: tags.string, color: "var(--ok)" },
	{ tag: [tags.number, tags.bool, tags.null], color: "var(--run)" },
	{ tag: [tags.punctuation, tags.bracket, tags.separator], color: "var(--text-2)" },
	{ tag: tags.invalid, color: "var(--fail)" },
]);

/** look is the theme with the colours of JSON. */
export const look: Extension = [theme, syntaxHighlighting(style)];
