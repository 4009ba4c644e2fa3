package agent_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/tenant"
)

// A fixture implements the interfaces that the service needs, in memory.
type fixture struct {
	mu       sync.Mutex
	agents   map[id.Agent]agent.Agent
	pauses   map[id.Org]map[id.Agent]agent.Pause
	stats    map[id.Agent]agent.Stats
	plan     credit.Plan
	chosen   map[tenant.Policy]tenant.Choice
	pins     map[id.Agent]int
	settled  int64 // how often the settings were written
	reads    int   // of the settings
	clock    time.Time
	ids      int
	requests map[string]agent.Request
	versions []agent.Version // of all agents, newest first; set by the test

	races  int            // how many writes are lost
	caps   []agent.Cap    // of the writes
	events []string       // for which system agents were paused
	acts   []audit.Entry  // of the audit log
	log    []string       // what happened, in order
	meddle func(*fixture) // happens before the next write
	stuck  error          // what cancelling says
}

func newFixture() *fixture {
	return &fixture{
		agents: map[id.Agent]agent.Agent{}, pauses: map[id.Org]map[id.Agent]agent.Pause{}, plan: credit.Growth,
		requests: map[string]agent.Request{},
		stats:    map[id.Agent]agent.Stats{}, clock: time.Date(2026, 3, 9, 14, 0, 0, 0, time.UTC),
	}
}

func (w *fixture) Agent(_ context.Context, org id.Org, a id.Agent) (agent.Agent, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if found, ok := w.agents[a]; ok && found.Org == org {
		return found, nil
	}
	return agent.Agent{}, agent.ErrNotFound
}

func (w *fixture) Agents(_ context.Context, org id.Org) ([]agent.Head, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var heads []agent.Head
	for _, a := range slices.Sorted(maps.Keys(w.agents)) {
		if w.agents[a].Org == org {
			heads = append(heads, w.agents[a].Head)
		}
	}
	return heads, nil
}

func (w *fixture) Stats(context.Context, id.Org) (map[id.Agent]agent.Stats, error) {
	return w.stats, nil
}

func (w *fixture) SaveAgent(_ context.Context, before, after agent.Agent, active agent.Cap, acts ...audit.Entry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.meddle != nil {
		meddle := w.meddle
		w.meddle = nil
		meddle(w)
	}
	if w.races > 0 || w.agents[after.ID].Revision != after.Revision {
		w.races--
		return agent.ErrStale
	}
	after.Uses = nil
	n := 0
	for _, a := range w.agents {
		if a.Org == after.Org && a.Status == agent.Active {
			n++
		}
	}
	if before.Status != agent.Active && after.Status == agent.Active && active.Limited && n >= active.Most {
		return agent.ErrLimit
	}
	after.Revision++
	w.agents[after.ID] = after
	w.caps = append(w.caps, active)
	w.log = append(w.log, fmt.Sprintf("save %s v%d", after.Status, after.Version))
	return nil
}

func (w *fixture) SaveRequested(ctx context.Context, a agent.Agent, r agent.Request, since time.Time, acts ...audit.Entry) error {
	if earlier, ok := w.requests[r.Key]; ok && earlier.Made.After(since) {
		return agent.ErrRequested
	}
	w.requests[r.Key] = r
	return w.SaveAgent(ctx, agent.Agent{}, a, agent.Cap{}, acts...)
}

func (w *fixture) Requested(_ context.Context, _ id.Org, key string) (agent.Request, bool, error) {
	r, ok := w.requests[key]
	return r, ok, nil
}

func (w *fixture) DeleteAgent(_ context.Context, a agent.Agent, acts ...audit.Entry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.races > 0 || w.agents[a.ID].Revision != a.Revision {
		w.races--
		return agent.ErrStale
	}
	delete(w.agents, a.ID)
	w.acts = append(w.acts, acts...)
	w.log = append(w.log, "delete")
	return nil
}

func (w *fixture) Pauses(_ context.Context, org id.Org) (map[id.Agent]agent.Pause, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.pauses[org]), nil
}

func (w *fixture) SavePause(_ context.Context, org id.Org, a id.Agent, event string, p agent.Pause, acts ...audit.Entry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pauses[org] == nil {
		w.pauses[org] = map[id.Agent]agent.Pause{}
	}
	w.pauses[org][a] = p
	w.acts = append(w.acts, acts...)
	w.events = append(w.events, event)
	return nil
}

func (w *fixture) DeletePause(_ context.Context, org id.Org, a id.Agent, event string, acts ...audit.Entry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.pauses[org], a)
	w.acts = append(w.acts, acts...)
	w.events = append(w.events, event)
	return nil
}

func (w *fixture) Tenant(_ context.Context, org id.Org) (tenant.Tenant, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reads++
	return tenant.Tenant{Org: org, Revision: w.settled + 1, Settings: tenant.Settings{Chosen: w.chosen, Pins: w.pins, Revision: w.settled}}, nil
}

func (w *fixture) SaveSettings(_ context.Context, t tenant.Tenant, acts ...audit.Entry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.races > 0 || t.Revision != w.settled+1 {
		w.races--
		return tenant.ErrStale
	}
	w.chosen, w.pins, w.settled = t.Settings.Chosen, t.Settings.Pins, w.settled+1
	w.acts = append(w.acts, acts...)
	return nil
}

func (w *fixture) Plan(context.Context, id.Org) (credit.Plan, error) { return w.plan, nil }

