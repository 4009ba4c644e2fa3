package tenant

import (
	"context"
	"fmt"
	"time"

	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
)

// ErrDeleted says that the Hub has deleted the organization. A store returns it as the
// cause of ErrUnknown.
var ErrDeleted = fault.New(fault.Forbidden, "org_deleted", "The organization was deleted.")

// deleted is the Hub's event that deletes an organization for good: a later creation
// under the same id is ignored.
const deleted = "hub:org.deleted"

// Deletes reports whether an event of this name deletes its organization.
func Deletes(name string) bool { return name == deleted }

// A Stage is a stage of an erasure. A pass walks through everything that is stored
// for the organization and deletes it.
type Stage string

// The stages, in their order.
const (
	// Stopping cancels the open runs, until every call that began before the deletion
	// has ended.
	Stopping Stage = "stopping"
	// Stripping deletes everything but the records of ended runs: without its record,
	// a run whose worker still writes a step could not be found again. Passes are
	// repeated, further apart than a worker lives, until one finds nothing.
	Stripping Stage = "stripping"
	// Clearing deletes everything, until a pass finds nothing.
	Clearing Stage = "clearing"
	// Proving waits for stragglers. A last pass that finds nothing is the proof.
	Proving Stage = "proving"
	// Erased is the end. The erasure stays, so that late events find it.
	Erased Stage = "erased"
)

// The times of an erasure.
const (
	// Quiet is longer than a call of any function lasts, and than a machine of a run
	// that no approval or wait holds.
	Quiet = 15 * time.Minute
	// Straggling is the time between the pass that found nothing and the proof.
	Straggling = 25 * time.Hour
	// Patience is the time after which an open run that cannot be cancelled is deleted
	// as it is.
	Patience = 48 * time.Hour
	// again is the time after a proof that failed.
	again = time.Hour
)

// An Erasure is what is left of a deleted organization: that and when its data was
// deleted, and the number of items, but no data.
type Erasure struct {
	Org      id.Org
	Event    id.Event  // of the Hub
	Deleted  time.Time // when the Hub published it
	Began    time.Time
	Stage    Stage
	Position string    // of the store, in the current pass
	Found    int64     // items that the current pass found
	Items    int64     // items that all passes deleted
	Passes   int64     // passes that ended
	Next     time.Time // when the erasure goes on; zero at its end
	Proved   time.Time // when the last pass found nothing; zero before
	Revision int64     // counts the writes; 0 before the first
}

// erasureOf returns the erasure that an event begins.
func erasureOf(e event.Event, now time.Time) Erasure {
	return Erasure{Org: e.Org, Event: e.ID, Deleted: e.Published, Began: now, Stage: Stopping, Next: now}
}

// KeepsRuns reports whether a pass leaves the records of runs.
func (e Erasure) KeepsRuns() bool { return e.Stage == Stopping || e.Stage == Stripping }

// Forced reports whether open runs no longer delay the erasure.
func (e Erasure) Forced(now time.Time) bool { return !now.Before(e.Began.Add(Patience)) }

// Stopped returns the erasure after a look for open runs that found some or none.
func (e Erasure) Stopped(found int, now time.Time) Erasure {
	quiet := found == 0 && !now.Before(e.Began.Add(Quiet))
	if e.Stage == Stopping && (quiet || e.Forced(now)) {
		e.Stage = Stripping
	}
	e.Next = now
	return e
}

// Walked returns the erasure after a part of a pass, which found items, deleted some
// of them, and ended at a position; "" at the end of the pass.
func (e Erasure) Walked(found, gone int, position string, now time.Time) Erasure {
	e.Found += int64(found)
	e.Items += int64(gone)
	e.Position, e.Next = position, now
	if position == "" {
		e = e.passed(now)
	}
	return e
}

func (e Erasure) passed(now time.Time) Erasure {
	clean := e.Found == 0
	e.Found = 0
	e.Passes++
	switch {
	case e.Stage == Stripping && (clean || e.Forced(now)):
		e.Stage = Clearing
	case e.Stage == Stripping:
		e.Next = now.Add(Quiet)
	case e.Stage == Clearing && clean:
		e.Stage, e.Next = Proving, now.Add(Straggling)
	case e.Stage == Proving && clean:
		e.Stage, e.Next, e.Proved = Erased, time.Time{}, now
	case e.Stage == Proving:
		e.Next = now.Add(again)
	}
	return e
}

// ErasureStore keeps erasures in the place of tenants.
type ErasureStore interface {
	// BeginErasure replaces the organization, known or not, by the erasure: from then
	// on Tenant returns ErrUnknown with the cause ErrDeleted. An erasure that has
	// begun stays as it is.
	BeginErasure(ctx context.Context, e Erasure) error

	// EraseKeys deletes all integration keys of an organization. It may be repeated.
	EraseKeys(ctx context.Context, org id.Org) error
}

// delete begins the erasure of an organization. Its keys stop working at once; its
// sessions do, because it is no longer known.
func (s *Service) delete(ctx context.Context, e event.Event) error {
	if err := s.Store.BeginErasure(ctx, erasureOf(e, s.Now())); err != nil {
		return fmt.Errorf("begin the erasure of %s: %w", e.Org, err)
	}
	if err := s.Store.EraseKeys(ctx, e.Org); err != nil {
		return fmt.Errorf("delete the keys of %s: %w", e.Org, err)
	}
	return nil
}
