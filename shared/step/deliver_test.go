package step_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/quota"
	"theoneagents.app/agents/shared/step"
)

// told returns the step's recipients as lines of status, recipient and reason.
func told(s execution.StepRecord) []string {
	output, _ := s.Output.(map[string]any)
	list, _ := output["recipients"].([]any)
	lines := make([]string, 0, len(list))
	for _, v := range list {
		entry, _ := v.(map[string]any)
		line := fmt.Sprint(entry["status"], " ", entry["recipient"])
		if entry["reason"] != nil {
			line += ": " + fmt.Sprint(entry["reason"])
		}
		lines = append(lines, line)
	}
	return lines
}

// with returns a task of a step whose event has more fields.
func with(t *testing.T, h *fixture, text, payload string) step.Task {
	t.Helper()
	job := task(t, h, text)
	more, err := jsonvalue.Object([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	job.Scope["event_payload"] = more
	return job
}

func TestARecipientFailsAlone(t *testing.T) {
	t.Parallel()

	const lead, john = "lead@msp.example", "john@acme.example"
	for name, tc := range map[string]struct {
		channel, recipient, payload string
		want                        []string // after the first: the recipients
	}{
		"null":               {"email", "{{ event_payload.c }}", `{"c": null}`, []string{"failed {{ event_payload.c }}: The recipient is null."}},
		"missing":            {"email", "{{ event_payload.c }}", `{}`, []string{"failed {{ event_payload.c }}: There is no value at event_payload.c."}},
		"missing in an URL":  {"slack", "https://chat.example/{{ event_payload.c }}", `{}`, []string{"failed https://chat.example/{{ event_payload.c }}: There is no value at event_payload.c."}},
		"empty":              {"email", "{{ event_payload.c }}", `{"c": ""}`, []string{"failed {{ event_payload.c }}: The recipient is empty."}},
		"blank":              {"email", "{{ event_payload.c }}", `{"c": " \n"}`, []string{"failed {{ event_payload.c }}: The recipient is empty."}},
		"surrounded":         {"email", "{{ event_payload.c }}", `{"c": " john@acme.example "}`, []string{"sent " + john}},
		"with a name":        {"email", "{{ event_payload.c }}", `{"c": "\"Smith, John\" <john@acme.example>"}`, []string{"sent " + john}},
		"no address":         {"email", "{{ event_payload.c }}", `{"c": "John"}`, []string{`failed John: "John" is not an e-mail address.`}},
		"an object":          {"email", "{{ event_payload.c }}", `{"c": {"email": "john@acme.example"}}`, []string{"failed {{ event_payload.c }}: The recipient is an object, not an address."}},
		"a boolean":          {"email", "{{ event_payload.c }}", `{"c": true}`, []string{"failed {{ event_payload.c }}: The recipient is a boolean, not an address."}},
		"a national number":  {"sms", "{{ event_payload.c }}", `{"c": "(555) 123-4567"}`, []string{`failed (555) 123-4567: The country code is missing in "(555) 123-4567"; a phone number is written like +15551234567.`}},
		"a number":           {"sms", "{{ event_payload.c }}", `{"c": 15551234567}`, []string{`failed 15551234567: The country code is missing in "15551234567"; a phone number is written like +15551234567.`}},
		"a written number":   {"sms", "{{ event_payload.c }}", `{"c": "+1 (555) 123-4569"}`, []string{"sent " + three}},
		"a list":             {"email", "{{ event_payload.c }}", `{"c": ["a@x.example", null, " b@x.example", "c", {"a": 1}]}`, []string{"sent a@x.example", "failed {{ event_payload.c }}: The recipient is null.", "sent b@x.example", `failed c: "c" is not an e-mail address.`}},
		"an empty list":      {"email", "{{ event_payload.c }}", `{"c": []}`, []string{"failed {{ event_payload.c }}: The list is empty."}},
		"a list in one text": {"email", "{{ event_payload.c }}", `{"c": "a@x.example; John <b@x.example>"}`, []string{"sent a@x.example", "sent b@x.example"}},
		"the first again":    {"email", "{{ event_payload.c }}", `{"c": ["LEAD@msp.example", "lead@msp.example", "a@x.example", "a@x.example"]}`, []string{"sent a@x.example"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &fixture{}
			first := map[string]string{"email": lead, "sms": one, "slack": "https://chat.example/lead"}[tc.channel]
			s, _ := doTask(t, h, with(t, h, `{"id": "s", "type": "notification", "channel": "`+tc.channel+`", "body": "b",
				"recipients": ["`+first+`", "`+tc.recipient+`"]}`, tc.payload))
			if outcome(s) != "completed" {
				t.Errorf("the step is %s: %+v", outcome(s), s.Error)
			}
			if diff := cmp.Diff(append([]string{"sent " + first}, tc.want...), told(s)); diff != "" {
				t.Errorf("recipients (-want +got)\n%s", diff)
			}
		})
	}
}

func TestAStepWithoutAnyDeliverySaysWhy(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		recipients, payload string
		send                error
		want, message       string
	}{
		"a missing address":     {`"{{ event_payload.c }}"`, `{}`, nil, "failed template_error", "There is no value at event_payload.c."},
		"an address that is no": {`"{{ event_payload.c }}"`, `{"c": "John"}`, nil, "failed invalid_recipient", `"John" is not an e-mail address.`},
		"two that are no": {
			`"{{ event_payload.c }}", "{{ event_payload.d }}"`, `{"c": "John", "d": ""}`, nil, "failed invalid_recipient",
			`None of 2 recipients could be reached. The first, "John": "John" is not an e-mail address.`,
		},
		"of two kinds": {
			`"{{ event_payload.c }}", "{{ event_payload.d }}"`, `{"c": "John"}`, nil, "failed notification_failed",
			`None of 2 recipients could be reached. The first, "John": "John" is not an e-mail address.`,
		},
		"a refusal": {
			`"a@x.example"`, `{}`, errors.Join(step.ErrNotification, reason("Amazon SES refused it (MessageRejected)")), "failed notification_failed",
			"Amazon SES refused it (MessageRejected).",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &fixture{send: func(step.Message, int) error { return tc.send }}
			s, _ := doTask(t, h, with(t, h, `{"id": "s", "type": "notification", "channel": "email", "body": "b", "recipients": [`+tc.recipients+`]}`, tc.payload))
			if outcome(s) != tc.want || s.Error.Message != tc.message {
				t.Errorf("%s: %+v", outcome(s), s.Error)
			}
		})
	}
}

