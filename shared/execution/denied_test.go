package execution_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
)

// denied returns a run that a person denied at its gate, with the approval.
func denied(t *testing.T, approvers approval.Approvers) *fixture {
	t.Helper()
	w := asking(t)
	w.gate.Approvers, w.gate.Status, w.gate.DecidedBy, w.gate.Org = approvers, approval.Denied, "user_olga", "org_a"
	s := w.steps["a"]
	s.Status, s.Output = execution.StepCompleted, map[string]any{"decision": "denied"}
	w.steps["a"] = s
	x, err := w.runs[0].Cancel(execution.ApprovalDenied, "user_olga", at(30))
	if err != nil {
		t.Fatal(err)
	}
	w.runs[0] = x
	return w
}

func colleague(user id.User, roles ...caller.Role) caller.Caller {
	return caller.Caller{Org: "org_a", User: user, Roles: roles}
}

func TestADeniedRunIsRetriedByPeopleWhoCouldHaveDecidedIt(t *testing.T) {
	t.Parallel()

	key := caller.Caller{Org: "org_a", Key: "key_1", Access: caller.ReadWrite, KeyMaker: "user_olga"}
	anna := approval.Approvers{Users: []id.User{"anna", "author"}}
	for name, tc := range map[string]struct {
		approvers approval.Approvers
		who       caller.Caller
		may       bool
		why       string
	}{
		"an owner":                     {approval.Approvers{}, colleague("olga", caller.Owner), true, ""},
		"an admin who had voted no":    {approval.Approvers{}, colleague("user_olga", caller.Admin), true, ""},
		"a member":                     {approval.Approvers{}, colleague("max", caller.Member), false, "an owner or an admin may"},
		"a member whom the gate names": {anna, colleague("anna", caller.Member), true, ""},
		"another member":               {anna, colleague("max", caller.Member), false, "anna"},
		"the member who wrote it":      {anna, colleague("author", caller.Member), false, "You wrote this version"},
		"a key of an owner":            {approval.Approvers{Roles: []caller.Role{caller.Member}}, key, false, "an integration key may not"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := denied(t, tc.approvers)
			w.gate.Risk, w.gate.Behind = catalog.Access, approval.Behind{Wrote: []id.Actor{"user_author"}, Known: true}
			x, _, err := w.service().Retry(t.Context(), tc.who, "exec_1")
			switch {
			case tc.may && (err != nil || len(x.Denials) != 1 || x.Denials[0] != w.gate.ID):
				t.Errorf("%v; the retry carries %v", err, x.Denials)
			case !tc.may && (!errors.Is(err, execution.ErrDenied) || !strings.Contains(err.Error(), tc.why) || len(w.runs) != 1 || len(w.acts) != 0):
				t.Errorf("err = %v, want ErrDenied with %q; %d runs", err, tc.why, len(w.runs))
			}
		})
	}
}

func TestOtherRunsAreRetriedWithoutReadingAnApproval(t *testing.T) {
	t.Parallel()

	for _, reason := range []execution.Reason{execution.CancelledByUser, execution.ApprovalExpired, execution.AgentDeleted} {
		w := denied(t, approval.Approvers{})
		w.runs[0].Reason, w.gate.Status = reason, approval.Expired
		if _, _, err := w.service().Retry(t.Context(), colleague("max", caller.Member), "exec_1"); err != nil || w.gateReads != 0 {
			t.Errorf("%s: %v after %d reads", reason, err, w.gateReads)
		}
	}
}

// A denial holds along the chain of retries: no retry that ends otherwise, and no
// gate that later names other people, leads around it.
func TestADenialHoldsForTheRetriesOfRetries(t *testing.T) {
	t.Parallel()

	member := colleague("max", caller.Member)
	for name, end := range map[string]func(execution.Execution) execution.Execution{
		"cancelled": func(x execution.Execution) execution.Execution {
			x, _ = x.Cancel(execution.CancelledByUser, "user_max", at(70))
			return x
		},
		"expired": func(x execution.Execution) execution.Execution {
			x, _ = x.Cancel(execution.ApprovalExpired, id.Platform, at(70))
			return x
		},
		"failed": func(x execution.Execution) execution.Execution {
			return x.Fail(execution.Failure{Code: "product_error"}, at(70))
		},
		"denied by a member whom its gate names": func(x execution.Execution) execution.Execution {
			x, _ = x.Cancel(execution.ApprovalDenied, "user_max", at(70))
			return x
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := denied(t, approval.Approvers{})
			first := w.gate
			again, _, err := w.service().Retry(t.Context(), colleague("olga", caller.Owner), "exec_1")
			if err != nil {
				t.Fatal(err)
			}
			w.runs[1] = end(w.runs[1])
			w.earlier = []approval.Approval{first}
			w.gate.ID, w.gate.Approvers.Roles = approval.ID(at(2), again.ID, "a"), []caller.Role{caller.Member}
			if _, _, err := w.service().Retry(t.Context(), member, again.ID); !errors.Is(err, execution.ErrDenied) || len(w.runs) != 2 {
				t.Errorf("a member: err = %v, want ErrDenied", err)
			}
			third, _, err := w.service().Retry(t.Context(), colleague("olga", caller.Owner), again.ID)
			want := []id.Approval{first.ID}
			if w.runs[1].Reason == execution.ApprovalDenied {
				want = append(want, w.gate.ID)
			}
			if diff := cmp.Diff(want, third.Denials); err != nil || diff != "" {
				t.Errorf("an owner: %v, -want +got:\n%s", err, diff)
			}
		})
	}
}

func TestCancellingARunThatAPersonHasJustDeniedLeavesItDenied(t *testing.T) {
	t.Parallel()

	for _, running := range []bool{false, true} {
		w := asking(t)
		w.gate.Status, w.gate.DecidedBy, w.gate.Org = approval.Denied, "user_olga", "org_a"
		if running {
			w.runs[0].Status = execution.Running
		}
		if err := w.service().Cancel(t.Context(), who, "exec_1"); err != nil {
			t.Fatal(err)
		}
		x := w.runs[0]
		if x.Status != execution.Cancelled || x.Reason != execution.ApprovalDenied || x.CancelledBy != "user_olga" || w.commits[0].Gate != nil {
			t.Errorf("%s, %s by %s; gate %v", x.Status, x.Reason, x.CancelledBy, w.commits[0].Gate)
		}
		for step, s := range w.steps {
			if s.Kind == definition.Gate && s.Status != execution.StepWaiting {
				t.Errorf("%s is %s", step, s.Status)
			}
		}
		if _, _, err := w.service().Retry(t.Context(), colleague("max", caller.Member), "exec_1"); !errors.Is(err, execution.ErrDenied) {
			t.Errorf("retry by a member: %v, want ErrDenied", err)
		}
	}
}
