package storetest

import (
	"fmt"
	"time"

	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
)

// asked stores a run that waits for approval, and returns the approval.
func asked(t trial, s Store, o id.Org, n int) approval.Approval {
	t.Helper()
	x := leased(t, s, begun(t, s, aRun(o, "agent_1", n)))
	a := approval.Approval{
		ID: id.Approval(fmt.Sprintf("appr_%05d", (n*7919)%100_000)), Org: o, Execution: x.ID, Agent: x.Agent, Version: 3, Step: "ask", StepName: "Ask",
		Message: "May I?", Status: approval.Pending, Min: 2, Token: "token", Created: x.Created, Expires: x.Created.Add(time.Hour),
		Remind: x.Created.Add(time.Minute),
		Actions: []approval.Action{
			{Step: "act", Product: "psa", Action: "add_note", Params: map[string]any{
				"n": int64(9007199254740993), "f": jsonvalue.Number("0.5"), "list": []any{"a", nil, true}, "o": map[string]any{"x": int64(1)},
			}},
			{Step: "later", Product: "psa", Action: "add_note"},
		},
		Then: []approval.Following{
			{Step: "act", Kind: definition.Action, Name: "Write it down", Certain: true},
			{Step: "way", Kind: definition.Branching, Certain: true, Branch: &approval.Way{Case: -1}},
			{Step: "open", Kind: definition.Branching, Branch: &approval.Way{Open: true}},
			{Step: "tell", Kind: definition.Notification, Within: &approval.Place{Step: "open", Case: 1}, Message: &approval.Message{
				Channel: definition.Email, Recipients: []string{"a@msp.example"}, More: 2, Text: &approval.Text{Subject: "Hi", Body: "ä\n", Cut: 3},
			}},
			{Step: "later", Kind: definition.Notification, Message: &approval.Message{Channel: definition.SMS}},
			{Step: "pause", Kind: definition.Waiting, Wait: &approval.Wait{Seconds: 60}},
			{Step: "until", Kind: definition.Waiting, Wait: &approval.Wait{Until: "2026-03-09T14:23:01Z"}},
		},
		Chat:      approval.Chat{Question: "May I?", Values: []string{"tkt_1"}, Cut: true},
		Approvers: approval.Approvers{Roles: []caller.Role{caller.Member}, Users: []id.User{"user_1"}},
		OnExpiry:  definition.Escalate, Escalated: true, Risk: catalog.Destructive,
		Behind: approval.Behind{
			Wrote: []id.Actor{"key_1", "user_9"}, Activated: []id.Actor{"user_2", "user_3"}, Started: []id.Actor{"user_4"}, Known: true,
		},
		Renews: &approval.Renewal{Approval: "appr_0", DecidedBy: "user_7", DecidedAt: day()}, KeptUntil: x.KeptUntil,
	}
	committed(t, s, execution.Change{Execution: x.AwaitingApproval(a.Expires), Gate: &a})
	a.Revision = 1
	return a
}

// voted returns the approval with one more vote.
func voted(a approval.Approval, st approval.Status) approval.Approval {
	a.Votes = append(a.Votes, approval.Vote{User: "user_1", Approve: true, Note: "yes", At: day().Add(123456789), Issued: day()})
	a.Status, a.DecidedBy, a.DecidedAt, a.Note = st, "user_1", day().Add(time.Minute), "yes"
	return a
}

