package memory

import (
	"context"
	"slices"
	"time"

	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/tenant"
)

// A maker is the run whose action made an object.
type maker struct {
	run   id.Execution
	until time.Time
}

// SaveMaker implements runner.Store.
func (s *Store) SaveMaker(_ context.Context, o id.Org, made catalog.ObjectID, by id.Execution, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if makers := s.org(o).makers; !now.Before(makers[made].until) {
		makers[made] = maker{run: by, until: now.Add(execution.MakerKept)}
	}
	return nil
}

// Maker implements dispatch.Runs.
func (s *Store) Maker(_ context.Context, o id.Org, made catalog.ObjectID, now time.Time) (id.Execution, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.org(o).makers[made]; now.Before(m.until) {
		return m.run, nil
	}
	return "", nil
}

// AddUses implements dispatch.Runs.
func (s *Store) AddUses(_ context.Context, o id.Org, uses []tenant.Use) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.org(o).add(uses)
	return nil
}

// listen counts a change of the listeners of the organization, or returns
// tenant.ErrUnknown.
func (o *org) listen() error {
	if _, err := o.known(); err != nil {
		return err
	}
	o.tenant.Listeners++
	return nil
}

// add adds uses to those of the organization.
func (o *org) add(uses []tenant.Use) {
	if o.tenant.Revision == 0 {
		return
	}
	o.tenant.Uses = slices.Compact(slices.Sorted(slices.Values(slices.Concat(o.tenant.Uses, uses))))
}
