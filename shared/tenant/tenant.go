// Package tenant keeps the Hub's data about an organization (that it exists, its
// plan, its owners, its name, and whether it is suspended) and the organization's own
// settings.
//
// Both are one record, because every event reads it: a setting costs the
// dispatcher no read of its own. Each is written without the other: an event of
// the Hub leaves the settings, and a change of settings leaves the Hub's data.
//
// The record has one clock each for the plan, the suspension, the owners and the
// name, so that the Hub's events may be repeated and arrive in any order. While the Hub
// is down, its last data is valid.
package tenant

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/retry"
)

// The faults of this package.
var (
	ErrUnknown   = fault.New(fault.Forbidden, "unknown_org", "The organization is not known.")
	ErrSuspended = fault.New(fault.Forbidden, "forbidden", "The organization is suspended; nothing can be started.")
)

// A Tenant is an organization as the Hub describes it.
type Tenant struct {
	Org       id.Org
	Plan      credit.Plan
	Name      string // shown to people; empty when the Hub named none
	Suspended bool
	Created   time.Time
	Updated   time.Time // of the newest event that was applied
	PlanAt    time.Time // of the event that set the plan
	StateAt   time.Time // of the event that set the suspension
	Owners    []Owner   // recipients of alerts; none when the Hub named none
	OwnersAt  time.Time // of the event that set the owners
	NameAt    time.Time // of the event that set the name
	Revision  int64     // counts the writes; 0 before the first

	Settings Settings // the organization's own choices

	Uses      []Use // of the agents that were ever active, sorted
	Listeners int64 // counts the changes of the agents that listen for events; a release before 0.2 does not count

	Pause       Pause     // the organization's own pause
	Resumed     time.Time // when the last pause ended
	SearchUntil time.Time // until when the open runs are searched to hold or release them; zero for no search
}

// The events of the Hub that change a tenant.
const (
	created   = "hub:org.created"
	changed   = "hub:subscription.changed"
	suspended = "hub:org.suspended"
)

// Projects reports whether an event of this name changes or deletes a tenant, or
// revokes sessions.
func Projects(name string) bool {
	return name == created || name == changed || name == suspended || name == deleted || name == revoked
}

// Apply returns the tenant after e. The plan, the suspension, the owners and the
// name have a clock each, and an event older than the clock of a part does not
// change that part, so that events may be repeated and arrive in any order.
// Among events of the same moment, a change outweighs the creation, and so does
// a suspension.
func (t Tenant) Apply(e event.Event) (Tenant, error) {
	at := e.Published
	if t.Revision > 0 && t.PlanAt.IsZero() { // stored before the clocks existed
		t.PlanAt, t.StateAt = t.Updated, t.Updated
	}
	switch e.Name() {
	case created, changed:
		plan, err := planOf(e)
		if err != nil {
			return t, err
		}
		isCreation := e.Name() == created
		if at.After(t.PlanAt) || !isCreation && at.Equal(t.PlanAt) {
			t.Plan, t.PlanAt = plan, at
		}
		if isCreation && at.After(t.StateAt) {
			t.Suspended, t.StateAt = false, at // only a new creation lifts the suspension
		}
		if owners, ok := ownersOf(e); ok && (at.After(t.OwnersAt) || !isCreation && at.Equal(t.OwnersAt)) {
			t.Owners, t.OwnersAt = owners, at
		}
		if name, ok := nameOf(e); ok && (at.After(t.NameAt) || !isCreation && at.Equal(t.NameAt)) {
			t.Name, t.NameAt = name, at
		}
		if t.Created.IsZero() || at.Before(t.Created) {
			t.Org, t.Created = e.Org, at
		}
	case suspended:
		if t.Revision == 0 {
			return t, ErrUnknown
		}
		if !at.Before(t.StateAt) {
			t.Suspended, t.StateAt = true, at
		}
	}
	if at.After(t.Updated) {
		t.Updated = at
	}
	return t, nil
}

func planOf(e event.Event) (credit.Plan, error) {
	s, ok := e.Payload["plan"].(string)
	if plan := credit.Plan(s); ok && plan.Known() {
		return plan, nil
	}
	return "", event.ErrMalformed.Sayf("The payload's plan must be starter, growth or scale.")
}

// Store keeps tenants and revocations.
type Store interface {
	ErasureStore

	// Tenant returns the organization, or ErrUnknown, with the cause ErrDeleted for
	// one that was deleted.
	Tenant(ctx context.Context, org id.Org) (Tenant, error)

	// SaveTenant writes the Hub's data of t if the stored revision is still
	// t.Revision, and moves the balance of month by the difference of the
	// allocations, in one transaction. Otherwise it returns ErrStale. It leaves
	// the stored settings, pause, uses and count of listeners unchanged.
	SaveTenant(ctx context.Context, t Tenant, month credit.Month) error

	// Revoke records a revocation at least until it expires. Repeating it changes
	// nothing. Of several revocations of a user the latest Before counts, in any
	// order.
	Revoke(ctx context.Context, r Revocation) error

	// Revoked reports whether a session was revoked, by its jti or by its user.
	Revoked(ctx context.Context, session Session) (bool, error)
}

// ErrStale says that the tenant has changed since it was read.
var ErrStale = fault.New(fault.Stale, "conflict", "The organization has changed; try again.")

// Service applies the Hub's events.
type Service struct {
	Store Store
	Now   func() time.Time
}

// Project records e. It is idempotent, and ignores events that do not concern a
// tenant. It returns ErrDeleted for one that would change a deleted organization.
func (s *Service) Project(ctx context.Context, e event.Event) error {
	switch {
	case e.Name() == deleted:
		return s.delete(ctx, e)
	case e.Name() == revoked:
		return s.revoke(ctx, e)
	case !Projects(e.Name()):
		return nil
	}
	if err := retry.Races(ErrStale, func() error { return s.apply(ctx, e) }); err != nil {
		return fmt.Errorf("project an event of %s: %w", e.Org, err)
	}
	return nil
}

func (s *Service) apply(ctx context.Context, e event.Event) error {
	before, err := s.Store.Tenant(ctx, e.Org)
	if errors.Is(err, ErrDeleted) || err != nil && !errors.Is(err, ErrUnknown) {
		return err
	}
	after, err := before.Apply(e)
	if err != nil || reflect.DeepEqual(after, before) {
		return err
	}
	return s.Store.SaveTenant(ctx, after, credit.MonthOf(s.Now()))
}
