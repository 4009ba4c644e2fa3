// Package storetest is the suite that every store must pass: the promises to
// the services, one sentence each.
package storetest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"theoneagents.app/agents/shared/activity"
	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/alert"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/client"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/dispatch"
	"theoneagents.app/agents/shared/erase"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/explain"
	"theoneagents.app/agents/shared/hold"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/job"
	"theoneagents.app/agents/shared/journal"
	"theoneagents.app/agents/shared/key"
	"theoneagents.app/agents/shared/limit"
	"theoneagents.app/agents/shared/outbox"
	"theoneagents.app/agents/shared/queue"
	"theoneagents.app/agents/shared/quota"
	"theoneagents.app/agents/shared/runner"
	"theoneagents.app/agents/shared/sweep"
	"theoneagents.app/agents/shared/tally"
	"theoneagents.app/agents/shared/tenant"
)

// Store is the union of the services' store interfaces.
type Store interface {
	tenant.Store
	tenant.SettingsStore
	hold.Store
	agent.Store
	agent.Plans
	agent.NameStore
	execution.Store
	execution.Balances
	execution.Gates
	execution.Tenants
	approval.Store
	key.Store
	dispatch.Agents
	dispatch.Runs
	client.Store
	activity.Store
	runner.Store
	sweep.Store
	erase.Store
	limit.Store
	queue.Deliveries
	quota.Store
	outbox.Store
	alert.Store
	audit.Store
	agent.VersionStore
	tally.Store
	dispatch.Journal
	journal.Store
	explain.Records
	dispatch.LetterStore
	job.Store

	Balances(ctx context.Context, o id.Org, last credit.Month, n int) ([]credit.Balance, error)
	Standing(ctx context.Context, session tenant.Session) (tenant.Tenant, bool, error)
	RunTally(ctx context.Context, o id.Org) (quota.Tally, error)

	// Contribution returns what the stream would deliver about the last change of a run,
	// without a time, and false if that adds nothing to statistics.
	Contribution(ctx context.Context, o id.Org, exec id.Execution) (execution.Contribution, bool, error)
}

// An Inspector looks at what a store keeps without its methods.
type Inspector interface {
	// Mentions returns the keys of the items that mention an organization in their key
	// or in any attribute, but not its erasure.
	Mentions(ctx context.Context, o id.Org) ([]string, error)
}

// A trial is the test of one promise.
type trial struct{ *testing.T }

// A promise is a sentence about a store and the check of it.
type promise struct {
	is    string
	check func(t trial, s Store)
}

// Run checks every promise. The store that open returns may be shared: each
// promise has organizations of its own.
func Run(t *testing.T, open func(*testing.T) Store) {
	t.Helper()
	for group, promises := range map[string][]promise{
		"tenants":    tenants(),
		"credits":    credits(),
		"agents":     agents(),
		"runs":       runs(),
		"steps":      steps(),
		"lists":      lists(),
		"approvals":  approvals(),
		"dispatch":   dispatches(),
		"activity":   activities(),
		"clients":    clients(),
		"keys":       keys(),
		"orgs":       orgs(),
		"limits":     limits(),
		"quotas":     quotas(),
		"outbox":     outboxes(),
		"deliveries": deliveries(),
		"thresholds": thresholds(),
		"alerts":     alerts(),
		"audit":      audits(),
		"erasures":   erasures(),
		"statistics": statistics(),
		"journal":    journals(),
		"jobs":       jobs(),
	} {
		t.Run(group, func(t *testing.T) {
			t.Parallel()
			for _, p := range promises {
				t.Run(p.is, func(t *testing.T) {
					t.Parallel()
					p.check(trial{t}, open(t))
				})
			}
		})
	}
}

// racers is the number of goroutines in a race.
const racers = 30

// race calls do n times at once and returns the number of successes. The only
// permitted error is lost.
func race(t trial, n int, lost error, do func(i int) error) int {
	t.Helper()
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			switch err := do(i); {
			case err == nil:
				won.Add(1)
			case lost == nil || !errors.Is(err, lost):
				t.Errorf("racer %d: err = %v, want nil or %v", i, err, lost)
			}
		})
	}
	wg.Wait()
	return int(won.Load())
}

// insist repeats do until it no longer loses races.
func insist(lost error, do func() error) error {
	for {
		if err := do(); !errors.Is(err, lost) {
			return err
		}
	}
}

// day is the time of all tests here.
func day() time.Time { return time.Date(2026, time.March, 9, 14, 23, 1, 0, time.UTC) }

const month credit.Month = "2026-03"

// anOrg returns an organization without any data.
func anOrg() id.Org { return id.Org("org_" + rand.Text()) }

