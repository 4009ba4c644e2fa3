package simulation_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/render"
	"theoneagents.app/agents/shared/step"
	"theoneagents.app/agents/shared/sweep"
)

// The digest in the cursor of a machine is for its first call: a later one finds steps.
func TestTheAnswerToAMachineHasNoDigest(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		x, _ := w.stored(w.wake(w.agent(list(pause("p", 60), act("b")))))
		next, err := w.runner.Handle(w.over, machine.Call{Op: machine.OpRun, Cursor: x.Cursor(), Owner: "first"})
		if want := x.Cursor().Later(); err != nil || next.Next != machine.NextWait || next.Cursor != want {
			t.Errorf("%+v, %v; want the cursor %+v", next, err, want)
		}
	})
}

// ---- steps of definitions ----

// act is a product action with additional fields.
func act(name string, more ...string) string {
	return `{"id": "` + name + `", "type": "product_action", "product": "psa", "action": "add_note", "params": {
		"ticket_id": "{{ event_payload.ticket_id }}", "body": "note of ` + name + `", "visibility": "internal"}` + fields(more) + `}`
}

// open is a product action that makes a ticket.
func open(name string) string {
	return `{"id": "` + name + `", "type": "product_action", "product": "psa", "action": "create_ticket", "params": {"subject": "` + name + ` about {{ event_payload.ticket_id }}"}}`
}

// says is a product action called b with this text.
func says(text string) string {
	return `{"id": "b", "type": "product_action", "product": "psa", "action": "add_note", "params": {
		"ticket_id": "t", "body": "` + text + `", "visibility": "internal"}}`
}

func ask(name string, more ...string) string {
	return `{"id": "` + name + `", "type": "approval_gate", "message": "May {{ agent.name }} go on with {{ event_payload.ticket_id }}?"` +
		fields(more) + `}`
}

func pause(name string, seconds int, more ...string) string {
	return fmt.Sprintf(`{"id": %q, "type": "wait", "duration_seconds": %d%s}`, name, seconds, fields(more))
}

// hopeless is a step that always fails.
func hopeless(name string) string {
	return `{"id": "` + name + `", "type": "ai_reason", "model": "quick", "prompt": "{{ event_payload.gone }}"}`
}

func think(name string, more ...string) string {
	return `{"id": "` + name + `", "type": "ai_reason", "model": "standard", "prompt": "Judge {{ event_payload.ticket_id }}."` + fields(more) + `}`
}

func tell(name string, more ...string) string {
	return `{"id": "` + name + `", "type": "notification", "channel": "sms", "recipients": ["+15551234567", "+15557654321"], "body": "Look at {{ event_payload.ticket_id }}."` +
		fields(more) + `}`
}

func when(name, condition, yes, no string) string {
	return `{"id": "` + name + `", "type": "branch", "cases": [{"when": ` + condition + `, "steps": ` + yes + `}], "else": ` + no + `}`
}

func fields(more []string) string {
	if len(more) == 0 {
		return ""
	}
	return ", " + strings.Join(more, ", ")
}

func list(steps ...string) string { return "[" + strings.Join(steps, ",") + "]" }

const (
	noise   = `"output_schema": {"type": "object", "required": ["noise"], "properties": {"noise": {"type": "boolean"}}}`
	isNoise = `{"context": "run", "field": "steps.judge.output.noise", "operator": "eq", "value": true}`
	urgent  = `{"field": "escalated_to", "operator": "eq", "value": "p1"}`
	calm    = `{"field": "escalated_to", "operator": "eq", "value": "p4"}`
)

// owner may decide every approval.
func (w *world) owner() caller.Caller { return w.person("user_owner", caller.Owner) }

// untouched fails the test if the sweeper repaired anything.
func (w *world) untouched() {
	w.Helper()
	if got := w.repairs(); got != (sweep.Report{}) {
		w.Errorf("the sweeper repaired something: %+v", got)
	}
}

// ---- step kinds and conditions ----

func TestDispatchClassifiesATicketFromEndToEnd(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.model.reply = func(step.Question, int) said {
			return said{takes: 2 * time.Second, text: `{"priority": "p1", "category": "network", "required_skill": "network",
				"urgency_notes": "The whole office is down.", "draft_response": "We are on it."}`}
		}
		e := w.event("psa:ticket.created", map[string]any{"ticket_id": "tkt_1", "priority": "p3", "subject": "VPN down"})
		w.must(w.dispatcher.Dispatch(w.over, e))
		w.pass(time.Hour)

		x := execution.ID(w.org, "agent_system_dispatch", e)
		w.expect(x, "completed: classify_ticket completed, update_ticket completed, add_draft completed")
		if diff := cmp.Diff([]string{"update_ticket", "add_draft"}, w.products.keys()); diff != "" {
			t.Errorf("calls of the product (-want +got)\n%s", diff)
		}
		update, _ := w.products.did(x, "update_ticket")
		if diff := cmp.Diff(map[string]any{
			"ticket_id": "tkt_1", "priority": "p1", "category": "network", "ai_classified": true,
		}, update.command.Params); diff != "" {
			t.Errorf("update_ticket (-want +got)\n%s", diff)
		}
		draft, _ := w.products.did(x, "add_draft")
		if got := draft.command.Params["body"]; got != "We are on it." {
			t.Errorf("draft = %v", got)
		}
		if draft.command.Depth != 1 {
			t.Errorf("depth = %d, want 1", draft.command.Depth)
		}
		if b := w.balance(); b.Remaining != plan.Allocation()-20 {
			t.Errorf("%d credits remain of %d, want 20 charged", b.Remaining, b.Allocation)
		}
		stats := w.stats("agent_system_dispatch")
		if stats.Runs != 1 || stats.Completed != 1 || used(stats) != 20 || stats.Duration < 2*time.Second {
			t.Errorf("stats = %+v", stats)
		}
		if w.machines.begun != 1 || len(w.machines.names) != 0 {
			t.Errorf("%d machines began and %d waited, want 1 and 0", w.machines.begun, len(w.machines.names))
		}
		w.untouched()
		w.audit()
	})
}

