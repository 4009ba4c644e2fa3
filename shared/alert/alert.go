// Package alert sends the owners of an organization an e-mail about failures
// that none of its agents listens for, at most one an hour.
//
// A record of the organization holds the time of the last e-mail and the
// failures that are not yet reported. The dispatcher that advances this time in
// a conditional write sends the e-mail; the other dispatchers only add their
// failure. The time is written before the e-mail is sent, so a crash loses an
// e-mail but never sends two; its failures stay in the record and go with the
// next one. The Hub names the owners; an organization without owners gets no
// e-mail.
package alert

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/outbox"
	"theoneagents.app/agents/shared/retry"
	"theoneagents.app/agents/shared/step"
	"theoneagents.app/agents/shared/tenant"
)

// ErrStale says that the record has changed since it was read.
var ErrStale = fault.New(fault.Stale, "conflict", "The record of alerts has changed; try again.")

// Interval is the minimum time between two e-mails.
const Interval = time.Hour

// Most limits the failures in an e-mail. Further failures are not recorded
// until these are reported.
const Most = 20

// A Record holds the reported and the unreported failures of an organization.
// Its JSON is a stored format.
type Record struct {
	Mailed time.Time  `json:"mailed"` // start of sending the last e-mail
	Told   []id.Event `json:"told"`   // listed in the last e-mail
	Open   []Failure  `json:"open"`   // not known to be reported, oldest first
	More   bool       `json:"more"`   // whether more failures happened

	Revision int64 `json:"-"` // counts the writes; 0 before the first
}

// A Failure is an event of the platform as the e-mail lists it.
type Failure struct {
	Event     id.Event     `json:"event"`
	Type      string       `json:"type"`
	At        time.Time    `json:"at"`
	Agent     id.Agent     `json:"agent,omitempty"`
	Name      string       `json:"name,omitempty"`
	Execution id.Execution `json:"execution,omitempty"`
	Step      id.Step      `json:"step,omitempty"`
	Code      string       `json:"code"`
	Message   string       `json:"message"`
}

func failureOf(e event.Event) Failure {
	text := func(name string) string {
		s, _ := e.Payload[name].(string)
		return clean(s)
	}
	return Failure{
		Event: e.ID, Type: e.Type, At: e.Published, Agent: id.Agent(text("agent_id")), Name: text("agent_name"),
		Execution: id.Execution(text("execution_id")), Step: id.Step(text("step_id")), Code: text("code"), Message: text("message"),
	}
}

// clean returns s in one line of at most 200 characters.
func clean(s string) string {
	const most = 200
	runes := []rune(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) {
			return ' '
		}
		return r
	}, s))
	return string(runes[:min(len(runes), most)])
}

// With returns the record with a failure added, whether that changed the
// record, and whether an e-mail is due. A failure that is recorded or was
// reported is not added again.
func (r Record) With(f Failure, now time.Time) (after Record, changed, due bool) {
	if slices.Contains(r.Told, f.Event) {
		return r, false, false
	}
	known := slices.ContainsFunc(r.Open, func(o Failure) bool { return o.Event == f.Event })
	switch {
	case known:
	case len(r.Open) < Most:
		r.Open, changed = append(slices.Clone(r.Open), f), true
	case !r.More:
		r.More, changed = true, true
	}
	if now.Sub(r.Mailed) >= Interval {
		r.Mailed, changed, due = now, true, true
	}
	return r, changed, due
}

// Sent returns the record after an e-mail that listed its open failures.
func (r Record) Sent() Record {
	r.Told = make([]id.Event, 0, len(r.Open))
	for _, f := range r.Open {
		r.Told = append(r.Told, f.Event)
	}
	r.Open, r.More = nil, false
	return r
}

// Store keeps the record of each organization.
type Store interface {
	// Alerts returns the record of the organization, or an empty one.
	Alerts(ctx context.Context, org id.Org) (Record, error)

	// SaveAlerts writes r if the stored revision is still r.Revision, or returns
	// ErrStale.
	SaveAlerts(ctx context.Context, org id.Org, r Record) error
}

// Service notifies owners.
type Service struct {
	Store Store
	Mail  step.Sender
	// Console is the URL of the console.
	Console string
	Now     func() time.Time
	// Report logs an e-mail that was not delivered.
	Report func(ctx context.Context, err error)
}

// Tell notifies the owners of an organization of a platform event, or records
// the event for the next e-mail. It may be repeated with the same event, and
// should be after an error.
func (s *Service) Tell(ctx context.Context, t tenant.Tenant, e event.Event) error {
	if len(t.Owners) == 0 {
		return nil
	}
	if err := retry.Races(ErrStale, func() error { return s.tell(ctx, t, e) }); err != nil {
		return fmt.Errorf("record %s for the owners of %s: %w", e.ID, e.Org, err)
	}
	return nil
}

