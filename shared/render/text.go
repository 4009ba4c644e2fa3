package render

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/graphemes"
	"golang.org/x/net/html"
	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// onText makes a filter of a function from text to text.
func onText(f func(string) string) func(*work, any, []any) (any, error) {
	return func(w *work, v any, _ []any) (any, error) { return w.text(f(String(v))) }
}

func textFilters() []Filter {
	return []Filter{
		{
			Name: "append", Arguments: []Argument{needed("text", textKind)}, apply: appended,
			Does:    "Appends a text.",
			Example: `{{ "ticket" | append: "-7" }}`, Shows: "ticket-7",
		},
		{
			Name: "prepend", Arguments: []Argument{needed("text", textKind)}, apply: prepended,
			Does:    "Prepends a text.",
			Example: `{{ 7 | prepend: "ticket-" }}`, Shows: "ticket-7",
		},
		{
			Name: "upcase", apply: onText(upcase),
			Does:    "Converts all letters to upper case.",
			Example: `{{ "straße" | upcase }}`, Shows: "STRASSE",
		},
		{
			Name: "downcase", apply: onText(downcase),
			Does:    "Converts all letters to lower case.",
			Example: `{{ "Über VPN" | downcase }}`, Shows: "über vpn",
		},
		{
			Name: "capitalize", apply: onText(capitalize),
			Does:    "Converts the first letter to upper case and all others to lower case.",
			Example: `{{ "my GREAT title" | capitalize }}`, Shows: "My great title",
		},
		{
			Name: "strip", apply: onText(strings.TrimSpace),
			Does:    "Removes spaces and line breaks from both ends.",
			Example: `[{{ "  a b  " | strip }}]`, Shows: "[a b]",
		},
		{
			Name: "lstrip", apply: onText(func(s string) string { return strings.TrimLeftFunc(s, unicode.IsSpace) }),
			Does:    "Removes spaces and line breaks from the beginning.",
			Example: `[{{ "  a b  " | lstrip }}]`, Shows: "[a b  ]",
		},
		{
			Name: "rstrip", apply: onText(func(s string) string { return strings.TrimRightFunc(s, unicode.IsSpace) }),
			Does:    "Removes spaces and line breaks from the end.",
			Example: `[{{ "  a b  " | rstrip }}]`, Shows: "[  a b]",
		},
		{
			Name: "strip_html", apply: onText(stripHTML),
			Does:    "Returns the text of HTML: removes tags, comments, scripts and style sheets, and decodes entities.",
			Example: `{{ "<p class=x>Tom &amp; Co</p><style>p{}</style>" | strip_html }}`, Shows: "Tom & Co",
		},
		{
			Name: StripLinks, apply: withoutLinks,
			Does:    "Returns a text without links and markup, for readers who may not trust its author: a word with a URL, a mail address or the name of a host becomes (link removed).",
			Example: `{{ "**Sign in** at [our page](https://evil.example/x) or evil.com." | strip_links }}`, Shows: "Sign in at our page (link removed) or (link removed).",
		},
		{
			Name: "strip_newlines", apply: onText(func(s string) string { return lineBreaks("").Replace(s) }),
			Does:    "Removes all line breaks.",
			Example: "{{ \"a\nb\" | strip_newlines }}", Shows: "ab",
		},
		{
			Name: "newline_to_br", apply: onText(func(s string) string { return lineBreaks("<br />\n").Replace(s) }),
			Does:    "Puts <br /> before each line break.",
			Example: "{{ \"a\nb\" | newline_to_br }}", Shows: "a<br />\nb",
		},
		{
			Name: "escape", apply: onText(func(s string) string { return escaper().Replace(s) }),
			Does:    "Escapes a text for HTML: it replaces & < > and both quotes by entities.",
			Example: `{{ "Tom & <Co>" | escape }}`, Shows: "Tom &amp; &lt;Co&gt;",
		},
		{
			Name: "escape_once", apply: onText(escapeOnce),
			Does:    "Escapes like escape, but keeps existing entities.",
			Example: `{{ "1 < 2 &amp; 3" | escape_once }}`, Shows: "1 &lt; 2 &amp; 3",
		},
		{
			Name: "url_encode", apply: onText(urlEncode),
			Does:    "Encodes a text for a URL's query: a space becomes +, any other special character % and its code.",
			Example: `{{ "john@liquid.com & co" | url_encode }}`, Shows: "john%40liquid.com+%26+co",
		},
		{
			Name: "url_decode", apply: onText(urlDecode),
			Does:    "Decodes a text encoded by url_encode.",
			Example: `{{ "%27Stop%21%27+said+Fred" | url_decode }}`, Shows: "'Stop!' said Fred",
		},
	}
}