func TestARunFollowsItsDefinition(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		steps string
		setup func(w *world)
		want  string
		acts  []string
	}{
		"a false if skips its step": {
			steps: list(act("a", `"if": `+calm), act("b", `"if": `+urgent)),
			want:  "completed: a skipped, b completed", acts: []string{"b"},
		},
		"a false if skips a gate without requesting approval": {
			steps: list(ask("g", `"if": `+calm), act("b")),
			want:  "completed: g skipped, b completed", acts: []string{"b"},
		},
		"a false if skips a wait": {
			steps: list(pause("p", 600, `"if": `+calm), act("b")),
			want:  "completed: p skipped, b completed", acts: []string{"b"},
		},
		"a false if skips the last step": {
			steps: list(act("a"), act("b", `"if": `+calm)),
			want:  "completed: a completed, b skipped", acts: []string{"a"},
		},
		"a skipped branch has no steps": {
			steps: list(`{"id": "br", "type": "branch", "if": `+calm+`, "cases": [{"when": `+urgent+`, "steps": `+list(act("x"))+`}]}`, act("b")),
			want:  "completed: br skipped, b completed", acts: []string{"b"},
		},
		"every if on a missing client profile is false": {
			steps: list(act("a", `"if": {"context": "client_context", "field": "recent_incidents", "operator": "ne", "value": 1}`),
				act("b", `"if": {"context": "client_context", "field": "recent_incidents", "operator": "exists", "value": false}`), act("c")),
			want: "completed: a skipped, b skipped, c completed", acts: []string{"c"},
		},
		"a default replaces a missing profile": {
			steps: list(says("{{ client_context.recent_incidents | default: 0 }}")),
			want:  "completed: b completed", acts: []string{"b"},
		},
		"without a default a profile that is not there fails its step": {
			steps: list(says("{{ client_context.recent_incidents }}")),
			want:  "failed (template_error): b failed (template_error)",
		},
		"an answer is found by output_var and by its step": {
			steps: list(think("judge", noise, `"output_var": "verdict"`), says("{{ verdict.noise }} {{ steps.judge.output.noise }}")),
			want:  "completed: judge completed, b completed", acts: []string{"b"},
		},
		"the output of a skipped step is missing": {
			steps: list(think("judge", noise, `"if": `+calm), says("{{ judge.noise }}")),
			want:  "failed (template_error): judge skipped, b failed (template_error)",
		},
		"a branch takes the first case that holds": {
			steps: list(think("judge", noise), when("br", isNoise, list(act("yes")), list(act("no"))), act("end")),
			want:  "completed: judge completed, br completed, yes completed, end completed", acts: []string{"yes", "end"},
		},
		"a branch takes else": {
			steps: list(when("br", calm, list(act("yes")), list(act("no")))),
			want:  "completed: br completed, no completed", acts: []string{"no"},
		},
		"a branch without a true case or else takes no steps": {
			steps: list(when("br", calm, list(act("yes")), "[]")),
			want:  "completed: br completed",
		},
		"branches nest": {
			steps: list(when("b1", urgent, list(when("b2", calm, list(act("x")), list(when("b3", urgent, list(act("y"), act("z")), "[]"))), act("u")), list(act("v")))),
			want:  "completed: b1 completed, b2 completed, b3 completed, y completed, z completed, u completed", acts: []string{"y", "z", "u"},
		},
		"a failed step ends the run": {
			steps: list(act("a"), act("b"), act("c")),
			setup: func(w *world) { w.products.refuses("b", errors.New("no")) },
			want:  "failed (product_error): a completed, b failed (product_error), c skipped", acts: []string{"a"},
		},
		"a failed step too large for the run's record ends the run": {
			steps: list(act("a"), `{"id": "b", "type": "product_action", "product": "psa", "action": "add_note", "params": {
				"ticket_id": "`+strings.Repeat("t", 150)+`", "body": "`+strings.Repeat("x", 500)+`", "visibility": "internal"}}`, act("c")),
			setup: func(w *world) { w.products.refuses("b", errors.New("no")) },
			want:  "failed (product_error): a completed, b failed (product_error), c skipped", acts: []string{"a"},
		},
		"a failed step with on_error continue does not end the run": {
			steps: list(act("a", `"on_error": "continue"`), act("b")),
			setup: func(w *world) { w.products.refuses("a", errors.New("no")) },
			want:  "completed: a failed (product_error), b completed", acts: []string{"b"},
		},
		"the last step may fail with on_error continue": {
			steps: list(act("a"), act("b", `"on_error": "continue"`)),
			setup: func(w *world) { w.products.refuses("b", errors.New("no")) },
			want:  "completed: a completed, b failed (product_error)", acts: []string{"a"},
		},
		"a template without a value fails its step": {
			steps: list(act("a", `"name": "A"`), `{"id": "b", "type": "product_action", "product": "psa", "action": "add_note",
				"params": {"ticket_id": "{{ event_payload.nothing }}", "body": "b", "visibility": "internal"}}`),
			want: "failed (template_error): a completed, b failed (template_error)", acts: []string{"a"},
		},
		"a gate whose message cannot be filled fails": {
			steps: list(`{"id": "g", "type": "approval_gate", "message": "{{ event_payload.nothing }}"}`, act("b")),
			want:  "failed (template_error): g failed (template_error), b skipped",
		},
		"a gate whose message cannot be filled may continue on error": {
			steps: list(`{"id": "g", "type": "approval_gate", "message": "{{ event_payload.nothing }}", "on_error": "continue"}`, act("b")),
			want:  "completed: g failed (template_error), b completed", acts: []string{"b"},
		},
		"a wait until an invalid time fails": {
			steps: list(`{"id": "p", "type": "wait", "until": "{{ event_payload.ticket_id }}"}`, act("b")),
			want:  "failed (template_error): p failed (template_error), b skipped",
		},
		"a wait until a past time does not wait": {
			steps: list(`{"id": "p", "type": "wait", "until": "1999-01-01T00:00:00Z"}`, act("b")),
			want:  "completed: p completed, b completed", acts: []string{"b"},
		},
		"a wait longer than its timeout fails": {
			steps: list(pause("p", 600, `"timeout_seconds": 60`), act("b")),
			want:  "failed (step_timeout): p failed (step_timeout), b skipped",
		},
		"now is the time at which the step's turn has come": {
			steps: list(pause("p", 600), `{"id": "q", "type": "wait", "timeout_seconds": 60,
				"until": "{{ 'now' | date: '%s' | plus: 300 | date: '%FT%TZ' }}"}`, act("b")),
			want: "failed (step_timeout): p completed, q failed (step_timeout), b skipped",
		},
		"a step may have the name of a root of templates": {
			steps: list(act("event"), act("agent"), act("steps"), act("execution"),
				`{"id": "b", "type": "product_action", "product": "psa", "action": "add_note", "params": {
				"ticket_id": "{{ event.payload.ticket_id }}", "visibility": "internal",
				"body": "{{ agent.name }} {{ execution.id }} {{ steps.event.output.ok }}"}}`),
			want: "completed: event completed, agent completed, steps completed, execution completed, b completed",
			acts: []string{"event", "agent", "steps", "execution", "b"},
		},
		"a message is sent to each recipient": {
			steps: list(tell("n"), act("b")),
			want:  "completed: n completed, b completed", acts: []string{"b"},
		},
		"a call of a product that was down is repeated under the same key": {
			steps: list(act("a")),
			setup: func(w *world) {
				w.products.reply = func(_ step.Command, n int) done {
					if n < 3 {
						return done{lose: step.ErrAgain}
					}
					return done{}
				}
			},
			want: "completed: a completed", acts: []string{"a"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				if tc.setup != nil {
					tc.setup(w)
				}
				x := w.wake(w.agent(tc.steps))
				w.pass(time.Hour)
				w.expect(x, tc.want)
				if got := slices.Compact(w.acts(x)); !slices.Equal(got, tc.acts) {
					t.Errorf("the product did %v, want %v", got, tc.acts)
				}
				w.untouched()
				w.audit()
			})
		})
	}
}

