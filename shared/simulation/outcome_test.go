package simulation_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/step"
)

// outcomes returns the outcome messages of gates.
func (w *world) outcomes() []step.Message {
	var out []step.Message
	for _, m := range w.senders.messages() {
		if isOutcome(m) {
			out = append(out, m)
		}
	}
	return out
}

func TestRecipientsOfAQuestionGetItsOutcome(t *testing.T) {
	t.Parallel()
	decide := func(yes bool) func(w *world, a id.Agent, x id.Execution) {
		return func(w *world, _ id.Agent, x id.Execution) {
			w.must(w.decide(w.person("user_ann", caller.Admin), x, yes))
		}
	}
	for name, tc := range map[string]struct {
		gate    string
		after   string // the step behind the gate
		happens func(w *world, a id.Agent, x id.Execution)
		on      string
		subject string
		says    []string
	}{
		"approved": {
			happens: decide(true), on: "decided", subject: "Approved: An agent",
			says: []string{"Approved by user_ann.\nNote: as I see it\n\nThe question was: May An agent go on with "},
		},
		"denied": {
			happens: decide(false), on: "decided", subject: "Denied: An agent", says: []string{"Denied by user_ann.\nNote: as I see it"},
		},
		"approved before a long wait": {
			after: pause("b", 86_400), happens: decide(true), on: "decided", subject: "Approved: An agent", says: []string{"Approved by user_ann."},
		},
		"approved before the next gate": {
			after: ask("b"), happens: decide(true), on: "decided", subject: "Approved: An agent", says: []string{"Approved by user_ann."},
		},
		"approved by two people": {
			gate: `, "min_approvals": 2`, happens: func(w *world, _ id.Agent, x id.Execution) {
				w.must(w.decide(w.person("user_ann", caller.Admin), x, true))
				w.must(w.decide(w.person("user_ben", caller.Admin), x, true))
			},
			on: "decided", subject: "Approved: An agent", says: []string{"Approved by user_ann, user_ben."},
		},
		"expired": {
			happens: func(w *world, _ id.Agent, _ id.Execution) { w.pass(time.Hour) },
			on:      "expired", subject: "Expired: An agent no longer waits for approval",
			says: []string{"No decision was made in time. The execution was cancelled."},
		},
		"expired, with on_expiry approve": {
			gate: `, "on_expiry": "approve"`, happens: func(w *world, _ id.Agent, _ id.Execution) { w.pass(time.Hour) },
			on: "expired", subject: "Expired: An agent no longer waits for approval",
			says: []string{"No decision was made in time. The gate approves on expiry, so the execution continues."},
		},
		"cancelled by a user": {
			happens: func(w *world, _ id.Agent, x id.Execution) { w.must(w.cancel(x)) },
			on:      "withdrawn", subject: "Withdrawn: An agent no longer waits for approval",
			says: []string{"The request for approval was withdrawn. A user cancelled the execution."},
		},
		"its agent was deleted": {
			happens: func(w *world, a id.Agent, _ id.Execution) { w.must(w.agents.Delete(w.over, w.owner(), a, 0)) },
			on:      "withdrawn", subject: "Withdrawn: An agent no longer waits for approval",
			says: []string{"The execution was cancelled because its agent was deleted."},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				after := tc.after
				if after == "" {
					after = act("b")
				}
				a := w.agent(list(ask("g", twoChannels+tc.gate), after))
				x := w.wake(a)
				w.pass(time.Minute)
				q, err := w.question(x)
				w.must(err)
				tc.happens(w, a, x)
				w.pass(time.Second * 2)
				got := w.outcomes()
				if len(got) != 3 {
					t.Fatalf("%d messages say what became of it, want 3 within seconds", len(got))
				}
				for i, m := range got {
					link := "https://console.example/approvals/" + string(q.ID)
					for _, part := range append(tc.says, link) {
						if !strings.Contains(m.Body, part) {
							t.Errorf("%q is not in\n%s", part, m.Body)
						}
					}
					key := fmt.Sprintf("%s:%s:%d:%d", q.ID, tc.on, i/2, i%2)
					if m.Subject != tc.subject || m.Key != key || m.Link.URL != link {
						t.Errorf("%q under %s, want %q under %s", m.Subject, m.Key, tc.subject, key)
					}
				}
				if diff := cmp.Diff([]string{"sent", "sent", "sent"}, w.notified(x, "g")[tc.on]); diff != "" {
					t.Errorf("trace (-want +got)\n%s", diff)
				}
				w.pass(48 * time.Hour)
				if n := len(w.outcomes()); n != 3 {
					t.Errorf("%d messages in the end, want no more than 3", n)
				}
				w.untouched()
				w.audit()
			})
		})
	}
}

