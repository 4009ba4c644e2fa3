package definition

import (
	"net/url"
	"testing"

	"pgregory.net/rapid"
)

func TestAFragmentIsEscapedAsByTheValidator(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		pointer := "/" + rapid.OneOf(rapid.String(), rapid.StringMatching("[ -~]{0,20}")).Draw(t, "pointer")
		if got, want := fragment(pointer), (&url.URL{Fragment: pointer}).EscapedFragment(); got != want {
			t.Fatalf("%q becomes %q, want %q", pointer, got, want)
		}
	})
}
