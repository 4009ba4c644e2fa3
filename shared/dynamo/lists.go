package dynamo

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"

	"theoneagents.app/agents/shared/dynamo/schema"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/machine"
)

// The bounds of all positions in a list.
const (
	first = "0"
	last  = "~"
)

// rounds bounds how often one call reads on when the entries of its index led
// to no item to return. A page may then be short, but no call takes long.
const rounds = 10

// before bounds a query to the positions up to and including after.
func (q query) before(after string) query {
	q.backwards = true
	if after != "" {
		q.to = min(q.to, after)
	}
	return q
}

// A listing is a part of an index, newest first.
type listing struct {
	query query
	after string // the position before which it begins; "" for the newest
	want  int
	keep  func(item) bool // nil: all
	rare  bool            // keep selects few items, so list reads many at once
}

// A listed is an item and its position in the list.
type listed struct {
	at   string
	item item
}

func (l listed) sortKey() string { return l.at }

// list reads up to l.want items that l.keep selects, and the position from
// which to continue; "" at the end. It skips an index entry without such an
// item, since an index may be a moment ahead or behind.
func (s *Store) list(ctx context.Context, l listing) (rows []listed, end string, err error) {
	l.want = max(l.want, 1)
	l.query.limit = l.want + 2 // one to see whether more follow, one for the last of the previous page
	if l.rare {
		l.query.limit = maxBatch
	}
	for range rounds {
		keys, next, err := s.page(ctx, l.query)
		if err != nil {
			return nil, "", err
		}
		keys = slices.DeleteFunc(keys, func(k item) bool { return l.after != "" && textOf(k, "at") >= l.after })
		more := l.cut(&keys, len(rows))
		got, err := s.items(ctx, keys, l.keep)
		if err != nil {
			return nil, "", err
		}
		if rows = append(rows, got...); len(rows) > l.want {
			return rows[:l.want], rows[l.want-1].at, nil
		}
		if len(keys) > 0 {
			end = textOf(keys[len(keys)-1], "at")
		}
		switch {
		case more && len(rows) == l.want:
			return rows, end, nil
		case more:
			l.query, l.after = l.query.before(end), end
			l.query.start = nil // continue by position, since part of the page is left
		case next == nil:
			return rows, "", nil
		default:
			l.query.start = next
		}
	}
	return rows, end, nil
}

// cut drops the keys beyond those that the list needs, if most are selected,
// and reports whether it dropped any.
func (l listing) cut(keys *[]item, have int) bool {
	need := l.want - have
	if l.rare || len(*keys) <= need {
		return false
	}
	*keys = (*keys)[:need]
	return true
}

// items reads the items of an index's entries that keep selects, in their
// order.
func (s *Store) items(ctx context.Context, entries []item, keep func(item) bool) ([]listed, error) {
	found, err := s.getAll(ctx, keysOf(entries), true)
	if err != nil {
		return nil, err
	}
	var rows []listed
	for _, e := range entries {
		i, ok := found[keyText(e)]
		if ok && (keep == nil || keep(i)) {
			rows = append(rows, listed{at: textOf(e, "at"), item: i})
		}
	}
	return rows, nil
}

// runsQuery selects the runs of a query, regardless of their status.
func runsQuery(o id.Org, q execution.Query) query {
	index := schema.ByOrg()
	list, err := runsOfOrg(o)
	if q.Agent != "" {
		index = schema.ByAgent()
		list, err = runsOfAgent(o, q.Agent)
	}
	return query{index: &index, partition: list, err: err}.between(q.From, q.To)
}

// lastingQuery selects the runs of a query for one status that the indexes by
// status list.
func lastingQuery(o id.Org, q execution.Query) query {
	index := schema.ByStatus()
	list, err := runsOfStatus(o, q.Status)
	if q.Agent != "" {
		index = schema.ByAgentStatus()
		list, err = runsOfAgentStatus(o, q.Agent, q.Status)
	}
	return query{index: &index, partition: list, err: err}.between(q.From, q.To)
}

// youngQuery selects the runs of the last ten minutes. They include the runs of
// a query for one status that the indexes by status do not list yet.
func youngQuery(o id.Org, q execution.Query) query {
	k := runsQuery(o, q)
	k.from = max(k.from, second(q.Youngest()))
	return k
}

// between bounds a query of a list by time; the end is excluded.
func (q query) between(from, to time.Time) query {
	q.from, q.to = first, last
	if !from.IsZero() {
		q.from = second(up(from))
	}
	if !to.IsZero() {
		q.to = second(up(to)) // a position at this time is longer, and so sorts after it
	}
	return q
}

