package definition_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/jsonvalue"
)

func TestAHiddenRecipientShowsItsHostAlone(t *testing.T) {
	t.Parallel()

	for recipient, want := range map[string]string{
		"https://hooks.slack.com/services/T0/B0/secret":     "https://hooks.slack.com/…",
		"https://hooks.slack.com":                           "https://hooks.slack.com/…",
		"https://hooks.slack.com?secret":                    "https://hooks.slack.com/…",
		"HTTPS://Hooks.Slack.com/secret":                    "https://hooks.slack.com/…",
		" <https://hooks.example.net:8443/secret> ":         "https://hooks.example.net:8443/…",
		"http://127.0.0.1:4580/hooks/org_a/secret":          "http://127.0.0.1:4580/…",
		"https://hooks.example.org/{{ event_payload.x }}":   "https://hooks.example.org/…",
		"https://user:secret@hooks.example.org/x":           "…",
		"https://{{ event_payload.host }}/secret":           "…",
		"hooks.slack.com/secret":                            "…",
		`{{ "https://hooks.slack.com/secret" }}`:            "…",
		`{{ event_payload.x | default: "https://secret" }}`: "…",
		"{{ event_payload.hook }}":                          "{{ event_payload.hook }}",
		"{{steps.find.output.hooks[0]}}":                    "{{steps.find.output.hooks[0]}}",
	} {
		for _, c := range []definition.Channel{definition.Slack, definition.Teams, definition.Webhook} {
			if got := c.Shown(recipient); got != want || strings.Contains(got, "secret") {
				t.Errorf("%s %s is shown as %s, want %s", c, recipient, got, want)
			}
			hides := want != recipient
			if c.Hides(recipient) != hides {
				t.Errorf("%s hides %s: %t", c, recipient, !hides)
			}
			if form := c.HiddenAs(recipient, "0123456789abcdef"); hides && (!definition.Hidden(form) || (definition.Rules{}).Reaches(c, form) == nil) {
				t.Errorf("%s is no hidden form, or a URL", form)
			}
		}
	}
	for _, c := range []definition.Channel{definition.SMS, definition.Email} {
		if r := "lead@msp.example"; c.Hides(r) || c.Shown(r) != r {
			t.Errorf("%s hides %s", c, r)
		}
	}
	got := definition.WithoutURLs(`it answered 404: "no https://hooks.slack.com/services/secret, see HTTP://h.example/secret" (https://secret:secret@x/secret)`)
	if strings.Contains(got, "secret") || !strings.Contains(got, "https://hooks.slack.com/…") || !strings.Contains(got, "it answered 404") {
		t.Errorf("%s", got)
	}
}

// Both walks find the same recipients, in the same order.
func TestTheWalksOverStepsAndOverTheirDocumentFindTheSameRecipients(t *testing.T) {
	t.Parallel()

	const steps = `[
		{"id": "a", "type": "notification", "channel": "slack", "recipients": ["1", "2"], "body": "b"},
		{"id": "b", "type": "branch", "cases": [
			{"when": {"context": "event", "field": "x", "operator": "eq", "value": 1},
				"steps": [{"id": "c", "type": "notification", "channel": "sms", "recipients": ["3"], "body": "b"}]},
			{"when": {"context": "event", "field": "x", "operator": "eq", "value": 2},
				"steps": [{"id": "d", "type": "branch", "cases": [], "else": [{"id": "e", "type": "notification", "channel": "teams", "recipients": ["4"], "body": "b"}]}]}],
			"else": [{"id": "f", "type": "notification", "channel": "webhook", "recipients": ["5"], "body": "b"}]},
		{"id": "g", "type": "approval_gate", "message": "m", "notify": [{"channel": "slack", "recipients": ["6"]}, {"channel": "email", "recipients": ["7"]}],
			"escalate_to": {"roles": ["admin"], "notify": [{"channel": "teams", "recipients": ["8"]}]}}]`
	var typed []definition.Step
	if err := json.Unmarshal([]byte(steps), &typed); err != nil {
		t.Fatal(err)
	}
	var fromSteps []string
	definition.WithRecipients(typed, func(c definition.Channel, r string) string {
		fromSteps = append(fromSteps, string(c)+r)
		return r
	})
	slices.Sort(fromSteps)
	doc, err := jsonvalue.Object([]byte(`{"steps": ` + steps + `}`))
	if err != nil {
		t.Fatal(err)
	}
	before := jsonvalue.Canonical(doc)
	var fromDocument []string
	changed := definition.DocumentWithRecipients(doc["steps"], func(c definition.Channel, r string) string {
		fromDocument = append(fromDocument, string(c)+r)
		return "x" + r
	})
	slices.Sort(fromDocument)
	want := []string{"email7", "slack1", "slack2", "slack6", "sms3", "teams4", "teams8", "webhook5"}
	if !slices.Equal(fromDocument, want) || !slices.Equal(fromSteps, want) {
		t.Errorf("found %v and %v, want %v", fromDocument, fromSteps, want)
	}
	if after := jsonvalue.Canonical(doc); after != before || strings.Count(jsonvalue.Canonical(changed), `"x`) != len(want)+2 {
		t.Errorf("the document changed, or the copy did not: %s %s", after, jsonvalue.Canonical(changed))
	}
	for _, odd := range []string{
		`null`, `{}`, `[null, 1, "x", []]`, `[{"type": "notification"}]`, `[{"type": "notification", "channel": 1, "recipients": {}}]`,
		`[{"type": "approval_gate", "notify": [null, {"recipients": [1, null]}], "escalate_to": []}]`,
		`[{"type": "branch", "cases": [null, {}], "else": 1}]`, `[{"type": "branch", "cases": {}}]`,
	} {
		doc, err := jsonvalue.Object([]byte(`{"steps": ` + odd + `}`))
		if err != nil {
			t.Fatal(err)
		}
		definition.DocumentWithRecipients(doc["steps"], func(_ definition.Channel, r string) string { return r })
	}
}
