package dynamo

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"

	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/dynamo/schema"
	"theoneagents.app/agents/shared/id"
)

// An auditItem is an entry of the audit log. The indexes list it by its actor, its
// object and its kind.
type auditItem struct {
	primary

	ActorList  string `dynamodbav:"org_list"`
	ObjectList string `dynamodbav:"agent_list"`
	KindList   string `dynamodbav:"status_list"`
	At         string `dynamodbav:"at"` // its position in each list

	ID           string `dynamodbav:"id"`
	Time         int64  `dynamodbav:"t"`
	Actor        string `dynamodbav:"actor"`
	Credential   string `dynamodbav:"credential"`
	CredentialID string `dynamodbav:"credential_id,omitempty"`
	Address      string `dynamodbav:"address,omitempty"`
	Kind         string `dynamodbav:"kind"`
	Object       string `dynamodbav:"object"`
	From         string `dynamodbav:"from,omitempty"`
	To           string `dynamodbav:"to,omitempty"`
	Reason       string `dynamodbav:"reason,omitempty"`
}

// auditWrites store the entries of the acts that a transaction records. An entry
// needs no condition: its transaction has one, and its key is derived.
func auditWrites(acts []audit.Entry) []write {
	ws := make([]write, 0, len(acts))
	for _, e := range acts {
		actors, actorErr := actsOf(e.Org, "ACTOR", string(e.Actor))
		objects, objectErr := actsOf(e.Org, "OBJECT", e.Object)
		kinds, kindErr := actsOf(e.Org, "KIND", string(e.Kind))
		k := auditKey(e)
		w := put(auditItem{
			primary: k, ActorList: actors, ObjectList: objects, KindList: kinds, At: k.SK,
			ID: string(e.ID), Time: nanos(e.At), Actor: string(e.Actor),
			Credential: string(e.Credential.Kind), CredentialID: e.Credential.ID, Address: e.Address,
			Kind: string(e.Kind), Object: e.Object, From: e.From, To: e.To, Reason: e.Reason,
		}, "", nil)
		w.err = errors.Join(w.err, actorErr, objectErr, kindErr)
		ws = append(ws, w)
	}
	return ws
}

func (i auditItem) entry(o id.Org) audit.Entry {
	return audit.Entry{
		ID: id.Audit(i.ID), Org: o, At: timeOf(i.Time), Actor: id.Actor(i.Actor),
		Credential: audit.Credential{Kind: audit.CredentialKind(i.Credential), ID: i.CredentialID},
		Address:    i.Address, Kind: audit.Kind(i.Kind), Object: i.Object, From: i.From, To: i.To, Reason: i.Reason,
	}
}

// Audit implements audit.Store. Without a filter a page is one query of the
// table. With filters it reads the index of the most selective one, and skips the
// entries that the others do not select.
func (s *Store) Audit(ctx context.Context, o id.Org, q audit.Query) (audit.Page, error) {
	l := listing{after: q.After, want: q.Limit}
	acts, rare := actsIn(q.From, q.To), 0
	by := func(index schema.Index, list, value string) {
		if value == "" {
			return
		}
		rare++
		acts.index = &index
		acts.partition, acts.err = actsOf(o, list, value)
	}
	by(schema.ByStatus(), "KIND", string(q.Kind))
	by(schema.ByOrg(), "ACTOR", string(q.Actor))
	by(schema.ByAgent(), "OBJECT", q.Object) // the last one counts
	if rare == 0 {
		acts.partition, acts.err = actPartition(o)
		return s.allActs(ctx, o, acts.before(q.After), l)
	}
	l.parts, l.rare = []query{acts}, rare > 1
	var decodeErr error
	l.keep = func(i item) bool {
		var a auditItem
		decodeErr = errors.Join(decodeErr, attributevalue.UnmarshalMap(i, &a))
		return q.Wants(a.entry(o))
	}
	rows, next, err := s.list(ctx, l)
	if err := errors.Join(err, decodeErr); err != nil {
		return audit.Page{}, err
	}
	items := make([]item, 0, len(rows))
	for _, r := range rows {
		items = append(items, r.item)
	}
	return actPage(o, items, next)
}

// allActs reads a page of the whole log.
func (s *Store) allActs(ctx context.Context, o id.Org, acts query, l listing) (audit.Page, error) {
	l.want = max(l.want, 1)
	acts.strong, acts.limit = true, l.want+2 // one for the last of the previous page, one to see whether more follow
	items, next, err := s.page(ctx, acts)
	if err != nil {
		return audit.Page{}, err
	}
	if len(items) > 0 && textOf(items[0], "at") == l.after {
		items = items[1:]
	}
	end := ""
	if more := len(items) > l.want; more {
		items = items[:l.want]
		end = textOf(items[l.want-1], "at")
	} else if next != nil && len(items) > 0 { // the page has 1 MB
		end = textOf(items[len(items)-1], "at")
	}
	return actPage(o, items, end)
}

func actPage(o id.Org, items []item, next string) (audit.Page, error) {
	p := audit.Page{Next: next}
	for _, i := range items {
		var a auditItem
		if err := attributevalue.UnmarshalMap(i, &a); err != nil {
			return audit.Page{}, err
		}
		p.Entries = append(p.Entries, a.entry(o))
	}
	return p, nil
}

// actsIn bounds a query of acts by time; the end is excluded. A position is
// longer than its time, and so sorts after it.
func actsIn(from, to time.Time) query {
	q := query{from: first, to: last}
	if !from.IsZero() {
		q.from = from.UTC().Format(dueFormat)
	}
	if !to.IsZero() {
		q.to = to.UTC().Format(dueFormat)
	}
	return q
}
