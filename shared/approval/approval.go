// Package approval asks a person before a run goes on.
//
//	             decide              ┌──▶ approved
//	pending ─────────────────────────┼──▶ denied   (also when the run is cancelled)
//	   │ ▲  nobody in time           └──▶ expired
//	   └─┘  an earlier vote of several, or escalated
//
// A verdict is about what people were shown: the question as it was rendered, and
// the actions that follow it, as far as they were known. The run does exactly
// those, whatever has changed since.
//
// The record is the truth and the task token is only a doorbell: whatever wakes
// the run, it reads the record again and acts on what it says. A verdict is one
// conditional write; ringing afterwards may fail, and is repeated by whoever
// gives the verdict again and by the sweeper.
//
// If the machines are down a verdict is taken and stands, and the run goes on
// when they are back. If nobody can be told, the question stands all the same.
package approval

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/retry"
)

// The faults of this package.
var (
	ErrNotFound = fault.New(fault.Missing, "approval_not_found", "No such approval.")
	ErrDecided  = fault.New(fault.Conflict, "approval_already_decided", "This was already decided.")
	ErrExpired  = fault.New(fault.Conflict, "approval_expired", "The time to decide is over.")
	ErrNotYours = fault.New(fault.Forbidden, "forbidden", "You are not among those who may decide this.")
	ErrStale    = fault.New(fault.Stale, "conflict", "The approval has changed; try again.")
)

// A Status is where a question stands.
type Status string

// The statuses. Only Pending can change.
const (
	Pending  Status = "pending"
	Approved Status = "approved"
	Denied   Status = "denied"
	Expired  Status = "expired"
)

// Statuses returns all statuses.
func Statuses() []Status { return []Status{Pending, Approved, Denied, Expired} }

// An Approval is a question put to the people of an organization.
type Approval struct {
	ID        id.Approval
	Org       id.Org
	Execution id.Execution
	Agent     id.Agent
	Step      id.Step
	Message   string
	Actions   []Action // what the run does if they approve
	Then      []Following
	Chat      Chat // the question as messages tell it
	Status    Status
	Approvers Approvers
	Min       int                 // how many must approve
	OnExpiry  definition.OnExpiry // what silence means; empty when it was not recorded
	Escalated bool                // whether it was put to others
	Token     string
	Created   time.Time
	Expires   time.Time
	Remind    time.Time // when people are reminded; zero when they are not, or were
	Votes     []Vote
	DecidedBy id.User
	DecidedAt time.Time
	Note      string
	Revision  int64 // counts the writes; 0 before the first
}

// An Action is what a run does after a gate.
type Action struct {
	Step    id.Step
	Product string
	Action  string
	Params  map[string]any // nil: they depend on what happens after the gate
}

// A Following is a step that follows a gate, before the next question that a
// person must answer.
type Following struct {
	Step    id.Step
	Kind    definition.Kind
	Name    string
	Certain bool     // whether the run surely comes to it, unless a step before it fails
	Within  *Place   // the way of a branch to which it belongs
	Message *Message // of a notification
	Branch  *Way     // of a branch
	Wait    *Wait    // of a wait
}

// A Place is a way of a branch: one of its cases, or -1 for else.
type Place struct {
	Step id.Step
	Case int
}

// A Message is what a run tells people after a gate.
type Message struct {
	Channel    definition.Channel
	Recipients []string // nil: they depend on what happens after the gate
	More       int      // how many recipients were left out
	Text       *Text    // nil: it depends on what happens after the gate
}

// A Text is what a message says.
type Text struct {
	Subject string
	Body    string
	Cut     int // how many characters of Body were left out
}

// A Way is where a branch leads.
type Way struct {
	Open bool // whether it depends on what happens after the gate
	Case int  // the case, or -1 for else; without a meaning while it is open
}

// A Wait is how long a run waits.
type Wait struct {
	Seconds int64  // 0: until a time
	Until   string // empty: it depends on what happens after the gate
}

// A Chat is a question as messages tell it, whose readers cannot see what the
// definition says and what was filled in.
type Chat struct {
	Question string   // each value in one line; cut
	Values   []string // what an event, a model or a product said; cut
}

