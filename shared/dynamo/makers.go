package dynamo

import (
	"context"
	"time"

	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/tenant"
)

// A makerItem names the run whose action made an object.
type makerItem struct {
	primary

	part

	Run     string `dynamodbav:"run"`
	Until   int64  `dynamodbav:"known_until"`
	Expires int64  `dynamodbav:"expires"`
}

// SaveMaker implements runner.Store.
func (s *Store) SaveMaker(ctx context.Context, o id.Org, made catalog.ObjectID, by id.Execution, now time.Time) error {
	until := now.Add(execution.MakerKept)
	err := s.write(ctx, put(makerItem{
		primary: makerKey(o, made), part: partOf(o, makerKey(o, made)), Run: string(by), Until: nanos(until), Expires: until.Add(retention).Unix(),
	}, "attribute_not_exists(pk) OR known_until <= :now", map[string]any{":now": nanos(now)}))
	if refused(err) != nil {
		return nil //nolint:nilerr // the first run stays.
	}
	return err
}

// Maker implements dispatch.Runs.
func (s *Store) Maker(ctx context.Context, o id.Org, made catalog.ObjectID, now time.Time) (id.Execution, error) {
	var i makerItem
	found, err := s.get(ctx, makerKey(o, made), &i)
	if err != nil || !found || i.Until <= nanos(now) {
		return "", err
	}
	return id.Execution(i.Run), nil
}

// AddUses implements dispatch.Runs.
func (s *Store) AddUses(ctx context.Context, o id.Org, uses []tenant.Use) error {
	return s.write(ctx, orgWrite(o, uses, 0))
}

// orgWrite adds uses to a tenant and counts changes of its listeners, beside the other
// writes of its item.
func orgWrite(o id.Org, uses []tenant.Use, listeners int64) write {
	w := write{
		op: opUpdate, key: tenantKey(o), shared: true,
		cond: "attribute_exists(rev)", // an erasure has none
	}
	if len(uses) > 0 {
		w.union = map[string][]string{"uses": texts(uses)}
	}
	if listeners > 0 {
		w.add = map[string]int64{"listeners": listeners}
	}
	return w
}

// noOrg returns tenant.ErrUnknown if a refusal is about the tenant that an orgWrite
// changes: it was erased, or never existed.
func noOrg(r *refusal, ws []write) error {
	for part, w := range ws {
		if was, failed := r.at(part); failed && w.op == opUpdate && w.key.SK == "ORG" {
			if textOf(was, "erasing") != "" {
				return tenant.ErrUnknown.Because(tenant.ErrDeleted)
			}
			return tenant.ErrUnknown
		}
	}
	return nil
}
