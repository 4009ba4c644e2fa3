package memory

import (
	"context"
	"time"

	"theoneagents.app/agents/shared/limit"
	"theoneagents.app/agents/shared/tenant"
)

// A permitKey names the permits of a pot in a minute.
type permitKey struct {
	pot    limit.Pot
	minute time.Time
}

// Lease implements limit.Store.
func (s *Store) Lease(_ context.Context, p limit.Pot, minute time.Time, block int) (granted, used int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	permits, most := s.org(p.Org).permits, p.Limit
	p.Limit = 0 // a pot keeps its permits when its limit changes
	k := permitKey{pot: p, minute: minute}
	granted = limit.Grant(permits[k], block, most)
	permits[k] += granted
	return granted, min(permits[k], most), nil
}

// Revoke implements tenant.Store.
func (s *Store) Revoke(_ context.Context, r tenant.Revocation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.JTI != "" {
		s.org(r.Org).revoked[r.JTI] = true
		return nil
	}
	if before := s.org(r.Org).issuedBefore; r.Before.After(before[r.User]) {
		before[r.User] = r.Before
	}
	return nil
}

// Revoked implements tenant.Store.
func (s *Store) Revoked(_ context.Context, session tenant.Session) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.org(session.Org).hasRevoked(session), nil
}

func (o *org) hasRevoked(session tenant.Session) bool {
	return o.revoked[session.JTI] || session.Issued.Before(o.issuedBefore[session.User])
}

// Standing implements httpapi.Orgs.
func (s *Store) Standing(_ context.Context, session tenant.Session) (tenant.Tenant, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.org(session.Org)
	t, err := o.known()
	return t, o.hasRevoked(session), err
}
