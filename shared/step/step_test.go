package step_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/quota"
	"theoneagents.app/agents/shared/render"
	"theoneagents.app/agents/shared/step"
)

// ---- the dependencies of a step ----

// A fixture holds the lease, the model, the products and the channels of a test.
type fixture struct {
	reserved []credit.Hold
	intended []execution.StepRecord
	asked    []step.Question
	commands []step.Command
	messages []step.Message
	log      []string
	poor     bool
	intend   error
	answers  []answer                            // one for each question; the last is repeated
	act      func(n int) (map[string]any, error) // n from 1
	send     func(m step.Message, n int) error   // n from 1, of all messages
	takes    time.Duration                       // duration of each external call
	counted  []string                            // batches of messages
	quota    func(n int) (int, *quota.Reached, error)
	failures []error // logged
}

type answer struct {
	text string
	err  error
}

func (h *fixture) note(what string) { h.log = append(h.log, what) }

func (h *fixture) Reserve(_ context.Context, hold credit.Hold) (credit.Hold, error) {
	if h.poor {
		return hold, credit.ErrInsufficient
	}
	h.reserved = append(h.reserved, hold)
	return hold, nil
}

func (h *fixture) Intend(_ context.Context, s execution.StepRecord) error {
	if h.intend != nil {
		return h.intend
	}
	h.intended = append(h.intended, s)
	h.note("intend")
	return nil
}

func (h *fixture) Ask(ctx context.Context, q step.Question) (step.Answer, error) {
	h.asked = append(h.asked, q)
	if err := sleep(ctx, h.takes); err != nil {
		return step.Answer{}, err
	}
	a := h.answers[min(len(h.asked), len(h.answers))-1]
	return step.Answer{Text: a.text, Usage: execution.Usage{Model: "m", InputTokens: 10, OutputTokens: 2}}, a.err
}

func (h *fixture) Act(ctx context.Context, c step.Command) (map[string]any, error) {
	h.commands = append(h.commands, c)
	if err := sleep(ctx, h.takes); err != nil {
		return nil, errors.Join(step.ErrAgain, err)
	}
	if h.act == nil {
		return map[string]any{"ok": true}, nil
	}
	return h.act(len(h.commands))
}

func (h *fixture) Send(ctx context.Context, m step.Message) error {
	h.messages = append(h.messages, m)
	h.note("send " + m.Recipient)
	if err := sleep(ctx, h.takes); err != nil {
		return err
	}
	if h.send == nil {
		return nil
	}
	return h.send(m, len(h.messages))
}

// AdmitMessages implements step.Quotas. Without a rule there is no quota.
func (h *fixture) AdmitMessages(_ context.Context, _ id.Org, name quota.Name, key string, n int) (int, *quota.Reached, error) {
	h.counted = append(h.counted, fmt.Sprintf("%d %s for %s", n, name, key))
	if h.quota == nil {
		return n, nil, nil
	}
	return h.quota(n)
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *fixture) service() *step.Service {
	catalogue, err := loaded()
	if err != nil {
		panic(err)
	}
	return &step.Service{
		Model: h, Products: h, Quotas: h, Now: time.Now, Sleep: sleep, Failed: func(_ context.Context, err error) { h.failures = append(h.failures, err) },
		Rules: definition.Rules{Catalog: catalogue, Hosts: []string{"127.0.0.1:4580"}},
		Senders: map[definition.Channel]step.Sender{
			definition.SMS: h, definition.Email: h, definition.Slack: h, definition.Teams: h, definition.Webhook: h,
		},
	}
}

// steps reads the JSON of one step.
func read(t *testing.T, text string) definition.Step {
	t.Helper()
	doc, err := jsonvalue.Object([]byte(`{"name": "n", "category": "security", "steps": [` + text + `],
		"trigger": {"type": "bus_event", "source_product": "psa", "event_type": "ticket.created"}}`))
	if err != nil {
		t.Fatal(err)
	}
	d, err := rules(t).Parse(doc)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	return d.Steps[0]
}

func rules(t *testing.T) definition.Rules {
	t.Helper()
	return definition.Rules{Catalog: known(t), Hosts: []string{"127.0.0.1:4580"}}
}

func task(t *testing.T, h *fixture, text string) step.Task {
	t.Helper()
	payload := map[string]any{
		"n": int64(12345678901234567), "f": jsonvalue.Number("0.5"), "yes": true, "nothing": nil, "subject": "It's {{ event_payload.n }}",
		"list": []any{int64(1), "two"}, "phone": "+15551234567", "long": strings.Repeat("x", 5000),
		"bad": "nobody", "address": "a@example.com",
	}
	e := event.Event{ID: "evt_1", Product: "psa", Type: "ticket.created", Org: "org_a", Payload: payload}
	return step.Task{
		Run:        execution.Execution{ID: "exec_1", Org: "org_a", Agent: "agent_1", Trigger: e},
		Definition: read(t, text), Lease: h,
		Scope: render.Scope{"event_payload": payload}, Facts: condition.Facts{Event: e, Run: map[string]any{"event_payload": payload}},
	}
}

// do executes a step in virtual time and returns its result and duration.
func do(t *testing.T, h *fixture, text string) (execution.StepRecord, time.Duration) {
	t.Helper()
	return doTask(t, h, task(t, h, text))
}

func doTask(t *testing.T, h *fixture, task step.Task) (s execution.StepRecord, took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		var err error
		if s, err = h.service().Do(t.Context(), task); err != nil {
			t.Fatal(err)
		}
		took = time.Since(begun)
		if s.ID != task.Definition.ID || s.Kind != task.Definition.Kind || s.Ended.Sub(s.Started) != took {
			t.Errorf("the step says it is %s %s and took %v, not %v", s.ID, s.Kind, s.Duration(), took)
		}
	})
	return s, took
}

// outcome returns the result of a step in a word.
func outcome(s execution.StepRecord) string {
	if s.Error != nil {
		return string(s.Status) + " " + s.Error.Code
	}
	return string(s.Status)
}

