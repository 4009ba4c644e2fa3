package rehearsal_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"theoneagents.app/agents/events"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/input"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/rehearsal"
	"theoneagents.app/agents/shared/template"
)

var noon = time.Date(2026, 3, 9, 14, 30, 0, 0, time.UTC)

// shipped is the real catalogue, read once.
var shipped = sync.OnceValues(func() (catalog.Catalog, error) { return catalog.Load(events.Files) })

func rules(t testing.TB) definition.Rules {
	t.Helper()
	c, err := shipped()
	if err != nil {
		t.Fatal(err)
	}
	return definition.Rules{Catalog: c}
}

// play plays a definition with a body.
func play(t testing.TB, d definition.Definition, body string) rehearsal.Result {
	t.Helper()
	return playRecorded(t, d, body, nil)
}

// playRecorded plays a definition with a body; runs have the answers of models that the
// body wants recorded.
func playRecorded(t testing.TB, d definition.Definition, body string, runs rehearsal.Runs) rehearsal.Result {
	t.Helper()
	doc, err := jsonvalue.Object([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	r := &input.Reader{}
	o := r.Object("", doc)
	q := rehearsal.Read(o)
	o.Done()
	answers, faults := q.Check(d)
	if all := append(r.Faults, faults...); len(all) > 0 {
		t.Fatal(all)
	}
	rules := rules(t)
	e, source, faults := q.EventFor(rules.Catalog, d, "org_a", noon)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	s := &rehearsal.Service{Rules: rules}
	var recording *rehearsal.Recording
	if q.Recorded {
		recording = rehearsal.NewRecording(runs, "org_a", "agent_1", q.Execution, noon)
	}
	result, err := s.Run(t.Context(), rehearsal.Play{
		Org: "org_a", Plan: credit.Starter, Agent: "agent_1", Version: 1, Definition: d, Event: e, Source: source, Client: q.Profile, At: noon, Answers: answers,
		Recording: recording,
	})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestEveryTemplateRunsToItsEnd(t *testing.T) {
	t.Parallel()

	all, err := template.Load(template.Files, rules(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, tmpl := range all {
		t.Run(string(tmpl.ID), func(t *testing.T) {
			t.Parallel()

			r := play(t, tmpl.Definition, `{"ignore_match": true}`)
			if r.Status == nil || *r.Status != string(execution.Completed) {
				t.Fatalf("%s %v %v %+v %+v", r.Outcome, *r.Reason, r.Status, r.Error, r.Steps)
			}
			if r.Credits.WouldCost > r.Credits.AtMost || r.Credits.Charged != 0 {
				t.Errorf("credits %+v", r.Credits)
			}
		})
	}
}

// defined returns the definition with these steps.
func defined(t testing.TB, steps string) definition.Definition {
	t.Helper()
	doc, err := jsonvalue.Object([]byte(`{"name": "A", "description": "D", "category": "service_desk",
		"trigger": {"type": "bus_event", "event_type": "ticket.created", "source_product": "psa",
			"filters": [{"field": "priority", "operator": "in", "value": ["p1", "p2"]}]}, "steps": ` + steps + `}`))
	if err != nil {
		t.Fatal(err)
	}
	d, err := rules(t).Parse(doc)
	if err != nil {
		t.Fatal(err, fault.From(err).Details)
	}
	return d
}

const (
	isolates = `[{"id": "ask", "type": "approval_gate", "message": "Isolate?", "timeout_seconds": 3600, "on_expiry": "escalate",
			"notify": [{"channel": "email", "recipients": ["soc@msp.test"]}],
			"escalate_to": {"roles": ["member"], "timeout_seconds": 600, "notify": [{"channel": "email", "recipients": ["boss@msp.test"]}]}},
		{"id": "isolate", "type": "product_action", "product": "defend", "action": "isolate_device", "params": {"device_id": "{{ event_payload.ticket_id }}"}}]`
	opens = `[{"id": "open", "type": "product_action", "product": "psa", "action": "create_ticket", "params": {"subject": "New"}, "on_error": "continue"},
		{"id": "tell", "type": "notification", "channel": "email", "recipients": ["a@msp.test"], "subject": "S", "body": "See {{ steps.open.output.ticket_id | default: 'none' }}"}]`
)

func TestDecisionsAreAssumed(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		body, status, reason string
		gates, effects       int
		passed               int64
		told                 string // of the last question
	}{
		"approved by default":      {`{}`, "completed", "", 1, 1, 0, "asked decided"},
		"denied":                   {`{"decisions": {"ask": "denied"}}`, "cancelled", "approval_denied", 1, 0, 0, "asked decided"},
		"expired, then approved":   {`{"decisions": {"ask": ["expired", "approved"]}}`, "completed", "", 2, 1, 3602, "escalated escalated decided decided"},
		"nobody decides":           {`{"decisions": {"ask": "expired"}}`, "cancelled", "approval_expired", 2, 0, 4204, "escalated escalated reminded_again reminded_again expired expired"},
		"expired, and then denied": {`{"decisions": {"ask": ["expired", "denied"]}}`, "cancelled", "approval_denied", 2, 0, 3602, "escalated escalated decided decided"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			r := play(t, defined(t, isolates), tc.body)
			reason := ""
			if r.StatusReason != nil {
				reason = *r.StatusReason
			}
			if *r.Status != tc.status || reason != tc.reason || len(r.Gates) != tc.gates || len(r.Effects) != tc.effects {
				t.Fatalf("%s %s, %d gates, %d effects; want %+v", *r.Status, reason, len(r.Gates), len(r.Effects), tc)
			}
			if off := r.TimePassed - tc.passed; off < -5 || off > 5 {
				t.Errorf("%d seconds passed, want about %d", r.TimePassed, tc.passed)
			}
			last := r.Gates[len(r.Gates)-1]
			var told []string
			for _, n := range last.Notices {
				told = append(told, n.On)
			}
			if got := strings.Join(told, " "); got != tc.told || last.Escalated != (tc.gates == 2) {
				t.Errorf("the last question told %q, escalated %t; want %q", got, last.Escalated, tc.told)
			}
			shown := r.Gates[0].Shows.Actions
			if len(shown) != 1 || shown[0].Params["device_id"] != "tkt_48213" {
				t.Errorf("the gate shows %+v", shown)
			}
			for _, e := range r.Effects {
				if e.Gate == nil || *e.Gate != "ask" || !e.Destructive || e.Params["device_id"] != shown[0].Params["device_id"] {
					t.Errorf("effect %+v", e)
				}
			}
		})
	}
}

func TestTheOutsideAnswersAsTheRequestSays(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		body, text, source string
		effects            int
	}{
		"the sample of the catalogue": {`{}`, "See tkt_48214", "sample", 2},
		"a reply to the action":       {`{"replies": {"psa.create_ticket": {"ticket_id": "t1"}}}`, "See t1", "mock", 2},
		"a reply to the step first":   {`{"replies": {"psa.create_ticket": {"ticket_id": "t1"}, "open": {"ticket_id": "t2"}}}`, "See t2", "mock", 2},
		"a reply without the field":   {`{"replies": {"open": {}}}`, "See none", "mock", 2},
		"a failure":                   {`{"fail": {"open": {"code": "product_error"}}}`, "See none", "mock", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			r := play(t, defined(t, opens), tc.body)
			if len(r.Effects) != tc.effects || r.Steps[0].Source == nil || *r.Steps[0].Source != tc.source {
				t.Fatalf("%+v", r)
			}
			if last := r.Effects[len(r.Effects)-1]; *last.Text != tc.text || *last.Recipient != "a@msp.test" {
				t.Errorf("%q to %q, want %q", *last.Text, *last.Recipient, tc.text)
			}
			warned := len(r.Warnings) > 0 && r.Warnings[0].Path == "replies.open"
			if warned != (tc.source == "sample") {
				t.Errorf("warnings %v", r.Warnings)
			}
		})
	}
}

func TestAnEventThatDoesNotMatchIsNoError(t *testing.T) {
	t.Parallel()

	const event = `"event": {"payload": {"ticket_id": "t", "priority": "p4"}}`
	r := play(t, defined(t, opens), `{`+event+`}`)
	if r.Outcome != definition.Filtered || r.Status != nil || len(r.Steps)+len(r.Effects) != 0 {
		t.Fatalf("%+v", r)
	}
	if c := r.Checks[0]; c.Holds || c.Found != "p4" || c.Path != "trigger.filters[0]" {
		t.Errorf("check %+v", c)
	}
	r = play(t, defined(t, opens), `{"ignore_match": true, `+event+`}`)
	if r.Outcome != definition.Filtered || r.Reason == nil || r.Status == nil || len(r.Effects) != 2 {
		t.Errorf("with ignore_match: %+v", r)
	}
}

// An approval of a destructive action ages during a wait, and the gate asks again.
func TestTimePassesByTheRunsOwnClock(t *testing.T) {
	t.Parallel()

	steps := strings.Replace(isolates, `{"id": "isolate"`, `{"id": "later", "type": "wait", "duration_seconds": 172800}, {"id": "isolate"`, 1)
	began := time.Now()
	r := play(t, defined(t, steps), `{"decisions": {"ask": ["approved", "denied"]}}`)
	if len(r.Gates) != 2 || !r.Gates[1].Renewed || len(r.Effects) != 0 || *r.Status != "cancelled" {
		t.Fatalf("%d gates, %d effects, %s", len(r.Gates), len(r.Effects), *r.Status)
	}
	if took := time.Since(began); r.TimePassed < 172800 || took > time.Minute {
		t.Errorf("%d seconds passed within %v", r.TimePassed, took)
	}
}

func TestAResultThatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()

	var steps []string
	for n := range definition.MaxSteps {
		steps = append(steps, fmt.Sprintf(`{"id": "s%d", "type": "product_action", "product": "psa", "action": "create_ticket", "params": {
			"subject": "{{ event_payload.description }}", "description": "{{ event_payload.description }}", "type": "{{ event_payload.description }}"}}`, n))
	}
	d := defined(t, "["+strings.Join(steps, ",")+"]")
	c := rules(t)
	q := rehearsal.Request{Payload: map[string]any{"priority": "p1", "description": strings.Repeat("x", 50_000)}}
	e, source, faults := q.EventFor(c.Catalog, d, "org_a", noon)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	s := &rehearsal.Service{Rules: c}
	_, err := s.Run(t.Context(), rehearsal.Play{Org: "org_a", Plan: credit.Starter, Agent: "agent_1", Definition: d, Event: e, Source: source, At: noon})
	if !errors.Is(err, rehearsal.ErrTooLong) {
		t.Errorf("err = %v", err)
	}
}