// Executions implements execution.Store.
func (s *Store) Executions(ctx context.Context, o id.Org, q execution.Query) (execution.Page, error) {
	rows, next, err := s.runs(ctx, o, q)
	if err != nil {
		return execution.Page{}, err
	}
	p := execution.Page{Next: next}
	if p.Executions, err = runsOf(o, rows); err != nil {
		return execution.Page{}, err
	}
	if q.Payload != nil {
		if err := s.addPayloads(ctx, o, rows, p.Executions, q.Payload); err != nil {
			return execution.Page{}, err
		}
	}
	if q.Count && !q.Searches() {
		p.Total, p.More, err = s.total(ctx, o, q)
	}
	return p, err
}

// addPayloads reads the payloads of the selected runs, one for all runs of the same
// content. A payload never changes, so the reads need not be strong.
func (s *Store) addPayloads(ctx context.Context, o id.Org, rows []listed, runs []execution.Execution, wanted func(id.Execution) bool) error {
	var keys []item
	of := map[string][]int{} // the positions of the runs, by the key of their payload
	for n, r := range rows {
		if !wanted(runs[n].ID) {
			continue
		}
		key := payloadKey(o, textOf(r.item, "dg"))
		if key.err != nil {
			return key.err
		}
		k := key.item()
		if _, ok := of[keyText(k)]; !ok {
			keys = append(keys, k)
		}
		of[keyText(k)] = append(of[keyText(k)], n)
	}
	found, err := s.getAll(ctx, keys, false)
	if err != nil {
		return fmt.Errorf("payloads of %d runs: %w", len(runs), err)
	}
	for key, i := range found {
		payload, err := jsonvalue.Object([]byte(textOf(i, "payload")))
		if err != nil {
			return fmt.Errorf("payload of %s: %w", runs[of[key][0]].ID, err)
		}
		for _, n := range of[key] {
			runs[n].Trigger.Payload = payload
		}
	}
	return nil
}

// runs lists the runs of a query, of each of its statuses.
func (s *Store) runs(ctx context.Context, o id.Org, q execution.Query) ([]listed, string, error) {
	statuses := q.Statuses()
	if len(statuses) == 0 {
		return s.list(ctx, listing{after: q.After, want: q.Limit, query: runsQuery(o, q).before(q.After), keep: finds(q), rare: q.Searches()})
	}
	rows, end, err := s.runsIn(ctx, o, q.With(statuses[0]))
	for _, st := range statuses[1:] {
		if err != nil {
			return nil, "", err
		}
		var more []listed
		var moreEnd string
		more, moreEnd, err = s.runsIn(ctx, o, q.With(st))
		rows, end = merged(rows, more, max(end, moreEnd), q.Limit)
	}
	return rows, end, err
}

// finds returns whether a query wants the run of an item, as far as it searches.
func finds(q execution.Query) func(item) bool {
	if !q.Searches() {
		return func(item) bool { return true }
	}
	return func(i item) bool {
		version, err := numberOf(i, "v")
		return err == nil && q.Found(id.Client(textOf(i, "cl")), textOf(i, "ty"), version)
	}
}

// runsIn lists the runs of a query for one status. It reads an index by status,
// whose entries match unless their run has just changed. A run that has only
// just begun is not in that index, so runsIn also searches the young runs.
func (s *Store) runsIn(ctx context.Context, o id.Org, q execution.Query) ([]listed, string, error) {
	l, found := listing{after: q.After, want: q.Limit, rare: q.Searches()}, finds(q)
	l.keep = func(i item) bool { return textOf(i, "st") == string(q.Status) && found(i) }
	l.query = lastingQuery(o, q).before(q.After)
	lasting, lastingEnd, err := s.list(ctx, l)
	if err != nil || !shortLived(q.Status) {
		return lasting, lastingEnd, err
	}
	l.query, l.rare = youngQuery(o, q).before(q.After), true
	young, youngEnd, err := s.list(ctx, l)
	if err != nil {
		return nil, "", err
	}
	rows, next := merged(lasting, young, max(lastingEnd, youngEnd), q.Limit)
	return rows, next, nil
}

// merged returns the newest rows of two lists, each row once, and the position
// from which to continue; "" at the end. Rows below end are dropped: one of the
// lists has not been read that far.
func merged[R placed](a, b []R, end string, limit int) ([]R, string) {
	rows := slices.DeleteFunc(slices.Concat(a, b), func(r R) bool { return r.sortKey() < end })
	slices.SortFunc(rows, func(a, b R) int { return cmp.Compare(b.sortKey(), a.sortKey()) })
	rows = slices.CompactFunc(rows, func(a, b R) bool { return a.sortKey() == b.sortKey() })
	if limit = max(limit, 1); len(rows) > limit {
		return rows[:limit], rows[limit-1].sortKey()
	}
	return rows, end
}