func known(t *testing.T) catalog.Catalog {
	t.Helper()
	c, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ---- refused answers and bounded input ----

// A refused answer counts against the grace only when what the tenant wrote refused
// it or cut it off.
func TestAnAnswerIsRefusedByTheTenantAlone(t *testing.T) {
	t.Parallel()

	const limited = `, "timeout_seconds": 5`
	for name, tc := range map[string]struct {
		more    string
		answers []answer
		takes   time.Duration
		want    string
		refused bool
	}{
		"an answer":                          {"", []answer{{text: `{"p": "p1"}`}}, 0, "completed", false},
		"one that fits at last":              {"", []answer{{text: `{}`}, {text: `{"p": "p1"}`}}, 0, "completed", false},
		"two that do not fit":                {"", []answer{{text: `{"p": 1}`}}, 0, "failed invalid_model_output", true},
		"two that are no JSON":               {"", []answer{{text: `no`}}, 0, "failed invalid_model_output", true},
		"two that are empty":                 {"", []answer{{text: ` `}}, 0, "failed invalid_model_output", true},
		"two that are too long":              {"", []answer{{err: step.ErrCut}}, 0, "failed invalid_model_output", true},
		"one cut off by the own timeout":     {limited, []answer{{text: `{"p": "p1"}`}}, time.Minute, "failed step_timeout", true},
		"one cut off by the platform":        {"", []answer{{text: `{"p": "p1"}`}}, time.Hour, "failed step_timeout", false},
		"a busy model until the own timeout": {limited, []answer{{err: step.ErrAgain}, {err: step.ErrAgain}}, 2 * time.Second, "failed model_unavailable", false},
		"a model that is down":               {limited, []answer{{err: errors.New("down")}}, 0, "failed model_unavailable", false},
		"a model that is down at the repair": {"", []answer{{text: `{}`}, {err: errors.New("down")}}, 0, "failed model_unavailable", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := do(t, &fixture{answers: tc.answers, takes: tc.takes}, plain+", "+schema+tc.more+`, "retry": {"max_attempts": 2}}`)
			if outcome(s) != tc.want || s.Refused != tc.refused || s.Charge != nil && s.Status != execution.StepCompleted {
				t.Errorf("it is %s, refused: %t, charge: %v; want %s, refused: %t", outcome(s), s.Refused, s.Charge, tc.want, tc.refused)
			}
		})
	}
}

// size returns what a question gives a model to read, in bytes.
func size(q step.Question) int {
	n := len(q.System) + len(q.Prompt)
	if q.Schema != nil {
		n += len(jsonvalue.Canonical(q.Schema))
	}
	data, err := json.Marshal(q.Data)
	if err != nil {
		return 1 << 30
	}
	return n + len(data) - len("{}")
}

func TestTheInputOfAModelIsCutToItsTier(t *testing.T) {
	t.Parallel()

	long := strings.Repeat("aä€😀", 12_000)
	var list []any
	for i := range 5000 {
		list = append(list, map[string]any{"n": int64(i), "text": "ä"})
	}
	values := map[string]any{"long": strings.ToValidUTF8(long[:30_000], ""), "other": strings.Repeat("<\n", 15_000), "list": list[:1500], "short": "whole", "few": []any{int64(1)}}
	for name, tc := range map[string]struct {
		tier   string
		prompt string
		whole  []string // values that are not cut
		cut    bool
	}{
		"short":                   {"quick", "{{ event_payload.short }} {{ event_payload.few }}", []string{"short", "few"}, false},
		"a long value":            {"quick", "Judge {{ event_payload.short }}: {{ event_payload.long }}", []string{"short"}, true},
		"a long value, standard":  {"standard", "Judge {{ event_payload.short }}: {{ event_payload.other }}", []string{"short"}, true},
		"two long values":         {"expert", "{{ event_payload.long }} {{ event_payload.other }} {{ event_payload.few }}", []string{"few"}, true},
		"a long list":             {"quick", "{{ event_payload.list }} {{ event_payload.short }}", []string{"short"}, true},
		"a long prompt":           {"quick", long[:18_000] + " {{ event_payload.short }}", nil, true},
		"a long prompt that fits": {"standard", long[:18_000] + " {{ event_payload.short }}", []string{"short"}, false},
	} {
		for _, with := range []string{"", ", " + schema} {
			t.Run(name+with, func(t *testing.T) {
				t.Parallel()
				h := &fixture{answers: []answer{{text: `{"p": "p1"}`}}}
				job := task(t, h, `{"id": "s", "type": "ai_reason", "model": "`+tc.tier+`", "system": "Be brief.", "prompt": `+fmt.Sprintf("%q", strings.ToValidUTF8(tc.prompt, ""))+with+`}`)
				job.Scope["event_payload"] = values
				s, _ := doTask(t, h, job)
				if outcome(s) != "completed" {
					t.Fatalf("the step is %s: %+v", outcome(s), s.Error)
				}
				q, most := h.asked[0], job.Definition.Model.MaxInput()
				if got := size(q); got > most || tc.cut && got < most-100 {
					t.Errorf("the model reads %d bytes of %d", got, most)
				}
				for _, value := range tc.whole {
					if diff := cmp.Diff(values[value], q.Data["event_payload."+value]); diff != "" {
						t.Errorf("%s (-want +got)\n%s", value, diff)
					}
				}
				for name, v := range q.Data {
					if !utf8.ValidString(render.String(v)) || !utf8.ValidString(q.Prompt) {
						t.Errorf("%s is cut within a character", name)
					}
				}
				note, said := s.Input.(map[string]any)["cut"].(string) //nolint:forcetypeassert // it is an object
				if said != tc.cut || tc.cut && !strings.HasSuffix(note, fmt.Sprintf("a model of the class %s reads at most %s.", tc.tier, render.Count(most))) {
					t.Errorf("the trace says %q", note)
				}
			})
		}
	}
}

// ---- work ----

// hard returns a text whose filters read and write about a sixteenth of the budget
// of a step.
func hard() string {
	const big, chain = 256 << 10, 9
	return strings.Repeat("{{ event_payload.big"+strings.Repeat(" | upcase", chain)+" | size }}", render.Work/16/(2*chain*big)+1)
}

// Many texts take no more work than one: the step fails, or those recipients fail
// that are left.
func TestAllTextsOfAStepShareItsWork(t *testing.T) {
	t.Parallel()

	quote := func(text string) string { return fmt.Sprintf("%q", text) }
	many := func(n int) string {
		var list []string
		for i := range n {
			list = append(list, quote(fmt.Sprintf("https://127.0.0.1:4580/%d/%s", i, hard())))
		}
		return strings.Join(list, ", ")
	}
	lines := make([]any, 20)
	for i := range lines {
		lines[i] = hard()
	}
	for name, tc := range map[string]struct{ step, want string }{
		"a message":   {`{"id": "s", "type": "notification", "channel": "webhook", "recipients": ["https://127.0.0.1:4580/"], "subject": "{{ event_payload.big | size }}", "body": ` + quote(strings.Repeat(hard(), 16)) + `}`, "failed template_error"},
		"recipients":  {`{"id": "s", "type": "notification", "channel": "webhook", "recipients": [` + many(20) + `], "body": "b"}`, "completed"},
		"a question":  {`{"id": "s", "type": "ai_reason", "model": "quick", "system": ` + quote(strings.Repeat(hard(), 9)) + `, "prompt": ` + quote(strings.Repeat(hard(), 9)) + `}`, "failed template_error"},
		"an action":   {note + `}`, "failed template_error"},
		"little work": {`{"id": "s", "type": "notification", "channel": "webhook", "recipients": [` + many(3) + `], "body": "` + hard() + `"}`, "completed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := task(t, &fixture{answers: []answer{{text: "yes"}}}, tc.step)
			job.Scope["event_payload"].(map[string]any)["big"] = strings.Repeat("x", 256<<10) //nolint:forcetypeassert,errcheck // the fixture's
			if job.Definition.ActionStep != nil {
				job.Definition.Product, job.Definition.Action = "books", "create_invoice_draft"
				job.Definition.Params = map[string]any{"client_id": "c", "lines": lines}
			}
			outer := render.NewBudget(10 * render.Work)
			job.Scope = job.Scope.Within(outer)
			s, _ := doTask(t, &fixture{answers: []answer{{text: "yes"}}}, job)
			if got := outcome(s); got != tc.want {
				t.Errorf("the step is %s: %+v, want %s", got, s.Error, tc.want)
			}
			const filter = 1 << 20 // more than one filter reads and writes
			if spent := 10*render.Work - outer.Left(); spent > render.Work+filter {
				t.Errorf("the texts of the step took %d bytes of work", spent)
			}
		})
	}
}

