package render

import (
	"strings"
	"unicode"
)

// An Encoding escapes a value so that it is plain text in a format.
type Encoding func(value string) string

// Encoded is Text for a format: it escapes each value and leaves the template's
// own text as it is. The size limits apply to the values before they are
// escaped.
func Encoded(text string, s Scope, encode Encoding) (string, error) {
	parts, err := parse(text)
	if err != nil {
		return "", err
	}
	return encoded(parts, begin(s), encode)
}

func encoded(parts []part, w *work, encode Encoding) (string, error) {
	if len(parts) == 1 && parts[0].hole == nil && len(parts[0].text) <= MaxOutput {
		return parts[0].text, nil
	}
	var b strings.Builder
	size := 0
	for _, p := range parts {
		if p.hole == nil {
			if err := grow(&size, len(p.text)); err != nil {
				return "", err
			}
			b.WriteString(p.text)
			continue
		}
		v, err := p.hole.fill(w)
		if err != nil {
			return "", err
		}
		value := String(v)
		if err := p.hole.shown(value, &size); err != nil {
			return "", err
		}
		b.WriteString(encode(value))
	}
	return b.String(), nil
}

// Alone reports whether text is exactly one placeholder.
func Alone(text string) bool {
	parts, err := parse(text)
	return err == nil && len(parts) == 1 && parts[0].hole != nil
}

// Percent escapes a value for a path segment or query value of a URL: the value
// cannot start another part of the URL, and cannot change host or user.
func Percent(value string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(value) {
		switch c := value[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~", c) >= 0:
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}

// Slack escapes a value for Slack's mrkdwn as documented: it cannot mention
// people or channels or make a link.
func Slack(value string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(value)
}

// SlackLink returns a link in Slack's mrkdwn.
func SlackLink(text, url string) string {
	return "<" + without(url, "<>| ") + "|" + Slack(text) + ">"
}

// MarkdownLink returns a link in the Markdown of Adaptive Cards.
func MarkdownLink(text, url string) string {
	return "[" + Markdown(text) + "](" + without(url, "<>()[]\\ ") + ")"
}

// without returns a URL with the given characters percent-encoded.
func without(url, characters string) string {
	var b strings.Builder
	for _, r := range url {
		if strings.ContainsRune(characters, r) || unicode.IsControl(r) {
			b.WriteString(Percent(string(r)))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Markdown escapes a value for the Markdown of Adaptive Cards, a subset of
// CommonMark: it makes no link, list, emphasis or date.
//
// Some clients support links but no escapes. The backslashes between an escaped
// bracket and an escaped parenthesis prevent a link there too.
func Markdown(value string) string {
	var b strings.Builder
	for value != "" {
		end := strings.IndexAny(value, "\r\n") + 1
		if end == 0 {
			end = len(value)
		}
		markdownLine(&b, value[:end])
		value = value[end:]
	}
	return b.String()
}

// markdownLine writes a line. A control character is not shown, so the
// character after it may start the line.
func markdownLine(b *strings.Builder, line string) {
	const always, first = "\\`*_{}[]()<>~&", "-+=#|"
	start := strings.TrimLeftFunc(line, func(r rune) bool { return r == ' ' || unicode.IsControl(r) })
	number := len(start) - len(strings.TrimLeftFunc(start, func(r rune) bool { return '0' <= r && r <= '9' || unicode.IsControl(r) }))
	for i := range len(line) {
		at := i - (len(line) - len(start)) // from the first character that is not a space
		switch c := line[i]; {
		case strings.IndexByte(always, c) >= 0,
			at == 0 && strings.IndexByte(first, c) >= 0,
			at == number && c == '.': // 1. starts a list; so does a dot after a number in the template's text
			b.WriteByte('\\')
		}
		b.WriteByte(line[i])
	}
}

// Beginning returns a text, or its first most characters with an ellipsis.
func Beginning(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}