func cuttingFilters() []Filter {
	two := []Argument{needed("search", textKind), needed("replacement", textKind)}
	search := []Argument{needed("text", textKind)}
	return []Filter{
		{
			Name: "truncate", Arguments: []Argument{optional("length", countKind), optional("ellipsis", textKind)}, apply: truncate,
			Does: "Shortens a text to a number of characters (default: 50), including the ellipsis (default: ...). " +
				"It never splits a combined character such as an emoji.",
			Example: `{{ "Ground control to Major Tom." | truncate: 20 }}`, Shows: "Ground control to...",
		},
		{
			Name: "truncatewords", Arguments: []Argument{optional("words", countKind), optional("ellipsis", textKind)}, apply: truncateWords,
			Does:    "Shortens a text to a number of words (default: 15) and appends the ellipsis (default: ...).",
			Example: `{{ "Ground control to Major Tom." | truncatewords: 3 }}`, Shows: "Ground control to...",
		},
		{
			Name: "slice", Arguments: []Argument{needed("first", wholeKind), optional("length", wholeKind)}, apply: slice,
			Does:    "Returns a number of characters or items (default: 1) from a position, counted from 0, or from the end if negative.",
			Example: `{{ "Liquid" | slice: 2, 3 }} {{ "Liquid" | slice: -3 }}`, Shows: "qui u",
		},
		{
			Name: "replace", Arguments: two, apply: replaced(-1, 0),
			Does:    "Replaces every occurrence of a text.",
			Example: `{{ "1-2-3" | replace: "-", "." }}`, Shows: "1.2.3",
		},
		{
			Name: "replace_first", Arguments: two, apply: replaced(1, 0),
			Does:    "Replaces the first occurrence of a text.",
			Example: `{{ "1-2-3" | replace_first: "-", "." }}`, Shows: "1.2-3",
		},
		{
			Name: "replace_last", Arguments: two, apply: replaced(0, 1),
			Does:    "Replaces the last occurrence of a text.",
			Example: `{{ "1-2-3" | replace_last: "-", "." }}`, Shows: "1-2.3",
		},
		{
			Name: "remove", Arguments: search, apply: replaced(-1, 0),
			Does:    "Removes every occurrence of a text.",
			Example: `{{ "1-2-3" | remove: "-" }}`, Shows: "123",
		},
		{
			Name: "remove_first", Arguments: search, apply: replaced(1, 0),
			Does:    "Removes the first occurrence of a text.",
			Example: `{{ "1-2-3" | remove_first: "-" }}`, Shows: "12-3",
		},
		{
			Name: "remove_last", Arguments: search, apply: replaced(0, 1),
			Does:    "Removes the last occurrence of a text.",
			Example: `{{ "1-2-3" | remove_last: "-" }}`, Shows: "1-23",
		},
		{
			Name: "split", Arguments: []Argument{needed("separator", textKind)}, apply: split,
			Does:    "Splits a text at a separator: a space splits into words, an empty separator into characters. Empty parts at the end are removed.",
			Example: `{{ "a, b, c" | split: ", " | last }}`, Shows: "c",
		},
	}
}

func appended(w *work, v any, args []any) (any, error) {
	text, more := String(v), argument(args, 0, "")
	if err := w.fits(len(text) + len(more)); err != nil {
		return nil, err
	}
	return text + more, nil
}

func prepended(w *work, v any, args []any) (any, error) {
	return appended(w, argument(args, 0, ""), []any{String(v)})
}

// argument returns the argument at a position, or otherwise if it was not
// given.
func argument[T any](args []any, at int, otherwise T) T {
	if at < len(args) {
		if v, ok := args[at].(T); ok {
			return v
		}
	}
	return otherwise
}

func upcase(s string) string   { return cases.Upper(language.Und).String(s) }
func downcase(s string) string { return cases.Lower(language.Und).String(s) }

func capitalize(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	return cases.Title(language.Und, cases.NoLower).String(s[:n]) + downcase(s[n:])
}

func lineBreaks(by string) *strings.Replacer {
	return strings.NewReplacer("\r\n", by, "\n", by, "\r", by)
}

func escaper() *strings.Replacer {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;")
}

func escapeOnce(s string) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '&')
		if i < 0 {
			b.WriteString(escaper().Replace(s))
			return b.String()
		}
		b.WriteString(escaper().Replace(s[:i]))
		n := max(entity(s[i:]), 1)
		if n == 1 {
			b.WriteString("&amp;")
		} else {
			b.WriteString(s[i : i+n])
		}
		s = s[i+n:]
	}
}

// entity returns the length of the entity at the beginning of a text, or 0.
func entity(s string) int {
	return len(anEntity.FindString(cut(s, 40)))
}

var anEntity = regexp.MustCompile(`^&([A-Za-z][A-Za-z0-9]*|#[0-9]+|#[Xx][0-9A-Fa-f]+);`)

func urlEncode(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~", c) >= 0:
			b.WriteByte(c)
		case c == ' ':
			b.WriteByte('+')
		default:
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}

