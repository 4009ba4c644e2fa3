package tenant

import (
	"context"
	"slices"
	"time"

	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
)

// ErrPaused refuses to start something in a paused organization.
var ErrPaused = fault.New(fault.Forbidden, "org_paused", "The organization is paused; nothing can be started until an owner or admin resumes it.")

// OpenRuns says what a pause does with the open runs.
type OpenRuns string

// The treatments of open runs, from the weakest to the strongest.
const (
	Finish OpenRuns = "finish" // they go on
	Hold   OpenRuns = "hold"   // they stop before their next step, and continue when the organization resumes
	Cancel OpenRuns = "cancel" // they end
)

// OpenRunsChoices returns all treatments of open runs, the default first.
func OpenRunsChoices() []OpenRuns { return []OpenRuns{Hold, Cancel, Finish} }

func (o OpenRuns) strength() int { return slices.Index([]OpenRuns{Finish, Hold, Cancel}, o) }

// MaxPauseReason is the maximum length of the reason of a pause, in characters.
const MaxPauseReason = 200

// A Pause is the pause of an organization. The zero value is no pause.
type Pause struct {
	By       id.Actor
	At       time.Time
	Reason   string
	OpenRuns OpenRuns
}

// Active reports whether there is a pause.
func (p Pause) Active() bool { return !p.At.IsZero() }

// How long the open runs are searched again after a change of the pause, because
// a function that read the tenant a moment before may still start, hold or
// release a run. Each exceeds the timeout of such a function.
const (
	HoldWindow    = 30 * time.Second
	ReleaseWindow = 150 * time.Second
)

// Paused returns the tenant after a pause. A pause of a paused organization keeps
// the first author and time, takes a new reason, and only the stronger treatment
// of the open runs: only a resumption lets held runs go on.
func (t Tenant) Paused(p Pause) Tenant {
	if t.Pause.Active() {
		p.By, p.At, p.Reason = t.Pause.By, t.Pause.At, orElse(p.Reason, t.Pause.Reason)
		if p.OpenRuns.strength() < t.Pause.OpenRuns.strength() {
			p.OpenRuns = t.Pause.OpenRuns
		}
	}
	t.Pause = p
	return t
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// Resume returns the tenant without a pause.
func (t Tenant) Resume(now time.Time) Tenant {
	if t.Pause.Active() {
		t.Pause, t.Resumed = Pause{}, now
	}
	return t
}

// Searched returns the tenant whose open runs are to be searched until a time;
// zero ends the search.
func (t Tenant) Searched(until time.Time) Tenant {
	t.SearchUntil = until
	return t
}

// PauseStore keeps the pauses of organizations.
type PauseStore interface {
	// SaveOrgPause writes the pause of t and the end of its search, and nothing
	// else of it, with the acts in one transaction, if the stored revision is
	// still t.Revision. Otherwise it returns ErrStale.
	SaveOrgPause(ctx context.Context, t Tenant, acts ...audit.Entry) error

	// Searching returns up to limit organizations whose open runs are to be
	// searched. Its index may lag behind.
	Searching(ctx context.Context, limit int) ([]id.Org, error)
}
