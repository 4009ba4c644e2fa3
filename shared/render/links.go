package render

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
	"golang.org/x/text/unicode/norm"
)

// StripLinks is the name of the filter that makes a text safe to publish: a
// reader's program finds no link in it.
const StripLinks = "strip_links"

// linkRemoved stands where a link was.
const linkRemoved = "(link removed)"

// maxDecoded limits how often HTML is decoded that was encoded several times.
const maxDecoded = 8

// stripWork is the work of strip_links for each byte, compared with other filters.
const stripWork = 256

// withoutLinks is the filter strip_links.
func withoutLinks(w *work, v any, _ []any) (any, error) {
	text := String(v)
	if err := w.spend(stripWork * len(text)); err != nil {
		return nil, err
	}
	return w.text(stripLinks(text))
}

// stripLinks returns a text without links and markup. A word with a URL, an
// address or the name of a host in it is replaced. A word that only resembles the
// name of a host, such as a file name or two sentences without a space between
// them, gets a space after the dot. All of it happens after every way of writing
// a character has become one: entities, full-width forms, invisible characters.
func stripLinks(text string) string {
	text = norm.NFKC.String(Clean(text))
	for range maxDecoded {
		plain := norm.NFKC.String(Clean(stripHTML(text)))
		if plain == text {
			break
		}
		text = plain
	}
	text = asURLs(encodedMark.ReplaceAllString(text, "& $1"))
	text = aTag.ReplaceAllString(text, "< $1")
	text = escaped.ReplaceAllString(text, "$1")
	text = markedLink.ReplaceAllString(text, "$1 "+linkRemoved)
	text = markedLine.ReplaceAllString(text, "$1")
	text = emphasis(unmarked(text))
	for range 2 { // matches overlap by a character
		text = fullStop.ReplaceAllString(text, "$1.$2")
	}

	var b strings.Builder
	for text != "" {
		word, rest := cutWord(text)
		b.WriteString(unlinked(word))
		space := len(rest) - len(strings.TrimLeftFunc(rest, unicode.IsSpace))
		b.WriteString(rest[:space])
		text = rest[space:]
	}
	return strings.ReplaceAll(b.String(), "("+linkRemoved+")", linkRemoved)
}

// cutWord splits a text before its first white space.
func cutWord(text string) (word, rest string) {
	i := strings.IndexFunc(text, unicode.IsSpace)
	if i < 0 {
		return text, ""
	}
	return text[:i], text[i:]
}

var (
	// encodedMark is the beginning of an HTML entity.
	encodedMark = regexp.MustCompile(`&([A-Za-z#])`)
	// aTag is the beginning of an HTML tag, an autolink, or a declaration.
	aTag = regexp.MustCompile(`<([^\s=<>0-9-])`)
	// escaped is a character that Markdown shows without the backslashes.
	escaped = regexp.MustCompile("\\\\+([!-/:-@\\[\\]^_`{-~])")
	// markedLink is a link or a picture in Markdown.
	markedLink = regexp.MustCompile(`!?\[([^\[\]\n]*)\](?:\([^)\n]*\)|\[[^\]\n]*\])`)
	// markedLine is the mark of a heading or a quotation.
	markedLine = regexp.MustCompile(`(?m)^[ \t]*(?:(?:#{1,6}|>)[ \t]+)+(\S|$)`)
	// fullStop is the East Asian full stop where a domain name could have it.
	fullStop = regexp.MustCompile(`([A-Za-z0-9-])\x{3002}([A-Za-z0-9])`)
)

// asURLs replaces characters that programs take for others in URLs, and removes the
// selectors of emoji style, which they pass over.
func asURLs(text string) string {
	return strings.NewReplacer("\u2215", "/", "\u2044", "/", "\u29f8", "/", "\u2236", ":", "\ua789", ":", "\u02d0", ":",
		"\ufe0e", "", "\ufe0f", "").Replace(text)
}

// unmarked replaces the marks of markup: without brackets there is no link in
// Markdown, in wikis or in BBCode.
func unmarked(text string) string {
	return strings.NewReplacer("[", "(", "]", ")", "`", "", "**", "", "__", "", "~~", "").Replace(text)
}

