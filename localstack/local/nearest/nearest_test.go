package nearest_test

import (
	"slices"
	"testing"

	"theoneagents.app/agents/localstack/local/nearest"
)

func TestTheNameThatWasMeantComesFirst(t *testing.T) {
	t.Parallel()

	names := []string{"psa:ticket.created", "psa:ticket.updated", "rmm:alert.triggered", "hub:org.created", "é"}
	tests := map[string]string{
		"psa:tikcet.created": "psa:ticket.created",
		"ticket.created":     "psa:ticket.created",
		"PSA:Ticket.Updated": "psa:ticket.updated",
		"rmm:alert":          "rmm:alert.triggered",
		"hub:org_created":    "hub:org.created",
		"rmm:x":              "rmm:alert.triggered",
	}
	for word, want := range tests {
		if got := nearest.Names(word, names, 3); len(got) == 0 || got[0] != want {
			t.Errorf("%s: %q, want %s first", word, got, want)
		}
	}
}

func TestSomeNameIsAlwaysOffered(t *testing.T) {
	t.Parallel()

	if got := nearest.Names("zzzzzzzzzzzzzz", []string{"a", "b"}, 3); !slices.Equal(got, []string{"a"}) {
		t.Errorf("got %q", got)
	}
	if got := nearest.Names("a", nil, 3); got != nil {
		t.Errorf("of nothing: %q", got)
	}
}

func TestNamesStandInASentence(t *testing.T) {
	t.Parallel()

	for want, names := range map[string][]string{"": nil, "a": {"a"}, "a or b": {"a", "b"}, "a, b or c": {"a", "b", "c"}} {
		if got := nearest.List(names); got != want {
			t.Errorf("%q: %q, want %q", names, got, want)
		}
	}
}
