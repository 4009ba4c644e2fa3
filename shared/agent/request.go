package agent

import (
	"context"
	"errors"
	"time"

	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
)

// RequestKept is how long a request that created an agent may be repeated.
const RequestKept = 24 * time.Hour

// The faults of repeated requests.
var (
	// ErrRequested tells the service that the store already has a request with this
	// key.
	ErrRequested = fault.New(fault.Stale, "requested", "The Idempotency-Key was already used.")
	ErrKeyReused = fault.New(fault.Conflict, "conflict", "The Idempotency-Key was used for another request.")
)

// A Request is the record of a request that created an agent. A repetition with the
// same idempotency key returns that agent and creates no other.
type Request struct {
	Key    string // idempotency key, unique within the organization
	Digest string // of the request's body
	Agent  id.Agent
	Made   time.Time
}

// Create stores a new agent as a draft, or returns ErrConfig.
func (s *Service) Create(ctx context.Context, who caller.Caller, doc map[string]any) (Agent, error) {
	d, err := s.parse(ctx, who.Org, doc)
	if err != nil {
		return Agent{}, err
	}
	return s.create(ctx, who, d, Custom, "", nil)
}

// CreateOnce is Create for a request with an idempotency key. For RequestKept, a
// request with the same key and body returns the agent that the first request
// created, in its current state. It returns ErrKeyReused if the body differs or
// the agent was deleted in the meantime.
func (s *Service) CreateOnce(ctx context.Context, who caller.Caller, key string, doc map[string]any) (Agent, error) {
	r := Request{Key: key, Digest: id.Digest(jsonvalue.Canonical(doc)), Made: s.Now()}
	if a, found, err := s.repeated(ctx, who, r); found || err != nil {
		return a, err
	}
	d, err := s.parse(ctx, who.Org, doc)
	if err != nil {
		return Agent{}, err
	}
	a := s.draft(who, d, Custom, nil)
	if err := s.mayOverride(who, a); err != nil {
		return Agent{}, err
	}
	a.Needs, r.Agent = d.Needs(), a.ID
	switch err := s.Store.SaveRequested(ctx, a, r, r.Made.Add(-RequestKept), created(who, a, "")); {
	case errors.Is(err, ErrRequested): // a concurrent request with the same key won
		a, found, err := s.repeated(ctx, who, r)
		if err == nil && !found {
			err = ErrBusy
		}
		return a, err
	case err != nil:
		return Agent{}, err
	}
	a.Revision++
	return a, nil
}

// repeated returns the agent of an earlier request with the same key, and whether
// the store has such a request.
func (s *Service) repeated(ctx context.Context, who caller.Caller, r Request) (Agent, bool, error) {
	earlier, found, err := s.Store.Requested(ctx, who.Org, r.Key)
	switch {
	case err != nil || !found || !earlier.Made.After(r.Made.Add(-RequestKept)):
		return Agent{}, false, err
	case earlier.Digest != r.Digest:
		return Agent{}, true, ErrKeyReused.Sayf(
			"The Idempotency-Key %q was used with another body at %s. Use a new key for another agent.", r.Key, earlier.Made.UTC().Format(time.RFC3339))
	}
	a, err := s.Get(ctx, who, earlier.Agent)
	if errors.Is(err, ErrNotFound) {
		err = ErrKeyReused.Sayf("Agent %s, created with the Idempotency-Key %q, was deleted. Use a new key for another agent.",
			earlier.Agent, r.Key)
	}
	return a, true, err
}
