package dynamo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"theoneagents.app/agents/shared/dynamo/schema"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/quota"
)

// The attributes of a tally. Each minute and each slot has one of its own, so that
// one update counts in a minute without knowing whether it has begun: m29552782 is
// the count of a minute, s07 the mark in a slot.
const (
	openAttribute    = "open"
	countedAttribute = "counted"
	minutePrefix     = "m"
	slotPrefix       = "s"
)

func minuteAttribute(m quota.Minute) string {
	return minutePrefix + strconv.FormatInt(int64(m), 10)
}

func slotAttribute(slot int) string { return slotPrefix + strconv.Itoa(slot) }

// leftMinutes is the number of earlier minutes that each count removes. An item that
// has more of them, because events are further apart, is cleaned by a write of its
// own when there are maxMinutes.
const (
	leftMinutes = 10
	maxMinutes  = 20
)

// AdmitRuns implements quota.Store. The conditions are those of Tally.Admit.
func (s *Store) AdmitRuns(ctx context.Context, o id.Org, a quota.Admission) (quota.Tally, bool, error) {
	after, ok, err := s.countBy(ctx, admission(o, a), s.nonce(), types.ReturnValueAllNew)
	if err != nil {
		return quota.Tally{}, false, fmt.Errorf("count %d runs of %s: %w", a.Permits(), o, err)
	}
	t, err := tallyOf(after)
	if err != nil || !ok {
		return t, ok, err
	}
	return t, true, s.forget(ctx, o, t, a.Minute)
}

// admission returns the update that counts runs.
func admission(o id.Org, a quota.Admission) write {
	n := a.Permits()
	minute := minuteAttribute(a.Minute)
	w := write{
		op: opUpdate, key: tallyKey(o), set: map[string]any{},
		add:  map[string]int64{minute: int64(n), openAttribute: int64(n)},
		args: map[string]any{":mostStarted": a.Limits.RunsPerMinute - n, ":mostOpen": a.Limits.OpenRuns - n},
	}
	conds := []string{"(attribute_not_exists(#" + minute + ") OR #" + minute + " <= :mostStarted)", "#" + openAttribute + " <= :mostOpen"}
	for slot, mark := range a.Marks() {
		name := slotAttribute(slot)
		w.set[name] = []byte(mark)
		conds = append(conds, "(attribute_not_exists(#"+name+") OR #"+name+" <> :_"+name+")")
	}
	w.cond = strings.Join(conds, " AND ")
	for m := a.Minute - quota.Kept; m > a.Minute-quota.Kept-leftMinutes; m-- {
		w.remove = append(w.remove, minuteAttribute(m))
	}
	return w
}

// forget removes the minutes of a tally that no one needs.
func (s *Store) forget(ctx context.Context, o id.Org, t quota.Tally, now quota.Minute) error {
	if len(t.Minutes) < maxMinutes {
		return nil
	}
	w := write{op: opUpdate, key: tallyKey(o)}
	for m := range t.Minutes {
		if m <= now-quota.Kept {
			w.remove = append(w.remove, minuteAttribute(m))
		}
	}
	return s.write(ctx, w)
}

// tallyOf reads a tally.
func tallyOf(i item) (quota.Tally, error) {
	t := quota.Tally{Minutes: map[quota.Minute]int{}}
	for name, v := range i {
		switch name {
		case openAttribute:
			n, err := numberOf(i, name)
			if err != nil {
				return t, err
			}
			t.Open = n
		case countedAttribute:
			n, err := numberOf(i, name)
			if err != nil {
				return t, err
			}
			t.Counted = timeOf(int64(n))
		default:
			if err := readPart(&t, i, name, v); err != nil {
				return t, err
			}
		}
	}
	return t, nil
}

// readPart reads a minute or a mark; other attributes are none.
func readPart(t *quota.Tally, i item, name string, v types.AttributeValue) error {
	if rest, ok := strings.CutPrefix(name, minutePrefix); ok {
		if m, err := strconv.ParseInt(rest, 10, 64); err == nil {
			n, err := numberOf(i, name)
			t.Minutes[quota.Minute(m)] = n
			return err
		}
	}
	if rest, ok := strings.CutPrefix(name, slotPrefix); ok {
		mark, isMark := v.(*types.AttributeValueMemberB)
		if slot, err := strconv.Atoi(rest); err == nil && isMark && slot >= 0 && slot < quota.Slots {
			t.Marks[slot] = quota.MarkText(mark.Value)
		}
	}
	return nil
}

// WithdrawRun implements quota.Store.
func (s *Store) WithdrawRun(ctx context.Context, o id.Org, m quota.Minute, run id.Execution) error {
	t, err := s.RunTally(ctx, o)
	if err != nil {
		return err
	}
	slot, ok := t.Slot(m, run)
	if !ok {
		return nil
	}
	name, minute := slotAttribute(slot), minuteAttribute(m)
	err = s.write(ctx, write{
		op: opUpdate, key: tallyKey(o), remove: []string{name},
		add:  map[string]int64{minute: -1, openAttribute: -1},
		cond: "#" + name + " = :mark", args: map[string]any{":mark": []byte(t.Marks[slot])},
	})
	if refused(err) != nil {
		return nil //nolint:nilerr // it is taken back already, or the mark of another run replaced its own.
	}
	return err
}

// SaveOpen implements quota.Store.
func (s *Store) SaveOpen(ctx context.Context, o id.Org, before quota.Tally, open int, at time.Time) error {
	w := write{
		op: opUpdate, key: tallyKey(o), set: map[string]any{openAttribute: open, countedAttribute: nanos(at)},
		cond: "attribute_not_exists(#" + openAttribute + ")",
	}
	if !before.Counted.IsZero() {
		w.cond = "#" + openAttribute + " = :open AND #" + countedAttribute + " = :counted"
		w.args = map[string]any{":open": before.Open, ":counted": nanos(before.Counted)}
	}
	err := s.write(ctx, w)
	if refused(err) != nil {
		return quota.ErrStale
	}
	return err
}

