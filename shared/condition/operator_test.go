package condition

import (
	"reflect"
	"strings"
	"testing"
)

func TestTheRowOfEveryOperatorIsComplete(t *testing.T) {
	t.Parallel()

	seen := map[Operator]bool{}
	for _, r := range table() {
		if r.name == "" || seen[r.name] {
			t.Errorf("two rows of %q, or a row without a name", r.name)
		}
		seen[r.name] = true
		v := reflect.ValueOf(r)
		for i := range v.NumField() {
			if v.Field(i).IsZero() {
				t.Errorf("operator %s lacks %s", r.name, v.Type().Field(i).Name)
			}
		}
		if strings.Count(r.demand, "%") != strings.Count(r.demand, "%s") || strings.Count(r.demand, "%s") > 1 {
			t.Errorf("the demand of %s has more than one value: %s", r.name, r.demand)
		}
	}
}

func TestAComparisonAllocatesNothing(t *testing.T) { //nolint:paralleltest // allocations are counted.
	for _, o := range Operators() {
		if n := testing.AllocsPerRun(100, func() { o.row().holds("a", true, "a") }); n != 0 {
			t.Errorf("%s: %g allocations", o, n)
		}
	}
}
