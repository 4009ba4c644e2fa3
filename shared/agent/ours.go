package agent

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/retry"
	"theoneagents.app/agents/shared/tenant"
)

// ours is what an organization has decided about the system agents.
type ours struct {
	tenant tenant.Tenant
	pauses map[id.Agent]Pause
}

// ours reads the organization's decisions.
func (s *Service) ours(ctx context.Context, org id.Org) (ours, error) {
	t, err := s.Settings.Tenant(ctx, org)
	if err != nil {
		return ours{}, fmt.Errorf("settings of %s: %w", org, err)
	}
	pauses, err := s.Store.Pauses(ctx, org)
	return ours{t, pauses}, err
}

// seen returns a system agent as the organization has it. Its revision differs for each
// version, pinned or not, paused or not, so that Patch.Match detects every change.
func (o ours) seen(a Agent) Agent {
	a = a.shown(o.tenant.Settings)
	a.Revision = 4*int64(a.Version) - 3
	if a.Pinned {
		a.Revision += 2
	}
	p, paused := o.pauses[a.ID]
	if !paused {
		return a
	}
	a.Status, a.UpdatedBy = Paused, p.By
	a.Revision++
	if !p.At.IsZero() {
		a.Updated = p.At
	}
	return a
}

// A field is what a change of a system agent is about.
type field string

const (
	statusField field = "status"
	pinField    field = "pinned_version"
)

// change returns the system agent after p, and the field that p changes, or ErrSystem,
// ErrGuarded, ErrChanged or ErrField.
func (o ours) change(who caller.Caller, a Agent, p Patch) (field, Agent, error) {
	now := o.seen(a)
	if len(p.Fields) != 1 {
		return "", now, ErrSystem
	}
	if v, ok := p.Fields[string(pinField)]; ok {
		after, err := o.pinned(who, a, v)
		return pinField, after, matched(err, p, now)
	}
	after := now
	status, err := statusOf(p.Fields, now.Status)
	switch {
	case err != nil || status != Active && status != Paused:
		err = ErrSystem
	case a.Guarded && !administers(who):
		err = ErrGuarded.Sayf("Only an owner or an admin may pause or resume the %s.", a.Name)
	}
	after.Status = status
	return statusField, after, matched(err, p, now)
}

// matched returns err, or ErrChanged when the caller has read another revision.
func matched(err error, p Patch, now Agent) error {
	if err == nil && p.Match != 0 && p.Match != now.Revision {
		return ErrChanged
	}
	return err
}

// pinned returns the system agent pinned to the version that a caller sends, or free of
// its pin for null.
func (o ours) pinned(who caller.Caller, a Agent, v any) (Agent, error) {
	number, ok := v.(int64)
	own := a.editions(o.tenant.Settings)
	switch {
	case !administers(who):
		return Agent{}, ErrGuarded.Sayf("Only an owner or an admin may pin the %s to a version.", a.Name)
	case v != nil && (!ok || !slices.ContainsFunc(own, func(e Edition) bool { return int64(e.Number) == number })):
		return Agent{}, ErrField.Sayf("pinned_version must be null or a version of %s under the organization's settings: %s.", a.ID, numbers(own))
	}
	o.tenant.Settings = o.tenant.Settings.Pinning(a.ID, int(number))
	return o.seen(a), nil
}

// numbers lists the numbers of editions, as in "1, 2 or 4".
func numbers(editions []Edition) string {
	all := make([]string, len(editions))
	for i, e := range editions {
		all[i] = strconv.Itoa(e.Number)
	}
	last := len(all) - 1
	if last == 0 {
		return all[0]
	}
	return strings.Join(all[:last], ", ") + " or " + all[last]
}

// updateSystem pauses, resumes, pins or frees a system agent for the caller's
// organization and refuses every other change.
func (s *Service) updateSystem(ctx context.Context, who caller.Caller, a Agent, p Patch) (Agent, error) {
	err := retry.Races(tenant.ErrStale, func() error {
		ours, err := s.ours(ctx, who.Org)
		if err != nil {
			return err
		}
		field, after, err := ours.change(who, a, p)
		if err != nil {
			return err
		}
		before := ours.seen(a)
		switch {
		case field == statusField && before.Status != after.Status:
			return s.switched(ctx, who, a, after.Status)
		case field == pinField && ours.tenant.Settings.Pins[a.ID] != after.pin():
			return s.pin(ctx, who, ours.tenant, before, after)
		}
		return nil
	})
	if err != nil {
		return Agent{}, busy(err, "update %s", a.ID)
	}
	return s.Get(ctx, who, a.ID)
}

// switched pauses or resumes a system agent for the caller's organization.
func (s *Service) switched(ctx context.Context, who caller.Caller, a Agent, status Status) error {
	event := a.Definition.Trigger.Event()
	now, act := s.Now(), audit.Change{Kind: audit.SystemAgentPaused, Object: string(a.ID), From: string(Active), To: string(Paused)}
	if status == Active {
		act.Kind, act.From, act.To = audit.SystemAgentResumed, act.To, act.From
		return s.Store.DeletePause(ctx, who.Org, a.ID, event, audit.Of(who, act, now))
	}
	return s.Store.SavePause(ctx, who.Org, a.ID, event, Pause{By: who.Actor(), At: now}, audit.Of(who, act, now))
}

// pin stores the pin of a system agent, or deletes it. Runs that have started keep their
// version.
func (s *Service) pin(ctx context.Context, who caller.Caller, t tenant.Tenant, before, after Agent) error {
	kind := audit.SystemAgentPinned
	if !after.Pinned {
		kind = audit.SystemAgentFreed
	}
	t.Settings = t.Settings.Pinning(after.ID, after.pin())
	act := audit.Change{Kind: kind, Object: string(after.ID), From: before.pinState(), To: after.pinState()}
	return s.Settings.SaveSettings(ctx, t, audit.Of(who, act, s.Now()))
}

// pin returns the version to which a system agent is pinned, or 0.
func (a Agent) pin() int {
	if !a.Pinned {
		return 0
	}
	return a.Version
}

// pinState returns the version of a system agent as the audit log shows it.
func (a Agent) pinState() string {
	if a.Pinned {
		return fmt.Sprintf("version %d, pinned", a.Version)
	}
	return fmt.Sprintf("version %d", a.Version)
}