// A user of the console cancels the run just after the approval: the verdict
// stands, and the message says that no action was taken.
func TestTheOutcomeOfACancelledRunSaysThatNoActionWasTaken(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.faults.set(func(at site) fault { return given(at.port == "machine.Ring", fault{before: errFault}) })
		x := w.wake(w.agent(list(ask("g", twoChannels), act("b"))))
		w.pass(time.Minute)
		if err := w.decide(w.owner(), x, true); err == nil {
			t.Fatal("the doorbell was heard")
		}
		w.must(w.cancel(x))
		w.pass(5 * time.Minute)
		for _, m := range w.outcomes() {
			if want := "Approved by user_owner. No action was taken: A user cancelled the execution."; !strings.HasPrefix(m.Body, want) {
				t.Errorf("told\n%s", m.Body)
			}
		}
		if n := len(w.outcomes()); n != 3 {
			t.Errorf("%d messages", n)
		}
		w.audit()
	})
}

// An ended run has no worker: if no machine is left, the sweeper finds that
// outcome messages are missing.
func TestTheOutcomeOfACancellationIsSentWithoutAMachine(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.faults.set(func(at site) fault { return given(at.port == "machine.Ring", fault{before: errFault}) })
		x := w.wake(w.agent(list(ask("g", twoChannels), act("b"))))
		w.pass(time.Minute)
		w.must(w.cancel(x))
		w.pass(patience + time.Second)
		if n := len(w.outcomes()); n != 3 {
			t.Errorf("%d messages %v after the cancellation, want 3", n, patience)
		}
		w.audit()
	})
}

func TestOutcomeMessagesSurviveACrash(t *testing.T) {
	t.Parallel()
	for _, port := range []string{"store.Commit", "sender.Outcome", "machine.Invoke", "store.Approval", "store.Version"} {
		for n := 1; n <= 12; n++ {
			for _, late := range []bool{false, true} {
				for _, yes := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s %d %t %t", port, n, late, yes), func(t *testing.T) {
						t.Parallel()
						inWorld(t, func(w *world) {
							x := w.wake(w.agent(list(ask("g", twoChannels), act("b"))))
							w.pass(time.Minute)
							count := 0
							w.faults.set(func(at site) fault {
								if at.port == port {
									count++
								}
								return given(at.port == port && count == n, fault{kill: true, late: late})
							})
							w.retryUntilDone(func() error { return w.decide(w.owner(), x, yes) })
							w.pass(10 * time.Minute)
							states := w.notified(x, "g")["decided"]
							if len(states) != 3 || slices.ContainsFunc(states, func(s string) bool { return s != "sent" && s != "unknown" }) {
								t.Errorf("decided: %v", states)
							}
							w.audit()
						})
					})
				}
			}
		}
	}
}

// Outcomes without recipients cause no calls.
func TestAnOutcomeWithoutRecipientsCostsNoCalls(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		steps string
		setup func(w *world)
	}{
		"no gate":                                     {list(act("a"), act("b")), nil},
		"a gate without a channel":                    {list(ask("g"), act("b")), nil},
		"a gate without a delivered message":          {list(ask("g", twoChannels), act("b")), func(w *world) { w.senders.reply = refusal }},
		"a cancelled run of a gate without a channel": {list(ask("g"), act("b")), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				if tc.setup != nil {
					tc.setup(w)
				}
				x := w.wake(w.agent(tc.steps))
				w.pass(time.Minute)
				calls := func() int { return w.seen("store.") - w.seen("store.AddStats") } // without those of the stream
				before := calls()
				switch {
				case strings.HasPrefix(name, "a cancelled"):
					w.must(w.cancel(x))
				case strings.HasPrefix(name, "a gate"):
					w.must(w.decide(w.owner(), x, true))
				}
				w.pass(time.Minute)
				run, steps := w.stored(x)
				if !run.Status.Ended() || !run.Due.IsZero() || steps[execution.OutcomeOf("g")].ID != "" {
					t.Errorf("%s, due %v, with %v", run.Status, run.Due, steps[execution.OutcomeOf("g")])
				}
				// For the verdict: the approval and its decision. To continue:
				// the run, its definition, the approval; the lease and the
				// gate; the run again before the last step; the lease for the
				// action, the end.
				most := map[string]int{"no gate": 0, "a gate without a channel": 11, "a gate without a delivered message": 11, "a cancelled run of a gate without a channel": 5}[name]
				if n := calls() - before; n > most {
					t.Errorf("%d calls of the store, want at most %d", n, most)
				}
				w.audit()
			})
		})
	}
}

