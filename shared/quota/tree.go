package quota

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/id"
)

// A Root is an event without a known cause, from which a tree of runs grows: it starts
// runs, and their actions cause events that start further runs.
type Root struct {
	Event id.Event
	Runs  int // started by the event itself, at most; they are counted by no write
}

// A Tree counts the runs below a root event that the event did not start itself. It
// has a mark of each, so that a repetition finds its run counted.
type Tree struct {
	Marks string
}

// treeMark is the size of a mark. The marks of the largest tree, 200 runs, leave its
// record below 1 KB. Two of 200 runs have the same mark in one of 200,000 trees; the
// second is then not counted.
const treeMark = 4

// TreeKept is how long a tree is kept after its last count.
const TreeKept = 90 * 24 * time.Hour

// Len returns the number of counted runs.
func (t Tree) Len() int { return len(t.Marks) / treeMark }

// Has reports whether a run was counted.
func (t Tree) Has(run id.Execution) bool {
	mark := treeMarkOf(run)
	for i := 0; i < len(t.Marks); i += treeMark {
		if strings.HasPrefix(t.Marks[i:], mark) {
			return true
		}
	}
	return false
}

func treeMarkOf(run id.Execution) string {
	sum := sha256.Sum256([]byte(run))
	return string(sum[:treeMark])
}

// Admit returns the tree with those of the runs counted for which it has room below
// the root, and these runs. A counted run is admitted and not counted again.
func (t Tree) Admit(root Root, runs []id.Execution, most int) (Tree, []id.Execution) {
	var admitted []id.Execution
	for _, run := range runs {
		switch {
		case t.Has(run):
		case root.Runs+t.Len() >= most:
			continue
		default:
			t.Marks += treeMarkOf(run)
		}
		admitted = append(admitted, run)
	}
	return t, admitted
}

// TreeStore keeps trees.
type TreeStore interface {
	// Tree returns the tree below a root event; a zero one before its first count.
	Tree(ctx context.Context, org id.Org, root id.Event) (Tree, error)

	// SaveTree stores a tree at least until TreeKept after now, or returns ErrStale
	// when the stored tree is not before any more.
	SaveTree(ctx context.Context, org id.Org, root id.Event, before, after Tree, now time.Time) error
}

// treeTries limits the attempts at one count. Each fails only because others have
// counted below the same root meanwhile, at most as many as a tree has runs.
const treeTries = 200

// RunsPerRoot returns how many runs one root event may start, directly and indirectly.
func (s *Service) RunsPerRoot(plan credit.Plan) int { return s.Limits(plan).RunsPerRootEvent }

// AdmitBelow counts runs below a root event that the event did not start itself. It
// returns those that may start, and why the others may not. It may be repeated: a run
// is counted once.
func (s *Service) AdmitBelow(
	ctx context.Context, org id.Org, plan credit.Plan, root Root, runs []id.Execution, at time.Time,
) (admitted []id.Execution, full *Reached, err error) {
	most := s.RunsPerRoot(plan)
	for range treeTries {
		before, err := s.Store.Tree(ctx, org, root.Event)
		if err != nil {
			return nil, nil, fmt.Errorf("read the runs below %s: %w", root.Event, err)
		}
		after, admitted := before.Admit(root, runs, most)
		if len(admitted) < len(runs) {
			full = RootFull(root.Runs+after.Len(), most)
		}
		if after == before {
			return admitted, full, nil
		}
		err = s.Store.SaveTree(ctx, org, root.Event, before, after, at)
		if err == nil {
			return admitted, full, nil
		}
		if !errors.Is(err, ErrStale) {
			return nil, nil, fmt.Errorf("count the runs below %s: %w", root.Event, err)
		}
	}
	return nil, nil, ErrStale.Because(fmt.Errorf("count the runs below %s: %d tries", root.Event, treeTries))
}

// RootFull says that a root event has started as many runs as it may.
func RootFull(used, most int) *Reached {
	return &Reached{Name: RunsPerRootEvent, Used: used, Limit: most}
}
