package render

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"

	"theoneagents.app/agents/shared/jsonvalue"
)

// A number in a calculation is exactly coefficient × 10^-scale.
type number struct {
	coefficient *big.Int
	scale       int
	// fractional marks a number that was written or calculated as a fraction,
	// even if it is whole now: dividing it keeps the fraction, as Liquid does
	// for 20 divided by 7.0.
	fractional bool
}

// Limits of calculations.
const (
	maxDigits = 260 << 10 // of a number: the longest of an event and some more
	precision = 34        // significant digits of a non-terminating quotient
)

func numberFilters() []Filter {
	other := []Argument{needed("number", numberKind)}
	return []Filter{
		{
			Name: "plus", Arguments: other, acceptsNumber: true, apply: calculation(add),
			Does:    "Adds a number.",
			Example: `{{ 0.1 | plus: 0.2 }}`, Shows: "0.3",
		},
		{
			Name: "minus", Arguments: other, acceptsNumber: true, apply: calculation(subtract),
			Does:    "Subtracts a number.",
			Example: `{{ 16 | minus: 4 }}`, Shows: "12",
		},
		{
			Name: "times", Arguments: other, acceptsNumber: true, apply: calculation(multiply),
			Does:    "Multiplies by a number.",
			Example: `{{ 12345678901234567 | times: 1000 }}`, Shows: "12345678901234567000",
		},
		{
			Name: "divided_by", Arguments: []Argument{needed("number", divisorKind)}, acceptsNumber: true, apply: calculation(divide),
			Does: "Divides by a number. The quotient of two whole numbers is a whole number, rounded down; any other division keeps its fraction, " +
				"with 34 digits if it does not terminate. To keep the fraction of two whole numbers, use times: 1.0 first.",
			Example: `{{ 20 | divided_by: 7 }} {{ 7.5 | divided_by: 2 }} {{ 20 | times: 1.0 | divided_by: 8 }}`, Shows: "2 3.75 2.5",
		},
		{
			Name: "modulo", Arguments: []Argument{needed("number", divisorKind)}, acceptsNumber: true, apply: calculation(modulo),
			Does:    "Returns the remainder of a division; it has the sign of the divisor.",
			Example: `{{ 183.357 | modulo: 12 }} {{ -7 | modulo: 3 }}`, Shows: "3.357 2",
		},
		{
			Name: "at_least", Arguments: other, acceptsNumber: true, apply: calculation(greater),
			Does:    "Returns the greater of two numbers.",
			Example: `{{ 4 | at_least: 5 }}`, Shows: "5",
		},
		{
			Name: "at_most", Arguments: other, acceptsNumber: true, apply: calculation(less),
			Does:    "Returns the lesser of two numbers.",
			Example: `{{ 4 | at_most: 5 }}`, Shows: "4",
		},
	}
}

func roundingFilters() []Filter {
	return []Filter{
		{
			Name: "abs", acceptsNumber: true, apply: onNumber(func(n number, _ []any) number { n.coefficient = new(big.Int).Abs(n.coefficient); return n }),
			Does:    "Returns the absolute value.",
			Example: `{{ "-19.86" | abs }}`, Shows: "19.86",
		},
		{
			Name: "round", Arguments: []Argument{optional("digits", wholeKind)}, acceptsNumber: true,
			apply:   onNumber(func(n number, args []any) number { return rounded(n, argument(args, 0, 0), away) }),
			Does:    "Rounds to a whole number, or to a number of digits after the decimal point. Halves are rounded away from zero.",
			Example: `{{ 2.5 | round }} {{ -2.5 | round }} {{ 183.357 | round: 2 }}`, Shows: "3 -3 183.36",
		},
		{
			Name: "floor", acceptsNumber: true, apply: onNumber(func(n number, _ []any) number { return rounded(n, 0, down) }),
			Does:    "Rounds down to a whole number.",
			Example: `{{ 1.8 | floor }}`, Shows: "1",
		},
		{
			Name: "ceil", acceptsNumber: true, apply: onNumber(func(n number, _ []any) number { return rounded(n, 0, up) }),
			Does:    "Rounds up to a whole number.",
			Example: `{{ "1.2" | ceil }}`, Shows: "2",
		},
	}
}

