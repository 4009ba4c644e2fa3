package stories_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// gateWith returns a gate of ten seconds with more fields.
func gateWith(more doc) doc {
	g := gate(10)
	maps.Copy(g, more)
	return g
}

// runBeside waits for an execution of the organization beside known ones and returns its id.
// Executions of one second are listed in the order of their ids, not of their creation.
func (o *org) runBeside(known ...string) (other string) {
	o.t.Helper()
	o.eventually("another execution exists", func() bool {
		for _, x := range o.runs() {
			if x := text(x, "id"); !slices.Contains(known, x) {
				other = x
			}
		}
		return other != ""
	})
	return other
}

func TestAGateWaitsForAllApprovalsOrOneDenial(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	o.agent(gateWith(doc{"timeout_seconds": 600, "min_approvals": 2, "approvers": doc{"roles": []any{"member"}}}), isolate())
	ann, ben := o.as("user_ann", "admin"), o.as("user_ben", "member")

	o.escalate()
	exec := o.run()
	approval := o.approvalOf(exec)
	for range 2 { // a repeated vote by the same person does not count twice
		a := o.must(http.StatusOK, ann.decide(approval, "approved"))
		if text(a, "status") != "pending" || len(list(a, "votes")) != 1 || at(a, "decided_by") != nil {
			t.Errorf("after Ann's vote: %v", a)
		}
	}
	if n := len(o.calls("isolate_device")); n != 0 {
		t.Errorf("%d devices were isolated after one of two approvals", n)
	}
	a := o.must(http.StatusOK, ben.decide(approval, "approved"))
	if text(a, "status") != "approved" || len(list(a, "votes")) != 2 || text(a, "decided_by") != "user_ben" {
		t.Errorf("after Ben's vote: %v", a)
	}
	if x := o.ends(exec); text(x, "status") != "completed" || len(o.done("isolate_device")) != 1 {
		t.Errorf("%s with %d devices isolated", text(x, "status"), len(o.done("isolate_device")))
	}

	o.escalate()
	exec = o.runBeside(exec)
	approval = o.approvalOf(exec)
	o.must(http.StatusOK, ann.decide(approval, "approved"))
	if a := o.must(http.StatusOK, ben.decide(approval, "denied")); text(a, "status") != "denied" {
		t.Errorf("after Ben's denial: %v", a)
	}
	if r := o.as("user_cid", "owner").decide(approval, "approved"); r.status != http.StatusConflict {
		t.Errorf("a vote after the denial: %d %v", r.status, r.body)
	}
	if x := o.ends(exec); text(x, "status_reason") != "approval_denied" || len(o.calls("isolate_device")) != 1 {
		t.Errorf("%v with %d devices isolated in all", at(x, "status_reason"), len(o.calls("isolate_device")))
	}
}

func TestATimeoutApprovesWhereTheGateSaysSo(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	o.agent(gateWith(doc{"on_expiry": "approve"}), note("tell", "hello"))
	o.escalate()
	exec := o.run()
	approval := o.approvalOf(exec)
	x := o.ends(exec)
	if text(x, "status") != "completed" || len(o.done("add_note")) != 1 {
		t.Errorf("%s with %d notes, want completed with one", text(x, "status"), len(o.done("add_note")))
	}
	a := o.must(http.StatusOK, o.get("/api/approvals/"+approval))
	if text(a, "status") != "expired" || at(a, "decided_by") != nil {
		t.Errorf("approval = %v, want it expired without a decider", a)
	}
	if r := o.decide(approval, "denied"); r.status != http.StatusConflict || text(r.body, "error") != "approval_expired" {
		t.Errorf("a late vote: %d %v", r.status, r.body)
	}
}

