package memory

import (
	"context"
	"errors"
	"maps"
	"slices"

	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/key"
	"theoneagents.app/agents/shared/tenant"
)

// Tenant implements tenant.Store.
func (s *Store) Tenant(_ context.Context, o id.Org) (tenant.Tenant, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.org(o).known()
}

func (o *org) known() (tenant.Tenant, error) {
	if o.erasure.Revision > 0 {
		return tenant.Tenant{}, tenant.ErrUnknown.Because(tenant.ErrDeleted)
	}
	if o.tenant.Revision == 0 {
		return tenant.Tenant{}, tenant.ErrUnknown
	}
	return clone(o.tenant), nil
}

// Plan implements agent.Plans.
func (s *Store) Plan(ctx context.Context, o id.Org) (credit.Plan, error) {
	t, err := s.Tenant(ctx, o)
	return t.Plan, err
}

// SaveTenant implements tenant.Store.
func (s *Store) SaveTenant(_ context.Context, t tenant.Tenant, month credit.Month) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.org(t.Org)
	if o.tenant.Revision != t.Revision || o.erasure.Revision > 0 {
		return tenant.ErrStale
	}
	if b, ok := o.months[month]; ok && b.Allocation != t.Plan.Allocation() {
		b.Remaining += t.Plan.Allocation() - b.Allocation
		b.Allocation, b.Updated = t.Plan.Allocation(), t.Updated
		o.months[month] = b
	}
	t.Revision++
	t.Settings, t.Pause, t.Resumed, t.SearchUntil = o.tenant.Settings, o.tenant.Pause, o.tenant.Resumed, o.tenant.SearchUntil
	t.Uses, t.Listeners = o.tenant.Uses, o.tenant.Listeners
	o.tenant = clone(t)
	return nil
}

// SaveSettings implements tenant.SettingsStore.
func (s *Store) SaveSettings(_ context.Context, t tenant.Tenant, acts ...audit.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.org(t.Org)
	if o.tenant.Revision != t.Revision || t.Revision == 0 {
		return tenant.ErrStale
	}
	o.tenant.Settings = clone(t.Settings)
	o.tenant.Revision++
	o.record(acts)
	return nil
}

// SaveOrgPause implements tenant.PauseStore.
func (s *Store) SaveOrgPause(_ context.Context, t tenant.Tenant, acts ...audit.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.org(t.Org)
	if o.tenant.Revision != t.Revision || t.Revision == 0 {
		return tenant.ErrStale
	}
	o.tenant.Pause, o.tenant.Resumed, o.tenant.SearchUntil = t.Pause, t.Resumed, t.SearchUntil
	o.tenant.Revision++
	o.record(acts)
	return nil
}

// Searching implements tenant.PauseStore.
func (s *Store) Searching(_ context.Context, limit int) ([]id.Org, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []id.Org
	for name, o := range s.orgs {
		if !o.tenant.SearchUntil.IsZero() {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all[:min(len(all), limit)], nil
}

// Balance implements execution.Balances. A month without use has the balance of
// the plan.
func (s *Store) Balance(_ context.Context, o id.Org, m credit.Month) (credit.Balance, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.org(o).balance(m)
}

func (o *org) balance(m credit.Month) (credit.Balance, error) {
	if b, ok := o.months[m]; ok {
		return b, nil
	}
	t, err := o.known()
	if err != nil {
		return credit.Balance{}, err
	}
	return t.Plan.Unused(m), nil
}

// Balances implements httpapi.Balances.
func (s *Store) Balances(_ context.Context, o id.Org, last credit.Month, n int) ([]credit.Balance, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]credit.Balance, 0, n)
	for ago := range n {
		b, err := s.org(o).balance(last.Before(ago))
		if err != nil {
			return nil, err
		}
		list = append(list, b)
	}
	return list, nil
}

// errKeyExists is an internal error: the id of a key is random.
var errKeyExists = errors.New("memory: a key of this id exists")

// CreateKey implements key.Store.
func (s *Store) CreateKey(_ context.Context, k key.Key, acts ...audit.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, exists := s.org(k.Org).keys[k.ID]; exists {
		return errKeyExists
	}
	if len(s.org(k.Org).keys) >= key.MaxKeys {
		return key.ErrLimit
	}
	s.org(k.Org).keys[k.ID] = k
	s.org(k.Org).record(acts)
	return nil
}

// Keys implements key.Store.
func (s *Store) Keys(_ context.Context, o id.Org) ([]key.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := s.org(o).keys
	list := make([]key.Key, 0, len(keys))
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		list = append(list, keys[k])
	}
	return list, nil
}

// RevokeKey implements key.Store.
func (s *Store) RevokeKey(_ context.Context, o id.Org, k id.Key, acts ...audit.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := s.org(o).keys
	if _, ok := keys[k]; !ok {
		return key.ErrNotFound
	}
	delete(keys, k)
	s.org(o).record(acts)
	return nil
}

// KeyByHash implements key.Store.
func (s *Store) KeyByHash(_ context.Context, h key.Hash) (key.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.orgs {
		for _, k := range o.keys {
			if k.Hash == h {
				return k, nil
			}
		}
	}
	return key.Key{}, key.ErrNotFound
}

// MarkUsed implements key.Store.
func (s *Store) MarkUsed(_ context.Context, k key.Key) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := s.org(k.Org).keys
	if stored, ok := keys[k.ID]; ok && k.Used.After(stored.Used) {
		stored.Used = k.Used
		keys[k.ID] = stored
	}
	return nil
}

// Rotation implements key.Store.
func (s *Store) Rotation(_ context.Context, o id.Org) (key.Rotation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return clone(s.org(o).rotation), nil
}

// SaveRotation implements key.Store.
func (s *Store) SaveRotation(_ context.Context, o id.Org, before, after key.Rotation, acts ...audit.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.org(o).rotation.Generation != before.Generation {
		return key.ErrRotated
	}
	s.org(o).rotation = clone(after)
	s.org(o).record(acts)
	return nil
}
