package template_test

import (
	"context"
	"errors"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/events"
	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/memory"
	"theoneagents.app/agents/shared/render"
	"theoneagents.app/agents/shared/template"
	"theoneagents.app/agents/shared/tenant"
)

// loaded returns the real catalogue.
var loaded = sync.OnceValues(func() (catalog.Catalog, error) { return catalog.Load(events.Files) })

func rules(t *testing.T) definition.Rules {
	t.Helper()
	c, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	return definition.Rules{Catalog: c}
}

func load(t *testing.T) []template.Template {
	t.Helper()
	all, err := template.Load(template.Files, rules(t))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// texts calls f for every text at any depth.
func texts(v any, f func(string)) {
	switch v := v.(type) {
	case string:
		f(v)
	case []any:
		for _, e := range v {
			texts(e, f)
		}
	case map[string]any:
		for _, e := range v {
			texts(e, f)
		}
	}
}

// reservedRecipient matches recipients that a file may contain: reserved for
// examples (RFC 2606), or unassigned numbers.
var reservedRecipient = regexp.MustCompile(`^(\+15550000000|[a-z]+@example\.com|https://hooks\.example\.com/[a-z-]+)$`)

func TestEveryTemplateIsValidUnchanged(t *testing.T) {
	t.Parallel()

	r := rules(t)
	for _, tm := range load(t) {
		t.Run(string(tm.ID), func(t *testing.T) {
			t.Parallel()

			d := tm.Definition
			if d.Description == "" || d.Conflict != definition.Additive || tm.Version != "1.0.0" {
				t.Errorf("%+v", tm)
			}
			if err := r.Valid(d); err != nil {
				t.Errorf("%v", err)
			}
			fill := d.Scope.Include != nil
			definition.EachStep(d.Steps, func(s definition.Step) {
				if s.Name == "" {
					t.Errorf("%s has no name", s.ID)
				}
				var people []string
				if s.NotificationStep != nil {
					people = append(people, s.Recipients...)
				}
				if s.GateStep != nil {
					for _, n := range s.Notify {
						people = append(people, n.Recipients...)
					}
				}
				for _, p := range people {
					if strings.Contains(p, "{{") {
						continue
					}
					fill = true
					if !reservedRecipient.MatchString(p) {
						t.Errorf("%s tells %s, who may be somebody", s.ID, p)
					}
				}
				if s.ActionStep != nil && s.Action == "run_script" {
					fill = true
				}
			})
			if says := strings.Contains(d.Description, "fill in"); says != fill {
				t.Errorf("something is to be filled in: %v; the description says so: %v", fill, says)
			}
		})
	}
}

// filled returns steps with real recipients in place of those reserved for
// examples.
func filled(t *testing.T, steps []definition.Step) any {
	t.Helper()
	doc, err := jsonvalue.Decode([]byte(strings.NewReplacer(
		"+15550000000", "+12125551234", "example.com", "msp.com",
	).Replace(jsonvalue.Canonical(steps))))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestEveryCloneIsADraftThatCanBeActivatedOnceItIsFilledIn(t *testing.T) {
	t.Parallel()

	store := memory.New()
	now := time.Date(2026, time.March, 9, 14, 0, 0, 0, time.UTC)
	org := tenant.Tenant{Org: "org_a", Plan: credit.Scale, Created: now, Updated: now}
	if err := store.SaveTenant(t.Context(), org, "2026-03"); err != nil {
		t.Fatal(err)
	}
	made := 0
	agents := &agent.Service{
		Store: store, Plans: store, Rules: rules(t), Settings: store, Now: func() time.Time { return now },
		NewID: func() id.Agent { made++; return id.Agent("agent_" + strconv.Itoa(made)) },
	}
	all := load(t)
	s := &template.Service{Agents: agents, All: func() ([]template.Template, error) { return all, nil }}
	who := caller.Caller{Org: "org_a"}
	for _, tm := range all {
		a, err := s.Clone(t.Context(), who, tm.ID, "")
		if err != nil || a.Name != tm.Definition.Name || a.Type != agent.Cloned || a.Status != agent.Draft || a.Version != 1 {
			t.Errorf("%s: %+v, %v", tm.ID, a.Head, err)
		}
		if diff := cmp.Diff(tm.Definition, a.Definition); diff != "" {
			t.Errorf("%s (-template +clone):\n%s", tm.ID, diff)
		}
		active := map[string]any{"status": "active"}
		_, err = agents.Update(t.Context(), who, a.ID, agent.Patch{Fields: active})
		var left []string
		for _, d := range fault.From(err).Details {
			left = append(left, d.Path)
			if !strings.Contains(d.Message, "is a placeholder of the template;") {
				t.Errorf("%s: %s: %s", tm.ID, d.Path, d.Message)
			}
		}
		if diff := cmp.Diff(unfilled(tm.Definition), left); diff != "" {
			t.Errorf("%s (-placeholders +refused):\n%s", tm.ID, diff)
		}
		copied, err := agents.Clone(t.Context(), who, a.ID, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := agents.Update(t.Context(), who, copied.ID, agent.Patch{Fields: active}); (err != nil) != (len(left) > 0) {
			t.Errorf("%s: a clone of its clone: %v", tm.ID, err)
		}
		active["steps"] = filled(t, tm.Definition.Steps)
		if _, err := agents.Update(t.Context(), who, a.ID, agent.Patch{Fields: active}); err != nil {
			t.Errorf("%s: %v", tm.ID, err)
		}
	}
	if a, err := s.Clone(t.Context(), who, all[0].ID, "Mine"); err != nil || a.Name != "Mine" || a.Definition.Name != "Mine" {
		t.Errorf("%+v, %v", a.Head, err)
	}
}

// unfilled returns the paths of reserved recipients in a definition.
func unfilled(d definition.Definition) []string {
	var paths []string
	var look func(at string, steps []definition.Step)
	list := func(at string, recipients []string) {
		for i, r := range recipients {
			if reservedRecipient.MatchString(r) {
				paths = append(paths, at+".recipients["+strconv.Itoa(i)+"]")
			}
		}
	}
	look = func(at string, steps []definition.Step) {
		for i, s := range steps {
			at := at + "[" + strconv.Itoa(i) + "]"
			if s.BranchStep != nil {
				for j, c := range s.Cases {
					look(at+".cases["+strconv.Itoa(j)+"].steps", c.Steps)
				}
				look(at+".else", s.Else)
			}
			if s.GateStep != nil {
				for j, n := range s.Notify {
					list(at+".notify["+strconv.Itoa(j)+"]", n.Recipients)
				}
			}
			if s.NotificationStep != nil {
				list(at, s.Recipients)
			}
		}
	}
	look("steps", d.Steps)
	return paths
}

func TestATemplateWarnsOnlyOfValuesToFillIn(t *testing.T) {
	t.Parallel()

	r := rules(t)
	for _, tm := range load(t) {
		var warned []string
		for _, w := range r.Warnings(tm.Definition) {
			warned = append(warned, w.Path)
			if !strings.Contains(w.Message, "is reserved for examples") {
				t.Errorf("%s: %s: %s", tm.ID, w.Path, w.Message)
			}
		}
		if diff := cmp.Diff(unfilled(tm.Definition), warned); diff != "" {
			t.Errorf("%s (-placeholders +warned):\n%s", tm.ID, diff)
		}
	}
}

// Every value that a template takes from the event is in the catalogue's
// sample.
func TestATemplateRefersOnlyToFieldsOfItsEvent(t *testing.T) {
	t.Parallel()

	r := rules(t)
	for _, tm := range load(t) {
		typ, _ := r.Catalog.Event(tm.Definition.Trigger.Event())
		sample := map[string]any{"event_payload": typ.Sample}
		doc, err := jsonvalue.Decode([]byte(jsonvalue.Canonical(tm.Definition.Steps)))
		if err != nil {
			t.Fatal(err)
		}
		texts(doc, func(text string) {
			paths, err := render.Paths(text)
			if err != nil {
				t.Errorf("%s: %q: %v", tm.ID, text, err)
			}
			for _, p := range paths {
				if _, ok := p.In(sample); !ok && p[0] == "event_payload" {
					t.Errorf("%s: the sample of %s has no %s", tm.ID, typ.Name(), p)
				}
			}
		})
	}
}

func TestEveryCategoryHasATemplate(t *testing.T) {
	t.Parallel()

	all := load(t)
	if len(all) < 20 {
		t.Errorf("%d templates", len(all))
	}
	found := map[template.Category]int{}
	names := map[string]bool{}
	for _, tm := range all {
		found[tm.Category]++
		if names[tm.Definition.Name] {
			t.Errorf("two are called %s", tm.Definition.Name)
		}
		names[tm.Definition.Name] = true
	}
	for _, c := range template.Categories() {
		if found[c] < 3 {
			t.Errorf("%d for %s", found[c], c)
		}
	}
	files, err := fs.Glob(template.Files, "files/*")
	if err != nil || len(files) != len(all) {
		t.Errorf("%d templates of %d files, %v", len(all), len(files), err)
	}
}

func TestSLAEscalationMatchesItsPublishedForm(t *testing.T) {
	t.Parallel()

	all := load(t)
	i := slices.IndexFunc(all, func(tm template.Template) bool { return tm.ID == "tmpl_sla_escalation" })
	if i < 0 {
		t.Fatal("there is none")
	}
	tm := all[i]
	got := []string{
		string(tm.Category), tm.Definition.Name, tm.Definition.Description, tm.Version,
		tm.Definition.Trigger.Type, tm.Definition.Trigger.EventType, tm.Definition.Trigger.Product,
	}
	want := []string{
		"operations", "SLA Escalation", "Notifies the assigned technician and their manager 30 minutes before SLA breach", "1.0.0",
		"bus_event", "ticket.sla_warning", "psa",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// fakeAgents records copied agents.
type fakeAgents struct {
	copied definition.Definition
	name   string
	err    error
}

func (d *fakeAgents) Copy(_ context.Context, who caller.Caller, source id.Template, def definition.Definition, name string) (agent.Agent, error) {
	d.copied, d.name = def, name
	return agent.Agent{Head: agent.Head{ID: "agent_1", Org: who.Org}, Definition: def}, d.err
}

func ids(all []template.Template) []id.Template {
	out := make([]id.Template, 0, len(all))
	for _, tm := range all {
		out = append(out, tm.ID)
	}
	return out
}

// newService returns a service over four templates.
func newService(t *testing.T, d *fakeAgents) *template.Service {
	t.Helper()
	files := fstest.MapFS{
		"files/b.json": file("tmpl_b", "custom", "B"), "files/c.json": file("tmpl_c", "security", "A"),
		"files/a.json": file("tmpl_a", "custom", "C"), "files/d.json": file("tmpl_d", "custom", "B"),
	}
	all, err := template.Load(files, rules(t))
	if err != nil {
		t.Fatal(err)
	}
	return &template.Service{All: func() ([]template.Template, error) { return all, d.err }, Agents: d}
}

const exampleAgent = `{"category": "service_desk", "trigger": {"type": "bus_event", "source_product": "psa", "event_type": "ticket.created"},
	"steps": [{"id": "wait", "type": "wait", "duration_seconds": 1}]}`

func file(name, category, title string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte(`{"id": "` + name + `", "category": "` + category + `", "name": "` + title +
		`", "description": "Waits.", "version": "1.0.0", "definition": ` + exampleAgent + `}`)}
}

func TestTheListIsSortedByCategoryAndName(t *testing.T) {
	t.Parallel()

	s := newService(t, &fakeAgents{})
	for category, want := range map[template.Category][]id.Template{
		"":                  {"tmpl_c", "tmpl_b", "tmpl_d", "tmpl_a"},
		template.Custom:     {"tmpl_b", "tmpl_d", "tmpl_a"},
		template.Security:   {"tmpl_c"},
		template.HR:         {},
		template.Operations: {},
	} {
		got, err := s.List(category)
		if diff := cmp.Diff(want, ids(got)); diff != "" || err != nil {
			t.Errorf("%q: %v\n%s", category, err, diff)
		}
	}
}

func TestACloneIsACopy(t *testing.T) {
	t.Parallel()

	d := &fakeAgents{}
	s := newService(t, d)
	who := caller.Caller{Org: "org_a"}
	a, err := s.Clone(t.Context(), who, "tmpl_c", "Mine")
	if err != nil || a.Org != "org_a" || d.name != "Mine" || d.copied.Name != "A" || d.copied.Description != "Waits." {
		t.Errorf("%+v, %v, copied %+v as %q", a, err, d.copied, d.name)
	}
	if _, err := s.Clone(t.Context(), who, "tmpl_c", ""); err != nil || d.name != "" {
		t.Errorf("%v, as %q", err, d.name)
	}
	if _, err := s.Clone(t.Context(), who, "tmpl_e", ""); !errors.Is(err, template.ErrNotFound) {
		t.Errorf("err = %v", err)
	}
	d.err = fs.ErrPermission
	if _, err := s.Clone(t.Context(), who, "tmpl_c", ""); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("err = %v", err)
	}
	if _, err := s.List(""); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("err = %v", err)
	}
}

func TestTheErrorOfAnInvalidFileNamesIt(t *testing.T) {
	t.Parallel()

	good := string(file("tmpl_a", "custom", "A").Data)
	for why, change := range map[string][2]string{
		"no JSON":          {good, "{"},
		"two values":       {good, good + "{}"},
		"another type":     {`"1.0.0"`, `1`},
		"unknown field":    {`"version"`, `"colour": "red", "version"`},
		"another name":     {"tmpl_a", "tmpl_b"},
		"no id":            {"tmpl_a", "a"},
		"unknown category": {`"custom"`, `"fun"`},
		"no version":       {"1.0.0", ""},
		"no description":   {"Waits.", ""},
		"no name":          {`"A"`, `""`},
		"no definition":    {exampleAgent, "null"},
		"two names":        {`{"category": "service_desk"`, `{"name": "B", "category": "service_desk"`},
		"two descriptions": {`{"category": "service_desk"`, `{"description": "B", "category": "service_desk"`},
		"unknown event":    {"ticket.created", "ticket.eaten"},
		"not the agents":   {`"wait", "duration_seconds": 1`, `"product_action", "product": "psa", "action": "delete_ticket"`},
	} {
		data := strings.Replace(good, change[0], change[1], 1)
		if data == good {
			t.Fatalf("%s: nothing changed", why)
		}
		_, err := template.Load(fstest.MapFS{"files/a.json": &fstest.MapFile{Data: []byte(data)}}, rules(t))
		if err == nil || !strings.Contains(err.Error(), "files/a.json") {
			t.Errorf("%s: err = %v", why, err)
		}
	}
	if code := fault.From(template.ErrNotFound).Code; code != "template_not_found" {
		t.Error(code)
	}
}
