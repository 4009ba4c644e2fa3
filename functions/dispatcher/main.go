// Command dispatcher takes events off the queue and starts the runs that they
// wake.
package main

import (
	"context"
	"log/slog"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/client"
	"theoneagents.app/agents/shared/dispatch"
	"theoneagents.app/agents/shared/parts"
	"theoneagents.app/agents/shared/queue"
	"theoneagents.app/agents/shared/tenant"
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

type handle = func(context.Context, events.SQSEvent) (events.SQSEventResponse, error)

func handler(ctx context.Context, getenv boot.Getenv) (handle, error) {
	env := boot.NewEnv(getenv)
	p, err := parts.Open(ctx, "dispatcher", env)
	if err != nil {
		return nil, err
	}
	p.Machine.ARN = env.Need(boot.EnvRuns)
	clients := &client.Service{Store: p.Store, Now: p.Now}
	h := queue.Handler{
		Dispatcher: &dispatch.Service{
			Tenants: p.Store, Agents: p.Store, System: p.System, Rules: p.Rules, Custodian: p.Agents(),
			Profiles: clients, Runs: p.Store, Machine: p.Machine,
			Orgs: &tenant.Service{Store: p.Store, Now: p.Now}, Clients: clients, Now: p.Now,
		},
		Letters:     queue.DeadLetters{API: sqs.NewFromConfig(p.Config), URL: env.Need(boot.EnvDeadLetters)},
		Undelivered: env.Need(boot.EnvUndelivered),
		Report:      p.Report,
	}
	return parts.Metered(p, about, h.Handle), env.Err()
}

func about(batch events.SQSEvent) slog.Attr { return slog.Int("messages", len(batch.Records)) }