// announced returns an organization with a plan.
func announced(t trial, s Store, plan credit.Plan) id.Org {
	t.Helper()
	o := anOrg()
	ok(t, s.SaveTenant(t.Context(), tenant.Tenant{Org: o, Plan: plan, Created: day(), Updated: day()}, month))
	return o
}

// anEvent returns an event with a different content for each n.
func anEvent(o id.Org, n int) event.Event {
	return event.Event{
		ID: id.Event(fmt.Sprintf("evt_%d", n)), Type: "ticket.created", Product: "psa", Org: o, Client: "client_1",
		Payload:   map[string]any{"ticket_id": int64(9007199254740993), "n": int64(n), "tags": []any{"a", nil, true}},
		Metadata:  &event.Metadata{AgentTriggered: true, Causation: &event.Causation{Execution: "exec_0", Depth: 1}},
		Published: day().Add(time.Duration(n) * time.Second),
	}
}

// aRun returns the run that the nth event starts.
func aRun(o id.Org, a id.Agent, n int) execution.Execution {
	e := anEvent(o, n)
	return execution.New(execution.Execution{
		ID: execution.ID(o, a, e), Org: o, Agent: a, Version: 3, Trigger: e,
	}, e.Published).Kept(0, 0)
}

// begun stores a run as the dispatcher does, and returns the stored run.
func begun(t trial, s Store, x execution.Execution) execution.Execution {
	t.Helper()
	if _, err := s.ClaimDedup(t.Context(), x, x.Created, x.Created.Add(dispatch.Window)); err != nil {
		t.Fatal(err)
	}
	ok(t, s.Create(t.Context(), x))
	x.Revision = 1
	return x
}

// committed commits a change and returns the run afterwards.
func committed(t trial, s Store, c execution.Change) execution.Execution {
	t.Helper()
	ok(t, s.Commit(t.Context(), c))
	c.Execution.Revision++
	return c.Execution
}

// leased returns a run under a lease.
func leased(t trial, s Store, x execution.Execution) execution.Execution {
	t.Helper()
	x, _ = x.Leased("owner", 0, x.Created.Add(time.Second))
	return committed(t, s, execution.Change{Execution: x})
}

// ended commits the end of a run, and repeats it while other commits win.
func ended(t trial, s Store, x execution.Execution, after time.Duration) execution.Execution {
	t.Helper()
	now := x.Created.Add(after)
	return committed(t, s, x.End(func(x execution.Execution) execution.Execution { return x.Complete(now) }, nil, false))
}

// read returns the stored run.
func read(t trial, s Store, x execution.Execution) (execution.Execution, execution.Steps) {
	t.Helper()
	got, steps, err := s.Execution(t.Context(), x.Org, x.ID)
	ok(t, err)
	return got, steps
}

// aDefinition returns a definition that listens for an event of psa.
func aDefinition(t trial, name, eventType string) definition.Definition {
	t.Helper()
	var d definition.Definition
	ok(t, json.Unmarshal([]byte(`{
		"name": "`+name+`", "description": "d", "category": "service_desk",
		"trigger": {"type": "bus_event", "source_product": "psa", "event_type": "`+eventType+`",
			"filters": [{"field": "n", "operator": "gt", "value": 9007199254740993}]},
		"conditions": [{"context": "event", "field": "payload.n", "operator": "exists", "value": false}],
		"steps": [{"id": "tell", "type": "notification", "channel": "sms", "recipients": ["+15551234567"], "body": "b"}],
		"conflict_behavior": "additive", "client_scope": {"include": ["client_1"]},
		"execution_limit": {"max_per_hour": 5}
	}`), &d))
	return d
}

// anAgent returns a draft that is not stored yet.
func anAgent(t trial, o id.Org) agent.Agent {
	t.Helper()
	d := aDefinition(t, "First", "ticket.created")
	return agent.Agent{Definition: d, Head: agent.Head{
		ID: id.Agent("agent_" + rand.Text()), Org: o, Name: d.Name, Description: d.Description, Type: agent.Custom, Status: agent.Draft,
		Category: d.Category, Created: day(), Updated: day(), CreatedBy: "user_1", UpdatedBy: "key_1", Version: 1, Needs: d.Needs(),
	}}
}

// saved stores an agent and returns the stored agent.
func saved(t trial, s Store, before, after agent.Agent) agent.Agent {
	t.Helper()
	ok(t, s.SaveAgent(t.Context(), before, after, agent.Cap{}))
	after.Revision = before.Revision + 1
	return after
}

// in returns an agent with another status.
func in(a agent.Agent, status agent.Status) agent.Agent {
	a.Status = status
	return a
}

// ok fails the test for an error.
func ok(t trial, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// is reports an error other than the wanted one.
func is(t trial, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("err = %v, want %v", got, want)
	}
}

// same reports how two values differ; nil and empty are equal.
func same[T any](t trial, name string, got, want T) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("%s (-want +got):\n%s", name, d)
	}
}
