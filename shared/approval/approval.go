// Package approval asks people for approval before a run continues.
//
//	             decide              ┌──▶ approved
//	pending ─────────────────────────┼──▶ denied   (also when the run is cancelled)
//	   │ ▲  not decided in time      └──▶ expired
//	   └─┘  an earlier vote of several, or escalated
//
// A verdict applies to what the approvers were shown: the rendered question and
// the actions that follow, as far as they were known. The run performs exactly
// those actions, even if the agent or the client has changed since.
//
// The record is the truth; the task token is only a doorbell: on every wake-up
// the run reads the record and acts on it. A verdict is one conditional write.
// Ringing afterwards may fail; it is repeated when the caller sends the verdict
// again, and by the sweeper.
//
// A verdict belongs to people other than those who set the run up, where the gate
// guards a risk: see Approval.May. A vote counts if its voter's access is not
// revoked before the last vote comes. Whether a voter has lost the role that the
// gate wants is known to the Hub alone, and is not looked up: the Hub revokes the
// sessions of a user whose role it lowers.
//
// If the machines are down, a verdict is still recorded, and the run continues
// when they are back. If no message can be sent, the approval is still open to
// decisions.
package approval

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/retry"
	"theoneagents.app/agents/shared/tenant"
)

// The faults of this package.
var (
	ErrNotFound = fault.New(fault.Missing, "approval_not_found", "No such approval.")
	ErrDecided  = fault.New(fault.Conflict, "approval_already_decided", "The approval was already decided.")
	ErrExpired  = fault.New(fault.Conflict, "approval_expired", "The time to decide is over.")
	ErrNotYours = fault.New(fault.Forbidden, "forbidden", "You may not decide this approval.")
	ErrStale    = fault.New(fault.Stale, "conflict", "The approval has changed; try again.")
)

// A Status is the state of an approval.
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

// An Approval is a question to the people of an organization.
type Approval struct {
	ID        id.Approval
	Org       id.Org
	Execution id.Execution
	Agent     id.Agent
	Version   int // of the agent; 0 in old records
	Step      id.Step
	StepName  string // that the definition gives the step; empty for none, and in old records
	Message   string
	Actions   []Action     // actions of the run after approval
	Risk      catalog.Risk // the greatest of the actions; empty without any, and in old records
	Behind    Behind       // of a run whose approval guards a risk
	Then      []Following
	Renews    *Renewal // set when the question is asked again
	Chat      Chat     // the question as messages show it
	Status    Status
	Approvers Approvers
	Min       int                 // number of people who must approve
	OnExpiry  definition.OnExpiry // the rule on expiry; empty in old records
	Escalated bool                // whether it was passed to the approvers of escalate_to
	Token     string
	Created   time.Time
	Expires   time.Time
	Remind    time.Time // time of the reminder; zero when none is due
	Votes     []Vote
	DecidedBy id.User
	DecidedAt time.Time
	Note      string
	KeptUntil time.Time // when it expires, with all of its run; zero in old records
	Revision  int64     // counts the writes; 0 before the first
}

// A Renewal is the approval of the same gate that became too old before a
// destructive action began. Its votes do not count for the new question.
type Renewal struct {
	Approval  id.Approval
	DecidedBy id.User
	DecidedAt time.Time
}

// An Action is an action that the run performs after a gate.
type Action struct {
	Step    id.Step
	Product string
	Action  string
	Params  map[string]any // nil: they depend on steps after the gate
}

// A Following is a step between a gate and the next gate that requires a
// person.
type Following struct {
	Step    id.Step
	Kind    definition.Kind
	Name    string
	Certain bool     // whether the run reaches it unless an earlier step fails
	Within  *Place   // the branch case that contains it
	Message *Message // of a notification
	Branch  *Way     // of a branch
	Wait    *Wait    // of a wait
}

// A Place identifies a case of a branch; Case -1 is else.
type Place struct {
	Step id.Step
	Case int
}

// A Message is a notification that the run sends after a gate.
type Message struct {
	Channel    definition.Channel
	Recipients []string // nil: they depend on steps after the gate
	More       int      // number of recipients left out
	Text       *Text    // nil: it depends on steps after the gate
}

// A Text is the content of a message.
type Text struct {
	Subject string
	Body    string
	Cut     int // number of characters of Body left out
}

// A Way is the case that a branch will take.
type Way struct {
	Open bool // whether it depends on steps after the gate
	Case int  // the case, or -1 for else; meaningless if Open
}

// A Wait is the duration of a wait.
type Wait struct {
	Seconds int64  // 0: until a time
	Until   string // empty: it depends on steps after the gate
}

// A Chat is the question as messages show it. It marks and lists the filled-in
// values, because readers of a message cannot tell them from the definition's text.
type Chat struct {
	Question string   // each value in quotation marks, on one line
	Values   []string // values from events, models or products; shortened
	Cut      bool     // whether Question leaves out a part of the text
}

