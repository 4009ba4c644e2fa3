package memory

import (
	"context"
	"time"

	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/limit"
	"theoneagents.app/agents/shared/tenant"
)

// Lease implements limit.Store.
func (s *Store) Lease(_ context.Context, o id.Org, minute time.Time, block, most int) (granted, used int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	permits := s.org(o).permits
	granted = limit.Grant(permits[minute], block, most)
	permits[minute] += granted
	return granted, min(permits[minute], most), nil
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
	o := s.org(session.Org)
	return o.revoked[session.JTI] || session.Issued.Before(o.issuedBefore[session.User]), nil
}
