package agent_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/render"
	"theoneagents.app/agents/shared/tenant"
)

// system returns the system agents by id.
func system(t testing.TB) map[id.Agent]agent.Agent {
	t.Helper()
	agents, err := agent.SystemAgents(rules(t))
	if err != nil {
		t.Fatal(err)
	}
	byID := map[id.Agent]agent.Agent{}
	for _, a := range agents {
		byID[a.ID] = a
	}
	return byID
}

func TestEverySystemAgentIsValid(t *testing.T) {
	t.Parallel()

	for name, a := range system(t) {
		t.Run(string(name), func(t *testing.T) {
			t.Parallel()

			if a.Org != id.System || a.Type != agent.System || a.Status != agent.Active || a.Version != 1 || a.Revision != 1 {
				t.Errorf("%+v", a.Head)
			}
			if !strings.HasPrefix(string(a.ID), "agent_system_") || !id.Valid("agent_", string(a.ID)) {
				t.Errorf("its id is %s", a.ID)
			}
			if a.Name != a.Definition.Name || a.Category != a.Definition.Category || a.Definition.Description == "" {
				t.Errorf("%+v", a.Head)
			}
			if err := rules(t).Valid(a.Definition); err != nil && a.ID != "agent_system_dispatch" {
				t.Errorf("%v", faults(err)) // only Dispatch publishes without a gate
			}
			if warnings := (&agent.Service{Rules: rules(t), System: []agent.Agent{a}}).Warnings(t.Context(), a); len(warnings) > 0 {
				t.Errorf("%v", warnings)
			}
			if a.Definition.Conflict != definition.Additive || a.Created.IsZero() {
				t.Errorf("%s, created %v", a.Definition.Conflict, a.Created)
			}
		})
	}
}

// A released version never changes: runs go on with it, and traces are read with it. A
// change of a system agent is a new file with the next number, and a line here.
func TestAReleasedVersionOfASystemAgentNeverChanges(t *testing.T) {
	t.Parallel()

	released := map[string]string{
		"agent_system_advisor 1": "00de3e7736f801a9", "agent_system_dispatch 1": "f821076ff99fe5ae", "agent_system_dispatch 2": "704b8bea9a946faf",
		"agent_system_guardian 1": "0bebaabcd7b63cd7", "agent_system_security_response 1": "c3007b6aab4ddbe4",
	}
	found := map[string]string{}
	for name, a := range system(t) {
		for i, e := range a.Editions {
			if e.Number != i+1 || e.Created.IsZero() || e.CreatedBy != id.Platform {
				t.Errorf("edition %d of %s: number %d, created %v by %q", i+1, name, e.Number, e.Created, e.CreatedBy)
			}
			sum := sha256.Sum256([]byte(jsonvalue.Canonical(e.Definition)))
			found[fmt.Sprintf("%s %d", name, e.Number)] = hex.EncodeToString(sum[:8])
		}
	}
	if diff := cmp.Diff(released, found); diff != "" {
		t.Errorf("versions (-released +found)\n%s", diff)
	}
}

func TestAnOrganizationHasTheNewestVersionForItsChoice(t *testing.T) {
	t.Parallel()

	edition := func(number int, choice tenant.Choice) agent.Edition {
		e := agent.Edition{Version: agent.Version{Number: number}}
		if choice != "" {
			e.Policy, e.Choice = tenant.DispatchNotes, choice
		}
		return e
	}
	internal := tenant.Settings{Chosen: map[tenant.Policy]tenant.Choice{tenant.DispatchNotes: tenant.Internal}}
	for name, tc := range map[string]struct {
		editions           []agent.Edition
		everyone, internal int
	}{
		"one for everyone":           {[]agent.Edition{edition(1, "")}, 1, 1},
		"one for the choice":         {[]agent.Edition{edition(1, ""), edition(2, tenant.Internal)}, 1, 2},
		"a new one for everyone":     {[]agent.Edition{edition(1, ""), edition(2, tenant.Internal), edition(3, "")}, 3, 2},
		"a new one for the choice":   {[]agent.Edition{edition(1, ""), edition(2, tenant.Internal), edition(3, tenant.Internal)}, 1, 3},
		"a new one for each of them": {[]agent.Edition{edition(1, ""), edition(2, tenant.Internal), edition(3, ""), edition(4, tenant.Internal)}, 3, 4},
	} {
		a := agent.Agent{Editions: tc.editions}
		if got := a.For(tenant.Settings{}).Version; got != tc.everyone {
			t.Errorf("%s: without a choice %d, want %d", name, got, tc.everyone)
		}
		if got := a.For(internal).Version; got != tc.internal {
			t.Errorf("%s: with the choice %d, want %d", name, got, tc.internal)
		}
	}
}