// A placed has a position in a list.
type placed interface{ sortKey() string }

// shortLived reports whether a run in this status may be missing from the
// indexes by status.
func shortLived(st execution.Status) bool { return st == execution.Pending || st == execution.Running }

func runsOf(o id.Org, rows []listed) ([]execution.Execution, error) {
	runs := make([]execution.Execution, 0, len(rows))
	for _, r := range rows {
		x, err := runIn(o, r.item)
		if err != nil {
			return nil, err
		}
		runs = append(runs, x)
	}
	return runs, nil
}

func runIn(o id.Org, i item) (execution.Execution, error) {
	_, exec, _ := runOf(textOf(i, schema.PartitionKey))
	var meta runItem
	if err := attributevalue.UnmarshalMap(i, &meta); err != nil {
		return execution.Execution{}, fmt.Errorf("read %s: %w", exec, err)
	}
	x, err := meta.execution(o, exec)
	if err != nil {
		return execution.Execution{}, fmt.Errorf("read %s: %w", exec, err)
	}
	return x, nil
}

// total counts the runs of a query, at most MaxTotal; more says that the query
// has more.
func (s *Store) total(ctx context.Context, o id.Org, q execution.Query) (n int, more bool, err error) {
	statuses := q.Statuses()
	if len(statuses) < 2 {
		return s.totalIn(ctx, o, q)
	}
	for _, st := range statuses {
		one, others, err := s.totalIn(ctx, o, q.With(st))
		if err != nil {
			return 0, false, err
		}
		n, more = n+one, more || others
	}
	return min(n, execution.MaxTotal), more || n > execution.MaxTotal, nil
}

// totalIn is total for a query of at most one status.
func (s *Store) totalIn(ctx context.Context, o id.Org, q execution.Query) (n int, more bool, err error) {
	k := runsQuery(o, q)
	if statuses := q.Statuses(); len(statuses) > 0 {
		q = q.With(statuses[0])
		k = lastingQuery(o, q)
	}
	n, err = s.size(ctx, k, execution.MaxTotal+1)
	if err == nil && n <= execution.MaxTotal && shortLived(q.Status) {
		var young int
		young, more, err = s.young(ctx, youngQuery(o, q), q.Status)
		n += young
	}
	return min(n, execution.MaxTotal), more || n > execution.MaxTotal, err
}

// young counts the runs of a query that have a status but are not in the
// indexes by status. It must read the runs, so it reads at most the newest
// MaxTotal; more says that the query has more.
func (s *Store) young(ctx context.Context, q query, st execution.Status) (n int, more bool, err error) {
	q.backwards = true
	for looked := 0; ; {
		q.limit = min(execution.MaxTotal-looked, 1000)
		keys, next, err := s.page(ctx, q)
		if err != nil {
			return 0, false, err
		}
		found, err := s.getAll(ctx, keysOf(keys), false)
		if err != nil {
			return 0, false, err
		}
		for _, i := range found {
			if textOf(i, "st") == string(st) && textOf(i, schema.ByStatus().PartitionKey) == "" {
				n++
			}
		}
		if looked += len(keys); next == nil || looked >= execution.MaxTotal {
			return n, next != nil, nil
		}
		q.start = next
	}
}

// keysOf returns the keys of the items of an index's entries.
func keysOf(entries []item) []item {
	keys := make([]item, 0, len(entries))
	for _, e := range entries {
		keys = append(keys, item{schema.PartitionKey: e[schema.PartitionKey], schema.SortKey: e[schema.SortKey]})
	}
	return keys
}

// Overdue implements sweep.Store.
func (s *Store) Overdue(ctx context.Context, now time.Time, limit int) ([]machine.Cursor, error) {
	index := schema.Open()
	var due []item
	for n := range shards {
		items, _, err := s.page(ctx, query{
			index: &index, partition: shard(n), from: first, limit: limit,
			to: now.UTC().Add(-time.Nanosecond).Format(dueFormat),
		})
		if err != nil {
			return nil, err
		}
		due = append(due, items...)
	}
	slices.SortFunc(due, func(a, b item) int { return cmp.Compare(textOf(a, "due"), textOf(b, "due")) })
	var cursors []machine.Cursor
	for _, i := range due[:min(len(due), limit)] {
		if o, exec, ok := runOf(textOf(i, schema.PartitionKey)); ok {
			cursors = append(cursors, machine.Cursor{Org: o, Execution: exec})
		}
	}
	return cursors, nil
}
