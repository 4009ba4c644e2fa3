package condition_test

import (
	"strings"
	"testing"

	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/jsonvalue"
)

func TestARefusalNamesTheDemandedAndTheFoundValue(t *testing.T) {
	t.Parallel()

	long := strings.Repeat("a", 200)
	for name, tc := range map[string]struct {
		operator condition.Operator
		want     any
		found    any
		says     string
	}{
		"eq":               {condition.Eq, "p1", "p2", `event x must be "p1"; it is "p2"`},
		"ne":               {condition.Ne, "p1", "p1", `event x must not be "p1"; it is "p1"`},
		"gt":               {condition.Gt, int64(5), int64(5), `event x must be greater than 5; it is 5`},
		"gte":              {condition.Gte, int64(5), int64(4), `event x must be at least 5; it is 4`},
		"lt":               {condition.Lt, jsonvalue.Number("0.5"), int64(1), `event x must be less than 0.5; it is 1`},
		"lte":              {condition.Lte, int64(5), int64(6), `event x must be at most 5; it is 6`},
		"contains":         {condition.Contains, "Smith & Sons <UK>", "Jones", `event x must contain "Smith & Sons <UK>"; it is "Jones"`},
		"starts_with":      {condition.StartsWith, "VPN", "WiFi", `event x must start with "VPN"; it is "WiFi"`},
		"ends_with":        {condition.EndsWith, "down", "up", `event x must end with "down"; it is "up"`},
		"in":               {condition.In, []any{"p1", "p2"}, "p3", `event x must be one of ["p1","p2"]; it is "p3"`},
		"not_in":           {condition.NotIn, []any{"p1"}, "p1", `event x must not be one of ["p1"]; it is "p1"`},
		"exists false":     {condition.Exists, false, nil, `event x must not exist; it is null`},
		"a list":           {condition.Contains, "R&D", []any{"R&D"}, `event x must contain "R&D"; it is ["R&D"] (an array, not a string)`},
		"a number as text": {condition.Eq, "5", int64(5), `event x must be "5"; it is 5 (a number, not a string)`},
		"a text as number": {condition.Gt, int64(5), "7", `event x must be greater than 5; it is "7" (a string, not a number)`},
		"a decomposed character": {
			condition.Eq, "Café", "Cafe\u0301",
			"(they differ from character 4 on: U+00E9 (é) is wanted, U+0065 (e) U+0301 is found)",
		},
		"a blank at the end":    {condition.Eq, "Café", "Café ", `(they differ from character 5 on: the end is wanted, U+0020 is found)`},
		"a no-break space":      {condition.Eq, "a b", "a\u00a0b", `(they differ from character 2 on: U+0020 U+0062 (b) is wanted, U+00A0 U+0062 (b) is found)`},
		"an invisible one":      {condition.Eq, "ab", "a\u200bb", `from character 2 on: U+0062 (b) is wanted, U+200B U+0062 (b) is found`},
		"another case":          {condition.Eq, "Acme", "ACME", `it is "ACME" (the capitals differ)`},
		"one of several":        {condition.In, []any{"x", "Café"}, "Cafe\u0301", "they differ from character 4 on"},
		"a typographic quote":   {condition.Eq, "it's", "it’s", `U+0027 (') U+0073 (s) is wanted, U+2019 (’)`},
		"beyond the cut":        {condition.Eq, long + "x", long + "y", `… (123 more characters) (they differ from character 201 on: U+0078 (x) is wanted, U+0079 (y) is found)`},
		"in another form":       {condition.Contains, "café", "Our CAFÉ is open", "it contains the text with other capitals, blanks or composed characters"},
		"a fullwidth beginning": {condition.StartsWith, "VPN", "ＶＰＮ down", "it contains the text with other capitals"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			c := condition.Condition{Context: condition.InEvent, Field: "x", Operator: tc.operator, Value: tc.want}
			ok, why := c.Holds(condition.Facts{Event: event.Event{Payload: map[string]any{"x": tc.found}}})
			if ok || !strings.Contains(why, tc.says) {
				t.Errorf("Holds = %t, %q; want a sentence with %q", ok, why, tc.says)
			}
		})
	}
}

func TestAFieldIsFoundInEveryFormOfItsPath(t *testing.T) {
	t.Parallel()

	facts := condition.Facts{Event: event.Event{Type: "alert.fired", Payload: map[string]any{
		"alerts": []any{map[string]any{"n": int64(1)}, map[string]any{"labels": map[string]any{"k8s.io/name": "web"}}},
	}}}
	for field, want := range map[string]any{
		`alerts[1].labels["k8s.io/name"]`:               "web",
		`alerts.1.labels['k8s.io/name']`:                "web",
		`alerts[-1].labels["k8s.io/name"]`:              "web",
		`alerts.last.labels["k8s.io/name"]`:             "web",
		`event_payload.alerts.1.labels["k8s.io/name"]`:  "web",
		`event.payload.alerts[1].labels["k8s.io/name"]`: "web",
		"alerts.size":      int64(2),
		"alerts.first.n":   int64(1),
		"event_type":       "alert.fired",
		"event.event_type": "alert.fired",
	} {
		c := condition.Condition{Context: condition.InEvent, Field: field, Operator: condition.Eq, Value: want}
		if ok, why := c.Holds(facts); !ok {
			t.Error(why)
		}
	}
	for _, field := range []string{"size", "alerts.0.size", "event_payload.size", "alerts[2]", " alerts"} {
		c := condition.Condition{Context: condition.InEvent, Field: field, Operator: condition.Exists, Value: true}
		if ok, _ := c.Holds(facts); ok {
			t.Errorf("%q exists", field)
		}
	}
}