// Approvers are the people who may decide besides owners and admins.
type Approvers struct {
	Roles []caller.Role
	Users []id.User
}

// A Vote is the verdict of one person.
type Vote struct {
	User    id.User
	Approve bool
	Note    string
	At      time.Time
	Issued  time.Time // when the voter's session was issued; zero in old records
}

// session returns the session of the vote as revocations of its user match it.
// Revocations of a single session do not: signing out takes no vote back.
func (v Vote) session(org id.Org) tenant.Session {
	issued := v.Issued
	if issued.IsZero() {
		issued = v.At
	}
	return tenant.Session{Org: org, User: v.User, Issued: issued}
}

// A Verdict is a decision of a caller.
type Verdict struct {
	Approve bool
	Note    string
}

// ID returns the id of the approval of a gate of a run. It is deterministic, so
// that repeated requests find the same approval.
func ID(asked time.Time, execution id.Execution, step id.Step) id.Approval {
	return id.Approval("appr_" + id.Derive(asked, string(execution), string(step)))
}

// CanDecide reports whether a first verdict of the caller would be accepted
// now.
func (a Approval) CanDecide(who caller.Caller, r Rules, now time.Time) bool {
	return a.Refusal(who, r, now) == nil
}

// Refusal returns the reason why a first verdict of the caller would not be accepted
// now: ErrDecided, ErrExpired or ErrNotYours; nil if it would be.
func (a Approval) Refusal(who caller.Caller, r Rules, now time.Time) error {
	switch {
	case a.Status == Expired || a.Status == Pending && !now.Before(a.Expires):
		return ErrExpired
	case a.Status != Pending:
		return ErrDecided.Sayf("The approval was already %s.", a.Status)
	case who.Human() && slices.ContainsFunc(a.Votes, func(v Vote) bool { return v.User == who.User }):
		return ErrDecided.Sayf("You have approved already; %d of %d people have.", a.Given(), max(a.Min, 1))
	}
	return a.May(who, r)
}

// Deciders returns the roles that may decide, the most powerful first. Owner
// and admin always may.
func (a Approval) Deciders() []caller.Role {
	roles := []caller.Role{caller.Owner, caller.Admin}
	if slices.Contains(a.Approvers.Roles, caller.Member) {
		roles = append(roles, caller.Member)
	}
	return roles
}

// Given returns the number of people who have approved.
func (a Approval) Given() int {
	n := 0
	for _, v := range a.Votes {
		if v.Approve {
			n++
		}
	}
	return n
}

