package definition

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Recipients splits a text into recipients. Only a text for e-mail can hold
// several, separated by semicolons or commas, as mail programs copy them.
func (c Channel) Recipients(text string) []string {
	if c != Email {
		return []string{text}
	}
	for _, separator := range []string{";", ","} {
		parts := strings.FieldsFunc(text, func(r rune) bool { return string(r) == separator })
		var list []string
		for _, part := range parts {
			if strings.TrimSpace(part) != "" {
				list = append(list, part)
			}
		}
		if len(list) > 1 && !slices.ContainsFunc(list, func(s string) bool { return !address.MatchString(mailbox(s)) }) {
			return list
		}
	}
	return []string{text}
}

// Recipient normalises the recipient that a person wrote, and returns ErrRecipient
// if the channel cannot reach it. It removes blanks and invisible characters around
// the text, the name beside an e-mail address, the dots, dashes and parentheses of
// a phone number, and the schemes mailto: and tel:.
func (r Rules) Recipient(c Channel, text string) (string, error) {
	to := trimmed(text)
	if to == "" {
		return "", ErrRecipient.Sayf("The recipient is empty.")
	}
	switch c {
	case SMS:
		number, missing := phone(to)
		if missing {
			return "", ErrRecipient.Sayf("The country code is missing in %.60q; a phone number is written like +15551234567.", to)
		}
		to = number
	case Email:
		to = mailbox(to)
	case Slack, Teams, Webhook:
		to = lowerScheme(strings.TrimSuffix(strings.TrimPrefix(to, "<"), ">"))
	}
	return to, r.Reaches(c, to)
}

// once returns the form in which a written recipient is compared with others.
func (r Rules) once(c Channel, text string) string {
	if strings.Contains(text, "{{") {
		return text
	}
	to, err := r.Recipient(c, text)
	if err != nil {
		return text
	}
	if c == Email {
		return strings.ToLower(to)
	}
	return to
}

// trimmed removes the blanks and the invisible characters around a text.
func trimmed(text string) string {
	return strings.TrimFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
	})
}

var (
	angled  = regexp.MustCompile(`^[^<>]*<([^<>]*)>$`)
	comment = regexp.MustCompile(`\s*\([^()]*\)$`)
)

// mailbox returns the address in "Smith, John" <john@acme.example>, in
// mailto:john@acme.example?subject=…, and in john@acme.example (John).
func mailbox(text string) string {
	to := trimmed(text)
	if m := angled.FindStringSubmatch(to); m != nil {
		to = trimmed(m[1])
	}
	if rest, is := cutScheme(to, "mailto:"); is {
		to, _, _ = strings.Cut(rest, "?")
	}
	to = comment.ReplaceAllString(to, "")
	if n := len(to); n > 1 && to[0] == to[n-1] && strings.ContainsRune(`"'`, rune(to[0])) {
		to = to[1 : n-1]
	}
	return trimmed(to)
}

var (
	trunk  = regexp.MustCompile(`\(0\)`) // +44 (0)20: dialled only within the country
	digits = regexp.MustCompile(`^[0-9]+$`)
)

// unseparated removes the separators that people write between the digits of a
// phone number.
func unseparated(number string) string {
	return strings.NewReplacer(
		" ", "", "\u00a0", "", "\u202f", "", "\u2009", "", "\t", "", ".", "", "-", "", "\u2010", "", "\u2011", "", "\u2012", "", "\u2013", "",
		"/", "", "(", "", ")", "",
	).Replace(number)
}

// phone returns a phone number in the form of E.164, or reports that its country
// code is missing. It returns any other text unchanged.
func phone(text string) (number string, missing bool) {
	number = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) {
			return -1 // direction marks, which address books add
		}
		return r
	}, text)
	for _, scheme := range []string{"tel:", "sms:", "callto:"} {
		if rest, is := cutScheme(number, scheme); is {
			number = trimmed(rest)
		}
	}
	number = strings.TrimPrefix(number, "(") // (+1) 555 …
	abroad := strings.HasPrefix(number, "+") || strings.HasPrefix(number, "00")
	if abroad {
		number = trunk.ReplaceAllString(number, "")
	}
	number = unseparated(number)
	bare := strings.TrimPrefix(strings.TrimPrefix(number, "+"), "00")
	switch {
	case !digits.MatchString(bare):
		return text, false
	case abroad:
		return "+" + bare, false
	}
	const fewest = 4 // digits of a phone number
	return text, len(bare) >= fewest
}

// cutScheme removes a scheme, in any case, from the beginning of a text and reports
// whether the text had it.
func cutScheme(text, scheme string) (string, bool) {
	if len(text) >= len(scheme) && strings.EqualFold(text[:len(scheme)], scheme) {
		return text[len(scheme):], true
	}
	return text, false
}

// lowerScheme returns the URL with its scheme in lower case.
func lowerScheme(url string) string {
	scheme, rest, found := strings.Cut(url, "://")
	if !found {
		return url
	}
	return strings.ToLower(scheme) + "://" + rest
}
