package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/jsii-runtime-go"

	"theoneagents.app/agents/shared/boot"
)

// A factory makes functions from the plan.
type factory struct {
	stack  awscdk.Stack
	s      settings
	table  awsdynamodb.ITable
	values map[string]*string                       // of the environment variables, by name
	allow  map[permission]*[]awsiam.PolicyStatement // the IAM statements of a permission

	functions map[string]awslambda.Function
	aliases   map[string]awslambda.Alias // of functions with versions
}

func newFactory(stack awscdk.Stack, s settings, table awsdynamodb.ITable, b buses, q queues, publishers map[string]awsiam.Role) (*factory, error) {
	models, err := parseModels(s.Models)
	if err != nil {
		return nil, err
	}
	publisher, ok := publishers[canary]
	if !ok {
		return nil, errors.New("the catalogue has no event type of the product canary")
	}
	values := environment(s, table, b, q)
	values[boot.EnvCanaryOrg], values[boot.EnvCanaryRole] = jsii.String(canaryOrg), publisher.RoleArn()
	return &factory{
		stack: stack, s: s, table: table, values: values,
		functions: map[string]awslambda.Function{}, aliases: map[string]awslambda.Alias{},
		allow: map[permission]*[]awsiam.PolicyStatement{
			sendLetters:   statements("sqs:SendMessage", q.DeadLetters.QueueArn()),
			invokeModels:  modelStatements(stack, s.Provider, models),
			ringDoorbell:  doorbellStatements(stack),
			countRequests: countStatements(table.TableArn()),
			sendSMS:       smsStatements(),
			sendEmail:     emailStatements(stack, s.Sender),
			sumStatistics: statisticsStatements(table.TableArn()),
			publishEvents: {putStatement(b.Products, own)},
			workOnJobs:    jobStatements(table.TableArn()),
			probe:         canaryStatements(table.TableArn(), publisher.RoleArn()),
		},
	}, nil
}

// environment returns the values of the environment variables, except those
// that depend on the machines.
func environment(s settings, table awsdynamodb.ITable, b buses, q queues) map[string]*string {
	return map[string]*string{
		boot.EnvTable:        table.TableName(),
		boot.EnvBus:          b.Products.EventBusName(),
		boot.EnvDeadLetters:  q.DeadLetters.QueueUrl(),
		boot.EnvEventQueues:  awscdk.Fn_Join(jsii.String(","), &[]*string{q.Events.QueueUrl(), q.Undelivered.QueueUrl()}),
		boot.EnvJWKS:         jsii.String(s.JWKS),
		boot.EnvIssuer:       jsii.String(s.Issuer),
		boot.EnvAudience:     jsii.String(s.Audience),
		boot.EnvOrigins:      jsii.String(strings.Join(s.Origins, ",")),
		boot.EnvProducts:     jsii.String(s.ProductsURL),
		boot.EnvAllowedHosts: jsii.String(s.AllowedHosts),
		boot.EnvProvider:     jsii.String(s.Provider),
		boot.EnvModelURL:     jsii.String(s.ModelURL),
		boot.EnvModelKey:     jsii.String(s.ModelKey),
		boot.EnvModels:       jsii.String(s.Models),
		boot.EnvConsole:      jsii.String(s.Console),
		boot.EnvHub:          jsii.String(s.Hub),
		boot.EnvSender:       jsii.String(s.Sender),
		boot.EnvHookSecret:   jsii.String(s.HookSecret.name),
		boot.EnvCursorSecret: jsii.String(s.CursorSecret.name),
		boot.EnvCallKey:      jsii.String(s.CallKey.name),
		boot.EnvCallIssuer:   jsii.String(s.CallIssuer),
		boot.EnvRateLimit:    jsii.String(strconv.Itoa(s.RateLimit)),
		boot.EnvMetrics:      jsii.String(s.namespace()),

		boot.EnvRetention:        jsii.String(strconv.Itoa(s.Retention)),
		boot.EnvUserRateLimit:    jsii.String(strconv.Itoa(s.UserRate)),
		boot.EnvAddressRateLimit: jsii.String(strconv.Itoa(s.AddressRate)),
	}
}

// makeOthers makes every function but the runner, which the machines need
// first. The worker comes before the functions that start it.
func (f *factory) makeOthers(m machines) error {
	f.values[boot.EnvRuns] = m.Runs.StateMachineArn()
	f.allow[startRuns] = statements("states:StartExecution", m.Runs.StateMachineArn())
	if err := f.make(planned(worker)); err != nil {
		return err
	}
	f.values[boot.EnvWorker] = f.live(worker).FunctionArn()
	f.allow[startJobs] = statements("lambda:InvokeFunction", f.live(worker).FunctionArn())
	for _, p := range plan() {
		if p.name == runner || p.name == worker {
			continue
		}
		if err := f.make(p); err != nil {
			return err
		}
	}
	return nil
}

