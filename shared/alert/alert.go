// Package alert tells the owners of an organization by e-mail about failures
// that no agent of theirs listens for: at most one e-mail an hour.
//
// A record of the organization says when the last e-mail was begun and which
// failures the owners do not know of yet. Whoever moves its time on, in a
// conditional write, sends the e-mail; the others only add their failure. The
// time moves before the e-mail is sent, so a crash costs an e-mail and never
// sends two: the failures stay in the record and go with the next one. Owners
// are those that the Hub named; without any there is nothing to do.
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

// Interval is the time from one e-mail to the next.
const Interval = time.Hour

// Most is how many failures an e-mail lists. What comes after them is not
// recorded until they are told.
const Most = 20

// A Record is what the owners of an organization were told, and what not yet. It
// is a document of ours: the stores keep its JSON.
type Record struct {
	Mailed time.Time  `json:"mailed"` // when the last e-mail was begun
	Told   []id.Event `json:"told"`   // by the last e-mail
	Open   []Failure  `json:"open"`   // not told yet, as far as is known; the oldest first
	More   bool       `json:"more"`   // whether there were others besides

	Revision int64 `json:"-"` // counts the writes; 0 before the first
}

// A Failure is an event of the platform as the owners are told it.
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

// With returns the record with a failure, whether that changed it, and whether
// an e-mail is due. A failure that was told or is recorded is not added again.
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
	// Alerts returns the record of the organization; an empty one when there is
	// none.
	Alerts(ctx context.Context, org id.Org) (Record, error)

	// SaveAlerts writes r if the stored revision is still r.Revision, or returns
	// ErrStale.
	SaveAlerts(ctx context.Context, org id.Org, r Record) error
}

// Service tells owners.
type Service struct {
	Store Store
	Mail  step.Sender
	// Console is the address of the pages where people look.
	Console string
	Now     func() time.Time
	// Report is told of an e-mail that did not arrive.
	Report func(ctx context.Context, err error)
}

// Tell tells the owners of an organization of an event of the platform, or
// records it for the next e-mail. It may be called again with the same event. An
// error means that it should be.
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
		r.Mailed = before.Mailed // surely nobody got it, so the next delivery may send
		return errors.Join(err, ignoreStale(s.Store.SaveAlerts(ctx, e.Org, r)))
	}
	return ignoreStale(s.Store.SaveAlerts(ctx, e.Org, r.Sent()))
}

// ignoreStale takes a lost race for what it is: another failure was added, and
// the next e-mail tells all of them, these once more.
func ignoreStale(err error) error {
	if errors.Is(err, ErrStale) {
		return nil
	}
	return err
}

// send sends the e-mail to each owner. It fails only when surely none was sent
// and a later try may help.
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
		default: // refused for good, or nobody knows whether it was sent
			told = told || !errors.Is(err, step.ErrNotification)
			s.Report(ctx, fmt.Errorf("tell owner %d of %s: %w", i, t.Org, err))
		}
	}
	if told && again != nil {
		s.Report(ctx, fmt.Errorf("tell the other owners of %s: %w", t.Org, again))
		again = nil
	}
	return again
}

// text returns what the owners are told: our sentences, ids, and the names that
// they gave to their agents.
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
		fmt.Fprintf(&b, "\nThere were others; the console lists all failed runs.\n")
	}
	fmt.Fprintf(&b, "\nConsole: %s\n\nYou get at most one such e-mail an hour, because no active agent of your organization listens for these events. "+
		"To hear of each at once, clone the template \"Failed Run Alert\".\n", s.Console)
	return subject, b.String()
}

// sentence returns what happened.
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

// ids returns what people need to find it.
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
