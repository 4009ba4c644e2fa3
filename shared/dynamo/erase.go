package dynamo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"theoneagents.app/agents/shared/dynamo/schema"
	"theoneagents.app/agents/shared/erase"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/key"
	"theoneagents.app/agents/shared/meter"
	"theoneagents.app/agents/shared/tenant"
)

// An erasureItem takes the place of a deleted tenant. It has no attribute of a
// tenantItem but erasing, so that every write of a tenant fails on its condition.
type erasureItem struct {
	primary

	Event    string `dynamodbav:"event"`
	Deleted  int64  `dynamodbav:"deleted"`
	Began    int64  `dynamodbav:"began"`
	Stage    string `dynamodbav:"erasing"`
	Position string `dynamodbav:"walk,omitempty"`
	Found    int64  `dynamodbav:"found,omitempty"`
	Items    int64  `dynamodbav:"erased"`
	Passes   int64  `dynamodbav:"passes"`
	Proved   int64  `dynamodbav:"proved,omitempty"`
	Revision int64  `dynamodbav:"erasure_rev"`

	Shard string `dynamodbav:"open_shard,omitempty"` // until it ends, it is in the index open
	Due   string `dynamodbav:"due,omitempty"`
}

func erasureWrite(e tenant.Erasure, cond string, args map[string]any) write {
	i := erasureItem{
		primary: tenantKey(e.Org), Event: string(e.Event), Deleted: nanos(e.Deleted), Began: nanos(e.Began),
		Stage: string(e.Stage), Position: e.Position, Found: e.Found, Items: e.Items, Passes: e.Passes,
		Proved: nanos(e.Proved), Revision: e.Revision + 1,
	}
	if !e.Next.IsZero() {
		i.Shard, i.Due = erasures, e.Next.UTC().Format(dueFormat)
	}
	return put(i, cond, args)
}

func (i erasureItem) erasure(o id.Org) (tenant.Erasure, error) {
	e := tenant.Erasure{
		Org: o, Event: id.Event(i.Event), Deleted: timeOf(i.Deleted), Began: timeOf(i.Began), Stage: tenant.Stage(i.Stage),
		Position: i.Position, Found: i.Found, Items: i.Items, Passes: i.Passes, Proved: timeOf(i.Proved), Revision: i.Revision,
	}
	return e, readDue(i.Due, &e.Next)
}

// BeginErasure implements tenant.ErasureStore.
func (s *Store) BeginErasure(ctx context.Context, e tenant.Erasure) error {
	err := s.write(ctx, erasureWrite(e, "attribute_not_exists(erasing)", nil))
	if refused(err) != nil {
		return nil //nolint:nilerr // it has begun.
	}
	return err
}

// Erasure implements erase.Store.
func (s *Store) Erasure(ctx context.Context, o id.Org) (tenant.Erasure, error) {
	var i erasureItem
	switch found, err := s.get(ctx, tenantKey(o), &i); {
	case err != nil:
		return tenant.Erasure{}, err
	case !found || i.Stage == "":
		return tenant.Erasure{}, tenant.ErrUnknown
	}
	return i.erasure(o)
}

// SaveErasure implements erase.Store.
func (s *Store) SaveErasure(ctx context.Context, e tenant.Erasure) error {
	err := s.write(ctx, erasureWrite(e, "erasure_rev = :rev", map[string]any{":rev": e.Revision}))
	if refused(err) != nil {
		return tenant.ErrStale
	}
	return err
}

// Erasing implements erase.Store.
func (s *Store) Erasing(ctx context.Context, now time.Time, limit int) ([]id.Org, error) {
	index := schema.Open()
	items, _, err := s.page(ctx, query{index: &index, partition: erasures, from: first, to: now.UTC().Format(dueFormat), limit: limit})
	if err != nil {
		return nil, err
	}
	var all []id.Org
	for _, i := range items {
		all = append(all, id.Org(strings.TrimPrefix(textOf(i, schema.PartitionKey), "ORG#")))
	}
	return all, nil
}

// EraseKeys implements tenant.ErasureStore.
func (s *Store) EraseKeys(ctx context.Context, o id.Org) error {
	items, err := s.inOrg(ctx, o, "KEY#")
	if err != nil {
		return err
	}
	e := eraser{Store: s, org: o, seen: map[string]bool{}}
	_, err = e.remove(ctx, items)
	return err
}

// A part has the attributes with which by_org lists an item that only its own name
// leads to.
type part struct {
	List string `dynamodbav:"org_list,omitempty"`
	At   string `dynamodbav:"at,omitempty"`
}

