package dispatch

import (
	"context"
	"time"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/lru"
)

// The claim on the content of an event answers who holds it, so new content needs no
// read before. A claim that is refused costs more than the read: a write for each KB of
// the payload, and the run was counted against the quotas. The dispatcher therefore
// reads the holder first where a refusal is likely or expensive: for content that it
// has recently seen claimed, for an event that was delivered before, for a payload
// beyond one write unit, and for an agent whose limit is read before any claim.

// maxUnread is the size of a payload up to which its item takes one write unit, in
// bytes of JSON.
const maxUnread = 700

// RecentClaims remembers the content of events that were claimed, in the memory of a
// dispatcher. It only decides whether a read is made.
type RecentClaims struct {
	until *lru.Cache[claimKey, time.Time]
}

type claimKey struct {
	org     id.Org
	agent   id.Agent
	content string // its digest
}

// NewRecentClaims returns the memory of up to 10,000 claims, of about 2 MB.
func NewRecentClaims() *RecentClaims {
	const most = 10_000
	return &RecentClaims{until: lru.New[claimKey, time.Time](most, most)}
}

func claimOf(x execution.Execution) claimKey { return claimKey{x.Org, x.Agent, x.Trigger.Content()} }

// note records that the content of a run's event was found claimed.
func (r *RecentClaims) note(x execution.Execution, now time.Time) {
	if r != nil {
		r.until.Put(claimOf(x), now.Add(Window), 1)
	}
}

func (r *RecentClaims) has(x execution.Execution, now time.Time) bool {
	until, ok := r.until.Get(claimOf(x))
	return ok && now.Before(until)
}

// Again returns a context for an event that was delivered before.
func Again(ctx context.Context) context.Context { return context.WithValue(ctx, againKey{}, true) }

type againKey struct{}

// readsHolder reports whether the holder of the claim on the content is read before
// the claim is made.
func (s *Service) readsHolder(ctx context.Context, x execution.Execution, l *definition.Limit) bool {
	return s.Recent == nil || l != nil || ctx.Value(againKey{}) != nil ||
		len(jsonvalue.Canonical(x.Trigger.Payload)) > maxUnread || s.Recent.has(x, x.Created)
}
