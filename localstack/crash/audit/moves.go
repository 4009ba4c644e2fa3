package audit

import (
	"slices"
	"strings"
	"time"
)

func ended(status string) bool {
	return status == "completed" || status == "failed" || status == "cancelled"
}

// follows reports whether a run may later be observed in the status is after the
// status was. Polling misses statuses, so a path of several moves counts too.
func follows(was, is string) bool {
	switch was {
	case "pending":
		return true
	case "running", "waiting_approval":
		return is != "pending"
	}
	return was == is
}

// moves checks the statuses of each run, and that the run has ended.
func (a *auditor) moves(o *index) {
	for _, r := range o.Runs {
		seen := append(slices.Clone(o.Moves[r.ID]), r.Status)
		for n := 1; n < len(seen); n++ {
			if !follows(seen[n-1], seen[n]) {
				a.note(MovesAreDrawn, o.Name, r.ID, "the run was %s", strings.Join(seen, ", then "))
				break
			}
		}
		if ended(r.Status) != (r.Ended != nil) {
			a.note(MovesAreDrawn, o.Name, r.ID, "the run is %s, but its completed_at is %v", r.Status, r.Ended)
		}
		a.ending(o, r)
	}
	for _, id := range o.Cancelled {
		if r := o.runs[id]; r.Status != "cancelled" {
			a.note(MovesAreDrawn, o.Name, id, "the API confirmed the cancellation, but the run is %s", r.Status)
		}
	}
	for id, s := range o.Still {
		if s.Lasted > Patience {
			a.note(NothingStuck, o.Name, id, "the run stood still for %v as %s", s.Lasted.Round(time.Second), s.Status)
		}
	}
}

// ending checks that a run has ended and that its steps agree with its status.
func (a *auditor) ending(o *index, r Run) {
	if !ended(r.Status) {
		a.note(NothingStuck, o.Name, r.ID, "the run is still %s", r.Status)
		return
	}
	failed := 0
	for _, s := range r.Steps {
		switch s.Status {
		case "pending", "running", "waiting":
			a.note(MovesAreDrawn, o.Name, r.ID, "the run is %s, but its step %s is %s", r.Status, s.ID, s.Status)
		case "failed":
			failed++
		}
	}
	if r.Status == "completed" && failed > 0 || r.Status == "failed" && failed != 1 {
		a.note(MovesAreDrawn, o.Name, r.ID, "the run is %s, but %d of its steps failed", r.Status, failed)
	}
	if r.Status != "completed" && r.Reason == "" {
		a.note(MovesAreDrawn, o.Name, r.ID, "the run is %s without a reason", r.Status)
	}
}

// verdicts checks that the approvals, the API's answers and the runs agree.
func (a *auditor) verdicts(o *index) {
	asked := map[string]string{}
	for _, p := range o.Approvals {
		at := p.Run + ":" + p.Step
		if other := asked[at]; other != "" {
			a.note(OneVerdict, o.Name, p.Run, "step %s has two approvals: %s and %s", p.Step, other, p.ID)
		}
		asked[at] = p.ID
		a.verdict(o, p)
	}
	for _, v := range o.Verdicts {
		a.told(o, v)
	}
	for _, r := range o.Runs {
		a.effect(o, r)
	}
}

func (a *auditor) verdict(o *index, p Approval) {
	r := o.runs[p.Run]
	if p.Status == "pending" && ended(r.Status) {
		a.note(OneVerdict, o.Name, p.Run, "%s is pending, but its run is %s", p.ID, r.Status)
	}
	if p.Decided != nil && p.By != "" && p.Decided.After(p.Expires) {
		a.note(OneVerdict, o.Name, p.Run, "%s was decided at %v, after it expired at %v", p.ID, *p.Decided, p.Expires)
	}
	if p.By != "" && r.Reason == "cancelled_by_user" && r.Ended != nil && p.Decided != nil && p.Decided.After(*r.Ended) {
		a.note(OneVerdict, o.Name, p.Run, "%s was decided at %v, after its run was cancelled at %v", p.ID, *p.Decided, *r.Ended)
	}
	if len(p.Votes) > 1 || len(p.Votes) == 1 && (p.Votes[0].Decision != p.Status || p.Votes[0].User != p.By) {
		a.note(OneVerdict, o.Name, p.Run, "%s is %s by %q, but the votes are %+v", p.ID, p.Status, p.By, p.Votes)
	}
	silent := p.Status == "expired" && o.steps[r.Agent+":"+p.Step].OnExpiry == "approve"
	refused := r.Reason == "approval_denied" || r.Reason == "approval_expired"
	switch {
	case (p.Status == "approved" || silent) && refused:
		a.note(OneVerdict, o.Name, p.Run, "%s is %s, but the run is %s because of %s", p.ID, p.Status, r.Status, r.Reason)
	case p.Status == "denied" && r.Reason != "approval_denied" && r.Reason != "cancelled_by_user",
		p.Status == "expired" && !silent && r.Reason != "approval_expired" && r.Reason != "cancelled_by_user":
		a.note(OneVerdict, o.Name, p.Run, "%s is %s, but the run is %s (%s)", p.ID, p.Status, r.Status, r.Reason)
	}
}

// told checks the API's answer to a decision against the stored approval.
func (a *auditor) told(o *index, v Verdict) {
	for _, p := range o.Approvals {
		if p.ID == v.Approval && v.Code == 200 && (v.Status != p.Status || v.Decision != p.Status || v.User != p.By) {
			a.note(OneVerdict, o.Name, p.Run, "the API told %s that %s is %s, but it is %s by %q", v.User, p.ID, v.Status, p.Status, p.By)
		}
	}
}

// effect checks that steps after a gate ran only after its approval.
func (a *auditor) effect(o *index, r Run) {
	var gate *Approval
	for _, s := range r.Steps {
		if s.Type == "approval_gate" {
			p, asked := o.asked[r.ID+":"+s.ID]
			if !asked {
				p = Approval{Status: "missing"}
			}
			gate = &p
			gate.Step = s.ID
			continue
		}
		c, done := o.done[r.ID+":"+s.ID]
		if gate == nil || !done {
			continue
		}
		silent := gate.Status == "expired" && o.steps[r.Agent+":"+gate.Step].OnExpiry == "approve"
		switch {
		case gate.Status != "approved" && !silent:
			a.note(OneVerdict, o.Name, r.ID, "step %s took effect, but the approval before it is %s", s.ID, gate.Status)
		case gate.Decided != nil && c.At.Before(*gate.Decided):
			a.note(OneVerdict, o.Name, r.ID, "step %s took effect at %v, before the verdict at %v", s.ID, c.At, *gate.Decided)
		}
	}
}