// partOf lists the item of a key, which is invalid if the organization is.
func partOf(o id.Org, key primary) part {
	list, err := partsOfOrg(o)
	if err != nil {
		return part{}
	}
	return part{List: list, At: key.PK}
}

// A place is a part of an organization's items: a partition of the table, or a list
// of an index of which each entry names a partition.
type place struct {
	pk   string
	list bool
}

// places returns everything that is stored for an organization, in the order of a
// walk. The organization's own partition is last: it has the erasure.
func places(o id.Org, system []id.Agent) ([]place, error) {
	var all []place
	var errs []error
	add := func(list bool) func(pk string, err error) {
		return func(pk string, err error) { all, errs = append(all, place{pk, list}), append(errs, err) }
	}
	add(true)(runsOfOrg(o))
	add(true)(approvalsOfOrg(o))
	add(true)(partsOfOrg(o))
	for _, a := range system {
		add(false)(agentPartition(o, a))
	}
	for _, name := range soleParts() {
		add(false)(solePart(o, name))
	}
	add(false)(orgPartition(o))
	return all, errors.Join(errs...)
}

// beyond returns the partitions that an item leads to.
func beyond(o id.Org, i item) []string {
	var all []string
	add := func(pk string, err error) {
		if err == nil { // an invalid name leads nowhere
			all = append(all, pk)
		}
	}
	pk, sk := textOf(i, schema.PartitionKey), textOf(i, schema.SortKey)
	own, _ := orgPartition(o)
	stats, _ := statsPartition(o)
	acts, _ := actPartition(o)
	kind, name, _ := strings.Cut(sk, "#")
	switch {
	case sk == schema.RunKey:
		add(payloadPartition(o, textOf(i, "dg")))
		add(agentPartition(o, id.Agent(textOf(i, "ag"))))
		add(clientPartition(o, id.Client(textOf(i, "cl"))))
	case pk == acts && strings.HasPrefix(textOf(i, "object"), "agent_"):
		add(agentPartition(o, id.Agent(textOf(i, "object"))))
	case (pk == own || pk == stats) && kind == "AGENT":
		add(agentPartition(o, id.Agent(name)))
	case pk == own && kind == "CLIENT":
		add(clientPartition(o, id.Client(name)))
	case pk == own && kind == "LOG":
		day, name := typeOf(sk)
		add(logPartition(o, day, name))
	case pk == own && kind == "KEY":
		if hash := hashKey(key.Hash(textOf(i, "hash"))); hash.err == nil {
			all = append(all, hash.PK)
		}
	}
	return all
}

// Erase implements erase.Store. A position is the number of a place, and in a list
// the entry after which it goes on.
func (s *Store) Erase(ctx context.Context, o id.Org, w erase.Walk) (erase.Walked, error) {
	all, err := places(o, w.System)
	if err != nil {
		return erase.Walked{}, err
	}
	number, after, _ := strings.Cut(w.From, " ")
	n, err := strconv.Atoi("0" + number)
	if err != nil {
		return erase.Walked{}, fmt.Errorf("dynamo: %q is not a position of a walk", w.From)
	}
	e := eraser{Store: s, org: o, keepRuns: w.KeepRuns, seen: map[string]bool{}}
	var done erase.Walked
	work := 0
	for ; n < len(all); n++ {
		for more := true; more; more = after != "" {
			if work >= w.Limit {
				done.Next = strconv.Itoa(n) + " " + after
				return done, nil
			}
			var got erase.Walked
			if all[n].list {
				got, err = e.listed(ctx, all[n].pk, after)
				work += listToErase
			} else {
				got, err = e.part(ctx, all[n].pk)
			}
			work += 1 + got.Found
			done.Found += got.Found
			done.Deleted += got.Deleted
			if err != nil {
				return done, err
			}
			if got.Found > got.Deleted {
				return done, nil // an open run needs its payload, to be cancelled
			}
			after = got.Next
		}
	}
	return done, nil
}

// An eraser makes a part of a walk.
type eraser struct {
	*Store

	org      id.Org
	keepRuns bool

	mu   sync.Mutex
	seen map[string]bool // partitions that were erased in this part
}

// toErase returns the query of all items of a partition.
func toErase(pk string) query {
	return query{partition: pk, from: " ", to: "\U0010ffff", strong: true, keys: true}
}

// pageToErase is the number of items of a page, and listToErase the number of runs.
const (
	pageToErase = 250
	listToErase = 25
)

