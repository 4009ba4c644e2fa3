package simulation_test

import (
	"context"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"time"

	"theoneagents.app/agents/shared/activity"
	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/alert"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/client"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/dispatch"
	"theoneagents.app/agents/shared/erase"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/hold"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/journal"
	"theoneagents.app/agents/shared/outbox"
	"theoneagents.app/agents/shared/queue"
	"theoneagents.app/agents/shared/quota"
	"theoneagents.app/agents/shared/runner"
	"theoneagents.app/agents/shared/sweep"
	"theoneagents.app/agents/shared/tally"
	"theoneagents.app/agents/shared/tenant"
)

// Calls of the store without a run can fail too. Tests that inspect the store
// use the inner store.

func (s *store) Tenant(ctx context.Context, o id.Org) (tenant.Tenant, error) {
	return through(ctx, s.world, "store.Tenant", "", func() (tenant.Tenant, error) { return s.Store.Tenant(ctx, o) })
}

func (s *store) SaveTenant(ctx context.Context, t tenant.Tenant, m credit.Month) error {
	return throughErr(ctx, s.world, "store.SaveTenant", "", func() error { return s.Store.SaveTenant(ctx, t, m) })
}

func (s *store) SaveOrgPause(ctx context.Context, t tenant.Tenant, acts ...audit.Entry) error {
	err := throughErr(ctx, s.world, "store.SaveOrgPause", "", func() error {
		err := s.Store.SaveOrgPause(ctx, t, acts...)
		if err == nil {
			s.world.paused(t)
		}
		return err
	})
	return err
}

func (s *store) Searching(ctx context.Context, limit int) ([]id.Org, error) {
	return through(ctx, s.world, "store.Searching", "", func() ([]id.Org, error) { return s.Store.Searching(ctx, limit) })
}

func (s *store) Erasing(ctx context.Context, now time.Time, limit int) ([]id.Org, error) {
	return through(ctx, s.world, "store.Erasing", "", func() ([]id.Org, error) { return s.Store.Erasing(ctx, now, limit) })
}

func (s *store) BeginErasure(ctx context.Context, e tenant.Erasure) error {
	return throughErr(ctx, s.world, "store.BeginErasure", "", func() error { return s.Store.BeginErasure(ctx, e) })
}

func (s *store) EraseKeys(ctx context.Context, o id.Org) error {
	return throughErr(ctx, s.world, "store.EraseKeys", "", func() error { return s.Store.EraseKeys(ctx, o) })
}

func (s *store) Erasure(ctx context.Context, o id.Org) (tenant.Erasure, error) {
	return through(ctx, s.world, "store.Erasure", "", func() (tenant.Erasure, error) { return s.Store.Erasure(ctx, o) })
}

func (s *store) SaveErasure(ctx context.Context, e tenant.Erasure) error {
	return throughErr(ctx, s.world, "store.SaveErasure", "", func() error { return s.Store.SaveErasure(ctx, e) })
}

func (s *store) Erase(ctx context.Context, o id.Org, w erase.Walk) (erase.Walked, error) {
	return through(ctx, s.world, "store.Erase", "", func() (erase.Walked, error) { return s.Store.Erase(ctx, o, w) })
}

func (s *store) Plan(ctx context.Context, o id.Org) (credit.Plan, error) {
	return through(ctx, s.world, "store.Plan", "", func() (credit.Plan, error) { return s.Store.Plan(ctx, o) })
}

func (s *store) Balance(ctx context.Context, o id.Org, m credit.Month) (credit.Balance, error) {
	return through(ctx, s.world, "store.Balance", "", func() (credit.Balance, error) { return s.Store.Balance(ctx, o, m) })
}

func (s *store) Listeners(ctx context.Context, o id.Org, event string) ([]agent.Listener, map[id.Agent]bool, error) {
	type found struct {
		own    []agent.Listener
		paused map[id.Agent]bool
	}
	f, err := through(ctx, s.world, "store.Listeners", "", func() (found, error) {
		own, paused, err := s.Store.Listeners(ctx, o, event)
		return found{own, paused}, err
	})
	return f.own, f.paused, err
}

