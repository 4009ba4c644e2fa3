package agent_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/fault"
)

func TestARecipientIsRepairedWhereTheIntentIsPlain(t *testing.T) {
	t.Parallel()

	const (
		noCode  = "The country code is missing in "
		noPhone = " is not a phone number like +15551234567."
		noMail  = " is not an e-mail address."
		noURL   = " is not an https URL."
	)
	for _, tc := range []struct {
		channel  agent.Channel
		text     string
		want, no string // the address, or the end or the beginning of the reason
	}{
		{agent.Email, "john@acme.example", "john@acme.example", ""},
		{agent.Email, " \tjohn@acme.example\r\n", "john@acme.example", ""},
		{agent.Email, "\u00a0\u200bjohn@acme.example\ufeff", "john@acme.example", ""},
		{agent.Email, `"Smith, John" <john@acme.example>`, "john@acme.example", ""},
		{agent.Email, `Smith, John <john@acme.example>`, "john@acme.example", ""},
		{agent.Email, `John < john@acme.example >`, "john@acme.example", ""},
		{agent.Email, `<john@acme.example>`, "john@acme.example", ""},
		{agent.Email, `John <MAILTO:john@acme.example>`, "john@acme.example", ""},
		{agent.Email, `mailto:john@acme.example?subject=Hi`, "john@acme.example", ""},
		{agent.Email, `john@acme.example (John Smith)`, "john@acme.example", ""},
		{agent.Email, `'john@acme.example'`, "john@acme.example", ""},
		{agent.Email, `"John" <john@acme.example> <x@evil.example>`, "", noMail},
		{agent.Email, `john at acme.example`, "", noMail},
		{agent.Email, `John <>`, "", noMail},
		{agent.Email, ``, "", "The recipient is empty."},
		{agent.Email, " \u200b\n", "", "The recipient is empty."},
		{agent.SMS, "+15551234567", "+15551234567", ""},
		{agent.SMS, "+1 (555) 123-4567", "+15551234567", ""},
		{agent.SMS, "+1.555.123.4567", "+15551234567", ""},
		{agent.SMS, "(+1) 555/123-4567", "+15551234567", ""},
		{agent.SMS, "0044 20 7946 0018", "+442079460018", ""},
		{agent.SMS, "+44 (0)20 7946 0018", "+442079460018", ""},
		{agent.SMS, "tel:+1-555-123-4567", "+15551234567", ""},
		{agent.SMS, "\u202a+1\u00a0555\u2011123\u20134567\u202c", "+15551234567", ""},
		{agent.SMS, "(555) 123-4567", "", noCode},
		{agent.SMS, "555 1234", "", noCode},
		{agent.SMS, "15551234567", "", noCode},
		{agent.SMS, "tel:5551234567", "", noCode},
		{agent.SMS, "+1 555 123 4567 ext. 5", "", noPhone},
		{agent.SMS, "+1 555 HELLO", "", noPhone},
		{agent.SMS, "911", "", noPhone},
		{agent.SMS, "+0 555 123 4567", "", noPhone},
		{agent.SMS, "+" + strings.Repeat("1", 16), "", noPhone},
		{agent.SMS, "on call", "", noPhone},
		{agent.Slack, " https://hooks.example/T/B?x=Y\n", "https://hooks.example/T/B?x=Y", ""},
		{agent.Webhook, "<HTTPS://hooks.example/T>", "https://hooks.example/T", ""},
		{agent.Teams, "http://hooks.example/T", "", noURL},
		{agent.Slack, "#general", "", noURL},
	} {
		t.Run(string(tc.channel)+" "+tc.text, func(t *testing.T) {
			t.Parallel()
			got, err := agent.Rules{}.Recipient(tc.channel, tc.text)
			if tc.no == "" {
				if err != nil || got != tc.want {
					t.Errorf("got %q, %v; want %q", got, err, tc.want)
				}
				return
			}
			if err == nil || !strings.Contains(fault.From(err).Message, tc.no) || fault.From(err).Code != "invalid_recipient" {
				t.Errorf("got %q, %v; want %q", got, err, tc.no)
			}
		})
	}
}

func TestATextMayNameSeveralRecipients(t *testing.T) {
	t.Parallel()

	for text, want := range map[string][]string{
		"a@x.example":                           {"a@x.example"},
		"a@x.example; b@x.example":              {"a@x.example", " b@x.example"},
		"a@x.example, b@x.example,":             {"a@x.example", " b@x.example"},
		"Smith, John <a@x.example>":             {"Smith, John <a@x.example>"},
		"Smith, J <a@x.example>; <b@x.example>": {"Smith, J <a@x.example>", " <b@x.example>"},
		"a@x.example; on call":                  {"a@x.example; on call"},
		";;":                                    {";;"},
	} {
		if diff := cmp.Diff(want, agent.Email.Recipients(text)); diff != "" {
			t.Errorf("%q (-want +got)\n%s", text, diff)
		}
	}
	if got := agent.SMS.Recipients("+15551234567, +15551234568"); len(got) != 1 {
		t.Errorf("an SMS goes to %q", got)
	}
}