func TestTheVersionsOfASystemAgentAreListed(t *testing.T) {
	t.Parallel()

	w := newFixture()
	s := w.service(t)
	var numbers []int
	for before := 0; ; {
		p, err := s.Versions(t.Context(), member, dispatch, agent.VersionQuery{Before: before, Limit: 1})
		if err != nil || len(p.Versions) != 1 {
			t.Fatalf("before %d: %+v, %v", before, p, err)
		}
		numbers = append(numbers, p.Versions[0].Number)
		if before = p.Next; before == 0 {
			break
		}
	}
	if !slices.Equal(numbers, []int{2, 1}) {
		t.Errorf("versions %v, want 2 and 1", numbers)
	}
	l := agent.Definitions{System: s.System, Versions: w}
	if _, err := l.Version(t.Context(), "org_a", dispatch, 9); !errors.Is(err, agent.ErrVersion) {
		t.Errorf("a version that this program does not know: %v", err)
	}
}

// sample returns an event with the catalogue's sample as its payload.
func sample(t testing.TB, name string) event.Event {
	t.Helper()
	typ, ok := rules(t).Catalog.Event(name)
	if !ok {
		t.Fatalf("there is no event %s", name)
	}
	e := event.Event{ID: "evt_1", Product: typ.Product, Type: typ.Type, Org: "org_a", Client: "cli_acme"}
	e.Payload = object(t, jsonvalue.Canonical(typ.Sample))
	return e
}

func TestTheSampleEventStartsItsSystemAgent(t *testing.T) {
	t.Parallel()

	for name, a := range system(t) {
		t.Run(string(name), func(t *testing.T) {
			t.Parallel()

			e := sample(t, a.Definition.Trigger.Event())
			if got, why := a.Definition.Judge(condition.Facts{Event: e, Client: map[string]any{}}); got != definition.Started {
				t.Errorf("the sample does not start it: %s (%s)", got, why)
			}
			scope := render.Scope{
				"event_payload": e.Payload, "event": e.Document(), "agent": map[string]any{"id": string(a.ID), "name": a.Name},
				"execution": map[string]any{"id": "exec_1"}, "steps": map[string]any{}, "client_context": map[string]any{},
			}
			// The sample must fill all templates of the first step.
			first := a.Definition.Steps[0]
			texts := []string{}
			if first.AIStep != nil {
				texts = append(texts, first.Prompt, first.System)
			}
			if first.GateStep != nil {
				texts = append(texts, first.Message)
			}
			for _, text := range texts {
				if got, err := render.Text(text, scope); err != nil || strings.Contains(got, "{{") {
					t.Errorf("%q: %v", got, err)
				}
			}
		})
	}
}

