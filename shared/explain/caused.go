package explain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/journal"
	"theoneagents.app/agents/shared/story"
	"theoneagents.app/agents/shared/tenant"
)

// Bounds of the search for the events that the runs of an event caused.
const (
	MaxCaused  = 100                 // that are listed
	maxCausing = 10                  // runs whose events are looked for
	maxTypes   = 12                  // of events
	maxMakers  = 50                  // objects whose maker is looked up
	causedFor  = 14 * 24 * time.Hour // after the first of the runs was recorded
	lateness   = 10 * time.Minute    // of an event after its run has ended
)

// Definitions finds the definitions that runs ran.
type Definitions interface {
	// Version returns a version of an agent, even of a deleted agent, or
	// agent.ErrNotFound.
	Version(ctx context.Context, org id.Org, a id.Agent, version int) (definition.Definition, error)
}

// A Deed is a run that the event started.
type Deed struct {
	Run    id.Execution
	Agent  id.Agent
	Name   string // of the agent; empty for a deleted one
	Status execution.Status
	Story  string // one or a few sentences
}

// An Effect is an event that a run of the explained event caused: the product named the
// run, or it named none and the event is about an object that the run made. The platform's
// own event about a failed run is one too.
type Effect struct {
	Event     id.Event
	Product   string
	Type      string
	Published time.Time
	By        id.Execution
	Depth     int // runs behind it
}

// deeds returns the runs that the event started, the oldest first.
func deeds(agents []Agent) []Deed {
	var all []Deed
	for _, a := range runsOf(agents) {
		r := a.Then.Run
		all = append(all, Deed{Run: r.ID, Agent: a.ID, Name: a.Name, Status: r.Status, Story: "The run " + story.Outcome(*r)})
	}
	return all
}

// runsOf returns the agents of which the event started a run, the oldest run first.
func runsOf(agents []Agent) []Agent {
	ran := slices.DeleteFunc(slices.Clone(agents), func(a Agent) bool { return a.Then.Run == nil })
	slices.SortStableFunc(ran, func(a, b Agent) int { return a.Then.Run.Created.Compare(b.Then.Run.Created) })
	return ran
}

// A search looks for the events that runs caused.
type search struct {
	*Service

	tenant  tenant.Tenant
	runs    map[id.Execution]*execution.Execution
	found   map[id.Event]Effect
	makers  int
	missing []string // sentences about what the search leaves out
}

// caused returns the events that the runs of an event caused, and a note about the events
// that it cannot know; empty when it knows all.
func (s *Service) caused(ctx context.Context, agents []Agent, t tenant.Tenant) ([]Effect, string, error) {
	ran := runsOf(agents)
	if len(ran) == 0 {
		return nil, "", nil
	}
	q := search{Service: s, tenant: t, runs: map[id.Execution]*execution.Execution{}, found: map[id.Event]Effect{}}
	for _, a := range ran {
		q.failure(*a.Then.Run) // its id is derived, and nothing is read for it
	}
	if len(ran) > maxCausing {
		q.leaveOut("Events of the first %d of %d runs are looked for.", maxCausing, len(ran))
		ran = ran[:maxCausing]
	}
	for _, a := range ran {
		q.runs[a.Then.Run.ID] = a.Then.Run
	}
	since, kept := t.Settings.KeptSince(s.Now())
	if !kept {
		q.leaveOut("Received events are not kept, so the events that products published because of the runs are not known. The setting journal_days keeps them.")
		return q.effects()
	}
	types, err := q.types(ctx, ran)
	if err != nil {
		return nil, "", err
	}
	if err := q.look(ctx, types, ran[0].Then.Run.Created, since); err != nil {
		return nil, "", err
	}
	return q.effects()
}

func (q *search) leaveOut(format string, args ...any) {
	q.missing = append(q.missing, fmt.Sprintf(format, args...))
}

// effects returns the found events, the oldest first, and the note.
func (q *search) effects() ([]Effect, string, error) {
	all := slices.SortedFunc(maps.Values(q.found), func(a, b Effect) int {
		return cmp.Or(a.Published.Compare(b.Published), cmp.Compare(a.Event, b.Event))
	})
	if len(all) > MaxCaused {
		q.leaveOut("The first %d of at least %d events are listed.", MaxCaused, len(all))
		all = all[:MaxCaused]
	}
	return all, strings.Join(q.missing, " "), nil
}