func (w *fixture) CancelAll(_ context.Context, org id.Org, a id.Agent, by id.Actor) error {
	w.log = append(w.log, fmt.Sprintf("cancel %s %s by %s", org, a, by))
	return w.stuck
}

func (w *fixture) Version(_ context.Context, org id.Org, a id.Agent, version int) (definition.Definition, error) {
	found, err := w.Agent(context.Background(), org, a)
	if err != nil || found.Version != version {
		return definition.Definition{}, agent.ErrNotFound
	}
	return found.Definition, nil
}

func (w *fixture) VersionRecord(ctx context.Context, org id.Org, a id.Agent, version int) (agent.Version, error) {
	d, err := w.Version(ctx, org, a, version)
	return agent.Version{Number: version, Definition: d}, err
}

// Versions returns the versions that the test has set. They belong to the
// organization of member.
func (w *fixture) Versions(_ context.Context, o id.Org, _ id.Agent, q agent.VersionQuery) (agent.VersionPage, error) {
	var p agent.VersionPage
	if o != member.Org {
		return p, nil
	}
	for _, v := range w.versions {
		if len(p.Versions) < q.Limit && (q.Before == 0 || v.Number < q.Before) {
			p.Versions = append(p.Versions, v)
		}
	}
	return p, nil
}

func (w *fixture) service(t testing.TB) *agent.Service {
	t.Helper()
	r := rules(t)
	system, err := agent.SystemAgents(r)
	if err != nil {
		t.Fatal(err)
	}
	return &agent.Service{
		Store: w, Plans: w, Runs: w, Rules: r, Settings: w, System: system,
		Now: func() time.Time {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.clock = w.clock.Add(time.Second)
			return w.clock
		},
		NewID: func() id.Agent {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.ids++
			return id.Agent(fmt.Sprintf("agent_%d", w.ids))
		},
	}
}

var (
	member   = caller.Caller{Org: "org_a", User: "user_1", Roles: []caller.Role{caller.Member}}
	stranger = caller.Caller{Org: "org_b", User: "user_2", Roles: []caller.Role{caller.Owner}}
)

const dispatch id.Agent = "agent_system_dispatch"

// created returns a fixture with one draft, agent_1, from everything.json.
func created(t testing.TB) (*fixture, *agent.Service, agent.Agent) {
	t.Helper()
	w := newFixture()
	s := w.service(t)
	a, err := s.Create(t.Context(), member, read(t, "everything"))
	if err != nil {
		t.Fatal(err)
	}
	return w, s, a
}

// put updates agent_1 with fields as JSON.
func put(t testing.TB, s *agent.Service, fields string) (agent.Agent, error) {
	t.Helper()
	return s.Update(t.Context(), member, "agent_1", agent.Patch{Fields: object(t, fields)})
}

func TestANewAgentIsADraftOfVersion1(t *testing.T) {
	t.Parallel()

	w, s, a := created(t)
	want := agent.Head{
		ID: "agent_1", Org: "org_a", Name: "Everything", Description: "Has a step of every kind.", Type: agent.Custom, Status: agent.Draft, Category: "service_desk",
		Created: time.Date(2026, 3, 9, 14, 0, 1, 0, time.UTC), Updated: time.Date(2026, 3, 9, 14, 0, 1, 0, time.UTC),
		Version: 1, Revision: 1, CreatedBy: "user_1", UpdatedBy: "user_1",
		Needs: []string{"action defend:isolate_device", "action psa:add_note", "event psa:ticket.created"},
	}
	if diff := cmp.Diff(want, a.Head); diff != "" {
		t.Errorf("created -want +got:\n%s", diff)
	}
	got, err := s.Get(t.Context(), member, "agent_1")
	if err != nil || !cmp.Equal(a, got) {
		t.Errorf("Get = %v, %v", cmp.Diff(a, got), err)
	}
	if diff := cmp.Diff([]string{"save draft v1"}, w.log); diff != "" {
		t.Error(diff)
	}
}

func TestABadDefinitionIsNotStored(t *testing.T) {
	t.Parallel()

	w := newFixture()
	_, err := w.service(t).Create(t.Context(), member, object(t, `{"name":"x","status":"active"}`))
	if !errors.Is(err, definition.ErrConfig) || len(faults(err)) < 4 || len(w.agents) != 0 {
		t.Errorf("%v with %v; %d stored", err, faults(err), len(w.agents))
	}
	w, s, before := created(t)
	if _, err := put(t, s, `{"steps":[],"name":"new"}`); !errors.Is(err, definition.ErrConfig) {
		t.Errorf("err = %v", err)
	}
	if diff := cmp.Diff(before, w.agents["agent_1"]); diff != "" {
		t.Errorf("it has changed:\n%s", diff)
	}
}

func TestAnAgentIsInvisibleToOtherOrganizations(t *testing.T) {
	t.Parallel()

	_, s, _ := created(t)
	if _, err := s.Get(t.Context(), stranger, "agent_1"); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("Get: %v", err)
	}
	if _, err := s.Update(t.Context(), stranger, "agent_1", agent.Patch{Fields: map[string]any{"name": "mine"}}); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("Update: %v", err)
	}
	if _, err := s.Clone(t.Context(), stranger, "agent_1", ""); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("Clone: %v", err)
	}
	if err := s.Delete(t.Context(), stranger, "agent_1", 0); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("Delete: %v", err)
	}
	heads, err := s.List(t.Context(), stranger, agent.Query{})
	if err != nil || len(heads) != len(s.System) {
		t.Errorf("List = %v, %v", heads, err)
	}
}