func (s *store) Refusal(ctx context.Context, e activity.Entry) (definition.Outcome, error) {
	return through(ctx, s.world, "store.Refusal", "", func() (definition.Outcome, error) { return s.Store.Refusal(ctx, e) })
}

func (s *store) Refuse(ctx context.Context, e activity.Entry) error {
	return throughErr(ctx, s.world, "store.Refuse", "", func() error { return s.Store.Refuse(ctx, e) })
}

func (s *store) KeepEvent(ctx context.Context, o id.Org, e journal.Entry) error {
	return throughErr(ctx, s.world, "store.KeepEvent", "", func() error { return s.Store.KeepEvent(ctx, o, e) })
}

func (s *store) SaveMaker(ctx context.Context, o id.Org, made catalog.ObjectID, by id.Execution, now time.Time) error {
	return throughErr(ctx, s.world, "store.SaveMaker", by, func() error { return s.Store.SaveMaker(ctx, o, made, by, now) })
}

func (s *store) Maker(ctx context.Context, o id.Org, made catalog.ObjectID, now time.Time) (id.Execution, error) {
	return through(ctx, s.world, "store.Maker", "", func() (id.Execution, error) { return s.Store.Maker(ctx, o, made, now) })
}

func (s *store) AddUses(ctx context.Context, o id.Org, uses []tenant.Use) error {
	return throughErr(ctx, s.world, "store.AddUses", "", func() error { return s.Store.AddUses(ctx, o, uses) })
}

func (s *store) Executions(ctx context.Context, o id.Org, q execution.Query) (execution.Page, error) {
	return through(ctx, s.world, "store.Executions", "", func() (execution.Page, error) { return s.Store.Executions(ctx, o, q) })
}

func (s *store) Agent(ctx context.Context, o id.Org, a id.Agent) (agent.Agent, error) {
	return through(ctx, s.world, "store.Agent", "", func() (agent.Agent, error) { return s.Store.Agent(ctx, o, a) })
}

func (s *store) SaveAgent(ctx context.Context, before, after agent.Agent, active agent.Cap, acts ...audit.Entry) error {
	return throughErr(ctx, s.world, "store.SaveAgent", "", func() error { return s.Store.SaveAgent(ctx, before, after, active, acts...) })
}

func (s *store) SaveRequested(ctx context.Context, a agent.Agent, r agent.Request, since time.Time, acts ...audit.Entry) error {
	return throughErr(ctx, s.world, "store.SaveRequested", "", func() error { return s.Store.SaveRequested(ctx, a, r, since, acts...) })
}

func (s *store) Requested(ctx context.Context, o id.Org, key string) (agent.Request, bool, error) {
	type found struct {
		request agent.Request
		there   bool
	}
	f, err := through(ctx, s.world, "store.Requested", "", func() (found, error) {
		r, there, err := s.Store.Requested(ctx, o, key)
		return found{r, there}, err
	})
	return f.request, f.there, err
}

func (s *store) DeleteAgent(ctx context.Context, a agent.Agent, acts ...audit.Entry) error {
	return throughErr(ctx, s.world, "store.DeleteAgent", "", func() error { return s.Store.DeleteAgent(ctx, a, acts...) })
}

func (s *store) Stats(ctx context.Context, o id.Org) (map[id.Agent]agent.Stats, error) {
	return through(ctx, s.world, "store.Stats", "", func() (map[id.Agent]agent.Stats, error) { return s.Store.Stats(ctx, o) })
}

func (s *store) BeginDelivery(ctx context.Context, o id.Org, message string, now time.Time) (int, error) {
	return through(ctx, s.world, "store.BeginDelivery", "", func() (int, error) { return s.Store.BeginDelivery(ctx, o, message, now) })
}

func (s *store) EndDelivery(ctx context.Context, o id.Org, message string) error {
	return throughErr(ctx, s.world, "store.EndDelivery", "", func() error { return s.Store.EndDelivery(ctx, o, message) })
}

func (s *store) AdmitRuns(ctx context.Context, o id.Org, a quota.Admission) (quota.Tally, bool, error) {
	type answer struct {
		tally quota.Tally
		ok    bool
	}
	got, err := through(ctx, s.world, "store.AdmitRuns", "", func() (answer, error) {
		t, ok, err := s.Store.AdmitRuns(ctx, o, a)
		return answer{t, ok}, err
	})
	return got.tally, got.ok, err
}

