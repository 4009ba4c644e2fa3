package dynamo

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"

	"theoneagents.app/agents/shared/activity"
	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/dynamo/schema"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
)

// A refusal must be found by its event, so that a redelivery finds the first
// decision, and by the time of that decision, which sorts the list. An item has
// one key: it is made of the event's time, so the first write wins. Most events
// are evaluated within seconds, so the list reads a little further than its
// page and sorts the entries.
//
// An event evaluated further from its own time costs a second write: the item
// at its key becomes a mark with the time of the decision, and a copy at the
// key of that time is listed.

// prompt is the largest distance between the time of an event and that of its
// decision at which one item serves both lookups.
const prompt = 10 * time.Second

type refusalItem struct {
	primary

	ID        string `dynamodbav:"id"`
	At        int64  `dynamodbav:"seen"` // the time of the decision
	Event     string `dynamodbav:"event"`
	EventType string `dynamodbav:"type"`
	Product   string `dynamodbav:"product"`
	Outcome   string `dynamodbav:"outcome"`
	Detail    string `dynamodbav:"detail,omitempty"`
	Client    string `dynamodbav:"client,omitempty"`
	Related   string `dynamodbav:"related,omitempty"`
	Fault     string `dynamodbav:"fault,omitempty"` // JSON
	Moved     bool   `dynamodbav:"moved,omitempty"` // a copy at the time of the decision is listed instead
	Expires   int64  `dynamodbav:"expires"`
}

// Refuse implements dispatch.Runs. The first decision about an event wins. When
// the dispatcher crashed before it wrote the copy, a redelivery writes the
// copy.
func (s *Store) Refuse(ctx context.Context, e activity.Entry) error {
	made, _ := id.TimeOf(e.ID)
	moved := e.At.Sub(made).Abs() > prompt
	err := s.write(ctx, put(refusalAt(made, e, moved), "attribute_not_exists(pk)", nil))
	if r := refused(err); r != nil {
		stands, _ := r.at(0)
		var first refusalItem
		if err := attributevalue.UnmarshalMap(stands, &first); err != nil {
			return err
		}
		if e, err = first.entry(e.Org, e.Agent); err != nil {
			return err
		}
		moved = first.Moved
	}
	if err != nil || !moved {
		return err
	}
	return s.write(ctx, put(refusalAt(e.At, e, false), "", nil))
}

// Refusal implements dispatch.Runs.
func (s *Store) Refusal(ctx context.Context, e activity.Entry) (definition.Outcome, error) {
	made, _ := id.TimeOf(e.ID)
	var first refusalItem
	_, err := s.get(ctx, refusalKey(e.Org, e.Agent, e.ID, made), &first)
	return definition.Outcome(first.Outcome), err
}

func refusalAt(at time.Time, e activity.Entry, moved bool) refusalItem {
	return refusalItem{
		primary: refusalKey(e.Org, e.Agent, e.ID, at), ID: string(e.ID), At: nanos(e.At),
		Event: string(e.Event), EventType: e.EventType, Product: e.Product, Outcome: string(e.Outcome), Detail: e.Detail,
		Client: string(e.Client), Related: string(e.Related), Fault: faultText(e.Fault),
		Moved: moved, Expires: e.At.Add(activity.Kept).Unix(),
	}
}

// faultText returns a fault as JSON, which keeps every digit of its values; "" for none.
func faultText(f *condition.Fault) string {
	if f == nil {
		return ""
	}
	doc := map[string]any{"path": f.Path, "operator": string(f.Operator), "wanted": f.Wanted, "found": f.Found}
	if f.Missing {
		doc["missing"] = true
	}
	return jsonvalue.Canonical(doc)
}

