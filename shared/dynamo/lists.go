package dynamo

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"golang.org/x/sync/errgroup"

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

// A listing is some parts of an index as one, newest first.
type listing struct {
	parts []query
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
	limit := l.want + 2 // one to see whether more follow, one for the last of the previous page
	if l.rare {
		limit = maxBatch
	}
	for range rounds {
		keys, next, err := s.newest(ctx, l.parts, l.after, limit)
		if err != nil {
			return nil, "", err
		}
		cut := l.cut(&keys, len(rows))
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
		case cut && len(rows) == l.want:
			return rows, end, nil
		case !cut && !next:
			return rows, "", nil
		}
		l.after = end
	}
	return rows, end, nil
}

// newest reads the entries of some parts of an index before a position, newest first, up to
// limit of each, and whether others follow. A part that has others is read down to some
// position; the entries of the other parts below it are left for the next call.
func (s *Store) newest(ctx context.Context, parts []query, after string, limit int) (keys []item, more bool, err error) {
	pages, unread := make([][]item, len(parts)), make([]bool, len(parts))
	var readers errgroup.Group
	readers.SetLimit(atOnce)
	for n, part := range parts {
		readers.Go(func() error {
			part = part.before(after)
			part.limit = limit
			page, next, err := s.page(ctx, part)
			pages[n], unread[n] = page, next != nil
			return err
		})
	}
	if err := readers.Wait(); err != nil {
		return nil, false, err
	}
	end := ""
	for n, page := range pages {
		if unread[n] && len(page) > 0 {
			end = max(end, textOf(page[len(page)-1], "at"))
		}
		more = more || unread[n]
	}
	for _, key := range slices.Concat(pages...) {
		switch at := textOf(key, "at"); {
		case after != "" && at >= after:
		case at >= end:
			keys = append(keys, key)
		default:
			more = true
		}
	}
	slices.SortStableFunc(keys, func(a, b item) int { return cmp.Compare(textOf(b, "at"), textOf(a, "at")) })
	return keys, more, nil
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

// listedParts selects the runs of a query for one status that the indexes by status list.
// Completed runs are listed by their agent alone, so those of an organization are in as
// many parts as it has agents with runs. A search, which reads the runs anyway, looks for
// them among all.
func (s *Store) listedParts(ctx context.Context, o id.Org, q execution.Query) ([]query, error) {
	switch {
	case q.Agent != "" || q.Status != execution.Completed:
		return []query{listedQuery(o, q)}, nil
	case q.Searches():
		return []query{runsQuery(o, q)}, nil
	}
	agents, err := s.withRuns(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("agents of %s: %w", o, err)
	}
	return completedBy(agents, o, q), nil
}

// completedBy selects the completed runs of a query by their agents.
func completedBy(agents []id.Agent, o id.Org, q execution.Query) []query {
	q.Status = execution.Completed
	parts := make([]query, 0, len(agents))
	for _, q.Agent = range agents {
		parts = append(parts, listedQuery(o, q))
	}
	return parts
}

// withRuns returns the agents that may have runs: those of the organization, and the
// deleted ones and those of the platform, of which the statistics know.
func (s *Store) withRuns(ctx context.Context, o id.Org) ([]id.Agent, error) {
	heads, err := s.Agents(ctx, o)
	if err != nil {
		return nil, err
	}
	stats, err := s.Stats(ctx, o)
	if err != nil {
		return nil, err
	}
	agents := slices.Collect(maps.Keys(stats))
	for _, h := range heads {
		agents = append(agents, h.ID)
	}
	slices.Sort(agents)
	return slices.Compact(agents), nil
}

// listedQuery selects the runs of a query for one status that an index by status lists.
func listedQuery(o id.Org, q execution.Query) query {
	index := schema.ByStatus()
	list, err := runsOfStatus(o, q.Status)
	if q.Agent != "" {
		index = schema.ByAgentStatus()
		list, err = runsOfAgentStatus(o, q.Agent, q.Status)
	}
	return query{index: &index, partition: list, err: err}.between(q.From, q.To)
}

// youngQuery selects the runs of the last ten minutes. They include the runs of
// a query for one status that no index by status lists yet.
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
		return s.list(ctx, listing{after: q.After, want: q.Limit, parts: []query{runsQuery(o, q)}, keep: finds(q), rare: q.Searches()})
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
	var err error
	if l.parts, err = s.listedParts(ctx, o, q); err != nil {
		return nil, "", err
	}
	lasting, lastingEnd, err := s.list(ctx, l)
	if err != nil || !shortLived(q.Status) {
		return lasting, lastingEnd, err
	}
	l.parts, l.rare = []query{youngQuery(o, q)}, true
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
	parts := []query{runsQuery(o, q)}
	if statuses := q.Statuses(); len(statuses) > 0 {
		q = q.With(statuses[0])
		if parts, err = s.listedParts(ctx, o, q); err != nil {
			return 0, false, err
		}
	}
	n, err = s.sizes(ctx, parts, execution.MaxTotal+1)
	if err == nil && n <= execution.MaxTotal && shortLived(q.Status) {
		var young int
		young, more, err = s.young(ctx, youngQuery(o, q), q.Status)
		n += young
	}
	return min(n, execution.MaxTotal), more || n > execution.MaxTotal, err
}

// sizes counts the entries of some parts of an index, each up to a limit.
func (s *Store) sizes(ctx context.Context, parts []query, limit int) (int, error) {
	counts := make([]int, len(parts))
	var counters errgroup.Group
	counters.SetLimit(atOnce)
	for n, part := range parts {
		counters.Go(func() (err error) {
			counts[n], err = s.size(ctx, part, limit)
			return err
		})
	}
	err := counters.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	return total, err
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
