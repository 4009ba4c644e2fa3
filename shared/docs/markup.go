package docs

import (
	"bytes"
	"html/template"
	"strconv"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// A markup turns Markdown into HTML. It omits HTML in the text.
type markup struct{}

// reader returns the reader of Markdown, with tables and with ids of headings.
func (markup) reader() goldmark.Markdown {
	return goldmark.New(
		goldmark.WithExtensions(extension.Table),
		goldmark.WithParserOptions(parser.WithAutoHeadingID()),
		goldmark.WithRendererOptions(renderer.WithNodeRenderers(util.Prioritized(scrollable{}, 1))),
	)
}

// html returns the HTML of a description of the contract. Its headings have no ids, which
// could occur twice on a page.
func (markup) html(source string) (template.HTML, error) {
	var out bytes.Buffer
	md := goldmark.New(goldmark.WithExtensions(extension.Table),
		goldmark.WithRendererOptions(renderer.WithNodeRenderers(util.Prioritized(scrollable{}, 1))))
	err := md.Convert([]byte(source), &out)
	return template.HTML(out.String()), err //nolint:gosec // goldmark lets no HTML of the text through.
}

// guide returns the HTML of a guide, its headings of the second level, and an entry of
// the search for each heading and for each row of a table that begins with code.
func (m markup) guide(name string, source []byte) (template.HTML, []section, []entry, error) {
	md := m.reader()
	tree := md.Parser().Parse(text.NewReader(source))
	var sections []section
	var entries, rows []entry
	place := "" // the id of the heading above
	link := func(id string) string {
		if name == "index" {
			return ""
		}
		if id == "" {
			return name
		}
		return name + "#" + id
	}
	err := ast.Walk(tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch n := n.(type) {
		case *ast.Heading:
			if !entering {
				break
			}
			id := ""
			if v, ok := n.AttributeString("id"); ok && n.Level > 1 {
				if b, isText := v.([]byte); isText {
					id = string(b)
				}
			}
			title := plain(n, source)
			place = id
			if n.Level == 2 {
				sections = append(sections, section{id, title})
			}
			entries = append(entries, entry{Title: title, Link: link(id)})
			return ast.WalkSkipChildren, nil
		case *ast.Link:
			if entering {
				n.Destination = []byte(address(string(n.Destination)))
			}
		case *extast.TableRow:
			// The row of an operator, a filter or an event is found by its name. The basics
			// repeat the filters.
			if first := n.FirstChild(); entering && name != basics && first.FirstChild() != nil && first.FirstChild().Kind() == ast.KindCodeSpan {
				row := entry{Title: plain(first, source), Link: link(place)}
				for c := first.NextSibling(); c != nil; c = c.NextSibling() {
					row.Text += " " + plain(c, source)
				}
				rows = append(rows, row)
				return ast.WalkSkipChildren, nil
			}
		case *ast.Paragraph, *ast.TextBlock, *extast.TableCell, *ast.FencedCodeBlock:
			if entering && len(entries) > 0 {
				last := &entries[len(entries)-1]
				last.Text += " " + plain(n, source)
			}
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		return "", nil, nil, err
	}
	var out bytes.Buffer
	err = md.Renderer().Render(&out, source, tree)
	return template.HTML(out.String()), sections, append(entries, rows...), err //nolint:gosec // goldmark lets no HTML of the text through.
}

// address returns the address of a link between guides, which names the file of a guide
// so that the sources can be read too. It begins with @, for which a page puts its prefix.
func address(link string) string {
	if file, anchor, _ := strings.Cut(link, "#"); strings.HasSuffix(file, ".md") && !strings.Contains(file, "/") {
		link = "@" + strings.TrimSuffix(file, ".md")
		if anchor != "" {
			link += "#" + anchor
		}
	}
	return link
}

// plain returns the text of a node.
func plain(n ast.Node, source []byte) string {
	if block, ok := n.(*ast.FencedCodeBlock); ok {
		return string(block.Lines().Value(source))
	}
	var out strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Text:
			out.Write(n.Segment.Value(source))
			if n.SoftLineBreak() {
				out.WriteByte(' ')
			}
		case *ast.String:
			out.Write(n.Value)
		}
		return ast.WalkContinue, nil
	})
	return out.String()
}

// scrollable renders tables and blocks of code so that a keyboard can scroll them, and
// the ids of headings as links to themselves.
type scrollable struct{}

// RegisterFuncs implements renderer.NodeRenderer.
func (scrollable) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(extast.KindTable, func(w util.BufWriter, _ []byte, _ ast.Node, entering bool) (ast.WalkStatus, error) {
		tag := "</table></div>\n"
		if entering {
			tag = `<div class="table" tabindex="0" role="group" aria-label="Table"><table>` + "\n"
		}
		_, err := w.WriteString(tag)
		return ast.WalkContinue, err
	})
	code := func(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		return ast.WalkSkipChildren, writeCode(w, string(n.Lines().Value(source)))
	}
	r.Register(ast.KindFencedCodeBlock, code)
	r.Register(ast.KindCodeBlock, code)
	r.Register(ast.KindHeading, func(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		h, ok := n.(*ast.Heading)
		if !ok {
			return ast.WalkContinue, nil
		}
		level := strconv.Itoa(h.Level)
		if !entering {
			_, err := w.WriteString("</h" + level + ">\n")
			return ast.WalkContinue, err
		}
		id := ""
		if v, there := h.AttributeString("id"); there && h.Level > 1 {
			if b, isText := v.([]byte); isText {
				id = ` id="` + template.HTMLEscapeString(string(b)) + `"`
			}
		}
		_, err := w.WriteString("<h" + level + id + ">")
		return ast.WalkContinue, err
	})
}

func writeCode(w util.BufWriter, code string) error {
	_, err := w.WriteString(`<pre tabindex="0"><code>` + template.HTMLEscapeString(strings.TrimRight(code, "\n")) + "</code></pre>\n")
	return err
}
