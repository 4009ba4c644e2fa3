package audit_test

import (
	"encoding/json"
	"testing"
	"time"

	"theoneagents.app/agents/localstack/crash/audit"
)

func at(second int) *time.Time {
	t := time.Date(2026, 3, 9, 14, 23, second, 0, time.UTC)
	return &t
}

// sound returns evidence without violations: an organization with a run that used
// AI, waited for approval and acted, another with a denied run, and one dead letter.
func sound(t *testing.T) audit.Evidence {
	t.Helper()
	var steps []audit.Definition
	if err := json.Unmarshal([]byte(`[
		{"id": "think", "type": "ai_reason", "model": "quick"},
		{"id": "ask", "type": "approval_gate", "on_expiry": "deny"},
		{"id": "act", "type": "product_action"}]`), &steps); err != nil {
		t.Fatal(err)
	}
	org := func(name, mark string) audit.Org {
		a := audit.Agent{ID: "agent_" + mark, Name: "asker", Steps: steps, Stats: audit.Stats{Runs: 1, Credits: 5}}
		a.Trigger.Product, a.Trigger.Type = "psa", "ticket.created"
		r := audit.Run{
			ID: "exec_" + mark, Agent: a.ID, Status: "completed", Credits: 5, Created: *at(0), Ended: at(9), Text: "{}",
			Steps: []audit.Step{
				{ID: "think", Type: "ai_reason", Status: "completed", Credits: 5, Started: at(0), Ended: at(1)},
				{ID: "ask", Type: "approval_gate", Status: "completed", Started: at(1), Ended: at(5)},
				{ID: "act", Type: "product_action", Status: "completed", Started: at(5), Ended: at(9)},
			},
		}
		r.Event.ID = "evt_" + mark
		p := audit.Approval{ID: "appr_" + mark, Run: r.ID, Step: "ask", Status: "approved", Expires: *at(30), By: "user_bob", Decided: at(5)}
		vote(&p, "user_bob", "approved")
		one := 1.0
		a.Stats.Rate = &one
		return audit.Org{
			Name: name, Word: "word_" + mark, Agents: []audit.Agent{a}, Runs: []audit.Run{r}, Approvals: []audit.Approval{p},
			Activity: map[string][]audit.Activity{a.ID: {{Event: r.Event.ID, Outcome: "started", Run: r.ID}}},
			Credits:  audit.Credits{Used: 5, Allocation: 100, Remaining: 95, Agents: map[string]int{a.ID: 5}, Models: map[string]int{"quick": 5, "expert": 0}},
			Moves:    map[string][]string{r.ID: {"pending", "waiting_approval", "running"}},
			Verdicts: []audit.Verdict{{Approval: p.ID, User: "user_bob", Decision: "approved", Code: 200, Status: "approved"}},
		}
	}
	a, b := org("org_a", "a1"), org("org_b", "b1")
	deny(&b)
	return audit.Evidence{
		Orgs: []audit.Org{a, b},
		Published: []audit.Publication{
			{ID: "evt_a1", Org: "org_a", Name: "psa:ticket.created", Content: "one", At: *at(0)},
			{ID: "evt_b1", Org: "org_b", Name: "psa:ticket.created", Content: "two", At: *at(0)},
			{ID: "evt_bad", Org: "org_a", Name: "psa:ticket.created", Reason: "malformed", At: *at(0)},
		},
		Letters: []audit.Letter{{Reason: "malformed", Message: "no", Event: json.RawMessage(`{"id": "evt_bad"}`)}},
		Calls:   []audit.Call{call("org_a", "exec_a1:act", 6)},
		Lines: []audit.Line{
			{Function: "runner", Text: "exec_a1 of org_a"},
			{Function: "executions", Text: `{"msg":"request","status":404,"org_id":"org_b","object_id":"exec_a1"}`},
		},
	}
}

func vote(p *audit.Approval, user, decision string) {
	p.Votes = append(p.Votes, struct {
		User     string `json:"user_id"`
		Decision string `json:"decision"`
	}{user, decision})
}

