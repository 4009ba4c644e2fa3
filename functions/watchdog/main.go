// Command watchdog looks at new runs, and marks those that are still open for the sweeper.
package main

import (
	"log/slog"

	"github.com/aws/aws-lambda-go/events"

	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/stream"
	"theoneagents.app/agents/shared/sweep"
	"theoneagents.app/agents/shared/wire"
)

func main() { boot.Main(wire.Start("watchdog", handler, about)) }

func handler(w *wire.Wire) wire.Handler[events.DynamoDBEvent, events.DynamoDBEventResponse] {
	h := stream.NewRuns{Watchdog: &sweep.Watchdog{Runs: w.Store()}, Report: w.Report}
	return h.Handle
}

func about(batch events.DynamoDBEvent) slog.Attr { return slog.Int("records", len(batch.Records)) }
