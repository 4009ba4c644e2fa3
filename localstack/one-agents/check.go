package main

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"theoneagents.app/agents/events"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/input"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/rehearsal"
)

// A Report is what the program found, as -json writes it.
type Report struct {
	Agents []Agent `json:"agents"`
	Tests  int     `json:"tests"`
	Failed int     `json:"failed"`
	Faults int     `json:"faults"` // of definitions and fixtures
}

// An Agent is one definition with its tests.
type Agent struct {
	File   string         `json:"file"`
	Faults []fault.Detail `json:"faults"`
	Tests  []Test         `json:"tests"`
}

// A Test is one test of a fixture.
type Test struct {
	Name        string            `json:"name"`
	Passed      bool              `json:"passed"`
	Differences []fault.Detail    `json:"differences"` // from what the fixture expects
	Result      *rehearsal.Result `json:"result"`
}

const suffix = ".tests.json"

// check checks the definitions of a folder and, if play is set, plays their tests.
func check(ctx context.Context, definitions, fixtures fs.FS, play bool) (Report, error) {
	r := Report{Agents: []Agent{}}
	names, err := fs.Glob(definitions, "*.json")
	if err != nil {
		return r, err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return strings.HasSuffix(name, suffix) })
	if len(names) == 0 {
		return r, errors.New("the folder has no definition: no file *.json")
	}
	c, err := catalog.Load(events.Files)
	if err != nil {
		return r, err
	}
	service := &rehearsal.Service{Rules: definition.Rules{Catalog: c}}
	known := map[string]bool{}
	for _, name := range names {
		a := Agent{File: name, Faults: []fault.Detail{}, Tests: []Test{}}
		known[strings.TrimSuffix(name, ".json")+suffix] = true
		d, err := read(definitions, name, service.Rules)
		switch {
		case err != nil:
			a.Faults = details(err)
		case play:
			a.play(ctx, service, d, fixtures)
		}
		r.Agents = append(r.Agents, a)
	}
	if play {
		strays, err := stray(fixtures, known)
		if err != nil {
			return r, err
		}
		r.Agents = append(r.Agents, strays...)
	}
	for _, a := range r.Agents {
		r.Faults += len(a.Faults)
		for _, t := range a.Tests {
			r.Tests++
			if !t.Passed {
				r.Failed++
			}
		}
	}
	return r, nil
}

// stray returns the fixtures without a definition as faults: their tests would never
// run.
func stray(fixtures fs.FS, known map[string]bool) ([]Agent, error) {
	names, err := fs.Glob(fixtures, "*"+suffix)
	var all []Agent
	for _, name := range names {
		if !known[name] {
			all = append(all, Agent{File: name, Tests: []Test{}, Faults: []fault.Detail{{
				Message: "There is no definition " + strings.TrimSuffix(name, suffix) + ".json.",
			}}})
		}
	}
	return all, err
}

// read reads a definition, or the definition of a template.
func read(files fs.FS, name string, rules definition.Rules) (definition.Definition, error) {
	doc, err := document(files, name)
	if err != nil {
		return definition.Definition{}, err
	}
	if inner, isTemplate := doc["definition"].(map[string]any); isTemplate {
		for _, field := range []string{"name", "description"} {
			if v, ok := doc[field]; ok {
				inner[field] = v
			}
		}
		doc = inner
	}
	return rules.Parse(doc)
}

func document(files fs.FS, name string) (map[string]any, error) {
	data, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, err
	}
	return jsonvalue.Object(data)
}

// details returns an error as faults of a file.
func details(err error) []fault.Detail {
	if all := fault.From(err).Details; len(all) > 0 {
		return all
	}
	return []fault.Detail{{Message: err.Error()}}
}

// play plays the tests of a definition, if it has a fixture.
func (a *Agent) play(ctx context.Context, service *rehearsal.Service, d definition.Definition, fixtures fs.FS) {
	name := strings.TrimSuffix(path.Base(a.File), ".json")
	file := name + suffix
	if _, err := fs.Stat(fixtures, file); err != nil {
		return
	}
	doc, err := document(fixtures, file)
	if err != nil {
		a.Faults = append(a.Faults, fault.Detail{Path: file, Message: err.Error()})
		return
	}
	r := &input.Reader{}
	o := r.Object(file, doc)
	for i, v := range o.NeedList("tests", 1000) {
		t := r.Object(input.Index(file+".tests", i), v)
		a.test(ctx, service, d, name, t)
	}
	o.Done()
	a.Faults = append(a.Faults, r.Faults...)
}

// When and for whom a test plays, unless its request has a time.
const (
	org  = id.Org("org_test")
	plan = credit.Growth
)

func noon() time.Time { return time.Date(2026, 3, 9, 14, 30, 0, 0, time.UTC) }

// test plays one test. It adds the faults of the test to its reader.
func (a *Agent) test(ctx context.Context, service *rehearsal.Service, d definition.Definition, name string, t input.Object) {
	before := len(t.Faults)
	title := t.NeedText("name", 200)
	expect, _ := t.Need("expect")
	given, _ := t.Get("request")
	if given == nil {
		given = map[string]any{}
	}
	request := t.Object(t.At("request"), given)
	q := rehearsal.Read(request)
	request.Done()
	t.Done()
	if q.Version > 0 || q.Definition != nil || q.Execution != "" {
		t.Fault(t.At("request"), "must not have version, definition or execution_id: the file has the definition, and there are no executions")
	}
	if q.Recorded {
		t.Fault(request.At("model"), "must not be recorded: there are no executions whose answers could be taken; give the answers by step")
	}
	if q.Live {
		t.Fault(request.At("model"), "must not be live: the program asks no model; give the answers by step")
	}
	if len(t.Faults) > before {
		return
	}
	at := q.At
	if at.IsZero() {
		at = noon()
	}
	answers, faults := q.Check(d)
	e, source, more := q.EventFor(service.Rules.Catalog, d, org, at)
	for _, f := range append(faults, more...) {
		t.Fault(request.At(f.Path), "%s", f.Message)
	}
	if len(t.Faults) > before {
		return
	}
	result, err := service.Run(ctx, rehearsal.Play{
		Org: org, Plan: plan, Agent: id.Agent("agent_" + name), Version: 1, Definition: d, Event: e, Source: source, Client: q.Profile, At: at, Answers: answers,
	})
	one := Test{Name: title, Differences: []fault.Detail{}}
	if err != nil {
		one.Differences = append(one.Differences, fault.Detail{Message: fault.From(err).Message})
	} else {
		one.Result = &result
		one.Differences = differences(one.Differences, "", expect, plain(result))
	}
	one.Passed = len(one.Differences) == 0
	a.Tests = append(a.Tests, one)
}
