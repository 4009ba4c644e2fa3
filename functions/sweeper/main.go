// Command sweeper repairs every minute what a crash left behind.
package main

import (
	"context"
	"encoding/json"
	"log/slog"

	"github.com/aws/aws-lambda-go/lambda"

	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/meter"
	"theoneagents.app/agents/shared/parts"
	"theoneagents.app/agents/shared/sweep"
)

func main() { boot.Main(run) }

func run(ctx context.Context, getenv boot.Getenv) error {
	handle, err := handler(ctx, getenv)
	if err != nil {
		return err
	}
	lambda.StartWithOptions(handle, lambda.WithContext(ctx))
	return nil
}

type handle = func(context.Context, json.RawMessage) (sweep.Report, error)

func handler(ctx context.Context, getenv boot.Getenv) (handle, error) {
	env := boot.NewEnv(getenv)
	p, err := parts.Open(ctx, "sweeper", env)
	if err != nil {
		return nil, err
	}
	p.Machine.ARN = env.Need(boot.EnvRuns)
	s := &sweep.Service{Store: p.Store, Machine: p.Machine, Now: p.Now, Sleep: parts.Sleep}
	watch := func(ctx context.Context, _ json.RawMessage) (sweep.Report, error) {
		r, err := s.Watch(ctx)
		p.Log.LogAttrs(ctx, slog.LevelInfo, "swept", meter.Embedded(p.Now(), map[string]int{
			"RunsOverdue": r.Looked, "RunsProlonged": r.Prolonged, "RunsRestarted": r.Started,
			"RunsSettled": r.Settled, "RepairsFailed": r.Failed,
		})...)
		return r, err
	}
	return parts.Metered(p, parts.Nothing, watch), env.Err()
}