// hard returns a text with much work, and the event that it works on.
func (w *world) hard(parts int) (string, event.Event) {
	const big, chain = 200 << 10, 9
	e := w.escalated()
	e.Payload["big"] = strings.Repeat("x", big)
	return strings.Repeat("{{ event_payload.big"+strings.Repeat(" | upcase", chain)+" | size }} ", parts*render.Work/16/(2*chain*big)+1), e
}

// Values that approvers would not see for want of work must not look like values
// that are not known yet: the run would do what nobody saw.
func TestAGateWithTooMuchToShowFails(t *testing.T) {
	t.Parallel()
	withoutRaceDetector(t)

	inWorld(t, func(w *world) {
		text, e := w.hard(5)
		var steps []string
		for i := range 4 {
			steps = append(steps, strings.Replace(says(text+strconv.Itoa(i)), `"b"`, fmt.Sprintf(`"b%d"`, i), 1))
		}
		a := w.agent(list(append([]string{ask("g")}, steps...)...))
		w.must(w.dispatcher.Dispatch(w.over, e))
		w.pass(time.Hour)
		w.expect(execution.ID(w.org, a, e), "failed (template_error): g failed (template_error), b0 skipped, b1 skipped, b2 skipped, b3 skipped")
		if len(w.questions()) != 0 {
			t.Error("people are asked")
		}
		w.audit()
	})
}

// Fifty steps with much work each keep no function busy for minutes.
func TestARunWithMuchWorkMovesOnToAnotherFunction(t *testing.T) {
	t.Parallel()
	withoutRaceDetector(t)

	inWorld(t, func(w *world) {
		text, e := w.hard(12)
		var steps, done []string
		for i := range 5 {
			steps = append(steps, strings.Replace(says(text+strconv.Itoa(i)), `"b"`, fmt.Sprintf(`"b%d"`, i), 1))
			done = append(done, fmt.Sprintf("b%d completed", i))
		}
		a := w.agent(list(steps...))
		w.must(w.dispatcher.Dispatch(w.over, e))
		w.pass(time.Hour)
		x := execution.ID(w.org, a, e)
		w.expect(x, "completed: "+strings.Join(done, ", "))
		if run, _ := w.stored(x); run.Lease.Attempt != 3 {
			t.Errorf("five steps with three quarters of the work of a step took %d functions, want 3", run.Lease.Attempt)
		}
		w.untouched()
		w.audit()
	})
}

// refuses makes the product refuse a step for good.
func (p *products) refuses(s id.Step, err error) {
	p.reply = func(c step.Command, _ int) done {
		if strings.HasSuffix(c.Key, ":"+string(s)) {
			return done{refuse: err}
		}
		return done{}
	}
}

// acts returns the steps of a run that products performed, in order.
func (w *world) acts(x id.Execution) []string {
	var steps []string
	for _, key := range w.products.keys() {
		if _, ok := w.products.did(x, id.Step(key)); ok {
			steps = append(steps, key)
		}
	}
	return steps
}

// ---- gates ----

func TestAGateWaitsForPeople(t *testing.T) {
	t.Parallel()

	const hour = `"timeout_seconds": 3600`
	escalating := list(ask("g", hour, `"on_expiry": "escalate"`, `"escalate_to": {"users": ["user_boss"], "timeout_seconds": 1800}`), act("b"))
	for name, tc := range map[string]struct {
		steps  string
		people func(w *world, x id.Execution)
		want   string
		status approval.Status
	}{
		"approved": {
			steps: list(ask("g", hour), act("b")),
			people: func(w *world, x id.Execution) {
				w.must(w.decide(w.owner(), x, true))
			},
			want: "completed: g completed, b completed", status: approval.Approved,
		},
		"approved before the last step": {
			steps: list(act("a"), ask("g", hour)),
			people: func(w *world, x id.Execution) {
				w.must(w.decide(w.owner(), x, true))
			},
			want: "completed: a completed, g completed", status: approval.Approved,
		},
		"denied": {
			steps: list(ask("g", hour), act("b")),
			people: func(w *world, x id.Execution) {
				w.must(w.decide(w.owner(), x, false))
			},
			want: "cancelled (approval_denied): g completed, b skipped", status: approval.Denied,
		},
		"expired": {
			steps: list(ask("g", hour), act("b")),
			want:  "cancelled (approval_expired): g completed, b skipped", status: approval.Expired,
		},
		"expired, with on_expiry approve": {
			steps: list(ask("g", hour, `"on_expiry": "approve"`), act("b")),
			want:  "completed: g completed, b completed", status: approval.Expired,
		},
		"escalated and approved": {
			steps: escalating,
			people: func(w *world, x id.Execution) {
				boss := w.person("user_boss", caller.Member)
				if err := w.decide(boss, x, true); !errors.Is(err, approval.ErrNotYours) {
					w.Errorf("before the escalation the boss gets %v", err)
				}
				w.pass(time.Hour + time.Minute)
				w.must(w.decide(boss, x, true))
			},
			want: "completed: g completed, b completed", status: approval.Approved,
		},
		"escalated and expired": {
			steps: escalating,
			people: func(w *world, x id.Execution) {
				w.pass(time.Hour + 29*time.Minute)
				if _, err := w.question(x); err != nil {
					w.Error("it is too early to give up:", err)
				}
			},
			want: "cancelled (approval_expired): g completed, b skipped", status: approval.Expired,
		},
		"of whom two must say yes": {
			steps: list(ask("g", hour, `"min_approvals": 2`), act("b")),
			people: func(w *world, x id.Execution) {
				w.must(w.decide(w.person("user_1", caller.Admin), x, true))
				w.must(w.decide(w.person("user_1", caller.Admin), x, true))
				w.pass(time.Minute)
				if got := len(w.products.keys()); got != 0 {
					w.Errorf("%d calls after one vote of two", got)
				}
				w.must(w.decide(w.person("user_2", caller.Admin), x, true))
			},
			want: "completed: g completed, b completed", status: approval.Approved,
		},
		"of whom one says yes and one says no": {
			steps: list(ask("g", hour, `"min_approvals": 2`), act("b")),
			people: func(w *world, x id.Execution) {
				w.must(w.decide(w.person("user_1", caller.Admin), x, true))
				w.must(w.decide(w.person("user_2", caller.Admin), x, false))
			},
			want: "cancelled (approval_denied): g completed, b skipped", status: approval.Denied,
		},
		"of whom too few say yes": {
			steps: list(ask("g", hour, `"min_approvals": 2`), act("b")),
			people: func(w *world, x id.Execution) {
				w.must(w.decide(w.person("user_1", caller.Admin), x, true))
			},
			want: "cancelled (approval_expired): g completed, b skipped", status: approval.Expired,
		},
		"twice": {
			steps: list(ask("g", hour), act("a"), ask("h", hour), act("b")),
			people: func(w *world, x id.Execution) {
				w.must(w.decide(w.owner(), x, true))
				w.pass(time.Minute)
				w.must(w.decide(w.owner(), x, true))
			},
			want: "completed: g completed, a completed, h completed, b completed", status: approval.Approved,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				x := w.wake(w.agent(tc.steps))
				w.pass(time.Minute)
				if run, _ := w.stored(x); run.Status != execution.WaitingApproval {
					t.Fatalf("after a minute the run is %s", run.Status)
				}
				if tc.people != nil {
					tc.people(w, x)
				}
				w.pass(3 * time.Hour)
				w.expect(x, tc.want)
				author := map[approval.Status]id.Actor{approval.Denied: id.Actor(w.questions()[0].DecidedBy), approval.Expired: id.Platform}
				if run, _ := w.stored(x); run.Status == execution.Cancelled && run.CancelledBy != author[tc.status] {
					t.Errorf("cancelled by %q, want %q", run.CancelledBy, author[tc.status])
				}
				if got := w.questions()[0].Status; got != tc.status {
					t.Errorf("the approval is %s, want %s", got, tc.status)
				}
				w.untouched()
				w.audit()
			})
		})
	}
}

