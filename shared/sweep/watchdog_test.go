package sweep_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/memory"
	"theoneagents.app/agents/shared/sweep"
)

var errTable = errors.New("no table")

// watched is a store in which some calls fail and others lose a race.
type watched struct {
	*memory.Store

	lost    map[id.Execution]bool // a header of these is not found out
	overtop map[id.Execution]int  // how many writers are faster
}

func (w watched) Header(ctx context.Context, o id.Org, exec id.Execution) (execution.Execution, error) {
	if w.lost[exec] {
		return execution.Execution{}, errTable
	}
	x, err := w.Store.Header(ctx, o, exec)
	if err == nil && w.overtop[exec] > 0 {
		w.overtop[exec]--
		err = w.Commit(ctx, execution.Change{Execution: x.Renewed(x.Created)})
	}
	return x, err
}

func cursor(name id.Execution) machine.Cursor { return machine.Cursor{Org: org, Execution: name} }

func TestTheWatchdogMarksTheRunsThatAreStillOpen(t *testing.T) {
	t.Parallel()

	now := time.Date(2026, 3, 9, 14, 0, 0, 0, time.UTC)
	begun := func() execution.Execution { return execution.New(execution.Execution{Org: org, Agent: "agent_a"}, now) }
	for name, tc := range map[string]struct {
		run  execution.Execution
		want execution.Execution
	}{
		"a run that no worker began": {begun(), func() execution.Execution { x := begun(); x.FoundOpen = true; return x }()},
		"a run that rested":          {begun().Parked(now), begun().Parked(now)},
		"a run that has ended":       {begun().Complete(now), begun().Complete(now)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := memory.New()
			tc.run.ID, tc.want.ID = "exec_1", "exec_1"
			if err := s.Create(t.Context(), tc.run); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the stream delivers at least once
				if failed, err := (&sweep.Watchdog{Runs: s}).Look(t.Context(), []machine.Cursor{cursor("exec_1"), cursor("exec_none")}); err != nil || failed != nil {
					t.Fatalf("%v failed: %v", failed, err)
				}
			}
			got, err := s.Header(t.Context(), org, "exec_1")
			if err != nil {
				t.Fatal(err)
			}
			writes := got.Revision - 1
			got.Revision = 0
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("the run (-want +got)\n%s", diff)
			}
			if got.FoundOpen != (writes == 1) || writes > 1 {
				t.Errorf("%d writes", writes)
			}
		})
	}
}

func TestTheWatchdogNamesTheRunsThatItCouldNotSee(t *testing.T) {
	t.Parallel()

	s := watched{Store: memory.New(), lost: map[id.Execution]bool{"exec_1": true, "exec_3": true}, overtop: map[id.Execution]int{"exec_2": 3}}
	now := time.Date(2026, 3, 9, 14, 0, 0, 0, time.UTC)
	var all []machine.Cursor
	for _, name := range []id.Execution{"exec_0", "exec_1", "exec_2", "exec_3"} {
		if err := s.Create(t.Context(), execution.New(execution.Execution{ID: name, Org: org, Agent: "agent_a"}, now)); err != nil {
			t.Fatal(err)
		}
		all = append(all, cursor(name))
	}
	failed, err := (&sweep.Watchdog{Runs: s}).Look(t.Context(), all)
	if diff := cmp.Diff([]int{1, 3}, failed); diff != "" || !errors.Is(err, errTable) {
		t.Errorf("failed (-want +got) %v\n%s", err, diff)
	}
	due, err := s.Overdue(t.Context(), now.Add(time.Hour), 10)
	if err != nil {
		t.Fatal(err)
	}
	want := map[id.Execution]bool{"exec_0": true, "exec_2": true}
	for _, c := range due {
		if !want[c.Execution] {
			t.Errorf("%s is due, and was not seen", c.Execution)
		}
		delete(want, c.Execution)
	}
	if len(want) > 0 {
		t.Errorf("the sweeper does not find %v", want)
	}
}