func urlDecode(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+':
			b = append(b, ' ')
		case c == '%' && i+2 < len(s) && hex(s[i+1]) >= 0 && hex(s[i+2]) >= 0:
			b = append(b, byte(hex(s[i+1])<<4|hex(s[i+2]))) //nolint:gosec // two digits are a byte
			i += 2
		default:
			b = append(b, c)
		}
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}

// hex returns the value of a hexadecimal digit, or -1.
func hex(c byte) int {
	if 'A' <= c && c <= 'F' {
		c += 'a' - 'A'
	}
	return strings.IndexByte("0123456789abcdef", c)
}

// stripHTML returns the text of HTML.
func stripHTML(s string) string {
	var b strings.Builder
	z := html.NewTokenizer(strings.NewReader(s))
	read, hidden := 0, ""
	for {
		kind := z.Next()
		raw := z.Raw()
		if kind == html.ErrorToken {
			break
		}
		read += len(raw)
		switch kind {
		case html.TextToken:
			if hidden == "" {
				b.WriteString(html.UnescapeString(string(raw)))
			}
		case html.StartTagToken:
			if name, _ := z.TagName(); string(name) == "script" || string(name) == "style" {
				hidden = string(name)
			} else {
				z.NextIsNotRawText()
			}
		case html.SelfClosingTagToken:
			z.NextIsNotRawText()
		case html.EndTagToken:
			hidden = ""
		case html.CommentToken, html.DoctypeToken, html.ErrorToken:
		}
	}
	if hidden == "" && read < len(s) { // an unclosed tag is text
		b.WriteString(html.UnescapeString(s[read:]))
	}
	return strings.ReplaceAll(b.String(), "\u00a0", " ")
}

func truncate(w *work, v any, args []any) (any, error) {
	text, length, ellipsis := String(v), argument(args, 0, 50), argument(args, 1, "...")
	if !longer(text, length) {
		return text, nil
	}
	most := max(length-utf8.RuneCountInString(ellipsis), 0)
	end := 0
	if most > 0 {
		for characters := graphemes.FromString(text); characters.Next(); {
			if most -= utf8.RuneCountInString(characters.Value()); most < 0 {
				break
			}
			end = characters.End()
		}
	}
	return w.text(text[:end] + ellipsis)
}

// longer reports whether a text has more than the given number of characters.
func longer(text string, characters int) bool {
	return len(text) > characters && utf8.RuneCountInString(text) > characters
}

func truncateWords(w *work, v any, args []any) (any, error) {
	text, words, ellipsis := String(v), max(argument(args, 0, 15), 1), argument(args, 1, "...")
	var kept []string
	for word := range strings.FieldsSeq(text) {
		if len(kept) == words {
			return w.text(strings.Join(kept, " ") + ellipsis)
		}
		kept = append(kept, word)
	}
	return text, nil
}

func slice(_ *work, v any, args []any) (any, error) {
	first, length := argument(args, 0, 0), argument(args, 1, 1)
	if list, ok := v.([]any); ok {
		from, to := window(len(list), first, length)
		return list[from:to:to], nil
	}
	text := String(v)
	from, to := window(utf8.RuneCountInString(text), first, length)
	begin := skip(text, from)
	return text[begin : begin+skip(text[begin:], to-from)], nil
}

// window returns the range of size that begins at first and is at most length
// long; it is empty when outside.
func window(size, first, length int) (from, to int) {
	if first < 0 {
		first += size
	}
	if first < 0 || first > size || length <= 0 {
		return 0, 0
	}
	return first, first + min(length, size-first)
}

// skip returns the length in bytes of the first characters of s.
func skip(s string, characters int) int {
	for i := range s {
		if characters == 0 {
			return i
		}
		characters--
	}
	return len(s)
}

// replaced makes a filter that replaces the first and the last occurrences of a
// text (first = -1: all).
func replaced(first, last int) func(*work, any, []any) (any, error) {
	return func(w *work, v any, args []any) (any, error) {
		text, search, by := String(v), argument(args, 0, ""), argument(args, 1, "")
		if last == 1 {
			i := strings.LastIndex(text, search)
			if i < 0 {
				return text, nil
			}
			return w.text(text[:i] + by + text[i+len(search):])
		}
		if first < 0 {
			n := strings.Count(text, search)
			if err := w.fits(len(text) + n*(len(by)-len(search))); err != nil {
				return nil, err
			}
		}
		return w.text(strings.Replace(text, search, by, first))
	}
}

func split(w *work, v any, args []any) (any, error) {
	text, by := String(v), argument(args, 0, "")
	var parts []string
	n := strings.Count(text, by)
	if by == "" {
		n-- // an empty separator also matches at the end
	}
	switch {
	case text == "":
	case n > maxItems:
		return nil, errItems
	case by == " ":
		parts = strings.Fields(text)
	default:
		parts = strings.Split(text, by)
	}
	for len(parts) > 0 && parts[len(parts)-1] == "" {
		parts = parts[:len(parts)-1]
	}
	list := make([]any, len(parts))
	for i := range parts {
		list[i] = parts[i]
	}
	return list, nil
}
