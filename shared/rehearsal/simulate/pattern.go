package simulate

import (
	"regexp"
	"regexp/syntax"
	"strings"
)

// matching returns a short text that matches the regular expression, and false
// when it cannot generate one.
func matching(pattern string) (string, bool) {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return "", false
	}
	var b strings.Builder
	spell(&b, tree.Simplify())
	found, err := regexp.MatchString(pattern, b.String())
	return b.String(), err == nil && found
}

// spell writes the first text that matches the expression.
func spell(b *strings.Builder, e *syntax.Regexp) {
	switch e.Op { //nolint:exhaustive // the other operators match the empty text, or no text.
	case syntax.OpLiteral:
		b.WriteString(string(e.Rune))
	case syntax.OpCharClass:
		b.WriteRune(letter(e.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte('a')
	case syntax.OpCapture, syntax.OpPlus, syntax.OpAlternate:
		spell(b, e.Sub[0])
	case syntax.OpConcat:
		for _, sub := range e.Sub {
			spell(b, sub)
		}
	}
}

// letter returns a readable character of a class, which is a list of ranges.
func letter(class []rune) rune {
	for _, want := range "a1A" {
		for n := 0; n+1 < len(class); n += 2 {
			if class[n] <= want && want <= class[n+1] {
				return want
			}
		}
	}
	if len(class) == 0 {
		return 'a'
	}
	return class[0]
}
