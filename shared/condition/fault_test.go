package condition_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/event"
)

func TestAFaultIsTheComparisonThatRefused(t *testing.T) {
	t.Parallel()

	facts := condition.Facts{
		Event:  event.Event{Client: "cli_acme", Payload: map[string]any{"priority": "p3", "none": nil, "long": strings.Repeat("x", 100), "list": []any{"a"}}},
		Client: map[string]any{"security_posture_score": int64(40)},
	}
	eq := func(field string, v any) condition.Condition {
		return condition.Condition{Context: condition.InEvent, Field: field, Operator: condition.Eq, Value: v}
	}
	low := condition.Fault{Path: "priority", Operator: condition.Eq, Wanted: "p1", Found: "p3"}
	for name, tc := range map[string]struct {
		c    condition.Condition
		want *condition.Fault
	}{
		"one that holds":    {eq("priority", "p3"), nil},
		"one that does not": {eq("priority", "p1"), &low},
		"a missing field":   {eq("nope", "p1"), &condition.Fault{Path: "nope", Operator: condition.Eq, Wanted: "p1", Missing: true}},
		"null":              {eq("none", "p1"), &condition.Fault{Path: "none", Operator: condition.Eq, Wanted: "p1"}},
		"the first of all":  {condition.Condition{All: []condition.Condition{eq("priority", "p3"), eq("priority", "p1"), eq("nope", 1)}}, &low},
		"one of any":        {condition.Condition{Any: []condition.Condition{eq("priority", "p1")}}, &low},
		"several of any":    {condition.Condition{Any: []condition.Condition{eq("priority", "p1"), eq("priority", "p2")}}, nil},
		"the client":        {condition.Condition{Context: condition.InClient, Field: "security_posture_score", Operator: condition.Gt, Value: int64(50)}, &condition.Fault{Path: "client_context.security_posture_score", Operator: condition.Gt, Wanted: int64(50), Found: int64(40)}},
		"a long value":      {eq("long", "p1"), &condition.Fault{Path: "long", Operator: condition.Eq, Wanted: "p1", Found: `"` + strings.Repeat("x", 79) + `… (22 more characters)`}},
		"a list":            {eq("list", "a"), &condition.Fault{Path: "list", Operator: condition.Eq, Wanted: "a", Found: []any{"a"}}},
		"the envelope":      {eq("client_id", "cli_b"), &condition.Fault{Path: "client_id", Operator: condition.Eq, Wanted: "cli_b", Found: "cli_acme"}},
	} {
		if diff := cmp.Diff(tc.want, tc.c.Fault(facts)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	filter := condition.Filter{Field: "priority", Operator: condition.Eq, Value: "p1"}
	if diff := cmp.Diff(&low, filter.Fault(facts)); diff != "" {
		t.Errorf("a filter (-want +got):\n%s", diff)
	}
	if filter.Value = "p3"; filter.Fault(facts) != nil {
		t.Error("a filter that holds has a fault")
	}
	facts.Client = nil
	if got := (condition.Condition{Context: condition.InClient, Field: "x", Operator: condition.Exists, Value: false}).Fault(facts); got != nil {
		t.Errorf("a client without a profile: %+v", got)
	}
}
