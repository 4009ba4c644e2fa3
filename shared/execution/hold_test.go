package execution_test

import (
	"testing"
	"time"

	"theoneagents.app/agents/shared/execution"
)

func TestAHeldRunIsNeverDueUntilItIsReleased(t *testing.T) {
	t.Parallel()

	now := time.Date(2026, 3, 9, 14, 0, 0, 0, time.UTC)
	for _, st := range execution.Statuses() {
		x := execution.New(execution.Execution{ID: "exec_1"}, now)
		x.Status = st
		held, ok := x.Hold()
		if ok == st.Ended() {
			t.Errorf("%s: held %t", st, ok)
		}
		if st.Ended() {
			if _, ok := x.Release(now); ok || x.StatusReason() == execution.OrgPaused {
				t.Errorf("%s: an ended run was released", st)
			}
			continue
		}
		if _, again := held.Hold(); again {
			t.Errorf("%s: held twice", st)
		}
		for name, y := range map[string]execution.Execution{
			"held": held, "renewed": held.Renewed(now), "parked": held.Parked(now), "at a gate": held.AwaitingApproval(now),
		} {
			if !y.Due.IsZero() || y.StatusReason() != execution.OrgPaused || !y.ListedByStatus() {
				t.Errorf("%s, %s: due %s, %s", st, name, y.Due, y.StatusReason())
			}
		}
		if cancelled, err := held.Cancel(execution.CancelledByUser, "user_1", now); err != nil || cancelled.Held || cancelled.StatusReason() != execution.CancelledByUser {
			t.Errorf("%s: cancelled, it is %+v, %v", st, cancelled, err)
		}
		released, ok := held.Release(now)
		if !ok || released.Held || !released.Due.Equal(now.Add(execution.Grace)) || released.Status != st {
			t.Errorf("%s: released, it is %+v", st, released)
		}
		held.Lease.Until = now.Add(time.Minute)
		if released, _ := held.Release(now); !released.Due.Equal(held.Lease.Until.Add(execution.Grace)) {
			t.Errorf("%s: released while its worker is alive, it is due %s", st, released.Due)
		}
	}
}