func TestAListOfRecipientsIsBounded(t *testing.T) {
	t.Parallel()
	list := make([]string, 70)
	for i := range list {
		list[i] = fmt.Sprintf(`"r%d@x.example"`, i)
	}
	h := &fixture{}
	s, _ := doTask(t, h, with(t, h, `{"id": "s", "type": "notification", "channel": "email", "body": "b",
		"recipients": ["lead@msp.example", "{{ event_payload.list }}"]}`, `{"list": [`+strings.Join(list, ",")+`]}`))
	output, _ := s.Output.(map[string]any)
	if len(h.messages) != 20 || len(told(s)) != 20 || output["not_told"] != "51 more recipients; a message goes to at most 20." {
		t.Errorf("%d messages, %d recipients, %v", len(h.messages), len(told(s)), output["not_told"])
	}
}

func TestTheKeyOfAMessageDoesNotDependOnTheRestOfItsList(t *testing.T) {
	t.Parallel()
	keys := func(list string) map[string]string {
		h := &fixture{}
		job := with(t, h, `{"id": "s", "type": "notification", "channel": "webhook", "body": "b",
			"recipients": ["https://y.example/", "https://z.example/"]}`, `{"list": `+list+`}`)
		job.Definition.Recipients[0] = "{{ event_payload.list }}" // stored definitions may have it
		doTask(t, h, job)
		keys := map[string]string{}
		for _, m := range h.messages {
			keys[m.Recipient] = m.Key
		}
		return keys
	}
	long, short := keys(`["https://a.example/", "https://b.example/"]`), keys(`["https://b.example/"]`)
	if len(long) != 3 || long["https://z.example/"] != "exec_1:s:1" || long["https://a.example/"] == long["https://b.example/"] {
		t.Errorf("keys %v", long)
	}
	for to, key := range short {
		if long[to] != key {
			t.Errorf("the key of %s is %s, and was %s", to, key, long[to])
		}
	}
}

