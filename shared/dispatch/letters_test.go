package dispatch_test

import (
	"testing"
	"time"

	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/dispatch"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/journal"
	"theoneagents.app/agents/shared/memory"
	"theoneagents.app/agents/shared/tenant"
)

// The envelope of an event that cannot be read may name any organization.
func TestADeadLetterIsNotedForAKnownOrganizationOnly(t *testing.T) {
	t.Parallel()
	store, at := memory.New(), time.Date(2026, 3, 9, 14, 0, 0, 0, time.UTC)
	if err := store.SaveTenant(t.Context(), tenant.Tenant{Org: "org_known", Plan: credit.Growth, Created: at, Updated: at}, "2026-03"); err != nil {
		t.Fatal(err)
	}
	l := dispatch.Letters{Tenants: store, Store: store}
	note := journal.LetterOf("evt_1", "psa:ticket.created", "failed", "It crashed 5 workers.", at)
	for org, want := range map[id.Org]bool{"org_known": true, "org_unknown": false} {
		if err := l.Note(t.Context(), org, note); err != nil {
			t.Errorf("%s: %v", org, err)
		}
		if _, found, err := store.Letter(t.Context(), org, "evt_1"); found != want || err != nil {
			t.Errorf("%s: noted %t, %v; want %t", org, found, err, want)
		}
	}
}
