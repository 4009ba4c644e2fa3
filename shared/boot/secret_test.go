package boot_test

import (
	"strings"
	"testing"

	"theoneagents.app/agents/shared/boot"
)

func TestASecretHasOneOrTwoGenerations(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]boot.Secret{
		`{"current": "a"}`:                  {Current: "a"},
		`{"current": "a", "previous": "b"}`: {Current: "a", Previous: "b"},
		`{"current": "a", "previous": ""}`:  {Current: "a"},
	} {
		if got, err := boot.ParseSecret(text); err != nil || got != want {
			t.Errorf("%s is %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "swordfish", `"swordfish"`, `{}`, `{"current": ""}`, `{"previous": "swordfish"}`, `{"current": 1}`, `{"current": "a", "swordfish": "b"}`, `[]`} {
		if got, err := boot.ParseSecret(text); err == nil || strings.Contains(err.Error(), "swordfish") || got != (boot.Secret{}) {
			t.Errorf("%s is %+v, %v; want an error that does not quote it", text, got, err)
		}
	}
}
