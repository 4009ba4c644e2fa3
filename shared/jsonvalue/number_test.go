package jsonvalue_test

import (
	"math/big"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/jsonvalue"
)

var canonicalNumber = regexp.MustCompile(`^(0|-?[1-9][0-9]*|-?(0|[1-9][0-9]*)\.[0-9]*[1-9])$`)

// number returns a generator of JSON numbers.
func number() *rapid.Generator[string] {
	return rapid.StringMatching(`-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?`)
}

func TestNumberOfKeepsTheExactValueInCanonicalText(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		text := number().Draw(t, "number")
		v, err := jsonvalue.NumberOf(text)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := jsonvalue.NumberText(v)
		want, _ := new(big.Rat).SetString(text)
		if have, valid := new(big.Rat).SetString(got); !ok || !valid || have.Cmp(want) != 0 {
			t.Errorf("%s became %s", text, got)
		}
		if !canonicalNumber.MatchString(got) {
			t.Errorf("%s became %s, which is not canonical", text, got)
		}
		if _, whole := v.(int64); whole != (want.IsInt() && want.Num().IsInt64()) {
			t.Errorf("%s became a %T", text, v)
		}
	})
}

func TestCompareIsExact(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		a, b := number().Draw(t, "a"), number().Draw(t, "b")
		x, _ := jsonvalue.NumberOf(a)
		y, _ := jsonvalue.NumberOf(b)
		p, _ := new(big.Rat).SetString(a)
		q, _ := new(big.Rat).SetString(b)
		if got, ok := jsonvalue.Compare(x, y); !ok || got != p.Cmp(q) {
			t.Errorf("Compare(%s, %s) = %d, %t", a, b, got, ok)
		}
		if jsonvalue.Same(x, y) != (p.Cmp(q) == 0) {
			t.Errorf("Same(%s, %s) is wrong", a, b)
		}
	})
}

func TestATextThatIsNotAJSONNumberIsRefused(t *testing.T) {
	t.Parallel()

	for _, text := range []string{
		"", " ", "-", "+5", "1_000", "0x10", "1e", "1e+", "1e+-2", "1.", ".5", "1.2.3", "1e1.5", "NaN", "Infinity", "1,5", "12a", "e5", "1e401", "1e-401",
		"1e" + strings.Repeat("9", 30), "--1",
	} {
		if v, err := jsonvalue.NumberOf(text); err == nil {
			t.Errorf("NumberOf(%q) = %v", text, v)
		}
	}
}
