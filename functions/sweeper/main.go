// Command sweeper restarts every minute the runs and the jobs that a crash left
// unfinished.
package main

import (
	"context"
	"encoding/json"
	"log/slog"

	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/clock"
	"theoneagents.app/agents/shared/sweep"
	"theoneagents.app/agents/shared/wire"
)

func main() { boot.Main(wire.Start("sweeper", handler, about)) }

func handler(w *wire.Wire) wire.Handler[json.RawMessage, sweep.Report] {
	s := &sweep.Service{Store: w.Store(), Machine: w.Machine(), Outbox: w.Outbox(), Pauses: w.Pauses(w.Machine()), Erasures: w.Erasures(), Jobs: w.JobSweeper(), Now: w.Now, Sleep: clock.Sleep}
	count := w.Counts("swept")
	return func(ctx context.Context, _ json.RawMessage) (sweep.Report, error) {
		r, err := s.Watch(ctx)
		count(ctx, map[string]int{
			"RunsOverdue": r.Looked, "RunsProlonged": r.Prolonged, "RunsRestarted": r.Started,
			"RunsSettled": r.Settled, "RepairsFailed": r.Failed, "EventsPublished": r.Published, "ItemsErased": r.Erased, "JobsRestarted": r.Jobs,
			"OldestDueSeconds": int(r.Late.Seconds()),
		})
		return r, err
	}
}

// about is empty: a sweep has no single subject.
func about(json.RawMessage) slog.Attr { return slog.Attr{} }