func TestAfterACrashTheRecordDecidesWhichMessagesWereSent(t *testing.T) {
	t.Parallel()
	h := &fixture{}
	job := with(t, h, `{"id": "s", "type": "notification", "channel": "email", "body": "b", "recipients": ["{{ event_payload.list }}"]}`,
		`{"list": ["new@x.example", "b@x.example", "a@x.example", "c@x.example"]}`)
	record := func(recipient, status string) any {
		return map[string]any{"recipient": recipient, "status": status, "reason": "R."}
	}
	job.Before = &execution.StepRecord{ID: "s", Status: execution.StepRunning, Output: map[string]any{"recipients": []any{
		record("a@x.example", "sent"), record("b@x.example", "sending"), record("c@x.example", "failed"),
		record("gone@x.example", "sent"), record("never@x.example", "pending"),
	}}}
	s, _ := doTask(t, h, job)
	want := []string{
		"sent new@x.example", "unknown b@x.example: The worker that sent it crashed; the message may have arrived.", "sent a@x.example: R.",
		"failed c@x.example: R.", "sent gone@x.example: R.",
	}
	if diff := cmp.Diff(want, told(s)); diff != "" || len(h.messages) != 1 {
		t.Errorf("%d messages; recipients (-want +got)\n%s", len(h.messages), diff)
	}
}

// later is a temporary failure with a requested pause.
type later struct {
	reason

	wait time.Duration
}

func (l later) After() time.Duration { return l.wait }
func (l later) Unwrap() error        { return step.ErrAgain }

func TestARequestedPauseIsKept(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		more    string
		wait    time.Duration
		takes   time.Duration
		want    string
		message string
		calls   int
		took    time.Duration
	}{
		"it fits into the step's time":            {more: `, "timeout_seconds": 60`, wait: 30 * time.Second, want: "completed", calls: 2, took: 30 * time.Second},
		"it fits into the time of every step":     {wait: 25 * time.Second, want: "completed", calls: 2, took: 25 * time.Second},
		"it is shorter than the step's own pause": {more: `, "retry": {"max_attempts": 2, "backoff_seconds": 9}`, wait: time.Second, want: "completed", calls: 2, took: 9 * time.Second},
		"it is longer than the step's time": {
			wait: 30 * time.Second, takes: 1500 * time.Millisecond, want: "failed product_error", calls: 1, took: 1500 * time.Millisecond,
			message: "psa.add_note: the product answered 429 and asks for a pause of 30 s, but the step has only 28 s left.",
		},
		"the step is tried only once": {more: `, "retry": {"max_attempts": 1}`, wait: time.Second, want: "failed product_error", calls: 1, message: "psa.add_note: the product answered 429."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &fixture{takes: tc.takes, act: func(n int) (map[string]any, error) {
				if n == 1 {
					return nil, later{"the product answered 429", tc.wait}
				}
				return map[string]any{}, nil
			}}
			s, took := do(t, h, note+tc.more+`}`)
			if outcome(s) != tc.want || len(h.commands) != tc.calls || took != tc.took {
				t.Errorf("%s after %d calls and %v, want %s after %d and %v", outcome(s), len(h.commands), took, tc.want, tc.calls, tc.took)
			}
			if s.Error != nil && s.Error.Message != tc.message {
				t.Errorf("it says %q", s.Error.Message)
			}
		})
	}
}

