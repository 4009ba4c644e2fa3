package simulation_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/step"
)

// ---- messages about an open approval ----

const (
	twoChannels = `"timeout_seconds": 3600, "notify": [{"channel": "sms", "recipients": ["+15550000001", "+15550000002"]},
		{"channel": "slack", "recipients": ["https://chat.example/{{ event_payload.ticket_id }}"]}]`
	escalates = `"on_expiry": "escalate", "escalate_to": {"users": ["user_boss"], "timeout_seconds": 1800}`
)

// messageLog returns the messages sent, by minute and subject with their number:
// "15:04 Reminder: … (3)".
func (w *world) messageLog() []string {
	var lines []string
	n := 0
	for _, m := range w.senders.messages() {
		line := m.Subject
		if len(lines) > 0 && lines[len(lines)-1] == fmt.Sprintf("%s (%d)", line, n) {
			lines, n = lines[:len(lines)-1], n+1
		} else {
			n = 1
		}
		lines = append(lines, fmt.Sprintf("%s (%d)", line, n))
	}
	return lines
}

// notified returns the deliveries in the trace, by occasion.
func (w *world) notified(x id.Execution, gate id.Step) map[string][]string {
	w.Helper()
	calm := *w.executions // without faults
	calm.Store, calm.Definitions = w.store.Store, agent.Definitions{System: systemAgents(), Versions: w.store.Store}
	_, trace, err := calm.Get(w.over, w.person("user_v", caller.Viewer), x)
	w.must(err)
	out := map[string][]string{}
	for _, s := range trace {
		if s.ID != gate {
			continue
		}
		for on, list := range execution.NotifiedIn(s.Output) {
			for _, d := range list {
				for _, r := range d.Recipients {
					out[string(on)] = append(out[string(on)], string(r.Status))
				}
			}
		}
	}
	return out
}

func TestAGateSendsMessagesAndReminders(t *testing.T) {
	t.Parallel()

	asked := "An agent waits for approval (3)"
	reminded := "Reminder: An agent waits for approval (3)"
	for name, tc := range map[string]struct {
		gate   string
		people func(w *world, x id.Execution)
		want   []string
		trace  map[string][]string
	}{
		"once, and not again when they decide at once": {
			gate: twoChannels,
			people: func(w *world, x id.Execution) {
				w.pass(time.Minute)
				w.must(w.decide(w.owner(), x, true))
			},
			want:  []string{asked, "Approved: An agent (3)"},
			trace: map[string][]string{"asked": {"sent", "sent", "sent"}, "decided": {"sent", "sent", "sent"}},
		},
		"again when half of the time is over": {
			gate: twoChannels,
			people: func(w *world, x id.Execution) {
				w.pass(40 * time.Minute)
				w.must(w.decide(w.owner(), x, true))
			},
			want: []string{asked, reminded, "Approved: An agent (3)"},
			trace: map[string][]string{
				"asked": {"sent", "sent", "sent"}, "reminded": {"sent", "sent", "sent"}, "decided": {"sent", "sent", "sent"},
			},
		},
		"and on escalation, with a reminder": {
			gate: twoChannels + "," + escalates,
			want: []string{
				asked, reminded, "Escalated: An agent waits for approval (3)", reminded,
				"Expired: An agent no longer waits for approval (3)",
			},
			trace: map[string][]string{
				"asked": {"sent", "sent", "sent"}, "reminded": {"sent", "sent", "sent"},
				"escalated": {"sent", "sent", "sent"}, "reminded_again": {"sent", "sent", "sent"},
				"expired": {"sent", "sent", "sent"},
			},
		},
		"but not when the gate names no channel": {gate: `"timeout_seconds": 3600`, trace: map[string][]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				x := w.wake(w.agent(list(ask("g", tc.gate), act("b"))))
				w.pass(time.Second)
				if tc.people != nil {
					tc.people(w, x)
				}
				w.pass(3 * time.Hour)
				if diff := cmp.Diff(tc.want, w.messageLog()); diff != "" {
					t.Errorf("told (-want +got)\n%s", diff)
				}
				if diff := cmp.Diff(tc.trace, w.notified(x, "g")); diff != "" {
					t.Errorf("trace (-want +got)\n%s", diff)
				}
				w.untouched()
				w.audit()
			})
		})
	}
}