func (s *Service) tell(ctx context.Context, t tenant.Tenant, e event.Event) error {
	before, err := s.Store.Alerts(ctx, e.Org)
	if err != nil {
		return err
	}
	r, changed, due := before.With(failureOf(e), s.Now())
	if !changed {
		return nil
	}
	if err := s.Store.SaveAlerts(ctx, e.Org, r); err != nil || !due {
		return err
	}
	r.Revision++
	if err := s.send(ctx, t, r, e); err != nil {
		r.Mailed = before.Mailed // certainly no e-mail was sent, so the next delivery may send one
		return errors.Join(err, ignoreStale(s.Store.SaveAlerts(ctx, e.Org, r)))
	}
	return ignoreStale(s.Store.SaveAlerts(ctx, e.Org, r.Sent()))
}

// ignoreStale ignores a lost race: another failure was added, and the next
// e-mail lists all of them, including these.
func ignoreStale(err error) error {
	if errors.Is(err, ErrStale) {
		return nil
	}
	return err
}

// send sends the e-mail to each owner. It fails only when certainly no e-mail
// was sent and a retry may succeed.
func (s *Service) send(ctx context.Context, t tenant.Tenant, r Record, e event.Event) error {
	subject, body := s.text(t.Org, r)
	told := false
	var again error
	for i, owner := range t.Owners {
		err := s.Mail.Send(ctx, step.Message{
			Org: t.Org, Channel: definition.Email, Recipient: owner.Email, Subject: subject, Body: body,
			Link: step.Link{Text: "Open the console", URL: s.Console}, Key: fmt.Sprintf("%s:owner:%d", e.ID, i),
		})
		switch {
		case err == nil:
			told = true
		case errors.Is(err, step.ErrAgain):
			again = errors.Join(again, err)
		default: // refused for good, or possibly sent
			told = told || !errors.Is(err, step.ErrNotification)
			s.Report(ctx, fmt.Errorf("e-mail owner %d of %s: %w", i, t.Org, err))
		}
	}
	if told && again != nil {
		s.Report(ctx, fmt.Errorf("e-mail the other owners of %s: %w", t.Org, again))
		again = nil
	}
	return again
}

// text returns the e-mail: fixed sentences, ids, and the names that the tenant
// gave to its agents.
func (s *Service) text(o id.Org, r Record) (subject, body string) {
	count := strconv.Itoa(len(r.Open))
	if r.More {
		count = "more than " + count
	}
	subject = fmt.Sprintf("One Agents: %s failures in %s", count, o)
	if len(r.Open) == 1 && !r.More {
		subject = fmt.Sprintf("One Agents: 1 failure in %s", o)
	}
	var b strings.Builder
	since := ":"
	if len(r.Told) > 0 {
		since = " since the last e-mail:"
	}
	fmt.Fprintf(&b, "%s%s\n", strings.TrimPrefix(subject, "One Agents: "), since)
	for _, f := range r.Open {
		fmt.Fprintf(&b, "\n%s  %s\n", f.At.UTC().Format("2006-01-02 15:04:05 UTC"), f.sentence())
		if ids := f.ids(); ids != "" {
			fmt.Fprintf(&b, "    %s\n", ids)
		}
	}
	if r.More {
		fmt.Fprintf(&b, "\nMore failures happened; the console lists all failed runs.\n")
	}
	fmt.Fprintf(&b, "\nConsole: %s\n\nYou get at most one such e-mail an hour, because no active agent of your organization listens for these events. "+
		"To hear of each at once, clone the template \"Failed Run Alert\".\n", s.Console)
	return subject, b.String()
}

// sentence returns the description of a failure.
func (f Failure) sentence() string {
	if f.Type == outbox.ExecutionFailed {
		return fmt.Sprintf("A run of %s failed. %s", f.agent(), f.Message)
	}
	if f.Agent != "" {
		return fmt.Sprintf("%s: %s", f.agent(), f.Message)
	}
	return f.Message
}

func (f Failure) agent() string {
	if f.Name == "" {
		return string(f.Agent)
	}
	return fmt.Sprintf("the agent %q", f.Name)
}

// ids returns the ids that help to find the failure.
func (f Failure) ids() string {
	var parts []string
	for _, p := range []struct{ name, value string }{
		{"execution", string(f.Execution)}, {"step", string(f.Step)}, {"agent", string(f.Agent)}, {"code", f.Code},
	} {
		if p.value != "" {
			parts = append(parts, p.name+" "+p.value)
		}
	}
	return strings.Join(parts, ", ")
}