func TestABranchWithTooMuchWorkTakesNoCase(t *testing.T) {
	t.Parallel()

	h := &fixture{}
	job := task(t, h, `{"id": "s", "type": "branch", "cases": [`+when("a", "x")+`], "else": [`+inner("b")+`]}`)
	job.Scope = job.Scope.Within(render.NewBudget(10))
	if s, _ := doTask(t, h, job); outcome(s) != "failed template_error" || s.Case != nil {
		t.Errorf("the step is %s with case %v", outcome(s), s.Case)
	}
}

// ---- product actions ----

const note = `{"id": "s", "type": "product_action", "product": "psa", "action": "add_note", "params":
	{"ticket_id": "t", "body": "b", "visibility": "internal"}`

func TestParametersKeepTheirTypes(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		param string
		want  any
	}{
		"a text":                         {"as it is", "as it is"},
		"a whole number":                 {"{{ event_payload.n }}", int64(12345678901234567)},
		"a fraction":                     {"{{event_payload.f}}", jsonvalue.Number("0.5")},
		"a boolean":                      {"{{ event_payload.yes }}", true},
		"null":                           {"{{ event_payload.nothing }}", nil},
		"a list":                         {"{{ event_payload.list }}", []any{int64(1), "two"}},
		"a number among text is text":    {"n={{ event_payload.n }}", "n=12345678901234567"},
		"a value is never a template":    {"{{ event_payload.subject }}", "It's {{ event_payload.n }}"},
		"a missing value with a default": {`{{ event_payload.missing | default: "none" }}`, "none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &fixture{}
			job := task(t, h, `{"id": "s", "type": "product_action", "product": "books", "action": "create_invoice_draft", "params":
				{"client_id": "c", "lines": []}}`)
			job.Definition.Params = map[string]any{"client_id": "c", "lines": []any{map[string]any{"v": tc.param, "yes": true}}}
			s, _ := doTask(t, h, job)
			if got := outcome(s); got != "completed" {
				t.Fatalf("the step is %s", got)
			}
			if diff := cmp.Diff([]any{map[string]any{"v": tc.want, "yes": true}}, h.commands[0].Params["lines"]); diff != "" {
				t.Errorf("params (-want +got)\n%s", diff)
			}
		})
	}
}

func TestACommandNamesItsOrganizationAndRun(t *testing.T) {
	t.Parallel()
	h := &fixture{}
	job := task(t, h, note+`}`)
	job.Run.Trigger.Metadata = &event.Metadata{AgentTriggered: true, Causation: &event.Causation{Depth: 2}}
	doTask(t, h, job)
	want := step.Command{
		Org: "org_a", Execution: "exec_1", Step: "s", Depth: 3, Product: "psa", Action: "add_note", Key: "exec_1:s",
		Params: map[string]any{"ticket_id": "t", "body": "b", "visibility": "internal"},
	}
	if diff := cmp.Diff(want, h.commands[0]); diff != "" {
		t.Errorf("command (-want +got)\n%s", diff)
	}
}

func TestAProductIsTriedAgainUnderTheSameKey(t *testing.T) {
	t.Parallel()

	again, refusal := errors.Join(step.ErrAgain, errors.New("10.0.0.1 is down")), reason("the product answered 422 (No such ticket)")
	for name, tc := range map[string]struct {
		more  string
		fails int // number of calls that fail
		err   error
		takes time.Duration
		want  string
		calls int
		took  time.Duration
	}{
		"it works at once":                    {want: "completed", calls: 1},
		"it works the second time":            {fails: 1, err: again, want: "completed", calls: 2, took: 200 * time.Millisecond},
		"it works the third time":             {fails: 2, err: again, want: "completed", calls: 3, took: 600 * time.Millisecond},
		"it is not tried a fourth time":       {fails: 9, err: again, want: "failed product_error", calls: 3, took: 600 * time.Millisecond},
		"a refusal is not tried again":        {fails: 9, err: refusal, want: "failed product_error", calls: 1},
		"retry says how often":                {more: `, "retry": {"max_attempts": 5, "backoff_seconds": 1}`, fails: 4, err: again, want: "completed", calls: 5, took: 15 * time.Second},
		"retry may say once":                  {more: `, "retry": {"max_attempts": 1}`, fails: 1, err: again, want: "failed product_error", calls: 1},
		"all tries together have a time":      {more: `, "timeout_seconds": 10`, takes: 4 * time.Second, fails: 9, err: again, want: "failed step_timeout", calls: 3, took: 10 * time.Second},
		"the pause counts too":                {more: `, "timeout_seconds": 5, "retry": {"max_attempts": 5, "backoff_seconds": 30}`, fails: 9, err: again, want: "failed step_timeout", calls: 1, took: 5 * time.Second},
		"one try that takes too long":         {more: `, "timeout_seconds": 3`, takes: time.Minute, want: "failed step_timeout", calls: 1, took: 3 * time.Second},
		"a step has half a minute by default": {takes: time.Minute, want: "failed step_timeout", calls: 1, took: 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &fixture{takes: tc.takes, act: func(n int) (map[string]any, error) {
				if n <= tc.fails {
					return nil, tc.err
				}
				return map[string]any{"note_id": "note_1"}, nil
			}}
			s, took := do(t, h, note+tc.more+`}`)
			if outcome(s) != tc.want || len(h.commands) != tc.calls || took != tc.took {
				t.Errorf("got %s after %d calls and %v, want %s after %d and %v", outcome(s), len(h.commands), took, tc.want, tc.calls, tc.took)
			}
			if s.Tries != tc.calls {
				t.Errorf("the trace says %d tries", s.Tries)
			}
			for _, c := range h.commands {
				if c.Key != "exec_1:s" {
					t.Errorf("key = %s", c.Key)
				}
			}
			if s.Error != nil && (strings.Contains(s.Error.Message, "10.0.0.1") || s.Error.Step != "s") {
				t.Errorf("the error says %+v", s.Error)
			}
			if errors.Is(tc.err, refusal) && !strings.Contains(s.Error.Message, "No such ticket") {
				t.Errorf("the product's reason is lost: %s", s.Error.Message)
			}
		})
	}
}

// reason is a failure with a text for users.
type reason string

func (r reason) Error() string  { return "secret" }
func (r reason) Reason() string { return string(r) }

