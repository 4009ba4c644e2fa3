package quota

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
)

// A Minute is a calendar minute in UTC, numbered since 1970.
type Minute int64

// MinuteOf returns the minute of t.
func MinuteOf(t time.Time) Minute { return Minute(t.Unix() / 60) }

// Begin returns the begin of the minute.
func (m Minute) Begin() time.Time { return time.Unix(int64(m)*60, 0).UTC() }

// A Tally counts the runs of an organization. It is one record, so that counting the
// runs of an event is one conditional write.
//
// Open is not the number of open runs, which would cost each run a second write at
// its end, but that of the last count with all runs since added. Only when this
// bound reaches the limit are the open runs counted again.
type Tally struct {
	Minutes map[Minute]int  // runs admitted in each of the last minutes, and spare permits
	Open    int             // no more runs are open
	Counted time.Time       // when the open runs were last counted; zero for never
	Marks   [Slots]MarkText // of runs that were admitted last
}

// Kept is the number of minutes that a tally keeps: the current one, one that
// OpenRuns may need, and others for clocks that differ.
const Kept = 5

// Slots is the number of marks in a tally. Each takes ten bytes of a record that
// should stay below 1 KB.
const Slots = 48

// A MarkText identifies a run in a minute; "" for none. It lets a repetition find the
// run counted: an event may be delivered twice at the same moment, and a reply may be
// lost. A run whose mark was replaced by that of another is counted twice: the quota
// is then reached early, and never late.
type MarkText string

// markOf returns the mark of a run, and the slot that it prefers.
func markOf(m Minute, run id.Execution) (mark MarkText, slot int) {
	const size = 8
	sum := sha256.Sum256([]byte(strconv.FormatInt(int64(m), 10) + "#" + string(run)))
	return MarkText(sum[:size]), int(sum[size]) % Slots
}

// An Admission asks for the right to start runs in a minute.
type Admission struct {
	Minute Minute
	Runs   []id.Execution
	Spare  int // permits for other runs of the minute
	Limits Limits
}

// Permits returns the number of runs to count, with those of the spare permits.
func (a Admission) Permits() int { return len(a.Runs) + a.Spare }

// Marks returns the marks of the runs by their slots. Runs that prefer the same slot
// get the next ones; beyond Slots runs, the others have none.
func (a Admission) Marks() map[int]MarkText {
	marks := make(map[int]MarkText, len(a.Runs))
	for _, run := range a.Runs[:min(len(a.Runs), Slots)] {
		mark, slot := markOf(a.Minute, run)
		for marks[slot] != "" {
			slot = (slot + 1) % Slots
		}
		marks[slot] = mark
	}
	return marks
}

// Admit is the rule of every store: it returns the tally with all runs counted, and
// whether it has room for all of them and none of them is marked.
func (t Tally) Admit(a Admission) (Tally, bool) {
	n, before := a.Permits(), t
	if t.Counted.IsZero() || t.Minutes[a.Minute]+n > a.Limits.RunsPerMinute || t.Open+n > a.Limits.OpenRuns {
		return t, false
	}
	for slot, mark := range a.Marks() {
		if t.Marks[slot] == mark {
			return before, false
		}
		t.Marks[slot] = mark
	}
	t.Minutes = maps.Clone(t.Minutes)
	if t.Minutes == nil {
		t.Minutes = map[Minute]int{}
	}
	maps.DeleteFunc(t.Minutes, func(m Minute, _ int) bool { return m <= a.Minute-Kept })
	t.Minutes[a.Minute] += n
	t.Open += n
	return t, true
}

// Has reports whether a run is marked as counted in a minute.
func (t Tally) Has(m Minute, run id.Execution) bool {
	_, ok := t.Slot(m, run)
	return ok
}

// Slot returns the slot of the mark of a run in a minute, and whether there is one.
func (t Tally) Slot(m Minute, run id.Execution) (slot int, ok bool) {
	mark, _ := markOf(m, run)
	slot = slices.Index(t.Marks[:], mark)
	return slot, slot >= 0
}

