package tenant

import (
	"context"
	"time"

	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
)

// revoked is the event by which the Hub takes a session back.
const revoked = "hub:session.revoked"

// maxJTI is how long the name of a session may be.
const maxJTI = 1024

// A Revocation takes a session back: its token is refused, although it is good
// until it expires.
type Revocation struct {
	Org     id.Org
	JTI     string
	Expires time.Time // when it is refused anyway
}

// revocationOf returns what an event takes back.
func revocationOf(e event.Event) (Revocation, error) {
	jti, _ := e.Payload["jti"].(string)
	if jti == "" || len(jti) > maxJTI {
		return Revocation{}, event.ErrMalformed.Sayf("The payload's jti must be the name of a session.")
	}
	text, _ := e.Payload["expires_at"].(string)
	expires, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return Revocation{}, event.ErrMalformed.Sayf("The payload's expires_at must be a time like 2026-03-01T00:00:00Z.")
	}
	return Revocation{e.Org, jti, expires}, nil
}

func (s *Service) revoke(ctx context.Context, e event.Event) error {
	r, err := revocationOf(e)
	if err != nil {
		return err
	}
	return s.Store.Revoke(ctx, r)
}