func TestATraceShowsLongParametersCut(t *testing.T) {
	t.Parallel()
	h := &fixture{}
	s, _ := do(t, h, `{"id": "s", "type": "product_action", "product": "psa", "action": "add_note", "params":
		{"ticket_id": "t", "body": "{{ event_payload.long }}", "visibility": "internal"}}`)
	shown, _ := jsonvalue.Lookup(s.Input, "body")
	if text, _ := shown.(string); len(text) > 200 || !strings.HasPrefix(text, "xxx") {
		t.Errorf("the trace shows %q", shown)
	}
	if sent, _ := h.commands[0].Params["body"].(string); len(sent) != 5000 {
		t.Errorf("%d bytes were sent", len(sent))
	}
}

// The trace of a step is one item of the store, which limits its size.
func TestATraceShowsAsMuchAsItCanKeep(t *testing.T) {
	t.Parallel()

	wide := map[string]any{}
	for i := range 5000 {
		wide[fmt.Sprintf("%s_%04d", strings.Repeat("k", 90), i)] = strings.Repeat("v", 90)
	}
	deep := map[string]any{}
	for range 5 {
		deep = map[string]any{"a": []any{deep, wide}, "b": []any{wide, deep}}
	}
	for name, v := range map[string]any{
		"many fields": wide, "many fields at depth": deep, "one long name": map[string]any{strings.Repeat("k", 100_000): int64(1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got := jsonvalue.Canonical(step.Shown(v))
			if len(got) > 64<<10 || !strings.Contains(got, "…") {
				t.Errorf("%d bytes are shown: %.200s", len(got), got)
			}
		})
	}
}

func TestAMissingValueFailsAStepBeforeItsEffect(t *testing.T) {
	t.Parallel()

	for name, text := range map[string]string{
		"an action": `{"id": "s", "type": "product_action", "product": "psa", "action": "add_note", "params":
			{"ticket_id": "{{ event_payload.gone }}", "body": "b", "visibility": "internal"}}`,
		"a question":     `{"id": "s", "type": "ai_reason", "model": "quick", "prompt": "{{ event_payload.gone }}"}`,
		"a notification": `{"id": "s", "type": "notification", "channel": "sms", "recipients": ["+15551234567"], "body": "{{ event_payload.gone }}"}`,
		"all recipients": `{"id": "s", "type": "notification", "channel": "sms", "recipients": ["{{ event_payload.gone }}"], "body": "b"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &fixture{answers: []answer{{text: "yes"}}}
			s, _ := do(t, h, text)
			if got := outcome(s); got != "failed template_error" {
				t.Errorf("the step is %s", got)
			}
			if len(h.commands)+len(h.asked)+len(h.messages)+len(h.intended)+len(h.reserved) > 0 {
				t.Errorf("something was done: %+v", h.log)
			}
		})
	}
}

// A step that is cancelled from outside has not failed: the worker that holds
// the lease repeats it.
func TestAStoppedStepHasNoResult(t *testing.T) {
	t.Parallel()

	for name, text := range map[string]string{
		"an action":      note + `}`,
		"a question":     `{"id": "s", "type": "ai_reason", "model": "quick", "prompt": "p"}`,
		"a notification": `{"id": "s", "type": "notification", "channel": "webhook", "recipients": ["https://example.com/"], "body": "b"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := &fixture{takes: 20 * time.Second, answers: []answer{{text: "yes"}}}
				lost := errors.New("the lease is lost")
				ctx, stop := context.WithCancelCause(t.Context())
				time.AfterFunc(time.Second, func() { stop(lost) })
				s, err := h.service().Do(ctx, task(t, h, text))
				if !errors.Is(err, lost) {
					t.Errorf("got %+v, %v; want %v", s, err, lost)
				}
			})
		})
	}
}

// ---- notifications ----

func notification(channel string, recipients ...string) string {
	return `{"id": "s", "type": "notification", "channel": "` + channel + `", "subject": "About {{ event_payload.n }}", "body": "{{ event_payload.subject }}",
		"recipients": ["` + strings.Join(recipients, `", "`) + `"]}`
}

const (
	one   = "+15551234567"
	two   = "+15551234568"
	three = "+15551234569"
)

// states returns the recorded state of each recipient.
func states(s execution.StepRecord) string {
	recipients, _ := jsonvalue.Lookup(s.Output, "recipients")
	list, _ := recipients.([]any)
	words := make([]string, 0, len(list))
	for _, r := range list {
		word, _ := jsonvalue.Lookup(r, "status")
		words = append(words, word.(string)) //nolint:errcheck,forcetypeassert // a panic is a failure.
	}
	return strings.Join(words, " ")
}

func TestEachRecipientHasAnOutcome(t *testing.T) {
	t.Parallel()

	dark := errors.New("no answer")
	fails := func(err error, whom ...string) func(step.Message, int) error {
		return func(m step.Message, _ int) error {
			if strings.Contains(strings.Join(whom, " "), m.Recipient) {
				return err
			}
			return nil
		}
	}
	const a, b = "https://a.example/", "https://b.example/"
	for name, tc := range map[string]struct {
		step   string
		send   func(step.Message, int) error
		takes  time.Duration
		want   string
		states string
		sends  int
	}{
		"all are reached":                                  {step: notification("sms", one, two), want: "completed", states: "sent sent", sends: 2},
		"one cannot be reached":                            {step: notification("sms", one, two), send: fails(step.ErrNotification, one), want: "completed", states: "failed sent", sends: 2},
		"no recipient can be reached":                      {step: notification("sms", one, two), send: fails(step.ErrNotification, one, two), want: "failed notification_failed", states: "failed failed", sends: 2},
		"an SMS with an unknown outcome is not sent again": {step: notification("sms", one, two), send: fails(dark, one), want: "completed", states: "unknown sent", sends: 2},
		"all outcomes are unknown":                         {step: notification("email", "a@example.com"), send: fails(dark, "a@example.com"), want: "completed", states: "unknown", sends: 1},
		"a chat with an unknown outcome":                   {step: notification("slack", a), send: fails(dark, a), want: "completed", states: "unknown", sends: 1},
		"surely not sent is sent again":                    {step: notification("sms", one), send: func(_ step.Message, n int) error { return []error{step.ErrAgain, nil}[n-1] }, want: "completed", states: "sent", sends: 2},
		"surely never sent":                                {step: notification("sms", one), send: fails(step.ErrAgain, one), want: "failed notification_failed", states: "failed", sends: 3},
		"a webhook is repeated": {step: notification("webhook", a, b), send: func(m step.Message, n int) error {
			if m.Recipient == a && n == 1 {
				return errors.Join(step.ErrAgain, dark)
			}
			return nil
		}, want: "completed", states: "sent sent", sends: 3},
		"a webhook without an answer has failed": {step: notification("webhook", a), send: fails(dark, a), want: "failed notification_failed", states: "failed", sends: 1},
		"the time is over before all were told":  {step: notification("sms", one, two, three), takes: 20 * time.Second, want: "failed step_timeout", states: "sent unknown pending", sends: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &fixture{send: tc.send, takes: tc.takes}
			s, _ := do(t, h, tc.step)
			if outcome(s) != tc.want || states(s) != tc.states || len(h.messages) != tc.sends {
				t.Errorf("got %s (%s) after %d, want %s (%s) after %d", outcome(s), states(s), len(h.messages), tc.want, tc.states, tc.sends)
			}
		})
	}
}

