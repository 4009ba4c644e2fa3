// Package parts makes what functions are made of: clients, stores and services,
// plugged together by the settings in the environment. Each main chooses from
// them.
package parts

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"theoneagents.app/agents/events"
	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/dynamo"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/key"
	"theoneagents.app/agents/shared/model"
	"theoneagents.app/agents/shared/notice"
	"theoneagents.app/agents/shared/product"
	"theoneagents.app/agents/shared/step"
	"theoneagents.app/agents/shared/stepfn"
)

// Parts are what most functions are made of.
type Parts struct {
	Log      *slog.Logger
	Config   aws.Config
	Store    *dynamo.Store
	Catalog  catalog.Catalog
	Rules    agent.Rules
	System   []agent.Agent
	Library  agent.Library
	Machine  stepfn.Machine
	Doorbell stepfn.Doorbell
	Now      func() time.Time
	Report   func(context.Context, error)
}

// Open makes the parts of a function that is called name.
func Open(ctx context.Context, name string, env *boot.Env) (Parts, error) {
	p := Parts{Log: boot.Logger(name), Now: time.Now}
	p.Report = boot.Reporter(p.Log)
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return p, fmt.Errorf("aws: %w", err)
	}
	p.Config = metered(cfg)
	p.Store = dynamo.New(dynamodb.NewFromConfig(p.Config), env.Need(boot.EnvTable))
	if p.Catalog, err = catalog.Load(events.Files); err != nil {
		return p, fmt.Errorf("catalogue: %w", err)
	}
	p.Rules = agent.Rules{Catalog: p.Catalog, Hosts: env.List(boot.EnvAllowedHosts)}
	if p.System, err = agent.SystemAgents(p.Rules); err != nil {
		return p, fmt.Errorf("system agents: %w", err)
	}
	p.Library = agent.Library{System: p.System, Shelf: p.Store}
	machines := sfn.NewFromConfig(p.Config)
	p.Machine = stepfn.Machine{API: machines, ARN: env.May(boot.EnvRuns, "")}
	p.Doorbell = stepfn.Doorbell{API: machines}
	return p, nil
}

// Executions returns the service of runs.
func (p Parts) Executions() *execution.Service {
	return &execution.Service{
		Store: p.Store, Definitions: p.Library, Tenants: p.Store, Balances: p.Store, Gates: p.Store,
		Machine: p.Machine, Doorbell: p.Doorbell, Now: p.Now, Report: p.Report,
	}
}

// Steps returns what does steps.
func (p Parts) Steps(env *boot.Env) *step.Service {
	return &step.Service{
		Model:    p.model(env),
		Products: product.Client{Base: env.Need(boot.EnvProducts), HTTP: &http.Client{Timeout: callTimeout}},
		Senders:  p.senders(env), Rules: p.Rules, Now: p.Now, Sleep: Sleep,
	}
}

// callTimeout is how long one call of a product may take.
const callTimeout = 10 * time.Second

func (p Parts) model(env *boot.Env) step.Model {
	names, err := model.ParseNames(env.Need(boot.EnvModels))
	env.Fault(boot.EnvModels, err)
	endpoint := env.May(boot.EnvModelURL, "")
	if env.May(boot.EnvProvider, "bedrock") == "openai" {
		return model.NewOpenAI(endpoint, env.May(boot.EnvModelKey, ""), &http.Client{}, names)
	}
	return model.Bedrock{Names: names, API: bedrockruntime.NewFromConfig(p.Config, func(o *bedrockruntime.Options) {
		o.RetryMaxAttempts = 1 // each call is billed; the step decides
		if endpoint != "" {
			o.BaseEndpoint = &endpoint
		}
	})}
}

func (p Parts) senders(env *boot.Env) map[agent.Channel]step.Sender {
	hook := notice.Hook{
		HTTP: notice.Client(p.Rules.Hosts), Hosts: p.Rules.Hosts,
		Master: master(env), Now: p.Now,
	}
	once := 1 // SNS and SES would send twice
	return map[agent.Channel]step.Sender{
		agent.SMS: notice.SMS{API: sns.NewFromConfig(p.Config, func(o *sns.Options) { o.RetryMaxAttempts = once })},
		agent.Email: notice.Email{
			API: sesv2.NewFromConfig(p.Config, func(o *sesv2.Options) { o.RetryMaxAttempts = once }), From: env.Need(boot.EnvSender),
		},
		agent.Slack: hook, agent.Teams: hook, agent.Webhook: hook,
	}
}

// master returns the secret behind the signatures of webhooks.
func master(env *boot.Env) key.Master { return key.Master(env.Need(boot.EnvHookSecret)) }

// random returns 32 random bytes.
func random() [32]byte {
	var b [32]byte
	_, _ = rand.Read(b[:]) // it never fails
	return b
}

// Sleep waits, or returns early with the context's error.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
