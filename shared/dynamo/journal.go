package dynamo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"

	"theoneagents.app/agents/shared/dynamo/schema"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/journal"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/tenant"
)

// A receivedItem is an event that the organization received. Its partition has the
// type and the day, and its sort key the time and the id, so that a repeated delivery
// writes the same item again.
type receivedItem struct {
	primary

	Client   string `dynamodbav:"cl,omitempty"`
	Metadata string `dynamodbav:"md,omitempty"` // JSON
	Payload  string `dynamodbav:"pl,omitempty"` // JSON
	Cut      bool   `dynamodbav:"cut,omitempty"`
	Expires  int64  `dynamodbav:"expires"`
}

// A typeItem says that events of a type were received on a day. A list of all types
// and an erasure find the partitions by it.
type typeItem struct {
	primary

	Expires int64 `dynamodbav:"expires"`
}

// KeepEvent implements dispatch.Journal. The first event of a type and a day in each
// instance of a function costs a second write, of the note that leads to its
// partition.
func (s *Store) KeepEvent(ctx context.Context, o id.Org, e journal.Entry) error {
	i := receivedItem{
		primary: receivedKey(o, e), Client: string(e.Event.Client), Cut: e.Cut, Expires: e.Expires.Unix(),
	}
	var metaErr, payloadErr error
	if e.Event.Metadata != nil {
		i.Metadata, metaErr = toJSON(e.Event.Metadata)
	}
	if !e.Cut {
		i.Payload, payloadErr = toJSON(e.Event.Payload)
	}
	w := put(i, "", nil)
	if err := errors.Join(w.err, metaErr, payloadErr); err != nil {
		return fmt.Errorf("write %s: %w", e.Event.ID, err)
	}
	day := journal.DayOf(e.Event.Published)
	note := typeItem{primary: typeKey(o, day, e.Event.Name()), Expires: day.Begins().AddDate(0, 0, tenant.MaxJournalDays+2).Unix()}
	if err := s.note(ctx, note.primary, put(note, "", nil)); err != nil {
		return err
	}
	return s.write(ctx, w)
}

// A letterItem is the note that an event became a dead letter.
type letterItem struct {
	primary

	Name    string `dynamodbav:"name,omitempty"`
	Reason  string `dynamodbav:"reason"`
	Message string `dynamodbav:"message,omitempty"`
	At      int64  `dynamodbav:"given_up"` // "at" is a key of an index
	Expires int64  `dynamodbav:"expires"`
}

// KeepLetter implements dispatch.LetterStore.
func (s *Store) KeepLetter(ctx context.Context, o id.Org, l journal.Letter) error {
	i := letterItem{primary: letterKey(o, l.Event), Name: l.Name, Reason: l.Reason, Message: l.Message, At: l.At.Unix(), Expires: l.Expires.Unix()}
	if i.err != nil {
		return i.err
	}
	return s.write(ctx, put(i, "", nil))
}

// Letter implements explain.Records.
func (s *Store) Letter(ctx context.Context, o id.Org, e id.Event) (journal.Letter, bool, error) {
	var i letterItem
	found, err := s.get(ctx, letterKey(o, e), &i)
	if err != nil || !found {
		return journal.Letter{}, false, err
	}
	return journal.Letter{
		Event: e, Name: i.Name, Reason: i.Reason, Message: i.Message, At: secondsOf(i.At), Expires: secondsOf(i.Expires),
	}, true, nil
}

// Bounds of what one call of Received reads. It reads at least the types of one day.
const (
	maxReceivedQueries = 200
	maxReceivedEvents  = 2000
)

// Received implements journal.Store. It walks from day to day, and merges the types
// of a day.
func (s *Store) Received(ctx context.Context, o id.Org, q journal.Query) (journal.Page, error) {
	q.Limit = max(q.Limit, 1)
	latest := q.Until
	if latest.IsZero() {
		latest = q.Now.Add(event.MaxAhead)
	}
	if q.After != "" {
		at, _, ok := q.After.Parts()
		if !ok {
			return journal.Page{}, fmt.Errorf("dynamo: %q is not a position in the journal", q.After)
		}
		if at.Before(latest) {
			latest = at
		}
	}
	w := received{Store: s, org: o, q: q, queries: maxReceivedQueries, events: maxReceivedEvents}
	for day, oldest := journal.DayOf(latest), journal.DayOf(q.Since); day >= oldest; day = day.Before() {
		var types []string
		var err error
		if day, types, err = w.types(ctx, day, oldest); err != nil {
			return journal.Page{}, err
		}
		if day == "" {
			break
		}
		if w.queries < len(types) && w.read {
			return journal.Page{Entries: w.found, Next: journal.PlaceAt(day.Begins().AddDate(0, 0, 1))}, nil
		}
		w.read = true
		next, err := w.day(ctx, day, types)
		if err != nil || next != "" {
			return journal.Page{Entries: w.found, Next: next}, err
		}
	}
	return journal.Page{Entries: w.found}, nil
}

// A received is one call of Received.
type received struct {
	*Store

	org     id.Org
	q       journal.Query
	found   []journal.Entry
	queries int  // that it may still make
	events  int  // that it may still read
	read    bool // whether it read a day
}

