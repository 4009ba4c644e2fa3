// Package wire makes the dependencies of the functions from the settings in the
// environment: one constructor for each client, store and service. A
// constructor demands the settings that it uses, so a function either starts
// with all of them or names the missing ones before it handles an invocation.
package wire

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/oklog/ulid/v2"

	"theoneagents.app/agents/events"
	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/alert"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/backtest"
	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/bus"
	"theoneagents.app/agents/shared/callkey"
	"theoneagents.app/agents/shared/canary"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/client"
	"theoneagents.app/agents/shared/clock"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/dynamo"
	"theoneagents.app/agents/shared/erase"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/explain"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/hold"
	"theoneagents.app/agents/shared/httpapi"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/job"
	"theoneagents.app/agents/shared/key"
	"theoneagents.app/agents/shared/lambdafn"
	"theoneagents.app/agents/shared/meter"
	"theoneagents.app/agents/shared/model"
	"theoneagents.app/agents/shared/notify"
	"theoneagents.app/agents/shared/otlp"
	"theoneagents.app/agents/shared/outbox"
	"theoneagents.app/agents/shared/product"
	"theoneagents.app/agents/shared/queue"
	"theoneagents.app/agents/shared/quota"
	"theoneagents.app/agents/shared/rehearsal"
	"theoneagents.app/agents/shared/runner"
	"theoneagents.app/agents/shared/step"
	"theoneagents.app/agents/shared/stepfn"
	"theoneagents.app/agents/shared/template"
	"theoneagents.app/agents/shared/tenant"
)

// A Wire makes the dependencies of one function. It collects the settings that
// its constructors miss; Err returns all of them.
type Wire struct {
	Log    *slog.Logger
	Now    func() time.Time
	Report func(context.Context, error) // logs a failure that will be retried

	metrics *slog.Logger   // of lines with metrics, which no level hides
	traces  *otlp.Exporter // nil without a collector
	ratio   float64        // of the traces that are recorded

	env   *boot.Env
	aws   aws.Config
	vault vault

	// Each of these is made once.
	Store   func() *dynamo.Store
	Catalog func() catalog.Catalog
	System  func() []agent.Agent

	versions *agent.VersionCache // of all services of the function
}

// New returns the wire of the function with this name.
func New(ctx context.Context, name string, getenv boot.Getenv) (*Wire, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("aws: %w", err)
	}
	env := boot.NewEnv(getenv)
	log := boot.Logger(name, env.LogLevel())
	w := &Wire{
		Log: log, Now: time.Now, Report: boot.Reporter(log, "recoverable failure, will be retried"),
		metrics: boot.Logger(name, slog.LevelInfo), env: env, aws: metered(cfg), versions: agent.NewVersionCache(),
	}
	w.vault = openVault(ctx, w.aws, getenv)
	w.openTraces(name)
	w.Store = sync.OnceValue(func() *dynamo.Store {
		return dynamo.New(dynamodb.NewFromConfig(w.aws), w.env.Need(boot.EnvTable))
	})
	w.Catalog = sync.OnceValue(func() catalog.Catalog {
		c, err := catalog.Load(events.Files)
		w.env.Fault("catalogue", err)
		return c
	})
	w.System = sync.OnceValue(func() []agent.Agent {
		all, err := agent.SystemAgents(w.Rules())
		w.env.Fault("system agents", err)
		return all
	})
	return w, nil
}

// Err returns an error that names all missing settings, or nil.
func (w *Wire) Err() error { return w.env.Err() }

// Rules returns the rules for validating definitions.
func (w *Wire) Rules() definition.Rules {
	return definition.Rules{Catalog: w.Catalog(), Hosts: w.env.List(boot.EnvAllowedHosts), Now: w.Now}
}

// Definitions finds the definition of a run.
func (w *Wire) Definitions() agent.Definitions {
	return agent.Definitions{System: w.System(), Versions: w.Store(), Cache: w.versions}
}

// Machine starts runs.
func (w *Wire) Machine() stepfn.Machine {
	return stepfn.Machine{API: sfn.NewFromConfig(w.aws), ARN: w.env.Need(boot.EnvRuns)}
}

// Doorbell wakes runs that wait for approval.
func (w *Wire) Doorbell() stepfn.Doorbell { return stepfn.Doorbell{API: sfn.NewFromConfig(w.aws)} }

// Letters is the dead-letter queue.
func (w *Wire) Letters() queue.DeadLetters {
	return queue.DeadLetters{API: sqs.NewFromConfig(w.aws), URL: w.env.Need(boot.EnvDeadLetters)}
}

