package tenant

import (
	"context"
	"errors"
	"fmt"
	"time"

	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
)

// revoked is the Hub's event that revokes sessions.
const revoked = "hub:session.revoked"

// MaxJTI is the maximum length of the id of a session, in bytes.
const MaxJTI = 1024

// MaxSession is the longest lifetime of a session.
const MaxSession = 24 * time.Hour

// keptRevocation is how long a revocation of a user is kept: as long as a vote
// from before it may wait for the last vote on its approval.
const keptRevocation = 366 * 24 * time.Hour

// A Session is the part of a session that a revocation can name.
type Session struct {
	Org    id.Org
	JTI    string // empty to match revocations of the user only
	User   id.User
	Issued time.Time
}

// A Revocation revokes one session, by its JTI, or all sessions of a user that
// were issued before a time. Their tokens are refused although they have not
// expired.
type Revocation struct {
	Org     id.Org
	JTI     string    // empty for a revocation of a user
	User    id.User   // empty for a revocation of one session
	Before  time.Time // set with User
	Expires time.Time // when the last revoked token has expired, and the last vote is too old to count
}

// revocationOf returns the revocation in an event: {jti} or {user_id, before}.
func revocationOf(e event.Event) (Revocation, error) {
	_, one := e.Payload["jti"]
	_, all := e.Payload["before"]
	if one == all {
		return Revocation{}, event.ErrMalformed.Sayf("The payload must have either jti or user_id and before.")
	}
	if all {
		return ofUser(e)
	}
	return ofSession(e)
}

func ofSession(e event.Event) (Revocation, error) {
	jti, _ := e.Payload["jti"].(string)
	if jti == "" || len(jti) > MaxJTI {
		return Revocation{}, event.ErrMalformed.Sayf("The payload's jti must be the id of a session, with up to %d bytes.", MaxJTI)
	}
	// The Hub does not revoke a session before it issues it.
	expires := e.Published.Add(event.MaxAhead + MaxSession)
	if _, given := e.Payload["expires_at"]; given {
		at, err := timeIn(e, "expires_at")
		if err != nil {
			return Revocation{}, err
		}
		expires = at
	}
	return Revocation{Org: e.Org, JTI: jti, Expires: expires}, nil
}

func ofUser(e event.Event) (Revocation, error) {
	user, _ := e.Payload["user_id"].(string)
	if !id.ValidExternal(user) {
		return Revocation{}, event.ErrMalformed.Sayf("The payload's user_id must be the id of a user.")
	}
	before, err := timeIn(e, "before")
	if err != nil {
		return Revocation{}, err
	}
	// A later time would refuse sessions that the Hub issues after the event.
	if latest := e.Published.Add(event.MaxAhead); before.After(latest) {
		return Revocation{}, event.ErrMalformed.Sayf("The payload's before is %s; it must be at most %s after published_at.",
			before.UTC().Format(time.RFC3339), event.MaxAhead)
	}
	return Revocation{Org: e.Org, User: id.User(user), Before: before, Expires: before.Add(keptRevocation)}, nil
}

// timeIn returns a time of the payload.
func timeIn(e event.Event, field string) (time.Time, error) {
	text, _ := e.Payload[field].(string)
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || !event.InRange(t) {
		return time.Time{}, event.ErrMalformed.Sayf("The payload's %s must be a time like 2026-03-01T00:00:00Z.", field)
	}
	return t, nil
}

func (s *Service) revoke(ctx context.Context, e event.Event) error {
	r, err := revocationOf(e)
	if err != nil {
		return err
	}
	if _, err := s.Store.Tenant(ctx, e.Org); errors.Is(err, ErrDeleted) {
		return err
	} else if err != nil && !errors.Is(err, ErrUnknown) {
		return fmt.Errorf("revoke a session of %s: %w", e.Org, err)
	}
	return s.Store.Revoke(ctx, r)
}
