// Package template holds agents that many organizations want, to be cloned and
// made their own.
//
// A template is a file, files/<name>.json, called tmpl_<name>: a new one is a
// new file. Its definition is what the API takes, without the name and the
// description, which are the template's own. It is valid as it stands, so that a
// clone is too. What only the organization knows has a value that reaches nobody:
// an address, a number or a host that is reserved for examples. The description
// says what to fill in, and a clone cannot be activated before that.
package template

import (
	"bytes"
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
)

// Files holds the templates.
//
//go:embed files/*.json
var Files embed.FS

// ErrNotFound is the fault of a template that there is not.
var ErrNotFound = fault.New(fault.Missing, "template_not_found", "No such template.")

// A Category is what part of a business a template is for. It is not the
// category of the agent, which is one of the catalogue's.
type Category string

// The categories.
const (
	Operations Category = "operations"
	Security   Category = "security"
	Billing    Category = "billing"
	HR         Category = "hr"
	Custom     Category = "custom"
)

// Categories returns all categories, in the order of a list.
func Categories() []Category { return []Category{Operations, Security, Billing, HR, Custom} }

// A Template is an agent to be cloned.
type Template struct {
	ID         id.Template
	Category   Category
	Version    string
	Definition definition.Definition // has the template's name and description
}

// Load reads the templates, sorted by category and name, and checks each whole.
func Load(files fs.FS, rules definition.Rules) ([]Template, error) {
	names, err := fs.Glob(files, "files/*.json")
	if err != nil {
		return nil, err
	}
	all := make([]Template, 0, len(names))
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		t, err := parse(data, rules)
		if err == nil && string(t.ID) != "tmpl_"+strings.TrimSuffix(path.Base(name), ".json") {
			err = fmt.Errorf("it is called %s", t.ID)
		}
		if err != nil {
			return nil, fmt.Errorf("template %s: %w", name, err)
		}
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b Template) int {
		return cmp.Or(
			cmp.Compare(slices.Index(Categories(), a.Category), slices.Index(Categories(), b.Category)),
			cmp.Compare(a.Definition.Name, b.Definition.Name), cmp.Compare(a.ID, b.ID),
		)
	})
	return all, nil
}

func parse(data []byte, rules definition.Rules) (Template, error) {
	var f struct {
		ID          id.Template     `json:"id"`
		Category    Category        `json:"category"`
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Version     string          `json:"version"`
		Definition  json.RawMessage `json:"definition"`
	}
	if _, err := jsonvalue.Object(data); err != nil {
		return Template{}, err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return Template{}, err
	}
	switch {
	case !id.Valid("tmpl_", string(f.ID)):
		return Template{}, fmt.Errorf("%q is no id of a template", f.ID)
	case !slices.Contains(Categories(), f.Category):
		return Template{}, fmt.Errorf("there is no category %q", f.Category)
	case f.Version == "" || f.Description == "":
		return Template{}, errors.New("it needs a version and a description")
	}
	doc, err := jsonvalue.Object(f.Definition)
	if err != nil {
		return Template{}, fmt.Errorf("definition: %w", err)
	}
	for field, v := range map[string]string{"name": f.Name, "description": f.Description} {
		if _, twice := doc[field]; twice {
			return Template{}, fmt.Errorf("the definition has a %s; the template's is enough", field)
		}
		doc[field] = v
	}
	d, err := rules.Parse(doc)
	if err != nil {
		return Template{}, fmt.Errorf("definition: %w %v", err, fault.From(err).Details)
	}
	return Template{ID: f.ID, Category: f.Category, Version: f.Version, Definition: d}, nil
}

// Agents keeps agents; see agent.Service.
type Agents interface {
	// Copy stores a draft with the definition, under another name if one is given.
	Copy(ctx context.Context, who caller.Caller, d definition.Definition, name string) (agent.Agent, error)
}

// Service shows templates and clones them on behalf of callers.
type Service struct {
	All    func() ([]Template, error) // see Load
	Agents Agents
}

// List returns the templates of a category, or of all if it is empty, sorted by
// category and name.
func (s *Service) List(c Category) ([]Template, error) {
	all, err := s.All()
	if err != nil || c == "" {
		return all, err
	}
	return slices.DeleteFunc(slices.Clone(all), func(t Template) bool { return t.Category != c }), nil
}

// Get returns a template, or ErrNotFound.
func (s *Service) Get(name id.Template) (Template, error) {
	all, err := s.All()
	if err != nil {
		return Template{}, err
	}
	i := slices.IndexFunc(all, func(t Template) bool { return t.ID == name })
	if i < 0 {
		return Template{}, ErrNotFound
	}
	return all[i], nil
}

// Clone stores a draft that is a copy of a template, under the template's name
// unless another is given, or returns ErrNotFound.
func (s *Service) Clone(ctx context.Context, who caller.Caller, name id.Template, as string) (agent.Agent, error) {
	t, err := s.Get(name)
	if err != nil {
		return agent.Agent{}, err
	}
	return s.Agents.Copy(ctx, who, t.Definition, as)
}