// Approvers are who may decide besides owners and admins.
type Approvers struct {
	Roles []caller.Role
	Users []id.User
}

// A Vote is what one person said.
type Vote struct {
	User    id.User
	Approve bool
	Note    string
	At      time.Time
}

// A Verdict is what a person says.
type Verdict struct {
	Approve bool
	Note    string
}

// ID returns the name of the question that a step of a run asks: the same
// however often it is put.
func ID(asked time.Time, execution id.Execution, step id.Step) id.Approval {
	return id.Approval("appr_" + id.Derive(asked, string(execution), string(step)))
}

// May returns nil if who may decide, or ErrNotYours: only a person may, never a
// program; owners and admins always, others when the gate names them, viewers
// never.
func (a Approval) May(who caller.Caller) error {
	switch {
	case !who.Human():
		return ErrNotYours.Sayf("Only a person may decide; an integration key may not.")
	case who.Has(caller.Owner, caller.Admin):
		return nil
	case who.Has(caller.Member) && slices.Contains(a.Approvers.Users, who.User):
		return nil
	case who.Has(caller.Member) && slices.Contains(a.Approvers.Roles, caller.Member):
		return nil
	}
	return ErrNotYours
}

// CanDecide reports whether a first verdict of who would be taken at this moment.
func (a Approval) CanDecide(who caller.Caller, now time.Time) bool {
	voted := slices.ContainsFunc(a.Votes, func(v Vote) bool { return v.User == who.User })
	return a.May(who) == nil && a.Status == Pending && now.Before(a.Expires) && !voted
}

// Deciders returns the roles that may decide, from the most powerful to the
// least: owner and admin always may.
func (a Approval) Deciders() []caller.Role {
	roles := []caller.Role{caller.Owner, caller.Admin}
	if slices.Contains(a.Approvers.Roles, caller.Member) {
		roles = append(roles, caller.Member)
	}
	return roles
}

// Given returns how many people have approved.
func (a Approval) Given() int {
	n := 0
	for _, v := range a.Votes {
		if v.Approve {
			n++
		}
	}
	return n
}

// Decide returns the approval as it is after who gives the verdict: the first
// denial decides, or the approval by as many different people as it takes.
// Saying the same thing twice changes nothing.
func (a Approval) Decide(who caller.Caller, v Verdict, now time.Time) (Approval, error) {
	if err := a.May(who); err != nil {
		return a, err
	}
	i := slices.IndexFunc(a.Votes, func(x Vote) bool { return x.User == who.User })
	switch {
	case a.Status == Expired:
		return a, ErrExpired
	case i >= 0 && a.Votes[i].Approve == v.Approve:
		return a, nil
	case a.Status != Pending:
		return a, ErrDecided.Sayf("This was already %s.", a.Status)
	case !now.Before(a.Expires):
		return a, ErrExpired
	}
	votes := slices.DeleteFunc(slices.Clone(a.Votes), func(x Vote) bool { return x.User == who.User })
	a.Votes = append(votes, Vote{User: who.User, Approve: v.Approve, Note: v.Note, At: now})
	switch {
	case !v.Approve:
		a.Status = Denied
	case len(a.Votes) >= a.Min:
		a.Status = Approved
	default:
		return a, nil
	}
	a.DecidedBy, a.DecidedAt, a.Note = who.User, now, v.Note
	return a, nil
}

// Expire returns the approval after its time has passed without a verdict, and
// whether it has.
func (a Approval) Expire(now time.Time) (Approval, bool) {
	if a.Status != Pending || now.Before(a.Expires) {
		return a, false
	}
	a.Status = Expired
	return a, true
}

// Escalate returns the question put to others, with a new clock.
func (a Approval) Escalate(to Approvers, expires time.Time) Approval {
	a.Approvers, a.Expires, a.Escalated = to, expires, true
	return a
}

// Halfway returns the question with a reminder when half of its time is over.
func (a Approval) Halfway(now time.Time) Approval {
	a.Remind = now.Add(a.Expires.Sub(now) / 2)
	return a
}

