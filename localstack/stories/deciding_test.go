package stories_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// forbidden reports a reply that is not a 403 with this in its sentence.
func (o *org) forbidden(what string, r reply, why string) {
	o.t.Helper()
	if r.status != http.StatusForbidden || text(r.body, "error") != "forbidden" || !strings.Contains(text(r.body, "message"), why) {
		o.t.Errorf("%s: %d %v, want 403 with %q", what, r.status, r.body, why)
	}
}

// canDecide returns what an approval and the list of approvals say to a person.
func (o *org) canDecide(approval string) bool {
	o.t.Helper()
	alone := at(o.must(http.StatusOK, o.get("/api/approvals/"+approval)), "can_decide") == true
	for _, a := range list(o.must(http.StatusOK, o.get("/api/approvals")), "approvals") {
		if text(a, "id") == approval && (at(a, "can_decide") == true) != alone {
			o.t.Errorf("the list and the approval disagree about can_decide of %s", o.user)
		}
	}
	return alone
}

// A member writes, activates and triggers the isolation of a device. Another
// person decides, and a denial is not answered by a retry.
func TestWhoSetsUpAnIsolationDoesNotDecideIt(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	dan, mia, olga := o.as("user_dan", "member"), o.as("user_mia", "member"), o.as("user_olga", "owner")
	members := gateWith(doc{"timeout_seconds": 600, "approvers": doc{"roles": []any{"member"}}})
	agent := dan.agent(members, isolate())

	dan.escalate()
	exec := o.run()
	approval := o.approvalOf(exec)
	if dan.canDecide(approval) || !mia.canDecide(approval) || !olga.canDecide(approval) {
		t.Error("can_decide is wrong for the author, another member or an owner")
	}
	o.forbidden("the author approves", dan.decide(approval, "approved"), "You wrote this version of the agent")
	o.forbidden("the author denies", dan.decide(approval, "denied"), "may decide")
	if len(o.calls("isolate_device")) != 0 {
		t.Error("the device is isolated without a verdict")
	}
	o.must(http.StatusOK, mia.decide(approval, "denied"))
	if x := o.ends(exec); text(x, "status_reason") != "approval_denied" {
		t.Errorf("the execution ended as %v", x)
	}
	o.forbidden("the author retries", dan.post("/api/executions/"+exec+"/retry", doc{}), "A person denied approval")

	again := text(o.must(http.StatusCreated, mia.post("/api/executions/"+exec+"/retry", doc{})), "id")
	approval = o.approvalOf(again)
	o.forbidden("the retrier approves", mia.decide(approval, "approved"), "You started this execution")
	o.must(http.StatusOK, dan.post("/api/executions/"+again+"/cancel", doc{}))
	o.ends(again)
	o.forbidden("the author retries the cancelled retry", dan.post("/api/executions/"+again+"/retry", doc{}), "A person denied approval")
	third := text(o.must(http.StatusCreated, olga.post("/api/executions/"+again+"/retry", doc{})), "id")
	approval = o.approvalOf(third)
	o.must(http.StatusOK, olga.decide(approval, "approved"))
	if x := o.ends(third); text(x, "status") != "completed" || len(o.done("isolate_device")) != 1 {
		t.Errorf("the execution is %v with %d devices isolated", at(x, "status"), len(o.done("isolate_device")))
	}

	o.must(http.StatusOK, olga.call(http.MethodPatch, "/api/settings", doc{"policy": doc{"self_approval": "deny"}}))
	o.must(http.StatusOK, olga.call(http.MethodPut, "/api/agents/"+agent, doc{"status": "paused"}))
	o.must(http.StatusOK, olga.call(http.MethodPut, "/api/agents/"+agent, doc{"status": "active"}))
	fourth := text(o.must(http.StatusCreated, olga.post("/api/executions/"+again+"/retry", doc{})), "id")
	approval = o.approvalOf(fourth)
	if olga.canDecide(approval) || !o.as("user_otto", "owner").canDecide(approval) {
		t.Error("can_decide is wrong for an owner under self_approval deny")
	}
	o.forbidden("the owner under the setting", olga.decide(approval, "approved"), "another owner, another admin or another member may decide")
	o.must(http.StatusOK, o.as("user_otto", "owner").decide(approval, "approved"))
	o.ends(fourth)
}

// A vote counts while its voter has access, and among the approvers it was given
// for.
func TestOnlyStandingVotesDecide(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	ann, ben, cid := o.as("user_ann", "admin"), o.as("user_ben", "admin"), o.as("user_cid", "owner")
	o.agent(gateWith(doc{"timeout_seconds": 600, "min_approvals": 2}), isolate())
	o.escalate()
	exec := o.run()
	approval := o.approvalOf(exec)
	o.must(http.StatusOK, ann.decide(approval, "approved"))
	issued := time.Now().Add(-30 * time.Second).Unix()
	session := http.Header{"Authorization": {"Bearer " + o.session(doc{"user_id": "user_ann", "iat": issued, "nbf": issued})}}
	before := time.Now().Add(time.Second).UTC() // sessions are issued in whole seconds
	o.publish("hub", "session.revoked", doc{"user_id": "user_ann", "before": before.Format(time.RFC3339)})
	o.eventually("the earlier sessions of Ann are refused", func() bool {
		return o.callWith(http.MethodGet, "/api/agents", nil, session).status != http.StatusOK
	})
	if a := o.must(http.StatusOK, ben.decide(approval, "approved")); text(a, "status") != "pending" || len(list(a, "votes")) != 1 {
		t.Errorf("after the vote of Ann, who lost access, and of Ben: %v", a)
	}
	if a := o.must(http.StatusOK, cid.decide(approval, "approved")); text(a, "status") != "approved" {
		t.Errorf("after a second vote that stands: %v", a)
	}
	if x := o.ends(exec); text(x, "status") != "completed" {
		t.Errorf("the execution is %v", x)
	}
}

func TestAnEscalationStartsWithoutVotes(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	o.agent(gateWith(doc{
		"timeout_seconds": 12, "min_approvals": 2, "approvers": doc{"roles": []any{"member"}},
		"on_expiry": "escalate", "escalate_to": doc{"users": []any{"user_boss"}, "timeout_seconds": 600},
	}), isolate())
	o.escalate()
	exec := o.run()
	approval := o.approvalOf(exec)
	o.must(http.StatusOK, o.as("user_junior", "member").decide(approval, "approved"))
	o.eventually("the approval is escalated", func() bool {
		return at(o.must(http.StatusOK, o.get("/api/approvals/"+approval)), "escalated") == true
	})
	a := o.must(http.StatusOK, o.get("/api/approvals/"+approval))
	if len(list(a, "votes")) != 0 || number(a, "approvals_given") != 0 {
		t.Errorf("after the escalation: %v", a)
	}
	if a := o.must(http.StatusOK, o.as("user_boss", "member").decide(approval, "approved")); text(a, "status") != "pending" {
		t.Errorf("after the first vote of the escalation: %v", a)
	}
	o.must(http.StatusOK, o.as("user_ann", "admin").decide(approval, "approved"))
	if x := o.ends(exec); text(x, "status") != "completed" {
		t.Errorf("the execution is %v", x)
	}
}
