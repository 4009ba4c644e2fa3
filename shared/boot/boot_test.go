package boot_test

import (
	"strings"
	"testing"

	"theoneagents.app/agents/shared/boot"
)

func TestACountIsAWholeNumberFromOne(t *testing.T) {
	t.Parallel()

	for value, want := range map[string]int{"1": 1, "6000": 6000, "0": -1, "-5": -1, "1.5": -1, "many": -1, "": -1} {
		env := boot.NewEnv(func(string) string { return value })
		got, err := env.Count(boot.EnvRateLimit), env.Err()
		if want > 0 && (got != want || err != nil) || want < 0 && (err == nil || !strings.Contains(err.Error(), "RATE_LIMIT")) {
			t.Errorf("%q: %d, %v", value, got, err)
		}
	}
}
