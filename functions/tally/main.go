// Command tally adds what runs contribute to the statistics of their agents.
package main

import (
	"log/slog"

	"github.com/aws/aws-lambda-go/events"

	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/stream"
	"theoneagents.app/agents/shared/tally"
	"theoneagents.app/agents/shared/wire"
)

func main() { boot.Main(wire.Start("tally", handler, about)) }

func handler(w *wire.Wire) wire.Handler[events.DynamoDBEvent, events.DynamoDBEventResponse] {
	h := stream.Contributions{Tally: &tally.Service{Store: w.Store()}, Report: w.Report}
	return h.Handle
}

func about(batch events.DynamoDBEvent) slog.Attr { return slog.Int("records", len(batch.Records)) }