// Visibility hides failed messages in the queues of events.
func (w *Wire) Visibility() queue.Visibility {
	return queue.Visibility{API: sqs.NewFromConfig(w.aws), URLs: strings.Split(w.env.Need(boot.EnvEventQueues), ",")}
}

// Failed logs failures under a message.
func (w *Wire) Failed(message string) func(context.Context, error) {
	return boot.Reporter(w.Log, message)
}

// Counts returns a func that logs counts as metrics of the stage.
func (w *Wire) Counts(message string) func(ctx context.Context, counts map[string]int) {
	namespace := w.env.Need(boot.EnvMetrics)
	return func(ctx context.Context, counts map[string]int) {
		w.metrics.LogAttrs(ctx, slog.LevelInfo, message, meter.Embedded(namespace, w.Now(), counts)...) //nolint:sloglint // the messages of all callers are constants.
	}
}

// Observe returns a func that counts the results of the runner. A model that the
// setting does not name counts as "other".
func (w *Wire) Observe() func(context.Context, runner.Result) {
	w.env.Need(boot.EnvMetrics)
	var known []string
	names, err := model.ParseNames(w.env.Need(boot.EnvModels))
	w.env.Fault(boot.EnvModels, err)
	for _, choice := range names {
		known = append(known, choice...)
	}
	return func(ctx context.Context, r runner.Result) {
		meter.Observe(ctx, meter.Result{
			Kind: r.Kind, Outcome: r.Outcome, Model: meter.Bounded(r.Model, known), Took: r.Took,
			InputTokens: r.InputTokens, OutputTokens: r.OutputTokens, Credits: r.Credits,
		})
	}
}

// NewOwner returns 65 random bits as a name for the owner of a lease. The record of a run
// pays for its length.
func NewOwner() string { return rand.Text()[:13] }

// Executions returns the service of runs.
func (w *Wire) Executions() *execution.Service {
	s := w.canceller()
	s.Machine, s.Quotas, s.Retention = w.Machine(), w.Quotas(), w.Retention()
	return s
}

// Retention returns how long runs are kept after their end.
func (w *Wire) Retention() time.Duration {
	return time.Duration(w.env.Count(boot.EnvRetention)) * 24 * time.Hour
}

// canceller returns the service of runs for a function that only cancels runs, and
// may start no machine.
func (w *Wire) canceller() *execution.Service {
	return &execution.Service{
		Store: w.Store(), Definitions: w.Definitions(), Tenants: w.Store(), Balances: w.Store(), Gates: w.Store(),
		Doorbell: w.Doorbell(), Now: w.Now, Sleep: clock.Sleep, Report: w.Report,
	}
}

// Agents returns the service of agents.
func (w *Wire) Agents() *agent.Service {
	return &agent.Service{
		Store: w.Store(), Plans: w.Store(), Runs: w.canceller(), Rules: w.Rules(), Settings: w.Store(), System: w.System(), Now: w.Now,
		NewID: func() id.Agent { return id.Agent("agent_" + ulid.Make().String()) },
	}
}

// Pauses returns the service of pauses. A function that only holds and cancels runs
// needs no machine.
func (w *Wire) Pauses(m hold.Machine) *hold.Service {
	runs := w.canceller()
	if m != nil {
		runs.Machine = m
	}
	return &hold.Service{
		Store: w.Store(), Runs: runs, Machine: m, System: w.System(), Now: w.Now, Sleep: clock.Sleep, Report: w.Report,
	}
}

// Erasures returns the service that erases deleted organizations.
func (w *Wire) Erasures() *erase.Service {
	var system []id.Agent
	for _, a := range w.System() {
		system = append(system, a.ID)
	}
	return &erase.Service{Store: w.Store(), Runs: w.canceller(), System: system, Now: w.Now}
}

// workers starts workers on jobs.
func (w *Wire) workers() lambdafn.Workers {
	return lambdafn.Workers{API: lambda.NewFromConfig(w.aws), Name: w.env.Need(boot.EnvWorker)}
}

// Jobs returns the service of jobs.
func (w *Wire) Jobs() *job.Service {
	return &job.Service{
		Store: w.Store(), Workers: w.workers(), Now: w.Now, Report: w.Report,
		NewID: func() id.Job { return id.Job("job_" + ulid.Make().String()) },
	}
}

// JobSweeper returns the service that starts workers on jobs that have none.
func (w *Wire) JobSweeper() *job.Sweeper {
	return &job.Sweeper{Store: w.Store(), Workers: w.workers(), Now: w.Now}
}

