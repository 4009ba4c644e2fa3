package dynamo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"

	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/dynamo/schema"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/tenant"
)

// A tenantItem is a tenant. The Hub's data and the settings are written by updates
// of their own attributes only, so that neither write erases what it does not
// know.
type tenantItem struct {
	primary
	hubItem

	Policy   map[string]string `dynamodbav:"policy,omitempty"`
	Keep     int               `dynamodbav:"retention_days,omitempty"`
	Pins     map[id.Agent]int  `dynamodbav:"pins,omitempty"`
	Journal  int               `dynamodbav:"journal_days,omitempty"`
	Since    int64             `dynamodbav:"journal_since,omitempty"`
	Settings int64             `dynamodbav:"settings,omitempty"` // counts their changes
	Revision int64             `dynamodbav:"rev"`

	Pause  string `dynamodbav:"pause,omitempty"` // JSON
	Resume int64  `dynamodbav:"resumed,omitempty"`
	Search int64  `dynamodbav:"search_until,omitempty"` // with it, the tenant is in the index open

	Uses      []string `dynamodbav:"uses,stringset,omitempty"` // added to by the writes that activate agents
	Listeners int64    `dynamodbav:"listeners,omitempty"`      // counts the writes of LISTEN items

	Erasing string `dynamodbav:"erasing,omitempty"` // the stage of the erasure that replaced the tenant
}

// A pauseDoc is the JSON of a pause.
type pauseDoc struct {
	By       string `json:"by"`
	At       int64  `json:"at"`
	Reason   string `json:"reason,omitempty"`
	OpenRuns string `json:"open_runs"`
}

// A hubItem is the Hub's data in a tenantItem.
type hubItem struct {
	Plan      string      `dynamodbav:"plan"`
	Suspended bool        `dynamodbav:"suspended"`
	Created   int64       `dynamodbav:"created"`
	Updated   int64       `dynamodbav:"updated"`
	PlanAt    int64       `dynamodbav:"plan_at"`
	StateAt   int64       `dynamodbav:"state_at"`
	OwnersAt  int64       `dynamodbav:"owners_at"`
	Name      string      `dynamodbav:"name,omitempty"`
	NameAt    int64       `dynamodbav:"name_at,omitempty"`
	Owners    []ownerItem `dynamodbav:"owners"`
}

type ownerItem struct {
	User  string `dynamodbav:"user,omitempty"`
	Email string `dynamodbav:"email"`
}

func (i tenantItem) tenant(o id.Org) (tenant.Tenant, error) {
	var owners []tenant.Owner
	for _, w := range i.Owners {
		owners = append(owners, tenant.Owner{User: id.User(w.User), Email: w.Email})
	}
	var chosen map[tenant.Policy]tenant.Choice
	for p, c := range i.Policy {
		if chosen == nil {
			chosen = make(map[tenant.Policy]tenant.Choice, len(i.Policy))
		}
		chosen[tenant.Policy(p)] = tenant.Choice(c)
	}
	t := tenant.Tenant{
		Org: o, Plan: credit.Plan(i.Plan), Suspended: i.Suspended,
		Created: timeOf(i.Created), Updated: timeOf(i.Updated), Revision: i.Revision,
		PlanAt: timeOf(i.PlanAt), StateAt: timeOf(i.StateAt), Owners: owners, OwnersAt: timeOf(i.OwnersAt), Name: i.Name, NameAt: timeOf(i.NameAt),
		Settings: tenant.Settings{
			Chosen: chosen, RetentionDays: i.Keep, Pins: i.Pins, JournalDays: i.Journal, JournalSince: timeOf(i.Since), Revision: i.Settings,
		},
		Listeners:   i.Listeners,
		Resumed:     timeOf(i.Resume),
		SearchUntil: timeOf(i.Search),
	}
	for _, u := range slices.Sorted(slices.Values(i.Uses)) {
		t.Uses = append(t.Uses, tenant.Use(u))
	}
	var p pauseDoc
	if err := fromJSON(i.Pause, &p); err != nil {
		return tenant.Tenant{}, fmt.Errorf("read the pause of %s: %w", o, err)
	}
	t.Pause = tenant.Pause{By: id.Actor(p.By), At: timeOf(p.At), Reason: p.Reason, OpenRuns: tenant.OpenRuns(p.OpenRuns)}
	return t, nil
}

// Tenant implements tenant.Store.
func (s *Store) Tenant(ctx context.Context, o id.Org) (tenant.Tenant, error) {
	stored, err := s.getItem(ctx, tenantKey(o))
	if err != nil {
		return tenant.Tenant{}, err
	}
	return tenantIn(o, stored)
}