// failure adds the platform's event about a failed run.
func (q *search) failure(x execution.Execution) {
	if x.Status == execution.Failed {
		q.add(x.FailedEvent(""), x)
	}
}

func (q *search) add(e event.Event, x execution.Execution) {
	q.found[e.ID] = Effect{
		Event: e.ID, Product: e.Product, Type: e.Type, Published: e.Published, By: x.ID, Depth: max(x.Trigger.Depth()+1, e.Depth()),
	}
}

// types returns the types of the events that the actions of the runs can cause.
func (q *search) types(ctx context.Context, ran []Agent) ([]string, error) {
	all := map[string]bool{}
	for _, a := range ran {
		x := a.Then.Run
		d, err := q.Definitions.Version(ctx, x.Org, x.Agent, x.Version)
		if errors.Is(err, agent.ErrNotFound) {
			q.leaveOut("The definition of %s is not known any more.", x.ID)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("definition of %s: %w", x.ID, err)
		}
		definition.EachStep(d.Steps, func(step definition.Step) {
			if step.ActionStep == nil {
				return
			}
			action, _ := q.Rules.Catalog.Action(step.Product, step.Action)
			for _, name := range action.Emits {
				all[name] = true
			}
		})
	}
	types := slices.Sorted(maps.Keys(all))
	if len(types) > maxTypes {
		q.leaveOut("Events of %d of %d types are looked for.", maxTypes, len(types))
		types = types[:maxTypes]
	}
	return types, nil
}

// look reads the events of these types in the journal, from the first run on. It searches
// as long after the last run has ended as a product may need to publish.
func (q *search) look(ctx context.Context, types []string, from, kept time.Time) error {
	until := from
	for _, x := range q.runs {
		if end := x.Completed.Add(lateness); x.Status.Ended() && end.After(until) {
			until = end
		} else if !x.Status.Ended() {
			until = q.Now().Add(lateness)
		}
	}
	if latest := from.Add(causedFor); until.After(latest) {
		until = latest
		q.leaveOut("Events until %s are looked for.", story.Clock(until))
	}
	if kept.After(from) {
		from = kept
		q.leaveOut("Events are kept since %s.", story.Clock(kept))
	}
	if len(types) == 0 || !from.Before(until) {
		return nil
	}
	org := q.tenant.Org
	const limit = 200
	for _, name := range types {
		jq := journal.Query{Type: name, Since: from.Truncate(time.Second), Until: until, Now: q.Now(), Limit: limit}
		for page := 0; ; page++ {
			if page == maxPages {
				q.leaveOut("There are more events of the type %s than are looked at.", name)
				break
			}
			p, err := q.Journal.Received(ctx, org, jq)
			if err != nil {
				return err
			}
			for _, e := range p.Entries {
				if err := q.consider(ctx, org, e.Event); err != nil {
					return err
				}
			}
			if jq.After = p.Next; jq.After == "" {
				break
			}
		}
	}
	return nil
}

// consider adds an event if one of the runs caused it.
func (q *search) consider(ctx context.Context, org id.Org, e event.Event) error {
	by := e.Cause()
	if by == "" {
		var err error
		if by, err = q.maker(ctx, org, e); err != nil {
			return err
		}
	}
	if x := q.runs[by]; x != nil {
		q.add(e, *x)
	}
	return nil
}

// maker returns the run that made the object of an event, or "".
func (q *search) maker(ctx context.Context, org id.Org, e event.Event) (id.Execution, error) {
	about, _ := q.Rules.Catalog.Event(e.Name())
	for _, o := range about.ObjectsIn(e.Payload) {
		if !q.tenant.Has(tenant.Makes(o.Kind)) {
			continue
		}
		if q.makers++; q.makers > maxMakers {
			if q.makers == maxMakers+1 {
				q.leaveOut("The makers of %d objects were looked up, and no more.", maxMakers)
			}
			return "", nil
		}
		by, err := q.Records.Maker(ctx, org, o, q.Now())
		if err != nil || by != "" {
			return by, err
		}
	}
	return "", nil
}