// Worker returns the service that works on jobs.
func (w *Wire) Worker() *job.Worker {
	tasks := map[job.Kind]job.Task{
		job.Backtest: &backtest.Task{Journal: w.Store(), Past: w.Store(), Definitions: w.Definitions(), System: w.System(), Rules: w.Rules()},
		job.LiveTest: &rehearsal.Task{Service: &rehearsal.Service{Rules: w.Rules()}, Ledgers: w.ledgers()},
	}
	return &job.Worker{Store: w.Store(), Tasks: tasks, Now: w.Now, NewOwner: NewOwner}
}

// ledgers opens the ledgers of test runs. Its steps have a model, and no product, sender or
// quota: they execute AI steps alone. The sweeper publishes the events of a ledger.
func (w *Wire) ledgers() *rehearsal.Ledgers {
	return &rehearsal.Ledgers{
		Store: w.Store(), Now: w.Now, NewOwner: NewOwner,
		Steps: &step.Service{Model: w.model(), Rules: w.Rules(), Now: w.Now, Sleep: clock.Sleep, Failed: w.Failed("call failed")},
	}
}

// Drop logs why an event is dropped, without its content.
func (w *Wire) Drop(ctx context.Context, e event.Event, why error) {
	w.Log.InfoContext(ctx, "dropped an event", "org", e.Org, "event", e.ID, "type", e.Name(), "reason", fault.From(why).Code)
}

// Templates returns the service of templates, which reads them at first use.
func (w *Wire) Templates() *template.Service {
	return &template.Service{
		Agents: w.Agents(),
		All:    sync.OnceValues(func() ([]template.Template, error) { return template.Load(template.Files, w.Rules()) }),
	}
}

// Stage returns the parts of test runs. Its Rehearsal has no port to the outside.
func (w *Wire) Stage() httpapi.Stage {
	return httpapi.Stage{
		Rehearsal: &rehearsal.Service{Rules: w.Rules()},
		Tenants:   w.Store(), Runs: w.Store(), Profiles: w.Clients(),
		Live: &rehearsal.Starter{Rules: w.Rules(), Jobs: w.Jobs(), Balances: w.Store(), Quotas: w.Quotas(), Now: w.Now},
	}
}

// Names returns the finder of the names of agents.
func (w *Wire) Names() agent.Names {
	return agent.Names{Definitions: w.Definitions(), Store: w.Store()}
}

// Approvals returns the service of approvals.
func (w *Wire) Approvals() *approval.Service {
	return &approval.Service{Store: w.Store(), Tenants: w.Store(), Revocations: w.Store(), Doorbell: w.Doorbell(), Now: w.Now}
}

// Quotas returns the service that counts runs against the quotas of a plan.
func (w *Wire) Quotas() *quota.Service {
	return &quota.Service{Store: w.Store(), Limits: quota.Of, Now: w.Now}
}

// Clients returns the service of client profiles.
func (w *Wire) Clients() *client.Service { return &client.Service{Store: w.Store(), Now: w.Now} }

// Explanations returns the service that explains events.
func (w *Wire) Explanations() *explain.Service {
	return &explain.Service{
		Agents: w.Agents(), Definitions: w.Definitions(), Records: w.Store(), Journal: w.Store(), Tenants: w.Store(), Acts: w.Store(),
		Profiles: w.Clients(), Rules: w.Rules(), Now: w.Now,
	}
}

// Tenants returns the service of organizations.
func (w *Wire) Tenants() *tenant.Service { return &tenant.Service{Store: w.Store(), Now: w.Now} }

// Keys returns the service of keys.
func (w *Wire) Keys() *key.Service {
	return &key.Service{
		Store: w.Store(), Now: w.Now, Random: random, Masters: w.masters(),
		NewID: func() id.Key { return id.Key("key_" + ulid.Make().String()) },
	}
}

// Outbox returns the service that publishes platform events.
func (w *Wire) Outbox() *outbox.Service {
	return &outbox.Service{
		Store: w.Store(), Bus: bus.EventBridge{API: eventbridge.NewFromConfig(w.aws), Name: w.env.Need(boot.EnvBus)},
		Now: w.Now, Report: w.Report,
	}
}

// Canary returns the service that follows runs of the platform's own. Its events enter
// the bus as those of a product do, in the role of their publisher.
func (w *Wire) Canary() *canary.Service {
	org, ok := id.ParseOrg(w.env.Need(boot.EnvCanaryOrg))
	if !ok {
		w.env.Fault(boot.EnvCanaryOrg, fmt.Errorf("want an organization like org_canary, got %q", org))
	}
	publisher := w.aws.Copy()
	publisher.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(
		sts.NewFromConfig(w.aws), w.env.Need(boot.EnvCanaryRole),
		func(o *stscreds.AssumeRoleOptions) { o.RoleSessionName = "canary" },
	))
	agents := w.Agents()
	agents.NewID = func() id.Agent { return canary.Agent }
	return &canary.Service{
		Org: org, Tenants: w.Tenants(), Agents: agents, Runs: w.Store(), Approvals: w.Approvals(), Now: w.Now,
		Bus: bus.EventBridge{API: eventbridge.NewFromConfig(publisher), Name: w.env.Need(boot.EnvBus)},
	}
}