// One approval from its first message to its decision: the message has the link
// and the actions, the approver is reminded, and after a timeout the gate
// escalates to another person.
func TestAnApprovalIsRemindedAndEscalated(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	hook := strings.NewReplacer("{org}", o.name, "{channel}", "webhook").Replace(o.outputs.Hook)
	o.agent(gateWith(doc{
		"timeout_seconds": 14,
		"notify":          []any{doc{"channel": "webhook", "recipients": []any{hook}}},
		"on_expiry":       "escalate",
		"escalate_to":     doc{"users": []any{"user_mia"}, "timeout_seconds": 600},
	}), doc{
		"id": "isolate", "type": "product_action", "product": "defend", "action": "isolate_device",
		"params": doc{"device_id": "dev_1", "reason": "{{ event_payload.escalated_to | upcase }} of {{ event_payload.ticket_id }}"},
	})
	ticket := o.escalate()
	exec := o.run()
	approval := o.approvalOf(exec)
	mia := o.as("user_mia", "member")

	first := o.must(http.StatusOK, mia.get("/api/approvals/"+approval))
	params := doc{"device_id": "dev_1", "reason": "P1 of " + ticket}
	want := doc{"message": "Isolate " + ticket + "?", "actions": []any{
		doc{
			"step_id": "isolate", "product": "defend", "action": "isolate_device", "params": params,
			"display_name": "Isolate Device", "destructive": true,
		},
	}}
	shows, _ := at(first, "shows").(doc)
	if diff := cmp.Diff(want, doc{"message": shows["message"], "actions": shows["actions"]}); diff != "" {
		t.Errorf("shows (-want +got)\n%s", diff)
	}
	if r := mia.decide(approval, "approved"); r.status != http.StatusForbidden {
		t.Errorf("a member who is not an approver: %d %v", r.status, r.body)
	}

	second := first
	o.eventually("the approval has a new deadline", func() bool {
		second = o.must(http.StatusOK, o.get("/api/approvals/"+approval))
		return text(second, "expires_at") != text(first, "expires_at")
	})
	if text(second, "status") != "pending" || seconds(t, first, second, "expires_at") < 600 {
		t.Errorf("escalated: %s until %s, before until %s", text(second, "status"), text(second, "expires_at"), text(first, "expires_at"))
	}
	o.eventually("three messages have arrived", func() bool { return len(o.calls("webhook")) == 3 })
	var subjects []string
	for _, c := range o.calls("webhook") {
		subjects = append(subjects, text(c, "body", "subject"))
		body := text(c, "body", "body")
		for _, part := range []string{"Isolate “" + ticket + "”?", "/approvals/" + approval, "defend.isolate_device", "P1 of " + ticket} {
			if !strings.Contains(body, part) {
				t.Errorf("the message does not contain %s:\n%s", part, body)
			}
		}
	}
	if diff := cmp.Diff([]string{
		"Story agent waits for approval", "Reminder: Story agent waits for approval", "Escalated: Story agent waits for approval",
	}, subjects); diff != "" {
		t.Errorf("messages (-want +got)\n%s", diff)
	}
	if early := moment(t, o.calls("webhook")[1], "at").Sub(moment(t, first, "created_at")); early < 6*time.Second || early > 13*time.Second {
		t.Errorf("the reminder came after %v of 14s, want about half", early)
	}

	o.must(http.StatusOK, mia.decide(approval, "approved"))
	x := o.ends(exec)
	if text(x, "status") != "completed" || text(x, "steps", 0, "output", "decided_by") != "user_mia" {
		t.Errorf("%s, gate %v", text(x, "status"), at(x, "steps", 0, "output"))
	}
	if calls := o.done("isolate_device"); len(calls) != 1 || !cmp.Equal(at(calls[0], "params"), any(params)) {
		t.Errorf("the product received %v, want %v once", calls, params)
	}
}

// moment returns the time in a field.
func moment(t *testing.T, v any, field string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text(v, field))
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w", field, err))
	}
	return at
}

// seconds returns the seconds between the same field of two documents.
func seconds(t *testing.T, from, to any, field string) float64 {
	t.Helper()
	return moment(t, to, field).Sub(moment(t, from, field)).Seconds()
}

// hookOf returns the address of a channel's stand-in.
func (o *org) hookOf(channel string) string {
	return strings.NewReplacer("{org}", o.name, "{channel}", channel).Replace(o.outputs.Hook)
}

// header returns the header of a message to Slack.
func header(call any) string { return text(call, "body", "blocks", 0, "text", "text") }

func TestApproversInSlackReceiveTheOutcomeThere(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		seconds int
		happens func(o *org, exec, approval string)
		header  string
		says    string
		on      string
	}{
		"approved": {600, func(o *org, _, approval string) {
			o.must(http.StatusOK, o.as("user_ann", "admin").decide(approval, "approved"))
		}, "Approved: Story agent", "Approved by user_ann.", "decided"},
		"denied": {600, func(o *org, _, approval string) {
			o.must(http.StatusOK, o.as("user_ann", "admin").decide(approval, "denied"))
		}, "Denied: Story agent", "Denied by user_ann.", "decided"},
		"expired": {
			10, func(*org, string, string) {}, "Expired: Story agent no longer waits for approval", "No decision was made in time.", "expired",
		},
		"cancelled": {600, func(o *org, exec, _ string) {
			o.must(http.StatusOK, o.post("/api/executions/"+exec+"/cancel", nil))
		}, "Withdrawn: Story agent no longer waits for approval", "A user cancelled the execution.", "withdrawn"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := open(t).tenant(t)
			o.agent(gateWith(doc{
				"timeout_seconds": tc.seconds, "notify": []any{doc{"channel": "slack", "recipients": []any{o.hookOf("slack")}}},
			}), note("tell", "hello"))
			o.escalate()
			exec := o.run()
			approval := o.approvalOf(exec)
			o.eventually("the request for approval has arrived", func() bool { return len(o.calls("slack")) > 0 })
			tc.happens(o, exec, approval)
			var last any
			o.eventually("Slack receives the outcome", func() bool {
				calls := o.calls("slack")
				last = calls[len(calls)-1]
				return header(last) == tc.header
			})
			if said := fmt.Sprint(at(last, "body")); !strings.Contains(said, tc.says) || !strings.Contains(said, "/approvals/"+approval) {
				t.Errorf("Slack received %s", said)
			}
			o.ends(exec)
			o.eventually("the trace has it", func() bool {
				x := o.must(http.StatusOK, o.get("/api/executions/"+exec))
				return text(x, "steps", 0, "output", "notified", tc.on, 0, "recipients", 0, "status") == "sent"
			})
			outcomes := 0
			for _, c := range o.calls("slack") {
				if header(c) == tc.header {
					outcomes++
				}
			}
			if outcomes != 1 {
				t.Errorf("Slack received the outcome %d times", outcomes)
			}
		})
	}
}

