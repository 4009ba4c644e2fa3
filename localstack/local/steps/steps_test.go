package steps_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"theoneagents.app/agents/localstack/local/steps"
)

func TestARunningStepPrintsDots(t *testing.T) {
	t.Parallel()

	broken := errors.New("broken")
	tests := map[string]struct {
		takes time.Duration
		err   error
		want  string
	}{
		"a quick step is a line":               {100 * time.Millisecond, nil, "Working  0.1 s\n"},
		"a dot for every two seconds":          {5 * time.Second, nil, "Working .. 5.0 s\n"},
		"a step that fails hands on its error": {3 * time.Second, broken, "Working . failed\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				r := steps.Reporter{Out: &out, Now: time.Now}
				err := r.Do(t.Context(), "Working", func(context.Context) error {
					time.Sleep(test.takes)
					return test.err
				})
				if !errors.Is(err, test.err) {
					t.Errorf("err = %v, want %v", err, test.err)
				}
				if got := out.String(); got != test.want {
					t.Errorf("got %q, want %q", got, test.want)
				}
			})
		})
	}
}
