package clock_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"theoneagents.app/agents/shared/clock"
)

func TestSleepEndsWithItsTimeOrItsContext(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if err := clock.Sleep(t.Context(), time.Hour); err != nil || time.Since(began) != time.Hour {
			t.Errorf("%v after %v, want nothing after an hour", err, time.Since(began))
		}
		began = time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := clock.Sleep(ctx, time.Hour); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Minute {
			t.Errorf("%v after %v, want the end of the context after a minute", err, time.Since(began))
		}
	})
}
