package retry_test

import (
	"errors"
	"fmt"
	"testing"

	"theoneagents.app/agents/shared/retry"
)

var (
	errStale = errors.New("stale")
	errDown  = errors.New("down")
)

func TestOnlyALostRaceIsRetried(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		losses int
		then   error
		calls  int
		want   error
	}{
		"won at once":        {0, nil, 1, nil},
		"won in the end":     {retry.Tries - 1, nil, retry.Tries, nil},
		"lost all":           {retry.Tries, nil, retry.Tries, retry.ErrLost},
		"another error":      {0, errDown, 1, errDown},
		"another after some": {3, errDown, 4, errDown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			calls := 0
			err := retry.Races(errStale, func() error {
				if calls++; calls <= tc.losses {
					return fmt.Errorf("save: %w", errStale)
				}
				return tc.then
			})
			if !errors.Is(err, tc.want) || calls != tc.calls {
				t.Errorf("%v after %d calls, want %v after %d", err, calls, tc.want, tc.calls)
			}
		})
	}
}
