// Package template holds ready-made agents for organizations to clone and
// adapt.
//
// A template is a file, files/<name>.json, with the id tmpl_<name>; adding a
// file adds a template. Its definition has the API's format, without name and
// description, which are those of the template. It is valid unchanged, and so
// is its clone. Values that only the organization knows are addresses, numbers
// or hosts reserved for examples, which reach no recipient. The description
// says which to replace, and a clone cannot be activated before that.
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

// ErrNotFound is the fault of an unknown template.
var ErrNotFound = fault.New(fault.Missing, "template_not_found", "No such template.")

// A Category is the part of a business that a template is for. It is not the
// category of the agent, which the catalogue defines.
type Category string

// The categories.
const (
	Operations Category = "operations"
	Security   Category = "security"
	Billing    Category = "billing"
	HR         Category = "hr"
	Custom     Category = "custom"
)

// Categories returns all categories in display order.
func Categories() []Category { return []Category{Operations, Security, Billing, HR, Custom} }

// A Template is an agent to clone.
type Template struct {
	ID         id.Template
	Category   Category
	Version    string
	Definition definition.Definition // has the template's name and description
}

// Load reads and checks the templates, sorted by category and name.
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
			err = fmt.Errorf("its id is %s; it must be tmpl_ and the file name without .json", t.ID)
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
		return Template{}, fmt.Errorf("%q is not a template id, such as tmpl_backup_failure_triage", f.ID)
	case !slices.Contains(Categories(), f.Category):
		return Template{}, fmt.Errorf("category %q must be one of %v", f.Category, Categories())
	case f.Version == "" || f.Description == "":
		return Template{}, errors.New("version or description is missing")
	}
	doc, err := jsonvalue.Object(f.Definition)
	if err != nil {
		return Template{}, fmt.Errorf("definition: %w", err)
	}
	for field, v := range map[string]string{"name": f.Name, "description": f.Description} {
		if _, twice := doc[field]; twice {
			return Template{}, fmt.Errorf("the definition has a %s, which the template itself has", field)
		}
		doc[field] = v
	}
	d, err := rules.Parse(doc)
	if err != nil {
		return Template{}, fmt.Errorf("definition: %w %v", err, fault.From(err).Details)
	}
	return Template{ID: f.ID, Category: f.Category, Version: f.Version, Definition: d}, nil
}

// Agents stores agents; see agent.Service.
type Agents interface {
	// Copy stores a draft with the definition, under the given name unless it
	// is empty.
	Copy(ctx context.Context, who caller.Caller, source id.Template, d definition.Definition, name string) (agent.Agent, error)
}

// Service lists and clones templates for callers.
type Service struct {
	All    func() ([]Template, error) // see Load
	Agents Agents
}

// List returns the templates of a category, or all if c is empty, sorted by
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

// Clone stores a draft from a template, named as or, if that is empty, like the
// template. It returns ErrNotFound.
func (s *Service) Clone(ctx context.Context, who caller.Caller, name id.Template, as string) (agent.Agent, error) {
	t, err := s.Get(name)
	if err != nil {
		return agent.Agent{}, err
	}
	return s.Agents.Copy(ctx, who, t.ID, t.Definition, as)
}
