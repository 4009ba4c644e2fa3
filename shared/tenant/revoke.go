package tenant

import (
	"context"
	"time"

	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
)

// revoked is the Hub's event that revokes a session.
const revoked = "hub:session.revoked"

// maxJTI is the maximum length of the id of a session.
const maxJTI = 1024

// A Revocation revokes a session: its token is refused although it has not
// expired.
type Revocation struct {
	Org     id.Org
	JTI     string
	Expires time.Time // when the token expires
}

// revocationOf returns the revocation in an event.
func revocationOf(e event.Event) (Revocation, error) {
	jti, _ := e.Payload["jti"].(string)
	if jti == "" || len(jti) > maxJTI {
		return Revocation{}, event.ErrMalformed.Sayf("The payload's jti must be the id of a session.")
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
