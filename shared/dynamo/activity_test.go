package dynamo

import (
	"testing"
	"time"
)

// Before a late decision was copied, its item stood at the time of its event
// alone, and lists showed that time. The list stays sorted among such items.
func TestARefusalOfEarlierDaysIsListedWhereItStands(t *testing.T) {
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
		if got := i.listed("org_a", "agent_1").At; !got.Equal(tc.want) {
			t.Errorf("%s: listed at %v, want %v", name, got, tc.want)
		}
	}
}
