package definition

import (
	"reflect"
	"testing"
	"time"
)

func TestTheRowOfEveryStepKindIsComplete(t *testing.T) {
	t.Parallel()

	fields := map[string]Kind{}
	for _, row := range stepKinds() {
		v := reflect.ValueOf(row)
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; v.Field(i).IsZero() && name != "waits" {
				t.Errorf("kind %s lacks %s", row.name, name)
			}
		}
		if row.low > row.high || row.unset > row.high && row.name != Waiting {
			t.Errorf("the time limits of %s are %d, %d and %d", row.name, row.low, row.high, row.unset)
		}
		if row.name.row().name != row.name {
			t.Errorf("%s has another's row", row.name)
		}
		for _, f := range row.fields {
			if other, twice := fields[f]; twice {
				t.Errorf("%s and %s both have a field %s", other, row.name, f)
			}
			fields[f] = row.name
		}
	}
	if got := (Step{Kind: "later"}).TimeLimit(); got != defaultTimeout*time.Second {
		t.Errorf("a step of an unknown kind may take %v", got)
	}
}
