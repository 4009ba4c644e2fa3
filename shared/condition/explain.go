package condition

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/render"
)

// Limits of a sentence.
const (
	MaxSentence = 1 << 10 // bytes
	maxReasons  = 10      // of a group
)

// sentence cuts a sentence to MaxSentence.
func sentence(text string) string { return render.Cut(text, MaxSentence-len("…")) }

// explain returns a sentence with the demanded and the found value of a field.
func (f Facts) explain(field string, o Operator, want, found any, there bool) string {
	demand := o.demand(field, want)
	if !there {
		return demand + "; it is missing"
	}
	note := ""
	if f.Budget.Spend(noteCost*(noted(want)+noted(found))) == nil {
		note = o.row().differs(want, found)
	}
	return fmt.Sprintf("%s; it is %s%s", demand, short(found), note)
}

// demand returns what the operator demands of a field, as in "priority must be "p1"".
func (o Operator) demand(field string, want any) string {
	row := o.row()
	demand := field + " must "
	switch {
	case strings.Contains(row.demand, "%s"):
		return demand + strings.Replace(row.demand, "%s", short(want), 1)
	case want == false:
		return demand + "not " + row.demand
	}
	return demand + row.demand
}

// String returns what the condition demands, in words. Long values are shortened.
func (c Condition) String() string {
	switch {
	case c.All != nil:
		return "all of (" + joined(c.All) + ")"
	case c.Any != nil:
		return "one of (" + joined(c.Any) + ")"
	case c.Context == InClient:
		return c.Operator.demand("client_context."+c.Field, c.Value)
	}
	return c.Operator.demand(c.Field, c.Value)
}

func joined(list []Condition) string {
	parts := make([]string, len(list))
	for i, c := range list {
		parts[i] = c.String()
	}
	return strings.Join(parts, "; ")
}

// ---- differences that are hard to see ----

func noNote(_, _ any) string { return "" }

// otherType returns a note that the two values have different types, or "".
func otherType(want, found any) string {
	if kind := jsonvalue.Kind(found); found != nil && want != nil && kind != jsonvalue.Kind(want) {
		return fmt.Sprintf(" (%s, not %s)", kind, jsonvalue.Kind(want))
	}
	return ""
}

func noteEqual(want, found any) string { return cmp.Or(otherType(want, found), alike(want, found)) }

func noteContained(want, found any) string {
	return cmp.Or(otherType(want, found), hidden(want, found))
}

// noteListed returns a note on how the value differs from the list entry that it looks
// like, or "".
func noteListed(want, found any) string {
	list, _ := want.([]any)
	left := maxNoted
	for _, v := range list {
		if left -= noted(v) + noted(found); left < 0 {
			return ""
		}
		if why := alike(v, found); why != "" {
			return why
		}
	}
	return ""
}

// hidden returns a note that the text contains the wanted text in another form, or
// "".
func hidden(want, found any) string {
	w, isText := want.(string)
	f, _ := found.(string)
	if !isText || w == "" || max(len(w), len(f)) > maxAlike || !strings.Contains(folded(f), folded(w)) || strings.Contains(f, w) {
		return ""
	}
	return " (it contains the text with other capitals, blanks or composed characters)"
}

// alike returns a note on where two texts differ that look the same, or "".
func alike(want, found any) string {
	w, wOK := want.(string)
	f, fOK := found.(string)
	if !wOK || !fOK || w == f || max(len(w), len(f)) > maxAlike {
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

// codes returns the first three characters of a text as code points.
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

// folded normalises the differences in a text that are hard to see: composed and
// decomposed characters, capitals, blanks of any kind and number, invisible
// characters, typographic quotes and dashes.
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

// maxShort is the number of characters of a value in a sentence.
const maxShort = 80

// Limits of the work of a sentence: the length of texts that are compared for a
// difference that is hard to see, and the size of lists and objects that are shown.
const (
	maxAlike  = 1 << 10
	maxInside = 4 << 10
	maxNoted  = 16 << 10 // of a list and the value that is not in it
	noteCost  = 32       // of each byte, which is normalised
)

// noted returns how many bytes of a value are normalised for a note.
func noted(v any) int {
	switch v := v.(type) {
	case string:
		if len(v) <= maxAlike {
			return len(v)
		}
	case []any:
		sum := 0
		for i := 0; i < len(v) && sum < maxNoted; i++ {
			if text, ok := v[i].(string); ok {
				sum += noted(text)
			}
		}
		return sum
	}
	return 0
}

// short returns the JSON of v, cut to maxShort characters. Its work does not grow
// with the size of a list or an object.
func short(v any) string {
	left := maxInside
	switch v := v.(type) {
	case string:
		if len(v) > maxInside {
			begins, more := []rune(jsonvalue.Canonical(beginning(v))), utf8.RuneCountInString(v)-maxShort
			return fmt.Sprintf("%s… (%d more characters)", string(begins[:len(begins)-1]), more)
		}
	case []any:
		if !inside(v, &left) {
			return fmt.Sprintf("an array of %d items", len(v))
		}
	case map[string]any:
		if !inside(v, &left) {
			return fmt.Sprintf("an object of %d properties", len(v))
		}
	}
	s := []rune(jsonvalue.Canonical(v))
	if len(s) <= maxShort {
		return string(s)
	}
	return fmt.Sprintf("%s… (%d more characters)", string(s[:maxShort]), len(s)-maxShort)
}

// beginning returns the first characters of a text.
func beginning(text string) string {
	n := 0
	for at := range text {
		if n == maxShort {
			return text[:at]
		}
		n++
	}
	return text
}

// inside reports whether a value has at most about left bytes.
func inside(v any, left *int) bool {
	*left--
	switch v := v.(type) {
	case string:
		*left -= len(v)
	case jsonvalue.Number:
		*left -= len(v)
	case []any:
		for i := range v {
			if *left < 0 || !inside(v[i], left) {
				return false
			}
		}
	case map[string]any:
		for name := range v {
			if *left -= len(name); *left < 0 || !inside(v[name], left) {
				return false
			}
		}
	}
	return *left >= 0
}