// tenantIn reads the item of a tenant; one without attributes was not found.
func tenantIn(o id.Org, stored item) (tenant.Tenant, error) {
	var i tenantItem
	switch err := attributevalue.UnmarshalMap(stored, &i); {
	case err != nil:
		return tenant.Tenant{}, err
	case len(stored) == 0:
		return tenant.Tenant{}, tenant.ErrUnknown
	case i.Erasing != "":
		return tenant.Tenant{}, tenant.ErrUnknown.Because(tenant.ErrDeleted)
	}
	return i.tenant(o)
}

// Plan implements agent.Plans.
func (s *Store) Plan(ctx context.Context, o id.Org) (credit.Plan, error) {
	t, err := s.Tenant(ctx, o)
	return t.Plan, err
}

// SaveTenant implements tenant.Store.
func (s *Store) SaveTenant(ctx context.Context, t tenant.Tenant, month credit.Month) error {
	for range tries {
		balance, err := s.moved(ctx, t, month)
		if err != nil {
			return err
		}
		err = s.write(ctx, append([]write{tenantWrite(t)}, balance...)...)
		r := refused(err)
		if r == nil {
			return err
		}
		if _, stale := r.at(0); stale {
			return tenant.ErrStale
		}
	}
	return fmt.Errorf("move the balance of %s: %w", t.Org, errBusy)
}

func tenantWrite(t tenant.Tenant) write {
	cond, args := revised(t.Revision)
	var owners []ownerItem
	for _, w := range t.Owners {
		owners = append(owners, ownerItem{User: string(w.User), Email: w.Email})
	}
	facts, err := attributevalue.MarshalMap(hubItem{
		Plan: string(t.Plan), Suspended: t.Suspended, Created: nanos(t.Created), Updated: nanos(t.Updated),
		PlanAt: nanos(t.PlanAt), StateAt: nanos(t.StateAt), Owners: owners, OwnersAt: nanos(t.OwnersAt), Name: t.Name, NameAt: nanos(t.NameAt),
	})
	set := make(map[string]any, len(facts))
	for name, v := range facts {
		set[name] = v
	}
	return write{op: opUpdate, key: tenantKey(t.Org), set: set, add: map[string]int64{"rev": 1}, cond: cond, args: args, err: err}
}

// SaveSettings implements tenant.SettingsStore.
func (s *Store) SaveSettings(ctx context.Context, t tenant.Tenant, acts ...audit.Entry) error {
	chosen := make(map[string]string, len(t.Settings.Chosen))
	for p, c := range t.Settings.Chosen {
		chosen[string(p)] = string(c)
	}
	pins := make(map[string]int, len(t.Settings.Pins))
	for a, version := range t.Settings.Pins {
		pins[string(a)] = version
	}
	update := write{
		op: opUpdate, key: tenantKey(t.Org),
		set: map[string]any{
			"policy": chosen, "retention_days": t.Settings.RetentionDays, "pins": pins, "settings": t.Settings.Revision,
			"journal_days": t.Settings.JournalDays, "journal_since": nanos(t.Settings.JournalSince),
		},
		add: map[string]int64{"rev": 1}, cond: "rev = :rev", args: map[string]any{":rev": t.Revision},
	}
	err := s.write(ctx, append([]write{update}, auditWrites(acts)...)...)
	if refused(err) != nil {
		return tenant.ErrStale
	}
	return err
}

// SaveOrgPause implements tenant.PauseStore.
func (s *Store) SaveOrgPause(ctx context.Context, t tenant.Tenant, acts ...audit.Entry) error {
	update := write{
		op: opUpdate, key: tenantKey(t.Org), set: map[string]any{"resumed": nanos(t.Resumed)}, add: map[string]int64{"rev": 1},
		cond: "rev = :rev", args: map[string]any{":rev": t.Revision},
	}
	if t.Pause.Active() {
		doc, err := toJSON(pauseDoc{
			By: string(t.Pause.By), At: nanos(t.Pause.At), Reason: t.Pause.Reason, OpenRuns: string(t.Pause.OpenRuns),
		})
		update.set["pause"], update.err = doc, err
	} else {
		update.remove = append(update.remove, "pause")
	}
	if t.SearchUntil.IsZero() {
		update.remove = append(update.remove, "search_until", "open_shard", "due")
	} else {
		update.set["search_until"] = nanos(t.SearchUntil)
		update.set["open_shard"], update.set["due"] = searches, t.SearchUntil.UTC().Format(dueFormat)
	}
	err := s.write(ctx, append([]write{update}, auditWrites(acts)...)...)
	if refused(err) != nil {
		return tenant.ErrStale
	}
	return err
}