func TestDispatchIsAsItWasPublished(t *testing.T) {
	t.Parallel()

	d := system(t)["agent_system_dispatch"].Definition
	if d.Trigger.Event() != "psa:ticket.created" || len(d.Trigger.Filters)+len(d.Conditions) != 0 || d.Category != "service_desk" {
		t.Errorf("it does not run on every ticket: %+v", d.Trigger)
	}
	if len(d.Steps) != 3 {
		t.Fatalf("%d steps", len(d.Steps))
	}
	classify, update, add := d.Steps[0], d.Steps[1], d.Steps[2]
	if classify.ID != "classify_ticket" || classify.AIStep == nil || classify.Model != credit.Standard {
		t.Errorf("the first step is %+v", classify)
	}
	properties, _ := classify.Schema["properties"].(map[string]any)
	enum := func(name string) any {
		v, _ := jsonvalue.Lookup(properties, name+".enum")
		return v
	}
	if diff := cmp.Diff([]any{"p1", "p2", "p3", "p4"}, enum("priority")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]any{"network", "security", "hardware", "software", "user_access", "general"}, enum("category")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]any{"senior", "network", "security", "general"}, enum("required_skill")); diff != "" {
		t.Error(diff)
	}
	for _, output := range []string{"priority", "category", "required_skill", "urgency_notes", "draft_response"} {
		required, _ := classify.Schema["required"].([]any)
		if properties[output] == nil || !slices.Contains(required, any(output)) {
			t.Errorf("%s is no output", output)
		}
	}
	if update.ActionStep == nil || update.Action != "update_ticket" || update.Params["ai_classified"] != true {
		t.Errorf("the second step is %+v", update)
	}
	if add.ActionStep == nil || add.Action != "add_note" || add.Params["visibility"] != "public" {
		t.Errorf("the third step is %+v", add)
	}
}