func deny(o *audit.Org) {
	r, p := &o.Runs[0], &o.Approvals[0]
	r.Status, r.Reason, r.Steps[2].Status, r.Steps[2].Started = "cancelled", "approval_denied", "skipped", nil
	p.Status, p.Votes = "denied", nil
	vote(p, "user_bob", "denied")
	o.Verdicts[0].Decision, o.Verdicts[0].Status = "denied", "denied"
	o.Agents[0].Stats.Rate = nil
}

func call(org, key string, second int) audit.Call {
	return audit.Call{
		At: *at(second), Kind: "action", Product: "psa", Action: "add_note", Key: key, Org: org, Status: 200,
		Params: json.RawMessage(`{"body": "` + audit.Mark + key + `"}`),
	}
}

func TestSoundEvidenceHasNoViolations(t *testing.T) {
	t.Parallel()

	for _, v := range audit.Audit(sound(t)) {
		t.Error(v)
	}
	for _, v := range audit.Again(sound(t), sound(t)) {
		t.Error(v)
	}
}

func TestEachBrokenInvariantIsFound(t *testing.T) {
	t.Parallel()

	type spoil = func(e *audit.Evidence, a, b *audit.Org)
	for name, c := range map[string]struct {
		want  audit.Invariant
		spoil spoil
	}{
		"an event has no activity entry": {audit.EventsEnd, func(_ *audit.Evidence, _, b *audit.Org) {
			b.Activity, b.Runs, b.Approvals = nil, nil, nil
		}},
		"a refusal has no reason": {audit.EventsEnd, func(_ *audit.Evidence, a, _ *audit.Org) {
			a.Activity["agent_a1"] = append(a.Activity["agent_a1"], audit.Activity{Event: "evt_a1"})
		}},
		"the run of an activity entry is missing": {audit.EventsEnd, func(_ *audit.Evidence, a, _ *audit.Org) {
			a.Activity["agent_a1"] = append(a.Activity["agent_a1"], audit.Activity{Event: "evt_a1", Outcome: "started", Run: "exec_zz"})
		}},
		"a run has no activity entry": {audit.EventsEnd, func(_ *audit.Evidence, a, _ *audit.Org) { a.Activity = nil }},
		"a letter is missing":         {audit.EventsEnd, func(e *audit.Evidence, _, _ *audit.Org) { e.Letters = nil }},
		"a letter has another reason": {audit.EventsEnd, func(e *audit.Evidence, _, _ *audit.Org) { e.Letters[0].Reason = "too_large" }},
		"an event started two runs": {audit.OneRun, func(_ *audit.Evidence, a, _ *audit.Org) {
			r := a.Runs[0]
			r.ID = "exec_a2"
			a.Runs = append(a.Runs, r)
		}},
		"twins started a run each": {audit.OneRun, func(e *audit.Evidence, a, _ *audit.Org) {
			r := a.Runs[0]
			r.ID, r.Event.ID = "exec_a2", "evt_a2"
			a.Runs = append(a.Runs, r)
			e.Published = append(e.Published, audit.Publication{ID: "evt_a2", Org: "org_a", Name: "psa:ticket.created", Content: "one", At: *at(3)})
		}},
		"no user requested the retry": {audit.OneRun, func(_ *audit.Evidence, a, _ *audit.Org) {
			r := a.Runs[0]
			r.ID, r.RetryOf = "exec_a2", "exec_a1"
			a.Runs = append(a.Runs, r)
		}},
		"an action was done twice": {audit.OneEffect, func(e *audit.Evidence, _, _ *audit.Org) {
			e.Calls = append(e.Calls, call("org_a", "exec_a1:act", 7))
		}},
		"a try came under another key": {audit.OneEffect, func(e *audit.Evidence, _, _ *audit.Org) {
			c := call("org_a", "exec_a1:act", 7)
			c.Key, c.Repeated = "exec_a1:think", true
			e.Calls = append(e.Calls, c)
		}},
		"a key names no step": {audit.OneEffect, func(e *audit.Evidence, _, _ *audit.Org) {
			e.Calls = append(e.Calls, call("org_a", "exec_zz:act", 7))
		}},
		"a completed step was not done": {audit.OneEffect, func(e *audit.Evidence, _, _ *audit.Org) { e.Calls = nil }},
		"the allocation was overspent for a time": {audit.CreditsAddUp, func(_ *audit.Evidence, a, _ *audit.Org) {
			a.Balances = []audit.Credits{{Used: 90, Remaining: 11, Allocation: 100}}
		}},
		"remaining is negative": {audit.CreditsAddUp, func(_ *audit.Evidence, a, _ *audit.Org) { a.Credits.Remaining = -1 }},
		"an answer was charged twice": {audit.CreditsAddUp, func(_ *audit.Evidence, a, _ *audit.Org) {
			a.Credits.Used, a.Credits.Remaining = 10, 90
		}},
		"the agents' sum is wrong":  {audit.CreditsAddUp, func(_ *audit.Evidence, a, _ *audit.Org) { a.Credits.Agents["agent_a1"] = 4 }},
		"the models' sum is wrong":  {audit.CreditsAddUp, func(_ *audit.Evidence, a, _ *audit.Org) { a.Credits.Models["quick"] = 4 }},
		"an answer was not charged": {audit.CreditsAddUp, func(_ *audit.Evidence, a, _ *audit.Org) { a.Runs[0].Steps[0].Credits = 0 }},
		"the stats miss a run":      {audit.CreditsAddUp, func(_ *audit.Evidence, a, _ *audit.Org) { a.Agents[0].Stats.Runs = 0 }},
		"a run came back from its end": {audit.MovesAreDrawn, func(_ *audit.Evidence, a, _ *audit.Org) {
			a.Moves["exec_a1"] = []string{"failed"}
		}},
		"a run became pending again": {audit.MovesAreDrawn, func(_ *audit.Evidence, a, _ *audit.Org) {
			a.Moves["exec_a1"] = []string{"running", "pending"}
		}},
		"a step outlives its run": {audit.MovesAreDrawn, func(_ *audit.Evidence, a, _ *audit.Org) { a.Runs[0].Steps[2].Status = "running" }},
		"a confirmed cancellation is lost": {audit.MovesAreDrawn, func(_ *audit.Evidence, a, _ *audit.Org) {
			a.Cancelled = []string{"exec_a1"}
		}},
		"a run does not end": {audit.NothingStuck, func(_ *audit.Evidence, a, _ *audit.Org) {
			a.Runs[0].Status, a.Runs[0].Ended = "running", nil
		}},
		"a run stood still too long": {audit.NothingStuck, func(_ *audit.Evidence, a, _ *audit.Org) {
			a.Still = map[string]audit.Standstill{"exec_a1": {Lasted: 91 * time.Second}}
		}},
		"a denied run acted": {audit.OneVerdict, func(e *audit.Evidence, _, _ *audit.Org) {
			e.Calls = append(e.Calls, call("org_b", "exec_b1:act", 6))
		}},
		"a step acted before the verdict": {audit.OneVerdict, func(e *audit.Evidence, _, _ *audit.Org) { e.Calls[0].At = *at(2) }},
		"a denied run went on":            {audit.OneVerdict, func(_ *audit.Evidence, _, b *audit.Org) { b.Runs[0].Status, b.Runs[0].Reason = "completed", "" }},
		"an approved run was stopped":     {audit.OneVerdict, func(_ *audit.Evidence, a, _ *audit.Org) { a.Runs[0].Reason = "approval_denied" }},
		"a user got another answer":       {audit.OneVerdict, func(_ *audit.Evidence, _, b *audit.Org) { b.Verdicts[0].Status = "approved" }},
		"two users decided":               {audit.OneVerdict, func(_ *audit.Evidence, a, _ *audit.Org) { vote(&a.Approvals[0], "user_cem", "denied") }},
		"a verdict came after expiry":     {audit.OneVerdict, func(_ *audit.Evidence, a, _ *audit.Org) { a.Approvals[0].Expires = *at(4) }},
		"a verdict came after the cancellation": {audit.OneVerdict, func(_ *audit.Evidence, _, b *audit.Org) {
			b.Runs[0].Reason, b.Runs[0].Ended = "cancelled_by_user", at(4)
		}},
		"a step asks twice": {audit.OneVerdict, func(_ *audit.Evidence, a, _ *audit.Org) {
			p := a.Approvals[0]
			p.ID = "appr_a2"
			a.Approvals = append(a.Approvals, p)
		}},
		"a page names another's run": {audit.OrgsApart, func(_ *audit.Evidence, a, _ *audit.Org) {
			a.Pages = []audit.Page{{Path: "/api/executions", Text: `["exec_b1"]`}}
		}},
		"a page tells another's payload": {audit.OrgsApart, func(_ *audit.Evidence, a, _ *audit.Org) {
			a.Pages = []audit.Page{{Path: "/api/executions", Text: `["word_b1 is down"]`}}
		}},
		"a request found an object of another organization": {audit.OrgsApart, func(e *audit.Evidence, _, _ *audit.Org) {
			e.Lines = append(e.Lines, audit.Line{Function: "executions", Text: `{"msg":"request","status":200,"org_id":"org_b","object_id":"exec_a1"}`})
		}},
		"a log line names two organizations": {audit.OrgsApart, func(e *audit.Evidence, _, _ *audit.Org) {
			e.Lines = append(e.Lines, audit.Line{Function: "runner", Text: "exec_a1 org_b"})
		}},
		"a call carries another's data": {audit.OrgsApart, func(e *audit.Evidence, _, _ *audit.Org) {
			e.Calls[0].Params = json.RawMessage(`"try of exec_a1:act word_b1"`)
		}},
		"a foreign run can be read": {audit.OrgsApart, func(_ *audit.Evidence, a, _ *audit.Org) {
			a.Trespasses = []audit.Trespass{{Path: "GET /api/executions/exec_b1", Code: 200}}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			e := sound(t)
			c.spoil(&e, &e.Orgs[0], &e.Orgs[1])
			found := false
			for _, v := range audit.Audit(e) {
				found = found || v.Invariant == c.want
			}
			if !found {
				t.Errorf("found %v, and not %q", audit.Audit(e), c.want)
			}
		})
	}
}

