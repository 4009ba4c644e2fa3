package jsonvalue

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// A Number is a number that does not fit in an int64. Its text is canonical, without
// exponent, plus sign and needless zeros, so equal numbers have the same text.
type Number = json.Number

// maxPlaces is the maximum number of digits that an exponent may add to a number.
// Every 64-bit floating-point number is within it.
const maxPlaces = 400

// NumberOf parses a JSON number without rounding. It returns an int64, or a Number
// for a fraction or a number that does not fit. It refuses a text that is not a JSON
// number, and an exponent that would add more than 400 digits.
func NumberOf(text string) (any, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && text[0] != '+' {
		return n, nil
	}
	mantissa, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	digits, negative := strings.CutPrefix(mantissa, "-")
	whole, fraction, dotted := strings.Cut(digits, ".")
	power, err := power(text, exponent)
	if !isDigits(whole) || dotted && !isDigits(fraction) || err != nil {
		return nil, fmt.Errorf("%.40q is not a number", text)
	}
	if strings.Trim(whole+fraction, "0") == "" {
		return int64(0), nil
	}
	if power < -maxPlaces || power > maxPlaces {
		return nil, fmt.Errorf("the number %.40s is too large or too small: its exponent may add at most %d digits", text, maxPlaces)
	}
	whole, fraction = shift(whole, fraction, power)
	plain := plainText(negative, whole, fraction)
	if n, err := strconv.ParseInt(plain, 10, 64); err == nil {
		return n, nil
	}
	return Number(plain), nil
}

// power returns the value of an exponent; "" is 0. For an exponent that does not
// fit in an int it returns maxPlaces+1, which is out of bounds too.
func power(text, exponent string) (int, error) {
	if !strings.ContainsAny(text, "eE") {
		return 0, nil
	}
	unsigned := strings.TrimPrefix(strings.TrimPrefix(exponent, "+"), "-")
	if !isDigits(unsigned) || len(exponent)-len(unsigned) > 1 {
		return 0, strconv.ErrSyntax
	}
	if n, err := strconv.Atoi(exponent); err == nil {
		return n, nil
	}
	return maxPlaces + 1, nil
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// shift moves the decimal point to the right, or to the left for a negative
// power.
func shift(whole, fraction string, power int) (string, string) {
	switch {
	case power > 0:
		fraction += strings.Repeat("0", max(power-len(fraction), 0))
		return whole + fraction[:power], fraction[power:]
	case power < 0:
		whole = strings.Repeat("0", max(-power-len(whole), 0)) + whole
		point := len(whole) + power
		return whole[:point], whole[point:] + fraction
	}
	return whole, fraction
}

func plainText(negative bool, whole, fraction string) string {
	var b strings.Builder
	if negative {
		b.WriteByte('-')
	}
	b.WriteString(cmp.Or(strings.TrimLeft(whole, "0"), "0"))
	if fraction = strings.TrimRight(fraction, "0"); fraction != "" {
		b.WriteByte('.')
		b.WriteString(fraction)
	}
	return b.String()
}

// NumberText returns the text of an int64 or a Number. It reports false for any
// other value.
func NumberText(v any) (string, bool) {
	switch v := v.(type) {
	case int64:
		return strconv.FormatInt(v, 10), true
	case Number:
		return string(v), true
	}
	return "", false
}

// Compare returns -1, 0 or 1 as number a is less than, equal to or greater than
// number b, and whether both are numbers. It compares digits and never rounds.
func Compare(a, b any) (int, bool) {
	x, xInt := a.(int64)
	y, yInt := b.(int64)
	if xInt && yInt {
		return cmp.Compare(x, y), true
	}
	s, sOK := NumberText(a)
	t, tOK := NumberText(b)
	if !sOK || !tOK {
		return 0, false
	}
	s, sNegative := strings.CutPrefix(s, "-")
	t, tNegative := strings.CutPrefix(t, "-")
	switch {
	case sNegative && tNegative:
		return compareDigits(t, s), true
	case sNegative:
		return -1, true
	case tNegative:
		return 1, true
	}
	return compareDigits(s, t), true
}

// compareDigits compares two canonical texts without signs.
func compareDigits(a, b string) int {
	x, xFraction, _ := strings.Cut(a, ".")
	y, yFraction, _ := strings.Cut(b, ".")
	return cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y), cmp.Compare(xFraction, yFraction))
}
