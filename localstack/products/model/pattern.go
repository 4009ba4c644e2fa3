package model

import (
	"regexp"
	"regexp/syntax"
	"strings"
)

// matching returns a short text that the regular expression finds, if it is one
// that can be made up for.
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

// spell writes the first text that the expression stands for.
func spell(b *strings.Builder, e *syntax.Regexp) {
	switch e.Op { //nolint:exhaustive // what is not here matches the empty text, or nothing at all.
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

// letter returns a readable member of a class, given as pairs of first and last.
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