func TestAMessageHasAKeyOfItsOwn(t *testing.T) {
	t.Parallel()
	h := &fixture{}
	do(t, h, notification("webhook", "https://a.example/", "https://b.example/"))
	for i, m := range h.messages {
		want := step.Message{
			Org: "org_a", Execution: "exec_1", Agent: "agent_1", Channel: definition.Webhook, Recipient: []string{"https://a.example/", "https://b.example/"}[i],
			Subject: "About 12345678901234567", Body: "It's {{ event_payload.n }}", Key: "exec_1:s:" + []string{"0", "1"}[i],
		}
		if diff := cmp.Diff(want, m); diff != "" {
			t.Errorf("message %d (-want +got)\n%s", i, diff)
		}
	}
	if len(h.intended) != 0 {
		t.Error("a webhook needs no intent: it has a key")
	}
}

func TestAnSMSIsIntendedBeforeItIsSent(t *testing.T) {
	t.Parallel()
	h := &fixture{}
	do(t, h, notification("sms", one, two))
	if diff := cmp.Diff([]string{"intend", "send " + one, "intend", "send " + two}, h.log); diff != "" {
		t.Errorf("order (-want +got)\n%s", diff)
	}
	if got := states(h.intended[0]) + ", " + states(h.intended[1]); got != "sending pending, sent sending" {
		t.Errorf("the intents say %s", got)
	}
	for _, s := range h.intended {
		if s.ID != "s" || s.Kind != definition.Notification || s.Status != execution.StepRunning || s.Started.IsZero() {
			t.Errorf("the intent is %+v", s)
		}
	}
}

func TestAMessageWhoseIntentCannotBeRecordedIsNotSent(t *testing.T) {
	t.Parallel()
	h := &fixture{intend: execution.ErrStale}
	_, err := h.service().Do(t.Context(), task(t, h, notification("sms", one)))
	if !errors.Is(err, execution.ErrStale) || len(h.messages) != 0 {
		t.Errorf("got %v after %d messages", err, len(h.messages))
	}
}

func TestAfterACrashNoMessageIsSentTwice(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		channel string
		before  []string // recorded state of each recipient
		want    string
		sends   []string
	}{
		"the first was being sent":    {"sms", []string{"sending", "pending"}, "unknown sent", []string{two}},
		"the second was being sent":   {"sms", []string{"sent", "sending"}, "sent unknown", nil},
		"the first had failed":        {"sms", []string{"failed", "sending"}, "failed unknown", nil},
		"it was unknown already":      {"sms", []string{"unknown", "pending"}, "unknown sent", []string{two}},
		"a record without recipients": {"sms", nil, "sent sent", []string{one, two}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &fixture{}
			job := task(t, h, notification(tc.channel, one, two))
			var list []any
			for i, s := range tc.before {
				list = append(list, map[string]any{"recipient": []string{one, two}[i], "status": s})
			}
			job.Before = &execution.StepRecord{ID: "s", Status: execution.StepRunning, Output: map[string]any{"recipients": list}}
			s, _ := doTask(t, h, job)
			var sends []string
			for _, m := range h.messages {
				sends = append(sends, m.Recipient)
			}
			if states(s) != tc.want || !cmp.Equal(sends, tc.sends) {
				t.Errorf("got %s after %v, want %s after %v", states(s), sends, tc.want, tc.sends)
			}
		})
	}
}

func TestAnAddressFromAnEventIsChecked(t *testing.T) {
	t.Parallel()

	for recipient, want := range map[string]string{
		"{{ event_payload.phone }}":              "completed",
		"{{ event_payload.bad }}":                "failed invalid_recipient",
		"{{ event_payload.address }}":            "failed invalid_recipient",
		"{{ event_payload.nothing }}":            "failed invalid_recipient",
		"+1555{{ event_payload.n }}7 or so":      "failed invalid_recipient",
		"{{ event_payload.phone }}{{ 'x' }}":     "failed invalid_recipient",
		"{{ event_payload.phone | append: '' }}": "completed",
	} {
		t.Run(recipient, func(t *testing.T) {
			t.Parallel()
			h := &fixture{}
			s, _ := do(t, h, notification("sms", recipient))
			if got := outcome(s); got != want || want != "completed" && len(h.messages) > 0 {
				t.Errorf("the step is %s after %d messages, want %s", got, len(h.messages), want)
			}
		})
	}
}

const hostile = `"><!channel> <https://evil.example|a> [b](c) {{ event_payload.n }}`

// withHostile returns a task whose event has a value that is hostile in every
// format, and one with a path traversal.
func withHostile(t *testing.T, h *fixture, text string) step.Task {
	t.Helper()
	job := task(t, h, text)
	job.Scope["event_payload"] = map[string]any{"v": hostile, "up": "..", "id": "T 1/2", "url": "https://x.example/a?b=c"}
	return job
}

func TestValuesArePlainTextInEveryChannel(t *testing.T) {
	t.Parallel()

	const mine = `<!here> *b* [c](d) & `
	plain := mine + hostile
	for channel, tc := range map[string]struct{ recipient, markup string }{
		"slack":   {"https://a.example/", mine + `"&gt;&lt;!channel&gt; &lt;https://evil.example|a&gt; [b](c) {{ event_payload.n }}`},
		"teams":   {"https://a.example/", mine + `"\>\<!channel\> \<https://evil.example|a\> \[b\]\(c\) \{\{ event\_payload.n \}\}`},
		"webhook": {"https://a.example/", ""},
		"sms":     {one, ""},
		"email":   {"a@example.com", ""},
	} {
		t.Run(channel, func(t *testing.T) {
			t.Parallel()
			h := &fixture{}
			s, _ := doTask(t, h, withHostile(t, h, `{"id": "s", "type": "notification", "channel": "`+channel+`", "recipients": ["`+tc.recipient+`"],
				"subject": "{{ event_payload.v }}", "body": "`+mine+`{{ event_payload.v }}"}`))
			if got := outcome(s); got != "completed" {
				t.Fatalf("the step is %s", got)
			}
			if m := h.messages[0]; m.Body != plain || m.Subject != hostile || m.Markup != tc.markup {
				t.Errorf("body %q, subject %q, markup %q; want markup %q", m.Body, m.Subject, m.Markup, tc.markup)
			}
			if shown, _ := jsonvalue.Lookup(s.Input, "body"); shown != plain {
				t.Errorf("the trace shows %q", shown)
			}
		})
	}
}