func (s *store) AdmitMessages(ctx context.Context, o id.Org, b quota.Batch) (quota.DayTally, bool, error) {
	type answer struct {
		tally quota.DayTally
		ok    bool
	}
	got, err := through(ctx, s.world, "store.AdmitMessages", "", func() (answer, error) {
		t, ok, err := s.Store.AdmitMessages(ctx, o, b)
		return answer{t, ok}, err
	})
	return got.tally, got.ok, err
}

func (s *store) Tree(ctx context.Context, o id.Org, root id.Event) (quota.Tree, error) {
	return through(ctx, s.world, "store.Tree", "", func() (quota.Tree, error) { return s.Store.Tree(ctx, o, root) })
}

func (s *store) SaveTree(ctx context.Context, o id.Org, root id.Event, before, after quota.Tree, now time.Time) error {
	return throughErr(ctx, s.world, "store.SaveTree", "", func() error { return s.Store.SaveTree(ctx, o, root, before, after, now) })
}

func (s *store) WithdrawRun(ctx context.Context, o id.Org, m quota.Minute, run id.Execution) error {
	return throughErr(ctx, s.world, "store.WithdrawRun", "", func() error { return s.Store.WithdrawRun(ctx, o, m, run) })
}

func (s *store) SaveOpen(ctx context.Context, o id.Org, before quota.Tally, open int, at time.Time) error {
	return throughErr(ctx, s.world, "store.SaveOpen", "", func() error { return s.Store.SaveOpen(ctx, o, before, open, at) })
}

func (s *store) OpenRuns(ctx context.Context, o id.Org, since, now time.Time) (quota.Open, error) {
	return through(ctx, s.world, "store.OpenRuns", "", func() (quota.Open, error) { return s.Store.OpenRuns(ctx, o, since, now) })
}

// harmless lists the calls of the store that cannot fail here: they only show
// something to a person, belong to services that no run depends on, or compute.
var harmless = []string{
	"Agents", "Versions", "Pauses", "SavePause", "DeletePause", // lists, and a switch that is one write
	"Approvals", // a list
	"Revoke",    // sessions
	"Missed",    // a count
	"Messages",  // shows counts
	"Inline",    // computes a size
}

// Every call of the services to the store passes a site where it may fail. A
// new method fails this test until it has one.
func TestEveryCallOfTheStoreCanFail(t *testing.T) {
	t.Parallel()
	for _, port := range []reflect.Type{
		reflect.TypeFor[dispatch.Agents](), reflect.TypeFor[dispatch.Runs](), reflect.TypeFor[dispatch.Journal](), reflect.TypeFor[client.Store](),
		reflect.TypeFor[execution.Store](), reflect.TypeFor[execution.Tenants](), reflect.TypeFor[execution.Balances](),
		reflect.TypeFor[execution.Gates](), reflect.TypeFor[approval.Store](), reflect.TypeFor[runner.Store](),
		reflect.TypeFor[sweep.Store](), reflect.TypeFor[agent.Store](), reflect.TypeFor[agent.VersionStore](), reflect.TypeFor[agent.Plans](),
		reflect.TypeFor[tenant.Store](), reflect.TypeFor[outbox.Store](), reflect.TypeFor[alert.Store](),
		reflect.TypeFor[hold.Store](), reflect.TypeFor[queue.Deliveries](), reflect.TypeFor[quota.Store](), reflect.TypeFor[tally.Store](),
		reflect.TypeFor[sweep.Runs](),
	} {
		for method := range port.Methods() {
			name := method.Name
			own, ok := reflect.TypeFor[*store]().MethodByName(name)
			if !ok {
				t.Fatalf("the store has no %s", name)
			}
			file, _ := runtime.FuncForPC(own.Func.Pointer()).FileLine(own.Func.Pointer())
			if promoted := file == "<autogenerated>"; promoted != slices.Contains(harmless, name) {
				t.Errorf("%s.%s may go wrong: %t; it is listed as harmless: %t", port, name, !promoted, !promoted)
			}
		}
	}
}