// Dispatch's public note is what a model wrote about an event's text, so no link
// of the event's author may be in it.
func TestDispatchPublishesNoLink(t *testing.T) {
	t.Parallel()

	params := system(t)["agent_system_dispatch"].Definition.Steps[2].Params
	for _, draft := range []string{
		"Please sign in at https://evil.example/login.", "Please sign in [here](https://evil.example).", `<a href="//evil.example">Sign in</a>`,
		"Sign in at evil.com/login", "Write to help@evil.com", "Sign in at ｅｖｉｌ．ｃｏｍ", "Sign in at evil\u200b.com",
	} {
		v, err := render.Value(params, render.Scope{
			"event_payload": map[string]any{"ticket_id": "tkt_1"},
			"steps":         map[string]any{"classify_ticket": map[string]any{"output": map[string]any{"draft_response": draft}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		text := jsonvalue.Canonical(v)
		if strings.Contains(text, "evil") || strings.Contains(text, "//") || strings.Contains(text, "<") || strings.Contains(text, "](") {
			t.Errorf("%q is published as %q", draft, text)
		}
	}
}

// noteOf returns the steps of a copy of Dispatch with another parameter of its note.
func noteOf(t *testing.T, a agent.Agent, param, value string) []any {
	t.Helper()
	steps, _ := a.Definition.Document()["steps"].([]any)
	note, _ := steps[2].(map[string]any)
	params, ok := note["params"].(map[string]any)
	if !ok {
		t.Fatalf("the third step is %v", note)
	}
	params[param] = value
	return steps
}

// A copy of Dispatch does what Dispatch does. With other steps or another trigger
// its note must be internal, or a person must see it before.
func TestACopyOfDispatchPublishesWhatDispatchDoes(t *testing.T) {
	t.Parallel()

	const at = "steps[2].params.body"
	asIs := "{{ steps.classify_ticket.output.draft_response }}"
	gate := any(map[string]any{"id": "ask", "type": "approval_gate", "message": "Post this?"})
	for name, tc := range map[string]struct {
		change func(a agent.Agent) map[string]any
		taken  bool
	}{
		"as it is": {func(agent.Agent) map[string]any { return map[string]any{} }, true},
		"renamed":  {func(agent.Agent) map[string]any { return map[string]any{"name": "Ours"} }, true},
		"for one client": {func(agent.Agent) map[string]any {
			return map[string]any{"client_scope": map[string]any{"include": []any{"cli_1"}}}
		}, true},
		"overriding":        {func(agent.Agent) map[string]any { return map[string]any{"conflict_behavior": "override"} }, true},
		"its own steps":     {func(a agent.Agent) map[string]any { return map[string]any{"steps": a.Definition.Document()["steps"]} }, true},
		"without its links": {func(a agent.Agent) map[string]any { return map[string]any{"steps": noteOf(t, a, "body", asIs)} }, false},
		"another ticket":    {func(a agent.Agent) map[string]any { return map[string]any{"steps": noteOf(t, a, "ticket_id", "tkt_1")} }, false},
		"another prompt": {func(a agent.Agent) map[string]any {
			steps, _ := a.Definition.Document()["steps"].([]any)
			first, _ := steps[0].(map[string]any)
			first["prompt"] = "Say {{ event_payload.description }}"
			return map[string]any{"steps": steps}
		}, false},
		"another event": {func(agent.Agent) map[string]any {
			return map[string]any{"trigger": map[string]any{"type": "bus_event", "source_product": "psa", "event_type": "ticket.updated", "filters": []any{}}}
		}, false},
		"an internal note": {func(a agent.Agent) map[string]any {
			return map[string]any{"steps": noteOf(t, a, "visibility", "internal")}
		}, true},
		"a gate": {func(a agent.Agent) map[string]any {
			return map[string]any{"steps": slices.Insert(noteOf(t, a, "body", asIs), 2, gate)}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			_, s, _ := created(t)
			a, err := s.Clone(t.Context(), member, dispatch, "")
			if err != nil {
				t.Fatal(err)
			}
			if warnings := s.Warnings(t.Context(), a); len(warnings) > 0 {
				t.Errorf("the copy has warnings: %v", warnings)
			}
			fields := tc.change(a)
			fields["status"] = "active"
			_, err = s.Update(t.Context(), member, a.ID, agent.Patch{Fields: fields})
			if got := faults(err); (err == nil) != tc.taken || err != nil && (len(got) != 1 || !strings.HasPrefix(got[0], at)) {
				t.Errorf("changed: %v", got)
			}
			doc := a.Definition.Document()
			maps.Copy(doc, fields)
			delete(doc, "status")
			if _, err := s.Create(t.Context(), member, doc); (err == nil) != tc.taken {
				t.Errorf("created: %v", faults(err))
			}
		})
	}
}

// An organization may let models write the content of outward actions without a
// gate. Targets need theirs in any case. A definition that needs no permission costs
// no read.
func TestTheSettingsDecideWhoReadsAModelUnseen(t *testing.T) {
	t.Parallel()

	const doc = `{"name": "n", "category": "service_desk",
		"trigger": {"type": "bus_event", "source_product": "psa", "event_type": "ticket.created"},
		"steps": [{"id": "ai", "type": "ai_reason", "model": "quick", "prompt": "p", "output_var": "said"},
			{"id": "act", "type": "product_action", "product": "psa", "action": "add_note",
				"params": {"ticket_id": "%s", "body": "{{ said.text }}", "visibility": "%s"}}]}`
	for name, tc := range map[string]struct {
		choice tenant.Choice
		ticket string
		public string
		want   string
		reads  int
	}{
		"by default":            {"", "t", "public", "steps[1].params.body", 1},
		"with a gate":           {tenant.Gate, "t", "public", "steps[1].params.body", 1},
		"allowed":               {tenant.Allow, "t", "public", "", 1},
		"a target":              {tenant.Allow, "{{ said.text }}", "public", "steps[1].params.ticket_id", 1},
		"an audience":           {tenant.Allow, "t", "{{ said.text }}", "steps[1].params.visibility", 1},
		"what needs no setting": {tenant.Allow, "t", "internal", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := newFixture()
			w.chosen = map[tenant.Policy]tenant.Choice{tenant.ModelContent: tc.choice}
			s := w.service(t)
			a, err := s.Create(t.Context(), member, object(t, fmt.Sprintf(doc, tc.ticket, tc.public)))
			got := ""
			if err != nil {
				got, _, _ = strings.Cut(faults(err)[0], ": ")
			}
			if got != tc.want || w.reads != tc.reads {
				t.Fatalf("refused %q with %d reads, want %q, %d", got, w.reads, tc.want, tc.reads)
			}
			if tc.want != "" {
				return
			}
			if warnings := s.Warnings(t.Context(), a); len(warnings) > 0 {
				t.Errorf("the warnings are %v", warnings)
			}
			if _, err := s.Update(t.Context(), member, a.ID, agent.Patch{Fields: object(t, `{"status": "active"}`)}); err != nil {
				t.Errorf("it is not activated: %v", faults(err))
			}
			w.chosen = nil
			if warnings := s.Warnings(t.Context(), a); (len(warnings) > 0) != (tc.public == "public") {
				t.Errorf("after the setting was reset, the warnings are %v", warnings)
			}
		})
	}
}

// An organization may keep the note of Dispatch internal: Dispatch and a copy made
// from then on do what Dispatch did, for other readers.
func TestTheSettingsDecideWhoReadsTheNoteOfDispatch(t *testing.T) {
	t.Parallel()

	published := system(t)[dispatch]
	for choice, want := range map[tenant.Choice]string{"": "public", tenant.Public: "public", tenant.Internal: "internal"} {
		t.Run(want+string(choice), func(t *testing.T) {
			t.Parallel()

			w := newFixture()
			w.chosen = map[tenant.Policy]tenant.Choice{tenant.DispatchNotes: choice}
			settings := tenant.Settings{Chosen: w.chosen}
			s := w.service(t)
			l := agent.Definitions{System: s.System, Versions: w}
			now, version, err := l.Current(t.Context(), "org_a", settings, dispatch)
			if err != nil {
				t.Fatal(err)
			}
			stored, err := l.Version(t.Context(), "org_a", dispatch, version)
			if err != nil {
				t.Fatal(err)
			}
			a, err := s.Clone(t.Context(), member, dispatch, "")
			if err != nil {
				t.Fatal(faults(err))
			}
			for of, d := range map[string]definition.Definition{"the current one": now, "its version": stored, "the copy": a.Definition} {
				for i, step := range d.Steps {
					if of := published.Definition.Steps[i]; step.ID != of.ID || step.ActionStep != nil && step.Params["body"] != of.Params["body"] {
						t.Errorf("%s has another step: %+v", of.ID, step)
					}
				}
				if got := d.Steps[2].Params["visibility"]; got != want {
					t.Errorf("%s has the note %v, want %s", of, got, want)
				}
			}
			if warnings := s.Warnings(t.Context(), a); len(warnings) > 0 {
				t.Errorf("the copy has warnings: %v", warnings)
			}
			if _, err := s.Update(t.Context(), member, a.ID, agent.Patch{Fields: object(t, `{"name": "Ours", "status": "active"}`)}); err != nil {
				t.Errorf("the copy is not activated: %v", faults(err))
			}
			_, err = s.Create(t.Context(), member, published.Definition.Document())
			if (err == nil) != (want == "public") {
				t.Errorf("a public note: %v", err)
			}
		})
	}
	if got := published.Definition.Steps[2].Params["visibility"]; got != "public" {
		t.Errorf("the published agent has changed: %v", got)
	}
	if others := system(t); others["agent_system_guardian"].For(tenant.Settings{Chosen: map[tenant.Policy]tenant.Choice{tenant.DispatchNotes: tenant.Internal}}).Version != 1 {
		t.Error("another agent has changed")
	}
}

func TestSecurityResponseAsksBeforeItIsolates(t *testing.T) {
	t.Parallel()

	d := system(t)["agent_system_security_response"].Definition
	if d.Trigger.Event() != "defend:alert.fired" || d.Steps[0].ID != "confirm_isolation" || d.Steps[0].GateStep == nil {
		t.Errorf("%+v", d)
	}
	e := sample(t, "defend:alert.fired")
	for severity, want := range map[string]definition.Outcome{
		"critical": definition.Started, "high": definition.Filtered, "medium": definition.Filtered, "low": definition.Filtered, "CRITICAL": definition.Filtered,
	} {
		e.Payload["severity"] = severity
		if got, _ := d.Judge(condition.Facts{Event: e}); got != want {
			t.Errorf("%s: %s, want %s", severity, got, want)
		}
	}
	last := d.Steps[len(d.Steps)-1]
	if last.ActionStep == nil || last.Action != "isolate_device" {
		t.Errorf("the last step is %+v", last)
	}
}

func TestGuardianOpensATicketForTroubleOnly(t *testing.T) {
	t.Parallel()

	d := system(t)["agent_system_guardian"].Definition
	if d.Trigger.Event() != "rmm:alert.triggered" || len(d.Trigger.Filters)+len(d.Conditions) != 0 || len(d.Steps) != 2 {
		t.Fatalf("%+v", d)
	}
	assess, open := d.Steps[0], d.Steps[1]
	if assess.AIStep == nil || assess.Model != credit.Standard {
		t.Errorf("the first step is %+v", assess)
	}
	if open.ActionStep == nil || open.Product != "psa" || open.Action != "create_ticket" || open.If == nil {
		t.Fatalf("the second step is %+v", open)
	}
	for answer, want := range map[any]bool{false: true, true: false, nil: false, "false": false} {
		run := map[string]any{"steps": map[string]any{"assess_alert": map[string]any{"output": map[string]any{"noise": answer}}}}
		if got, _ := open.If.Holds(condition.Facts{Event: sample(t, "rmm:alert.triggered"), Run: run}); got != want {
			t.Errorf("noise %v: a ticket: %t", answer, got)
		}
	}
}

func TestAdvisorWritesANoteWithTheQuickModel(t *testing.T) {
	t.Parallel()

	d := system(t)["agent_system_advisor"].Definition
	if d.Trigger.Event() != "hub:client.review_due" || len(d.Trigger.Filters)+len(d.Conditions) != 0 || len(d.Steps) != 2 {
		t.Fatalf("%+v", d)
	}
	write, add := d.Steps[0], d.Steps[1]
	if write.AIStep == nil || write.Model != credit.Quick {
		t.Errorf("the first step is %+v", write)
	}
	if add.ActionStep == nil || add.Product != "hub" || add.Action != "add_client_note" {
		t.Errorf("the second step is %+v", add)
	}
}

// The event's envelope and the model's answer must fill the parameters of the step
// behind the model.
func TestASystemAgentCopesWithAnEmptyPayload(t *testing.T) {
	t.Parallel()

	for name, answer := range map[id.Agent]map[string]any{
		"agent_system_guardian": {"assess_alert": map[string]any{"output": map[string]any{
			"noise": false, "summary": "Disk full", "priority": "p2", "next_steps": "Clean up",
		}}},
		"agent_system_advisor": {"write_note": map[string]any{"output": map[string]any{"note": "All is well."}}},
	} {
		d := system(t)[name].Definition
		e := event.Event{ID: "evt_1", Product: d.Trigger.Product, Type: d.Trigger.EventType, Org: "org_a", Client: "cli_acme"}
		scope := render.Scope{"event_payload": map[string]any{}, "event": e.Document(), "steps": answer}
		if _, err := render.Text(d.Steps[0].Prompt, scope); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got, err := render.Value(d.Steps[1].Params, scope)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if client, _ := jsonvalue.Lookup(got, "client_id"); client != "cli_acme" {
			t.Errorf("%s: for client %v", name, client)
		}
	}
}

func TestTheErrorOfAnInvalidSystemAgentNamesItsFile(t *testing.T) {
	t.Parallel()

	_, err := agent.SystemAgents(definition.Rules{Catalog: catalog.Catalog{}})
	if err == nil || !strings.Contains(err.Error(), ".json") {
		t.Errorf("err = %v", err)
	}
}