func TestALostDoorbellIsRepairedByTheSweeper(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		x := w.wake(w.agent(list(ask("g"), act("b"))))
		w.pass(time.Minute)
		w.faults.set(func(at site) fault {
			if at.port == "machine.Ring" {
				return fault{before: errFault}
			}
			return fault{}
		})
		if err := w.decide(w.owner(), x, true); !errors.Is(err, errFault) {
			t.Fatalf("the decision returned %v", err)
		}
		w.pass(90 * time.Second)
		w.expect(x, "completed: g completed, b completed")
		w.pass(3 * time.Hour)
		w.audit()
	})
}

// A worker that read an open approval parks the run just after the decision.
// Its write must not set the due time to the expiry of the gate.
func TestADecisionDuringParkingIsNotMissed(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		x := w.wake(w.agent(list(ask("g"), act("b"))))
		w.pass(time.Minute)
		commits := 0
		w.faults.set(func(at site) fault {
			switch {
			case at.port == "store.Commit":
				if commits++; commits == 1 {
					return fault{pause: 5 * time.Second}
				}
			case strings.HasPrefix(at.port, "machine.lost"), at.port == "machine.Ring":
				return fault{before: errFault}
			}
			return fault{}
		})
		go w.handle(x, "early") //nolint:errcheck // the test checks its effects.
		w.pass(time.Second)
		if err := w.decide(w.owner(), x, true); !errors.Is(err, errFault) {
			t.Fatalf("the decision returned %v", err)
		}
		w.pass(10 * time.Second)
		w.faults.set(nil)
		w.pass(2 * time.Minute)
		w.expect(x, "completed: g completed, b completed")
		w.audit()
	})
}

// An outdated machine must not request an approval that its run has not
// reached.
func TestAnOutdatedMachineRequestsNoApproval(t *testing.T) {
	t.Parallel()

	for name, f := range map[string]fault{"while another works": {pause: 5 * time.Second}, "after another died": {kill: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				w.asleep()
				asleep := w.faults.current()
				x := w.wake(w.agent(list(act("a"), ask("g", `"if": `+calm), act("b"))))
				w.faults.set(func(at site) fault {
					if at.port == "store.Header" && at.n == 1 {
						return f
					}
					return asleep(at)
				})
				go w.handle(x, "one") //nolint:errcheck // the test checks its effects.
				w.pass(time.Second)
				_, err := call(w, runnerLimit, func(ctx context.Context) (machine.Next, error) {
					return w.runner.Handle(ctx, machine.Call{
						Op: machine.OpGate, Cursor: machine.Cursor{Org: w.org, Execution: x}, Owner: "late", Token: "token",
					})
				})
				w.must(err)
				w.faults.set(nil)
				w.pass(10 * time.Minute)
				w.expect(x, "completed: a completed, g skipped, b completed")
				w.audit()
			})
		})
	}
}

func TestAnEarlierVoteKeepsTheRunDueForTheSweeper(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		x := w.wake(w.agent(list(ask("g", `"min_approvals": 2`, `"timeout_seconds": 600`), act("b"))))
		w.faults.set(func(at site) fault {
			if at.port == "machine.lostWaits" {
				return fault{before: errFault}
			}
			return fault{}
		})
		w.pass(time.Minute)
		w.must(w.decide(w.person("user_1", caller.Admin), x, true))
		if run, _ := w.stored(x); run.Due.IsZero() {
			t.Error("the run is not due at any time")
		}
		w.faults.set(nil)
		w.pass(time.Hour)
		w.expect(x, "cancelled (approval_expired): g completed, b skipped")
		w.audit()
	})
}

// ---- waits ----

func TestAWaitEndsOnTime(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		x := w.wake(w.agent(list(act("a"), pause("p", 3*24*3600), act("b"))))
		w.pass(2 * 24 * time.Hour)
		w.expect(x, "running: a completed, p waiting, b pending")
		w.pass(25 * time.Hour)
		w.expect(x, "completed: a completed, p completed, b completed")
		b, _ := w.products.did(x, "b")
		if _, steps := w.stored(x); b.at.Sub(steps["p"].Started) > 3*24*time.Hour+5*time.Second {
			t.Errorf("the run went on after %v", b.at.Sub(steps["p"].Started))
		}
		w.untouched()
		w.audit()
	})
}

func TestACancelledWaitNeverEnds(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		x := w.wake(w.agent(list(act("a"), pause("p", 3600), act("b"))))
		w.pass(time.Minute)
		w.must(w.cancel(x))
		w.pass(24 * time.Hour)
		w.expect(x, "cancelled (cancelled_by_user): a completed, p skipped, b skipped")
		if got := w.acts(x); len(got) != 1 {
			t.Errorf("the product did %v", got)
		}
		w.untouched()
		w.audit()
	})
}

// ---- cancel ----

