package execution_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
)

// asked returns a gate with a delivery in this status.
func asked(status execution.StepStatus, told string) execution.StepRecord {
	return execution.StepRecord{
		ID: "g", Kind: definition.Gate, Status: status, Asked: time.Date(2026, 3, 9, 14, 0, 0, 0, time.UTC),
		Output: map[string]any{"approval_id": "appr_1", "notified": map[string]any{"asked": []any{
			map[string]any{"channel": "sms", "recipients": []any{map[string]any{"recipient": "+15550000001", "status": told}}},
		}}},
	}
}

func TestAnOutcomeIsOwedToEveryRecipientThatMayHaveBeenAsked(t *testing.T) {
	t.Parallel()
	row := func(st execution.StepStatus) execution.StepRecord {
		return execution.StepRecord{ID: execution.OutcomeOf("g"), Status: st}
	}
	for name, tc := range map[string]struct {
		steps execution.Steps
		ended bool
		want  bool
	}{
		"no gate":                                 {execution.Steps{"a": {ID: "a", Kind: definition.Action, Status: execution.StepCompleted}}, true, false},
		"a gate without a channel":                {execution.Steps{"g": {ID: "g", Kind: definition.Gate, Status: execution.StepCompleted}}, true, false},
		"a gate that was answered":                {execution.Steps{"g": asked(execution.StepCompleted, "sent")}, false, true},
		"a question that is open":                 {execution.Steps{"g": asked(execution.StepWaiting, "sent")}, false, false},
		"a question of a run at its end":          {execution.Steps{"g": asked(execution.StepWaiting, "sent")}, true, true},
		"a message that may have been sent":       {execution.Steps{"g": asked(execution.StepCompleted, "unknown")}, false, true},
		"a message that was being sent":           {execution.Steps{"g": asked(execution.StepCompleted, "sending")}, false, true},
		"a message that surely was not sent":      {execution.Steps{"g": asked(execution.StepCompleted, "failed")}, true, false},
		"a message that waited":                   {execution.Steps{"g": asked(execution.StepCompleted, "pending")}, true, false},
		"an outcome that some have heard":         {execution.Steps{"g": asked(execution.StepCompleted, "sent"), "g:outcome": row(execution.StepRunning)}, true, true},
		"an outcome that everybody has heard":     {execution.Steps{"g": asked(execution.StepCompleted, "sent"), "g:outcome": row(execution.StepCompleted)}, true, false},
		"an output that a program cannot read":    {execution.Steps{"g": {ID: "g", Kind: definition.Gate, Status: execution.StepCompleted, Output: map[string]any{"notified": "?"}}}, true, false},
		"a notification is no question to people": {execution.Steps{"n": {ID: "n", Kind: definition.Notification, Status: execution.StepCompleted, Output: asked("", "sent").Output}}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := len(tc.steps.Owing(tc.ended)) > 0; got != tc.want {
				t.Errorf("owed: %t, want %t", got, tc.want)
			}
		})
	}
}

func TestAnEndedRunStaysDueUntilItsOutcomesAreSent(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 9, 14, 30, 0, 0, time.UTC)
	cancel := func(x execution.Execution) execution.Execution {
		x, _ = x.Cancel(execution.CancelledByUser, "user_1", now)
		return x
	}
	steps := execution.Steps{"g": asked(execution.StepWaiting, "sent")}
	x := execution.Execution{ID: "exec_1", Status: execution.WaitingApproval}
	ended := x.End(cancel, steps, false).Execution
	if want := now.Add(execution.Grace); !ended.Due.Equal(want) {
		t.Errorf("due %v, want %v", ended.Due, want)
	}
	if silent := x.End(cancel, execution.Steps{"g": asked(execution.StepWaiting, "failed")}, false).Execution; !silent.Due.IsZero() {
		t.Errorf("nobody is to be told, and it is due %v", silent.Due)
	}

	recalled, ok := ended.Recalled("w1", 0, now)
	if !ok || recalled.Lease.Attempt != 1 || !recalled.Due.After(now) || recalled.Status != execution.Cancelled {
		t.Fatalf("recalled: %+v, %t", recalled, ok)
	}
	if _, ok := recalled.Recalled("w2", 0, now.Add(time.Second)); ok {
		t.Error("a second worker takes it from one that is alive")
	}
	if again, ok := recalled.Recalled("w2", 0, now.Add(time.Minute)); !ok || again.Lease.Attempt != 2 || again.StalledLeases != recalled.StalledLeases+1 {
		t.Errorf("after its lease: %+v, %t", again.Lease, ok)
	}
	if _, ok := x.Recalled("w1", 0, now); ok {
		t.Error("a run that is not at its end is recalled")
	}
	if got := recalled.Concluded(steps); got.Due.IsZero() {
		t.Error("it is due no longer, and nobody was told")
	}
	steps[execution.OutcomeOf("g")] = execution.StepRecord{Status: execution.StepCompleted}
	if got := recalled.Concluded(steps); !got.Due.IsZero() {
		t.Errorf("everybody was told, and it is due %v", got.Due)
	}
}

func TestADeliveryIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	want := execution.Notified{
		execution.OnAsked: {
			{Channel: definition.Slack, Recipients: []execution.Receipt{{Recipient: "https://a", Status: execution.DeliverySent}}},
			{Channel: definition.SMS, Recipients: []execution.Receipt{{Recipient: "+1", Status: execution.DeliveryFailed, Reason: "no"}}},
		},
		execution.OnDecided: {{Channel: definition.Slack, Recipients: []execution.Receipt{{Recipient: "https://a", Status: execution.DeliveryUnknown}}}},
	}
	output := want.In(map[string]any{"decision": "approved"})
	if diff := cmp.Diff(want, execution.NotifiedIn(output)); diff != "" || output["decision"] != "approved" {
		t.Errorf("%v (-want +got)\n%s", output, diff)
	}
	for name, v := range map[string]any{"nothing": nil, "a text": "x", "a list": []any{}, "no channels": map[string]any{"notified": map[string]any{"asked": 1}}} {
		if n := execution.NotifiedIn(v); len(n) > 0 {
			t.Errorf("%s: %v", name, n)
		}
	}
}

func TestATraceShowsTheDeliveriesOfTheOutcome(t *testing.T) {
	t.Parallel()
	d := definition.Definition{Steps: []definition.Step{{ID: "g", Kind: definition.Gate, GateStep: &definition.GateStep{}}}}
	done := execution.Steps{"g": asked(execution.StepWaiting, "sent")}
	done["g:outcome"] = execution.StepRecord{ID: "g:outcome", Output: execution.Notified{}.With(execution.OnWithdrawn, []execution.Delivery{
		{Channel: definition.SMS, Recipients: []execution.Receipt{{Recipient: "+15550000001", Status: execution.DeliverySent}}},
	}).In(nil)}
	trace := execution.TraceOf(d, done, true).Delivered(done)
	n := execution.NotifiedIn(trace[0].Output)
	if len(trace) != 1 || len(n[execution.OnAsked]) != 1 || len(n[execution.OnWithdrawn]) != 1 {
		t.Errorf("the trace says %v", trace)
	}
	if before := execution.NotifiedIn(done["g"].Output); len(before) != 1 {
		t.Errorf("what later steps see has changed: %v", before)
	}
	reached := n.Reached(0)
	if diff := cmp.Diff(map[string]bool{"+15550000001": true}, reached); diff != "" || len(n.Reached(1)) > 0 {
		t.Errorf("reached (-want +got)\n%s", diff)
	}
}

func TestTheRowOfAnOutcomeHasNoValidStepID(t *testing.T) {
	t.Parallel()
	if name := execution.OutcomeOf("g"); name != id.Step("g:outcome") {
		t.Errorf("%s", name)
	}
}

func TestLaterStepsReadNoURLOfAChatInAnOutput(t *testing.T) {
	t.Parallel()

	sent := func(channel, recipient string) map[string]any {
		return map[string]any{"channel": channel, "recipients": []any{map[string]any{"recipient": recipient, "status": "sent"}}}
	}
	const secret = "https://hooks.slack.com/services/secret"
	for name, s := range map[string]execution.StepRecord{
		"a message": {Kind: definition.Notification, Output: sent("slack", secret)},
		"a gate": {Kind: definition.Gate, Output: map[string]any{
			"decision": "approved", "notified": map[string]any{"asked": []any{sent("webhook", secret), sent("email", "lead@msp.example")}},
		}},
	} {
		before := jsonvalue.Canonical(s.Output)
		got := jsonvalue.Canonical(s.Readable())
		if strings.Contains(got, "secret") || !strings.Contains(got, "https://hooks.slack.com/…") || !strings.Contains(got, `"sent"`) {
			t.Errorf("%s reads as %s", name, got)
		}
		if jsonvalue.Canonical(s.Output) != before || name == "a gate" && !strings.Contains(got, "lead@msp.example") {
			t.Errorf("%s: the record changed, or an address of another channel is hidden: %s", name, got)
		}
	}
	other := execution.StepRecord{Kind: definition.Action, Output: sent("slack", secret)}
	if got := jsonvalue.Canonical(other.Readable()); got != jsonvalue.Canonical(other.Output) {
		t.Errorf("the reply of a product is changed: %s", got)
	}
}
