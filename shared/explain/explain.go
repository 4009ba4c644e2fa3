// Package explain tells, for one event, how every agent of the organization decided about
// it, and how its present version would decide.
//
// The past decision is read, not computed: the ids of a run and of a refusal are derived
// from agent and event, so one batch of reads finds them for all agents. The present
// decision is the dispatcher's own verdict. For an agent without a recorded decision, the
// heads and the audit log give the reason.
package explain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"theoneagents.app/agents/shared/activity"
	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/dispatch"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/journal"
	"theoneagents.app/agents/shared/render"
	"theoneagents.app/agents/shared/story"
	"theoneagents.app/agents/shared/tenant"
)

// ErrNotKept says that nothing is known of an event.
var ErrNotKept = fault.New(fault.Missing, "event_not_kept", "Nothing is known of the event.")

// Bounds of an explanation.
const (
	MaxAgents  = 300 // of which it tells
	maxJudged  = 60  // whose present version it judges
	maxLogs    = 25  // whose audit log it reads
	maxDeleted = 50  // deletions that it looks through
	maxActs    = 50  // of an agent
	maxPages   = 5   // of the journal
	maxKeys    = 1000
	work       = 256 << 20 // bytes that comparisons read; see dispatch
	around     = 10 * time.Minute
)

// Agents are the agents of organizations.
type Agents interface {
	List(ctx context.Context, who caller.Caller, q agent.Query) ([]agent.Head, error)
	Get(ctx context.Context, who caller.Caller, a id.Agent) (agent.Agent, error)
}

// Records finds what is recorded of an event.
type Records interface {
	// Recorded returns the records of an event by agent. Agents without a record are
	// missing. A read may be a moment old.
	Recorded(ctx context.Context, org id.Org, e event.Event, agents []id.Agent) (map[id.Agent]Record, error)

	// Maker returns the run whose action made an object, or "" when none is known at this
	// time.
	Maker(ctx context.Context, org id.Org, made catalog.ObjectID, now time.Time) (id.Execution, error)

	// Letter returns the note that an event became a dead letter, and whether there is one.
	Letter(ctx context.Context, org id.Org, e id.Event) (journal.Letter, bool, error)

	// Exist returns those of the runs that are recorded.
	Exist(ctx context.Context, org id.Org, runs []id.Execution) (map[id.Execution]bool, error)
}

// A Record is the decision about an event at an agent: its run, or the first refusal;
// both when the event was refused and then replayed.
type Record struct {
	Run     *execution.Execution // without the payload of its trigger
	Refusal *activity.Entry
}

// Profiles finds the profile of a client; nil when it has none.
type Profiles interface {
	Profile(ctx context.Context, org id.Org, client id.Client) (map[string]any, error)
}

// Service explains events.
type Service struct {
	Agents      Agents
	Definitions Definitions
	Records     Records
	Journal     journal.Store
	Tenants     execution.Tenants
	Acts        audit.Store
	Profiles    Profiles
	Rules       definition.Rules
	Now         func() time.Time
}

// A Received is an event of the journal with the runs that it started.
type Received struct {
	journal.Entry

	Started []id.Execution
	Unread  bool // its runs were not looked for: too many agents listen
}

// A List is a page of the journal.
type List struct {
	Events []Received
	Next   journal.Place
	Since  time.Time // since when every event is kept; zero when none is
}

// List returns a page of the events that the caller's organization received, the latest
// first. Deleted agents that an event started are not found.
func (s *Service) List(ctx context.Context, who caller.Caller, q journal.Query) (List, error) {
	t, err := s.Tenants.Tenant(ctx, who.Org)
	if err != nil {
		return List{}, err
	}
	now := s.Now()
	var out List
	var keeps bool
	if out.Since, keeps = t.Settings.KeptSince(now); !keeps {
		return out, nil
	}
	q.Now, q.Since = now, now.AddDate(0, 0, -t.Settings.JournalDays)
	page, err := s.Journal.Received(ctx, who.Org, q)
	if err != nil {
		return out, err
	}
	out.Next = page.Next
	heads, err := s.Agents.List(ctx, who, agent.Query{})
	if err != nil {
		return out, err
	}
	listening := map[string][]id.Agent{}
	for _, h := range heads {
		listening[h.Event()] = append(listening[h.Event()], h.ID)
	}
	var asked []id.Execution
	for _, e := range page.Entries {
		r := Received{Entry: e}
		for _, a := range listening[e.Event.Name()] {
			r.Started = append(r.Started, execution.ID(who.Org, a, e.Event))
		}
		if r.Unread = len(asked)+len(r.Started) > maxKeys; r.Unread {
			r.Started = nil
		}
		asked = append(asked, r.Started...)
		out.Events = append(out.Events, r)
	}
	slices.Sort(asked) // an event that was published twice has one run
	there, err := s.Records.Exist(ctx, who.Org, slices.Compact(asked))
	for i, r := range out.Events {
		out.Events[i].Started = slices.DeleteFunc(r.Started, func(x id.Execution) bool { return !there[x] })
	}
	return out, err
}