func TestARunMayBeCancelledAtAnyPoint(t *testing.T) {
	t.Parallel()

	t.Run("before it starts", func(t *testing.T) {
		t.Parallel()
		inWorld(t, func(w *world) {
			x := w.wake(w.agent(list(act("a"))))
			w.must(w.cancel(x))
			w.pass(time.Hour)
			w.expect(x, "cancelled (cancelled_by_user): a skipped")
			if got := len(w.products.keys()); got != 0 {
				t.Errorf("%d calls of the product", got)
			}
			w.untouched()
			w.audit()
		})
	})

	t.Run("while a step is being done", func(t *testing.T) {
		t.Parallel()
		inWorld(t, func(w *world) {
			w.products.reply = func(step.Command, int) done { return done{takes: 3 * time.Second} }
			x := w.wake(w.agent(list(act("a"), act("b"))))
			w.pass(2 * time.Second)
			w.must(w.cancel(x))
			w.expect(x, "cancelled (cancelled_by_user): a skipped, b skipped")
			w.pass(time.Hour)
			if got := w.acts(x); !slices.Equal(got, []string{"a"}) {
				t.Errorf("the product did %v", got)
			}
			if run, _ := w.stored(x); run.Status != execution.Cancelled {
				t.Errorf("the run is %s", run.Status)
			}
			w.audit()
		})
	})

	t.Run("while people are asked", func(t *testing.T) {
		t.Parallel()
		inWorld(t, func(w *world) {
			x := w.wake(w.agent(list(ask("g"), act("b"))))
			w.pass(time.Minute)
			a, err := w.question(x)
			w.must(err)
			w.must(w.cancel(x))
			_, err = w.approvals.Decide(w.over, w.owner(), a.ID, approval.Verdict{Approve: true})
			if !errors.Is(err, approval.ErrDecided) {
				t.Errorf("deciding after the cancellation returned %v", err)
			}
			w.pass(3 * time.Hour)
			w.expect(x, "cancelled (cancelled_by_user): g skipped, b skipped")
			if got := w.questions()[0].Status; got != approval.Denied {
				t.Errorf("the gate is %s, want denied", got)
			}
			w.untouched()
			w.audit()
		})
	})

	t.Run("but not once it is over", func(t *testing.T) {
		t.Parallel()
		inWorld(t, func(w *world) {
			x := w.wake(w.agent(list(act("a"))))
			w.pass(time.Minute)
			if err := w.cancel(x); !errors.Is(err, execution.ErrState) {
				t.Errorf("cancelling returned %v", err)
			}
			w.expect(x, "completed: a completed")
		})
	})
}

func TestAnAnswerIsChargedWhenItsRunIsCancelledMeanwhile(t *testing.T) {
	t.Parallel()

	large := strings.Repeat("long ", 200)
	for name, steps := range map[string]string{
		"in the middle": list(think("judge"), act("b")),
		"at the end":    list(act("a"), `{"id": "judge", "type": "ai_reason", "model": "standard", "prompt": "Judge."}`),
	} {
		for kind, answer := range map[string]string{"small": "short", "large": large} {
			for how, takes := range map[string]time.Duration{"soon": 8 * time.Second, "late": 28 * time.Second} {
				t.Run(strings.Join([]string{name, kind, how}, ", "), func(t *testing.T) {
					t.Parallel()
					inWorld(t, func(w *world) {
						w.model.reply = func(step.Question, int) said { return said{text: answer, takes: takes} }
						a := w.agent(steps)
						x := w.wake(a)
						w.pass(takes - 2*time.Second)
						w.must(w.cancel(x))
						w.pass(time.Hour)
						run, done := w.stored(x)
						if run.Status != execution.Cancelled || done["judge"].Output == nil || run.Credits != 20 || used(w.stats(a)) != 20 {
							t.Errorf("%s: %s charged %d, stats %d; the step %+v", run.Status, run.Reason, run.Credits, used(w.stats(a)), done["judge"])
						}
						w.audit()
					})
				})
			}
		}
	}
}

func TestHoldsOfACancelledRunAreReleasedAfterACrash(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.model.reply = func(step.Question, int) said { return said{text: "late", takes: 20 * time.Second} }
		w.faults.set(func(at site) fault {
			switch at.port {
			case "machine.Invoke":
				return fault{}
			case "model.Ask":
				return fault{kill: true, late: true}
			case "store.Execution":
				if at.n > 1 && at.n < 9 { // every later call of the machine
					return fault{kill: true}
				}
			}
			return fault{}
		})
		x := w.wake(w.agent(list(think("judge"), act("b"))))
		w.pass(21 * time.Second)
		w.faults.set(nil)
		w.must(w.cancel(x))
		if b := w.balance(); b.Remaining != b.Allocation-20 {
			t.Errorf("%d remain of %d: the price must be held until the lease is over", b.Remaining, b.Allocation)
		}
		w.pass(5 * time.Minute)
		if b := w.balance(); b.Remaining != b.Allocation {
			t.Errorf("%d remain of %d", b.Remaining, b.Allocation)
		}
		w.audit()
	})
}

// A caller that ends a run does not know whether its worker still waits for a
// model. The worker settles the price, or the sweeper after the lease.
func TestAnotherMachineDoesNotSettleWhatTheWorkerHolds(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.model.reply = func(step.Question, int) said { return said{text: "an answer", takes: 9 * time.Second} }
		x := w.wake(w.agent(list(think("judge"), act("b"))))
		w.pass(5 * time.Second)
		w.must(w.cancel(x))
		if next, err := w.handle(x, "another"); err != nil || next.Next != machine.NextDone {
			t.Errorf("the other machine got %+v, %v", next, err)
		}
		w.pass(time.Hour)
		if run, _ := w.stored(x); run.Credits != 20 {
			t.Errorf("charged %d, want 20", run.Credits)
		}
		w.audit()
	})
}

// Cancelling a run stops its call of a model.
func TestCancellingStopsARunningModelCall(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.model.reply = func(step.Question, int) said { return said{text: "an answer", takes: 55 * time.Second} }
		x := w.wake(w.agent(list(think("judge"), act("b"))))
		w.pass(5 * time.Second)
		w.must(w.cancel(x))
		w.pass(execution.RenewTime)
		if run, _ := w.stored(x); len(run.Holds) > 0 || run.Credits > 0 {
			t.Errorf("after %v it still holds %v and charged %d", execution.RenewTime, run.Holds, run.Credits)
		}
		w.pass(time.Hour)
		w.audit()
	})
}

// ---- models ----

func TestAModelIsChargedOnlyForAnAnswer(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		reply func(n int) said
		spent int64 // before
		want  string
		asked int
		used  int64
	}{
		"that fits": {
			reply: func(int) said { return said{text: `{"noise": true}`} },
			want:  "completed: judge completed, b completed", asked: 1, used: 20,
		},
		"that fits after a repair": {
			reply: func(n int) said {
				return said{text: []string{`{"noise": "perhaps"}`, `{"noise": false}`}[n-1]}
			},
			want: "completed: judge completed, b completed", asked: 2, used: 20,
		},
		"and not for two that do not fit": {
			reply: func(int) said { return said{text: `not JSON`} },
			want:  "failed (invalid_model_output): judge failed (invalid_model_output), b skipped", asked: 2,
		},
		"and not when it is down": {
			reply: func(int) said { return said{err: step.ErrAgain} },
			want:  "failed (model_unavailable): judge failed (model_unavailable), b skipped", asked: 3,
		},
		"that comes when it is up again": {
			reply: func(n int) said {
				if n == 1 {
					return said{err: step.ErrAgain}
				}
				return said{text: `{"noise": true}`}
			},
			want: "completed: judge completed, b completed", asked: 2, used: 20,
		},
		"and not when it refuses": {
			reply: func(int) said { return said{err: errFault} },
			want:  "failed (model_unavailable): judge failed (model_unavailable), b skipped", asked: 1,
		},
		"and not when it takes too long": {
			reply: func(int) said { return said{text: `{"noise": true}`, takes: 2 * time.Minute} },
			want:  "failed (step_timeout): judge failed (step_timeout), b skipped", asked: 1,
		},
		"and not asked without credits": {
			spent: plan.Allocation() - 19,
			reply: func(int) said { return said{text: `{"noise": true}`} },
			want:  "failed (credit_insufficient): judge failed (credit_insufficient), b skipped",
		},
		"and asked with just enough": {
			spent: plan.Allocation() - 20,
			reply: func(int) said { return said{text: `{"noise": true}`} },
			want:  "completed: judge completed, b completed", asked: 1, used: 20,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				w.model.reply = func(_ step.Question, n int) said { return tc.reply(n) }
				w.spend(tc.spent)
				before := w.balance().Remaining
				a := w.agent(list(think("judge", noise), act("b")))
				x := w.wake(a)
				w.pass(time.Hour)
				w.expect(x, tc.want)
				if got := len(w.model.questions()); got != tc.asked {
					t.Errorf("asked %d times, want %d", got, tc.asked)
				}
				if got := before - w.balance().Remaining; got != tc.used || used(w.stats(a)) != tc.used {
					t.Errorf("%d charged, %d in the stats; want %d", got, used(w.stats(a)), tc.used)
				}
				w.untouched()
			})
		})
	}
}

