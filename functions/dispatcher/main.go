// Command dispatcher reads events from the queue and starts the runs of the
// matching agents.
package main

import (
	"context"
	"log/slog"

	"github.com/aws/aws-lambda-go/events"

	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/dispatch"
	"theoneagents.app/agents/shared/queue"
	"theoneagents.app/agents/shared/wire"
)

func main() { boot.Main(wire.Start("dispatcher", handler, about)) }

func handler(w *wire.Wire) wire.Handler[events.SQSEvent, events.SQSEventResponse] {
	h := queue.Handler{
		Dispatcher: &dispatch.Service{
			Tenants: w.Store(), Agents: w.Store(), System: w.System(), Cache: dispatch.NewListenerCache(), Recent: dispatch.NewRecentClaims(), Rules: w.Rules(), Deactivator: w.Agents(),
			Profiles: w.Clients(), Runs: w.Store(), Journal: w.Store(), Quotas: w.Quotas(), Machine: w.Machine(),
			Orgs: w.Tenants(), Clients: w.Clients(), Owners: w.Alerts(), NewOwner: wire.NewOwner, Now: w.Now, Retention: w.Retention(),
		},
		Letters: w.Letters(), Notes: dispatch.Letters{Tenants: w.Store(), Store: w.Store()}, Deliveries: w.Store(), Postponer: w.Visibility(), Now: w.Now, Report: w.Report,
		Refused: w.Failed("event refused, see the dead letters"), Drop: w.Drop,
	}
	return counting(h.Handle, w.Counts("postponed"))
}

// counting returns handle with a metric of the messages that it leaves in the queue. No
// other metric shows them: the invocation succeeds. Without one it logs nothing.
func counting(
	handle wire.Handler[events.SQSEvent, events.SQSEventResponse], count func(context.Context, map[string]int),
) wire.Handler[events.SQSEvent, events.SQSEventResponse] {
	return func(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
		out, err := handle(ctx, batch)
		if n := len(out.BatchItemFailures); n > 0 {
			count(ctx, map[string]int{"EventsPostponed": n})
		}
		return out, err
	}
}

func about(batch events.SQSEvent) slog.Attr { return slog.Int("messages", len(batch.Records)) }
