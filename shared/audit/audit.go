// Package audit records the acts of people and integration keys: the author, the
// credential and the address of every change, in the transaction that makes the
// change. An act that was refused, or repeated without effect, has no entry.
package audit

import (
	"context"
	"slices"
	"time"

	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/id"
)

// A Kind is a kind of act.
type Kind string

// The kinds of acts. Each vote on an approval is an act of its own.
const (
	AgentCreated       Kind = "agent.created"
	AgentCloned        Kind = "agent.cloned"
	AgentUpdated       Kind = "agent.updated"
	AgentStatusChanged Kind = "agent.status_changed"
	AgentDeleted       Kind = "agent.deleted"
	SystemAgentPaused  Kind = "system_agent.paused"
	SystemAgentResumed Kind = "system_agent.resumed"
	SystemAgentPinned  Kind = "system_agent.pinned"
	SystemAgentFreed   Kind = "system_agent.unpinned"
	ExecutionCancelled Kind = "execution.cancelled"
	ExecutionRetried   Kind = "execution.retried"
	ApprovalApproved   Kind = "approval.approved"
	ApprovalDenied     Kind = "approval.denied"
	KeyCreated         Kind = "key.created"
	KeyRevoked         Kind = "key.revoked"
	SettingsChanged    Kind = "settings.changed"
	OrgPaused          Kind = "org.paused"
	OrgResumed         Kind = "org.resumed"
	JobStarted         Kind = "job.started"
	JobCancelled       Kind = "job.cancelled"

	WebhookSecretRotated Kind = "webhook_secret.rotated"
)

// Kinds returns all kinds.
func Kinds() []Kind {
	return []Kind{
		AgentCreated, AgentCloned, AgentUpdated, AgentStatusChanged, AgentDeleted,
		SystemAgentPaused, SystemAgentResumed, SystemAgentPinned, SystemAgentFreed, ExecutionCancelled, ExecutionRetried,
		ApprovalApproved, ApprovalDenied, KeyCreated, KeyRevoked, SettingsChanged, OrgPaused, OrgResumed,
		JobStarted, JobCancelled, WebhookSecretRotated,
	}
}

// Known reports whether k is a kind.
func (k Kind) Known() bool { return slices.Contains(Kinds(), k) }

// A CredentialKind is a kind of credential.
type CredentialKind string

// The kinds of credentials.
const (
	Session CredentialKind = "session"
	Key     CredentialKind = "key"
)

// A Credential names the session or the key that a caller used, without its
// secret.
type Credential struct {
	Kind CredentialKind
	ID   string // empty for a session without an id
}

// An Entry is one act.
type Entry struct {
	ID         id.Audit
	Org        id.Org
	At         time.Time
	Actor      id.Actor
	Credential Credential
	Address    string // the caller's address as API Gateway saw it; empty if unknown
	Kind       Kind
	Object     string // the id of the changed agent, execution, approval, key or job; of the organization for its settings
	From, To   string // the state before and after; empty when there was none
	Reason     string // the caller's own words, cut at maxReason
}

// maxReason is the number of characters of a reason that an entry keeps, so that
// an entry stays below 1 KB. The record of the object has the whole text.
const maxReason = 200

// A Change is what an act changed.
type Change struct {
	Kind     Kind
	Object   string
	From, To string
	Reason   string
}

// Of returns the entry of a caller's act. Its id is derived, so that a repeated
// write of the same act replaces the entry and adds none.
func Of(who caller.Caller, c Change, at time.Time) Entry {
	e := Entry{
		Org: who.Org, At: at, Actor: who.Actor(), Credential: credentialOf(who), Address: who.Address,
		Kind: c.Kind, Object: c.Object, From: c.From, To: c.To, Reason: cut(c.Reason),
	}
	e.ID = id.Audit("audit_" + id.Derive(at, string(e.Org), string(e.Actor), string(e.Kind), e.Object, e.From, e.To))
	return e
}

// credentialOf names the caller's credential. An id that could not be a part of a
// log or of a key is replaced by its digest.
func credentialOf(who caller.Caller) Credential {
	if !who.Human() {
		return Credential{Kind: Key, ID: string(who.Key)}
	}
	name := who.Session
	if name != "" && !id.ValidExternal(name) {
		name = id.Digest(name)
	}
	return Credential{Kind: Session, ID: name}
}

func cut(text string) string {
	if chars := []rune(text); len(chars) > maxReason {
		return string(chars[:maxReason-1]) + "…"
	}
	return text
}

// A Query selects the entries to list, newest first; empty fields select all.
type Query struct {
	From   time.Time
	To     time.Time // exclusive
	Actor  id.Actor
	Kind   Kind
	Object string
	Limit  int
	After  string // Next of the previous page
}

// Wants reports whether the query selects an entry, regardless of its time.
func (q Query) Wants(e Entry) bool {
	return (q.Actor == "" || q.Actor == e.Actor) &&
		(q.Kind == "" || q.Kind == e.Kind) &&
		(q.Object == "" || q.Object == e.Object)
}

// A Page is a part of a list. It may be shorter than the limit before the end of
// the list.
type Page struct {
	Entries []Entry
	Next    string // where the next page begins; empty at the end
}

// Store keeps entries. The stores of the changed records write them.
type Store interface {
	// Audit lists the entries of the organization.
	Audit(ctx context.Context, org id.Org, q Query) (Page, error)
}

// Service lists the entries of callers.
type Service struct {
	Store Store
}

// List returns a page of the entries of the caller's organization.
func (s *Service) List(ctx context.Context, who caller.Caller, q Query) (Page, error) {
	return s.Store.Audit(ctx, who.Org, q)
}