func TestAListHasSystemAgentsFirstAndIsFiltered(t *testing.T) {
	t.Parallel()

	w, s, _ := created(t)
	if _, err := s.Clone(t.Context(), member, dispatch, "Mine"); err != nil {
		t.Fatal(err)
	}
	if _, err := put(t, s, `{"status":"active","category":"security"}`); err != nil {
		t.Fatal(err)
	}
	w.stats["agent_1"] = agent.Stats{Runs: 3}
	w.stats[dispatch] = agent.Stats{Runs: 7}
	if err := w.SavePause(t.Context(), "org_a", dispatch, "", agent.Pause{By: "user_1"}); err != nil {
		t.Fatal(err)
	}
	var system []string
	for _, a := range s.System {
		system = append(system, string(a.ID))
	}
	others := slices.DeleteFunc(slices.Clone(system), func(s string) bool { return s == string(dispatch) })
	for name, tc := range map[string]struct {
		q    agent.Query
		want []string
	}{
		"everything":             {agent.Query{}, append(slices.Clone(system), "agent_1", "agent_2")},
		"active ones":            {agent.Query{Status: agent.Active}, append(slices.Clone(others), "agent_1")},
		"paused ones":            {agent.Query{Status: agent.Paused}, []string{string(dispatch)}},
		"drafts":                 {agent.Query{Status: agent.Draft}, []string{"agent_2"}},
		"broken ones":            {agent.Query{Status: agent.Invalid}, nil},
		"custom ones":            {agent.Query{Type: agent.Custom}, []string{"agent_1"}},
		"cloned ones":            {agent.Query{Type: agent.Cloned}, []string{"agent_2"}},
		"system agents":          {agent.Query{Type: agent.System}, system},
		"templates":              {agent.Query{Type: agent.Template}, nil},
		"custom ones of a kind":  {agent.Query{Type: agent.Custom, Category: "security"}, []string{"agent_1"}},
		"custom ones of another": {agent.Query{Type: agent.Custom, Category: "service_desk"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			heads, err := s.List(t.Context(), member, tc.q)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, h := range heads {
				got = append(got, string(h.ID))
				if want := map[id.Agent]int64{"agent_1": 3, dispatch: 7}[h.ID]; h.Stats.Runs != want {
					t.Errorf("%s has %d runs, want %d", h.ID, h.Stats.Runs, want)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestACloneIsADraftThatCanBeChanged(t *testing.T) {
	t.Parallel()

	_, s, original := created(t)
	for name, tc := range map[string]struct {
		of         id.Agent
		name, want string
	}{
		"of an own agent":           {"agent_1", "", "Everything"},
		"of an own agent, by name":  {"agent_1", "Mine", "Mine"},
		"of a system agent":         {dispatch, "", "Dispatch Agent"},
		"of a system agent by name": {dispatch, "Our desk", "Our desk"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			a, err := s.Clone(t.Context(), member, tc.of, tc.name)
			if err != nil {
				t.Fatal(err)
			}
			if a.Type != agent.Cloned || a.Status != agent.Draft || a.Version != 1 || a.Org != "org_a" || a.Name != tc.want || a.ID == tc.of {
				t.Errorf("%+v", a.Head)
			}
			of, err := s.Get(t.Context(), member, tc.of)
			if err != nil {
				t.Fatal(err)
			}
			want := of.Definition
			want.Name = tc.want
			if diff := cmp.Diff(text(t, want), text(t, a.Definition)); diff != "" {
				t.Errorf("the definition -want +got:\n%s", diff)
			}
			if _, err := s.Update(t.Context(), member, a.ID, agent.Patch{Fields: object(t, `{"name":"changed"}`)}); err != nil {
				t.Error(err)
			}
		})
	}
	if _, err := s.Clone(t.Context(), member, "agent_1", strings.Repeat("x", 201)); !errors.Is(err, definition.ErrConfig) {
		t.Errorf("a name that is too long: %v", err)
	}
	if _, err := s.Clone(t.Context(), member, "agent_none", ""); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("an agent that is not: %v", err)
	}
	if original.Name != "Everything" {
		t.Error("the original has changed")
	}
}

func TestAChangeOfMoreThanNameDescriptionAndStatusIsANewVersion(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		fields  string
		version int
		writes  int
	}{
		"nothing":                      {`{}`, 1, 0},
		"the name":                     {`{"name":"New"}`, 1, 1},
		"the description":              {`{"description":"New."}`, 1, 1},
		"the status":                   {`{"status":"active"}`, 1, 1},
		"name, description and status": {`{"name":"New","description":"","status":"active"}`, 1, 1},
		"the same name":                {`{"name":"Everything"}`, 1, 0},
		"the same status":              {`{"status":"draft"}`, 1, 0},
		"the same steps in another order of fields": {`{"client_scope":{"include":["cli_acme"]},"execution_limit":{"cooldown_minutes":1,"max_per_day":20,"max_per_hour":5}}`, 1, 0},
		"the category":              {`{"category":"security"}`, 2, 1},
		"the trigger":               {`{"trigger":{"type":"bus_event","source_product":"psa","event_type":"ticket.updated"}}`, 2, 1},
		"the conditions":            {`{"conditions":[]}`, 2, 1},
		"the steps":                 {`{"steps":[{"id":"a","type":"wait","duration_seconds":5}]}`, 2, 1},
		"the conflict_behavior":     {`{"conflict_behavior":"additive"}`, 2, 1},
		"the client_scope":          {`{"client_scope":"all"}`, 2, 1},
		"the limit":                 {`{"execution_limit":{"max_per_hour":6}}`, 2, 1},
		"no limit any more":         {`{"execution_limit":null}`, 2, 1},
		"name and steps together":   {`{"name":"New","steps":[{"id":"a","type":"wait","duration_seconds":5}]}`, 2, 1},
		"steps and status together": {`{"status":"active","steps":[{"id":"a","type":"wait","duration_seconds":5}]}`, 2, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w, s, before := created(t)
			got, err := put(t, s, tc.fields)
			if err != nil {
				t.Fatal(err)
			}
			if got.Version != tc.version || got.Revision != int64(1+tc.writes) || len(w.log) != 1+tc.writes {
				t.Errorf("version %d, revision %d, writes %v; want version %d", got.Version, got.Revision, w.log, tc.version)
			}
			if changed := got.Updated.After(before.Updated); changed != (tc.writes > 0) {
				t.Errorf("updated at %v", got.Updated)
			}
			stored, err := s.Get(t.Context(), member, "agent_1")
			if err != nil || !cmp.Equal(stored, got) {
				t.Errorf("stored is another than the answer:\n%s", cmp.Diff(stored, got))
			}
			if got.Name != got.Definition.Name || got.Category != got.Definition.Category || !got.Created.Equal(before.Created) {
				t.Errorf("%+v", got.Head)
			}
		})
	}
}

func TestAnUpdateReplacesOnlyTheGivenFields(t *testing.T) {
	t.Parallel()

	_, s, before := created(t)
	got, err := put(t, s, `{"trigger":{"type":"bus_event","source_product":"psa","event_type":"ticket.created"},"description":""}`)
	if err != nil {
		t.Fatal(err)
	}
	want := before.Definition
	want.Description = ""
	want.Trigger = definition.Trigger{Type: "bus_event", Product: "psa", EventType: "ticket.created", Filters: []condition.Filter{}}
	if diff := cmp.Diff(text(t, want), text(t, got.Definition)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, fields := range []string{`{"id":"agent_2"}`, `{"version":7}`, `{"org_id":"org_b"}`, `{"type":"system"}`, `{"stats":{}}`, `{"Status":"active"}`} {
		if _, err := put(t, s, fields); !errors.Is(err, definition.ErrConfig) {
			t.Errorf("%s: %v, want ErrConfig", fields, err)
		}
	}
}

func TestAStatusAllowsOnlyItsMoves(t *testing.T) {
	t.Parallel()

	for _, tc := range []struct {
		from, to agent.Status
		want     error
	}{
		{agent.Draft, agent.Draft, nil},
		{agent.Draft, agent.Active, nil},
		{agent.Draft, agent.Paused, agent.ErrMove},
		{agent.Active, agent.Active, nil},
		{agent.Active, agent.Paused, nil},
		{agent.Active, agent.Draft, agent.ErrMove},
		{agent.Paused, agent.Paused, nil},
		{agent.Paused, agent.Active, nil},
		{agent.Paused, agent.Draft, agent.ErrMove},
		// A valid update first moves a broken agent to paused.
		{agent.Invalid, agent.Active, nil},
		{agent.Invalid, agent.Paused, nil},
		{agent.Invalid, agent.Draft, agent.ErrMove},
		{agent.Draft, agent.Invalid, agent.ErrField},
		{agent.Active, "deleted", agent.ErrField},
		{agent.Active, "Paused", agent.ErrField},
		{agent.Active, "", agent.ErrField},
	} {
		t.Run(fmt.Sprintf("from %s to %q", tc.from, tc.to), func(t *testing.T) {
			t.Parallel()

			w, s, a := created(t)
			a.Status = tc.from
			w.agents["agent_1"] = a
			got, err := put(t, s, `{"status":"`+string(tc.to)+`"}`)
			if !errors.Is(err, tc.want) || tc.want != nil && fault.From(err).Class == fault.Internal {
				t.Fatalf("err = %v, want %v", err, tc.want)
			}
			if tc.want == nil && got.Status != tc.to {
				t.Errorf("it is %s", got.Status)
			}
			if tc.want != nil && !cmp.Equal(w.agents["agent_1"], a) {
				t.Error("a refused update has changed the agent")
			}
		})
	}
	_, s, _ := created(t)
	for _, fields := range []string{`{"status":5}`, `{"status":["active"]}`, `{"status":{}}`} {
		if _, err := put(t, s, fields); !errors.Is(err, agent.ErrField) {
			t.Errorf("%s: %v, want ErrField", fields, err)
		}
	}
}

func TestAForbiddenMoveIsAConflict(t *testing.T) {
	t.Parallel()

	_, s, _ := created(t)
	_, err := put(t, s, `{"status":"paused"}`)
	f := fault.From(err)
	if f.Code != "conflict" || f.Class != fault.Conflict || !strings.Contains(f.Message, "draft") || errors.Is(err, agent.ErrStale) {
		t.Errorf("%+v", f)
	}
}

func TestAnInvalidUpdateKeepsTheStatusError(t *testing.T) {
	t.Parallel()

	w, s, a := created(t)
	a.Status = agent.Invalid
	a.Definition.Trigger.EventType = "ticket.vanished"
	w.agents["agent_1"] = a
	for _, fields := range []string{`{"status":"active"}`, `{"name":"x"}`, `{}`} {
		if _, err := put(t, s, fields); !errors.Is(err, definition.ErrConfig) || w.agents["agent_1"].Status != agent.Invalid {
			t.Errorf("%s: %v; it is %s", fields, err, w.agents["agent_1"].Status)
		}
	}
	got, err := put(t, s, `{"trigger":{"type":"bus_event","source_product":"psa","event_type":"ticket.updated"}}`)
	if err != nil || got.Status != agent.Paused || got.Version != 2 {
		t.Errorf("%+v, %v", got.Head, err)
	}
}

func TestAPlanBoundsTheActiveAgents(t *testing.T) {
	t.Parallel()

	for plan, want := range map[credit.Plan]agent.Cap{
		credit.Starter: {Limited: true, Most: 5}, credit.Growth: {Limited: true, Most: 25}, credit.Scale: {},
	} {
		t.Run(string(plan), func(t *testing.T) {
			t.Parallel()

			w, s, _ := created(t)
			w.plan = plan
			if _, err := put(t, s, `{"status":"active"}`); err != nil {
				t.Fatal(err)
			}
			if got := w.caps[len(w.caps)-1]; got != want {
				t.Errorf("the cap of the write is %+v, want %+v", got, want)
			}
		})
	}
}

func TestConcurrentActivationsNeverExceedThePlan(t *testing.T) {
	t.Parallel()

	w := newFixture()
	w.plan = credit.Starter
	s := w.service(t)
	const many = 20
	errs := make([]error, many)
	var wg sync.WaitGroup
	for i := range many {
		a, err := s.Create(t.Context(), member, read(t, "reference"))
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			_, errs[i] = s.Update(t.Context(), member, a.ID, agent.Patch{Fields: map[string]any{"status": "active"}})
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, agent.ErrLimit):
			t.Error(err)
		}
	}
	if won != 5 {
		t.Errorf("%d are active, want 5", won)
	}
	// At the limit, an active agent can still be changed.
	for a, stored := range w.agents {
		if stored.Status == agent.Active {
			if _, err := s.Update(t.Context(), member, a, agent.Patch{Fields: map[string]any{"name": "x", "status": "active"}}); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestAnUpdateOfAnotherRevisionIsRefused(t *testing.T) {
	t.Parallel()

	w, s, _ := created(t)
	match := func(revision int64, fields string) error {
		_, err := s.Update(t.Context(), member, "agent_1", agent.Patch{Fields: object(t, fields), Match: revision})
		return err
	}
	if err := match(2, `{"name":"a"}`); !errors.Is(err, agent.ErrChanged) {
		t.Errorf("a future revision: %v", err)
	}
	if err := match(1, `{"name":"a"}`); err != nil {
		t.Errorf("the current revision: %v", err)
	}
	if err := match(1, `{"name":"b"}`); !errors.Is(err, agent.ErrChanged) {
		t.Errorf("the previous revision: %v", err)
	}
	if f := fault.From(match(1, `{"name":"b"}`)); f.Code != "precondition_failed" || f.Class != fault.Stale {
		t.Errorf("%+v", f)
	}
	// Another write comes between the read and the write of the update.
	w.meddle = func(w *fixture) {
		a := w.agents["agent_1"]
		a.Revision++
		w.agents["agent_1"] = a
	}
	if err := match(2, `{"name":"c"}`); !errors.Is(err, agent.ErrChanged) {
		t.Errorf("a race: %v", err)
	}
	if got := w.agents["agent_1"].Name; got != "a" {
		t.Errorf("it is called %q", got)
	}
}

func TestConcurrentUpdatesGetDifferentVersions(t *testing.T) {
	t.Parallel()

	w, s, _ := created(t)
	const many = 8
	versions := make([]int, many)
	var wg sync.WaitGroup
	for i := range many {
		wg.Go(func() {
			a, err := s.Update(t.Context(), member, "agent_1", agent.Patch{Fields: map[string]any{
				"execution_limit": map[string]any{"max_per_day": int64(100 + i)},
			}})
			if err != nil || a.Definition.Limit.PerDay != 100+i {
				t.Errorf("%d: %+v, %v", i, a.Definition.Limit, err)
				return
			}
			versions[i] = a.Version
		})
	}
	wg.Wait()
	slices.Sort(versions)
	if diff := cmp.Diff([]int{2, 3, 4, 5, 6, 7, 8, 9}, versions); diff != "" || w.agents["agent_1"].Version != 9 {
		t.Errorf("versions %v, at last %d", versions, w.agents["agent_1"].Version)
	}
}

func TestAnUpdateReturnsTheNewRevisionAndTheStats(t *testing.T) {
	t.Parallel()

	w, s, _ := created(t)
	w.stats["agent_1"] = agent.Stats{Runs: 3}
	got, err := put(t, s, `{"category":"security"}`)
	if err != nil || got.Revision != 2 || got.Version != 2 || got.Stats.Runs != 3 {
		t.Errorf("%+v, %v", got.Head, err)
	}
}

func TestAChangeThatLosesEveryRaceIsAConflict(t *testing.T) {
	t.Parallel()

	w, s, _ := created(t)
	w.races = 5
	if _, err := put(t, s, `{"name":"a"}`); err != nil {
		t.Errorf("five lost races: %v", err)
	}
	w.races = 1000
	_, err := put(t, s, `{"name":"b"}`)
	if f := fault.From(err); f.Class != fault.Conflict || f.Code != "conflict" || w.races < 900 {
		t.Errorf("%v with %d races to go", err, w.races)
	}
	w.races = 1000
	if f := fault.From(s.Delete(t.Context(), member, "agent_1", 0)); f.Class != fault.Conflict || f.Code != "conflict" {
		t.Errorf("delete: %v", f)
	}
}

func TestAnAgentNamesTheAuthorsOfItsFirstAndLastChange(t *testing.T) {
	t.Parallel()

	w, s, _ := created(t)
	program := caller.Caller{Org: "org_a", Key: "key_1", Access: caller.ReadWrite}
	authors := func(step string, want ...id.Actor) {
		t.Helper()
		a, err := s.Get(t.Context(), member, "agent_1")
		if err != nil || a.CreatedBy != want[0] || a.UpdatedBy != want[1] {
			t.Errorf("after %s: created by %q, updated by %q, %v; want %q", step, a.CreatedBy, a.UpdatedBy, err, want)
		}
	}
	update := func(fields string) {
		t.Helper()
		if _, err := s.Update(t.Context(), program, "agent_1", agent.Patch{Fields: object(t, fields)}); err != nil {
			t.Fatal(err)
		}
	}
	update(`{}`)
	authors("an update without a change", "user_1", "user_1")
	update(`{"status":"active"}`)
	authors("an activation", "user_1", "key_1")
	if _, err := put(t, s, `{"description":"Other"}`); err != nil {
		t.Fatal(err)
	}
	authors("a change of the description", "user_1", "user_1")
	update(`{"status":"paused"}`)
	authors("a pause", "user_1", "key_1")
	a := w.agents["agent_1"]
	a.CreatedBy, a.UpdatedBy = "", ""
	w.agents["agent_1"] = a
	authors("a record from before authors were kept", "", "")
	update(`{"status":"active"}`)
	authors("a change of an old record", "", "key_1")

	old, err := s.Update(t.Context(), program, dispatch, agent.Patch{Fields: object(t, `{"status":"paused"}`)})
	if err != nil || old.CreatedBy != id.Platform || old.UpdatedBy != "key_1" {
		t.Errorf("paused system agent: created by %q, updated by %q, %v", old.CreatedBy, old.UpdatedBy, err)
	}
	again, err := s.Update(t.Context(), member, dispatch, agent.Patch{Fields: object(t, `{"status":"paused"}`)})
	if err != nil || again.UpdatedBy != "key_1" || !again.Updated.Equal(old.Updated) {
		t.Errorf("paused twice: updated by %q at %v, %v", again.UpdatedBy, again.Updated, err)
	}
	back, err := s.Update(t.Context(), member, dispatch, agent.Patch{Fields: object(t, `{"status":"active"}`)})
	if err != nil || back.UpdatedBy != id.Platform {
		t.Errorf("resumed: updated by %q, %v", back.UpdatedBy, err)
	}
}

func TestAnAgentWithTheMostVersionsTakesOnlyChangesThatMakeNone(t *testing.T) {
	t.Parallel()

	w, s, _ := created(t)
	at := func(version int) {
		a := w.agents["agent_1"]
		a.Version = version
		w.agents["agent_1"] = a
	}
	at(agent.MaxVersions - 1)
	if a, err := put(t, s, `{"category":"security"}`); err != nil || a.Version != 1000 {
		t.Fatalf("the last version: %d, %v", a.Version, err)
	}
	for _, version := range []int{agent.MaxVersions, agent.MaxVersions + 7} {
		at(version)
		if _, err := put(t, s, `{"category":"service_desk"}`); !errors.Is(err, agent.ErrVersions) {
			t.Errorf("one more than %d: %v", version, err)
		}
		for _, fields := range []string{`{"name":"Other"}`, `{"status":"active"}`, `{"status":"paused"}`} {
			if a, err := put(t, s, fields); err != nil || a.Version != version {
				t.Errorf("%s at version %d: version %d, %v", fields, version, a.Version, err)
			}
		}
	}
}

func TestASystemAgentIsOnlyPaused(t *testing.T) {
	t.Parallel()

	for name, fields := range map[string]string{
		"nothing":               `{}`,
		"a name":                `{"name":"Mine"}`,
		"a name and a status":   `{"name":"Mine","status":"paused"}`,
		"a draft":               `{"status":"draft"}`,
		"an error":              `{"status":"error"}`,
		"an unknown status":     `{"status":"off"}`,
		"a status that is null": `{"status":null}`,
		"an unknown field":      `{"colour":"red"}`,
		"steps":                 `{"steps":[]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := newFixture()
			_, err := w.service(t).Update(t.Context(), member, dispatch, agent.Patch{Fields: object(t, fields)})
			if !errors.Is(err, agent.ErrSystem) || len(w.pauses) != 0 || len(w.agents) != 0 {
				t.Errorf("%v; pauses %v", err, w.pauses)
			}
		})
	}

	w := newFixture()
	s := w.service(t)
	for _, status := range []agent.Status{agent.Paused, agent.Paused, agent.Active, agent.Active, agent.Paused} {
		a, err := s.Update(t.Context(), member, dispatch, agent.Patch{Fields: map[string]any{"status": string(status)}})
		if err != nil || a.Status != status || a.Version != 1 || a.Org != id.System {
			t.Errorf("%s: %+v, %v", status, a.Head, err)
		}
	}
	if w.events[0] != "psa:ticket.created" {
		t.Errorf("it listens for %q", w.events[0])
	}
	if a, err := s.Get(t.Context(), stranger, dispatch); err != nil || a.Status != agent.Active {
		t.Errorf("for another organization it is %s, %v", a.Status, err)
	}
	if a, err := s.Get(t.Context(), member, "agent_system_security_response"); err != nil || a.Status != agent.Active {
		t.Errorf("another is %s, %v", a.Status, err)
	}
	if err := s.Delete(t.Context(), member, dispatch, 0); !errors.Is(err, agent.ErrSystem) || len(w.log) != 0 {
		t.Errorf("Delete = %v after %v", err, w.log)
	}
}

// dispatches returns a service whose Dispatch has a newer edition for everyone.
func (w *fixture) dispatches(t testing.TB) *agent.Service {
	t.Helper()
	s := w.service(t)
	for i, a := range s.System {
		if a.ID == dispatch {
			newer := a.Editions[0]
			newer.Number = 3
			newer.Definition.Name = "Dispatch of tomorrow"
			s.System[i].Editions = append(a.Editions, newer)
		}
	}
	return s
}

func TestASystemAgentStaysAtTheVersionToWhichItIsPinned(t *testing.T) {
	t.Parallel()

	w := newFixture()
	s := w.dispatches(t)
	owner := caller.Caller{Org: "org_a", User: "user_o", Roles: []caller.Role{caller.Owner}}
	seen := map[int64]string{}
	steps := []struct {
		change  string
		version int
		pinned  bool
		act     string
	}{
		{`{"status":"active"}`, 3, false, ""},
		{`{"pinned_version":1}`, 1, true, "system_agent.pinned version 3 version 1, pinned"},
		{`{"pinned_version":1}`, 1, true, ""},
		{`{"status":"paused"}`, 1, true, "system_agent.paused active paused"},
		{`{"pinned_version":3}`, 3, true, "system_agent.pinned version 1, pinned version 3, pinned"},
		{`{"status":"active"}`, 3, true, "system_agent.resumed paused active"},
		{`{"pinned_version":null}`, 3, false, "system_agent.unpinned version 3, pinned version 3"},
		{`{"pinned_version":null}`, 3, false, ""},
	}
	for _, step := range steps {
		w.acts = nil
		a, err := s.Update(t.Context(), owner, dispatch, agent.Patch{Fields: object(t, step.change)})
		if err != nil || a.Version != step.version || a.Pinned != step.pinned {
			t.Fatalf("after %s: version %d, pinned %t, %v; want %d, %t", step.change, a.Version, a.Pinned, err, step.version, step.pinned)
		}
		if want := map[int]string{1: "Dispatch Agent", 3: "Dispatch of tomorrow"}[step.version]; a.Name != want || a.Definition.Name != want {
			t.Errorf("after %s its name is %q", step.change, a.Name)
		}
		var acts []string
		for _, e := range w.acts {
			acts = append(acts, fmt.Sprintf("%s %s %s", e.Kind, e.From, e.To))
		}
		if got := strings.Join(acts, "; "); got != step.act {
			t.Errorf("the acts of %s are %q, want %q", step.change, got, step.act)
		}
		state := fmt.Sprintf("%d %t %s", a.Version, a.Pinned, a.Status)
		if other, ok := seen[a.Revision]; ok && other != state {
			t.Errorf("revision %d is %q and %q", a.Revision, other, state)
		}
		seen[a.Revision] = state
	}
	if a, err := s.Get(t.Context(), stranger, dispatch); err != nil || a.Version != 3 || a.Pinned {
		t.Errorf("for another organization: version %d, pinned %t, %v", a.Version, a.Pinned, err)
	}
}

func TestAPinIsRefused(t *testing.T) {
	t.Parallel()

	owner := caller.Caller{Org: "org_a", User: "user_o", Roles: []caller.Role{caller.Owner}}
	for name, tc := range map[string]struct {
		who    caller.Caller
		fields string
		match  int64
		want   error
		says   string
	}{
		"of a member":                     {member, `{"pinned_version":1}`, 0, agent.ErrGuarded, "Dispatch"},
		"to no version":                   {owner, `{"pinned_version":9}`, 0, agent.ErrField, "1 or 3"},
		"to a version of another choice":  {owner, `{"pinned_version":2}`, 0, agent.ErrField, "1 or 3"},
		"to zero":                         {owner, `{"pinned_version":0}`, 0, agent.ErrField, "null or"},
		"to a text":                       {owner, `{"pinned_version":"1"}`, 0, agent.ErrField, "1 or 3"},
		"to a fraction":                   {owner, `{"pinned_version":1.5}`, 0, agent.ErrField, "1 or 3"},
		"together with a status":          {owner, `{"pinned_version":1,"status":"paused"}`, 0, agent.ErrSystem, "one at a time"},
		"after the agent was changed":     {owner, `{"pinned_version":1}`, 77, agent.ErrChanged, "changed"},
		"while others change settings":    {owner, `{"pinned_version":1}`, 0, agent.ErrBusy, "others"},
		"of an agent of the organization": {owner, `{"pinned_version":1}`, 0, definition.ErrConfig, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := newFixture()
			s := w.dispatches(t)
			which := dispatch
			if name == "of an agent of the organization" {
				a, err := s.Create(t.Context(), owner, read(t, "reference"))
				if err != nil {
					t.Fatal(err)
				}
				which = a.ID
			}
			if name == "while others change settings" {
				w.races = 1000
			}
			_, err := s.Update(t.Context(), tc.who, which, agent.Patch{Fields: object(t, tc.fields), Match: tc.match})
			if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) || w.pins != nil {
				t.Errorf("%v; pins %v", err, w.pins)
			}
			checked := !errors.Is(tc.want, agent.ErrChanged) && !errors.Is(tc.want, agent.ErrBusy)
			if _, _, err := s.CheckUpdate(t.Context(), tc.who, which, agent.Patch{Fields: object(t, tc.fields)}); checked && !errors.Is(err, tc.want) {
				t.Errorf("the check says %v", err)
			}
		})
	}
}

func TestAPinToAVersionOfAnotherChoiceWaits(t *testing.T) {
	t.Parallel()

	w := newFixture()
	s := w.dispatches(t)
	w.pins = map[id.Agent]int{dispatch: 1}
	for choice, want := range map[tenant.Choice]int{tenant.Public: 1, tenant.Internal: 2} {
		w.chosen = map[tenant.Policy]tenant.Choice{tenant.DispatchNotes: choice}
		if a, err := s.Get(t.Context(), member, dispatch); err != nil || a.Version != want || a.Pinned != (want == 1) {
			t.Errorf("with %s notes: version %d, pinned %t, %v; want %d", choice, a.Version, a.Pinned, err, want)
		}
	}
}

func TestDeletingCancelsRunsBeforeAndAfter(t *testing.T) {
	t.Parallel()

	w, s, _ := created(t)
	if err := s.Delete(t.Context(), member, "agent_1", 0); err != nil {
		t.Fatal(err)
	}
	want := []string{"save draft v1", "cancel org_a agent_1 by user_1", "delete", "cancel org_a agent_1 by user_1"}
	if diff := cmp.Diff(want, w.log); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if err := s.Delete(t.Context(), member, "agent_1", 0); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("the second time: %v", err)
	}
}

func TestAnAgentWhoseRunsCannotBeCancelledIsNotDeleted(t *testing.T) {
	t.Parallel()

	w, s, _ := created(t)
	w.stuck = errors.New("no answer")
	if err := s.Delete(t.Context(), member, "agent_1", 0); !errors.Is(err, w.stuck) || len(w.agents) != 1 {
		t.Errorf("%v; %d agents", err, len(w.agents))
	}
	w.stuck = nil
	w.races = 3
	if err := s.Delete(t.Context(), member, "agent_1", 0); err != nil || len(w.agents) != 0 {
		t.Errorf("after races: %v; %d agents", err, len(w.agents))
	}
}

func TestARunFindsItsDefinition(t *testing.T) {
	t.Parallel()

	w, s, a := created(t)
	if _, err := put(t, s, `{"category":"security"}`); err != nil {
		t.Fatal(err)
	}
	l := agent.Definitions{System: s.System, Versions: w}
	d, version, err := l.Current(t.Context(), "org_a", tenant.Settings{}, "agent_1")
	if err != nil || version != 2 || d.Category != "security" {
		t.Errorf("Current = version %d, %v", version, err)
	}
	if d, version, err = l.Current(t.Context(), "org_a", tenant.Settings{}, dispatch); err != nil || version != 1 || d.Name != "Dispatch Agent" {
		t.Errorf("Current = %q version %d, %v", d.Name, version, err)
	}
	for _, org := range []id.Org{"org_a", "org_b"} {
		unseen := map[id.Org]id.Agent{"org_a": "agent_none", "org_b": "agent_1"}[org]
		if _, _, err = l.Current(t.Context(), org, tenant.Settings{}, unseen); !errors.Is(err, agent.ErrNotFound) {
			t.Errorf("Current of %s for %s: %v", unseen, org, err)
		}
	}
	if d, err := l.Version(t.Context(), "org_a", "agent_1", 2); err != nil || d.Category != "security" {
		t.Errorf("Version = %q, %v", d.Category, err)
	}
	if d, err := l.Version(t.Context(), "org_b", dispatch, 1); err != nil || d.Name != "Dispatch Agent" {
		t.Errorf("Version = %q, %v", d.Name, err)
	}
	if _, err := l.Version(t.Context(), "org_b", a.ID, 2); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("Version for a stranger: %v", err)
	}
}

func TestStatsComputeRateDurationAndCredits(t *testing.T) {
	t.Parallel()

	var none agent.Stats
	if _, ok := none.SuccessRate(); ok {
		t.Error("a success rate before any run")
	}
	if _, ok := none.AvgDuration(); ok {
		t.Error("a duration before any run")
	}
	if none.Used("2026-03") != 0 {
		t.Error("credits used before any run")
	}
	cancelled := agent.Stats{Runs: 2, Duration: 4 * time.Second}
	if _, ok := cancelled.SuccessRate(); ok {
		t.Error("cancelled runs have a success rate")
	}
	if d, ok := cancelled.AvgDuration(); !ok || d != 2*time.Second {
		t.Errorf("AvgDuration = %v, %t", d, ok)
	}
	s := agent.Stats{Runs: 5, Completed: 3, Failed: 1, Credits: map[credit.Month]map[credit.Tier]int64{
		"2026-03": {credit.Quick: 5, credit.Expert: 200}, "2026-02": {credit.Quick: 10},
	}}
	if rate, ok := s.SuccessRate(); !ok || rate != 0.75 {
		t.Errorf("SuccessRate = %v, %t", rate, ok)
	}
	if s.Used("2026-03") != 205 || s.Used("2026-02") != 10 || s.Used("2026-01") != 0 {
		t.Errorf("used %d, %d, %d", s.Used("2026-03"), s.Used("2026-02"), s.Used("2026-01"))
	}
	if len(agent.Types()) != 4 || len(agent.Statuses()) != 4 {
		t.Errorf("%v, %v", agent.Types(), agent.Statuses())
	}
}