// A Question names the event to explain.
type Question struct {
	Event id.Event
	Type  string    // the qualified name; empty if the caller does not know it
	At    time.Time // of its publication, to the second; zero if the caller does not know it
	Agent id.Agent  // only this agent; empty for all
}

// An Explanation tells how the agents decided about an event.
type Explanation struct {
	Event  event.Event
	Kept   bool            // the journal has the event
	Cut    bool            // without its payload, which was too large
	Letter *journal.Letter // the event became a dead letter; nil if it did not
	Agents []Agent
	More   bool // there are more agents than MaxAgents

	Did    []Deed
	Caused []Effect
	Note   string // about the caused events that cannot be known; empty when all are known
}

// An Agent is the decision of one agent about an event, and that of its present version.
type Agent struct {
	ID      id.Agent
	Name    string
	Status  agent.Status // empty for a deleted agent
	Version int          // the present one

	Then    Record
	Now     *Verdict // nil without a payload, for a deleted agent, and beyond a bound
	Because string   // why nothing else happened then
}

// A Verdict is the decision of the present version.
type Verdict struct {
	Outcome definition.Outcome
	Why     string
	Checks  []definition.Check
}

// Explain returns the decisions about an event of every agent of the caller's
// organization, or ErrNotKept.
func (s *Service) Explain(ctx context.Context, who caller.Caller, q Question) (Explanation, error) {
	t, err := s.Tenants.Tenant(ctx, who.Org)
	if err != nil {
		return Explanation{}, err
	}
	letter, err := s.letter(ctx, who.Org, q.Event)
	if err != nil {
		return Explanation{}, err
	}
	at := q.At
	if at.IsZero() {
		at, _ = id.TimeOf(q.Event)
	}
	switch {
	case at.IsZero() && letter != nil:
		at = letter.At
	case at.IsZero():
		return Explanation{}, ErrNotKept.Sayf("The event %s cannot be looked for, because its id has no time: say in at when it was published.", q.Event)
	}
	entry, found, err := s.entry(ctx, who.Org, q, at, t)
	if err != nil {
		return Explanation{}, err
	}
	out := Explanation{Event: event.Event{ID: q.Event, Org: who.Org, Published: at}, Kept: found, Cut: entry.Cut}
	if found {
		out.Event = entry.Event
	}
	heads, err := s.Agents.List(ctx, who, agent.Query{})
	if err != nil {
		return out, err
	}
	if out.Agents, out.More, err = s.subjects(ctx, who, q, at, heads); err != nil {
		return out, err
	}
	names := make([]id.Agent, len(out.Agents))
	for i, a := range out.Agents {
		names[i] = a.ID
	}
	records, err := s.Records.Recorded(ctx, who.Org, out.Event, names)
	if err != nil {
		return out, err
	}
	if out.Letter = letter; letter != nil && out.Event.Type == "" {
		out.Event.Product, out.Event.Type = cut(letter.Name)
	}
	if !found && len(records) == 0 && out.Letter == nil {
		return out, s.notKept(q, t)
	}
	for i := range out.Agents {
		out.Agents[i].Then = records[out.Agents[i].ID]
		out.Event = known(out.Event, out.Agents[i].Then, found)
	}
	out.Agents = slices.DeleteFunc(out.Agents, func(a Agent) bool { // a deleted agent that has nothing to do with the event
		return a.Status == "" && a.Then == Record{}
	})
	if err := s.tell(ctx, who, &out, heads, t); err != nil {
		return out, err
	}
	out.Did = deeds(out.Agents)
	out.Caused, out.Note, err = s.caused(ctx, out.Agents, t)
	return out, err
}