func TestTheSecondLineIsNotifiedAfterTheFirstTimesOut(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	o.agent(gateWith(doc{
		"notify": []any{doc{"channel": "slack", "recipients": []any{o.hookOf("slack")}}}, "on_expiry": "escalate",
		"escalate_to": doc{
			"users": []any{"user_mia"}, "timeout_seconds": 600,
			"notify": []any{doc{"channel": "teams", "recipients": []any{o.hookOf("teams")}}},
		},
	}), isolate())
	o.escalate()
	exec := o.run()
	approval := o.approvalOf(exec)
	mia := o.as("user_mia", "member")
	for _, tc := range []struct {
		who  *org
		name string
		may  bool
	}{
		{o, "the owner", true},
		{o.as("user_ada", "admin"), "an admin", true},
		{mia, "who is not an approver yet", false},
		{o.as("user_vera", "viewer"), "a viewer", false},
	} {
		a := tc.who.must(http.StatusOK, tc.who.get("/api/approvals/"+approval))
		if at(a, "can_decide") != tc.may || at(a, "escalated") != false || text(a, "on_expiry") != "escalate" {
			t.Errorf("%s: %v", tc.name, a)
		}
	}
	o.eventually("the second line is notified", func() bool { return len(o.calls("teams")) == 1 })
	a := mia.must(http.StatusOK, mia.get("/api/approvals/"+approval))
	want := doc{"roles": []any{"owner", "admin"}, "users": []any{"user_mia"}}
	if diff := cmp.Diff(want, at(a, "approvers")); diff != "" || at(a, "can_decide") != true || at(a, "escalated") != true {
		t.Errorf("after the escalation: %v\n%s", a, diff)
	}
	listed := mia.must(http.StatusOK, mia.get("/api/approvals?status=pending"))
	if at(listed, "approvals", 0, "can_decide") != true || number(listed, "approvals", 0, "min_approvals") != 1 {
		t.Errorf("listed: %v", listed)
	}
	a = mia.must(http.StatusOK, mia.decide(approval, "approved"))
	if at(a, "can_decide") != false || number(a, "approvals_given") != 1 {
		t.Errorf("after the decision: %v", a)
	}
	o.eventually("both lines receive the outcome", func() bool { return len(o.calls("teams")) == 2 && len(o.calls("slack")) >= 3 })
	if calls := o.calls("slack"); header(calls[len(calls)-1]) != "Approved: Story agent" {
		t.Errorf("Slack received %v", calls)
	}
}

func TestAGateShowsTheMessagesAndBranchesThatFollow(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	hook := o.hookOf("webhook")
	o.agent(gateWith(doc{"timeout_seconds": 600}), isolate(), doc{
		"id": "which", "type": "branch",
		"cases": []any{doc{"when": doc{"field": "escalated_to", "operator": "eq", "value": "p1"}, "steps": []any{doc{
			"id": "inform", "type": "notification", "channel": "webhook", "recipients": []any{hook},
			"subject": "Isolated", "body": "For {{ event_payload.ticket_id }}, escalated to {{ event_payload.escalated_to }}.",
		}}}},
		"else": []any{note("other", "no")},
	})
	ticket := o.escalate()
	exec := o.run()
	approval := o.approvalOf(exec)
	a := o.must(http.StatusOK, o.get("/api/approvals/"+approval))
	said := "For " + ticket + ", escalated to p1."
	want := []any{
		doc{
			"step_id": text(a, "shows", "then", 0, "step_id"), "type": "product_action", "name": nil, "certain": true,
			"within": nil, "message": nil, "branch": nil, "wait": nil,
		},
		doc{
			"step_id": "which", "type": "branch", "name": nil, "certain": true,
			"within": nil, "message": nil, "branch": doc{"taken": "case", "case": float64(0)}, "wait": nil,
		},
		doc{
			"step_id": "inform", "type": "notification", "name": nil, "certain": true,
			"within": doc{"step_id": "which", "taken": "case", "case": float64(0)},
			"message": doc{
				"channel": "webhook", "recipients": []any{hook}, "recipients_left_out": float64(0),
				"subject": "Isolated", "text": said, "text_left_out": float64(0),
			},
			"branch": nil, "wait": nil,
		},
	}
	if diff := cmp.Diff(want, at(a, "shows", "then")); diff != "" {
		t.Errorf("shows.then (-want +got)\n%s", diff)
	}
	o.must(http.StatusOK, o.decide(approval, "approved"))
	o.ends(exec)
	if calls := o.calls("webhook"); len(calls) != 1 || text(calls[0], "body", "body") != said {
		t.Errorf("the webhook received %v", calls)
	}
}