// Parallel runs share the grace of a day exactly: refused answers beyond it are
// charged, and the next day has a grace of its own.
func TestRefusedAnswersAreFreeWithinTheGraceOfADay(t *testing.T) {
	t.Parallel()

	const runs = 12
	deadly := func(at site) fault { return given(at.port == "model.Ask", fault{kill: true}) }
	for name, tc := range map[string]struct {
		reply  func() said
		faults func(at site) fault
		more   string
		free   int64
	}{
		"that the schema refuses":     {reply: func() said { return said{text: `{"noise": "perhaps"}`} }, free: 200},
		"that no JSON is":             {reply: func() said { return said{text: `not JSON`} }, free: 200},
		"that are empty":              {reply: func() said { return said{text: "``"} }, free: 200},
		"that the timeout cuts off":   {reply: func() said { return said{text: `{"noise": true}`, takes: 5 * time.Second} }, more: `"timeout_seconds": 3`, free: 200},
		"that kill their worker":      {reply: func() said { return said{text: `{"noise": true}`} }, faults: deadly, free: 200},
		"that the model does not end": {reply: func() said { return said{text: `{"noise": true}`, takes: 5 * time.Minute} }, free: 100 * runs},
		"that the model declines":     {reply: func() said { return said{err: errFault} }, free: 100 * runs},
		"of a model that is down":     {reply: func() said { return said{err: step.ErrAgain} }, more: `"timeout_seconds": 3`, free: 100 * runs},
	} {
		for _, then := range []string{"fail", "continue"} {
			t.Run(name+", "+then, func(t *testing.T) {
				t.Parallel()
				inWorld(t, func(w *world) {
					w.model.reply = func(step.Question, int) said { return tc.reply() }
					w.faults.set(tc.faults)
					more := []string{`"on_error": "` + then + `"`, noise}
					if tc.more != "" {
						more = append(more, tc.more)
					}
					a := w.agent(list(strings.Replace(think("judge", more...), "standard", "premium", 1), pause("p", 60), act("b")))
					day := func() {
						for range runs {
							e := w.escalated()
							go func() { _ = w.dispatcher.Dispatch(w.over, e) }()
						}
						w.pass(24 * time.Hour)
					}
					day()
					charged := int64(100*runs) - tc.free
					if got := w.balance(); got.Allocation-got.Remaining != charged || used(w.stats(a)) != charged {
						t.Errorf("%d charged, %d in the stats; want %d", got.Allocation-got.Remaining, used(w.stats(a)), charged)
					}
					day()
					if got := used(w.stats(a)); got != 2*charged {
						t.Errorf("%d charged after another day; want %d", got, 2*charged)
					}
					w.audit()
				})
			})
		}
	}
}

// spend uses up credits, so the auditor's sums no longer agree.
func (w *world) spend(n int64) {
	if n == 0 {
		return
	}
	x := execution.New(execution.Execution{ID: "exec_spent", Org: w.org, Agent: "agent_other"}, time.Now())
	w.must(w.store.Create(w.over, x))
	x.Revision = 1
	c, _ := x.Reserved("s", credit.Hold{Month: credit.MonthOf(time.Now()), Tier: credit.Quick, Amount: n})
	c.Execution.Due = time.Time{}
	w.must(w.store.Commit(w.over, c))
}

// ---- leases ----

func TestALongStepKeepsItsLease(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		steps       string
		takes, acts time.Duration
	}{
		"one long step":                   {list(think("judge"), act("b")), 55 * time.Second, time.Second},
		"many steps of some time":         {list(act("a"), act("b"), act("c"), act("d"), act("e"), act("f"), act("g"), act("h"), act("i")), time.Minute, 9 * time.Second},
		"several long steps":              {list(think("j1"), think("j2"), think("j3")), 40 * time.Second, time.Second},
		"a step with the longest timeout": {list(act("a", `"timeout_seconds": 60`), act("b", `"timeout_seconds": 60`)), time.Minute, 58 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				w.model.reply = func(step.Question, int) said { return said{text: "yes", takes: tc.takes} }
				w.products.reply = func(step.Command, int) done { return done{takes: min(tc.takes, tc.acts)} }
				w.pass(34 * time.Second) // so that a sweep happens after the first lease, had it not been renewed
				x := w.wake(w.agent(tc.steps))
				w.pass(time.Hour)
				if run, _ := w.stored(x); run.Status != execution.Completed {
					t.Errorf("the run is %s", w.story(x))
				}
				seen := map[string]bool{}
				for _, key := range w.products.keys() {
					if seen[key] {
						t.Errorf("%s was called twice", key)
					}
					seen[key] = true
				}
				w.untouched()
				w.audit()
			})
		})
	}
}

// handle calls the runner once, as a machine does.
func (w *world) handle(x id.Execution, owner string) (machine.Next, error) {
	return call(w, runnerLimit, func(ctx context.Context) (machine.Next, error) {
		return w.runner.Handle(ctx, machine.Call{Op: machine.OpRun, Cursor: machine.Cursor{Org: w.org, Execution: x}, Owner: owner})
	})
}

// asleep prevents the machines from starting, so that the test acts as the
// machine. None has the lease of a new run.
func (w *world) asleep() {
	w.dispatcher.NewOwner = nil
	w.faults.set(func(at site) fault {
		if strings.HasPrefix(at.port, "machine.lost") {
			return fault{before: errFault}
		}
		return fault{}
	})
}

