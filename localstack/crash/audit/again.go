package audit

import (
	"encoding/json"
	"reflect"
)

// Again returns the differences after every input was repeated.
func Again(before, after Evidence) []Violation {
	a := &auditor{}
	for n, was := range before.Orgs {
		is := after.Orgs[n]
		runs := map[string]Run{}
		for _, r := range was.Runs {
			runs[r.ID] = r
		}
		for _, r := range is.Runs {
			old, known := runs[r.ID]
			delete(runs, r.ID)
			switch {
			case !known:
				a.note(AgainIsNoMore, was.Name, r.ID, "the run is new: event %s started it for %s, whose activity had %q for the event", r.Event.ID, r.Agent, was.said(r))
			case old.Text != r.Text:
				a.note(AgainIsNoMore, was.Name, r.ID, "the run was %.500s and is %.500s", old.Text, r.Text)
			}
		}
		for id := range runs {
			a.note(AgainIsNoMore, was.Name, id, "the run is missing")
		}
		a.same(was.Name, "credits", was.Credits, is.Credits)
		a.same(was.Name, "approvals", was.Approvals, is.Approvals)
		a.same(was.Name, "agents", was.Agents, is.Agents)
		a.kept(was, is)
	}
	if was, is := done(before.Calls), done(after.Calls); was != is {
		a.note(AgainIsNoMore, "", "", "%d calls had an effect before, and %d have one now", was, is)
	}
	return a.found
}

func (a *auditor) same(org, subject string, was, is any) {
	if !reflect.DeepEqual(was, is) {
		a.note(AgainIsNoMore, org, "", "the %s were %.500s and are %.500s", subject, asText(was), asText(is))
	}
}

func asText(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// said returns the outcome in the agent's activity for the event that started r.
func (o Org) said(r Run) string {
	for _, e := range o.Activity[r.Agent] {
		if e.Event == r.Event.ID {
			return e.Outcome
		}
	}
	return ""
}

// kept checks that no activity entry changed or vanished; new entries are allowed.
func (a *auditor) kept(was, is Org) {
	for agent, entries := range was.Activity {
		now := map[Activity]bool{}
		for _, e := range is.Activity[agent] {
			now[e] = true
		}
		for _, e := range entries {
			if !now[e] {
				a.note(AgainIsNoMore, was.Name, e.Run, "the activity of %s no longer has the entry %+v", agent, e)
			}
		}
	}
}

func done(calls []Call) int {
	n := 0
	for _, c := range calls {
		if c.Done() {
			n++
		}
	}
	return n
}
