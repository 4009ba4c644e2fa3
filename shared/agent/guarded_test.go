package agent_test

import (
	"errors"
	"fmt"
	"testing"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/id"
)

const securityResponse id.Agent = "agent_system_security_response"

// guardedBy are callers, and whether they decide about guarded system agents.
func guardedBy() map[string]struct {
	who caller.Caller
	may bool
} {
	who := func(user id.User, roles ...caller.Role) caller.Caller {
		return caller.Caller{Org: "org_a", User: user, Roles: roles}
	}
	type row = struct {
		who caller.Caller
		may bool
	}
	return map[string]row{
		"an owner":                       {who("olga", caller.Owner), true},
		"an admin":                       {who("ada", caller.Admin), true},
		"an admin who is a member too":   {who("ada", caller.Member, caller.Admin), true},
		"a member":                       {who("max", caller.Member), false},
		"a key that may write":           {caller.Caller{Org: "org_a", Key: "key_1", Access: caller.ReadWrite}, false},
		"a key with the roles of owners": {caller.Caller{Org: "org_a", Key: "key_1", Access: caller.ReadWrite, Roles: []caller.Role{caller.Owner}}, false},
	}
}

// allowed reports an error that does not fit the right of the caller.
func allowed(t *testing.T, what string, err error, may bool) {
	t.Helper()
	switch {
	case may && err != nil:
		t.Errorf("%s: %v", what, err)
	case !may && !errors.Is(err, agent.ErrGuarded):
		t.Errorf("%s: err = %v, want ErrGuarded", what, err)
	}
}

// onAlerts is a definition for critical alerts with a conflict behaviour.
func onAlerts(t testing.TB, conflict string) map[string]any {
	return object(t, fmt.Sprintf(`{"name": "Mine", "category": "security", "conflict_behavior": %q,
		"trigger": {"type": "bus_event", "source_product": "defend", "event_type": "alert.fired"},
		"steps": [{"id": "tell", "type": "product_action", "product": "psa", "action": "add_note",
			"params": {"ticket_id": "tkt_1", "body": "hello", "visibility": "internal"}}]}`, conflict))
}

func TestOnlyOwnersAndAdminsPauseAndResumeAGuardedAgent(t *testing.T) {
	t.Parallel()

	guarded := 0
	for name, a := range system(t) {
		if a.Guarded {
			guarded++
		}
		if want := name == securityResponse; a.Guarded != want {
			t.Errorf("%s is guarded: %t", name, a.Guarded)
		}
	}
	if guarded == 0 {
		t.Error("no system agent is guarded")
	}
	for name, tc := range guardedBy() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := newFixture()
			s := w.service(t)
			for _, status := range []string{"paused", "paused", "active", "active"} {
				a, err := s.Update(t.Context(), tc.who, securityResponse, agent.Patch{Fields: map[string]any{"status": status}})
				allowed(t, status, err, tc.may)
				if tc.may && string(a.Status) != status {
					t.Errorf("it is %s", a.Status)
				}
			}
			if want := map[bool]int{true: 2}[tc.may]; len(w.acts) != want {
				t.Errorf("%d acts, want %d", len(w.acts), want)
			}
			if _, err := s.Update(t.Context(), tc.who, dispatch, agent.Patch{Fields: map[string]any{"status": "paused"}}); err != nil {
				t.Errorf("another system agent: %v", err)
			}
		})
	}
}

func TestOnlyOwnersAndAdminsOverrideAGuardedAgent(t *testing.T) {
	t.Parallel()

	admin := caller.Caller{Org: "org_a", User: "ada", Roles: []caller.Role{caller.Admin}}
	for name, tc := range guardedBy() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := newFixture()
			s := w.service(t)
			created := func(who caller.Caller, doc map[string]any) (id.Agent, error) {
				a, err := s.Create(t.Context(), who, doc)
				return a.ID, err
			}
			mine := func(doc map[string]any) id.Agent { // of the caller, or of another member
				a, err := created(tc.who, doc)
				if err != nil {
					t.Fatal(err)
				}
				return a
			}
			theirs, err := created(admin, onAlerts(t, "override"))
			if err != nil {
				t.Fatal(err)
			}
			put := func(who caller.Caller, a id.Agent, fields string) error {
				_, err := s.Update(t.Context(), who, a, agent.Patch{Fields: object(t, fields)})
				return err
			}

			_, err = created(tc.who, onAlerts(t, "override"))
			allowed(t, "create", err, tc.may)
			_, err = s.CreateOnce(t.Context(), tc.who, "request-1", onAlerts(t, "override"))
			allowed(t, "create with a key", err, tc.may)
			_, err = s.Clone(t.Context(), tc.who, theirs, "Copy")
			allowed(t, "clone", err, tc.may)
			d, err := rules(t).Parse(onAlerts(t, "override"))
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Copy(t.Context(), tc.who, "tmpl_x", d, "")
			allowed(t, "clone a template", err, tc.may)
			allowed(t, "add override", put(tc.who, mine(onAlerts(t, "additive")), `{"conflict_behavior": "override"}`), tc.may)

			elsewhere := onAlerts(t, "override")
			elsewhere["trigger"] = object(t, `{"type": "bus_event", "source_product": "psa", "event_type": "ticket.created"}`)
			allowed(t, "change the trigger", put(tc.who, mine(elsewhere),
				`{"trigger": {"type": "bus_event", "source_product": "defend", "event_type": "alert.fired"}}`), tc.may)

			allowed(t, "activate", put(tc.who, theirs, `{"status": "active"}`), tc.may)
			if err := put(admin, theirs, `{"status": "active"}`); err != nil {
				t.Fatal(err)
			}
			allowed(t, "change an active one", put(tc.who, theirs, `{"description": "mine"}`), tc.may)
			allowed(t, "change and pause", put(tc.who, theirs, `{"client_scope": {"include": ["cli_1"]}, "status": "paused"}`), tc.may)
			if err := put(admin, theirs, `{"status": "active"}`); err != nil {
				t.Fatal(err)
			}
			if err := put(tc.who, theirs, `{"status": "paused"}`); err != nil {
				t.Errorf("pausing it lets the system agent run again: %v", err)
			}
			allowed(t, "resume", put(tc.who, theirs, `{"status": "active"}`), tc.may)
			allowed(t, "remove override", put(tc.who, theirs, `{"conflict_behavior": "additive"}`), tc.may)
			if _, err := created(tc.who, elsewhere); err != nil {
				t.Errorf("on another event: %v", err)
			}
		})
	}
}
