// Package clock waits for a duration or the end of a context.
package clock

import (
	"context"
	"time"
)

// Sleep returns nil after d, or the error of ctx when ctx ends earlier.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
