package render_test

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"theoneagents.app/agents/shared/render"
)

func TestOnlyValuesAreEncoded(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		encode      render.Encoding
		value, want string
	}{
		"a name in a URL":               {render.Percent, "Blue-Sky_1.0~x", "Blue-Sky_1.0~x"},
		"a path in a URL":               {render.Percent, "../a b/ü?c=d&e#f", "..%2Fa%20b%2F%C3%BC%3Fc%3Dd%26e%23f"},
		"a host in a URL":               {render.Percent, "evil.example/@:\\", "evil.example%2F%40%3A%5C"},
		"a line break in a URL":         {render.Percent, "a\r\nX: y+z%", "a%0D%0AX%3A%20y%2Bz%25"},
		"everybody, in Slack":           {render.Slack, "<!channel> & <!here>", "&lt;!channel&gt; &amp; &lt;!here&gt;"},
		"a link in Slack":               {render.Slack, "<https://evil.example|Log in>", "&lt;https://evil.example|Log in&gt;"},
		"an entity in Slack":            {render.Slack, "&lt;!channel&gt;", "&amp;lt;!channel&amp;gt;"},
		"a link in Markdown":            {render.Markdown, "[Log in](https://evil.example)", `\[Log in\]\(https://evil.example\)`},
		"an address in Markdown":        {render.Markdown, "<https://evil.example>", `\<https://evil.example\>`},
		"an image in Markdown":          {render.Markdown, "![x](y)", `!\[x\]\(y\)`},
		"emphasis in Markdown":          {render.Markdown, "**a** _b_ `c` ~~d~~", "\\*\\*a\\*\\* \\_b\\_ \\`c\\` \\~\\~d\\~\\~"},
		"an escape in Markdown":         {render.Markdown, `\[x](y)`, `\\\[x\]\(y\)`},
		"an entity in Markdown":         {render.Markdown, "&#91;x", `\&#91;x`},
		"a date in Markdown":            {render.Markdown, "{{DATE(2026-03-09T14:23:01Z)}}", `\{\{DATE\(2026-03-09T14:23:01Z\)\}\}`},
		"lists in Markdown":             {render.Markdown, "- a\n + b\n12. c\nd - 1.5", "\\- a\n \\+ b\n12\\. c\nd - 1.5"},
		"other lines in Markdown":       {render.Markdown, "a\r# b\r\n- c\r1. d", "a\r\\# b\r\n\\- c\r1\\. d"},
		"unseen lines in Markdown":      {render.Markdown, "\x01# a\n\x02 - b\n1\x7f\x01. c", "\x01\\# a\n\x02 \\- b\n1\x7f\x01\\. c"},
		"headings in Markdown":          {render.Markdown, "# a\nb\n===\n---\n> c\n|d|", "\\# a\nb\n\\===\n\\---\n\\> c\n\\|d|"},
		"numbers that list in Markdown": {render.Markdown, "1) a", `1\) a`},
		"what Markdown would number":    {render.Markdown, ". a", `\. a`},
		"a sentence in Markdown":        {render.Markdown, "VPN-1 is down: 50% at 10.0.0.1, again!", "VPN-1 is down: 50% at 10.0.0.1, again!"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			const mine = `<!here> [a](b)?c=d&e *f* `
			got, err := render.Encoded(mine+"{{ v | append: '' }}"+mine, render.Scope{"v": tc.value}, tc.encode)
			if err != nil || got != mine+tc.want+mine {
				t.Errorf("%q became %q, %v; want %q", tc.value, got, err, mine+tc.want+mine)
			}
		})
	}
}

func TestEncodedEqualsTextApartFromTheEncoding(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		in, want string // "" is an error
	}{
		"a value is not expanded again":       {"{{ event_payload.subject }}", "VPN is {{ agent.id }} down"},
		"an array is JSON":                    {"<{{ event_payload.tags }}>", `<["a","b"]>`},
		"null is empty":                       {"<{{ event_payload.none }}>", "<>"},
		"a missing variable":                  {"{{ event_payload.nope }}", ""},
		"a tag":                               {"{% if true %}x{% endif %}", ""},
		"too much of many":                    {"{{ event_payload.big }}{{ event_payload.big }}", ""},
		"a value that grows as it is encoded": {"{{ event_payload.big }}", strings.Repeat("&amp;", 60_000)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, err := render.Encoded(tc.in, scope(), func(v string) string { return strings.ReplaceAll(v, "x", "&amp;") })
			if got != tc.want || errors.Is(err, render.ErrTemplate) != (tc.want == "") {
				t.Errorf("Encoded(%q) = %.80q, %v", tc.in, got, err)
			}
		})
	}
}

func TestAloneMatchesExactlyOnePlaceholder(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]bool{
		"{{ a }}": true, `{{a.b | default: "}}"}}`: true, "{{ a }} ": false, "{{ a }}{{ b }}": false, "a": false, "": false, "{{ a": false,
	} {
		if got := render.Alone(text); got != want {
			t.Errorf("Alone(%q) = %v", text, got)
		}
	}
}

// FuzzEncodings checks that an encoded value can be decoded again and contains
// no character with a meaning in its format.
func FuzzEncodings(f *testing.F) {
	f.Add("<!channel> & [a](b) \\ %41 1. x\n- y")
	f.Add("]\\(\xff&amp;{{")
	escape := regexp.MustCompile(`\\([[:punct:]])`)
	entities := strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")
	f.Fuzz(func(t *testing.T, value string) {
		percent := render.Percent(value)
		path, err := url.PathUnescape(percent)
		query, qerr := url.QueryUnescape(percent)
		if err != nil || qerr != nil || path != value || query != value || strings.ContainsAny(percent, "/?#&=@:\\ \r\n") {
			t.Errorf("in a URL: %q, %v, %v", percent, err, qerr)
		}
		if got := render.Slack(value); entities.Replace(got) != value || strings.ContainsAny(got, "<>") {
			t.Errorf("in Slack: %q", got)
		}
		got := render.Markdown(value)
		if escape.ReplaceAllString(got, "$1") != value || strings.ContainsAny(escape.ReplaceAllString(got, ""), "\\`*_{}[]()<>~&") {
			t.Errorf("in Markdown: %q", got)
		}
	})
}