func TestASecondOwnerDoesNothingWhileTheLeaseLives(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.asleep()
		w.products.reply = func(step.Command, int) done { return done{takes: 20 * time.Second} }
		x := w.wake(w.agent(list(act("a"), act("b"))))
		go w.handle(x, "one") //nolint:errcheck // the test checks its effects.
		w.pass(15 * time.Second)
		next, err := w.handle(x, "two")
		if err != nil || next.Next != machine.NextDone {
			t.Errorf("the second owner got %+v, %v", next, err)
		}
		w.pass(time.Minute)
		if diff := cmp.Diff([]string{"a", "b"}, w.products.keys()); diff != "" {
			t.Errorf("calls (-want +got)\n%s", diff)
		}
		w.audit()
	})
}

func TestTheSameOwnerTakesOverFromItsDeadCall(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.asleep()
		w.products.reply = func(step.Command, int) done { return done{takes: time.Second} }
		x := w.wake(w.agent(list(act("a"), act("b"))))
		asleep := w.faults.current()
		w.faults.set(func(at site) fault {
			if at.port == "product.Act" && at.n == 1 {
				return fault{kill: true, late: true}
			}
			return asleep(at)
		})
		if _, err := w.handle(x, "one"); err == nil {
			t.Fatal("the first call did not die")
		}
		if next, err := w.handle(x, "one"); err != nil || next.Next != machine.NextDone {
			t.Errorf("the second call got %+v, %v", next, err)
		}
		w.expect(x, "completed: a completed, b completed")
		if diff := cmp.Diff([]string{"a", "a", "b"}, w.products.keys()); diff != "" {
			t.Errorf("calls (-want +got)\n%s", diff)
		}
		w.audit()
	})
}

func TestAZombieCannotWrite(t *testing.T) {
	t.Parallel()

	t.Run("when another has the run", func(t *testing.T) {
		t.Parallel()
		inWorld(t, func(w *world) {
			w.asleep()
			asleep := w.faults.current()
			x := w.wake(w.agent(list(act("a"), act("b"), act("c"))))
			w.faults.set(func(at site) fault {
				switch {
				case at.port == "product.Act" && at.n == 2: // the zombie's b
					return fault{pause: 100 * time.Second}
				case at.port == "store.Commit" && at.n > 1 && at.n < 12:
					return fault{before: errFault} // nor can it renew its lease
				}
				return asleep(at)
			})
			go w.handle(x, "zombie") //nolint:errcheck // the test checks its effects.
			w.pass(40 * time.Second)
			w.faults.set(asleep)
			if next, err := w.handle(x, "heir"); err != nil || next.Next != machine.NextDone {
				t.Errorf("the heir got %+v, %v", next, err)
			}
			w.expect(x, "completed: a completed, b completed, c completed")
			before, _ := w.stored(x)
			w.pass(time.Hour)
			after, _ := w.stored(x)
			if before.Revision != after.Revision {
				t.Errorf("the zombie wrote: revision %d became %d", before.Revision, after.Revision)
			}
			if diff := cmp.Diff([]string{"a", "b", "c", "b"}, w.products.keys()); diff != "" {
				t.Errorf("calls (-want +got)\n%s", diff)
			}
			w.audit()
		})
	})

	t.Run("when its run was cancelled after its lease was over", func(t *testing.T) {
		t.Parallel()
		inWorld(t, func(w *world) {
			w.asleep()
			asleep := w.faults.current()
			w.model.reply = func(step.Question, int) said { return said{text: "too late", takes: 45 * time.Second} }
			x := w.wake(w.agent(list(think("judge"), act("b"))))
			w.faults.set(func(at site) fault {
				if at.port == "store.Commit" && at.n > 1 && at.n < 8 {
					return fault{before: errFault} // renewing its lease fails
				}
				return asleep(at)
			})
			go w.handle(x, "zombie") //nolint:errcheck // the test checks its effects.
			w.pass(43 * time.Second)
			w.faults.set(asleep)
			w.must(w.cancel(x))
			w.pass(time.Hour)
			w.expect(x, "cancelled (cancelled_by_user): judge skipped, b skipped")
			w.audit()
		})
	})
}

// ---- crashes ----

func TestACrashedWorkerIsReplacedWithoutDuplicateEffects(t *testing.T) {
	t.Parallel()

	steps := list(act("a"), think("judge", noise), when("br", isNoise, list(act("yes")), list(act("no"))), pause("p", 60), act("b"))
	for _, port := range []string{
		"store.Execution", "store.Commit", "store.SaveStep", "store.Header", "product.Act", "model.Ask", "machine.Invoke",
	} {
		for n := 1; n <= 6; n++ {
			for name, f := range map[string]fault{
				"dies before":      {kill: true},
				"dies after":       {kill: true, late: true},
				"fails before":     {before: errFault},
				"loses the reply":  {after: errFault},
				"sleeps before it": {pause: 40 * time.Second},
			} {
				t.Run(fmt.Sprintf("%s %s %d", name, port, n), func(t *testing.T) {
					t.Parallel()
					inWorld(t, func(w *world) {
						w.faults.set(func(at site) fault {
							if at.port == port && at.n == n {
								return f
							}
							return fault{}
						})
						a, e := w.agent(steps), w.escalated()
						go w.publish(e, "", 0)
						x := execution.ID(w.org, a, e)
						w.pass(time.Hour)
						want := "completed: a completed, judge completed, br completed, yes completed, p completed, b completed"
						switch got := w.story(x); {
						case got == want:
						case strings.HasPrefix(got, "failed") && (port == "product.Act" || port == "model.Ask"): // the target may refuse
						default:
							t.Errorf("\n got %s\nwant %s", got, want)
						}
						w.audit()
					})
				})
			}
		}
	}
}

// A crash between the record of the last step and the end of the run does not
// change the end.
func TestACrashDoesNotChangeTheEndOfARun(t *testing.T) {
	t.Parallel()

	big := `{"id": "b", "type": "product_action", "product": "psa", "action": "add_note", "params": {
		"ticket_id": "` + strings.Repeat("t", 150) + `", "body": "` + strings.Repeat("x", 500) + `", "visibility": "internal"}}`
	for name, tc := range map[string]struct {
		steps string
		no    bool
		want  string
	}{
		"a failed step that is large": {
			steps: list(big, act("c")),
			want:  "failed (product_error): b failed (product_error), c skipped",
		},
		"a denial with a long note": {
			steps: list(ask("b"), act("c")), no: true,
			want: "cancelled (approval_denied): b completed, c skipped",
		},
	} {
		for n := 1; n <= 8; n++ {
			for how, f := range map[string]fault{"before": {kill: true}, "after": {kill: true, late: true}} {
				t.Run(fmt.Sprintf("%s, death %s write %d", name, how, n), func(t *testing.T) {
					t.Parallel()
					inWorld(t, func(w *world) {
						w.products.refuses("b", errors.New("no"))
						seen := 0
						w.faults.set(func(at site) fault {
							if at.port == "store.Commit" || at.port == "store.SaveStep" {
								if seen++; seen == n {
									return f
								}
							}
							return fault{}
						})
						x := w.wake(w.agent(tc.steps))
						w.pass(5 * time.Minute)
						if tc.no {
							a, err := w.question(x)
							w.must(err)
							_, err = w.approvals.Decide(w.over, w.owner(), a.ID, approval.Verdict{Note: strings.Repeat("no ", 600)})
							w.must(err)
						}
						w.pass(3 * time.Hour)
						w.expect(x, tc.want)
						w.audit()
					})
				})
			}
		}
	}
}