// part deletes a page of a partition. Its rest is then its beginning.
func (e *eraser) part(ctx context.Context, pk string) (erase.Walked, error) {
	q := toErase(pk)
	q.limit = pageToErase
	items, next, err := e.page(ctx, q)
	if err != nil {
		return erase.Walked{}, err
	}
	done, err := e.remove(ctx, items)
	if next != nil {
		done.Next = "more"
	}
	return done, err
}

// whole deletes a partition, once in a part of a walk.
func (e *eraser) whole(ctx context.Context, pk string) (erase.Walked, error) {
	e.mu.Lock()
	again := e.seen[pk]
	e.seen[pk] = true
	e.mu.Unlock()
	var done erase.Walked
	for more := !again; more; {
		got, err := e.part(ctx, pk)
		done.Found, done.Deleted = done.Found+got.Found, done.Deleted+got.Deleted
		if err != nil {
			return done, err
		}
		more = got.Next != ""
	}
	return done, nil
}

// listed deletes the partitions of a page of a list.
func (e *eraser) listed(ctx context.Context, list, after string) (erase.Walked, error) {
	index := schema.ByOrg()
	q := query{index: &index, partition: list, from: " ", to: "\U0010ffff", limit: listToErase}
	if after != "" {
		q.from = after + "!" // it ends with an id, which is no prefix of another
	}
	entries, next, err := e.page(ctx, q)
	if err != nil {
		return erase.Walked{}, err
	}
	var mu sync.Mutex
	var done erase.Walked
	var items []item
	err = together(entries, func(entry item) error {
		own, err := e.all(ctx, toErase(textOf(entry, schema.PartitionKey)))
		if err != nil {
			return err
		}
		record, rest := splitRun(own)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case e.keepRuns && record != nil && !execution.Status(textOf(record, "st")).Ended():
			done.Found += len(own)
			return nil
		case !e.keepRuns && record != nil:
			rest = append(rest, record)
		}
		items = append(items, rest...)
		return nil
	})
	if err != nil {
		return done, err
	}
	got, err := e.remove(ctx, items)
	done.Found += got.Found
	done.Deleted = got.Deleted
	if next != nil && len(entries) > 0 {
		done.Next = textOf(entries[len(entries)-1], index.SortKey)
	}
	return done, err
}

// splitRun parts the record of a run from its other items; nil for an approval.
func splitRun(items []item) (record item, rest []item) {
	for _, i := range items {
		if textOf(i, schema.SortKey) == schema.RunKey {
			record = i
			continue
		}
		rest = append(rest, i)
	}
	return record, rest
}

// remove deletes items but an erasure, each after the partitions that it leads to.
func (e *eraser) remove(ctx context.Context, items []item) (erase.Walked, error) {
	var gone atomic.Int64
	err := together(items, func(i item) error {
		p := primary{PK: textOf(i, schema.PartitionKey), SK: textOf(i, schema.SortKey)}
		if p.SK == "ORG" {
			return nil
		}
		for _, pk := range beyond(e.org, i) {
			got, err := e.whole(ctx, pk)
			gone.Add(int64(got.Deleted))
			if err != nil {
				return err
			}
		}
		if err := e.deleteItem(ctx, p); err != nil {
			return err
		}
		gone.Add(1)
		return nil
	})
	n := int(gone.Load())
	return erase.Walked{Found: n, Deleted: n}, err
}

// atOnce is the number of calls that are made at the same time, such as deletions of items.
const atOnce = 16

// together calls do for each item, many at a time.
func together(items []item, do func(item) error) error {
	var mu sync.Mutex
	var group sync.WaitGroup
	var errs []error
	next := make(chan item)
	for range min(atOnce, len(items)) {
		group.Go(func() {
			for i := range next {
				if err := do(i); err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
			}
		})
	}
	for _, i := range items {
		next <- i
	}
	close(next)
	group.Wait()
	return errors.Join(errs...)
}

// deleteItem deletes an item whatever its state. It may be repeated.
func (s *Store) deleteItem(ctx context.Context, p primary) error {
	for try := range tries {
		out, err := s.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{
			TableName: &s.table, Key: p.item(), ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
		})
		if err == nil && out.ConsumedCapacity != nil {
			count(ctx, meter.Units{Write: charged(*out.ConsumedCapacity)})
		}
		if !busy(err) {
			if err != nil {
				return fmt.Errorf("delete %s %s: %w", p.PK, p.SK, err)
			}
			return nil
		}
		if err := s.pause(ctx, try); err != nil {
			return err
		}
	}
	return fmt.Errorf("delete %s %s: %w", p.PK, p.SK, errBusy)
}