// RunTally returns the tally of an organization; a zero one before the first run.
func (s *Store) RunTally(ctx context.Context, o id.Org) (quota.Tally, error) {
	i, err := s.getItem(ctx, tallyKey(o))
	if err != nil {
		return quota.Tally{}, err
	}
	return tallyOf(i)
}

// OpenRuns implements quota.Store. It counts keys. A run that is younger than
// execution.Young is open unless an index by status says that it has ended; an older
// one is open if that index says so. Such a run may move between two statuses while
// they are counted, so their keys are compared. The first completed run of an agent counts
// as open until the agent is known; see listedParts.
func (s *Store) OpenRuns(ctx context.Context, o id.Org, since, now time.Time) (quota.Open, error) {
	young := now.Add(-execution.Young).Truncate(time.Second)
	old, err := s.oldOpen(ctx, o, young)
	if err != nil {
		return quota.Open{}, err
	}
	agents, err := s.withRuns(ctx, o)
	if err != nil {
		return quota.Open{}, err
	}
	all, ended, err := s.createdIn(ctx, o, agents, young, since)
	if err != nil {
		return quota.Open{}, err
	}
	n := quota.Open{Before: old + all - ended}
	n.Since, n.Ended, err = s.createdIn(ctx, o, agents, since, time.Time{})
	return n, err
}

// createdIn counts the runs that were created in a period, and those of them that have
// ended; agents are those that may have runs.
func (s *Store) createdIn(ctx context.Context, o id.Org, agents []id.Agent, from, to time.Time) (all, ended int, err error) {
	q := execution.Query{From: from, To: to}
	if all, err = s.size(ctx, runsQuery(o, q), unbounded); err != nil {
		return 0, 0, err
	}
	parts := completedBy(agents, o, q)
	for _, q.Status = range []execution.Status{execution.Failed, execution.Cancelled} {
		parts = append(parts, listedQuery(o, q))
	}
	ended, err = s.sizes(ctx, parts, unbounded)
	return all, min(ended, all), err
}

// unbounded is more than the runs of an organization in execution.Young.
const unbounded = 1 << 20

// oldOpen counts the open runs that were created before a time.
func (s *Store) oldOpen(ctx context.Context, o id.Org, before time.Time) (int, error) {
	open := map[string]struct{}{}
	for _, st := range []execution.Status{execution.WaitingApproval, execution.Running, execution.Pending, execution.WaitingApproval} {
		q := listedQuery(o, execution.Query{Status: st, To: before})
		for {
			items, next, err := s.page(ctx, q)
			if err != nil {
				return 0, err
			}
			for _, i := range items {
				open[textOf(i, schema.PartitionKey)] = struct{}{}
			}
			if next == nil {
				break
			}
			q.start = next
		}
	}
	return len(open), nil
}

// countedMessages is the attribute that counts the messages of a day.
const countedMessages = "n"

// keptDays is how long the counts of a day are kept after it has begun.
const keptDays = 3 * 24 * time.Hour

// AdmitMessages implements quota.Store. The conditions are those of DayTally.Admit.
func (s *Store) AdmitMessages(ctx context.Context, o id.Org, b quota.Batch) (quota.DayTally, bool, error) {
	mark, slot := b.Mark()
	name := slotAttribute(slot)
	begin, dayErr := time.Parse(time.DateOnly, string(b.Day))
	w := write{
		op: opUpdate, key: messagesKey(o, b.Day, b.Name),
		set: map[string]any{name: mark + strconv.Itoa(b.Size), schema.Expires: begin.Add(keptDays).Unix()},
		add: map[string]int64{countedMessages: int64(b.Size)},
		cond: "(attribute_not_exists(#" + countedMessages + ") OR #" + countedMessages + " <= :most)" +
			" AND (attribute_not_exists(#" + name + ") OR NOT begins_with(#" + name + ", :mark))",
		args: map[string]any{":most": b.Limit - b.Size, ":mark": mark},
	}
	w.key.err = errors.Join(w.key.err, dayErr)
	after, ok, err := s.countBy(ctx, w, s.nonce(), types.ReturnValueAllNew)
	if err != nil {
		return quota.DayTally{}, false, fmt.Errorf("count %d messages of %s: %w", b.Size, o, err)
	}
	t, err := dayTallyOf(after)
	return t, ok, err
}

// dayTallyOf reads the count of a day.
func dayTallyOf(i item) (t quota.DayTally, err error) {
	if len(i) == 0 {
		return t, nil
	}
	t.Count, err = numberOf(i, countedMessages)
	for slot := range t.Marks {
		t.Marks[slot] = textOf(i, slotAttribute(slot))
	}
	return t, err
}

// Messages implements quota.Store.
func (s *Store) Messages(ctx context.Context, o id.Org, day quota.Day) (map[quota.Name]int, error) {
	names := quota.Daily()
	keys := make([]item, len(names))
	for n, name := range names {
		key := messagesKey(o, day, name)
		if key.err != nil {
			return nil, key.err
		}
		keys[n] = key.item()
	}
	found, err := s.getAll(ctx, keys, false)
	if err != nil {
		return nil, fmt.Errorf("read the counts of %s: %w", day, err)
	}
	counts := make(map[quota.Name]int)
	for n, name := range names {
		t, err := dayTallyOf(found[keyText(keys[n])])
		if err != nil {
			return nil, fmt.Errorf("read the count of %s on %s: %w", name, day, err)
		}
		if t.Count > 0 {
			counts[name] = t.Count
		}
	}
	return counts, nil
}