// letter returns the note that an event became a dead letter; nil without one.
func (s *Service) letter(ctx context.Context, o id.Org, e id.Event) (*journal.Letter, error) {
	l, dead, err := s.Records.Letter(ctx, o, e)
	if err != nil || !dead || !s.Now().Before(l.Expires) {
		return nil, err
	}
	return &l, nil
}

// notKept says why an event is unknown: the catalogue does not have its type, or since when
// events are kept.
func (s *Service) notKept(q Question, t tenant.Tenant) error {
	if _, known := s.Rules.Catalog.Event(q.Type); q.Type != "" && !known {
		near := fault.Nearest(q.Type, s.Rules.Catalog.EventNames())
		if near != "" {
			near = " Did you mean " + near + "?"
		}
		return ErrNotKept.Sayf("Nothing is known of the event %s: the catalogue has no event type %s, and the bus passes on no event of such a type.%s", q.Event, q.Type, near)
	}
	since, ok := t.Settings.KeptSince(s.Now())
	if !ok {
		return ErrNotKept.Sayf("Nothing is known of the event %s: the organization keeps no events, and no agent listened for it. The setting journal_days keeps them.", q.Event)
	}
	return ErrNotKept.Sayf("Nothing is known of the event %s: no agent listened for it, and events are kept since %s.", q.Event, since.UTC().Format(time.RFC3339))
}

// entry finds the event in the journal, first within the second of its time, and then
// around it.
func (s *Service) entry(ctx context.Context, o id.Org, q Question, at time.Time, t tenant.Tenant) (journal.Entry, bool, error) {
	now := s.Now()
	oldest := now.AddDate(0, 0, -t.Settings.JournalDays)
	if t.Settings.JournalDays == 0 {
		return journal.Entry{}, false, nil
	}
	at = at.Truncate(time.Second)
	for _, window := range []struct{ before, after time.Duration }{{0, time.Second}, {around, around}} {
		jq := journal.Query{
			Type: q.Type, Event: q.Event, Since: at.Add(-window.before), Until: at.Add(window.after), Now: now, Limit: 1,
		}
		if jq.Since.Before(oldest) {
			jq.Since = oldest
		}
		for range maxPages {
			page, err := s.Journal.Received(ctx, o, jq)
			switch {
			case err != nil:
				return journal.Entry{}, false, err
			case len(page.Entries) > 0:
				return page.Entries[0], true, nil
			}
			if jq.After = page.Next; jq.After == "" {
				break
			}
		}
	}
	return journal.Entry{}, false, nil
}

// subjects returns the agents of the organization, and those that were deleted after
// the event.
func (s *Service) subjects(ctx context.Context, who caller.Caller, q Question, at time.Time, heads []agent.Head) ([]Agent, bool, error) {
	var all []Agent
	for _, h := range heads {
		all = append(all, agentOf(h))
	}
	gone, err := s.Acts.Audit(ctx, who.Org, audit.Query{Kind: audit.AgentDeleted, From: at, Limit: maxDeleted})
	if err != nil {
		return nil, false, err
	}
	for _, act := range gone.Entries {
		all = append(all, Agent{ID: id.Agent(act.Object), Because: fmt.Sprintf("%s deleted it at %s.", act.Actor, story.Clock(act.At))})
	}
	all = slices.DeleteFunc(all, func(a Agent) bool { return q.Agent != "" && a.ID != q.Agent })
	if q.Agent != "" && len(all) == 0 {
		return nil, false, agent.ErrNotFound
	}
	if len(all) > MaxAgents {
		return all[:MaxAgents], true, nil
	}
	return all, false, nil
}

func agentOf(h agent.Head) Agent {
	return Agent{ID: h.ID, Name: h.Name, Status: h.Status, Version: h.Version}
}

