package backtest

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/client"
	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/journal"
	"theoneagents.app/agents/shared/tenant"
)

// Journal lists the events that an organization received.
type Journal interface {
	Received(ctx context.Context, org id.Org, q journal.Query) (journal.Page, error)
}

// lead is how long before the asked time the universes begin: limits and deduplication
// look back as far.
const lead = 24 * time.Hour

// A tape holds the events that were read from the journal, in the order of publication.
type tape struct {
	events []taped
	read   int // events
	ofType int // events of the judged types in the asked time
	most   int // size of the sample
	share  uint64
}

// A taped is an event on the tape.
type taped struct {
	event.Event

	cut  bool         // its payload was too large for the journal
	fact *client.Fact // the event is of interest for this alone; nil for one that is judged
	draw uint64       // its place in a sample, uniform and the same in every reading
}

// hashOf returns a number that is uniform over events.
func hashOf(e event.Event) uint64 {
	h := id.Hash("back-test", string(e.ID), e.Published.UTC().Format(time.RFC3339Nano))
	return binary.BigEndian.Uint64(h[:])
}

// factor returns how many events each one of the sample stands for.
func (t *tape) factor() float64 {
	if t.share == math.MaxUint64 {
		return 1
	}
	return float64(math.MaxUint64) / float64(t.share)
}

// reading are the arguments of a reading of the journal.
type reading struct {
	org   id.Org
	args  Args
	types []string
	facts []string // types of which only the facts count
	now   time.Time
	tell  func(read int) error
}

// readTape reads the events of the types, and a sample of them when there are more than
// most.
func readTape(ctx context.Context, from Journal, r reading, most int) (*tape, error) {
	t := &tape{most: most, share: math.MaxUint64}
	begin := r.args.From.Add(-lead)
	if begin.Before(r.args.Since) {
		begin = r.args.Since
	}
	for _, name := range r.types {
		if err := t.readType(ctx, from, r, name, begin, false); err != nil {
			return nil, err
		}
	}
	for _, name := range r.facts {
		if err := t.readType(ctx, from, r, name, r.args.Since, true); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(t.events, func(a, b taped) int {
		return cmp.Or(a.Published.Compare(b.Published), strings.Compare(string(a.ID), string(b.ID)), strings.Compare(a.Name(), b.Name()))
	})
	return t, nil
}

// pageSize is the number of events that are asked for at once.
const pageSize = 1000

func (t *tape) readType(ctx context.Context, from Journal, r reading, name string, begin time.Time, facts bool) error {
	q := journal.Query{Type: name, Since: begin, Until: r.args.To, Now: r.now, Limit: pageSize}
	for {
		p, err := from.Received(ctx, r.org, q)
		if err != nil {
			return fmt.Errorf("read the journal: %w", err)
		}
		for _, e := range p.Entries {
			t.add(e, r, facts)
		}
		if t.read > MaxRead {
			return ErrTooMany.Sayf("The journal has more than %d events of this time; choose a shorter one.", MaxRead)
		}
		if err := r.tell(t.read); err != nil {
			return err
		}
		if q.After = p.Next; q.After == "" {
			return nil
		}
	}
}

func (t *tape) add(e journal.Entry, r reading, facts bool) {
	t.read++
	if facts {
		if f, ok := client.FactOf(e.Event); ok {
			e.Event.Payload = nil
			t.events = append(t.events, taped{Event: e.Event, fact: &f})
		}
		return
	}
	if !e.Event.Published.Before(r.args.From) {
		t.ofType++
	}
	draw := hashOf(e.Event)
	if draw > t.share {
		return
	}
	t.events = append(t.events, taped{Event: e.Event, cut: e.Cut, draw: draw})
	for len(t.events) > t.most {
		t.share /= 2
		t.events = slices.DeleteFunc(t.events, func(x taped) bool { return x.draw > t.share })
	}
}

// asked are the readers of causes at a time.
const asked = 32

// warm reads the makers of the objects that the events are about, many at a time: the
// dispatcher would ask for one after another.
func (c *causes) warm(ctx context.Context, org id.Org, cat catalog.Catalog, uses []tenant.Use, all []taped) error {
	made := tenant.Tenant{Uses: uses}
	wanted := map[catalog.ObjectID]time.Time{}
	for _, e := range all {
		about, _ := cat.Event(e.Name())
		if e.fact != nil {
			continue
		}
		for _, o := range about.ObjectsIn(e.Payload) {
			if _, known := wanted[o]; !known && made.Has(tenant.Makes(o.Kind)) {
				wanted[o] = e.Published
			}
		}
	}
	type question struct {
		object catalog.ObjectID
		at     time.Time
	}
	next := make(chan question)
	var mu sync.Mutex
	var group sync.WaitGroup
	var failed error
	for range min(asked, len(wanted)) {
		group.Go(func() {
			for q := range next {
				by, err := c.past.Maker(ctx, org, q.object, q.at)
				mu.Lock()
				if c.makers[q.object] = by; err != nil {
					failed = err
				}
				mu.Unlock()
			}
		})
	}
	for o, at := range wanted {
		next <- question{o, at}
	}
	close(next)
	group.Wait()
	return failed
}

// profiles returns the types of events whose facts the agents need.
func profiles(all []listening, types []string) []string {
	var facts []string
	for _, l := range all {
		if !l.UsesClient() && !l.Mentions("client_context") {
			continue
		}
		for _, name := range client.Projected() {
			if !slices.Contains(types, name) {
				facts = append(facts, name)
			}
		}
		break
	}
	return facts
}

// A lookup says at which parts of a client's profile the conditions of a definition look.
type lookup struct{ score, devices, incidents bool }

func lookupOf(d definition.Definition) lookup {
	var l lookup
	var add func(all []condition.Condition)
	add = func(all []condition.Condition) {
		for _, c := range all {
			add(c.All)
			add(c.Any)
			if c.Context != condition.InClient {
				continue
			}
			switch part, _, _ := strings.Cut(c.Field, "."); part {
			case "recent_incidents":
				l.incidents = true
			case "security_posture_score":
				l.score = true
			default:
				l.devices = true
			}
		}
	}
	add(d.Conditions)
	return l
}

// known reports whether the journal tells everything about a profile that the conditions
// look at. Of an older organization it tells the tickets of the last 30 days once it is as
// old, the score once it was updated, and never all devices.
func (l lookup) known(a Args, e event.Event, profile map[string]any) bool {
	_, scored := profile["security_posture_score"]
	return a.Whole || (!l.incidents || !e.Published.Before(a.Since.Add(client.Recent))) && (!l.score || scored) && !l.devices
}
