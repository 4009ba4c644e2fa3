package docs

import (
	"bytes"
	"fmt"
	"html/template"
	"net/http"
	"strings"
)

// The pages of the reference that belong to no group of operations.
const (
	basics  = "api"
	schemas = "api-schemas"
)

// groupPage returns the name of the page of a group of operations.
func groupPage(group string) string { return "api-" + group }

// reference makes the pages of the reference: the basics, a page for each group of
// operations, and the schemas.
func (s *site) reference() error {
	first := page{Name: basics, Title: "Basics", About: s.contract.Summary}
	var err error
	var found []entry
	source := "# " + s.contract.Title + "\n\n" + s.contract.Summary + " Version " + s.contract.Version +
		"; also as an OpenAPI document at `/api/openapi.json`.\n\n" + s.contract.Description
	if first.content, first.Sections, found, err = s.text.guide(basics, []byte(source)); err != nil {
		return err
	}
	first.entries = found
	s.pages = append(s.pages, first)
	for _, g := range s.contract.Groups {
		p := page{Name: groupPage(g.Name), Title: title(g.Name), About: g.Description}
		p.entries = append(p.entries, entry{Title: p.Title, Link: p.Name, Text: g.Description})
		for _, o := range g.Operations {
			p.Sections = append(p.Sections, section{o.ID, o.Summary})
			p.entries = append(p.entries, entry{Title: o.Summary, Link: p.Name + "#" + o.ID, Text: o.Method + " " + o.Path + " " + o.ID + " " + o.Description})
		}
		if p.content, err = s.rendered("group.html.tmpl", map[string]any{"Group": g, "Title": p.Title}); err != nil {
			return fmt.Errorf("group %s: %w", g.Name, err)
		}
		s.pages = append(s.pages, p)
	}
	last := page{Name: schemas, Title: "Schemas", About: "The types of requests and responses."}
	last.entries = append(last.entries, entry{Title: last.Title, Link: last.Name, Text: last.About})
	for _, sc := range s.contract.Schemas {
		var names []string
		for _, p := range sc.Properties {
			names = append(names, p.Name)
		}
		last.entries = append(last.entries, entry{Title: sc.Name, Link: schemas + "#" + sc.Name, Text: strings.Join(names, " ") + " " + sc.Description})
	}
	if last.content, err = s.rendered("schemas.html.tmpl", s.contract.Schemas); err != nil {
		return fmt.Errorf("schemas: %w", err)
	}
	s.pages = append(s.pages, last)
	return nil
}

func (s *site) rendered(name string, data any) (template.HTML, error) {
	var out bytes.Buffer
	err := s.shell.ExecuteTemplate(&out, name, data)
	return template.HTML(out.String()), err //nolint:gosec // html/template made it.
}

// Curl returns a call of the operation with its example: a line for a shell, which has
// the address of the API in $api and a session token in $token.
func (o operation) Curl() string {
	var line strings.Builder
	line.WriteString("curl -s")
	if o.Method != http.MethodGet {
		line.WriteString(" -X " + o.Method)
	}
	if len(o.Who.Roles) > 0 {
		line.WriteString(` -H "Authorization: Bearer $token"`)
	}
	path := o.Path
	for _, p := range o.Parameters {
		if p.In == "header" && p.Name == "If-Match" {
			line.WriteString(` -H 'If-Match: "…"'`)
		}
		if p.In == "path" {
			path = strings.ReplaceAll(path, "{"+p.Name+"}", "…")
		}
	}
	if o.Body != nil && len(o.Body.Examples) > 0 {
		line.WriteString(" \\\n  -H 'Content-Type: application/json' -d @body.json")
	}
	line.WriteString(" \\\n  \"$api" + path + "\"")
	return line.String()
}