// Reminded returns the question after its reminder was due, and whether it was.
func (a Approval) Reminded(now time.Time) (Approval, bool) {
	if a.Status != Pending || a.Remind.IsZero() || now.Before(a.Remind) {
		return a, false
	}
	a.Remind = time.Time{}
	return a, true
}

// Next returns when something happens to an open question if nobody decides.
func (a Approval) Next() time.Time {
	if !a.Remind.IsZero() && a.Remind.Before(a.Expires) {
		return a.Remind
	}
	return a.Expires
}

// Close returns the approval after its run was cancelled.
func (a Approval) Close(now time.Time) Approval {
	if a.Status == Pending {
		a.Status, a.DecidedAt, a.Note = Denied, now, "The execution was cancelled."
	}
	return a
}

// A Page is a part of a list.
type Page struct {
	Approvals []Approval
	Next      string // where the next page begins; empty at the end
}

// A Query says which approvals to list, newest first.
type Query struct {
	Status Status // empty: all
	Limit  int
	After  string // the Next of the page before
}

// Store keeps approvals.
type Store interface {
	// Approval returns one approval of the organization, or ErrNotFound.
	Approval(ctx context.Context, org id.Org, appr id.Approval) (Approval, error)

	// Approvals lists the approvals of the organization.
	Approvals(ctx context.Context, org id.Org, q Query) (Page, error)

	// SaveDecision stores a if the stored revision is still a.Revision and its
	// run still waits, and marks the run as due at due, in one transaction.
	// Otherwise it returns ErrStale.
	SaveDecision(ctx context.Context, a Approval, due time.Time) error
}

// Doorbell wakes the run that waits behind a token. A run that is already awake
// is not an error.
type Doorbell interface {
	Ring(ctx context.Context, token string) error
}

// Service lets people decide.
type Service struct {
	Store    Store
	Doorbell Doorbell
	Now      func() time.Time
}

// grace is how long after a verdict the run must have moved on before the
// sweeper looks.
const grace = 25 * time.Second

// List returns a page of the caller's approvals.
func (s *Service) List(ctx context.Context, who caller.Caller, q Query) (Page, error) {
	return s.Store.Approvals(ctx, who.Org, q)
}

// Get returns an approval of the caller's organization, or ErrNotFound.
func (s *Service) Get(ctx context.Context, who caller.Caller, appr id.Approval) (Approval, error) {
	return s.Store.Approval(ctx, who.Org, appr)
}

// Decide records a verdict and wakes the run. When the run cannot be woken the
// verdict stands, and giving it again tries once more.
func (s *Service) Decide(ctx context.Context, who caller.Caller, appr id.Approval, v Verdict) (Approval, error) {
	var a Approval
	err := retry.Races(ErrStale, func() (err error) {
		a, err = s.decide(ctx, who, appr, v)
		return err
	})
	if errors.Is(err, retry.ErrLost) {
		err = ErrStale.Because(fmt.Errorf("decide %s: %w", appr, err))
	}
	return a, err
}

func (s *Service) decide(ctx context.Context, who caller.Caller, appr id.Approval, v Verdict) (Approval, error) {
	a, err := s.Store.Approval(ctx, who.Org, appr)
	if err != nil {
		return Approval{}, err
	}
	decided, err := a.Decide(who, v, s.Now())
	if err != nil {
		return Approval{}, err
	}
	if len(decided.Votes) != len(a.Votes) || decided.Status != a.Status {
		if err := s.Store.SaveDecision(ctx, decided, s.due(decided)); err != nil {
			return Approval{}, err
		}
		decided.Revision++
	}
	if decided.Status == Pending {
		return decided, nil
	}
	if err := s.Doorbell.Ring(ctx, decided.Token); err != nil {
		return Approval{}, fmt.Errorf("wake %s: %w", decided.Execution, err)
	}
	return decided, nil
}

// due returns when the sweeper should look whether the run has moved on: while
// people may still decide, after the next thing that happens without them.
func (s *Service) due(a Approval) time.Time {
	if a.Status == Pending {
		return a.Next().Add(grace)
	}
	return s.Now().Add(grace)
}
