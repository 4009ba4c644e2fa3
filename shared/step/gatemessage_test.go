package step_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/step"
)

const gate = `{"id": "s", "type": "approval_gate", "message": "?"}`

// line returns a delivery as one line: "sent failed".
func line(d execution.Delivery) string {
	var out []string
	for _, r := range d.Recipients {
		out = append(out, string(r.Status))
	}
	return strings.Join(out, " ")
}

func TestAGateMessageIsRecordedBeforeItIsSent(t *testing.T) {
	t.Parallel()
	const a, b = "https://a.example/", "https://b.example/"
	before := func(c definition.Channel, to []string, states ...execution.DeliveryStatus) execution.Delivery {
		d := execution.Delivery{Channel: c}
		for i, s := range states {
			d.Recipients = append(d.Recipients, execution.Receipt{Recipient: to[i], Status: s})
		}
		return d
	}
	for name, tc := range map[string]struct {
		channel definition.Channel
		to      []string
		before  execution.Delivery
		only    func(string) bool
		log     []string
		want    string
	}{
		"each message of a channel that cannot tell it twice": {
			channel: definition.SMS, to: []string{one, two},
			log: []string{"sending pending", "send " + one, "sent sending", "send " + two}, want: "sent sent",
		},
		"all messages of a repeatable channel, at once": {
			channel: definition.Webhook, to: []string{a, b}, log: []string{"sending sending", "send " + a, "send " + b}, want: "sent sent",
		},
		"after a crash a message being sent is sent again on a repeatable channel": {
			channel: definition.Webhook, to: []string{a, b}, before: before(definition.Webhook, []string{a, b}, "sent", "sending"),
			log: []string{"sent sending", "send " + b}, want: "sent sent",
		},
		"and not where it would be another": {
			channel: definition.SMS, to: []string{one, two}, before: before(definition.SMS, []string{one, two}, "sending", "pending"),
			log: []string{"unknown sending", "send " + two}, want: "unknown sent",
		},
		"final deliveries": {channel: definition.SMS, to: []string{one}, before: before(definition.SMS, []string{one}, "failed"), want: "failed"},
		"only the selected recipients": {
			channel: definition.SMS, to: []string{one, two}, only: func(r string) bool { return r == two },
			log: []string{"sending", "send " + two}, want: "sent",
		},
		"each selected recipient once": {
			channel: definition.SMS, to: []string{two, two}, only: func(string) bool { return true },
			log: []string{"sending", "send " + two}, want: "sent",
		},
		"no selected recipient": {channel: definition.SMS, to: []string{one}, only: func(string) bool { return false }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &fixture{}
			n := step.GateMessage{
				Notify: definition.Notify{Channel: tc.channel, Recipients: tc.to}, Subject: "S", Text: step.MessageText{Lead: "L"},
				Key: "appr_1:asked:0", Before: tc.before, Only: tc.only,
			}
			d, err := h.service().Tell(t.Context(), task(t, h, gate), n, func(d execution.Delivery) error {
				h.note(line(d))
				return nil
			})
			if err != nil || line(d) != tc.want || !d.Final() {
				t.Errorf("%s, %v; want %s", line(d), err, tc.want)
			}
			if diff := cmp.Diff(tc.log, h.log); diff != "" {
				t.Errorf("order (-want +got)\n%s", diff)
			}
			for _, m := range h.messages {
				want := slices.Index(tc.to, m.Recipient)
				if m.Key != fmt.Sprintf("appr_1:asked:0:%d", want) {
					t.Errorf("%s is told under %s", m.Recipient, m.Key)
				}
			}
		})
	}
}

func TestAnUnreachableRecipientIsNamedWithTheReason(t *testing.T) {
	t.Parallel()
	h := &fixture{}
	n := step.GateMessage{Notify: definition.Notify{Channel: definition.SMS, Recipients: []string{"{{ event_payload.bad }}", one}}, Key: "k"}
	d, err := h.service().Tell(t.Context(), task(t, h, gate), n, func(execution.Delivery) error { return nil })
	if err != nil || d.Recipients[0].Status != execution.DeliveryFailed || d.Recipients[0].Reason == "" || d.Recipients[1].Status != execution.DeliverySent {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestAGateMessageThatCannotBeRecordedIsNotSent(t *testing.T) {
	t.Parallel()
	for _, c := range []definition.Channel{definition.SMS, definition.Webhook} {
		h := &fixture{}
		to := map[definition.Channel]string{definition.SMS: one, definition.Webhook: "https://a.example/"}[c]
		n := step.GateMessage{Notify: definition.Notify{Channel: c, Recipients: []string{to}}, Key: "k"}
		_, err := h.service().Tell(t.Context(), task(t, h, gate), n, func(execution.Delivery) error { return execution.ErrStale })
		if !errors.Is(err, execution.ErrStale) || len(h.messages) > 0 {
			t.Errorf("%s: %v after %d messages", c, err, len(h.messages))
		}
	}
}

func TestANotificationSendsTheTextThatTheGateShowed(t *testing.T) {
	t.Parallel()
	h := &fixture{}
	job := task(t, h, notification("sms", one, two))
	job.Written = execution.Written{Recipients: []string{two}, Text: &execution.Text{Subject: "S", Body: "B", Markup: "M"}}
	s, _ := doTask(t, h, job)
	if m := h.messages[0]; len(h.messages) != 1 || m.Recipient != two || m.Subject != "S" || m.Body != "B" || m.Markup != "M" {
		t.Errorf("sent %+v", h.messages)
	}
	if got := states(s); got != "failed sent" {
		t.Errorf("whom nobody saw is %s", got)
	}
}

func TestAGateShowsTheRecipientsOfANotification(t *testing.T) {
	t.Parallel()
	h := &fixture{}
	got := h.service().Recipients(task(t, h, notification("sms", "{{ event_payload.phone }}", two, "{{ event_payload.nothing }}")))
	if diff := cmp.Diff([]string{one, two, "{{ event_payload.nothing }}"}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