func refusal(step.Message) error { return step.ErrNotification }

// seen returns the number of calls of ports, without those of the sweeper.
func (w *world) seen(prefix string) int {
	w.faults.mu.Lock()
	defer w.faults.mu.Unlock()
	n := 0
	for at, calls := range w.faults.seen {
		if strings.HasPrefix(at.port, prefix) && at.port != "store.Overdue" && at.port != "store.Unpublished" && at.port != "store.Searching" && at.port != "store.Erasing" {
			n += calls
		}
	}
	return n
}

// ---- escalation ----

func TestTheEscalationIsNotifiedWhenTheApproversDoNotDecide(t *testing.T) {
	t.Parallel()
	const second = `"on_expiry": "escalate", "escalate_to": {"users": ["user_boss"], "timeout_seconds": 1800,
		"notify": [{"channel": "email", "recipients": ["boss@msp.example"]}]}`
	for name, gate := range map[string]string{
		"beside the first":                `"timeout_seconds": 3600, "notify": [{"channel": "sms", "recipients": ["+15550000001"]}], ` + second,
		"although the first was not told": `"timeout_seconds": 3600, ` + second,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				x := w.wake(w.agent(list(ask("g", gate), act("b"))))
				w.pass(61 * time.Minute)
				q, err := w.question(x)
				w.must(err)
				if !q.Escalated || q.OnExpiry != definition.Escalate {
					t.Errorf("escalated: %t, on expiry %q", q.Escalated, q.OnExpiry)
				}
				w.pass(20 * time.Minute)
				w.must(w.decide(w.person("user_boss", caller.Member), x, true))
				w.pass(time.Minute)
				first, boss := []string{}, []string{}
				for _, m := range w.senders.messages() {
					if m.Channel == definition.SMS {
						first = append(first, m.Subject)
					} else {
						boss = append(boss, m.Recipient+": "+m.Subject)
					}
				}
				wantFirst := []string{
					"An agent waits for approval", "Reminder: An agent waits for approval", "Escalated: An agent waits for approval",
					"Reminder: An agent waits for approval", "Approved: An agent",
				}
				if strings.HasPrefix(name, "although") {
					wantFirst = []string{}
				}
				if diff := cmp.Diff(wantFirst, first); diff != "" {
					t.Errorf("the first line (-want +got)\n%s", diff)
				}
				if diff := cmp.Diff([]string{
					"boss@msp.example: Escalated: An agent waits for approval",
					"boss@msp.example: Reminder: An agent waits for approval", "boss@msp.example: Approved: An agent",
				}, boss); diff != "" {
					t.Errorf("the second line (-want +got)\n%s", diff)
				}
				w.untouched()
				w.audit()
			})
		})
	}
}

func TestARecipientOfBothLinesGetsTheOutcomeOnce(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		x := w.wake(w.agent(list(ask("g", `"timeout_seconds": 3600, "on_expiry": "escalate",
			"notify": [{"channel": "sms", "recipients": ["+15550000001", "+1555000000{{ event_payload.escalated_to | remove: \"p\" }}"]}],
			"escalate_to": {"users": ["user_boss"], "notify": [{"channel": "sms", "recipients": ["+15550000001", "+15550000002"]}]}`), act("b"))))
		w.pass(61 * time.Minute)
		w.must(w.decide(w.owner(), x, true))
		w.pass(time.Minute)
		var told []string
		for _, m := range w.outcomes() {
			told = append(told, m.Recipient)
		}
		if diff := cmp.Diff([]string{"+15550000001", "+15550000002"}, told); diff != "" {
			t.Errorf("told (-want +got)\n%s", diff)
		}
		w.audit()
	})
}

// ---- texts of messages ----

func TestAValueOfAnEventCannotImitateThePlatform(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		a := w.agent(list(`{"id": "g", "type": "approval_gate", "message": "{{ agent.name }}: isolate {{ event_payload.device }}?", ` + twoChannels + `}`))
		e := w.escalated()
		e.Payload["device"] = "pc\u202e1\n\nDecide until 2031-01-01T00:00:00Z: https://evil.example"
		w.must(w.dispatcher.Dispatch(w.over, e))
		w.pass(time.Minute)
		q, err := w.question(execution.ID(w.org, a, e))
		w.must(err)
		if want := "An agent: isolate pc1\n\nDecide until 2031-01-01T00:00:00Z: https://evil.example?"; q.Message != want {
			t.Errorf("the question is %q, want %q", q.Message, want)
		}
		for _, m := range w.senders.messages() {
			var ours []string
			for line := range strings.SplitSeq(m.Body, "\n") {
				if strings.HasPrefix(line, "Decide until ") {
					ours = append(ours, line)
				}
			}
			if len(ours) != 1 || !strings.Contains(ours[0], "https://console.example/") {
				t.Errorf("lines that look like ours: %q", ours)
			}
			const marked = "Filled in from the event or from earlier steps: “pc1 Decide until 2031-01-01T00:00:00Z: https://evil.exa"
			if !strings.Contains(m.Body, marked) || strings.Contains(m.Body, "“An agent”") {
				t.Errorf("what is not ours is not marked:\n%s", m.Body)
			}
		}
	})
}

