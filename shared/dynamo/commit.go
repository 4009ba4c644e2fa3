package dynamo

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"

	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/execution"
)

// A commit holds the writes of a change, and the numbers of the writes of
// balances.
type commit struct {
	writes []write
	months map[int]credit.Month // by the number of the write
}

// Commit implements execution.Store.
func (s *Store) Commit(ctx context.Context, c execution.Change) error {
	for range tries {
		k, err := commitOf(c)
		if err != nil {
			return fmt.Errorf("write %s: %w", c.Execution.ID, err)
		}
		err = s.write(ctx, k.writes...)
		r := refused(err)
		if r == nil {
			return err
		}
		if err := s.repaired(ctx, c, k, r); err != nil {
			return err
		}
	}
	return fmt.Errorf("write %s: %w", c.Execution.ID, errBusy)
}

// repaired returns why a refused commit is refused for good. It returns nil
// after it removed the obstacle: a month without a balance gets one.
func (s *Store) repaired(ctx context.Context, c execution.Change, k commit, r *refusal) error {
	for part := range r.parts {
		if _, balance := k.months[part]; !balance {
			return execution.ErrStale
		}
	}
	for part, m := range k.months {
		switch i, failed := r.at(part); {
		case failed && i != nil:
			return insufficient(c, m, i)
		case failed:
			if err := s.open(ctx, c.Execution.Org, m, c.Execution.Changed()); err != nil {
				return fmt.Errorf("open %s of %s: %w", m, c.Execution.Org, err)
			}
		}
	}
	return nil
}

func commitOf(c execution.Change) (commit, error) {
	x := c.Execution
	first, err := progressWrite(c)
	if err != nil {
		return commit{}, err
	}
	k := commit{writes: []write{first}, months: map[int]credit.Month{}}
	if c.Step != nil {
		w := stepWrite(x, *c.Step)
		if c.Reopen { // the revision of the run guards it
			w.cond, w.args = "attribute_exists(ended)", nil
		}
		k.writes = append(k.writes, w)
	}
	for _, closed := range c.Closed {
		k.writes = append(k.writes, stepWrite(x, closed))
	}
	if c.Gate != nil {
		k.writes = append(k.writes, approvalWrite(*c.Gate))
	}
	delta, freed := c.Gains(), c.Freed()
	for _, m := range slices.Sorted(maps.Keys(delta)) {
		k.months[len(k.writes)] = m
		k.writes = append(k.writes, balanceWrite(c, m, delta[m], freed[m]))
	}
	k.writes = append(k.writes, outboxWrites(c.Outbox)...)
	k.writes = append(k.writes, auditWrites(c.Acts)...)
	return k, nil
}

// progressWrite replaces the changing part of a run that is still at its
// revision, and with it the contribution of the change before.
func progressWrite(c execution.Change) (write, error) {
	x := c.Execution
	st, err := progressOf(x)
	if err != nil {
		return write{}, err
	}
	st.Contribution = contributionOf(c)
	set, err := attributevalue.MarshalMap(st)
	w := write{
		op: opUpdate, key: metaKey(x.Org, x.ID), set: map[string]any{},
		cond: "rev = :rev", args: map[string]any{":rev": x.Revision},
	}
	for name := range names(st) {
		if v, ok := set[name]; ok {
			w.set[name] = v
		} else {
			w.remove = append(w.remove, name)
		}
	}
	return w, err
}

// names yields the attributes of an item's struct.
func names(i any) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for f := range reflect.TypeOf(i).Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("dynamodbav"), ",")
			if !yield(name) {
				return
			}
		}
	}
}

// balanceWrite adds to a balance, or takes from it if it has enough. The slack
// above the next threshold moves with the balance, so that a hold which reaches
// no threshold costs no more. A change of the thresholds removes the slack, and
// the next watched hold reads the balance and sets it again.
func balanceWrite(c execution.Change, m credit.Month, n int64, freed credit.Marks) write {
	w := write{
		op: opUpdate, key: monthKey(c.Execution.Org, m), cond: "attribute_exists(pk)",
		set: map[string]any{"updated": nanos(c.Execution.Changed())}, add: map[string]int64{"remaining": n, "slack": n},
	}
	if freed != 0 {
		delete(w.add, "slack")
		w.add["told"], w.remove = -int64(freed), []string{"slack"}
	}
	if n >= 0 {
		return pardoned(w, c.Pardon, m)
	}
	w.cond, w.args = "remaining >= :need", map[string]any{":need": -n}
	switch {
	case c.Seen != nil && c.Reserve != nil && c.Reserve.Month == m:
		after, _ := c.Seen.With(-n)
		delete(w.add, "slack")
		w.set["slack"], w.set["told"] = after.Slack(), int64(after.Announced)
		w.remove = nil
		w.cond = "remaining = :seen AND allocation = :allocation AND told = :told"
		w.args = map[string]any{":seen": c.Seen.Remaining, ":allocation": c.Seen.Allocation, ":told": int64(c.Seen.Announced)}
		if c.Seen.Announced == 0 {
			w.cond = "remaining = :seen AND allocation = :allocation AND (attribute_not_exists(told) OR told = :told)"
		}
	case c.Watched:
		w.cond += " AND slack > :need"
	}
	return w
}

// pardoned takes a refused answer from the grace of a day in the write of a balance.
// The first of a day sets the counter; the next are added, if the grace that their
// caller saw still suffices, so that parallel ones do not race.
func pardoned(w write, p *credit.Pardon, m credit.Month) write {
	if p == nil || p.Hold.Month != m {
		return w
	}
	w.args = map[string]any{":day": string(p.Day)}
	if p.Seen == nil || p.Seen.Grace.Day < p.Day {
		w.set["gd"], w.set["gu"] = string(p.Day), p.Hold.Amount
		w.cond += " AND (attribute_not_exists(gd) OR gd < :day)"
		return w
	}
	w.add["gu"] = p.Hold.Amount
	w.cond += " AND gd = :day AND allocation = :allocation AND gu <= :room"
	w.args = map[string]any{
		":day": string(p.Seen.Grace.Day), ":allocation": p.Seen.Allocation, ":room": p.Seen.DailyGrace() - p.Hold.Amount,
	}
	return w
}

// insufficient returns why a balance refused a hold or a pardon.
func insufficient(c execution.Change, m credit.Month, i item) error {
	var month monthItem
	if err := attributevalue.UnmarshalMap(i, &month); err != nil {
		return fmt.Errorf("read %s of %s: %w", m, c.Execution.Org, err)
	}
	if c.Pardon != nil && c.Pardon.Hold.Month == m && c.Gains()[m] >= 0 {
		return &credit.Moved{Balance: month.balance(m)}
	}
	if b := month.balance(m); c.Watched && b.Remaining+c.Gains()[m] >= 0 {
		return &credit.Reached{Balance: b}
	}
	return credit.ErrInsufficient
}