// emphasis removes the asterisks and underscores around words.
func emphasis(text string) string {
	runes := []rune(text)
	inWord := func(i int) bool {
		return i >= 0 && i < len(runes) && (unicode.IsLetter(runes[i]) || unicode.IsNumber(runes[i]))
	}
	alone := func(i int) bool { return i < 0 || i >= len(runes) || unicode.IsSpace(runes[i]) }
	out := make([]rune, 0, len(runes))
	for i, r := range runes {
		if r == '*' || r == '_' {
			between := inWord(i-1) && inWord(i+1) // 2*3, some_name
			if !between && (!alone(i-1) || !alone(i+1)) {
				continue
			}
		}
		out = append(out, r)
	}
	return string(out)
}

var (
	// aURL is what makes a word a link whatever else it has: a scheme, an address
	// of mail, a path of a server.
	aURL = regexp.MustCompile(`(?i)//|\\\\|:[/\\?]|@[^\s@]*[\pL\pN]\.[\pL\pN]|\bwww\d*\.` +
		`|\b(?:mailto|tel|sms|callto|skype|sips?|xmpp|javascript|vbscript|data|file|blob|magnet|ftps?|https?|hxxps?|ms-[a-z]+):\S`)
	// aDrive is the beginning of a path on a computer, which is no link.
	aDrive = regexp.MustCompile(`^\W*[A-Za-z]:\\[^\\]`)
	// anIP is an address of a computer with a port or a path.
	anIP = regexp.MustCompile(`(?:\d{1,3}\.){3}\d{1,3}(?::\d+|/\pL)`)
	// aHost is a sequence that could be the name of a host.
	aHost = regexp.MustCompile(`[\pL\pM\pN_-]+(?:\.+[\pL\pM\pN_-]+)+`)
	// aColon is a colon that would make the word before it a scheme.
	aColon = regexp.MustCompile(`(\pL[\pL\pN+.-]+):(\S)`)
)

// unlinked returns a word that is no link.
func unlinked(word string) string {
	core := strings.TrimFunc(word, func(r rune) bool { return strings.ContainsRune(`()"'.,;!{}<>`, r) })
	before, after, _ := strings.Cut(word, core)
	drive := aDrive.MatchString(core)
	url := aURL.MatchString(core) && (!drive || aURL.MatchString(strings.Replace(core, `:\`, "", 1)))
	if url || anIP.MatchString(core) {
		return before + linkRemoved + after
	}
	if slices.ContainsFunc(aHost.FindAllString(core, -1), isHost) {
		return before + linkRemoved + after
	}
	core = aHost.ReplaceAllStringFunc(core, spaced)
	if !drive {
		for range 2 { // matches overlap by a character
			core = aColon.ReplaceAllString(core, "$1: $2")
		}
	}
	return before + core + after
}

// isHost reports whether a sequence with dots has the name of a top-level domain
// after a dot. One with a capital and small letters begins a sentence.
func isHost(sequence string) bool {
	labels := strings.Split(sequence, ".")
	for i, label := range labels {
		if i > 0 && labels[i-1] != "" && !beginsSentence(label) && isTopLevel(label) {
			return true
		}
	}
	return false
}

func beginsSentence(label string) bool {
	runes := []rune(label)
	return len(runes) > 1 && unicode.IsUpper(runes[0]) && !slices.ContainsFunc(runes[1:], func(r rune) bool { return !unicode.IsLower(r) })
}

// reservedDomains are the top-level domains that no registry has.
func reservedDomains() []string {
	return []string{"example", "test", "invalid", "localhost", "local", "internal", "onion", "lan", "home", "corp"}
}

func isTopLevel(label string) bool {
	ascii, err := idna.ToASCII(strings.ToLower(label))
	if err != nil {
		return false
	}
	suffix, managed := publicsuffix.PublicSuffix("x." + ascii)
	return suffix == ascii && managed || slices.Contains(reservedDomains(), ascii)
}

// spaced returns a sequence with a space after each dot that a word follows.
func spaced(sequence string) string {
	var b strings.Builder
	for i, label := range strings.Split(sequence, ".") {
		if i > 0 {
			b.WriteByte('.')
			first := []rune(label)
			if len(first) > 1 && !unicode.IsNumber(first[0]) {
				b.WriteByte(' ')
			}
		}
		b.WriteString(label)
	}
	return b.String()
}
