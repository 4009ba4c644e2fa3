package quota_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/memory"
	"theoneagents.app/agents/shared/quota"
)

// Whatever is repeated, lost or in a race: a root event never has more runs than the
// plan allows, a run is counted once, and as long as there is room it is admitted.
func TestATreeHoldsNoMoreRunsThanItMay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 12).Draw(t, "most")
		direct := rapid.IntRange(0, most).Draw(t, "direct")
		now := noon()
		q := service(memory.New(), quota.Limits{RunsPerRootEvent: most}, &now)
		root := quota.Root{Event: "evt_root", Runs: direct}
		in := map[id.Execution]bool{}
		for range rapid.IntRange(1, 30).Draw(t, "events") {
			var runs []id.Execution
			for range rapid.IntRange(1, 4).Draw(t, "runs") {
				run := id.Execution(fmt.Sprintf("exec_%d", rapid.IntRange(0, 20).Draw(t, "run")))
				if !slices.Contains(runs, run) {
					runs = append(runs, run)
				}
			}
			may, full, err := q.AdmitBelow(context.Background(), org, credit.Starter, root, runs, now)
			if err != nil {
				t.Fatal(err)
			}
			for _, run := range runs {
				admitted := slices.Contains(may, run)
				if in[run] && !admitted {
					t.Fatalf("%s was admitted and then refused", run)
				}
				if !admitted && direct+len(in) < most {
					t.Fatalf("%s was refused when %d of %d runs had started", run, direct+len(in), most)
				}
				in[run] = in[run] || admitted
				if !in[run] {
					delete(in, run)
				}
			}
			if (full != nil) != (len(may) < len(runs)) {
				t.Fatalf("%d of %d may start, and %+v", len(may), len(runs), full)
			}
			if full != nil && (full.Name != quota.RunsPerRootEvent || full.Used != direct+len(in) || full.Limit != most) {
				t.Fatalf("%+v with %d direct and %d other runs of %d", full, direct, len(in), most)
			}
			if direct+len(in) > most {
				t.Fatalf("%d runs, and %d are allowed", direct+len(in), most)
			}
		}
	})
}

func TestParallelDispatchersFillATreeExactly(t *testing.T) {
	t.Parallel()
	now := noon()
	q := service(memory.New(), quota.Limits{RunsPerRootEvent: 50}, &now)
	var wg sync.WaitGroup
	var mu sync.Mutex
	in := map[id.Execution]bool{}
	for n := range 120 {
		wg.Go(func() {
			run := id.Execution(fmt.Sprintf("exec_%d", n%80)) // some events are delivered twice
			may, _, err := q.AdmitBelow(t.Context(), org, credit.Starter, quota.Root{Event: "evt_root", Runs: 3}, []id.Execution{run}, now)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			for _, run := range may {
				in[run] = true
			}
		})
	}
	wg.Wait()
	if len(in) != 47 {
		t.Errorf("%d runs were admitted beside 3, want 47", len(in))
	}
}

// A reply that was lost leaves the run counted, and its repetition counts it once.
func TestALostReplyCountsARunOnce(t *testing.T) {
	t.Parallel()
	now := noon()
	s := &lossy{Store: memory.New()}
	q := service(s, quota.Limits{RunsPerRootEvent: 2}, &now)
	count := func(run id.Execution) bool {
		may, _, err := q.AdmitBelow(t.Context(), org, credit.Starter, quota.Root{Event: "evt_root"}, []id.Execution{run}, now)
		return err == nil && len(may) == 1
	}
	s.lose = true
	if count("exec_1") {
		t.Error("the reply was not lost")
	}
	s.lose = false
	for _, tc := range []struct {
		run  id.Execution
		want bool
	}{{"exec_1", true}, {"exec_2", true}, {"exec_3", false}, {"exec_1", true}} {
		if got := count(tc.run); got != tc.want {
			t.Errorf("%s was admitted: %t", tc.run, got)
		}
	}
}

// A lossy store loses the replies of SaveTree.
type lossy struct {
	*memory.Store

	lose bool
}

func (s *lossy) SaveTree(ctx context.Context, o id.Org, root id.Event, before, after quota.Tree, now time.Time) error {
	err := s.Store.SaveTree(ctx, o, root, before, after, now)
	if s.lose {
		return errors.Join(err, errors.New("the reply is lost"))
	}
	return err
}
