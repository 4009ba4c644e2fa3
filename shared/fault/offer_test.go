package fault_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/fault"
)

func TestNearestFindsOnlySimilarNames(t *testing.T) {
	t.Parallel()

	names := []string{"priority", "subject", "type", "ticket_id", "assignee"}
	for given, want := range map[string]string{
		"priorty":        "priority",
		"prioritty":      "priority",
		"pirority":       "priority",
		"PRIORITY":       "priority",
		"ticketid":       "ticket_id",
		"ticket":         "ticket_id",
		"assignee_email": "assignee",
		"typ":            "type",
		"severity":       "",
		"x":              "",
		"":               "",
		"prioritäten":    "",
	} {
		if got := fault.Nearest(given, names); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", given, got, want)
		}
	}
	if got := fault.DidYouMean("subjct", names); got != "; did you mean subject?" {
		t.Errorf("DidYouMean = %q", got)
	}
	if got := fault.DidYouMean("severity", names) + fault.DidYouMean("a", nil); got != "" {
		t.Errorf("DidYouMean = %q", got)
	}
}

func TestAnOfferBeginsWithTheNearestNameAndCountsOmittedNames(t *testing.T) {
	t.Parallel()

	if got := fault.Offer("add_nte", []string{"create_ticket", "update_ticket", "add_note"}); !strings.HasPrefix(got, "add_note, ") {
		t.Errorf("Offer = %q", got)
	}
	if got := fault.Offer("x", nil); got != "" {
		t.Errorf("Offer = %q", got)
	}
	var many []string
	for i := range 30 {
		many = append(many, fmt.Sprintf("action_%d", i))
	}
	got := fault.Offer("action_29", many)
	if !strings.HasPrefix(got, "action_29, ") || !strings.HasSuffix(got, " and 18 more") {
		t.Errorf("Offer = %q", got)
	}
	if got := fault.Offer("x", many[:13]); !strings.HasSuffix(got, "action_11, action_12") {
		t.Errorf("Offer of 13 names = %q, want all of them: \"and 1 more\" is not shorter", got)
	}
}

func TestASuggestionIsTheNearestNameOrAllNames(t *testing.T) {
	t.Parallel()

	for want, names := range map[string][]string{
		"did you mean body?":         {"ticket_id", "body"},
		"there is none":              nil,
		"there is ticket_id":         {"ticket_id"},
		"there are title, ticket_id": {"title", "ticket_id"},
	} {
		if got := fault.Suggest("bodi", names); got != want {
			t.Errorf("Suggest = %q, want %q", got, want)
		}
	}
}

func TestANameIsNearestToItselfAndTheResultIsListed(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfN(rapid.String(), 1, 8).Draw(t, "names")
		i := rapid.IntRange(0, len(names)-1).Draw(t, "i")
		if got := fault.Nearest(names[i], names); !strings.EqualFold(got, names[i]) && len([]rune(names[i])) <= 64 {
			t.Errorf("Nearest(%q) = %q", names[i], got)
		}
		given := rapid.String().Draw(t, "given")
		if got := fault.Nearest(given, names); got != "" && !strings.Contains("\x00"+strings.Join(names, "\x00")+"\x00", "\x00"+got+"\x00") {
			t.Errorf("Nearest(%q) = %q, which is not among %q", given, got, names)
		}
	})
}
