// Package docs makes the pages of the documentation: guides, and the reference of the
// API. They are made when the system is built, and are files: no page is computed when
// it is read, and every page can be read without a script.
//
//	guides     the sources of the guides, in Markdown
//	table      the tables in guides that follow from the code
//	contract   the OpenAPI document, read for the reference
//	reference  the pages of the reference
//	page       the frame of every page, its style and its script
//	search     the index of the search
//
// A line "@table operators" of a guide is replaced by a table made from the rows of the
// code, so that a new row cannot be missing. The code blocks of guides are examples, and
// the word after their language says how the tests run them through the real code; see
// examples_test.go. A block "text faults" gets what the API says about the definition in
// the block "json refused" before it.
package docs

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"slices"
	"strings"

	"theoneagents.app/agents/shared/catalog"
)

//go:embed guides/*.md page
var sources embed.FS

// Index is the file of the first page. Every other page is the file <name>.html.
const Index = "index.html"

// The files of packages, in the folder into which npm installed them.
const (
	fontFile   = "@fontsource-variable/geist/files/geist-latin-wght-normal.woff2"
	searchFile = "minisearch/dist/es/index.js"
)

// A site is the documentation while it is made.
type site struct {
	contract outline
	catalog  catalog.Catalog
	assets   map[string]string // the name of an asset with the hash of its content, by its name without
	shell    *template.Template
	pages    []page
	text     markup
}

// A page is one page: a guide, or a part of the reference.
type page struct {
	Name, Title, About string

	Sections []section // its headings, which the navigation shows
	content  template.HTML
	entries  []entry // what the search finds on it
}

// A section is a heading of a page.
type section struct{ ID, Title string }

// Build returns the files of the documentation: its pages, and its assets, whose names
// have the hash of their content. document is the contract of the API as JSON, and
// packages the folder into which npm installed the packages of package.json.
func Build(document []byte, all catalog.Catalog, packages fs.FS) (map[string][]byte, error) {
	contract, err := outlineOf(document)
	if err != nil {
		return nil, err
	}
	s := &site{contract: contract, catalog: all, assets: map[string]string{}}
	if s.shell, err = template.New("").Funcs(template.FuncMap{"text": s.text.html}).ParseFS(sources, "page/*.tmpl"); err != nil {
		return nil, err
	}
	for _, pages := range []func() error{s.guides, s.reference} {
		if err := pages(); err != nil {
			return nil, err
		}
	}
	files, err := s.assetsOf(packages)
	if err != nil {
		return nil, err
	}
	for i := range s.pages {
		data, err := s.framed(i)
		if err != nil {
			return nil, fmt.Errorf("page %s: %w", s.pages[i].Name, err)
		}
		files[s.pages[i].Name+".html"] = data
	}
	return files, nil
}

// assetsOf returns the assets: the style, the script, the index of the search, and the
// files of packages that they load.
func (s *site) assetsOf(packages fs.FS) (map[string][]byte, error) {
	files := map[string][]byte{}
	// An asset comes after those that it names.
	for _, a := range []struct {
		name string
		read func() ([]byte, error)
	}{
		{"geist.woff2", func() ([]byte, error) { return fs.ReadFile(packages, fontFile) }},
		{"minisearch.js", func() ([]byte, error) { return fs.ReadFile(packages, searchFile) }},
		{"search.json", s.index},
		{"icon.svg", func() ([]byte, error) { return sources.ReadFile("page/icon.svg") }},
		{"docs.css", func() ([]byte, error) { return sources.ReadFile("page/docs.css") }},
		{"docs.js", func() ([]byte, error) { return sources.ReadFile("page/docs.js") }},
	} {
		data, err := a.read()
		if err != nil {
			return nil, err
		}
		for plain, hashed := range s.assets {
			data = bytes.ReplaceAll(data, []byte("./"+plain), []byte("./"+hashed))
		}
		sum := sha256.Sum256(data)
		stem, ending, _ := strings.Cut(a.name, ".")
		name := stem + "-" + strings.NewReplacer("_", "a", "-", "b").Replace(base64.RawURLEncoding.EncodeToString(sum[:9])) + "." + ending
		s.assets[a.name], files[name] = name, data
	}
	return files, nil
}

// A frame is the data of the template of a page.
type frame struct {
	page

	Base    string // the prefix of links to other pages
	Root    string // the link to the first page
	Product string
	Assets  map[string]string
	Groups  []links
	Content template.HTML
	Before  *page // the guides before and after this one
	After   *page
}

// links is a group of the navigation.
type links struct {
	Title string
	Pages []page
}

// framed returns the whole page. The first page is /docs, without a slash at its end, so
// its links begin with another prefix than those of all other pages.
func (s *site) framed(at int) ([]byte, error) {
	p := s.pages[at]
	f := frame{page: p, Root: "../docs", Product: "One Agents", Assets: s.assets, Content: p.content}
	if p.Name == "index" {
		f.Base, f.Root = "docs/", "docs"
		f.Content = template.HTML(strings.ReplaceAll(string(p.content), ` href="@`, ` href="docs/`)) //nolint:gosec // see markup.
	} else {
		f.Content = template.HTML(strings.ReplaceAll(string(p.content), ` href="@`, ` href="`)) //nolint:gosec // see markup.
	}
	reference := slices.IndexFunc(s.pages, func(p page) bool { return p.Name == basics })
	f.Groups = []links{{"Guides", s.pages[1:reference]}, {"API reference", s.pages[reference:]}}
	if at < reference {
		if at > 0 {
			f.Before = &s.pages[at-1]
		}
		f.After = &s.pages[at+1]
	}
	var out bytes.Buffer
	err := s.shell.ExecuteTemplate(&out, "page.html.tmpl", f)
	return out.Bytes(), err
}

// An entry is a place that the search finds.
type entry struct {
	Title string `json:"t"`
	Page  string `json:"p"` // the title of its page
	Link  string `json:"u"` // relative to the folder of the pages
	Text  string `json:"x"`
}

// index returns the entries of all pages as JSON.
func (s *site) index() ([]byte, error) {
	var all []entry
	for _, p := range s.pages {
		for _, e := range p.entries {
			e.Page, e.Text = p.Title, short(e.Text)
			all = append(all, e)
		}
	}
	return json.Marshal(all)
}

// short returns the beginning of a text, on one line.
func short(text string) string {
	const most = 400
	line := strings.Join(strings.Fields(text), " ")
	if len(line) <= most {
		return line
	}
	end := strings.LastIndexByte(line[:most], ' ')
	return line[:cmp.Or(max(end, 0), most)] + " …"
}
