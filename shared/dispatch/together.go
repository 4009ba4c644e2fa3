package dispatch

import (
	"context"
	"sync"

	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/tenant"
)

// Together returns a context for events that are dispatched at the same time: those of
// one organization read its record once. None of them was published after the first of
// these reads, so each finds the organization as it was when it was published, or
// later. An event that changes an organization reads the record itself.
func Together(ctx context.Context) context.Context {
	return context.WithValue(ctx, togetherKey{}, &shared{orgs: make(map[id.Org]*sharedOrg)})
}

type togetherKey struct{}

type shared struct {
	mu   sync.Mutex
	orgs map[id.Org]*sharedOrg
}

// A sharedOrg is an organization that the first event reads and the others wait for.
// busy is a mutex whose wait ends with the context.
type sharedOrg struct {
	busy chan struct{}
	read bool
	t    tenant.Tenant
}

func (s *shared) org(o id.Org) *sharedOrg {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.orgs[o] == nil {
		s.orgs[o] = &sharedOrg{busy: make(chan struct{}, 1)}
	}
	return s.orgs[o]
}

// tenant returns the organization of an event. A failed read is not shared.
func (s *Service) tenant(ctx context.Context, e event.Event) (tenant.Tenant, error) {
	among, ok := ctx.Value(togetherKey{}).(*shared)
	if !ok || tenant.Projects(e.Name()) {
		return s.Tenants.Tenant(ctx, e.Org)
	}
	o := among.org(e.Org)
	select {
	case o.busy <- struct{}{}:
	case <-ctx.Done():
		return tenant.Tenant{}, ctx.Err()
	}
	defer func() { <-o.busy }()
	if o.read {
		return o.t, nil
	}
	t, err := s.Tenants.Tenant(ctx, e.Org)
	if err == nil {
		o.t, o.read = t, true
	}
	return t, err
}
