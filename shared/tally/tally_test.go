package tally_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/tally"
)

var errTable = errors.New("no table")

// A ledger is a store that fails for one agent.
type ledger struct {
	mu    sync.Mutex
	calls map[string][]int // sizes
	fails func(o id.Org, a id.Agent, all []execution.Contribution) bool
}

func (l *ledger) AddStats(_ context.Context, o id.Org, a id.Agent, all []execution.Contribution) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fails != nil && l.fails(o, a, all) {
		return errTable
	}
	l.calls[string(o)+" "+string(a)] = append(l.calls[string(o)+" "+string(a)], len(all))
	return nil
}

// mixed returns contributions of the agents a, b and c in turn, c in another
// organization.
func mixed(n int) []execution.Contribution {
	var all []execution.Contribution
	for i := range n {
		c := contribution(i, 0)
		switch i % 3 {
		case 1:
			c.Agent = "agent_b"
		case 2:
			c.Org = "org_b"
		}
		all = append(all, c)
	}
	return all
}

func TestTheContributionsOfAnAgentAreAddedTogether(t *testing.T) {
	t.Parallel()

	l := &ledger{calls: map[string][]int{}}
	failed, err := (&tally.Service{Store: l}).Add(t.Context(), mixed(3*tally.MaxTogether+6))
	if err != nil || failed != nil {
		t.Fatal(failed, err)
	}
	want := map[string][]int{
		"org_a agent_a": {tally.MaxTogether, 2}, "org_a agent_b": {tally.MaxTogether, 2}, "org_b agent_a": {tally.MaxTogether, 2},
	}
	if diff := cmp.Diff(want, l.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestTheFailureOfAnAgentKeepsNoOtherBack(t *testing.T) {
	t.Parallel()

	l := &ledger{calls: map[string][]int{}, fails: func(_ id.Org, a id.Agent, _ []execution.Contribution) bool { return a == "agent_b" }}
	failed, err := (&tally.Service{Store: l}).Add(t.Context(), mixed(9))
	if !errors.Is(err, errTable) || !strings.Contains(err.Error(), "agent_b of org_a") || !slices.Equal(failed, []int{1, 4, 7}) {
		t.Errorf("failed %v, %v", failed, err)
	}
	if len(l.calls) != 2 {
		t.Errorf("added %v", l.calls)
	}
}
