// Command runner moves runs on, one call of a state machine at a time.
package main

import (
	"context"
	"log/slog"

	"github.com/aws/aws-lambda-go/lambda"

	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/client"
	"theoneagents.app/agents/shared/flow"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/parts"
	"theoneagents.app/agents/shared/runner"
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

type handle = func(context.Context, flow.Call) (flow.Next, error)

func handler(ctx context.Context, getenv boot.Getenv) (handle, error) {
	env := boot.NewEnv(getenv)
	p, err := parts.Open(ctx, "runner", env)
	if err != nil {
		return nil, err
	}
	console := env.Need(boot.EnvConsole)
	s := &runner.Service{
		Store: p.Store, Definitions: p.Library, Profiles: &client.Service{Store: p.Store, Now: p.Now},
		Steps: p.Steps(env), Doorbell: p.Doorbell, Now: p.Now, Report: p.Report,
		Link: func(a id.Approval) string { return console + "/approvals/" + string(a) },
	}
	return parts.Metered(p, about, s.Handle), env.Err()
}

func about(call flow.Call) slog.Attr { return slog.String("execution", string(call.Cursor.Execution)) }
