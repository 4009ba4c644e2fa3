package story_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/story"
)

var noon = time.Date(2026, 3, 9, 12, 0, 0, 0, time.UTC)

func after(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

// definitionOf has a step of every kind.
func definitionOf() definition.Definition {
	when := func(field, want string) condition.Condition {
		return condition.Condition{Context: condition.InRun, Field: field, Operator: condition.Eq, Value: want}
	}
	note := func(name id.Step) definition.Step {
		return definition.Step{Kind: definition.Action, ID: name, ActionStep: &definition.ActionStep{Product: "psa", Action: "add_note", Params: map[string]any{
			"ticket_id": "{{ event_payload.ticket_id }}", "body": "{{ triage.summary }} for {{ client_context.name }}", "visibility": "internal",
		}}}
	}
	urgent := when("steps.triage.output.priority", "p1")
	return definition.Definition{Name: "Triage", Steps: []definition.Step{
		{Kind: definition.AI, ID: "triage", Name: "Judge the ticket", AIStep: &definition.AIStep{Model: credit.Standard, Prompt: "Judge {{ event_payload }}"}},
		{Kind: definition.Gate, ID: "confirm", Timeout: 3600, GateStep: &definition.GateStep{
			Message: "Really?", MinApprovals: 2, Approvers: definition.Approvers{Roles: []string{"member"}, Users: []id.User{"user_7"}}, OnExpiry: definition.Escalate,
			EscalateTo: &definition.Escalates{Approvers: definition.Approvers{Users: []id.User{"user_9"}}, Timeout: 600},
		}},
		{Kind: definition.Branching, ID: "route", BranchStep: &definition.BranchStep{
			Cases: []definition.Case{{When: urgent, Steps: []definition.Step{note("note")}}}, Else: []definition.Step{note("other")},
		}},
		{Kind: definition.Waiting, ID: "later", WaitStep: &definition.WaitStep{Duration: 60}, OnError: definition.Continue},
		{Kind: definition.Notification, ID: "tell", If: &urgent, NotificationStep: &definition.NotificationStep{
			Channel: definition.Webhook, Recipients: []string{"https://hooks.example/secret"}, Body: "Look.",
		}},
	}}
}

// runOf returns a run of the definition in a status, with these steps.
func runOf(status execution.Status, done ...execution.StepRecord) story.Run {
	steps := execution.Steps{}
	for _, s := range done {
		steps[s.ID] = s
	}
	x := execution.Execution{
		ID: "exec_1", Org: "org_acme", Agent: "agent_1", Version: 3, Status: status, Created: after(1), Started: after(1),
		Trigger: event.Event{ID: "evt_1", Product: "psa", Type: "ticket.created", Org: "org_acme", Client: "cli_1", Published: noon, Payload: map[string]any{"ticket_id": "tkt_1"}},
	}
	if status.Ended() {
		x.Completed = after(9000)
	}
	return story.Run{Execution: x, Agent: "Triage", Subject: "Printer on fire", Trace: execution.TraceOf(definitionOf(), steps, status.Ended()).Delivered(steps)}
}

func texts(r story.Run) []string {
	var all []string
	for _, l := range r.Lines() {
		all = append(all, l.At.Format("15:04:05")+" "+strings.TrimSpace(string(l.Step)+" "+l.Text))
	}
	return all
}

func answer() execution.StepRecord {
	return execution.StepRecord{
		ID: "triage", Kind: definition.AI, Status: execution.StepCompleted, Input: map[string]any{"model": "standard"},
		Output: map[string]any{"priority": "p1", "summary": "Smoke", "sure": true}, Tries: 2, Charge: &credit.Hold{Amount: 20},
		Usage: &execution.Usage{Model: "anthropic.claude"}, Started: after(1), Ended: after(2),
	}
}

func deliveries(on execution.Occasion, status execution.DeliveryStatus) map[string]any {
	return execution.Notified{on: {{Channel: definition.Email, Recipients: []execution.Receipt{{Recipient: "a@msp.example", Status: status}}}}}.In(map[string]any{"approval_id": "appr_1"})
}

func asked() execution.StepRecord {
	return execution.StepRecord{
		ID: "confirm", Kind: definition.Gate, Status: execution.StepWaiting, Input: map[string]any{"message": "Really?"}, Started: after(2), Asked: after(2),
		Output: deliveries(execution.OnAsked, execution.DeliverySent),
	}
}

func approved() execution.StepRecord {
	s := asked()
	s.Status, s.Decided, s.Ended, s.Escalated = execution.StepCompleted, after(3700), after(3701), true
	s.Output = execution.NotifiedIn(s.Output).In(map[string]any{"approval_id": "appr_1", "decision": "approved", "decided_by": "user_9", "note": "Go."})
	s.ShownToApprovers = &execution.ShownToApprovers{Params: map[id.Step]jsonvalue.Values{"note": {"ticket_id": "tkt_1"}}}
	return s
}

func TestAStoryTellsWhatEachStepDid(t *testing.T) {
	t.Parallel()
	zero := 0
	r := runOf(execution.Completed, answer(), approved(),
		execution.StepRecord{
			ID: "confirm:outcome", Kind: definition.Notification, Status: execution.StepCompleted,
			Output: execution.Notified{execution.OnDecided: {{Channel: definition.Email, Recipients: []execution.Receipt{{Recipient: "a@msp.example", Status: execution.DeliveryFailed, Reason: "The mailbox is full."}}}}}.In(nil),
		},
		execution.StepRecord{ID: "route", Kind: definition.Branching, Status: execution.StepCompleted, Case: &zero, Started: after(3701), Ended: after(3701)},
		execution.StepRecord{
			ID: "note", Kind: definition.Action, Status: execution.StepCompleted, Tries: 3, Started: after(3701), Ended: after(3702),
			Input: map[string]any{"ticket_id": "tkt_1", "body": "Smoke for Acme", "visibility": "internal", "hours": int64(2)}, Output: map[string]any{"note_id": "n_1"},
		},
		execution.StepRecord{ID: "later", Kind: definition.Waiting, Status: execution.StepCompleted, Started: after(3702), Ended: after(3762), Until: after(3762)},
		execution.StepRecord{
			ID: "tell", Kind: definition.Notification, Status: execution.StepCompleted, Started: after(3762), Ended: after(3763), Input: map[string]any{"subject": "", "body": "Look."},
			Output: map[string]any{"channel": "webhook", "recipients": []any{map[string]any{"recipient": "https://hooks.example/secret", "status": "sent"}}},
		},
	)
	r.Completed, r.Credits = after(3763), 20
	want := []string{
		"12:00:00 psa published ticket.created for the client “cli_1”: “Printer on fire”.",
		"12:00:01 The event started version 3 of the agent “Triage”.",
		"12:00:02 triage A model of the class standard (“anthropic.claude”) answered at “Judge the ticket” with priority “p1”, summary “Smoke” and sure true. It took 2 tries. It cost 20 credits.",
		"12:00:02 confirm The step “confirm” asked the owners, admins, members and user_7: “Really?”. 2 of them must approve.",
		"12:00:02 confirm The e-mail to “a@msp.example” was sent.",
		"13:00:02 confirm The question at “confirm” was not decided within 1 h, so it passed to the owners, admins and user_9.",
		"13:01:40 confirm user_9 approved at “confirm”, with the note “Go.”.",
		"13:01:40 confirm The people who had been asked were told of the decision. The e-mail to “a@msp.example” failed: “The mailbox is full.”.",
		"13:01:41 route The branch “route” took its case 1: “steps.triage.output.priority must be \"p1\"”.",
		"13:01:42 note The action psa.add_note was done at “note” with body “Smoke for Acme” (from the model's answer at “Judge the ticket” and the client's profile), hours 2, " +
			"ticket_id “tkt_1” (from the event) and visibility “internal” (from the definition). The approvers saw these values. The reply: note_id “n_1”. It took 3 tries.",
		"13:02:42 later The run waited 1 min at “later”.",
		"13:02:43 tell The step “tell” sent a webhook message: “Look.”. The webhook message to “https://hooks.example/…” was sent.",
		"13:02:43 The run completed after 1 h 2 min. It used 20 credits.",
	}
	if diff := cmp.Diff(want, texts(r)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestTheLastLinesSayHowARunEndedOrWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	failed := execution.StepRecord{
		ID: "triage", Kind: definition.AI, Status: execution.StepFailed, Tries: 3, Started: after(1), Ended: after(5),
		Error: &execution.Failure{Code: "model_unavailable", Message: "The model did not answer: no answer in time.", Step: "triage"},
	}
	passedOver := execution.StepRecord{ID: "later", Kind: definition.Waiting, Status: execution.StepFailed, Started: after(3702), Ended: after(3703), Error: &execution.Failure{Code: "step_timeout", Message: "Late."}}
	denied := approved()
	denied.Escalated, denied.Decided, denied.ShownToApprovers = false, time.Time{}, nil
	denied.Output = map[string]any{"decision": "denied", "decided_by": "user_7", "note": ""}
	expired := approved()
	expired.Output, expired.Decided = map[string]any{"decision": "expired", "decided_by": "", "note": ""}, time.Time{}
	renewed := asked()
	renewed.Round, renewed.Asked = 1, after(100_000)
	before := approved()
	before.ID = "confirm:round:0"
	minus := -1
	otherwise := execution.StepRecord{
		ID: "route", Kind: definition.Branching, Status: execution.StepCompleted, Case: &minus, Started: after(3701), Ended: after(3701),
		Input: map[string]any{"cases": []any{`steps.triage.output.priority must be "p1"; it is "p3"`}},
	}
	skipped := execution.StepRecord{ID: "tell", Kind: definition.Notification, Status: execution.StepSkipped, Started: after(3704), Ended: after(3704), Input: map[string]any{"if": `priority must be "p1"; it is "p3"`}}
	late := asked()
	late.Escalated = true

	with := func(r story.Run, change func(x *execution.Execution)) story.Run {
		change(&r.Execution)
		return r
	}
	for name, c := range map[string]struct {
		run  story.Run
		want []string // the last lines
	}{
		"not begun": {runOf(execution.Pending), []string{
			"12:00:01 The event started version 3 of the agent “Triage”.",
			"12:00:01 The run has not begun yet. Its next step is “Judge the ticket”.",
			"12:00:01 Still to come: “confirm”, “route”, “later” and “tell”.",
		}},
		"between steps": {runOf(execution.Running, answer()), []string{
			"12:00:02 The run is running. Its next step is “confirm”.",
			"12:00:02 Still to come: “route”, “later” and “tell”.",
		}},
		"asking": {runOf(execution.WaitingApproval, answer(), asked()), []string{
			"12:00:02 confirm The run waits for the decision at “confirm” until 2026-03-09 13:00:02 UTC; without one, others are then asked.",
			"12:00:02 Still to come: “route”, “later” and “tell”.",
		}},
		"asking others": {runOf(execution.WaitingApproval, answer(), late), []string{
			"13:00:02 confirm The question at “confirm” was not decided within 1 h, so it passed to the owners, admins and user_9.",
			"13:00:02 confirm The run waits for the decision at “confirm” until 2026-03-09 13:10:02 UTC; without one, the run is then cancelled.",
			"13:00:02 Still to come: “route”, “later” and “tell”.",
		}},
		"asking again": {runOf(execution.WaitingApproval, answer(), before, renewed), []string{
			"13:01:40 confirm user_9 approved at “confirm”, with the note “Go.”.",
			"15:46:40 confirm The approval at “confirm” was older than 1 d when a destructive action was next, so it must be given again.",
			"15:46:40 confirm The step “confirm” asked the owners, admins, members and user_7: “Really?”. 2 of them must approve.",
			"15:46:40 confirm The e-mail to “a@msp.example” was sent.",
			"15:46:40 confirm The run waits for the decision at “confirm” until 2026-03-10 16:46:40 UTC; without one, others are then asked.",
			"15:46:40 Still to come: “route”, “later” and “tell”.",
		}},
		"waiting": {runOf(execution.Running, answer(), approved(), otherwise, execution.StepRecord{
			ID: "other", Kind: definition.Action, Status: execution.StepCompleted, Started: after(3702), Ended: after(3702),
		}, execution.StepRecord{ID: "later", Kind: definition.Waiting, Status: execution.StepWaiting, Started: after(3702), Until: after(3762)}), []string{
			"13:01:41 route No case of the branch “route” held (“steps.triage.output.priority must be \"p1\"; it is \"p3\"”), so its other steps followed.",
			"13:01:42 other The action psa.add_note was done at “other”.",
			"13:01:42 later The run waits at “later” until 2026-03-09 13:02:42 UTC.",
			"13:01:42 Still to come: “tell”.",
		}},
		"held": {with(runOf(execution.WaitingApproval, answer(), asked()), func(x *execution.Execution) { x.Held = true }), []string{
			"12:00:02 The run is held, because the organization is paused. It goes on when the organization resumes.",
			"12:00:02 Still to come: “route”, “later” and “tell”.",
		}},
		"failed": {with(runOf(execution.Failed, failed), func(x *execution.Execution) { x.Error, x.Reason = failed.Error, "model_unavailable" }), []string{
			"12:00:05 triage The question to a model at “Judge the ticket” failed after 3 tries: “The model did not answer: no answer in time.” (model_unavailable).",
			"14:30:00 4 steps were not reached: “confirm”, “route”, “later” and “tell”.",
			"14:30:00 The run failed at the step “triage” (model_unavailable): the AI model did not answer.",
		}},
		"failed and passed over": {with(runOf(execution.Completed, answer(), approved(), otherwise, passedOver, skipped), func(x *execution.Execution) { x.Warnings = 1 }), []string{
			"13:01:43 later The wait at “later” failed: “Late.” (step_timeout). The run went on, as the agent says.",
			"13:01:44 tell The webhook message at “tell” was skipped, because its condition did not hold: “priority must be \"p1\"; it is \"p3\"”.",
			"14:30:00 1 step was not reached: “other”.",
			"14:30:00 The run completed after 2 h 29 min. It went on after 1 failed step, as the agent says.",
		}},
		"denied": {with(runOf(execution.Cancelled, answer(), denied), func(x *execution.Execution) { x.Reason, x.CancelledBy = execution.ApprovalDenied, "user_7" }), []string{
			"13:01:41 confirm user_7 denied at “confirm”.",
			"14:30:00 3 steps were not reached: “route”, “later” and “tell”.",
			"14:30:00 The run was cancelled, because user_7 denied an approval.",
		}},
		"expired": {with(runOf(execution.Cancelled, answer(), expired), func(x *execution.Execution) { x.Reason = execution.ApprovalExpired }), []string{
			"13:01:41 confirm The question at “confirm” was not decided in time.",
			"14:30:00 3 steps were not reached: “route”, “later” and “tell”.",
			"14:30:00 The run was cancelled, because an approval was not decided in time.",
		}},
		"withdrawn": {with(runOf(execution.Cancelled, answer(), asked()), func(x *execution.Execution) { x.Reason, x.CancelledBy = execution.CancelledByUser, "user_3" }), []string{
			"14:30:00 confirm The question at “confirm” was withdrawn, because the run ended.",
			"14:30:00 3 steps were not reached: “route”, “later” and “tell”.",
			"14:30:00 The run was cancelled by user_3.",
		}},
		"a model under way": {with(runOf(execution.Cancelled, execution.StepRecord{ID: "triage", Kind: definition.AI, Status: execution.StepSkipped, Started: after(9000), Ended: after(9000)}),
			func(x *execution.Execution) { x.Reason, x.CancelledBy = execution.OrgPaused, "user_3" }), []string{
			"14:30:00 triage The question to a model at “Judge the ticket” was still under way when the run ended. Its result is not known.",
			"14:30:00 4 steps were not reached: “confirm”, “route”, “later” and “tell”.",
			"14:30:00 The run was cancelled, because user_3 paused the organization.",
		}},
	} {
		got := texts(c.run)
		if diff := cmp.Diff(c.want, got[max(len(got)-len(c.want), 0):]); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

func TestAStoryBeginsWithWhatStartedTheRun(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(x *execution.Execution){
		"user_7 retried the run exec_0, with version 3 of the agent “Triage”.":                    func(x *execution.Execution) { x.By = execution.Starter{Type: execution.ByUser, ID: "user_7"} },
		"The integration key key_1 retried the run exec_0, with version 3 of the agent “Triage”.": func(x *execution.Execution) { x.By = execution.Starter{Type: execution.ByKey, ID: "key_1"} },
		"A caller retried the run exec_0, with version 3 of the agent “Triage”.":                  func(*execution.Execution) {},
	} {
		r := runOf(execution.Pending)
		r.RetryOf = "exec_0"
		change(&r.Execution)
		if got := r.Lines()[1].Text; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	r := runOf(execution.Pending)
	r.Trigger = r.Trigger.CausedBy("exec_7", "evt_0", 2)
	if got := r.Lines()[0].Text; !strings.HasSuffix(got, "The run exec_7 had caused the event.") {
		t.Error(got)
	}
	r.Trigger.Metadata = &event.Metadata{AgentTriggered: true}
	if got := r.Lines()[0].Text; !strings.HasSuffix(got, "An agent had caused the event.") {
		t.Error(got)
	}
}

// A new kind of step, status, reason, channel, occasion or verdict needs its words.
func TestEveryStatusAndReasonHasASentenceOfItsOwn(t *testing.T) {
	t.Parallel()
	said := map[string]string{}
	own := func(what, text string) {
		t.Helper()
		if other, twice := said[text]; twice || text == "" {
			t.Errorf("%s has the words %q, as %q does", what, text, other)
		}
		said[text] = what
	}
	for _, s := range execution.Statuses() {
		text := story.Outcome(execution.Execution{Status: s})
		own("the status "+string(s), text)
		if text == "is "+string(s)+"." && s != execution.Running {
			t.Errorf("the status %s has no words: %q", s, text)
		}
	}
	for _, reason := range execution.Reasons() {
		text := story.Outcome(execution.Execution{Status: execution.Cancelled, Reason: reason})
		own("the reason "+string(reason), text)
		if strings.Contains(text, string(reason)) {
			t.Errorf("the reason %s has no words: %q", reason, text)
		}
	}
	for code := range execution.Sentences() {
		own("the code "+code, story.Outcome(execution.Execution{Status: execution.Failed, Error: &execution.Failure{Code: code}}))
	}
	for what, words := range story.Words() {
		for value, text := range words {
			if text == "" || strings.Contains(text, story.Unknown) {
				t.Errorf("%s %s has no words: %q", what, value, text)
			}
		}
	}
}

func TestEveryKindOfStepHasASentenceInEveryStatus(t *testing.T) {
	t.Parallel()
	if got := story.Kinds(); !slices.Equal(got, definition.Kinds()) {
		t.Fatalf("there are words for %v, want %v", got, definition.Kinds())
	}
	all := definitionOf()
	zero := 0
	for _, kind := range definition.Kinds() {
		var name id.Step
		definition.EachStep(all.Steps, func(s definition.Step) {
			if s.Kind == kind && name == "" {
				name = s.ID
			}
		})
		for _, status := range execution.StepStatuses() {
			s := execution.StepRecord{ID: name, Kind: kind, Status: status, Started: after(10), Ended: after(20), Asked: after(10)}
			if kind == definition.Action {
				s.Asked = time.Time{}
			}
			r := runOf(execution.Running, s, execution.StepRecord{ID: "route", Kind: definition.Branching, Status: execution.StepCompleted, Case: &zero, Started: after(5), Ended: after(5)})
			for _, bare := range []bool{false, true} { // a definition of which the step is not known any more
				if bare {
					i := slices.IndexFunc(r.Trace, func(e execution.TraceEntry) bool { return e.ID == name })
					r.Trace[i].Definition = definition.Step{Kind: kind, ID: name}
				}
				told := strings.Join(texts(r), "\n")
				if !strings.Contains(told, "“"+string(name)+"”") && !strings.Contains(told, "“Judge the ticket”") {
					t.Errorf("a %s that is %s is not told of:\n%s", kind, status, told)
				}
			}
		}
	}
}

// Values of events, models, products and people stay inside of their quotation marks.
func TestAValueFromOutsideCannotLookLikeALine(t *testing.T) {
	t.Parallel()
	const evil = "EVIL"
	quotes := regexp.MustCompile(`“[^”]*”( \([0-9,]+ more characters\))?`)
	random := rand.New(rand.NewPCG(7, 7))
	pieces := []string{evil, "”", "“", "\"", "\n", "\r\n", "\u2028", "\u202e", "\u200b", ".", " The run completed.", "12:00:00 ", "<b>", "&", "\x00", "\xff", "　", "漢", "https://hooks.example/secret"}
	hostile := func() string {
		var b strings.Builder
		for range random.IntN(40) {
			b.WriteString(pieces[random.IntN(len(pieces))])
		}
		return b.String() + evil + strings.Repeat("x", random.IntN(500))
	}
	document := func() map[string]any {
		out := map[string]any{}
		for range random.IntN(30) {
			out[hostile()] = []any{hostile(), map[string]any{hostile(): hostile()}, int64(random.IntN(9)), nil, true}[random.IntN(5)]
		}
		return out
	}
	receipts := func() []execution.Delivery {
		d := execution.Delivery{Channel: definition.Channels()[random.IntN(5)], NotTold: hostile()}
		for range random.IntN(25) {
			d.Recipients = append(d.Recipients, execution.Receipt{Recipient: hostile(), Status: execution.DeliveryStatuses()[random.IntN(5)], Reason: hostile()})
		}
		return []execution.Delivery{d}
	}
	for range 150 {
		var done []execution.StepRecord
		definition.EachStep(definitionOf().Steps, func(d definition.Step) {
			s := execution.StepRecord{
				ID: d.ID, Kind: d.Kind, Status: execution.StepStatuses()[random.IntN(6)], Input: document(), Output: document(), Tries: random.IntN(4), Started: after(random.IntN(50)),
				Usage: &execution.Usage{Model: hostile()}, Escalated: random.IntN(2) == 0, Error: &execution.Failure{Code: "product_error", Message: hostile()},
			}
			if taken := random.IntN(2) - 1; d.Kind == definition.Branching {
				s.Case, s.Status, s.Input = &taken, execution.StepCompleted, map[string]any{"cases": []any{hostile(), hostile()}}
			}
			if d.Kind == definition.Gate {
				s.Asked = after(random.IntN(50))
				s.Input = map[string]any{"message": hostile()}
				n := execution.Notified{}
				for _, on := range execution.Occasions() {
					n = n.With(on, receipts())
				}
				s.Output = n.In(map[string]any{"decision": []string{"approved", "denied", "expired", "pending"}[random.IntN(4)], "decided_by": "user_7", "note": hostile()})
			}
			if random.IntN(3) == 0 && d.Kind != definition.Gate {
				s.Input = map[string]any{"if": hostile()}
			}
			done = append(done, s)
		})
		r := runOf(execution.Statuses()[random.IntN(6)], done...)
		r.Agent, r.Subject, r.Trigger.Client = hostile(), hostile(), "cli_”EVIL"
		lines := r.Lines()
		if len(lines) > story.MaxLines {
			t.Fatalf("%d lines", len(lines))
		}
		for _, l := range lines {
			plain := quotes.ReplaceAllString(l.Text, "")
			switch {
			case strings.Contains(plain, evil), strings.ContainsAny(plain, "“”<&"):
				t.Fatalf("a value is outside of quotation marks: %q", l.Text)
			case len(l.Text) > story.MaxText:
				t.Fatalf("a line has %d bytes", len(l.Text))
			case strings.ContainsFunc(l.Text, func(c rune) bool { return unicode.IsControl(c) || unicode.Is(unicode.Cf, c) || c == '\u2028' }):
				t.Fatalf("a line has an invisible character: %q", l.Text)
			case strings.Contains(l.Text, "hooks.example/secret") && regexp.MustCompile("(Slack|Teams|webhook) message to").MatchString(l.Text):
				t.Fatalf("a line has the URL of a chat: %q", l.Text)
			case l.Text == "" || !strings.HasSuffix(l.Text, "."):
				t.Fatalf("not a sentence: %q", l.Text)
			}
		}
	}
}

func TestAStoryOfManyMessagesIsBounded(t *testing.T) {
	t.Parallel()
	r := runOf(execution.Running, asked())
	var many []execution.Delivery
	for i := range 2 * story.MaxLines {
		many = append(many, execution.Delivery{Channel: definition.Email, Recipients: []execution.Receipt{{Recipient: fmt.Sprintf("p%d@msp.example", i), Status: execution.DeliverySent}}})
	}
	i := slices.IndexFunc(r.Trace, func(e execution.TraceEntry) bool { return e.ID == "confirm" })
	r.Trace[i].Output = execution.Notified{execution.OnAsked: many}.In(nil)
	lines := r.Lines()
	if len(lines) > story.MaxLines || !strings.Contains(strings.Join(texts(r), "\n"), "more sentences about its steps are left out") {
		t.Errorf("%d lines, the last: %q", len(lines), lines[len(lines)-1].Text)
	}
}