// calculation makes a filter of a calculation with two numbers.
func calculation(f func(a, b number) number) func(*work, any, []any) (any, error) {
	return func(w *work, v any, args []any) (any, error) {
		a, err := numberOf(v)
		if err != nil {
			return nil, err
		}
		b := argument(args, 0, whole(0))
		if err := w.spend(a.weight() + b.weight()); err != nil {
			return nil, err
		}
		return w.number(f(a, b))
	}
}

func onNumber(f func(n number, args []any) number) func(*work, any, []any) (any, error) {
	return func(w *work, v any, args []any) (any, error) {
		n, err := numberOf(v)
		if err == nil {
			err = w.spend(n.weight())
		}
		if err != nil {
			return nil, err
		}
		return w.number(f(n, args))
	}
}

func whole(n int64) number { return number{coefficient: big.NewInt(n)} }

// numberOf returns the number that a value is or that its text denotes.
func numberOf(v any) (number, error) {
	switch v := v.(type) {
	case number:
		return v, nil
	case int64:
		return whole(v), nil
	case jsonvalue.Number:
		return readNumber(string(v))
	case string:
		if n, err := readNumber(strings.TrimSpace(v)); err == nil {
			return n, nil
		}
	}
	return number{}, fmt.Errorf("%s is not a number", shown(v))
}

var errNumber = errors.New("the text is not a number")

// readNumber reads a number in JSON syntax.
func readNumber(text string) (number, error) {
	if len(text) > maxDigits {
		return number{}, errNumber
	}
	v, err := jsonvalue.NumberOf(text)
	if err != nil {
		return number{}, err
	}
	n := number{fractional: strings.ContainsAny(text, ".eE")}
	if v, ok := v.(int64); ok {
		n.coefficient = big.NewInt(v)
		return n, nil
	}
	plain, _ := jsonvalue.NumberText(v)
	digits, fraction, _ := strings.Cut(plain, ".")
	n.scale = len(fraction)
	var ok bool
	if n.coefficient, ok = new(big.Int).SetString(digits+fraction, 10); !ok {
		return n, errNumber
	}
	return n, nil
}

// plain returns the number as a JSON value.
func (n number) plain() any {
	if n.scale == 0 && n.coefficient.IsInt64() {
		return n.coefficient.Int64()
	}
	digits, negative := strings.CutPrefix(n.coefficient.String(), "-")
	if missing := n.scale + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	point := len(digits) - n.scale
	text := digits[:point]
	if n.scale > 0 {
		text += "." + digits[point:]
	}
	if negative {
		text = "-" + text
	}
	v, err := jsonvalue.NumberOf(text)
	if err != nil {
		return text // cannot happen: the text is a number
	}
	return v
}

// whole returns the number as an int, capped at the range of int, and whether
// it is whole.
func (n number) whole() (int, bool) {
	v := n.plain()
	switch v := v.(type) {
	case int64:
		return int(v), true
	case jsonvalue.Number:
		if strings.Contains(string(v), ".") {
			return 0, false
		}
	}
	if n.coefficient.Sign() < 0 {
		return math.MinInt, true
	}
	return math.MaxInt, true
}

// digits returns the approximate number of digits.
func (n number) digits() int {
	return max(int(float64(n.coefficient.BitLen())*math.Log10(2))+1, n.scale)
}

// weight returns the cost of a calculation with the number, in bytes. It grows
// faster than the length of the number.
func (n number) weight() int {
	digits := n.digits()
	return digits * (1 + digits/640)
}

func powerOf10(n int) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
}