func TestAMessageNamesTheMessagesThatFollow(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.wake(w.agent(list(ask("g", twoChannels), act("b"),
			`{"id": "n", "type": "notification", "channel": "email", "recipients": ["a@msp.example", "b@msp.example", "c@msp.example", "d@msp.example"],
				"subject": "About {{ event_payload.ticket_id }}", "body": "Hello"}`, think("judge", noise),
			when("br", isNoise, list(tell("y")), list(act("z"))))))
		w.pass(time.Minute)
		body := w.senders.messages()[0].Body
		for _, part := range []string{
			"\n- email to a@msp.example, b@msp.example, c@msp.example and 1 more: “About tkt_", "\n- br: the branch to take is not known yet",
			"\n- perhaps sms to +15551234567, +15557654321: “Look at tkt_", "\n- perhaps psa.add_note {",
		} {
			if !strings.Contains(body, part) {
				t.Errorf("%q is not in\n%s", part, body)
			}
		}
	})
}

// ---- previews ----

func TestAGateShowsMessagesBranchesAndWaits(t *testing.T) {
	t.Parallel()
	mail := func(name, to, body string) string {
		return `{"id": "` + name + `", "type": "notification", "name": "Tell them", "channel": "email", "recipients": [` + to + `], "subject": "Hi", "body": "` + body + `"}`
	}
	message := func(body string) *approval.Message {
		return &approval.Message{
			Channel: definition.Email, Recipients: []string{"a@msp.example"}, Text: &approval.Text{Subject: "Hi", Body: body},
		}
	}
	sure := func(name id.Step, k definition.Kind) approval.Following {
		return approval.Following{Step: name, Kind: k, Certain: true}
	}
	told := func(f approval.Following, m *approval.Message) approval.Following {
		f.Name, f.Message = "Tell them", m
		return f
	}
	within := func(f approval.Following, certain bool, branch id.Step, n int) approval.Following {
		f.Certain, f.Within = certain, &approval.Place{Step: branch, Case: n}
		return f
	}
	way := func(f approval.Following, w approval.Way) approval.Following {
		f.Branch = &w
		return f
	}
	waits := func(f approval.Following, w approval.Wait) approval.Following {
		f.Wait = &w
		return f
	}
	const to = `"a@msp.example"`
	for name, tc := range map[string]struct {
		steps []string
		want  []approval.Following
	}{
		"a message": {
			[]string{ask("g"), mail("n", to, "{{ event_payload.escalated_to }}")},
			[]approval.Following{told(sure("n", definition.Notification), message("p1"))},
		},
		"a message with an unknown text": {
			[]string{ask("g"), think("judge"), mail("n", to, "{{ judge.text }}")},
			[]approval.Following{
				sure("judge", definition.AI), told(sure("n", definition.Notification), &approval.Message{Channel: definition.Email, Recipients: []string{"a@msp.example"}}),
			},
		},
		"a message with an unknown recipient": {
			[]string{ask("g"), act("b"), mail("n", `"{{ steps.b.output.mail }}"`, "Hello")},
			[]approval.Following{
				sure("b", definition.Action),
				told(sure("n", definition.Notification), &approval.Message{Channel: definition.Email, Text: &approval.Text{Subject: "Hi", Body: "Hello"}}),
			},
		},
		"a message that cannot be filled": {
			[]string{ask("g"), mail("n", to, "{{ event_payload.gone }}")},
			[]approval.Following{told(sure("n", definition.Notification), &approval.Message{Channel: definition.Email, Recipients: []string{"a@msp.example"}})},
		},
		"the case of a branch": {
			[]string{ask("g"), when("br", urgent, list(mail("n", to, "yes")), list(act("z")))},
			[]approval.Following{
				way(sure("br", definition.Branching), approval.Way{Case: 0}),
				within(told(sure("n", definition.Notification), message("yes")), true, "br", 0),
			},
		},
		"the other case of a branch": {
			[]string{ask("g"), when("br", calm, list(act("y")), list(mail("n", to, "no")))},
			[]approval.Following{
				way(sure("br", definition.Branching), approval.Way{Case: -1}),
				within(told(sure("n", definition.Notification), message("no")), true, "br", -1),
			},
		},
		"every way of an open branch": {
			[]string{ask("g"), think("judge", noise), when("br", isNoise, list(act("y")), list(mail("n", to, "no")))},
			[]approval.Following{
				sure("judge", definition.AI), way(sure("br", definition.Branching), approval.Way{Open: true}),
				within(sure("y", definition.Action), false, "br", 0), within(told(sure("n", definition.Notification), message("no")), false, "br", -1),
			},
		},
		"a step with an unknown condition": {
			[]string{ask("g"), think("judge", noise), act("b", `"if": `+isNoise)},
			[]approval.Following{sure("judge", definition.AI), {Step: "b", Kind: definition.Action}},
		},
		"not the steps that will be skipped": {[]string{ask("g"), pause("p", 60, `"if": `+calm), act("b")}, []approval.Following{sure("b", definition.Action)}},
		"a wait": {
			[]string{ask("g"), pause("p", 60), `{"id": "u", "type": "wait", "until": "{{ event_payload.at }}"}`},
			[]approval.Following{
				waits(sure("p", definition.Waiting), approval.Wait{Seconds: 60}), waits(sure("u", definition.Waiting), approval.Wait{Until: "2031-01-01T00:00:00Z"}),
			},
		},
		"up to the next question": {
			[]string{ask("g"), act("b"), ask("h"), act("c")}, []approval.Following{sure("b", definition.Action), sure("h", definition.Gate)},
		},
		"no steps": {[]string{ask("g")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				a := w.agent(list(tc.steps...))
				e := w.escalated()
				e.Payload["at"] = "2031-01-01T00:00:00Z"
				w.must(w.dispatcher.Dispatch(w.over, e))
				w.pass(time.Minute)
				q, err := w.question(execution.ID(w.org, a, e))
				w.must(err)
				if diff := cmp.Diff(tc.want, q.Then); diff != "" {
					t.Errorf("it shows (-want +got)\n%s", diff)
				}
			})
		})
	}
}

