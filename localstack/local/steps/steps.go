// Package steps shows the progress of a program's slow steps.
package steps

import (
	"context"
	"fmt"
	"io"
	"time"
)

// dotInterval is the interval between the dots of a running step.
const dotInterval = 2 * time.Second

// A Reporter prints a line for each step: its name at once, a dot for every two
// seconds, and its duration at the end.
type Reporter struct {
	Out io.Writer
	Now func() time.Time
}

// Do runs a step and prints its line.
func (r Reporter) Do(ctx context.Context, name string, step func(context.Context) error) error {
	began := r.Now()
	r.print("%s ", name)
	done := make(chan error, 1)
	go func() { done <- step(ctx) }()
	ticker := time.NewTicker(dotInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			r.print(".")
		case err := <-done:
			if err != nil {
				r.print(" failed\n")
				return err
			}
			r.print(" %.1f s\n", r.Now().Sub(began).Seconds())
			return nil
		}
	}
}

// Say prints a line.
func (r Reporter) Say(format string, args ...any) { r.print(format+"\n", args...) }

func (r Reporter) print(format string, args ...any) {
	_, _ = fmt.Fprintf(r.Out, format, args...) // the error of a closed terminal could not be shown
}