// Alerts returns the service that e-mails owners about failures.
func (w *Wire) Alerts() *alert.Service {
	return &alert.Service{
		Store: w.Store(), Mail: w.email(), Console: w.env.Need(boot.EnvConsole), Now: w.Now, Report: w.Report,
	}
}

// Steps returns the service that executes steps.
func (w *Wire) Steps() *step.Service {
	return &step.Service{
		Model:    w.model(),
		Products: w.products(),
		Senders:  w.senders(), Quotas: w.Quotas(), Rules: w.Rules(), Now: w.Now, Sleep: clock.Sleep, Failed: w.Failed("call failed"),
	}
}

// products returns the client of the products.
func (w *Wire) products() product.Client {
	client := product.Client{
		Base: w.env.Need(boot.EnvProducts), HTTP: &http.Client{Timeout: callTimeout}, Now: w.Now,
		Issuer: w.env.Need(boot.EnvCallIssuer),
	}
	if keys := w.callKeys(); len(keys) > 0 {
		client.Key = keys[0]
	}
	return client
}

// callKeys returns the keys of calls of products: the current one, which signs, and
// the previous one.
func (w *Wire) callKeys() []callkey.Key {
	secret := w.needSecret(boot.EnvCallKey)
	var keys []callkey.Key
	for _, text := range []string{secret.Current, secret.Previous} {
		if text == "" {
			continue
		}
		key, err := callkey.Parse(text)
		w.env.Fault(boot.EnvCallKey, err)
		keys = append(keys, key)
	}
	return keys
}

// Link returns the address of the page that shows an approval.
func (w *Wire) Link() func(id.Approval) string {
	console := w.env.Need(boot.EnvConsole)
	return func(a id.Approval) string { return console + "/approvals/" + string(a) }
}

// callTimeout bounds one call of a product.
const callTimeout = 10 * time.Second

func (w *Wire) model() step.Model {
	names, err := model.ParseNames(w.env.Need(boot.EnvModels))
	w.env.Fault(boot.EnvModels, err)
	endpoint := w.env.May(boot.EnvModelURL, "")
	if w.env.May(boot.EnvProvider, "bedrock") == "openai" {
		return model.NewOpenAI(endpoint, w.secret(boot.EnvModelKey).Current, &http.Client{}, names)
	}
	return model.Bedrock{Names: names, API: bedrockruntime.NewFromConfig(w.aws, func(o *bedrockruntime.Options) {
		o.RetryMaxAttempts = 1 // each call is billed; the step decides about retries
		if endpoint != "" {
			o.BaseEndpoint = &endpoint
		}
	})}
}

func (w *Wire) senders() map[definition.Channel]step.Sender {
	hosts := w.Rules().Hosts
	hook := notify.Hook{HTTP: notify.Client(hosts), Hosts: hosts, Signer: &key.Signer{Store: w.Store(), Masters: w.masters(), Now: w.Now}, Now: w.Now}
	return map[definition.Channel]step.Sender{
		definition.SMS:   notify.SMS{API: sns.NewFromConfig(w.aws, func(o *sns.Options) { o.RetryMaxAttempts = once })},
		definition.Email: w.email(),
		definition.Slack: hook, definition.Teams: hook, definition.Webhook: hook,
	}
}

// once is the number of attempts to send a message: SNS and SES would deliver a
// second attempt again.
const once = 1

// email returns the sender of e-mail.
func (w *Wire) email() notify.Email {
	return notify.Email{
		API:  sesv2.NewFromConfig(w.aws, func(o *sesv2.Options) { o.RetryMaxAttempts = once }),
		From: w.env.Need(boot.EnvSender),
	}
}

// masters returns the secrets from which the signing secrets of webhooks are
// derived.
func (w *Wire) masters() key.Masters {
	s := w.needSecret(boot.EnvHookSecret)
	return key.Masters{Current: key.Master(s.Current), Previous: key.Master(s.Previous)}
}

// random returns 32 random bytes.
func random() [32]byte {
	var b [32]byte
	_, _ = rand.Read(b[:]) // it never fails
	return b
}