func TestALongMessageIsShownInPartAndSentWhole(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		var steps []string
		for n := range 3 {
			steps = append(steps, fmt.Sprintf(`{"id": "n%d", "type": "notification", "channel": "email", "recipients": ["a@msp.example"],
				"body": "{{ event_payload.large }}"}`, n))
		}
		a := w.agent(list(append([]string{ask("g")}, steps...)...))
		e := w.escalated()
		large := strings.Repeat("ä", 15_000)
		e.Payload["large"] = large
		w.must(w.dispatcher.Dispatch(w.over, e))
		w.pass(time.Minute)
		x := execution.ID(w.org, a, e)
		q, err := w.question(x)
		w.must(err)
		for _, f := range q.Then {
			shown := f.Message.Text
			if n := len([]rune(shown.Body)); n < 1000 || n+shown.Cut != 15_000 {
				t.Errorf("%s: %d characters are shown and %d left out", f.Step, n, shown.Cut)
			}
		}
		w.must(w.decide(w.owner(), x, true))
		w.pass(time.Minute)
		w.expect(x, "completed: g completed, n0 completed, n1 completed, n2 completed")
		for _, m := range w.senders.messages() {
			if m.Body != large {
				t.Errorf("%s was sent with %d bytes", m.Key, len(m.Body))
			}
		}
	})
}

func TestARunSendsTheMessagesThatTheGateShowed(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.setScore(70)
		x := w.wake(w.agent(list(ask("g"), `{"id": "n", "type": "notification", "channel": "slack",
			"recipients": ["https://chat.example/{{ client_context.security_posture_score }}"],
			"subject": "Score", "body": "It is {{ client_context.security_posture_score }} at {{ 'now' | date: '%s' }}."}`)))
		w.pass(time.Minute)
		q, err := w.question(x)
		w.must(err)
		w.setScore(20)
		w.pass(time.Minute)
		w.must(w.decide(w.owner(), x, true))
		w.pass(time.Minute)
		shown, sent := q.Then[0].Message, w.senders.messages()[0]
		if sent.Recipient != shown.Recipients[0] || sent.Subject != shown.Text.Subject || sent.Body != shown.Text.Body {
			t.Errorf("people saw %+v, %+v; sent is %q %q %q", shown, shown.Text, sent.Recipient, sent.Subject, sent.Body)
		}
		if sent.Recipient != "https://chat.example/70" || sent.Markup != sent.Body {
			t.Errorf("sent to %s: %q and %q", sent.Recipient, sent.Body, sent.Markup)
		}
	})
}