func TestAValueStaysInItsPartOfAURL(t *testing.T) {
	t.Parallel()

	const refused = "failed invalid_recipient"
	for recipient, want := range map[string]string{
		"https://a.example/{{ event_payload.id }}/x?y={{ event_payload.id }}": "https://a.example/T%201%2F2/x?y=T%201%2F2",
		"https://a.example/{{ event_payload.url }}":                           "https://a.example/https%3A%2F%2Fx.example%2Fa%3Fb%3Dc",
		"{{ event_payload.url }}":                                             "https://x.example/a?b=c",
		"{{ event_payload.url | append: '&d' }}":                              "https://x.example/a?b=c&d",
		"{{ event_payload.url }}&d":                                           refused,
		"{{ event_payload.v }}":                                               refused,
		"https://{{ event_payload.id }}.a.example/":                           refused,
		"https://a.example{{ event_payload.id }}":                             refused,
		"https://a.example/x/{{ event_payload.up }}/y":                        refused,
		"https://a.example/x/.{{ event_payload.up | slice: 0 }}?y":            refused,
	} {
		t.Run(recipient, func(t *testing.T) {
			t.Parallel()
			h := &fixture{}
			job := withHostile(t, h, notificationTo("https://a.example/"))
			job.Definition.Recipients = []string{recipient} // stored definitions may have any
			s, _ := doTask(t, h, job)
			got := outcome(s)
			if len(h.messages) > 0 {
				got = h.messages[0].Recipient
			}
			if got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func notificationTo(recipient string) string {
	return `{"id": "s", "type": "notification", "channel": "webhook", "body": "b", "recipients": ["` + recipient + `"]}`
}

func TestAHostileParameterIsOneValue(t *testing.T) {
	t.Parallel()
	h := &fixture{}
	doTask(t, h, withHostile(t, h, `{"id": "s", "type": "product_action", "product": "psa", "action": "add_note", "params":
		{"ticket_id": "{{ event_payload.v }}", "body": "<p>{{ event_payload.v }}</p>", "visibility": "internal"}}`))
	want := map[string]any{"ticket_id": hostile, "body": "<p>" + hostile + "</p>", "visibility": "internal"}
	if diff := cmp.Diff(want, h.commands[0].Params); diff != "" {
		t.Errorf("params (-want +got)\n%s", diff)
	}
}

func TestAChannelWithoutASenderFails(t *testing.T) {
	t.Parallel()
	h := &fixture{}
	s := h.service()
	s.Senders = nil
	got, err := s.Do(t.Context(), task(t, h, notification("teams", "https://a.example/")))
	if err != nil || outcome(got) != "failed notification_failed" {
		t.Errorf("got %s, %v", outcome(got), err)
	}
}

// ---- branches ----

func TestABranchTakesTheFirstCaseThatHolds(t *testing.T) {
	t.Parallel()

	is := func(field, value string) string {
		return `{"when": {"field": "` + field + `", "operator": "eq", "value": ` + value + `}, "steps": [` + inner(field+value) + `]}`
	}
	for name, tc := range map[string]struct {
		cases string
		want  int
		why   []any
	}{
		"the only one":      {is("yes", "true"), 0, []any{"it holds"}},
		"the second":        {is("yes", "false") + "," + is("f", "0.5"), 1, []any{"event yes must be false; it is true", "it holds"}},
		"the first of two":  {is("yes", "true") + "," + is("f", "0.5"), 0, []any{"it holds"}},
		"none":              {is("yes", "false"), -1, []any{"event yes must be false; it is true"}},
		"a field not there": {is("gone", "null"), -1, []any{"event gone must be null; it is missing"}},
		"null that is":      {is("nothing", "null"), 0, []any{"it holds"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := do(t, &fixture{}, `{"id": "s", "type": "branch", "cases": [`+tc.cases+`]}`)
			if s.Status != execution.StepCompleted || *s.Case != tc.want {
				t.Errorf("%s, case %d; want %d", s.Status, *s.Case, tc.want)
			}
			want := map[string]any{"taken": "case", "case": int64(tc.want)}
			if tc.want < 0 {
				want = map[string]any{"taken": "else"}
			}
			if diff := cmp.Diff(want, s.Output); diff != "" {
				t.Errorf("output (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(map[string]any{"cases": tc.why}, s.Input); diff != "" {
				t.Errorf("why (-want +got)\n%s", diff)
			}
		})
	}
}

// A step is one row of the store; above 1 KB it costs more to write.
func TestTheInputOfAStepInTheTraceIsShort(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("as long as a prompt may be ", 700)
	for name, text := range map[string]string{
		"a branch with long values": `{"id": "s", "type": "branch", "cases": [` + strings.Join([]string{
			when("a", long[:12_000]), when("b", long[:12_000]), when("c", long[:12_000]), when("d", long[:12_000]), when("e", long[:12_000]),
		}, ",") + `]}`,
		"a branch with a case that tries much": `{"id": "s", "type": "branch", "cases": [{"when": {"any": [` + strings.Repeat(
			`{"field": "subject", "operator": "eq", "value": "`+long[:1500]+`"},`, 40) + `{"field": "gone", "operator": "exists", "value": true}]}, "steps": [` + inner("x") + `]}]}`,
		"a question with a long prompt": `{"id": "s", "type": "ai_reason", "model": "quick", "prompt": "` + long + `{{ event_payload.long }}"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := do(t, &fixture{answers: []answer{{text: "yes"}}}, text)
			row, err := json.Marshal(s)
			if err != nil || len(row) > 1000 || s.Input == nil {
				t.Errorf("the step has %d bytes: %.1200s, %v", len(row), row, err)
			}
		})
	}
}

// when returns a case that compares the subject with a text.
func when(name, subject string) string {
	return `{"when": {"field": "subject", "operator": "eq", "value": "` + subject + `"}, "steps": [` + inner(name) + `]}`
}

func TestAQuestionIsInTheTrace(t *testing.T) {
	t.Parallel()
	s, _ := do(t, &fixture{answers: []answer{{text: "yes"}}}, plain+`}`)
	want := map[string]any{
		"model": "standard", "data": map[string]any{"event_payload.subject": "It's {{ event_payload.n }}", "event_payload.f": jsonvalue.Number("0.5")},
	}
	if diff := cmp.Diff(want, s.Input); diff != "" {
		t.Errorf("input (-want +got)\n%s", diff)
	}
}

// inner returns a step whose name is text.
func inner(text string) string {
	name := "i_" + strings.NewReplacer(".", "_").Replace(text)
	return strings.Replace(note, `"s"`, `"`+name+`"`, 1) + `}`
}

// ---- questions to models ----

const (
	schema   = `"output_schema": {"type": "object", "required": ["p"], "properties": {"p": {"enum": ["p1", "p2"]}, "n": {"type": "integer"}}}`
	loose    = `"output_schema": {"type": "object", "properties": {"p": {"enum": ["p1"]}}}`
	anything = `"output_schema": {}`
	plain    = `{"id": "s", "type": "ai_reason", "model": "standard", "system": "Be brief about {{ event_payload.f }}.", "prompt": "Judge {{ event_payload.subject }}."`
)

func TestAModelAnswers(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		more    string
		answers []answer
		takes   time.Duration
		want    string
		output  any
		asked   int
		spare   bool // whether the last question went to the fallback model
	}{
		"without a schema any text will do":        {answers: []answer{{text: `{"p": 1}`}}, want: "completed", output: map[string]any{"text": `{"p": 1}`}, asked: 1},
		"an empty one is none":                     {answers: []answer{{text: ``}}, want: "failed invalid_model_output", asked: 2},
		"a blank one is none":                      {answers: []answer{{text: " \n\u00a0\u200b"}}, want: "failed invalid_model_output", asked: 2},
		"an empty block of code is none":           {answers: []answer{{text: "```json\n\n```"}}, want: "failed invalid_model_output", asked: 2},
		"an empty one is asked for again":          {answers: []answer{{text: ``}, {text: "now"}}, want: "completed", output: map[string]any{"text": "now"}, asked: 2},
		"an empty object is none":                  {more: loose, answers: []answer{{text: `{}`}}, want: "failed invalid_model_output", asked: 2},
		"null is none":                             {more: anything, answers: []answer{{text: `null`}}, want: "failed invalid_model_output", asked: 2},
		"a blank string is none":                   {more: anything, answers: []answer{{text: `" "`}}, want: "failed invalid_model_output", asked: 2},
		"an empty list is one":                     {more: anything, answers: []answer{{text: `[]`}}, want: "completed", output: []any{}, asked: 1},
		"null is one where the schema asks for it": {more: `"output_schema": {"type": ["string", "null"]}`, answers: []answer{{text: `null`}}, want: "completed", asked: 1},
		"JSON in a block of code is JSON":          {more: schema, answers: []answer{{text: "```json\n{\"p\": \"p2\"}\n```\n"}}, want: "completed", output: map[string]any{"p": "p2"}, asked: 1},
		"without a schema a block of code is text": {answers: []answer{{text: "```\nx\n```"}}, want: "completed", output: map[string]any{"text": "```\nx\n```"}, asked: 1},
		"with a schema it is JSON":                 {more: schema, answers: []answer{{text: ` {"p": "p1", "n": 12345678901234567} `}}, want: "completed", output: map[string]any{"p": "p1", "n": int64(12345678901234567)}, asked: 1},
		"an answer that is not JSON is corrected":  {more: schema, answers: []answer{{text: `p1`}, {text: `{"p": "p2"}`}}, want: "completed", output: map[string]any{"p": "p2"}, asked: 2},
		"an answer that does not fit is corrected": {more: schema, answers: []answer{{text: `{"p": "p9"}`}, {text: `{"p": "p2"}`}}, want: "completed", output: map[string]any{"p": "p2"}, asked: 2},
		"two that do not fit are no answer":        {more: schema, answers: []answer{{text: `{"p": "p9"}`}}, want: "failed invalid_model_output", asked: 2},
		"an empty one does not fit":                {more: schema, answers: []answer{{text: ``}}, want: "failed invalid_model_output", asked: 2},
		"two values are no JSON":                   {more: schema, answers: []answer{{text: `{"p": "p1"} {"p": "p2"}`}}, want: "failed invalid_model_output", asked: 2},
		"an answer that is too long is corrected":  {answers: []answer{{text: strings.Repeat("x", 40<<10)}, {text: "short"}}, want: "completed", output: map[string]any{"text": "short"}, asked: 2},
		"two that are too long are no answer":      {answers: []answer{{text: strings.Repeat("x", 40<<10)}}, want: "failed invalid_model_output", asked: 2},
		"a model that is busy is asked again":      {answers: []answer{{err: step.ErrAgain}, {err: step.ErrAgain}, {text: "now"}}, want: "completed", output: map[string]any{"text": "now"}, asked: 3},
		"a model that stays busy is not available": {answers: []answer{{err: step.ErrAgain}}, want: "failed model_unavailable", asked: 3},
		"the fallback model answers when the first is down": {
			answers: []answer{{err: step.ErrElsewhere}, {text: "I do"}}, want: "completed", output: map[string]any{"text": "I do"}, asked: 2, spare: true,
		},
		"when both are down the first is tried again": {
			answers: []answer{{err: step.ErrElsewhere}, {err: step.ErrElsewhere}, {text: "back"}}, want: "completed",
			output: map[string]any{"text": "back"}, asked: 3,
		},
		"an answer that was cut off is asked for once more": {
			answers: []answer{{err: step.ErrCut}, {text: "short"}}, want: "completed", output: map[string]any{"text": "short"}, asked: 2,
		},
		"two that were cut off are no answer": {answers: []answer{{err: step.ErrCut}}, want: "failed invalid_model_output", asked: 2},
		"a model that refuses is asked once":  {answers: []answer{{err: errors.New("validation")}}, want: "failed model_unavailable", asked: 1},
		"a model may be slow":                 {takes: 59 * time.Second, answers: []answer{{text: "at last"}}, want: "completed", output: map[string]any{"text": "at last"}, asked: 1},
		"a model may be too slow":             {takes: 61 * time.Second, answers: []answer{{text: "too late"}}, want: "failed step_timeout", asked: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &fixture{answers: tc.answers, takes: tc.takes}
			text := plain + `}`
			if tc.more != "" {
				text = plain + ", " + tc.more + `}`
			}
			s, _ := do(t, h, text)
			if outcome(s) != tc.want || len(h.asked) != tc.asked {
				t.Errorf("got %s after %d questions, want %s after %d", outcome(s), len(h.asked), tc.want, tc.asked)
			}
			if diff := cmp.Diff(tc.output, s.Output); diff != "" {
				t.Errorf("output (-want +got)\n%s", diff)
			}
			if last := h.asked[len(h.asked)-1]; last.Fallback != tc.spare {
				t.Errorf("the other model was asked: %t", last.Fallback)
			}
			switch paid := s.Charge != nil; {
			case len(h.reserved) != 1 || h.reserved[0].Amount != 20 || h.reserved[0].Tier != credit.Standard:
				t.Errorf("held back %+v", h.reserved)
			case paid != (tc.want == "completed"):
				t.Errorf("charge = %+v", s.Charge)
			}
		})
	}
}

func TestAQuestionKeepsDataApart(t *testing.T) {
	t.Parallel()
	h := &fixture{answers: []answer{{text: "p9"}, {text: `{"p": "p1"}`}}}
	s, _ := do(t, h, plain+", "+schema+`}`)
	q := h.asked[0]
	if q.Prompt != "Judge [[event_payload.subject]]." || q.System != "Be brief about [[event_payload.f]]." {
		t.Errorf("prompt %q, system %q", q.Prompt, q.System)
	}
	if diff := cmp.Diff(map[string]any{"event_payload.subject": "It's {{ event_payload.n }}", "event_payload.f": jsonvalue.Number("0.5")}, q.Data); diff != "" {
		t.Errorf("data (-want +got)\n%s", diff)
	}
	if q.Org != "org_a" || q.Execution != "exec_1" || q.Step != "s" || q.Tier != credit.Standard || q.Correction != nil || q.Schema == nil {
		t.Errorf("question = %+v", q)
	}
	if m := h.asked[1].Correction; m == nil || m.Answer != "p9" || m.Fault == "" {
		t.Errorf("the second question says %+v", m)
	}
	if s.Usage == nil || *s.Usage != (execution.Usage{Model: "m", InputTokens: 20, OutputTokens: 4}) {
		t.Errorf("usage = %+v", s.Usage)
	}
}

func TestWithoutCreditsNoModelIsAsked(t *testing.T) {
	t.Parallel()
	h := &fixture{poor: true}
	s, _ := do(t, h, plain+`}`)
	if got := outcome(s); got != "failed credit_insufficient" || len(h.asked) > 0 {
		t.Errorf("%s after %d questions", got, len(h.asked))
	}
}

func TestParametersAreCheckedBeforeTheProductIsCalled(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		param, value string // of update_ticket
		want         any
		why          string
	}{
		"a whole number becomes text":                            {"status", "{{ event_payload.n }}", "12345678901234567", ""},
		"null drops an optional parameter":                       {"status", "{{ event_payload.nothing }}", nil, ""},
		"null fails a required one":                              {"ticket_id", "{{ event_payload.nothing }}", nil, "psa.update_ticket: ticket_id must be a string, not null; the parameter is required."},
		"a value that is none of the enum's":                     {"priority", "{{ event_payload.bad }}", nil, `psa.update_ticket: priority must be one of p1, p2, p3, p4; it is "nobody".`},
		"a list where text is wanted":                            {"status", "{{ event_payload.list }}", nil, `psa.update_ticket: status must be a string, not an array: [1,"two"].`},
		"a text where a boolean is wanted":                       {"ai_classified", "{{ event_payload.bad }}", nil, `psa.update_ticket: ai_classified must be true or false, not a string: "nobody".`},
		"a boolean where a boolean is wanted":                    {"ai_classified", "{{ event_payload.yes }}", true, ""},
		"a number among text is text all along":                  {"status", "n={{ event_payload.n }}", "n=12345678901234567", ""},
		"a parameter that the catalogue does not know is passed": {"other", "{{ event_payload.n }}", int64(12345678901234567), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &fixture{}
			job := task(t, h, `{"id": "s", "type": "product_action", "product": "psa", "action": "update_ticket", "params": {"ticket_id": "t"}}`)
			job.Definition.Params = map[string]any{"ticket_id": "t", tc.param: tc.value}
			s, _ := doTask(t, h, job)
			if tc.why != "" {
				if outcome(s) != "failed template_error" || s.Error.Message != tc.why || len(h.commands) > 0 {
					t.Errorf("%s after %d calls: %+v", outcome(s), len(h.commands), s.Error)
				}
				return
			}
			want := map[string]any{"ticket_id": "t", tc.param: tc.want}
			if tc.want == nil {
				delete(want, tc.param)
			}
			if diff := cmp.Diff(want, h.commands[0].Params); diff != "" {
				t.Errorf("params (-want +got)\n%s", diff)
			}
		})
	}
}

