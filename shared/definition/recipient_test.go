package definition_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/fault"
)

func TestAnUnambiguousRecipientIsNormalised(t *testing.T) {
	t.Parallel()

	const (
		noCode  = "The country code is missing in "
		noPhone = " is not a phone number like +15551234567."
		noMail  = " is not an e-mail address."
		noURL   = " is not an https URL."
	)
	for _, tc := range []struct {
		channel  definition.Channel
		text     string
		want, no string // the address, or the end or the beginning of the reason
	}{
		{definition.Email, "john@acme.example", "john@acme.example", ""},
		{definition.Email, " \tjohn@acme.example\r\n", "john@acme.example", ""},
		{definition.Email, "\u00a0\u200bjohn@acme.example\ufeff", "john@acme.example", ""},
		{definition.Email, `"Smith, John" <john@acme.example>`, "john@acme.example", ""},
		{definition.Email, `Smith, John <john@acme.example>`, "john@acme.example", ""},
		{definition.Email, `John < john@acme.example >`, "john@acme.example", ""},
		{definition.Email, `<john@acme.example>`, "john@acme.example", ""},
		{definition.Email, `John <MAILTO:john@acme.example>`, "john@acme.example", ""},
		{definition.Email, `mailto:john@acme.example?subject=Hi`, "john@acme.example", ""},
		{definition.Email, `john@acme.example (John Smith)`, "john@acme.example", ""},
		{definition.Email, `'john@acme.example'`, "john@acme.example", ""},
		{definition.Email, `"John" <john@acme.example> <x@evil.example>`, "", noMail},
		{definition.Email, `john at acme.example`, "", noMail},
		{definition.Email, `John <>`, "", noMail},
		{definition.Email, ``, "", "The recipient is empty."},
		{definition.Email, " \u200b\n", "", "The recipient is empty."},
		{definition.SMS, "+15551234567", "+15551234567", ""},
		{definition.SMS, "+1 (555) 123-4567", "+15551234567", ""},
		{definition.SMS, "+1.555.123.4567", "+15551234567", ""},
		{definition.SMS, "(+1) 555/123-4567", "+15551234567", ""},
		{definition.SMS, "0044 20 7946 0018", "+442079460018", ""},
		{definition.SMS, "+44 (0)20 7946 0018", "+442079460018", ""},
		{definition.SMS, "tel:+1-555-123-4567", "+15551234567", ""},
		{definition.SMS, "\u202a+1\u00a0555\u2011123\u20134567\u202c", "+15551234567", ""},
		{definition.SMS, "(555) 123-4567", "", noCode},
		{definition.SMS, "555 1234", "", noCode},
		{definition.SMS, "15551234567", "", noCode},
		{definition.SMS, "tel:5551234567", "", noCode},
		{definition.SMS, "+1 555 123 4567 ext. 5", "", noPhone},
		{definition.SMS, "+1 555 HELLO", "", noPhone},
		{definition.SMS, "911", "", noPhone},
		{definition.SMS, "+0 555 123 4567", "", noPhone},
		{definition.SMS, "+" + strings.Repeat("1", 16), "", noPhone},
		{definition.SMS, "on call", "", noPhone},
		{definition.Slack, " https://hooks.example/T/B?x=Y\n", "https://hooks.example/T/B?x=Y", ""},
		{definition.Webhook, "<HTTPS://hooks.example/T>", "https://hooks.example/T", ""},
		{definition.Teams, "http://hooks.example/T", "", noURL},
		{definition.Slack, "#general", "", noURL},
	} {
		t.Run(string(tc.channel)+" "+tc.text, func(t *testing.T) {
			t.Parallel()
			got, err := definition.Rules{}.Recipient(tc.channel, tc.text)
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
		if diff := cmp.Diff(want, definition.Email.Recipients(text)); diff != "" {
			t.Errorf("%q (-want +got)\n%s", text, diff)
		}
	}
	if got := definition.SMS.Recipients("+15551234567, +15551234568"); len(got) != 1 {
		t.Errorf("an SMS goes to %q", got)
	}
}