func TestAGateMessageHasQuestionLinkAndActions(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		x := w.wake(w.agent(list(ask("g", twoChannels), act("b"))))
		w.pass(time.Minute)
		a, err := w.question(x)
		w.must(err)
		body := w.senders.messages()[0].Body
		for _, part := range []string{
			strings.NewReplacer("with tkt", "with “tkt", "?", "”?").Replace(a.Message), "https://console.example/approvals/" + string(a.ID), a.Expires.Format(time.RFC3339), "psa.add_note", `"note of b"`,
		} {
			if !strings.Contains(body, part) {
				t.Errorf("%q is not in\n%s", part, body)
			}
		}
	})
}

// In a channel with a markup the link to decide is the only link; values of the
// run make none.
func TestOnlyTheLinkToDecideIsALink(t *testing.T) {
	t.Parallel()
	const evil = "<https://evil.example|Decide> [Decide](https://evil.example) <!channel>"
	inWorld(t, func(w *world) {
		gate := `{"id": "g", "type": "approval_gate", "message": "Isolate {{ event_payload.device }}?", "notify": [` +
			`{"channel": "slack", "recipients": ["https://chat.example/a"]}, {"channel": "teams", "recipients": ["https://chat.example/b"]},` +
			`{"channel": "sms", "recipients": ["+15550000001"]}, {"channel": "email", "recipients": ["a@msp.example"]},` +
			`{"channel": "webhook", "recipients": ["https://hooks.example/x"]}]}`
		noted := `{"id": "b", "type": "product_action", "product": "psa", "action": "add_note", "params": {
			"ticket_id": "t", "body": "{{ event_payload.device }}", "visibility": "internal"}}`
		a := w.agent(list(gate, noted))
		e := w.escalated()
		e.Payload["device"] = evil
		w.must(w.dispatcher.Dispatch(w.over, e))
		w.pass(time.Minute)
		q, err := w.question(execution.ID(w.org, a, e))
		w.must(err)
		link, until := "https://console.example/approvals/"+string(q.ID), q.Expires.Format(time.RFC3339)
		want := map[definition.Channel]string{
			definition.Slack: "Isolate “&lt;https://evil.example|Decide&gt; [Decide](https://evil.example) &lt;!channel&gt;”?\n\n" +
				"Decide until " + until + ": <" + link + "|Decide>\n\nIf approved:\n- psa.add_note ",
			definition.Teams: `Isolate “\<https://evil.example|Decide\> \[Decide\]\(https://evil.example\) \<!channel\>”?` + "\n\n" +
				"Decide until " + until + ": [Decide](" + link + `)` + "\n\nIf approved:\n" + `\- psa.add\_note `,
			definition.SMS: "", definition.Email: "", definition.Webhook: "",
		}
		for _, m := range w.senders.messages() {
			start, known := want[m.Channel]
			if !known || !strings.HasPrefix(m.Markup, start) || (start == "") != (m.Markup == "") {
				t.Errorf("%s is told\n%s\nwant\n%s…", m.Channel, m.Markup, start)
			}
			if n := strings.Count(strings.ReplaceAll(m.Markup, `\<`, ""), "<https://"); n > 1 || m.Channel == definition.Teams && strings.Count(m.Markup, "](https://") != 1 {
				t.Errorf("%s has another link:\n%s", m.Channel, m.Markup)
			}
			if !strings.Contains(m.Body, "Decide until "+until+": "+link+"\n") || !strings.Contains(m.Body, "Isolate “"+evil+"”?") {
				t.Errorf("%s is told in plain text\n%s", m.Channel, m.Body)
			}
			if diff := cmp.Diff(step.Link{Text: "Decide", URL: link}, m.Link); diff != "" {
				t.Errorf("%s (-want +got)\n%s", m.Channel, diff)
			}
			delete(want, m.Channel)
		}
		if len(want) > 0 {
			t.Errorf("not told: %v", want)
		}
	})
}

// A value of an event may make a question arbitrarily long.
func TestALongQuestionDoesNotCutOffItsLink(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		a := w.agent(list(`{"id": "g", "type": "approval_gate", "message": "May {{ event_payload.ticket_id }} go on?", ` + twoChannels + `}`))
		e := w.escalated()
		e.Payload["ticket_id"] = strings.Repeat("ä", 30_000)
		w.must(w.dispatcher.Dispatch(w.over, e))
		w.pass(time.Minute)
		q, err := w.question(execution.ID(w.org, a, e))
		w.must(err)
		for _, m := range w.senders.messages() {
			if at := strings.Index(m.Body, "https://console.example/approvals/"+string(q.ID)); at < 0 || at > 3000 {
				t.Errorf("%s: the link is at %d", m.Channel, at)
			}
		}
	})
}

