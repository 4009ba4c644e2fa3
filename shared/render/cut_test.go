package render_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/render"
)

func TestACutTextSaysHowMuchIsLeftOut(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		text string
		most int
		want string
	}{
		"what fits":            {"It's full.", 10, "It's full."},
		"nothing":              {"", 0, ""},
		"a long text":          {strings.Repeat("x", 5000), 160, strings.Repeat("x", 136) + "… (4,864 more characters)"},
		"one byte too many":    {strings.Repeat("x", 161), 160, strings.Repeat("x", 139) + "… (22 more characters)"},
		"umlauts":              {strings.Repeat("ü", 1000), 160, strings.Repeat("ü", 69) + "… (931 more characters)"},
		"little room":          {strings.Repeat("x", 5000), 24, strings.Repeat("x", 15) + "… (+4,985)"},
		"hardly any room":      {strings.Repeat("🔥", 100), 5, "… (+100)"},
		"two millions of them": {strings.Repeat("x", 2_000_000), 160, strings.Repeat("x", 132) + "… (1,999,868 more characters)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := render.Cut(tc.text, tc.most); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestACutTextKeepsItsBound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.RuneFrom([]rune("aü€🔥\n")), 0, 400, -1).Draw(t, "text")
		most := rapid.IntRange(0, 500).Draw(t, "most")
		got := render.Cut(text, most)
		if len(got) > max(most+len("…"), len("… (+9,999)")) || !utf8.ValidString(got) || len(text) <= most && got != text {
			t.Errorf("%d bytes: %q", len(got), got)
		}
	})
}