func TestADifferenceAfterARepetitionIsFound(t *testing.T) {
	t.Parallel()

	for name, change := range map[string]func(e *audit.Evidence, a *audit.Org){
		"another run": func(_ *audit.Evidence, a *audit.Org) { a.Runs = append(a.Runs, audit.Run{ID: "exec_a2"}) },
		"a lost run":  func(_ *audit.Evidence, a *audit.Org) { a.Runs = nil },
		"a new trace": func(_ *audit.Evidence, a *audit.Org) { a.Runs[0].Text = "[]" },
		"a charge":    func(_ *audit.Evidence, a *audit.Org) { a.Credits.Used++ },
		"a verdict":   func(_ *audit.Evidence, a *audit.Org) { a.Approvals[0].By = "user_cem" },
		"the stats":   func(_ *audit.Evidence, a *audit.Org) { a.Agents[0].Stats.Runs++ },
		"an activity": func(_ *audit.Evidence, a *audit.Org) { a.Activity = nil },
		"another call": func(e *audit.Evidence, _ *audit.Org) {
			e.Calls = append(e.Calls, call("org_a", "exec_a1:act", 7))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			e := sound(t)
			change(&e, &e.Orgs[0])
			found := audit.Again(sound(t), e)
			if len(found) == 0 || found[0].Invariant != audit.AgainIsNoMore {
				t.Errorf("found %v", found)
			}
		})
	}
}