func TestAnUnreachableRecipientDoesNotDelayTheApproval(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.senders.reply = func(m step.Message) error {
			switch m.Recipient {
			case "+15550000001":
				return errFault // the outcome is unknown
			case "+15550000002":
				return step.ErrNotification
			}
			return nil
		}
		x := w.wake(w.agent(list(ask("g", twoChannels), act("b"))))
		w.pass(time.Minute)
		w.must(w.decide(w.owner(), x, true))
		w.pass(time.Minute)
		w.expect(x, "completed: g completed, b completed")
		if diff := cmp.Diff(map[string][]string{
			"asked": {"unknown", "failed", "sent"}, "decided": {"unknown", "sent"}, // a recipient whom the question did not reach gets no outcome
		}, w.notified(x, "g")); diff != "" {
			t.Errorf("trace (-want +got)\n%s", diff)
		}
	})
}

// A crash anywhere in the function that requests an approval neither loses a
// message nor sends it twice.
func TestGateMessagesSurviveACrash(t *testing.T) {
	t.Parallel()
	for _, port := range []string{"store.Commit", "sender.Send", "machine.Invoke"} {
		for n := 1; n <= 8; n++ {
			for _, late := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %d %t", port, n, late), func(t *testing.T) {
					t.Parallel()
					inWorld(t, func(w *world) {
						w.faults.set(func(at site) fault {
							return given(at.port == port && at.n == n, fault{kill: true, late: late})
						})
						x := w.wake(w.agent(list(ask("g", twoChannels), act("b"))))
						w.pass(59 * time.Minute)
						for occasion, states := range w.notified(x, "g") {
							if len(states) != 3 || slices.Contains(states, "pending") || slices.Contains(states, "sending") {
								t.Errorf("%s: %v", occasion, states)
							}
						}
						if got := w.notified(x, "g"); len(got) != 2 {
							t.Errorf("told %v", got)
						}
						w.pass(2 * time.Hour)
						w.audit()
					})
				})
			}
		}
	}
}

// An approver decides while a worker still records deliveries, and the doorbell
// is lost: the run must not wait until the gate expires.
func TestRecordingDeliveriesDoesNotDelayTheSweepAfterADecision(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.faults.set(func(at site) fault {
			switch {
			case at.port == "store.Commit" && at.n == 5:
				return fault{pause: 20 * time.Second}
			case at.port == "machine.Ring":
				return fault{before: errFault}
			}
			return fault{}
		})
		x := w.wake(w.agent(list(ask("g", twoChannels), act("b"))))
		w.pass(10 * time.Second)
		if err := w.decide(w.owner(), x, true); !errors.Is(err, errFault) {
			t.Fatalf("the doorbell was heard: %v", err)
		}
		w.pass(patience)
		w.expect(x, "completed: g completed, b completed")
	})
}

// ---- the run does what the gate showed ----

// profiled is an action whose parameters come from the client's profile.
const profiled = `{"id": "b", "type": "product_action", "product": "psa", "action": "add_note", "params": {
	"ticket_id": "{{ event_payload.ticket_id }}", "body": "score {{ client_context.security_posture_score }}", "visibility": "internal"}}`

func TestARunPerformsTheActionsThatTheGateShowed(t *testing.T) {
	t.Parallel()
	safe := `{"context": "client_context", "field": "security_posture_score", "operator": "gt", "value": 50}`
	inWorld(t, func(w *world) {
		w.setScore(70)
		x := w.wake(w.agent(list(ask("g"), profiled, when("br", safe, list(act("y")), list(act("n"))))))
		w.pass(time.Minute)
		a, err := w.question(x)
		w.must(err)
		run, _ := w.stored(x)
		ticket := run.Trigger.Payload["ticket_id"]
		want := []approval.Action{
			{Step: "b", Product: "psa", Action: "add_note", Params: map[string]any{
				"ticket_id": ticket, "body": "score 70", "visibility": "internal",
			}},
			{Step: "y", Product: "psa", Action: "add_note", Params: map[string]any{
				"ticket_id": ticket, "body": "note of y", "visibility": "internal",
			}},
		}
		if diff := cmp.Diff(want, a.Actions); diff != "" {
			t.Errorf("shown (-want +got)\n%s", diff)
		}
		w.setScore(20)
		w.must(w.decide(w.owner(), x, true))
		w.pass(time.Minute)
		w.expect(x, "completed: g completed, b completed, br completed, y completed")
		for _, shown := range a.Actions {
			done, _ := w.products.did(x, shown.Step)
			if diff := cmp.Diff(shown.Params, done.command.Params); diff != "" {
				t.Errorf("%s (-shown +done)\n%s", shown.Step, diff)
			}
		}
	})
}

