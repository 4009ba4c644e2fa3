package dynamo

import (
	"testing"
	"time"
)

// Before late decisions were copied, a refusal was stored and listed only at
// the time of its event. Lists stay sorted with such items in them.
func TestARefusalWithoutACopyIsListedAtTheTimeOfItsEvent(t *testing.T) {
	t.Parallel()

	published := time.Date(2026, time.March, 9, 14, 23, 1, 0, time.UTC)
	for name, tc := range map[string]struct {
		decided, want time.Time
	}{
		"decided at once":       {published.Add(300 * time.Millisecond), published.Add(300 * time.Millisecond)},
		"decided within time":   {published.Add(prompt), published.Add(prompt)},
		"decided late":          {published.Add(time.Hour), published},
		"decided ahead of time": {published.Add(-time.Hour), published},
	} {
		i := refusalItem{primary: refusalKey("org_a", "agent_1", "act_1", published), At: nanos(tc.decided)}
		if got, err := i.listed("org_a", "agent_1"); err != nil || !got.At.Equal(tc.want) {
			t.Errorf("%s: listed at %v, %v; want %v", name, got.At, err, tc.want)
		}
	}
}