func approvals() []promise {
	return []promise{
		{"an approval is read as it was written", func(t trial, s Store) {
			want := asked(t, s, anOrg(), 1)
			got, err := s.Approval(t.Context(), want.Org, want.ID)
			ok(t, err)
			same(t, "approval", got, want)
		}},
		{"an approval that does not exist is not found", func(t trial, s Store) {
			_, err := s.Approval(t.Context(), anOrg(), "appr_1")
			is(t, err, approval.ErrNotFound)
		}},
		{"a decision is read as it was written, and its run is due", func(t trial, s Store) {
			want := voted(asked(t, s, anOrg(), 1), approval.Approved)
			before, err := s.Header(t.Context(), want.Org, want.Execution)
			ok(t, err)
			due := day().Add(42 * time.Second)
			ok(t, s.SaveDecision(t.Context(), want, due))
			want.Revision = 2
			got, err := s.Approval(t.Context(), want.Org, want.ID)
			ok(t, err)
			same(t, "approval", got, want)
			after, err := s.Header(t.Context(), want.Org, want.Execution)
			ok(t, err)
			before.Due = due
			same(t, "run", after, before)
		}},
		{"one of many racing decisions wins", func(t trial, s Store) {
			a := asked(t, s, anOrg(), 1)
			won := race(t, racers, approval.ErrStale, func(int) error {
				return s.SaveDecision(t.Context(), voted(a, approval.Denied), day())
			})
			same(t, "winners", won, 1)
		}},
		{"many people's votes are all counted", func(t trial, s Store) {
			a := asked(t, s, anOrg(), 1)
			race(t, 20, nil, func(int) error {
				return insist(approval.ErrStale, func() error {
					now, err := s.Approval(t.Context(), a.Org, a.ID)
					if err != nil {
						return err
					}
					return s.SaveDecision(t.Context(), voted(now, approval.Pending), day())
				})
			})
			got, err := s.Approval(t.Context(), a.Org, a.ID)
			ok(t, err)
			same(t, "votes", len(got.Votes), 20)
		}},
		{"a run that no longer waits accepts no decision", func(t trial, s Store) {
			a := asked(t, s, anOrg(), 1)
			x, err := s.Header(t.Context(), a.Org, a.Execution)
			ok(t, err)
			x.Status = execution.Running
			committed(t, s, execution.Change{Execution: x})
			is(t, s.SaveDecision(t.Context(), voted(a, approval.Approved), day()), approval.ErrStale)
			got, err := s.Approval(t.Context(), a.Org, a.ID)
			ok(t, err)
			same(t, "approval", got, a)
		}},
		{"either a decision or a cancellation wins", func(t trial, s Store) {
			a := asked(t, s, anOrg(), 1)
			x, err := s.Header(t.Context(), a.Org, a.Execution)
			ok(t, err)
			closed := a.Close(day())
			x, err = x.Cancel(execution.CancelledByUser, "user_1", day())
			ok(t, err)
			won := race(t, racers, approval.ErrStale, func(i int) error {
				if i%2 == 0 {
					return s.SaveDecision(t.Context(), voted(a, approval.Approved), day())
				}
				return s.Commit(t.Context(), execution.Change{Execution: x, Gate: &closed})
			})
			same(t, "winners", won, 1)
		}},
		{"approvals are listed newest first, by status, without duplicates or gaps", func(t trial, s Store) {
			o := anOrg()
			var all, denied []id.Approval
			for n := range 25 {
				a := asked(t, s, o, n)
				all = append([]id.Approval{a.ID}, all...)
				if n%3 == 0 {
					ok(t, s.SaveDecision(t.Context(), voted(a, approval.Denied), day()))
					denied = append([]id.Approval{a.ID}, denied...)
				}
			}
			n := 100
			walk := func(q approval.Query) (ids []id.Approval) {
				for {
					p, err := s.Approvals(t.Context(), o, q)
					ok(t, err)
					for _, a := range p.Approvals {
						ids = append(ids, a.ID)
					}
					if p.Next == "" {
						return ids
					}
					q.After = p.Next
					n++
					asked(t, s, o, n)
				}
			}
			same(t, "all", walk(approval.Query{Limit: 4}), all)
			same(t, "denied", walk(approval.Query{Limit: 4, Status: approval.Denied}), denied)
			same(t, "expired", len(walk(approval.Query{Limit: 4, Status: approval.Expired})), 0)
		}},
		{"an approval is listed under its current status, also behind many of other statuses", func(t trial, s Store) {
			o := anOrg()
			first := asked(t, s, o, 0)
			for n := range 30 {
				ok(t, s.SaveDecision(t.Context(), voted(asked(t, s, o, 1+n), approval.Denied), day()))
			}
			listed := func(st approval.Status) (ids []id.Approval) {
				p, err := s.Approvals(t.Context(), o, approval.Query{Limit: 1, Status: st})
				ok(t, err)
				for _, a := range p.Approvals {
					ids = append(ids, a.ID)
				}
				return ids
			}
			same(t, "pending", listed(approval.Pending), []id.Approval{first.ID})
			ok(t, s.SaveDecision(t.Context(), voted(first, approval.Pending), day()))
			first.Revision++
			same(t, "after a vote", listed(approval.Pending), []id.Approval{first.ID})
			x, err := s.Header(t.Context(), o, first.Execution)
			ok(t, err)
			first.Status = approval.Expired
			committed(t, s, execution.Change{Execution: x, Gate: &first})
			same(t, "pending, afterwards", listed(approval.Pending), nil)
			same(t, "expired, afterwards", listed(approval.Expired), []id.Approval{first.ID})
			same(t, "approved", listed(approval.Approved), nil)
		}},
	}
}