// readFault is the reverse of faultText.
func readFault(text string, out **condition.Fault) error {
	if text == "" {
		return nil
	}
	doc, err := jsonvalue.Object([]byte(text))
	if err != nil {
		return fmt.Errorf("read a fault: %w", err)
	}
	path, _ := doc["path"].(string)
	operator, _ := doc["operator"].(string)
	*out = &condition.Fault{
		Path: path, Operator: condition.Operator(operator), Wanted: doc["wanted"], Found: doc["found"], Missing: doc["missing"] == true,
	}
	return nil
}

// entry returns the entry stored in an item.
func (i refusalItem) entry(o id.Org, a id.Agent) (activity.Entry, error) {
	e := activity.Entry{
		ID: id.Activity(i.ID), Org: o, Agent: a, At: timeOf(i.At),
		Event: id.Event(i.Event), EventType: i.EventType, Product: i.Product,
		Outcome: definition.Outcome(i.Outcome), Detail: i.Detail, Client: id.Client(i.Client), Related: id.Execution(i.Related),
	}
	return e, readFault(i.Fault, &e.Fault)
}

// listed returns the entry as lists show it. Items from before late decisions
// were copied are listed at the time of their event, and show that time.
func (i refusalItem) listed(o id.Org, a id.Agent) (activity.Entry, error) {
	e, err := i.entry(o, a)
	if at := refusalTime(i.SK); e.At.Sub(at).Abs() > prompt+time.Second {
		e.At = at
	}
	return e, err
}

// Missed implements hold.Store.
func (s *Store) Missed(ctx context.Context, o id.Org, a id.Agent, since time.Time) (int, error) {
	pk, err := agentPartition(o, a)
	from := "ACT#" + second(since.Add(-prompt-time.Second))
	_, to := begins("ACT#")
	items, err := s.all(ctx, query{partition: pk, err: err, from: from, to: to, strong: true})
	if err != nil {
		return 0, err
	}
	n := 0
	for _, i := range items {
		var r refusalItem
		if err := attributevalue.UnmarshalMap(i, &r); err != nil {
			return 0, err
		}
		if r.Outcome == string(definition.OrgPaused) && !r.Moved && !timeOf(r.At).Before(since) {
			n++
		}
	}
	return n, nil
}

// Activity implements activity.Store. It merges two lists, each complete down
// to some time: the runs, read by their index, and the refusals, read by their
// keys.
func (s *Store) Activity(ctx context.Context, o id.Org, a id.Agent, q activity.Query) (activity.Page, error) {
	q.Limit = max(q.Limit, 1)
	w := window{Query: q, org: o, agent: a}
	if q.After != "" {
		var ok bool
		if w.before, ok = activity.Place(q.After).Time(); !ok {
			return activity.Page{}, fmt.Errorf("dynamo: %q is not a position in a list of activity", q.After)
		}
	}
	started, startedEnd, err := s.started(ctx, w)
	if err != nil {
		return activity.Page{}, err
	}
	declined, declinedEnd, err := s.declined(ctx, w)
	if err != nil {
		return activity.Page{}, err
	}
	rows, next := merged(started, declined, string(max(startedEnd, declinedEnd)), q.Limit)
	p := activity.Page{Next: next}
	for _, r := range rows {
		p.Entries = append(p.Entries, r.Entry)
	}
	return p, nil
}

// An entryRow is an entry of a list.
type entryRow struct{ activity.Entry }

func (r entryRow) sortKey() string { return string(r.Place()) }

// A window is the part of an agent's activity that a query selects.
type window struct {
	activity.Query

	org    id.Org
	agent  id.Agent
	before time.Time // the time of After; zero for the newest
}

// has reports whether an entry belongs to the window.
func (w window) has(e activity.Entry) bool {
	return !e.At.Before(w.Since) && (w.After == "" || string(e.Place()) < w.After)
}