// make makes one function and its version. It fails when a value or a permission is
// not defined.
func (f *factory) make(p function) error {
	env := map[string]*string{
		boot.EnvLogLevel: jsii.String(f.s.LogLevel), boot.EnvNewRetries: jsii.String("true"),
		boot.EnvProcessors: jsii.String("1"), boot.EnvCollection: jsii.String("400"),
		boot.EnvMemoryLimit: jsii.String(strconv.Itoa(p.heap()) + "MiB"),
	}
	for _, name := range p.env {
		value, ok := f.values[name]
		if !ok {
			return fmt.Errorf("function %s: no value for %s", p.name, name)
		}
		env[name] = value
	}
	if p.traced && f.s.Collector != "" {
		env[boot.EnvTraces] = jsii.String(f.s.Collector)
		env[boot.EnvTracesRatio] = jsii.String(strconv.FormatFloat(f.s.TraceRatio, 'g', -1, 64))
		env[boot.EnvTracesHeaders] = jsii.String(f.s.TraceHeaders)
	}
	if secrets := f.secretsOf(env); len(secrets) > 0 && f.s.Generation != "" {
		env["SECRETS_GENERATION"] = jsii.String(f.s.Generation)
	}
	fn := f.declare(p, env)
	if len(p.table) > 0 {
		f.table.Grant(fn, *jsii.Strings(p.table...)...)
	}
	if secrets := f.secretsOf(env); len(secrets) > 0 {
		for _, statement := range *statements("secretsmanager:GetSecretValue", secrets...) {
			fn.AddToRolePolicy(statement)
		}
	}
	for _, grant := range p.grants {
		granted, ok := f.allow[grant]
		if !ok {
			return fmt.Errorf("function %s: no IAM statements for permission %q", p.name, grant)
		}
		for _, statement := range *granted {
			fn.AddToRolePolicy(statement)
		}
	}
	f.functions[p.name] = fn
	f.version(p, fn)
	return nil
}

// secretsOf returns the ARNs of the secrets that an environment names. Secrets
// Manager ends each ARN with six random characters.
func (f *factory) secretsOf(env map[string]*string) []*string {
	var arns []*string
	for _, variable := range boot.SecretNames() {
		name, ok := env[variable]
		if !ok || *name == "" {
			continue
		}
		arns = append(arns, f.stack.FormatArn(&awscdk.ArnComponents{
			Service: jsii.String("secretsmanager"), Resource: jsii.String("secret"), ResourceName: jsii.String(*name + "-??????"),
			ArnFormat: awscdk.ArnFormat_COLON_RESOURCE_NAME,
		}))
	}
	return arns
}

func (f *factory) declare(p function, env map[string]*string) awslambda.Function {
	logs := awslogs.NewLogGroup(f.stack, jsii.String("Log-"+p.name), &awslogs.LogGroupProps{
		LogGroupName:  jsii.String("/aws/lambda/" + *named(f.stack, p.name)),
		Retention:     awslogs.RetentionDays_ONE_MONTH,
		RemovalPolicy: awscdk.RemovalPolicy_DESTROY,
	})
	var reserved *float64
	if part := f.s.Concurrency.part(p.share); part > 0 {
		reserved = jsii.Number(part)
	}
	return awslambda.NewFunction(f.stack, jsii.String("Function-"+p.name), &awslambda.FunctionProps{
		FunctionName:          named(f.stack, p.name),
		Runtime:               awslambda.Runtime_PROVIDED_AL2023(),
		Architecture:          architecture(f.s.Architecture),
		Handler:               jsii.String("bootstrap"),
		Code:                  awslambda.Code_FromAsset(jsii.String(filepath.Join(f.s.Dist, p.name)), nil),
		Timeout:               awscdk.Duration_Seconds(jsii.Number(p.timeout)),
		MemorySize:            jsii.Number(p.megabytes()),
		Environment:           &env,
		Tracing:               f.tracing(),
		LogGroup:              logs,
		LoggingFormat:         awslambda.LoggingFormat_JSON,
		ApplicationLogLevelV2: awslambda.ApplicationLogLevel_TRACE, // the functions filter: Lambda would drop the metrics too
		CurrentVersionOptions: &awslambda.VersionOptions{RemovalPolicy: awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE},

		// A flood stops at its own function, and takes no part of another.
		ReservedConcurrentExecutions: reserved,
	})
}

// xray reports whether X-Ray traces functions and machines: only without a collector,
// whose traces tell more, so that a stage pays for one of them.
func (s settings) xray() bool { return s.Collector == "" }

func (f *factory) tracing() awslambda.Tracing {
	if f.s.xray() {
		return awslambda.Tracing_ACTIVE
	}
	return awslambda.Tracing_DISABLED
}

func architecture(name string) awslambda.Architecture {
	if name == x8664 {
		return awslambda.Architecture_X86_64()
	}
	return awslambda.Architecture_ARM_64()
}