// types returns the latest day, from one down to another, on which events were
// received, and their types; "" without one. With a type in the query it returns the
// first day, since a day without an event costs no more than the question.
func (w *received) types(ctx context.Context, day, oldest journal.Day) (journal.Day, []string, error) {
	if w.q.Type != "" {
		return day, []string{w.q.Type}, nil
	}
	pk, err := orgPartition(w.org)
	from, _ := begins("LOG#" + string(oldest) + "#")
	_, to := begins("LOG#" + string(day) + "#")
	q := query{partition: pk, err: err, from: from, to: to, backwards: true, strong: true, limit: 1}
	w.queries--
	newest, _, err := w.page(ctx, q)
	if err != nil || len(newest) == 0 {
		return "", nil, err
	}
	day, _ = typeOf(textOf(newest[0], schema.SortKey))
	w.queries--
	notes, err := w.inOrg(ctx, w.org, "LOG#"+string(day)+"#")
	if err != nil {
		return "", nil, err
	}
	var types []string
	for _, n := range notes {
		_, name := typeOf(textOf(n, schema.SortKey))
		types = append(types, name)
	}
	return day, types, nil
}

// A source is what was read of the events of a type on a day, the latest first.
type source struct {
	query query
	name  string
	kept  []journal.Entry // read and not merged
	more  bool
}

// day adds the events of a day. It returns where the next page begins, or "" when it
// added all.
func (w *received) day(ctx context.Context, day journal.Day, types []string) (journal.Place, error) {
	sources := make([]*source, len(types))
	each := w.q.Limit/max(len(types), 1) + 2
	for i, name := range types {
		pk, err := logPartition(w.org, day, name)
		from, to := string(journal.PlaceAt(w.q.Since)), last
		if !w.q.Until.IsZero() {
			to = string(journal.PlaceAt(w.q.Until))
		}
		if w.q.After != "" {
			to = min(to, string(w.q.After))
		}
		sources[i] = &source{name: name, more: true, query: query{
			partition: pk, err: err, from: from, to: to, backwards: true, strong: true, limit: each,
		}}
	}
	if err := w.fill(ctx, sources); err != nil {
		return "", err
	}
	for {
		var latest *source
		for _, s := range sources {
			if len(s.kept) > 0 && (latest == nil || s.kept[0].Place() > latest.kept[0].Place()) {
				latest = s
			}
		}
		if latest == nil {
			return "", nil
		}
		e := latest.kept[0]
		latest.kept = latest.kept[1:]
		if w.events--; w.q.Wants(e) {
			w.found = append(w.found, e)
		}
		switch {
		case len(w.found) > w.q.Limit:
			w.found = w.found[:w.q.Limit]
			return w.found[w.q.Limit-1].Place(), nil
		case w.events <= 0:
			return e.Place(), nil
		}
		if len(latest.kept) == 0 && latest.more {
			if w.queries <= 0 {
				return e.Place(), nil
			}
			if err := w.fill(ctx, []*source{latest}); err != nil {
				return "", err
			}
		}
	}
}

// fill reads on in each source, many at a time.
func (w *received) fill(ctx context.Context, sources []*source) error {
	w.queries -= len(sources)
	errs := make([]error, len(sources))
	turns := make(chan struct{}, atOnce)
	var group sync.WaitGroup
	for i, s := range sources {
		group.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			errs[i] = w.fillOne(ctx, s)
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

func (w *received) fillOne(ctx context.Context, s *source) error {
	items, next, err := w.page(ctx, s.query)
	if err != nil {
		return err
	}
	for _, i := range items {
		var r receivedItem
		if err := attributevalue.UnmarshalMap(i, &r); err != nil {
			return err
		}
		e, err := r.entry(w.org, s.name)
		if err != nil {
			return err
		}
		s.kept = append(s.kept, e)
	}
	s.query.start, s.more = next, next != nil
	s.query.limit = w.q.Limit + 1
	return nil
}

// entry returns the entry in an item of the events of a type.
func (i receivedItem) entry(o id.Org, name string) (journal.Entry, error) {
	at, e, ok := journal.Place(i.SK).Parts()
	if !ok {
		return journal.Entry{}, fmt.Errorf("dynamo: %q is not the key of a received event", i.SK)
	}
	out := journal.Entry{Cut: i.Cut, Expires: secondsOf(i.Expires), Event: event.Event{
		ID: e, Org: o, Client: id.Client(i.Client), Published: at,
	}}
	out.Event.Product, out.Event.Type, _ = strings.Cut(name, ":")
	if err := fromJSON(i.Metadata, &out.Event.Metadata); err != nil {
		return out, fmt.Errorf("read the metadata of %s: %w", e, err)
	}
	if i.Cut {
		return out, nil
	}
	var err error
	if out.Event.Payload, err = jsonvalue.Object([]byte(i.Payload)); err != nil {
		return out, fmt.Errorf("read the payload of %s: %w", e, err)
	}
	return out, nil
}

// typeOf returns the day and the type in the sort key of a note.
func typeOf(sk string) (day journal.Day, name string) {
	rest := strings.TrimPrefix(sk, "LOG#")
	text, name, _ := strings.Cut(rest, "#")
	return journal.Day(text), name
}
