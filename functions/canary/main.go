// Command canary follows a run of the platform's own every minute, from its event to its
// end.
package main

import (
	"context"
	"log/slog"
	"time"

	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/canary"
	"theoneagents.app/agents/shared/wire"
)

func main() { boot.Main(wire.Start("canary", handler, about)) }

// A tick is a call of the scheduler.
type tick struct {
	Minute time.Time `json:"minute"` // for which the scheduler calls; now without one
}

func handler(w *wire.Wire) wire.Handler[tick, canary.Report] {
	s := w.Canary()
	log := w.Counts("probed")
	return func(ctx context.Context, in tick) (canary.Report, error) {
		if in.Minute.IsZero() {
			in.Minute = w.Now()
		}
		r, err := s.Tick(ctx, in.Minute)
		counts := map[string]int{
			"CanaryPublished": count(r.Published), "CanaryEnded": count(r.Ended), "CanaryFailed": count(r.Failed),
			"CanaryLateSeconds": int(r.Late.Seconds()),
		}
		if r.Ended {
			counts["CanaryMilliseconds"] = int(r.Took.Milliseconds())
		}
		log(ctx, counts)
		return r, err
	}
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

func about(in tick) slog.Attr { return slog.Time("minute", in.Minute) }