// known returns the event completed by a record: with the envelope, when the journal does
// not have it, and with the cause that the dispatcher found.
func known(e event.Event, r Record, kept bool) event.Event {
	switch {
	case r.Run != nil && !kept:
		return r.Run.Trigger
	case r.Run != nil:
		e.Metadata = r.Run.Trigger.Metadata
	case r.Refusal != nil && !kept && e.Type == "":
		e.Product, e.Type, e.Client = r.Refusal.Product, r.Refusal.EventType, r.Refusal.Client
	}
	if r.Run == nil && r.Refusal != nil && r.Refusal.Outcome == definition.LoopGuard && e.Depth() == 0 {
		e = e.CausedBy(r.Refusal.Related, e.ID, 1)
	}
	return e
}

// tell adds to each agent the verdict of its present version, and the reason why it did
// not start then.
func (s *Service) tell(ctx context.Context, who caller.Caller, x *Explanation, heads []agent.Head, t tenant.Tenant) error {
	if err := s.judge(ctx, who, x, heads, t); err != nil {
		return err
	}
	logs := 0
	for i := range x.Agents {
		a := &x.Agents[i]
		h, exists := headOf(heads, a.ID)
		switch listens := h.Event() == x.Event.Name(); {
		case !exists:
			a.Because = because(a.Then, a.Because)
			continue
		case !listens:
			a.Because = because(a.Then, otherTrigger(h, x.Event))
			continue
		case a.Then != Record{}:
			a.Because = because(a.Then, "")
			continue
		}
		if logs++; logs > maxLogs {
			a.Because = "Nothing is recorded."
			continue
		}
		var err error
		if a.Because, err = s.silence(ctx, who.Org, h, moment(x.Event)); err != nil {
			return err
		}
		if a.Because == unhandled && x.Letter != nil {
			a.Because = fmt.Sprintf("It listened, but the event became a dead letter at %s (%s).", story.Clock(x.Letter.At), x.Letter.Reason)
		}
	}
	return nil
}

// judge adds to each agent the verdict of its present version.
func (s *Service) judge(ctx context.Context, who caller.Caller, x *Explanation, heads []agent.Head, t tenant.Tenant) error {
	facts := condition.Facts{Event: x.Event, Budget: render.NewBudget(work)}
	judged, profiled := 0, false
	for i := range x.Agents {
		a := &x.Agents[i]
		h, exists := headOf(heads, a.ID)
		if !exists {
			continue
		}
		if listens := h.Event() == x.Event.Name(); !listens {
			a.Now = ignoring(h, x.Event)
			continue
		}
		if x.Event.Payload == nil || judged == maxJudged {
			continue
		}
		judged++
		full, err := s.Agents.Get(ctx, who, a.ID)
		if errors.Is(err, agent.ErrNotFound) { // deleted in the meantime
			continue
		}
		if err != nil {
			return err
		}
		if !profiled && full.Definition.UsesClient() && x.Event.Client != "" {
			if facts.Client, err = s.Profiles.Profile(ctx, who.Org, x.Event.Client); err != nil {
				return fmt.Errorf("profile of %s: %w", x.Event.Client, err)
			}
			profiled = true
		}
		a.Now = s.verdict(full, facts, t)
	}
	return nil
}

// verdict returns the decision of the present version of an agent, as if it were active.
func (s *Service) verdict(a agent.Agent, f condition.Facts, t tenant.Tenant) *Verdict {
	l := agent.Listener{Agent: a.ID, Version: a.Version, System: a.Type == agent.System, Definition: a.Definition}
	v := &Verdict{Checks: a.Definition.Explain(f)}
	v.Outcome, v.Why = dispatch.Verdict(s.Rules, l, f, t)
	return v
}

// ignoring returns the verdict of an agent that listens for another event.
func ignoring(h agent.Head, e event.Event) *Verdict {
	if h.Event() == "" { // stored before heads named it
		return nil
	}
	var d definition.Definition
	d.Trigger.Product, d.Trigger.EventType = cut(h.Event())
	all := d.Explain(condition.Facts{Event: event.Event{Product: e.Product, Type: e.Type}})
	return &Verdict{Outcome: all[0].Outcome, Why: all[0].Why, Checks: all[:1]}
}

func headOf(heads []agent.Head, a id.Agent) (agent.Head, bool) {
	i := slices.IndexFunc(heads, func(h agent.Head) bool { return h.ID == a })
	if i < 0 {
		return agent.Head{}, false
	}
	return heads[i], true
}
