package agent_test

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/events"
	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/memory"
	"theoneagents.app/agents/shared/tenant"
)

// without returns the rules of a catalogue that has lost files.
func without(t testing.TB, files ...string) definition.Rules {
	t.Helper()
	left := fstest.MapFS{}
	err := fs.WalkDir(events.Files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || slices.Contains(files, path) {
			return err
		}
		data, err := fs.ReadFile(events.Files, path)
		left[path] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Load(left)
	if err != nil {
		t.Fatal(err)
	}
	return definition.Rules{Catalog: c}
}

const (
	ticket  = "psa/ticket.created.json"
	note    = "psa/actions/add_note.json"
	isolate = "defend/actions/isolate_device.json"
)

func TestNeedsAndMissingAreSortedWithoutDuplicates(t *testing.T) {
	t.Parallel()

	doc := read(t, "everything")
	nested := object(t, `{"steps": [{"id": "one", "type": "branch",
		"cases": [{"when": {"field": "a", "operator": "eq", "value": 1}, "steps": [{"id": "two", "type": "branch",
			"cases": [{"when": {"field": "a", "operator": "eq", "value": 1}, "steps": [
				{"id": "three", "type": "product_action", "product": "psa", "action": "update_ticket", "params": {"ticket_id": "t", "status": "open"}}]}],
			"else": [{"id": "four", "type": "product_action", "product": "psa", "action": "add_note",
				"params": {"ticket_id": "t", "body": "b", "visibility": "internal"}}]}]}],
		"else": [{"id": "five", "type": "product_action", "product": "psa", "action": "add_note",
			"params": {"ticket_id": "t", "body": "b", "visibility": "internal"}}]}]}`)
	branches := read(t, "everything")
	branches["steps"] = nested["steps"]
	for name, tc := range map[string]struct {
		doc     map[string]any
		rules   definition.Rules
		needs   []string
		missing []string
	}{
		"nothing is missing": {doc, rules(t), []string{"action defend:isolate_device", "action psa:add_note", "event psa:ticket.created"}, nil},
		"an action":          {doc, without(t, note), nil, []string{"action psa:add_note"}},
		"the event":          {doc, without(t, ticket), nil, []string{"event psa:ticket.created"}},
		"everything":         {doc, definition.Rules{}, nil, []string{"action defend:isolate_device", "action psa:add_note", "event psa:ticket.created"}},
		"something else":     {doc, without(t, "psa/ticket.resolved.json"), nil, nil},
		"deep in branches":   {branches, without(t, note), []string{"action psa:add_note", "action psa:update_ticket", "event psa:ticket.created"}, []string{"action psa:add_note"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			d, err := rules(t).Parse(tc.doc)
			if err != nil {
				t.Fatal(err, faults(err))
			}
			if diff := cmp.Diff(tc.needs, d.Needs()); tc.needs != nil && diff != "" {
				t.Errorf("needs -want +got:\n%s", diff)
			}
			if diff := cmp.Diff(tc.missing, tc.rules.Missing(d)); diff != "" {
				t.Errorf("missing -want +got:\n%s", diff)
			}
		})
	}
}

// A countingStore is a memory store that counts reads and writes of agents.
type countingStore struct {
	*memory.Store

	saves  int
	reads  int
	meddle func() // happens before the next write
}

func (s *countingStore) Agent(ctx context.Context, org id.Org, a id.Agent) (agent.Agent, error) {
	s.reads++
	return s.Store.Agent(ctx, org, a)
}

func (s *countingStore) SaveAgent(ctx context.Context, before, after agent.Agent, active agent.Cap, acts ...audit.Entry) error {
	s.saves++
	if meddle := s.meddle; meddle != nil {
		s.meddle = nil
		meddle()
	}
	return s.Store.SaveAgent(ctx, before, after, active, acts...)
}

// A bench is the service with a countingStore.
type bench struct {
	*agent.Service

	t     *testing.T
	store *countingStore
}

// opened returns a bench of an organization with this plan and one active agent,
// agent_1, from everything.json.
func opened(t *testing.T, plan credit.Plan) *bench {
	t.Helper()
	store := &countingStore{Store: memory.New()}
	s := &bench{Service: newFixture().service(t), t: t, store: store}
	s.Store, s.Plans = store, store
	err := store.SaveTenant(t.Context(), tenant.Tenant{Org: member.Org, Plan: plan, Created: time.Now()}, "2026-03")
	if err != nil {
		t.Fatal(err)
	}
	s.open()
	return s
}

// open adds an active agent.
func (s *bench) open() id.Agent {
	s.t.Helper()
	a, err := s.Create(s.t.Context(), member, read(s.t, "everything"))
	if err == nil {
		_, err = s.put(a.ID, `{"status": "active"}`)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return a.ID
}

// lose removes files from the catalogue.
func (s *bench) lose(files ...string) {
	s.t.Helper()
	s.Rules = without(s.t, files...)
	s.store.saves, s.store.reads = 0, 0
}

func (s *bench) put(a id.Agent, fields string) (agent.Agent, error) {
	return s.Update(s.t.Context(), member, a, agent.Patch{Fields: object(s.t, fields)})
}

// stored returns the status of agent_1 and whether it listens.
func (s *bench) stored() (agent.Status, bool) {
	s.t.Helper()
	a, err := s.store.Store.Agent(s.t.Context(), member.Org, "agent_1")
	if err != nil {
		s.t.Fatal(err)
	}
	listeners, _, err := s.store.Listeners(s.t.Context(), member.Org, "psa:ticket.created")
	if err != nil {
		s.t.Fatal(err)
	}
	return a.Status, slices.ContainsFunc(listeners, func(l agent.Listener) bool { return l.Agent == "agent_1" })
}

// looks are the operations that check an agent against the catalogue; each returns
// the status that it shows.
var looks = map[string]func(s *bench) (agent.Status, error){
	"a list": func(s *bench) (agent.Status, error) {
		heads, err := s.List(s.t.Context(), member, agent.Query{Type: agent.Custom})
		if err != nil || len(heads) != 1 {
			return "", errors.Join(err, errors.New("not one agent"))
		}
		return heads[0].Status, nil
	},
	"a list of those in error": func(s *bench) (agent.Status, error) {
		heads, err := s.List(s.t.Context(), member, agent.Query{Status: agent.Invalid})
		if err != nil || len(heads) != 1 {
			return "", errors.Join(err, errors.New("not one agent"))
		}
		return heads[0].Status, nil
	},
	"reading it": func(s *bench) (agent.Status, error) {
		a, err := s.Get(s.t.Context(), member, "agent_1")
		return a.Status, err
	},
	"its versions": func(s *bench) (agent.Status, error) {
		_, err := s.Versions(s.t.Context(), member, "agent_1", agent.VersionQuery{Limit: 1})
		return agent.Invalid, err
	},
	"its first version": func(s *bench) (agent.Status, error) {
		_, err := s.Version(s.t.Context(), member, "agent_1", 1)
		return agent.Invalid, err
	},
	"the dispatcher": func(s *bench) (agent.Status, error) {
		return agent.Invalid, s.Invalidate(s.t.Context(), member.Org, "agent_1")
	},
}

func TestEveryOperationInvalidatesAnAgentWithAMissingNeed(t *testing.T) {
	t.Parallel()

	for name, look := range looks {
		for _, lost := range []string{ticket, note, isolate} {
			t.Run(name+" without "+lost, func(t *testing.T) {
				t.Parallel()

				s := opened(t, credit.Growth)
				s.lose(lost)
				for range 2 {
					if got, err := look(s); err != nil || got != agent.Invalid {
						t.Fatalf("shown as %q, %v; want %q", got, err, agent.Invalid)
					}
				}
				if status, listens := s.stored(); status != agent.Invalid || listens {
					t.Errorf("stored as %s, listens: %t", status, listens)
				}
				if s.store.saves != 1 {
					t.Errorf("%d writes, want 1", s.store.saves)
				}
			})
		}
	}
}

func TestOperationsWriteNothingForOtherAgents(t *testing.T) {
	t.Parallel()

	for name, prepare := range map[string]func(*bench){
		"an active agent": func(s *bench) { s.lose("psa/ticket.resolved.json") },
		"a paused agent with a missing need": func(s *bench) {
			if _, err := s.put("agent_1", `{"status": "paused"}`); err != nil {
				s.t.Fatal(err)
			}
			s.lose(ticket)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			s := opened(t, credit.Growth)
			prepare(s)
			want, _ := s.stored()
			heads, err := s.List(t.Context(), member, agent.Query{Type: agent.Custom})
			if err != nil || len(heads) != 1 || heads[0].Status != want || s.store.reads != 0 {
				t.Errorf("listed as %+v after %d reads, %v", heads, s.store.reads, err)
			}
			if a, err := s.Get(t.Context(), member, "agent_1"); err != nil || a.Status != want || s.store.reads != 1 {
				t.Errorf("read as %s after %d reads, %v", a.Status, s.store.reads, err)
			}
			if err := s.Invalidate(t.Context(), member.Org, "agent_1"); err != nil {
				t.Error(err)
			}
			if s.store.saves != 0 {
				t.Errorf("%d writes", s.store.saves)
			}
		})
	}
}

func TestAnInvalidationThatLosesARaceReadsTheAgentAgain(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		meddle func(t *testing.T, s *bench, a agent.Agent) error
		want   agent.Status
	}{
		"against a pause": {func(t *testing.T, s *bench, a agent.Agent) error {
			t.Helper()
			b := a
			b.Status = agent.Paused
			return s.store.Store.SaveAgent(t.Context(), a, b, agent.Cap{})
		}, agent.Paused},
		"against another name": {func(t *testing.T, s *bench, a agent.Agent) error {
			t.Helper()
			b := a
			b.Name, b.Definition.Name = "Renamed", "Renamed"
			return s.store.Store.SaveAgent(t.Context(), a, b, agent.Cap{})
		}, agent.Invalid},
		"against a deletion": {func(t *testing.T, s *bench, a agent.Agent) error {
			t.Helper()
			return s.store.DeleteAgent(t.Context(), a)
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			s := opened(t, credit.Growth)
			s.lose(note)
			a, err := s.store.Store.Agent(t.Context(), member.Org, "agent_1")
			if err != nil {
				t.Fatal(err)
			}
			s.store.meddle = func() {
				if err := tc.meddle(t, s, a); err != nil {
					t.Error(err)
				}
			}
			heads, err := s.List(t.Context(), member, agent.Query{Type: agent.Custom})
			if err != nil {
				t.Fatal(err)
			}
			var got agent.Status
			if len(heads) > 0 {
				got = heads[0].Status
			}
			if got != tc.want {
				t.Errorf("listed as %q, want %q", got, tc.want)
			}
			if err := s.Invalidate(t.Context(), member.Org, "agent_1"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOnlyAValidUpdateEndsTheStatusError(t *testing.T) {
	t.Parallel()

	const (
		mended = `{"steps": [{"id": "rest", "type": "wait", "duration_seconds": 60}]`
		gone   = `steps[4].action: product "psa" has no action "add_note"; it has ` // followed by the remaining actions
	)
	for name, tc := range map[string]struct {
		fields  string
		back    bool // the action has come back
		want    agent.Status
		version int
		fault   string
	}{
		"activating it":                           {`{"status": "active"}`, false, agent.Invalid, 1, gone},
		"pausing it":                              {`{"status": "paused"}`, false, agent.Invalid, 1, gone},
		"another name":                            {`{"name": "New"}`, false, agent.Invalid, 1, gone},
		"an invalid definition":                   {`{"steps": []}`, false, agent.Invalid, 1, "steps: must not be empty"},
		"a valid definition":                      {mended + `}`, false, agent.Paused, 2, ""},
		"a valid definition, and active":          {mended + `, "status": "active"}`, false, agent.Active, 2, ""},
		"activating it when the action is back":   {`{"status": "active"}`, true, agent.Active, 1, ""},
		"no change when the action is back":       {`{}`, true, agent.Paused, 1, ""},
		"another name when the action is back":    {`{"name": "New"}`, true, agent.Paused, 1, ""},
		"its own status when the action is back":  {`{"status": "error"}`, true, agent.Paused, 1, ""},
		"back to a draft when the action is back": {`{"status": "draft"}`, true, agent.Invalid, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			s := opened(t, credit.Growth)
			s.lose(note)
			if _, err := s.Get(t.Context(), member, "agent_1"); err != nil {
				t.Fatal(err)
			}
			if tc.back {
				s.Rules = rules(t)
			}
			_, err := s.put("agent_1", tc.fields)
			if tc.fault != "" && (!errors.Is(err, definition.ErrConfig) || !slices.ContainsFunc(faults(err), func(f string) bool { return strings.HasPrefix(f, tc.fault) })) {
				t.Errorf("err = %v with %v, want %q", err, faults(err), tc.fault)
			}
			if left := tc.want != agent.Invalid; left != (err == nil) {
				t.Errorf("err = %v", err)
			}
			a, err := s.store.Store.Agent(t.Context(), member.Org, "agent_1")
			if err != nil || a.Status != tc.want || a.Version != tc.version {
				t.Errorf("it is %s, version %d, %v; want %s, %d", a.Status, a.Version, err, tc.want, tc.version)
			}
			if _, listens := s.stored(); listens != (tc.want == agent.Active) {
				t.Errorf("listens: %t", listens)
			}
		})
	}
}

func TestARevisionReadBeforeTheInvalidationNoLongerMatches(t *testing.T) {
	t.Parallel()

	s := opened(t, credit.Growth)
	seen, err := s.Get(t.Context(), member, "agent_1")
	if err != nil {
		t.Fatal(err)
	}
	s.lose(note)
	patch := agent.Patch{Fields: object(t, `{"steps": [{"id": "rest", "type": "wait", "duration_seconds": 60}]}`), Match: seen.Revision}
	if _, err := s.Update(t.Context(), member, "agent_1", patch); !errors.Is(err, agent.ErrChanged) {
		t.Errorf("the revision from before the invalidation: %v, want ErrChanged", err)
	}
	patch.Match = 0
	if a, err := s.Update(t.Context(), member, "agent_1", patch); err != nil || a.Status != agent.Paused {
		t.Errorf("it is %s, %v; want paused", a.Status, err)
	}
}

func TestAnAgentInErrorMakesRoomInThePlan(t *testing.T) {
	t.Parallel()

	s := opened(t, credit.Starter)
	for range 4 {
		s.open()
	}
	other, err := s.Create(t.Context(), member, object(t, `{"name": "Other", "category": "service_desk",
		"trigger": {"type": "bus_event", "source_product": "psa", "event_type": "ticket.created"},
		"steps": [{"id": "rest", "type": "wait", "duration_seconds": 60}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.put(other.ID, `{"status": "active"}`); !errors.Is(err, agent.ErrLimit) {
		t.Fatalf("err = %v, want ErrLimit while the others work", err)
	}
	s.lose(note)
	if a, err := s.put(other.ID, `{"status": "active"}`); err != nil || a.Status != agent.Active {
		t.Fatalf("it is %s, %v; want active, since the others are in error", a.Status, err)
	}
	s.Rules = rules(t)
	for n, name := range []id.Agent{"agent_1", "agent_2", "agent_3", "agent_4"} {
		if _, err := s.put(name, `{"status": "active"}`); err != nil {
			t.Errorf("%d are active, and %s: %v", n+1, name, err)
		}
	}
	_, err = s.put("agent_5", `{"status": "active"}`)
	if f := fault.From(err); !errors.Is(err, agent.ErrLimit) || !strings.Contains(f.Message, "plan") {
		t.Errorf("the sixth: %v, want ErrLimit", err)
	}
	if status, _ := s.stored(); status != agent.Active {
		t.Errorf("agent_1 is %s", status)
	}
}