// aligned returns the coefficients of two numbers at the same scale.
func aligned(a, b number) (x, y *big.Int, scale int) {
	x, y = a.coefficient, b.coefficient
	switch {
	case a.scale < b.scale:
		x = new(big.Int).Mul(x, powerOf10(b.scale-a.scale))
	case b.scale < a.scale:
		y = new(big.Int).Mul(y, powerOf10(a.scale-b.scale))
	}
	return x, y, max(a.scale, b.scale)
}

func add(a, b number) number {
	x, y, scale := aligned(a, b)
	return number{new(big.Int).Add(x, y), scale, a.fractional || b.fractional}
}

func subtract(a, b number) number {
	x, y, scale := aligned(a, b)
	return number{new(big.Int).Sub(x, y), scale, a.fractional || b.fractional}
}

func multiply(a, b number) number {
	return number{new(big.Int).Mul(a.coefficient, b.coefficient), a.scale + b.scale, a.fractional || b.fractional}
}

func greater(a, b number) number {
	if x, y, _ := aligned(a, b); x.Cmp(y) < 0 {
		return b
	}
	return a
}

func less(a, b number) number {
	if x, y, _ := aligned(a, b); x.Cmp(y) > 0 {
		return b
	}
	return a
}

// modulo returns a - b × floor(a / b).
func modulo(a, b number) number {
	x, y, scale := aligned(a, b)
	rest := new(big.Int).Rem(x, y)
	if rest.Sign() != 0 && rest.Sign() != y.Sign() {
		rest.Add(rest, y)
	}
	return number{rest, scale, a.fractional || b.fractional}
}

// divide returns a quotient exactly if it ends within 34 digits after those of
// the dividend. Any other quotient keeps 34 significant digits, but all before
// the decimal point.
func divide(a, b number) number {
	x, y, _ := aligned(a, b)
	if !a.fractional && !b.fractional {
		return number{coefficient: quotient(x, y, down)}
	}
	scale := max(0, precision-magnitude(x, y))
	for _, s := range []int{scale, a.scale + precision} {
		q, rest := new(big.Int).QuoRem(new(big.Int).Mul(x, powerOf10(s)), y, new(big.Int))
		if rest.Sign() == 0 {
			return number{q, s, true}
		}
	}
	return number{quotient(new(big.Int).Mul(x, powerOf10(scale)), y, away), scale, true}
}

// magnitude returns the number of digits of x / y before the decimal point;
// negative for zeros after it.
func magnitude(x, y *big.Int) int {
	p, q := new(big.Int).Abs(x), new(big.Int).Abs(y)
	m := len(p.String()) - len(q.String())
	if m >= 0 {
		q.Mul(q, powerOf10(m))
	} else {
		p.Mul(p, powerOf10(-m))
	}
	if p.Cmp(q) >= 0 {
		m++
	}
	return m
}

// A direction is a rounding mode.
type direction int

const (
	down direction = iota
	up
	away // to nearest, halves away from zero
)

func quotient(x, y *big.Int, to direction) *big.Int {
	q, rest := new(big.Int).QuoRem(x, y, new(big.Int))
	if rest.Sign() == 0 {
		return q
	}
	sign := int64(x.Sign() * y.Sign())
	half := new(big.Int).Abs(rest)
	half.Lsh(half, 1)
	if to == down && sign < 0 || to == up && sign > 0 || to == away && half.CmpAbs(y) >= 0 {
		q.Add(q, big.NewInt(sign))
	}
	return q
}

// rounded rounds to digits places after the decimal point, or before it if
// digits is negative.
func rounded(n number, digits int, to direction) number {
	n.fractional = n.fractional && digits > 0
	if digits >= n.scale {
		return n
	}
	if digits < -n.digits() {
		return whole(0)
	}
	n.coefficient = quotient(n.coefficient, powerOf10(n.scale-digits), to)
	if n.scale = max(digits, 0); digits < 0 {
		n.coefficient.Mul(n.coefficient, powerOf10(-digits))
	}
	return n
}
