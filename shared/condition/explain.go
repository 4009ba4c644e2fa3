package condition

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"theoneagents.app/agents/shared/jsonvalue"
)

// demand returns what an operator demands of a value, to stand behind "must".
func (o Operator) demand(want any) string {
	switch o {
	case Eq:
		return "be " + short(want)
	case Ne:
		return "not be " + short(want)
	case Gt:
		return "be greater than " + short(want)
	case Gte:
		return "be at least " + short(want)
	case Lt:
		return "be less than " + short(want)
	case Lte:
		return "be at most " + short(want)
	case Contains:
		return "contain " + short(want)
	case StartsWith:
		return "start with " + short(want)
	case EndsWith:
		return "end with " + short(want)
	case In:
		return "be one of " + short(want)
	case NotIn:
		return "not be one of " + short(want)
	case Exists:
		if want == false {
			return "not exist"
		}
		return "exist"
	}
	return fmt.Sprintf("be %s %s", o, short(want))
}

// explain returns a sentence that says what a field must be and what it is.
func explain(field string, o Operator, want, found any, there bool) string {
	demand := fmt.Sprintf("%s must %s", field, o.demand(want))
	if !there {
		return demand + "; it is missing"
	}
	return fmt.Sprintf("%s; it is %s%s", demand, short(found), o.nuance(want, found))
}

// nuance returns why a value does not satisfy the operator where the two texts
// alone do not show it: their types differ, or they look alike.
func (o Operator) nuance(want, found any) string {
	switch o {
	case Ne, NotIn, Exists:
		return ""
	case In:
		list, _ := want.([]any)
		for _, v := range list {
			if why := alike(v, found); why != "" {
				return why
			}
		}
		return ""
	case Eq, Gt, Gte, Lt, Lte, Contains, StartsWith, EndsWith:
	}
	if kind := jsonvalue.Kind(found); found != nil && want != nil && kind != jsonvalue.Kind(want) {
		return fmt.Sprintf(" (%s, not %s)", kind, jsonvalue.Kind(want))
	}
	if o == Eq {
		return alike(want, found)
	}
	return hidden(want, found)
}

// hidden returns that a text holds the wanted one in another form, or "".
func hidden(want, found any) string {
	w, isText := want.(string)
	f, _ := found.(string)
	if !isText || w == "" || !strings.Contains(folded(f), folded(w)) || strings.Contains(f, w) {
		return ""
	}
	return " (the text is in it with other capitals, blanks or composed characters)"
}

// alike returns where two texts differ that a reader could take for the same one,
// or "".
func alike(want, found any) string {
	w, wOK := want.(string)
	f, fOK := found.(string)
	if !wOK || !fOK || w == f {
		return ""
	}
	if strings.EqualFold(w, f) {
		return " (the capitals differ)"
	}
	x, y := []rune(w), []rune(f)
	n := 0
	for n < min(len(x), len(y)) && x[n] == y[n] {
		n++
	}
	if folded(w) != folded(f) && n < maxShort/2 {
		return ""
	}
	return fmt.Sprintf(" (they differ from character %d on: %s is wanted, %s is found)", n+1, codes(x[n:]), codes(y[n:]))
}

// codes returns the beginning of a text as code points, since a reader may see no
// difference.
func codes(text []rune) string {
	const most = 3
	if len(text) == 0 {
		return "the end"
	}
	var names []string
	for _, r := range text[:min(len(text), most)] {
		name := fmt.Sprintf("U+%04X", r)
		if unicode.IsGraphic(r) && !unicode.IsSpace(r) && !unicode.IsMark(r) {
			name += fmt.Sprintf(" (%c)", r)
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

// folded returns a text without the differences that a reader does not see:
// composed and decomposed characters, capitals, blanks of any kind and number,
// invisible characters, typographic quotes and dashes.
func folded(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Cf, r), unicode.Is(unicode.Variation_Selector, r):
			return -1
		case unicode.Is(unicode.Dash, r):
			return '-'
		case unicode.Is(unicode.Quotation_Mark, r):
			return '\''
		}
		return unicode.ToLower(r)
	}, norm.NFKC.String(text))
	return strings.Join(slices.Collect(strings.FieldsSeq(text)), " ")
}

// maxShort is how many characters of a value a sentence shows.
const maxShort = 80

// short returns the JSON of v, cut to what fits in a sentence.
func short(v any) string {
	s := []rune(jsonvalue.Canonical(v))
	if len(s) <= maxShort {
		return string(s)
	}
	return fmt.Sprintf("%s… (%d more characters)", string(s[:maxShort]), len(s)-maxShort)
}