// Withdraw returns the tally without a run, if that is marked.
func (t Tally) Withdraw(m Minute, run id.Execution) (Tally, bool) {
	slot, ok := t.Slot(m, run)
	if !ok {
		return t, false
	}
	t.Marks[slot] = ""
	t.Minutes = maps.Clone(t.Minutes)
	t.Minutes[m]--
	t.Open--
	return t, true
}

// Open counts the runs of an organization that may be open. It leaves out what an
// index may not show yet: the runs that were created since a minute began.
type Open struct {
	Before int // open runs that were created before the minute
	Since  int // runs created since, as far as the index shows them
	Ended  int // runs created since that have ended
}

// Bound returns a number of open runs that is never too small: runs that are
// admitted and not recorded yet count as open.
func (o Open) Bound(t Tally, since Minute) int {
	admitted := 0
	for m, n := range t.Minutes {
		if m >= since {
			admitted += n
		}
	}
	return max(0, o.Before+max(admitted, o.Since)-o.Ended)
}

// delay is longer than the time from the admission of a run until the index shows
// it: a dispatcher takes up to 10 seconds, a retry 15, and clocks differ.
const delay = 30 * time.Second

// settled returns the minute before which every admitted run is in the index, or was
// never recorded.
func settled(now time.Time) Minute { return MinuteOf(now.Add(-delay)) }

// interval is the time between two counts of the open runs. Counting costs a read
// unit for about 40 runs, so an organization at its limit would pay it with each
// event.
func interval(l Limits) time.Duration {
	const most = 10 * time.Second
	return min(max(time.Second, time.Duration(l.OpenRuns)*time.Millisecond), most)
}

// ErrStale says that the tally has changed since it was read.
var ErrStale = fault.New(fault.Stale, "conflict", "The runs are counted by others too; try again.")

// Store keeps tallies and trees.
type Store interface {
	TreeStore

	// AdmitRuns counts the runs in one write, as Tally.Admit says. It returns the
	// tally without a count that it refused.
	AdmitRuns(ctx context.Context, org id.Org, a Admission) (t Tally, ok bool, err error)

	// WithdrawRun removes a run from the count, as Tally.Withdraw says.
	WithdrawRun(ctx context.Context, org id.Org, m Minute, run id.Execution) error

	// SaveOpen stores the bound of the open runs and the time of its count, or
	// returns ErrStale when the tally counted others since it was read.
	SaveOpen(ctx context.Context, org id.Org, before Tally, open int, at time.Time) error

	// AdmitMessages counts a batch in one write, as DayTally.Admit says. It returns the
	// tally without a count that it refused.
	AdmitMessages(ctx context.Context, org id.Org, b Batch) (t DayTally, ok bool, err error)

	// Messages returns the counts of the quotas of a day, without those of zero.
	Messages(ctx context.Context, org id.Org, day Day) (map[Name]int, error)

	// Plan returns the plan of the organization.
	Plan(ctx context.Context, org id.Org) (credit.Plan, error)

	// OpenRuns counts the open runs, and those that were created and have ended
	// since the time.
	OpenRuns(ctx context.Context, org id.Org, since, now time.Time) (Open, error)
}

// Service counts.
type Service struct {
	Store  Store
	Limits func(credit.Plan) Limits // Of, but in tests
	Now    func() time.Time

	permits permits // of this instance
}

// tries limits the writes for one event. Each one fails only because others have
// counted meanwhile, or because it has just learned more.
const tries = 10