// Decide returns the approval after a verdict of the caller. One denial
// decides; an approval needs Min different people. Repeating one's own verdict
// changes nothing.
func (a Approval) Decide(who caller.Caller, v Verdict, r Rules, now time.Time) (Approval, error) {
	if err := a.May(who, r); err != nil {
		return a, err
	}
	i := slices.IndexFunc(a.Votes, func(x Vote) bool { return x.User == who.User })
	switch {
	case a.Status == Expired:
		return a, ErrExpired
	case i >= 0 && a.Votes[i].Approve == v.Approve:
		return a, nil
	case a.Status != Pending:
		return a, ErrDecided.Sayf("The approval was already %s.", a.Status)
	case !now.Before(a.Expires):
		return a, ErrExpired
	}
	votes := slices.DeleteFunc(slices.Clone(a.Votes), func(x Vote) bool { return x.User == who.User })
	a.Votes = append(votes, Vote{User: who.User, Approve: v.Approve, Note: v.Note, At: now, Issued: who.Issued})
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

// Expire returns the approval as expired, and whether its time passed without a
// decision.
func (a Approval) Expire(now time.Time) (Approval, bool) {
	if a.Status != Pending || now.Before(a.Expires) {
		return a, false
	}
	a.Status = Expired
	return a, true
}

// Escalate returns the approval passed to other approvers, with a new expiry. The
// votes of the earlier approvers do not count among them.
func (a Approval) Escalate(to Approvers, expires time.Time) Approval {
	a.Approvers, a.Expires, a.Escalated, a.Votes = to, expires, true, nil
	return a
}

// Without returns an open approval without the votes of people whose access was
// revoked after they voted. They may vote again when they have access again.
func (a Approval) Without(revoked map[id.User]bool) Approval {
	if a.Status != Pending || len(revoked) == 0 {
		return a
	}
	a.Votes = slices.DeleteFunc(slices.Clone(a.Votes), func(v Vote) bool { return revoked[v.User] })
	return a
}

// Halfway returns the approval with a reminder at half of its time.
func (a Approval) Halfway(now time.Time) Approval {
	a.Remind = now.Add(a.Expires.Sub(now) / 2)
	return a
}

// Reminded returns the approval without its reminder, and whether the reminder
// was due.
func (a Approval) Reminded(now time.Time) (Approval, bool) {
	if a.Status != Pending || a.Remind.IsZero() || now.Before(a.Remind) {
		return a, false
	}
	a.Remind = time.Time{}
	return a, true
}

// Next returns the time of the reminder or of the expiry, whichever is first.
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

// Decider returns the author of the final decision, which is the platform when
// the time passed.
func (a Approval) Decider() id.Actor {
	if a.DecidedBy == "" {
		return id.Platform
	}
	return caller.Caller{Org: a.Org, User: a.DecidedBy}.Actor()
}

// A Page is a part of a list.
type Page struct {
	Approvals []Approval
	Next      string // where the next page begins; empty at the end
}

// A Query selects the approvals to list, newest first.
type Query struct {
	Status Status // empty: all
	Limit  int
	After  string // Next of the previous page
}

// Store keeps approvals.
type Store interface {
	// Approval returns one approval of the organization, or ErrNotFound.
	Approval(ctx context.Context, org id.Org, appr id.Approval) (Approval, error)

	// Approvals lists the approvals of the organization.
	Approvals(ctx context.Context, org id.Org, q Query) (Page, error)

	// SaveDecision stores a if the stored revision is still a.Revision and its
	// run still waits, marks the run as due at due, and stores the acts, in one
	// transaction. Otherwise it returns ErrStale.
	SaveDecision(ctx context.Context, a Approval, due time.Time, acts ...audit.Entry) error
}

// Doorbell wakes the run that waits with a task token. Ringing for a run that
// is already awake is not an error.
type Doorbell interface {
	Ring(ctx context.Context, token string) error
}

// Tenants finds organizations, which have rules of their own about approvals.
type Tenants interface {
	Tenant(ctx context.Context, org id.Org) (tenant.Tenant, error)
}

// Revocations reports whether a session was revoked, by its user.
type Revocations interface {
	Revoked(ctx context.Context, session tenant.Session) (bool, error)
}

// Service lists and decides approvals.
type Service struct {
	Store       Store
	Tenants     Tenants
	Revocations Revocations
	Doorbell    Doorbell
	Now         func() time.Time
}

// grace is the time from a verdict until the sweeper checks that the run has
// moved on.
const grace = 25 * time.Second

// List returns a page of the caller's approvals.
func (s *Service) List(ctx context.Context, who caller.Caller, q Query) (Page, error) {
	p, err := s.Store.Approvals(ctx, who.Org, q)
	now := s.Now()
	p.Approvals = slices.DeleteFunc(p.Approvals, func(a Approval) bool { return a.Gone(now) })
	return p, err
}

// Gone reports whether the approval has expired. The store may still have it.
func (a Approval) Gone(now time.Time) bool {
	return a.Status != Pending && !a.KeptUntil.IsZero() && !now.Before(a.KeptUntil)
}

// Get returns an approval of the caller's organization, or ErrNotFound.
func (s *Service) Get(ctx context.Context, who caller.Caller, appr id.Approval) (Approval, error) {
	a, err := s.Store.Approval(ctx, who.Org, appr)
	if err == nil && a.Gone(s.Now()) {
		return Approval{}, ErrNotFound
	}
	return a, err
}

// Decide records a verdict and wakes the run. When the run cannot be woken, the
// verdict is still recorded, and sending it again wakes the run again.
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
	rules, err := s.RulesFor(ctx, who, a)
	if err != nil {
		return Approval{}, err
	}
	standing, err := s.standing(ctx, a)
	if err != nil {
		return Approval{}, err
	}
	now := s.Now()
	decided, err := standing.Decide(who, v, rules, now)
	if err != nil {
		return Approval{}, err
	}
	if len(decided.Votes) != len(standing.Votes) || decided.Status != a.Status {
		if err := s.Store.SaveDecision(ctx, decided, s.due(decided), vote(who, v, a, decided, now)); err != nil {
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

// standing returns the approval with the votes that still count. The revocations
// are read before the verdict is written, and the write fails when another vote
// came in between.
func (s *Service) standing(ctx context.Context, a Approval) (Approval, error) {
	revoked := map[id.User]bool{}
	for _, v := range a.Votes {
		if a.Status != Pending {
			break
		}
		gone, err := s.Revocations.Revoked(ctx, v.session(a.Org))
		if err != nil {
			return Approval{}, fmt.Errorf("access of %s: %w", v.User, err)
		}
		if gone {
			revoked[v.User] = true
		}
	}
	return a.Without(revoked), nil
}

// vote returns the act of one verdict.
func vote(who caller.Caller, v Verdict, before, after Approval, now time.Time) audit.Entry {
	kind := audit.ApprovalDenied
	if v.Approve {
		kind = audit.ApprovalApproved
	}
	return audit.Of(who, audit.Change{
		Kind: kind, Object: string(after.ID), From: string(before.Status), To: string(after.Status), Reason: v.Note,
	}, now)
}

// due returns when the sweeper should check the run. While the approval is open
// that is after its next reminder or expiry.
func (s *Service) due(a Approval) time.Time {
	if a.Status == Pending {
		return a.Next().Add(grace)
	}
	return s.Now().Add(grace)
}