func TestAnExpressMachineMayStartTwice(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		firstLease bool
		calls      []string
	}{
		"a machine that has to take a lease":        {false, []string{"a", "b", "c"}},
		"the machine with the lease of its new run": {true, []string{"a", "a", "b", "c"}}, // a twice with one key
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				if !tc.firstLease {
					w.dispatcher.NewOwner = nil
				}
				w.products.reply = func(step.Command, int) done { return done{takes: time.Second} }
				w.faults.set(func(at site) fault {
					if at.port == "machine.twice" {
						return fault{after: errFault}
					}
					return fault{}
				})
				x := w.wake(w.agent(list(act("a"), ask("g"), act("b"), pause("p", 300), act("c"))))
				w.pass(time.Minute)
				w.must(w.decide(w.owner(), x, true))
				w.pass(5 * time.Hour)
				w.expect(x, "completed: a completed, g completed, b completed, p completed, c completed")
				if diff := cmp.Diff(tc.calls, w.products.keys()); diff != "" {
					t.Errorf("calls (-want +got)\n%s", diff)
				}
				w.audit()
			})
		})
	}
}

func TestARunThatNeverStartedIsStartedBySweeper(t *testing.T) {
	t.Parallel()

	for name, port := range map[string]string{"the machine was lost": "machine.lostRuns", "the start failed": "machine.Start"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				w.faults.set(func(at site) fault {
					if at.port == port && at.n == 1 {
						return fault{before: errFault}
					}
					return fault{}
				})
				e := w.escalated()
				a := w.agent(list(act("a")))
				err := w.dispatcher.Dispatch(w.over, e)
				if (err != nil) != (port == "machine.Start") {
					t.Fatalf("the dispatch returned %v", err)
				}
				w.pass(90 * time.Second)
				w.expect(execution.ID(w.org, a, e), "completed: a completed")
				w.audit()
			})
		})
	}
}

func TestTheSweeperRepairsNothingWithoutFaults(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.model.reply = func(q step.Question, _ int) said {
			return said{text: fitting(q.Schema), takes: time.Duration(chance(q.Execution, q.Step) * 50 * float64(time.Second))}
		}
		w.products.reply = func(c step.Command, _ int) done {
			return done{takes: time.Duration(chance(c.Key) * 20 * float64(time.Second))}
		}
		agents := []id.Agent{
			w.agent(list(think("judge", noise), when("br", isNoise, list(act("y"), tell("t")), list(act("n"))), act("e"))),
			w.agent(list(act("a"), act("b"), act("c"), act("d"), act("e"), act("f"), act("g"))),
			w.agent(list(ask("g", `"timeout_seconds": 900`, `"on_expiry": "approve"`), act("a"), pause("p", 700), think("j"), act("b"))),
			w.agent(list(pause("p", 61), ask("g", `"timeout_seconds": 61`), act("b"))),
			w.agent(list(think("j1"), think("j2"), think("j3"), think("j4"))),
		}
		for i := range 30 {
			for range agents[:1] {
				w.must(w.dispatcher.Dispatch(w.over, w.escalated()))
			}
			w.pass(time.Duration(i) * 7 * time.Second)
		}
		w.pass(2 * time.Hour)
		if got := len(w.runs()); got != 150 {
			t.Errorf("%d runs, want 150", got)
		}
		w.untouched()
		w.audit()
	})
}

func TestUnknownOperationsAreRefused(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		if _, err := w.runner.Handle(w.over, machine.Call{Op: "fly"}); err == nil {
			t.Error("no error")
		}
		_, err := w.handle("exec_nothing", "one")
		if !errors.Is(err, execution.ErrNotFound) {
			t.Errorf("a run that is not there: %v", err)
		}
	})
}

// A run of a deleted agent keeps its version.
func TestARunKeepsItsVersion(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		name := w.agent(list(pause("p", 300), act("old")))
		x := w.wake(name)
		w.pass(time.Minute)
		a, err := w.store.Store.Agent(w.over, w.org, name)
		w.must(err)
		changed := a
		changed.Version++
		changed.Definition.Steps = slices.Clone(a.Definition.Steps)
		changed.Definition.Steps[1].ID = "new"
		w.must(w.store.Store.SaveAgent(w.over, a, changed, agent.Cap{}))
		w.pass(time.Hour)
		w.expect(x, "completed: p completed, old completed")
		w.audit()
	})
}

// ---- steps that crash every worker ----

func TestAStepThatCrashesEveryWorkerIsGivenUp(t *testing.T) {
	t.Parallel()

	const failedA = "failed (internal_error): a failed (internal_error), b skipped"
	hook := `{"id": "n", "type": "notification", "channel": "webhook", "recipients": ["https://hooks.example.com/a"], "body": "b"}`
	for name, tc := range map[string]struct {
		steps string
		port  string
		spare int // calls of the port by earlier steps
		want  string
		calls int
	}{
		"an action":                        {list(act("a"), act("b")), "product.Act", 0, failedA, 3},
		"an action after another":          {list(act("x"), act("a"), act("b")), "product.Act", 1, "failed (internal_error): x completed, a failed (internal_error), b skipped", 3},
		"an action after a wait":           {list(pause("p", 60), act("a"), act("b")), "product.Act", 0, "failed (internal_error): p completed, a failed (internal_error), b skipped", 3},
		"a question":                       {list(think("judge"), act("b")), "model.Ask", 0, "failed (internal_error): judge failed (internal_error), b skipped", 3},
		"a question after an action":       {list(act("x"), think("judge"), act("b")), "model.Ask", 0, "failed (internal_error): x completed, judge failed (internal_error), b skipped", 3},
		"a question after a question":      {list(think("x"), think("judge"), act("b")), "model.Ask", 1, "failed (internal_error): x completed, judge failed (internal_error), b skipped", 3},
		"a message":                        {list(act("a"), tell("n")), "sender.Send", 0, "completed: a completed, n completed", 2}, // not sent twice
		"a webhook":                        {list(act("a"), hook), "sender.Send", 0, "failed (internal_error): a completed, n failed (internal_error)", 3},
		"an action with on_error continue": {list(act("a", `"on_error": "continue"`), tell("n")), "product.Act", 0, "completed: a failed (internal_error), n completed", 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				calls := 0
				w.faults.set(func(at site) fault {
					if at.port != tc.port || at.n <= tc.spare {
						return fault{}
					}
					calls++
					return fault{kill: true}
				})
				x := w.wake(w.agent(tc.steps))
				w.pass(time.Hour)
				w.expect(x, tc.want)
				if calls != tc.calls {
					t.Errorf("%d workers were killed, want %d", calls, tc.calls)
				}
				w.audit()
			})
		})
	}
}
