package definition_test

import (
	"fmt"
	"strings"
	"testing"

	"theoneagents.app/agents/shared/fault"
)

func TestTooManyOrTooLongConditionsAreRefusedOnce(t *testing.T) {
	t.Parallel()

	repeated := func(item string, n int) string { return strings.TrimSuffix(strings.Repeat(item+",", n), ",") }
	leaf := `{"context": "event", "field": "subject", "operator": "eq", "value": "x"}`
	listed := `{"context": "event", "field": "subject", "operator": "in", "value": [` + repeated(`"x"`, 200) + `]}`
	for name, tc := range map[string]struct{ conditions, want string }{
		"many":          {repeated(`{"any": [`+repeated(leaf, 50)+`]}`, 11), "there are more than 500 filters and conditions together"},
		"many values":   {repeated(listed, 11), "filters and conditions list more than 2000 values together"},
		"long values":   {repeated(strings.Replace(leaf, `"x"`, fmt.Sprintf("%q", strings.Repeat("x", 2000)), 1), 40), "the values of filters and conditions have more than 65536 bytes together"},
		"just not many": {repeated(`{"any": [`+repeated(leaf, 45)+`]}`, 10), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := rules(t).Parse(object(t, `{"name": "n", "category": "security",
				"trigger": {"type": "bus_event", "source_product": "psa", "event_type": "ticket.created"}, "conditions": [`+tc.conditions+`],
				"steps": [{"id": "s", "type": "ai_reason", "model": "quick", "prompt": "p"}]}`))
			var said []string
			if err != nil {
				for _, d := range fault.From(err).Details {
					said = append(said, d.Message)
				}
			}
			if got := strings.Join(said, "; "); got != tc.want {
				t.Errorf("it says %q, want %q", got, tc.want)
			}
		})
	}
}
