package dynamo

import (
	"context"
	"errors"
	"fmt"

	"theoneagents.app/agents/shared/alert"
	"theoneagents.app/agents/shared/id"
)

type alertsItem struct {
	primary

	Doc      string `dynamodbav:"doc"` // JSON
	Revision int64  `dynamodbav:"rev"`
}

// Alerts implements alert.Store.
func (s *Store) Alerts(ctx context.Context, o id.Org) (alert.Record, error) {
	var i alertsItem
	found, err := s.get(ctx, alertsKey(o), &i)
	if err != nil || !found {
		return alert.Record{}, err
	}
	r := alert.Record{}
	if err := fromJSON(i.Doc, &r); err != nil {
		return alert.Record{}, fmt.Errorf("read the alerts of %s: %w", o, err)
	}
	r.Revision = i.Revision
	return r, nil
}

// SaveAlerts implements alert.Store.
func (s *Store) SaveAlerts(ctx context.Context, o id.Org, r alert.Record) error {
	doc, err := toJSON(r)
	cond, args := revised(r.Revision)
	w := put(alertsItem{primary: alertsKey(o), Doc: doc, Revision: r.Revision + 1}, cond, args)
	w.err = errors.Join(w.err, err)
	err = s.write(ctx, w)
	if refused(err) != nil {
		return alert.ErrStale
	}
	return err
}
