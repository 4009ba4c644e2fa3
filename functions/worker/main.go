// Command worker works on jobs, one in each call. The sweeper starts it anew on a job
// that it left unfinished.
package main

import (
	"context"
	"log/slog"

	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/job"
	"theoneagents.app/agents/shared/wire"
)

func main() { boot.Main(wire.Start("worker", handler, about)) }

func handler(w *wire.Wire) wire.Handler[job.Call, struct{}] {
	worker := w.Worker()
	return func(ctx context.Context, c job.Call) (struct{}, error) { return struct{}{}, worker.Work(ctx, c) }
}

func about(c job.Call) slog.Attr { return slog.String("job", string(c.Job)) }
