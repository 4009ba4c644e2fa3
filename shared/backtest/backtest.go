// Package backtest answers how often an agent would have started on the events of the
// past weeks, and what else would have changed: it plays the journal of an organization.
//
// It has no engine of its own. The real dispatcher judges the events, in the order of
// their publication, over a store in memory and with a clock that shows the time of each
// event. So filters, scope, conditions, the loop guard, overrides, deduplication and
// limits count as they would have. It does so in two universes: one with the agents that
// the organization has, and one with the candidate among them.
//
//	journal ─▶ sample ─▶ universe with the candidate ─▶ sheet ─▶ result
//	                 └─▶ universe as it is ────────────▶
//
// What the universes take from the present: the agents and their versions, the plan and
// the settings, at the time of the request. What they take from the past: the events, the
// profiles of clients that these events make, and which run caused an event. What they
// leave out: pauses and suspensions of the organization, and the quotas of the plan, which
// all agents share.
//
// Nothing is written but the job. The work is a function of the arguments, of the journal
// and of the runs, so that a worker that was interrupted begins anew and comes to the same
// result.
package backtest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/job"
	"theoneagents.app/agents/shared/tenant"
)

// The faults of this package.
var (
	ErrOff  = fault.New(fault.Conflict, "journal_off", "The organization keeps no journal; set journal_days in the settings.")
	ErrNone = fault.New(fault.Invalid, "nothing_kept", "The journal has no event of this time.")

	// ErrTooMany fails a back-test that would read too much.
	ErrTooMany = fault.New(fault.Invalid, "too_many_events", "The journal has too many events of this time; choose a shorter one.")
)

// The bounds of a back-test.
const (
	MaxDays    = 90
	UsualDays  = 30
	MaxEvents  = 100_000   // of the trigger's type that are judged; of more, a sample
	MaxRead    = 2_000_000 // events that are read
	MaxPlayed  = 2_000     // runs that are played; of more, a sample
	MaxClients = 200
)

// A Play says what a back-test does beyond judging.
type Play string

// The plays.
const (
	// None judges the events alone.
	None Play = "none"
	// Simulated plays the runs that would have started, each as a test run: models answer
	// with what fits, products with samples, and people approve.
	Simulated Play = "simulated"
)

// Plays returns all plays.
func Plays() []Play { return []Play{None, Simulated} }

// A Request is a back-test that a caller asks for.
type Request struct {
	Agent   agent.Agent // the candidate: its version and definition
	Saved   bool        // the definition is that version; otherwise it was never saved
	Active  bool        // events start the agent now, in some version
	From    time.Time   // zero for UsualDays before To
	To      time.Time   // exclusive; zero for now
	Compare bool        // with the agents as they are
	Clients []id.Client // whose events count; empty for all
	Play    Play
}

// Args are the arguments of a job, as they are stored: everything that may change while
// it is open.
type Args struct {
	Agent      id.Agent               `json:"agent"`
	Version    int                    `json:"version"`
	Saved      bool                   `json:"saved,omitempty"`
	System     bool                   `json:"system,omitempty"`
	Definition *definition.Definition `json:"definition"`
	From       time.Time              `json:"from"`
	To         time.Time              `json:"to"`
	Since      time.Time              `json:"since"`           // the journal has every event since then
	Whole      bool                   `json:"whole,omitempty"` // the journal is as old as the organization
	Compare    bool                   `json:"compare,omitempty"`
	Clients    []id.Client            `json:"clients,omitempty"`
	Play       Play                   `json:"play,omitempty"`

	Plan    credit.Plan                     `json:"plan"`
	Chosen  map[tenant.Policy]tenant.Choice `json:"chosen,omitempty"`
	Pins    map[id.Agent]int                `json:"pins,omitempty"`
	Uses    []tenant.Use                    `json:"uses,omitempty"`
	Present []Present                       `json:"present,omitempty"` // the active agents
	Paused  []id.Agent                      `json:"paused,omitempty"`  // the system agents that are not
}

// settings returns the settings of the organization that the agents depend on.
func (a Args) settings() tenant.Settings { return tenant.Settings{Chosen: a.Chosen, Pins: a.Pins} }

// A Present is an active agent of the organization.
type Present struct {
	Agent   id.Agent `json:"agent"`
	Version int      `json:"version"`
}

// Store reads the organization and its agents.
type Store interface {
	// Tenant returns the organization, or tenant.ErrUnknown.
	Tenant(ctx context.Context, org id.Org) (tenant.Tenant, error)

	// Agents returns the heads of the organization's own agents.
	Agents(ctx context.Context, org id.Org) ([]agent.Head, error)

	// Pauses returns the paused system agents.
	Pauses(ctx context.Context, org id.Org) (map[id.Agent]agent.Pause, error)
}

// Service starts back-tests.
type Service struct {
	Store Store
	Jobs  *job.Service
	Now   func() time.Time
}

// Start starts a back-test. It returns ErrOff, ErrNone or job.ErrRunning.
func (s *Service) Start(ctx context.Context, who caller.Caller, q Request) (job.Job, error) {
	t, err := s.Store.Tenant(ctx, who.Org)
	if err != nil {
		return job.Job{}, err
	}
	now := s.Now()
	since, ok := t.Settings.KeptSince(now)
	if !ok {
		return job.Job{}, ErrOff
	}
	since = since.Truncate(time.Second) // products tell whole seconds
	a := Args{
		Agent: q.Agent.ID, Version: max(q.Agent.Version, 1), Saved: q.Saved, System: q.Agent.Type == agent.System, Definition: &q.Agent.Definition,
		From: q.From, To: q.To, Since: since, Whole: !since.After(t.Created), Compare: q.Compare, Clients: q.Clients, Play: q.Play,
		Plan: t.Plan, Chosen: t.Settings.Chosen, Pins: t.Settings.Pins, Uses: t.Uses,
	}
	if a.To.IsZero() || a.To.After(now) {
		a.To = now
	}
	if a.From.IsZero() {
		a.From = a.To.AddDate(0, 0, -UsualDays)
	}
	if !a.To.After(since) {
		return job.Job{}, ErrNone.Sayf("The journal has no event before %s.", since.UTC().Format(time.RFC3339))
	}
	if a.From.Before(since) {
		a.From = since
	}
	if err := s.present(ctx, who.Org, &a); err != nil {
		return job.Job{}, err
	}
	text, err := json.Marshal(a)
	if err != nil {
		return job.Job{}, fmt.Errorf("write the arguments of a back-test: %w", err)
	}
	return s.Jobs.Start(ctx, who, job.Backtest, string(text))
}

// present adds the agents that the organization has.
func (s *Service) present(ctx context.Context, org id.Org, a *Args) error {
	heads, err := s.Store.Agents(ctx, org)
	if err != nil {
		return err
	}
	for _, h := range heads {
		if h.Status == agent.Active {
			a.Present = append(a.Present, Present{h.ID, h.Version})
		}
	}
	pauses, err := s.Store.Pauses(ctx, org)
	a.Paused = slices.Sorted(maps.Keys(pauses))
	return err
}