// Searching implements tenant.PauseStore.
func (s *Store) Searching(ctx context.Context, limit int) ([]id.Org, error) {
	index := schema.Open()
	items, _, err := s.page(ctx, query{index: &index, partition: searches, from: first, to: last, limit: limit})
	if err != nil {
		return nil, err
	}
	var all []id.Org
	for _, i := range items {
		all = append(all, id.Org(strings.TrimPrefix(textOf(i, schema.PartitionKey), "ORG#")))
	}
	return all, nil
}

// moved returns the write that adds the difference of two plans to the balance
// of a month, or a check that the balance does not exist yet. A writer that
// creates the balance checks in turn that the tenant is unchanged.
func (s *Store) moved(ctx context.Context, t tenant.Tenant, m credit.Month) ([]write, error) {
	var i monthItem
	found, err := s.get(ctx, monthKey(t.Org, m), &i)
	diff := t.Plan.Allocation() - i.Allocation
	switch {
	case err != nil:
		return nil, err
	case !found:
		return []write{{op: opCheck, key: monthKey(t.Org, m), cond: "attribute_not_exists(pk)"}}, nil
	case diff == 0:
		return nil, nil
	}
	return []write{{
		op: opUpdate, key: monthKey(t.Org, m),
		set: map[string]any{"allocation": t.Plan.Allocation(), "updated": nanos(t.Updated)},
		add: map[string]int64{"remaining": diff}, remove: []string{"slack"},
		cond: "allocation = :was", args: map[string]any{":was": i.Allocation},
	}}, nil
}

type monthItem struct {
	primary

	Allocation int64 `dynamodbav:"allocation"`
	Remaining  int64 `dynamodbav:"remaining"`
	Slack      int64 `dynamodbav:"slack,omitempty"` // above the next threshold; see balanceWrite
	Updated    int64 `dynamodbav:"updated"`

	Told credit.Marks `dynamodbav:"told,omitempty"`

	GraceDay  string `dynamodbav:"gd,omitempty"`
	GraceUsed int64  `dynamodbav:"gu,omitempty"`
}

// Balance implements execution.Balances. A month without use has the balance of
// the plan.
func (s *Store) Balance(ctx context.Context, o id.Org, m credit.Month) (credit.Balance, error) {
	var i monthItem
	found, err := s.get(ctx, monthKey(o, m), &i)
	if err != nil {
		return credit.Balance{}, err
	}
	if found {
		return i.balance(m), nil
	}
	plan, err := s.Plan(ctx, o)
	if err != nil {
		return credit.Balance{}, err
	}
	return plan.Unused(m), nil
}

func (i monthItem) balance(m credit.Month) credit.Balance {
	return credit.Balance{
		Month: m, Allocation: i.Allocation, Remaining: i.Remaining, Announced: i.Told, Updated: timeOf(i.Updated),
		Grace: credit.Grace{Day: credit.Day(i.GraceDay), Used: i.GraceUsed},
	}
}

// Balances implements httpapi.Balances. It reads the plan only if one of the
// months is without use.
func (s *Store) Balances(ctx context.Context, o id.Org, last credit.Month, n int) ([]credit.Balance, error) {
	from, to := monthKey(o, last.Before(n-1)), monthKey(o, last)
	items, err := s.all(ctx, query{partition: to.PK, err: to.err, from: from.SK, to: to.SK, strong: true})
	if err != nil {
		return nil, err
	}
	found := make(map[string]monthItem, len(items))
	for _, i := range items {
		var month monthItem
		if err := attributevalue.UnmarshalMap(i, &month); err != nil {
			return nil, err
		}
		found[month.SK] = month
	}
	var plan credit.Plan
	if len(found) < n {
		if plan, err = s.Plan(ctx, o); err != nil {
			return nil, err
		}
	}
	list := make([]credit.Balance, 0, n)
	for ago := range n {
		m := last.Before(ago)
		if month, ok := found[monthKey(o, m).SK]; ok {
			list = append(list, month.balance(m))
		} else {
			list = append(list, plan.Unused(m))
		}
	}
	return list, nil
}

// open creates the balance of a month from the plan, unless it exists. It does
// nothing if the plan changes meanwhile, and the caller tries again.
func (s *Store) open(ctx context.Context, o id.Org, m credit.Month, now time.Time) error {
	t, err := s.Tenant(ctx, o)
	if err != nil {
		return err
	}
	n := t.Plan.Allocation()
	cond, args := revised(t.Revision)
	err = s.write(ctx,
		put(monthItem{primary: monthKey(o, m), Allocation: n, Remaining: n, Slack: t.Plan.Unused(m).Slack(), Updated: nanos(now)}, "attribute_not_exists(pk)", nil),
		write{op: opCheck, key: tenantKey(o), cond: cond, args: args},
	)
	if refused(err) == nil {
		return err
	}
	return nil // another worker created it first, or the plan changed
}