// AdmitRuns counts the runs that a dispatcher is about to record at a time. It returns
// those that may start, and why the others may not. A run that was admitted in the
// same minute is admitted again and counted once, unless another instance admitted it
// by a spare permit: then it is counted twice, and the quota is reached early.
func (s *Service) AdmitRuns(
	ctx context.Context, org id.Org, plan credit.Plan, runs []id.Execution, at time.Time,
) (admitted []id.Execution, full *Reached, err error) {
	limits, minute := s.Limits(plan), MinuteOf(at)
	admitted, runs = s.permits.take(org, minute, runs)
	for range tries {
		if len(runs) == 0 {
			return admitted, full, nil
		}
		a := Admission{Minute: minute, Runs: runs[:min(len(runs), limits.RunsPerMinute, limits.OpenRuns)], Limits: limits}
		a.Spare = s.permits.spare(org, minute, len(a.Runs), limits)
		t, ok, err := s.Store.AdmitRuns(ctx, org, a)
		if err != nil {
			return nil, nil, fmt.Errorf("count the runs of %s: %w", org, err)
		}
		s.permits.counted(org, a, t, ok)
		if ok {
			admitted, runs = append(admitted, a.Runs...), runs[len(a.Runs):]
			continue
		}
		var unknown []id.Execution
		for _, run := range runs {
			if t.Has(minute, run) {
				admitted = append(admitted, run)
				continue
			}
			unknown = append(unknown, run)
		}
		runs = unknown
		if room := max(limits.RunsPerMinute-t.Minutes[minute], 0); room < len(runs) {
			runs, full = runs[:room], s.minuteFull(limits, t.Minutes[minute]+room, minute)
		}
		if room := max(limits.OpenRuns-t.Open, 0); room >= len(runs) && !t.Counted.IsZero() {
			continue
		} else if now := s.Now(); now.Sub(t.Counted) < interval(limits) {
			runs, full = runs[:min(room, len(runs))], &Reached{Name: OpenRuns, Used: t.Open + room, Limit: limits.OpenRuns, Wait: interval(limits)}
			continue
		}
		if err := s.recount(ctx, org, t); err != nil && !errors.Is(err, ErrStale) {
			return nil, nil, fmt.Errorf("count the open runs of %s: %w", org, err)
		}
	}
	return nil, nil, ErrStale.Because(fmt.Errorf("count the runs of %s: %d tries", org, tries))
}

func (s *Service) minuteFull(l Limits, used int, m Minute) *Reached {
	reset := (m + 1).Begin()
	return &Reached{Name: RunsPerMinute, Used: used, Limit: l.RunsPerMinute, Reset: reset, Wait: max(reset.Sub(s.Now()), time.Second)}
}

// recount lowers the bound of the open runs.
func (s *Service) recount(ctx context.Context, org id.Org, t Tally) error {
	now := s.Now()
	since := settled(now)
	open, err := s.Store.OpenRuns(ctx, org, since.Begin(), now)
	if err != nil {
		return err
	}
	return s.Store.SaveOpen(ctx, org, t, open.Bound(t, since), now)
}

// WithdrawRun takes back the admission of a run that did not start after all.
func (s *Service) WithdrawRun(ctx context.Context, org id.Org, run id.Execution, at time.Time) error {
	if s.permits.give(org, MinuteOf(at), run) {
		return nil
	}
	if err := s.Store.WithdrawRun(ctx, org, MinuteOf(at), run); err != nil {
		return fmt.Errorf("take back the count of %s: %w", run, err)
	}
	return nil
}

// A Usage is the use of one quota.
type Usage struct {
	Name  Name
	Limit int
	Used  int
	Reset time.Time // zero for a quota without a window
}

// Usage returns the use of every quota of an organization. The runs of the minute are
// those that the index shows; the tally also has the spare permits of the instances.
func (s *Service) Usage(ctx context.Context, org id.Org, plan credit.Plan) ([]Usage, error) {
	now, l := s.Now(), s.Limits(plan)
	m := MinuteOf(now)
	open, err := s.Store.OpenRuns(ctx, org, m.Begin(), now)
	if err != nil {
		return nil, fmt.Errorf("count the open runs: %w", err)
	}
	sent, err := s.Store.Messages(ctx, org, DayOf(now))
	if err != nil {
		return nil, fmt.Errorf("read the counts of messages: %w", err)
	}
	all := []Usage{
		{Name: RunsPerMinute, Limit: l.RunsPerMinute, Used: open.Since, Reset: (m + 1).Begin()},
		{Name: OpenRuns, Limit: l.OpenRuns, Used: open.Now()},
	}
	for _, name := range Daily() {
		all = append(all, Usage{Name: name, Limit: l.perDay(name), Used: sent[name], Reset: end(now)})
	}
	return all, nil
}

// Now returns the number of open runs that the index shows.
func (o Open) Now() int { return max(0, o.Before+o.Since-o.Ended) }
