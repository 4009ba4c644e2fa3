package httpapi

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // for the files below
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
)

// The contract as it is served, and the page that shows it.
var (
	//go:embed openapi.gen.json
	openAPI []byte
	//go:embed docs/docs.html.tmpl
	docsPage string
	//go:embed docs/docs.css
	docsStyle string
	//go:embed docs/docs.js
	docsScript string
)

// Documents returns the handler of the two endpoints that show the contract. It
// is for everybody: the edge needs neither an Authenticator nor a CursorKey.
func Documents(edge Edge) http.Handler { return edge.mount(documents()) }

// file returns the handler of something that is always the same.
func file(contentType string, data []byte, policy string) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		in, err := newInput(r)
		if err != nil {
			return err
		}
		if err := in.done(); err != nil {
			return err
		}
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Content-Security-Policy", policy)
		_, err = w.Write(data)
		return err
	}
}

// contract returns the handler of the contract itself.
func contract() handler { return file("application/json", openAPI, "default-src 'none'") }

// docs returns the handler of the page: the contract rendered once, with
// nothing from elsewhere, and allowed nothing but to call this API.
func docs() handler {
	page, err := pageOf(openAPI)
	if err != nil {
		panic(err) // both are files of ours; a test renders them
	}
	policy := fmt.Sprintf("default-src 'none'; style-src %s; script-src %s; connect-src 'self'; "+
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'", hash(docsStyle), hash(docsScript))
	return file("text/html; charset=utf-8", page, policy)
}

// hash returns the source expression that allows this inline text alone.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// An outline is what the page shows of the contract.
type outline struct {
	Info       map[string]any                        `json:"info"`
	Tags       []group                               `json:"tags"`
	Paths      map[string]map[string]json.RawMessage `json:"paths"`
	Components struct {
		Schemas    map[string]json.RawMessage `json:"schemas"`
		Parameters map[string]parameter       `json:"parameters"`
		Responses  map[string]response        `json:"responses"`
	} `json:"components"`
}

// A group is the operations of a tag.
type group struct {
	Name        string      `json:"name"`
	Description string      `json:"description"`
	Operations  []operation `json:"-"`
}

type operation struct {
	Method      string              `json:"-"`
	Path        string              `json:"-"`
	Tags        []string            `json:"tags"`
	OperationID string              `json:"operationId"`
	Summary     string              `json:"summary"`
	Description string              `json:"description"`
	Parameters  []parameter         `json:"parameters"`
	RequestBody body                `json:"requestBody"`
	Responses   map[string]response `json:"responses"`
}

type parameter struct {
	Ref         string `json:"$ref"`
	Name        string `json:"name"`
	In          string `json:"in"`
	Description string `json:"description"`
	Required    bool   `json:"required"`
	Schema      schema `json:"schema"`
}

type response struct {
	Ref         string  `json:"$ref"`
	Description string  `json:"description"`
	Content     content `json:"content"`
}

type body struct {
	Content content `json:"content"`
}

type content map[string]media

type media struct {
	Schema schema `json:"schema"`
}

// A schema is shown by its name or, without one, as it is.
type schema struct{ Name, JSON string }

func (s *schema) UnmarshalJSON(data []byte) error {
	var ref struct {
		Ref string `json:"$ref"`
	}
	if err := json.Unmarshal(data, &ref); err != nil {
		return err
	}
	if ref.Ref != "" {
		s.Name = path.Base(ref.Ref)
	}
	var compact bytes.Buffer
	err := json.Compact(&compact, data)
	s.JSON = compact.String()
	return err
}

// of returns the one schema of a content, or nil.
func (c content) of() *schema {
	for _, m := range c {
		return &m.Schema
	}
	return nil
}

// Body returns the schema of the request's body, or nil.
func (o operation) Body() *schema { return o.RequestBody.Content.of() }

// An answer is a line of an operation's table.
type answer struct {
	Status, Description string
	Schema              *schema
}

// Answers returns what the operation may answer.
func (o operation) Answers() []answer {
	var all []answer
	for _, status := range slices.Sorted(maps.Keys(o.Responses)) {
		r := o.Responses[status]
		all = append(all, answer{status, r.Description, r.Content.of()})
	}
	return all
}

// operations returns all operations with their references followed.
func (d outline) operations() ([]operation, error) {
	var all []operation
	for _, p := range slices.Sorted(maps.Keys(d.Paths)) {
		var shared []parameter
		item := d.Paths[p]
		if raw, ok := item["parameters"]; ok {
			if err := json.Unmarshal(raw, &shared); err != nil {
				return nil, err
			}
		}
		for _, method := range []string{"get", "post", "put", "delete"} {
			raw, ok := item[method]
			if !ok {
				continue
			}
			o := operation{Method: strings.ToUpper(method), Path: p}
			if err := json.Unmarshal(raw, &o); err != nil {
				return nil, err
			}
			o.Parameters = append(slices.Clone(shared), o.Parameters...)
			d.follow(o)
			all = append(all, o)
		}
	}
	return all, nil
}

// follow puts in place what an operation refers to.
func (d outline) follow(o operation) {
	for i, p := range o.Parameters {
		if p.Ref != "" {
			o.Parameters[i] = d.Components.Parameters[path.Base(p.Ref)]
		}
	}
	for status, r := range o.Responses {
		if r.Ref != "" {
			o.Responses[status] = d.Components.Responses[path.Base(r.Ref)]
		}
	}
}

// schemas returns all schemas, to be read.
func (d outline) schemas() ([]schema, error) {
	var all []schema
	for _, name := range slices.Sorted(maps.Keys(d.Components.Schemas)) {
		var text bytes.Buffer
		if err := json.Indent(&text, d.Components.Schemas[name], "", "  "); err != nil {
			return nil, err
		}
		all = append(all, schema{name, text.String()})
	}
	return all, nil
}

// pageOf returns the page that shows a document.
func pageOf(document []byte) ([]byte, error) {
	var d outline
	if err := json.Unmarshal(document, &d); err != nil {
		return nil, err
	}
	all, err := d.operations()
	if err != nil {
		return nil, err
	}
	for i, g := range d.Tags {
		d.Tags[i].Operations = slices.DeleteFunc(slices.Clone(all), func(o operation) bool {
			return !slices.Contains(o.Tags, g.Name)
		})
	}
	schemas, err := d.schemas()
	if err != nil {
		return nil, err
	}
	page, err := template.New("docs").Parse(docsPage)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = page.Execute(&out, map[string]any{
		"Info": d.Info, "Groups": d.Tags, "Schemas": schemas,
		"Style": template.CSS(docsStyle), "Script": template.JS(docsScript), //nolint:gosec // files of ours.
	})
	return out.Bytes(), err
}