// started lists the runs that events started. Their index sorts them by the
// second of their record, so it is read to the end of the second in which the
// page ends. An agent's entry in the index is one write, and a partition takes
// about 1,000 writes a second, which bounds that second. started returns the
// position down to which the list is complete, "" at its end.
func (s *Store) started(ctx context.Context, w window) ([]entryRow, activity.Place, error) {
	k := runsQuery(w.org, execution.Query{Agent: w.agent})
	if !w.Since.IsZero() {
		k.from = second(w.Since)
	}
	if !w.before.IsZero() {
		_, k.to = begins(second(w.before) + "#")
	}
	k.backwards, k.limit = true, w.Limit+2
	var keys []item
	for {
		page, next, err := s.page(ctx, k)
		if err != nil {
			return nil, "", err
		}
		keys = append(keys, page...)
		most, ended, err := w.cut(keys)
		switch {
		case err != nil:
			return nil, "", err
		case most < len(keys):
			rows, err := s.starts(ctx, w, keys[:most])
			return rows, activity.PlaceAt(ended), err
		case next == nil:
			rows, err := s.starts(ctx, w, keys)
			return rows, "", err
		}
		k.start, k.limit = next, maxBatch
	}
}

// cut returns the number of index entries that a page needs, all if it needs
// more, and the second in which they end. Entries of the second in which the
// previous page ended do not count: that page may have returned them.
func (w window) cut(keys []item) (most int, ended time.Time, err error) {
	need := w.Limit
	for n, k := range keys {
		at, err := secondOf(textOf(k, "at"))
		switch {
		case err != nil:
			return 0, time.Time{}, err
		case n >= need && !at.Equal(ended):
			return n, ended, nil
		case !w.before.IsZero() && at.Equal(w.before.Truncate(time.Second)):
			need++
		}
		ended = at
	}
	return len(keys), ended, nil
}

// starts reads the runs of the index's entries.
func (s *Store) starts(ctx context.Context, w window, keys []item) ([]entryRow, error) {
	found, err := s.items(ctx, keys, nil)
	if err != nil {
		return nil, err
	}
	var rows []entryRow
	for _, f := range found {
		x, err := runIn(w.org, f.item)
		if err != nil {
			return nil, err
		}
		if e := x.Entry(); x.RetryOf == "" && w.has(e) { // a retry is started by a caller, not by an event
			rows = append(rows, entryRow{e})
		}
	}
	return rows, nil
}

// declined lists the refusals. The decision of each is within prompt of the
// time in its key, so declined reads that much further than the page. It
// returns the position down to which the list is complete, "" at its end.
func (s *Store) declined(ctx context.Context, w window) ([]entryRow, activity.Place, error) {
	pk, err := agentPartition(w.org, w.agent)
	k := query{partition: pk, err: err, strong: true, backwards: true, limit: w.Limit + 2}
	from, to := w.Since, w.before
	if !from.IsZero() {
		from = from.Add(-prompt)
	}
	if !to.IsZero() {
		to = to.Add(prompt)
	}
	k.from, k.to = refusalsIn(from, to)
	var rows []entryRow
	for {
		page, next, err := s.page(ctx, k)
		if err != nil {
			return nil, "", err
		}
		var oldest time.Time
		for _, i := range page {
			var r refusalItem
			if err := attributevalue.UnmarshalMap(i, &r); err != nil {
				return nil, "", err
			}
			oldest = refusalTime(textOf(i, schema.SortKey))
			e, err := r.listed(w.org, w.agent)
			if err != nil {
				return nil, "", err
			}
			if !r.Moved && w.has(e) {
				rows = append(rows, entryRow{e})
			}
		}
		if next == nil {
			return rows, "", nil
		}
		if end := activity.PlaceAt(oldest.Add(time.Second + prompt)); !oldest.IsZero() && complete(rows, end) >= w.Limit {
			return rows, end, nil
		}
		k.start, k.limit = next, 0
	}
}

// complete counts the rows at or after a position.
func complete(rows []entryRow, from activity.Place) int {
	n := 0
	for _, r := range rows {
		if r.Place() >= from {
			n++
		}
	}
	return n
}
