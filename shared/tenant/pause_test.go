package tenant_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/tenant"
)

// Of several pauses the first author and time, the last reason and the strongest
// treatment of the open runs count, in any order.
func TestRepeatedPausesNeverLetHeldRunsGoOn(t *testing.T) {
	t.Parallel()

	strength := map[tenant.OpenRuns]int{tenant.Finish: 0, tenant.Hold: 1, tenant.Cancel: 2}
	rapid.Check(t, func(t *rapid.T) {
		var org tenant.Tenant
		strongest, reason := -1, ""
		for n := range rapid.IntRange(1, 6).Draw(t, "pauses") {
			p := tenant.Pause{
				By: id.Actor(rapid.SampledFrom([]string{"user_1", "key_1"}).Draw(t, "by")), At: start.Add(time.Duration(n) * time.Second),
				Reason:   rapid.SampledFrom([]string{"", "one", "two"}).Draw(t, "reason"),
				OpenRuns: rapid.SampledFrom(tenant.OpenRunsChoices()).Draw(t, "open runs"),
			}
			before := org
			org = org.Paused(p)
			strongest = max(strongest, strength[p.OpenRuns])
			if p.Reason != "" {
				reason = p.Reason
			}
			if before.Pause.Active() && (org.Pause.At != before.Pause.At || org.Pause.By != before.Pause.By) {
				t.Fatalf("a second pause replaced the author: %+v", org.Pause)
			}
			if strength[org.Pause.OpenRuns] != strongest || org.Pause.Reason != reason || !org.Pause.Active() {
				t.Fatalf("the pause is %+v, want strength %d and reason %q", org.Pause, strongest, reason)
			}
		}
		if org.Resume(start).Pause.Active() {
			t.Fatal("a resumed organization is paused")
		}
	})
}
