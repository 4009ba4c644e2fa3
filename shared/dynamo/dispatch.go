package dynamo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/dispatch"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
)

// A payloadItem keeps the payload of an event for an agent, shared by all its
// runs, and names the run that holds its deduplication claim.
type payloadItem struct {
	primary

	Payload string `dynamodbav:"payload"` // JSON
	Run     string `dynamodbav:"run"`
	FreeAt  int64  `dynamodbav:"free_at"` // when another run may take the claim
	Expires int64  `dynamodbav:"expires,omitempty"`
}

// ClaimDedup implements dispatch.Runs. The same write stores the payload: runs
// of one agent for the same content share it.
func (s *Store) ClaimDedup(ctx context.Context, x execution.Execution, now, until time.Time) (id.Execution, error) {
	payload, err := toJSON(x.Trigger.Payload)
	if err != nil {
		return "", fmt.Errorf("write the payload of %s: %w", x.ID, err)
	}
	kept := seconds(x.KeptUntil)
	for range tries {
		err = s.write(ctx, claimWrite(x, payload, now, until, kept))
		r := refused(err)
		if r == nil {
			return x.ID, err
		}
		var holder payloadItem
		item, _ := r.at(0)
		if err := attributevalue.UnmarshalMap(item, &holder); err != nil {
			return "", fmt.Errorf("read the claim of %s: %w", holder.Run, err)
		}
		if holder.FreeAt > nanos(now) {
			return id.Execution(holder.Run), nil
		}
		kept = max(kept, holder.Expires)
	}
	return "", fmt.Errorf("claim the content of %s: %w", x.ID, errBusy)
}

// claimWrite stores a payload and its claim. An earlier run of the same content may
// be kept longer: the payload never expires earlier than it did.
func claimWrite(x execution.Execution, payload string, now, until time.Time, kept int64) write {
	return put(payloadItem{
		primary: payloadKey(x.Org, x.Digest()),
		Payload: payload, Run: string(x.ID), FreeAt: nanos(until), Expires: kept,
	}, "attribute_not_exists(pk) OR (free_at <= :now AND (attribute_not_exists(expires) OR expires <= :kept))",
		map[string]any{":now": nanos(now), ":kept": kept})
}

// DedupHolder implements dispatch.Runs.
func (s *Store) DedupHolder(ctx context.Context, x execution.Execution, now time.Time) (id.Execution, error) {
	var i payloadItem
	found, err := s.get(ctx, payloadKey(x.Org, x.Digest()), &i)
	if err != nil || !found || i.FreeAt <= nanos(now) {
		return "", err
	}
	return id.Execution(i.Run), nil
}

// ReleaseDedup implements dispatch.Runs. The payload stays, because earlier runs for
// the same content may share it; no run may lead to it, so it is listed itself.
func (s *Store) ReleaseDedup(ctx context.Context, x execution.Execution) error {
	key := payloadKey(x.Org, x.Digest())
	listed := partOf(x.Org, key)
	err := s.write(ctx, write{
		op: opUpdate, key: key, set: map[string]any{"free_at": int64(0), "org_list": listed.List, "at": listed.At},
		cond: "run = :run", args: map[string]any{":run": string(x.ID)},
	})
	if refused(err) == nil {
		return err
	}
	return nil // another run holds the claim
}

// errNoPayload says that a payload has expired, or was never stored.
var errNoPayload = errors.New("dynamo: the payload is missing")

// payload reads the event payload of a run.
func (s *Store) payload(ctx context.Context, o id.Org, digest string) (map[string]any, error) {
	stored, err := s.getItem(ctx, payloadKey(o, digest))
	if err != nil {
		return nil, err
	}
	return payloadIn(stored)
}

// payloadIn returns the payload in an item, or errNoPayload if there is none.
func payloadIn(stored item) (map[string]any, error) {
	if len(stored) == 0 {
		return nil, errNoPayload
	}
	var i payloadItem
	if err := attributevalue.UnmarshalMap(stored, &i); err != nil {
		return nil, fmt.Errorf("read a payload: %w", err)
	}
	p, err := jsonvalue.Object([]byte(i.Payload))
	if err != nil {
		return nil, fmt.Errorf("read the payload of %s: %w", i.Run, err)
	}
	return p, nil
}

type limitItem struct {
	primary

	Starts   string `dynamodbav:"starts"` // JSON
	Revision int64  `dynamodbav:"rev"`
	Expires  int64  `dynamodbav:"expires"`
}

// LimitStarts implements dispatch.Runs.
func (s *Store) LimitStarts(ctx context.Context, o id.Org, a id.Agent) (dispatch.LimitStarts, error) {
	var i limitItem
	if _, err := s.get(ctx, limitKey(o, a), &i); err != nil {
		return dispatch.LimitStarts{}, err
	}
	c := dispatch.LimitStarts{Revision: i.Revision}
	if err := fromJSON(i.Starts, &c.Starts); err != nil {
		return c, fmt.Errorf("starts of %s: %w", a, err)
	}
	return c, nil
}

// AdmitWithinLimit implements dispatch.Runs. It writes on the starts that it is
// given, and reads them again only if they have changed since.
func (s *Store) AdmitWithinLimit(
	ctx context.Context, x execution.Execution, l definition.Limit, seen dispatch.LimitStarts, now time.Time,
) (string, error) {
	for try := range tries {
		why, err := s.admit(ctx, x, l, seen, now)
		if refused(err) == nil {
			return why, err
		}
		if err := s.pause(ctx, try); err != nil {
			return "", err
		}
		if seen, err = s.LimitStarts(ctx, x.Org, x.Agent); err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("admit %s: %w", x.ID, errBusy)
}

func (s *Store) admit(
	ctx context.Context, x execution.Execution, l definition.Limit, before dispatch.LimitStarts, now time.Time,
) (string, error) {
	after, why := before.Starts.Admit(x.ID, l, now)
	if why != "" || before.Starts.Has(x.ID) {
		return why, nil
	}
	starts, err := toJSON(after)
	cond, args := revised(before.Revision)
	w := put(limitItem{
		primary: limitKey(x.Org, x.Agent), Starts: starts, Revision: before.Revision + 1,
		Expires: now.Add(2 * 24 * time.Hour).Unix(),
	}, cond, args)
	w.err = errors.Join(w.err, err)
	return "", s.write(ctx, w)
}
