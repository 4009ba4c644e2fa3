// Command runner executes the steps of runs, one call of a state machine at a
// time.
package main

import (
	"log/slog"

	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/clock"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/runner"
	"theoneagents.app/agents/shared/wire"
)

func main() { boot.Main(wire.Start("runner", handler, about)) }

func handler(w *wire.Wire) wire.Handler[machine.Call, machine.Next] {
	s := &runner.Service{
		Store: w.Store(), Definitions: w.Definitions(), Actions: w.Catalog(), Profiles: w.Clients(), Steps: w.Steps(), Doorbell: w.Doorbell(),
		Outbox: w.Outbox(), Pauses: w.Pauses(nil), Now: w.Now, Sleep: clock.Sleep, Report: w.Report, Observe: w.Observe(), Link: w.Link(),
	}
	return s.Handle
}

func about(call machine.Call) slog.Attr { return slog.String("op", string(call.Op)) }
