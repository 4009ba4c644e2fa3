package render_test

import (
	"fmt"
	"math/big"
	"strings"
	"testing"

	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/render"
)

// FuzzArithmetic compares the calculations with rational arithmetic.
func FuzzArithmetic(f *testing.F) {
	f.Add("7.5", "2", int16(1))
	f.Add("-12345678901234567890.0001", "0.0003", int16(-2))
	f.Add("1", "3.0", int16(34))
	f.Add("-7", "3", int16(0))
	f.Fuzz(func(t *testing.T, a, b string, digits int16) {
		x, y := rational(t, a), rational(t, b)
		s := render.Scope{"a": a, "b": b, "n": int64(digits)}
		equal := func(in string, want *big.Rat) {
			t.Helper()
			if got := reckoned(t, in, s); got.Cmp(want) != 0 {
				t.Errorf("%s of %s and %s is %s, not %s", in, a, b, got.FloatString(50), want.FloatString(50))
			}
		}
		equal("a | plus: b", new(big.Rat).Add(x, y))
		equal("a | minus: b", new(big.Rat).Sub(x, y))
		equal("a | times: b", new(big.Rat).Mul(x, y))
		equal("a | abs", new(big.Rat).Abs(x))
		equal("a | floor", floor(x))
		equal("a | ceil", new(big.Rat).Neg(floor(new(big.Rat).Neg(x))))
		equal("a | round: n", round(x, int(digits)))
		if x.Cmp(y) < 0 {
			x, y, s = y, x, render.Scope{"a": b, "b": a}
			a, b = b, a
		}
		equal("a | at_least: b", x)
		equal("a | at_most: b", y)
		if y.Sign() == 0 {
			return
		}
		quotient := new(big.Rat).Quo(x, y)
		equal("a | modulo: b", new(big.Rat).Sub(x, new(big.Rat).Mul(y, floor(quotient))))
		if !strings.ContainsAny(a+b, ".eE") {
			equal("a | divided_by: b", floor(quotient))
			return
		}
		// The quotient is right to half of its 34th digit.
		apart := new(big.Rat).Sub(reckoned(t, "a | divided_by: b", s), quotient)
		most := new(big.Rat).Mul(new(big.Rat).Abs(quotient), big.NewRat(1, 1))
		if apart.Abs(apart).Mul(apart, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(33), nil))).Cmp(most) > 0 {
			t.Errorf("%s / %s is wrong by %s", a, b, apart.FloatString(40))
		}
	})
}

// rational returns a number that is short enough for a fuzz test.
func rational(t *testing.T, text string) *big.Rat {
	t.Helper()
	if _, err := jsonvalue.NumberOf(text); err != nil || len(text) > 60 {
		t.Skip()
	}
	n, ok := new(big.Rat).SetString(text)
	if !ok {
		t.Skip()
	}
	return n
}

func reckoned(t *testing.T, in string, s render.Scope) *big.Rat {
	t.Helper()
	v, err := render.Unguarded("{{ "+in+" }}", s)
	text, isNumber := jsonvalue.NumberText(v)
	if canonical, cerr := jsonvalue.NumberOf(text); err != nil || !isNumber || cerr != nil || canonical != v {
		t.Fatalf("%s of %v is %v, %v: no number with its one text", in, s, v, err)
	}
	n, _ := new(big.Rat).SetString(text)
	return n
}

func floor(x *big.Rat) *big.Rat {
	return new(big.Rat).SetInt(new(big.Int).Div(x.Num(), x.Denom())) // Euclid's is the floor, as denominators are positive
}

// round rounds a half away from zero.
func round(x *big.Rat, digits int) *big.Rat {
	scale := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(digits, -digits))), nil))
	if digits < 0 {
		scale.Inv(scale)
	}
	scaled := new(big.Rat).Mul(new(big.Rat).Abs(x), scale)
	rounded := floor(scaled.Add(scaled, big.NewRat(1, 2)))
	rounded.Quo(rounded, scale)
	if x.Sign() < 0 {
		rounded.Neg(rounded)
	}
	return rounded
}

func TestAValueIsANumberWhereItDenotesOne(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]string{
		"3.5": "4.5", " 3 ": "4", "-0": "1", "007": "8", "1e3": "1001", "1E-2": "1.01", "99999999999999999999": "100000000000000000000",
		"": "", "abc": "", "12abc": "", "1,5": "", "1_000": "", "0x10": "", "+": "", ".5": "", "5.": "", "٣": "", "Infinity": "", "NaN": "", "--1": "", "1 2": "", "1e9999": "",
	} {
		got, err := render.Text("{{ v | plus: 1 }}", render.Scope{"v": text})
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q | plus: 1 is %q, %v; want %q", text, got, err, want)
		}
		if want == "" && !strings.Contains(fmt.Sprint(err), " is not a number.") {
			t.Error(err)
		}
	}
}
