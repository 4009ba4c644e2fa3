package dispatch_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/dispatch"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/memory"
	"theoneagents.app/agents/shared/quota"
)

// An askedStore counts the reads of holders.
type askedStore struct {
	*memory.Store

	holders int
	crash   error // returned after a claim was made
}

func (s *askedStore) DedupHolder(ctx context.Context, x execution.Execution, at time.Time) (id.Execution, error) {
	s.holders++
	return s.Store.DedupHolder(ctx, x, at)
}

func (s *askedStore) ClaimDedup(ctx context.Context, x execution.Execution, at, until time.Time) (id.Execution, error) {
	holder, err := s.Store.ClaimDedup(ctx, x, at, until)
	return holder, errors.Join(err, s.crash)
}

// dispatcher returns another dispatcher of the same store, which remembers nothing yet.
func (d *fixture) dispatcher(s *askedStore) *dispatch.Service {
	other := d.Service
	other.Runs, other.Recent = s, dispatch.NewRecentClaims()
	return &other
}

func TestNewContentIsClaimedWithoutAReadBefore(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		more  []string
		again bool // delivered before
		text  string
		want  int // reads of the holder
	}{
		"new content":                           {want: 0},
		"an agent with a limit":                 {more: []string{`execution_limit={"max_per_hour": 5}`}, want: 1},
		"an event that was delivered before":    {again: true, want: 1},
		"a payload of more than one write unit": {text: strings.Repeat("x", 700), want: 1},
		"a payload of one write unit":           {text: strings.Repeat("x", 500), want: 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			a := d.agent("agent_a", tc.more...)
			s := &askedStore{Store: d.Store}
			ctx := t.Context()
			if tc.again {
				ctx = dispatch.Again(ctx)
			}
			e := d.event("psa:ticket.created", map[string]any{"ticket_id": "t", "subject": tc.text})
			d.must(d.dispatcher(s).Dispatch(ctx, e))
			if got := d.outcome(a, e); got != definition.Started || s.holders != tc.want {
				t.Errorf("%s after %d reads of the holder, want %d", got, s.holders, tc.want)
			}
		})
	}
}

// A dispatcher pays for the refused claim of a twin once, and then reads.
func TestATwinIsRefusedByItsClaimOrByARead(t *testing.T) {
	t.Parallel()
	d := open(t)
	a := d.agent("agent_a")
	s := &askedStore{Store: d.Store}
	one, other := d.dispatcher(s), d.dispatcher(s)
	first := d.created()
	twin := func(by *dispatch.Service, reads int) {
		t.Helper()
		e := d.event("psa:ticket.created", first.Payload)
		d.must(by.Dispatch(t.Context(), e))
		if got := d.outcome(a, e); got != definition.Duplicate || s.holders != reads {
			t.Errorf("%s after %d reads of the holder, want %d", got, s.holders, reads)
		}
	}
	d.must(one.Dispatch(t.Context(), first))
	twin(one, 1)
	twin(other, 1) // which has not seen the content
	twin(other, 2)
	if got := d.used(); got != [2]int{1, 1} {
		t.Errorf("used %v, want one run", got)
	}
	d.now = d.now.Add(dispatch.Window)
	late := d.event("psa:ticket.created", first.Payload)
	d.must(one.Dispatch(t.Context(), late))
	if got := d.outcome(a, late); got != definition.Started || s.holders != 2 {
		t.Errorf("after the window: %s after %d reads of the holder", got, s.holders)
	}
}

// An event that a quota refuses leaves no claim, also when an earlier delivery had
// claimed its content and died.
func TestARefusalByAQuotaLeavesNoClaimOfAnEarlierDelivery(t *testing.T) {
	t.Parallel()
	d := open(t)
	a := d.agent("agent_a")
	s := &askedStore{Store: d.Store, crash: errors.New("the worker died")}
	e := d.created()
	if err := d.dispatcher(s).Dispatch(t.Context(), e); !errors.Is(err, s.crash) {
		t.Fatalf("err = %v", err)
	}
	s.crash = nil
	d.now = d.now.Add(time.Minute)
	d.quotas = quota.Limits{RunsPerMinute: 1, OpenRuns: 100}
	d.must(d.dispatcher(s).Dispatch(t.Context(), d.created()))
	d.must(d.dispatcher(s).Dispatch(t.Context(), e)) // published twice
	if got := d.outcome(a, e); got != definition.QuotaReached {
		t.Fatalf("the event: %s", got)
	}
	d.now = d.now.Add(time.Minute)
	twin := event.Event{ID: "evt_twin", Product: e.Product, Type: e.Type, Org: e.Org, Client: e.Client, Payload: e.Payload, Published: d.now}
	d.must(d.dispatcher(s).Dispatch(t.Context(), twin))
	if got := d.outcome(a, twin); got != definition.Started {
		t.Errorf("its twin: %s", got)
	}
}
