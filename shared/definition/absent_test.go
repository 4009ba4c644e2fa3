package definition_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Many JSON encoders write null for an absent field.
func TestAnOptionalFieldThatIsNullIsAbsent(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string][]string{
		"description":             {"description"},
		"conditions":              {"conditions"},
		"conflict_behavior":       {"conflict_behavior"},
		"client_scope":            {"client_scope"},
		"execution_limit":         {"execution_limit"},
		"filters":                 {"trigger.filters"},
		"allow_agent_triggered":   {"trigger.allow_agent_triggered"},
		"context of a condition":  {"conditions.0.context"},
		"an if":                   {"steps.4.if"},
		"a name of a step":        {"steps.0.name"},
		"on_error":                {"steps.4.on_error"},
		"retry":                   {"steps.4.retry"},
		"backoff_seconds":         {"steps.4.retry.backoff_seconds"},
		"timeout_seconds":         {"steps.1.timeout_seconds"},
		"approvers":               {"steps.1.approvers"},
		"roles":                   {"steps.1.approvers.roles"},
		"users of a deeper field": {"steps.1.escalate_to.users"},
		"an else":                 {"steps.3.else"},
		"max_per_day":             {"execution_limit.max_per_day"},
		"max_per_day and cooldown, which leaves one": {"execution_limit.max_per_day", "execution_limit.cooldown_minutes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			null, absent := read(t, "everything"), read(t, "everything")
			for _, path := range tc {
				edit(t, null, path, "null")
				edit(t, absent, path, "")
			}
			if diff := cmp.Diff(parse(t, absent), parse(t, null)); diff != "" {
				t.Errorf("-absent +null:\n%s", diff)
			}
		})
	}
}

// Generated clients write null for the fields of all other members of a union.
func TestFieldsOfOtherKindsMayBeNull(t *testing.T) {
	t.Parallel()

	want := parse(t, read(t, "everything"))
	doc := read(t, "everything")
	for _, path := range []string{
		"conditions.0.all", "conditions.0.any", "conditions.1.all", "conditions.1.field", "conditions.1.operator", "conditions.1.value",
		"steps.0.recipients", "steps.0.until", "steps.5.prompt", "steps.5.duration_seconds", "steps.1.cases", "client_scope.exclude",
	} {
		edit(t, doc, path, "null")
	}
	if diff := cmp.Diff(want, parse(t, doc)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