func TestAnUnusableAnswerSaysWhere(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]string{
		``:                         "The answer is empty.",
		`null`:                     "The answer is empty.",
		`{"p": "urgent"}`:          `The answer does not fit the output_schema: /p must be one of p1, p2.`,
		`{}`:                       `The answer is empty.`,
		`{"n": 1.5}`:               `The answer does not fit the output_schema: /n must be an integer; it is a number; /p is missing.`,
		`["p1"]`:                   `The answer does not fit the output_schema: the answer must be an object; it is an array.`,
		`Sure! It is p1.`:          `The answer does not fit the output_schema: it is not one valid JSON document.`,
		strings.Repeat("x", 32769): "The answer has 32769 bytes; 32768 are allowed.",
	} {
		h := &fixture{answers: []answer{{text: text}}}
		s, _ := do(t, h, plain+", "+schema+`}`)
		if outcome(s) != "failed invalid_model_output" || s.Error.Message != want || s.Charge != nil || s.Tries != 2 {
			t.Errorf("%.40q: %s after %d tries: %q, want %q", text, outcome(s), s.Tries, s.Error.Message, want)
		}
	}
}

func TestATraceCountsWhatItLeavesOut(t *testing.T) {
	t.Parallel()

	list := func(n int) []any {
		out := make([]any, n)
		for i := range out {
			out[i] = int64(i)
		}
		return out
	}
	for name, tc := range map[string]struct{ given, want any }{
		"a list of twenty":   {list(20), list(20)},
		"a list of fifty":    {list(50), append(list(20), "… 30 more")},
		"a list in a list":   {[]any{list(21)}, []any{append(list(20), "… 1 more")}},
		"many":               {list(100_000), append(list(20), "… 99,980 more")},
		"a text":             {strings.Repeat("x", 5000), strings.Repeat("x", 136) + "… (4,864 more characters)"},
		"a text in a list":   {[]any{strings.Repeat("x", 161)}, []any{strings.Repeat("x", 139) + "… (22 more characters)"}},
		"short values":       {map[string]any{"a": "b", "n": nil}, map[string]any{"a": "b", "n": nil}},
		"names that are cut": {map[string]any{strings.Repeat("k", 170) + "a": "1", strings.Repeat("k", 170) + "b": "2"}, map[string]any{strings.Repeat("k", 139) + "… (32 more characters)": "2", "…": "1 more"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, step.Shown(tc.given)); diff != "" {
				t.Errorf("shown (-want +got)\n%s", diff)
			}
		})
	}
	wide := map[string]any{}
	for i := range 1000 {
		wide[fmt.Sprintf("k%04d", i)] = strings.Repeat("v", 150)
	}
	shown, _ := step.Shown(map[string]any{"a": wide, "b": list(3)}).(map[string]any)
	inner, _ := shown["a"].(map[string]any)
	if want := fmt.Sprintf("%d more", 1000-(len(inner)-1)); inner["…"] != want || shown["…"] != "1 more" {
		t.Errorf("it shows %d fields and %v, then %v", len(inner)-1, inner["…"], shown["…"])
	}
}

func TestAStepOfAnUnknownKindFails(t *testing.T) {
	t.Parallel()

	s := step.Service{Now: time.Now}
	got, err := s.Do(t.Context(), step.Task{Definition: definition.Step{ID: "newer", Kind: "newer"}})
	if err != nil || got.Status != execution.StepFailed || got.Error.Code != "internal_error" || got.Error.Message != step.ErrUnknown.Message {
		t.Errorf("%+v, %v; want a failed step that says why", got, err)
	}
}

func TestEveryKindOfStepIsDoneOrWaitedFor(t *testing.T) {
	t.Parallel()

	for _, k := range definition.Kinds() {
		switch done := step.Does(k); {
		case !done && !k.Waits():
			t.Errorf("no method of step.Service does %s; add a case to doer", k)
		case done && k.Waits():
			t.Errorf("a run waits for %s, and step.Service does it as well", k)
		}
	}
}
