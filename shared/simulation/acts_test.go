package simulation_test

import (
	"slices"

	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
)

// auditLog returns the entries of the audit log, the oldest first.
func (w *world) auditLog() []audit.Entry {
	w.Helper()
	var all []audit.Entry
	for q := (audit.Query{Limit: 1_000}); ; {
		page, err := w.store.Audit(w.over, w.org, q)
		w.must(err)
		all = append(all, page.Entries...)
		if q.After = page.Next; q.After == "" {
			slices.Reverse(all)
			return all
		}
	}
}

// auditActs compares the audit log with the records that name a person. The log alone
// has the votes that an escalation cleared, or that their voter replaced.
func (w *world) auditActs() {
	w.Helper()
	type act struct {
		kind   audit.Kind
		object string
		actor  id.Actor
		to     string
	}
	logged := map[act]int{}
	ways := map[string]int{} // by state of the organization: entries to it less entries from it
	for _, e := range w.auditLog() {
		a := act{kind: e.Kind, object: e.Object, actor: e.Actor}
		switch e.Kind {
		case audit.OrgPaused, audit.OrgResumed:
			ways[e.From]--
			ways[e.To]++
			continue
		case audit.ExecutionRetried:
			a.to = e.To
		case audit.ExecutionCancelled, audit.ApprovalApproved, audit.ApprovalDenied:
		default: // scenarios make other changes through the store, without an author
			continue
		}
		logged[a]++
	}
	now := "active"
	if org, err := w.store.Store.Tenant(w.over, w.org); err == nil && org.Pause.Active() {
		now = "paused, open runs: " + string(org.Pause.OpenRuns)
	}
	ways["active"]++ // where every organization begins
	ways[now]--
	for state, n := range ways {
		w.holds(recorded, n == 0, "the log leads %d times more to the state %q than from it; now it is %q", n, state, now)
	}

	want, denied := map[act]bool{}, map[string]bool{}
	for _, x := range w.runs() {
		denied[string(x.ID)] = x.Reason == execution.ApprovalDenied // a cancellation that finds the denial ends the run for it
		if x.Reason == execution.CancelledByUser {
			want[act{audit.ExecutionCancelled, string(x.ID), x.CancelledBy, ""}] = true
		}
		if x.By.ID != "" {
			want[act{audit.ExecutionRetried, string(x.RetryOf), id.Actor(x.By.ID), string(x.ID)}] = true
		}
	}
	var cleared []string
	for _, a := range w.questions() {
		_, steps := w.stored(a.Execution)
		if steps[a.Step].Escalated { // yesterday's version does not say so on the approval
			cleared = append(cleared, string(a.ID))
		}
		for _, v := range a.Votes {
			kind := audit.ApprovalDenied
			if v.Approve {
				kind = audit.ApprovalApproved
			}
			want[act{kind, string(a.ID), id.Actor(v.User), ""}] = true
		}
	}
	for a := range want {
		again := slices.Contains(cleared, a.object)
		w.holds(recorded, logged[a] == 1 || again && logged[a] == 2, "%d entries of %+v, want 1", logged[a], a)
	}
	for a := range logged {
		replaced := a
		replaced.kind = audit.ApprovalDenied
		stands := want[a] || a.kind == audit.ExecutionCancelled && denied[a.object] ||
			a.kind == audit.ApprovalApproved && (want[replaced] || slices.Contains(cleared, a.object))
		w.holds(recorded, stands, "the log has %+v, and no record names it", a)
	}
}