// An event has a payload or an execution; the document knows no null in the place of
// either.
func TestAnEventHasThePartsOfTheDocumentAndNoOthers(t *testing.T) {
	t.Parallel()

	for body, want := range map[string]string{
		`{}`:                         "",
		`{"event": null}`:            "",
		`{"event": "sample"}`:        "",
		`{"event": {"payload": {}}}`: "",
		`{"event": {"payload": {}, "client_id": null}}`:            "",
		`{"event": {"payload": {}, "client_id": "c"}}`:             "",
		`{"event": {"execution_id": "exec_1"}}`:                    "",
		`{"event": "newest"}`:                                      "event",
		`{"event": {}}`:                                            "event",
		`{"event": {"payload": {}, "execution_id": "exec_1"}}`:     "event",
		`{"event": {"payload": {}, "execution_id": null}}`:         "event",
		`{"event": {"payload": null, "execution_id": "exec_1"}}`:   "event",
		`{"event": {"payload": null}}`:                             "event.payload",
		`{"event": {"payload": []}}`:                               "event.payload",
		`{"event": {"payload": {}, "client_id": ""}}`:              "event.client_id",
		`{"event": {"payload": {}, "client_id": "a b"}}`:           "event.client_id",
		`{"event": {"payload": {}, "client_id": 1}}`:               "event.client_id",
		`{"event": {"execution_id": null}}`:                        "event.execution_id",
		`{"event": {"execution_id": ""}}`:                          "event.execution_id",
		`{"event": {"execution_id": "agent_1"}}`:                   "event.execution_id",
		`{"event": {"execution_id": "exec_1", "client_id": null}}`: "event.client_id",
		`{"event": {"payload": {}, "other": 1}}`:                   "event.other",
	} {
		doc, err := jsonvalue.Object([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		r := &input.Reader{}
		o := r.Object("", doc)
		rehearsal.Read(o)
		o.Done()
		var paths []string
		for _, f := range r.Faults {
			paths = append(paths, f.Path)
		}
		if got := strings.Join(paths, " "); got != want {
			t.Errorf("%s: faults %v, want one at %q", body, r.Faults, want)
		}
	}
}

func BenchmarkTestRun(b *testing.B) {
	all, err := template.Load(template.Files, rules(b))
	if err != nil {
		b.Fatal(err)
	}
	for n := 0; b.Loop(); n++ {
		play(b, all[n%len(all)].Definition, `{"ignore_match": true}`)
	}
}
