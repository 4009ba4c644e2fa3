package dispatch

import (
	"context"
	"errors"
	"fmt"

	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/journal"
	"theoneagents.app/agents/shared/tenant"
)

// LetterStore keeps notes of dead letters.
type LetterStore interface {
	// KeepLetter keeps a note until it expires. The latest note of an event stays.
	KeepLetter(ctx context.Context, org id.Org, l journal.Letter) error
}

// Letters notes for an organization that an event of its own became a dead letter, so that
// an explanation of the event can say so.
type Letters struct {
	Tenants execution.Tenants
	Store   LetterStore
}

// Note keeps a note, unless the organization is unknown or deleted: the envelope of an event
// that could not be handled may name any organization.
func (l Letters) Note(ctx context.Context, org id.Org, note journal.Letter) error {
	switch _, err := l.Tenants.Tenant(ctx, org); {
	case errors.Is(err, tenant.ErrUnknown), errors.Is(err, tenant.ErrDeleted):
		return nil
	case err != nil:
		return fmt.Errorf("the organization of a dead letter: %w", err)
	}
	return l.Store.KeepLetter(ctx, org, note)
}