func TestABusyRecipientDoesNotDelayTheOthers(t *testing.T) {
	t.Parallel()
	const busy, dead, fine = "https://busy.example/", "https://dead.example/", "https://fine.example/"
	for _, channel := range []string{"webhook", "slack"} {
		h := &fixture{send: func(m step.Message, n int) error {
			switch {
			case m.Recipient == busy && n < 3:
				return later{"it answered 429", 20 * time.Second}
			case m.Recipient == dead:
				return later{"it answered 503", time.Hour}
			}
			return nil
		}}
		s, took := do(t, h, notification(channel, busy, dead, fine))
		var order []string
		for _, m := range h.messages {
			order = append(order, m.Recipient)
		}
		if diff := cmp.Diff([]string{busy, dead, fine, busy}, order); diff != "" || took != 20*time.Second {
			t.Errorf("it took %v; order (-want +got)\n%s", took, diff)
		}
		want := []string{
			"sent " + busy, "failed " + dead + ": It answered 503 and asks for a pause of 3600 s, but the step has only 30 s left.", "sent " + fine,
		}
		if diff := cmp.Diff(want, told(s)); diff != "" {
			t.Errorf("recipients (-want +got)\n%s", diff)
		}
	}
}

// The quota refuses the last messages of a step, and the others are sent.
func TestMessagesBeyondTheQuotaFailAlone(t *testing.T) {
	t.Parallel()

	midnight := time.Date(2026, time.March, 10, 0, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		may  int
		want string
		told []string
	}{
		"one is left": {1, "completed", []string{
			"sent a@x.example", `failed c: "c" is not an e-mail address.`,
			"failed b@x.example: The quota of the organization's plan is reached: emails_per_day is 500 and 500 messages are counted; the next may be sent at 2026-03-10T00:00:00Z.",
		}},
		"none is left": {0, "failed notification_failed", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			full := &quota.Reached{Name: quota.EmailsPerDay, Used: 500, Limit: 500, Reset: midnight}
			h := &fixture{quota: func(int) (int, *quota.Reached, error) { return tc.may, full, nil }}
			s, _ := doTask(t, h, with(t, h, `{"id": "s", "type": "notification", "channel": "email", "body": "b", "recipients": ["{{ event_payload.c }}"]}`,
				`{"c": ["a@x.example", "c", "b@x.example"]}`))
			if outcome(s) != tc.want || len(h.messages) != tc.may {
				t.Errorf("%s: %+v, and %d were sent", outcome(s), s.Error, len(h.messages))
			}
			if diff := cmp.Diff(tc.told, told(s)); tc.told != nil && diff != "" {
				t.Errorf("recipients (-want +got)\n%s", diff)
			}
			if want := []string{"2 emails_per_day for exec_1:s"}; !cmp.Equal(h.counted, want) {
				t.Errorf("counted %v, want %v", h.counted, want)
			}
		})
	}
}

// A later try counts the same messages under the same key, and sends what the earlier
// one left, however many of them it may send.
func TestALaterTryCountsTheSameMessages(t *testing.T) {
	t.Parallel()

	h := &fixture{quota: func(int) (int, *quota.Reached, error) {
		return 2, &quota.Reached{Name: quota.SMSPerDay, Limit: 2, Used: 2}, nil
	}}
	job := task(t, h, `{"id": "s", "type": "notification", "channel": "sms", "body": "b", "recipients": ["`+one+`", "`+two+`", "`+three+`"]}`)
	job.Before = &execution.StepRecord{Output: map[string]any{"channel": "sms", "recipients": []any{
		map[string]any{"recipient": one, "status": "sent"},
		map[string]any{"recipient": two, "status": "pending"},
		map[string]any{"recipient": three, "status": "pending"},
	}}}
	s, _ := doTask(t, h, job)
	if got := told(s); len(got) != 3 || got[0] != "sent "+one || got[1] != "sent "+two || !strings.HasPrefix(got[2], "failed "+three) {
		t.Errorf("%v", got)
	}
	if want := []string{"3 sms_per_day for exec_1:s"}; len(h.messages) != 1 || !cmp.Equal(h.counted, want) {
		t.Errorf("%d were sent, counted %v, want %v", len(h.messages), h.counted, want)
	}
}
