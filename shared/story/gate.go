package story

import (
	"fmt"
	"slices"
	"time"

	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
)

// The words of a gate: whom it asked, whom it reminded, to whom the question passed, who
// decided. The record has the times of the question and of the decision. A reminder and an
// escalation are told at the time at which they were due.

// asking tells of a gate that waits for a decision.
func asking(t *telling, s execution.TraceEntry) {
	t.asked(s, s.StepRecord)
	at, until := s.Asked, s.Asked.Add(s.Definition.TimeLimit())
	if s.Escalated {
		at, until = until, until.Add(patience(s))
	}
	t.say(at, s.ID, fmt.Sprintf("The run waits for the decision at %s until %s; without one, %s.", nameOf(s), Clock(until), expiry(rule(s), s.Escalated)))
}

// decided tells of a gate with a decision, and of the earlier times that it asked.
func decided(t *telling, s execution.TraceEntry) {
	t.asked(s, s.StepRecord)
	t.decision(s, s.StepRecord)
}

// round tells of an earlier round of a gate that asked again.
func (t *telling) round(s execution.TraceEntry, r execution.StepRecord) {
	t.question(s, r)
	t.decision(s, r)
}

// again tells why a gate asked again.
func (t *telling) again(s execution.TraceEntry) {
	at := s.Asked
	if last := len(s.Earlier) - 1; at.IsZero() && last >= 0 {
		at = s.Earlier[last].ApprovedAt().Add(execution.VerdictLasts)
	}
	t.say(at, s.ID, fmt.Sprintf("The approval at %s was older than %s when a destructive action was next, so it must be given again.",
		nameOf(s), lasting(execution.VerdictLasts)))
}

// asked tells of the question of the present round, after those before it.
func (t *telling) asked(s execution.TraceEntry, r execution.StepRecord) {
	for _, earlier := range s.Earlier {
		t.round(s, earlier)
	}
	if r.Round > 0 {
		t.again(s)
	}
	t.question(s, r)
}

// question tells whom a gate asked and what became of its messages.
func (t *telling) question(s execution.TraceEntry, r execution.StepRecord) {
	g := s.Definition.GateStep
	if g == nil {
		t.say(r.Asked, s.ID, fmt.Sprintf("People were asked at %s.", nameOf(s)))
		return
	}
	input, _ := r.Input.(map[string]any)
	text, _ := input["message"].(string)
	if text != "" {
		text = ": " + quoted(text, maxReason)
	}
	needed := ""
	if g.Min() > 1 {
		needed = fmt.Sprintf("%d of them must approve.", g.Min())
	}
	t.say(r.Asked, s.ID, fmt.Sprintf("The step %s asked %s%s.", nameOf(s), people(g.Approvers), text), needed)
	limit := s.Definition.TimeLimit()
	t.told(s, r, r.Asked, execution.OnAsked)
	t.told(s, r, r.Asked.Add(limit/2), execution.OnReminded)
	if !r.Escalated || g.EscalateTo == nil {
		return
	}
	passed := r.Asked.Add(limit)
	t.say(passed, s.ID, fmt.Sprintf("The question at %s was not decided within %s, so it passed to %s.", nameOf(s), lasting(limit), people(g.EscalateTo.Approvers)))
	t.told(s, r, passed, execution.OnEscalated)
	t.told(s, r, passed.Add(patience(s)/2), execution.OnRemindedAgain)
}

// decision tells who decided, and what the people who were asked were told.
func (t *telling) decision(s execution.TraceEntry, r execution.StepRecord) {
	output, _ := r.Output.(map[string]any)
	said, _ := output["decision"].(string)
	by, _ := output["decided_by"].(string)
	note, _ := output["note"].(string)
	if by == "" {
		by = "A person"
	}
	if note != "" {
		note = ", with the note " + quoted(note, maxReason)
	}
	at := r.Decided
	if at.IsZero() {
		at = r.Ended
	}
	t.say(at, s.ID, verdict(approval.Status(said), by, nameOf(s), note, rule(s)))
	t.told(s, r, at, execution.OnDecided, execution.OnExpired, execution.OnWithdrawn)
}

// verdict says what became of a question.
func verdict(said approval.Status, by, name, note string, rule definition.OnExpiry) string {
	switch said {
	case approval.Approved:
		return by + " approved at " + name + note + "."
	case approval.Denied:
		return by + " denied at " + name + note + "."
	case approval.Expired:
		if rule == definition.Approve {
			return "The question at " + name + " was not decided in time. The run went on, as the agent says."
		}
		return "The question at " + name + " was not decided in time."
	case approval.Pending:
		return "The question at " + name + " is not decided."
	}
	return "The question at " + name + " was decided." // of a newer release
}

// told tells of the messages of a gate on these occasions, one line for each channel.
func (t *telling) told(s execution.TraceEntry, r execution.StepRecord, at time.Time, on ...execution.Occasion) {
	all := execution.NotifiedIn(r.Output)
	for _, o := range on {
		for _, d := range all[o] {
			if len(d.Recipients) > 0 || d.NotTold != "" {
				t.say(at, s.ID, occasion(o), delivered(d))
			}
		}
	}
}

// rule returns what happens at a gate without a decision.
func rule(s execution.TraceEntry) definition.OnExpiry {
	if s.Definition.GateStep == nil {
		return definition.Deny
	}
	return s.Definition.Expiry()
}

// patience returns how long a question waits after it passed to others.
func patience(s execution.TraceEntry) time.Duration {
	if g := s.Definition.GateStep; g != nil && g.EscalateTo != nil && g.EscalateTo.Timeout > 0 {
		return time.Duration(g.EscalateTo.Timeout) * time.Second
	}
	return definition.DefaultGate * time.Second
}

// people returns the people who may decide: owners and admins always.
func people(a definition.Approvers) string {
	who := []string{"the owners", "admins"}
	if slices.Contains(a.Roles, "member") {
		who = append(who, "members")
	}
	for _, u := range a.Users {
		who = append(who, string(u))
	}
	return listed(who, maxListed)
}