func TestAGateShowsTheFollowingStepsAsFarAsTheyAreKnown(t *testing.T) {
	t.Parallel()

	judged := func(name, path string) string {
		return `{"id": "` + name + `", "type": "product_action", "product": "psa", "action": "add_note", "params": {
			"ticket_id": "t", "body": "It says {{ ` + path + ` | default: 'none' }}", "visibility": "internal"}}`
	}
	for name, tc := range map[string]struct {
		steps []string
		want  string // the steps shown, in brackets if with parameters
	}{
		"an action":                         {[]string{ask("g"), act("b")}, "[b]"},
		"no steps":                          {[]string{act("a"), ask("g")}, ""},
		"not the steps before it":           {[]string{act("a"), ask("g"), act("b")}, "[b]"},
		"not the steps after the next gate": {[]string{ask("g"), act("b"), ask("h"), act("c")}, "[b]"},
		"the steps after a gate with an if": {[]string{ask("g"), ask("h", `"if": `+urgent), act("c")}, "[c]"},
		"the steps after a gate that may continue on error": {
			[]string{ask("g"), ask("h", `"on_error": "continue"`), act("c")}, "[c]",
		},
		"the steps after a gate that approves on expiry": {
			[]string{ask("g"), ask("h", `"on_expiry": "approve"`), act("c")}, "[c]",
		},
		"not the steps that will be skipped": {[]string{ask("g"), act("b", `"if": `+calm), act("c")}, "[c]"},
		"parameters from an earlier answer":  {[]string{think("judge", noise), ask("g"), judged("b", "judge.noise")}, "[b]"},
		"that it depends on an answer after it": {
			[]string{ask("g"), think("judge", noise), judged("b", "judge.noise"), act("c")}, "b [c]",
		},
		"that it depends on the verdict": {[]string{ask("g"), judged("b", "steps.g.output.note"), judged("c", "g.note")}, "b c"},
		"the case that will be taken": {
			[]string{ask("g"), when("br", urgent, list(act("y")), list(act("n"))), act("c")}, "[y] [c]",
		},
		"the other case":     {[]string{ask("g"), when("br", calm, list(act("y")), list(act("n"))), act("c")}, "[n] [c]"},
		"the rest of a case": {[]string{when("br", urgent, list(ask("g"), act("y")), list(act("n"))), act("c")}, "[y] [c]"},
		"a gate in the case": {[]string{ask("g"), when("br", urgent, list(ask("h"), act("y")), list(act("n"))), act("c")}, ""},
		"every way when it is not known": {
			[]string{ask("g"), think("judge", noise), when("br", isNoise, list(act("y")), list(ask("h"), act("n"))), act("c")}, "[y] [c]",
		},
		"parameters that cannot be filled": {[]string{ask("g"), `{"id": "b", "type": "product_action", "product": "psa", "action": "add_note",
			"params": {"ticket_id": "{{ event_payload.gone }}", "body": "b", "visibility": "internal"}}`}, "b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				x := w.wake(w.agent(list(tc.steps...)))
				w.pass(time.Minute)
				a, err := w.question(x)
				w.must(err)
				var got []string
				for _, action := range a.Actions {
					if action.Params != nil {
						got = append(got, "["+string(action.Step)+"]")
					} else {
						got = append(got, string(action.Step))
					}
				}
				if strings.Join(got, " ") != tc.want {
					t.Errorf("it shows %v, want %s", got, tc.want)
				}
			})
		})
	}
}

func TestAGateWithTooManyParametersFails(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		large := func(name string) string {
			return `{"id": "` + name + `", "type": "product_action", "product": "psa", "action": "add_note", "params": {
				"ticket_id": "t", "body": "{{ event_payload.large }}", "visibility": "internal"}}`
		}
		a := w.agent(list(ask("g"), large("b"), large("c")))
		e := w.escalated()
		e.Payload["large"] = strings.Repeat("x", 40_000)
		w.must(w.dispatcher.Dispatch(w.over, e))
		w.pass(time.Minute)
		w.expect(execution.ID(w.org, a, e), "failed (template_error): g failed (template_error), b skipped, c skipped")
		if err := w.decide(w.owner(), execution.ID(w.org, a, e), true); !errors.Is(err, errNoQuestion) {
			t.Errorf("there is a question: %v", err)
		}
	})
}
