package main

import (
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
	table  awsdynamodb.Table
	values map[string]*string                       // of the environment variables, by name
	allow  map[permission]*[]awsiam.PolicyStatement // the IAM statements of a permission
}

func newFactory(stack awscdk.Stack, s settings, table awsdynamodb.Table, b buses, q queues) (*factory, error) {
	models, err := parseModels(s.Models)
	if err != nil {
		return nil, err
	}
	return &factory{
		stack: stack, s: s, table: table,
		values: environment(s, table, b, q),
		allow: map[permission]*[]awsiam.PolicyStatement{
			sendLetters:   statements("sqs:SendMessage", q.DeadLetters.QueueArn()),
			invokeModels:  modelStatements(stack, s.Provider, models),
			ringDoorbell:  doorbellStatements(stack),
			countRequests: countStatements(table.TableArn()),
			sendSMS:       smsStatements(),
			sendEmail:     emailStatements(stack, s.Sender),
			publishEvents: {putStatement(b.Products, own)},
		},
	}, nil
}

// environment returns the values of the environment variables, except those
// that depend on the machines.
func environment(s settings, table awsdynamodb.Table, b buses, q queues) map[string]*string {
	return map[string]*string{
		boot.EnvTable:          table.TableName(),
		boot.EnvBus:            b.Products.EventBusName(),
		boot.EnvDeadLetters:    q.DeadLetters.QueueUrl(),
		boot.EnvUndelivered:    q.Undelivered.QueueArn(),
		boot.EnvJWKS:           jsii.String(s.JWKS),
		boot.EnvIssuer:         jsii.String(s.Issuer),
		boot.EnvAudience:       jsii.String(s.Audience),
		boot.EnvOrigins:        jsii.String(strings.Join(s.Origins, ",")),
		boot.EnvProducts:       jsii.String(s.ProductsURL),
		boot.EnvAllowedHosts:   jsii.String(s.AllowedHosts),
		boot.EnvProvider:       jsii.String(s.Provider),
		boot.EnvModelURL:       jsii.String(s.ModelURL),
		boot.EnvModelKey:       s.ModelKey.resolve(),
		boot.EnvModels:         jsii.String(s.Models),
		boot.EnvConsole:        jsii.String(s.Console),
		boot.EnvSender:         jsii.String(s.Sender),
		boot.EnvHookSecret:     s.HookSecret.resolve(),
		boot.EnvCursorSecret:   s.CursorSecret.resolve(),
		boot.EnvCallKey:        s.CallKeys.resolve(s.CallKeys.Private, "private"),
		boot.EnvCallPublicKeys: s.CallKeys.resolve(s.CallKeys.Public, "public"),
		boot.EnvCallIssuer:     jsii.String(s.CallIssuer),
		boot.EnvRateLimit:      jsii.String(strconv.Itoa(s.RateLimit)),

		boot.EnvUserRateLimit:    jsii.String(strconv.Itoa(s.UserRate)),
		boot.EnvAddressRateLimit: jsii.String(strconv.Itoa(s.AddressRate)),
	}
}

// resolve returns the value, or a reference that CloudFormation resolves during
// deployment, so that the template does not hold the value.
func (s secret) resolve() *string {
	if s.Value != "" || s.Name == "" {
		return jsii.String(s.Value)
	}
	return awscdk.SecretValue_SecretsManager(jsii.String(s.Name), nil).UnsafeUnwrap()
}

// resolve returns the value, or a reference to a field of the secret. A function
// that has only the public keys never gets the private one.
func (k callKeys) resolve(value, field string) *string {
	if value != "" {
		return jsii.String(value)
	}
	return awscdk.SecretValue_SecretsManager(jsii.String(k.Name), &awscdk.SecretsManagerSecretOptions{
		JsonField: jsii.String(field),
	}).UnsafeUnwrap()
}

// makeOthers makes every function but the runner, which the machines need
// first.
func (f *factory) makeOthers(m machines) (map[string]awslambda.Function, error) {
	f.values[boot.EnvRuns] = m.Runs.StateMachineArn()
	f.allow[startRuns] = statements("states:StartExecution", m.Runs.StateMachineArn())
	made := map[string]awslambda.Function{runner: m.Runner}
	for _, p := range plan() {
		if p.name == runner {
			continue
		}
		fn, err := f.make(p)
		if err != nil {
			return nil, err
		}
		made[p.name] = fn
	}
	return made, nil
}

// make makes one function. It fails when a value or a permission is not
// defined.
func (f *factory) make(p function) (awslambda.Function, error) {
	env := map[string]*string{}
	for _, name := range p.env {
		value, ok := f.values[name]
		if !ok {
			return nil, fmt.Errorf("function %s: no value for %s", p.name, name)
		}
		env[name] = value
	}
	fn := f.declare(p, env)
	if len(p.table) > 0 {
		f.table.Grant(fn, *jsii.Strings(p.table...)...)
	}
	for _, grant := range p.grants {
		granted, ok := f.allow[grant]
		if !ok {
			return nil, fmt.Errorf("function %s: no IAM statements for permission %q", p.name, grant)
		}
		for _, statement := range *granted {
			fn.AddToRolePolicy(statement)
		}
	}
	return fn, nil
}

func (f *factory) declare(p function, env map[string]*string) awslambda.Function {
	logs := awslogs.NewLogGroup(f.stack, jsii.String("Log-"+p.name), &awslogs.LogGroupProps{
		LogGroupName:  jsii.String("/aws/lambda/" + *named(p.name)),
		Retention:     awslogs.RetentionDays_ONE_MONTH,
		RemovalPolicy: awscdk.RemovalPolicy_DESTROY,
	})
	return awslambda.NewFunction(f.stack, jsii.String("Function-"+p.name), &awslambda.FunctionProps{
		FunctionName:          named(p.name),
		Runtime:               awslambda.Runtime_PROVIDED_AL2023(),
		Architecture:          architecture(f.s.Architecture),
		Handler:               jsii.String("bootstrap"),
		Code:                  awslambda.Code_FromAsset(jsii.String(filepath.Join(f.s.Dist, p.name)), nil),
		Timeout:               awscdk.Duration_Seconds(jsii.Number(p.timeout)),
		MemorySize:            jsii.Number(memory),
		Environment:           &env,
		Tracing:               awslambda.Tracing_ACTIVE,
		LogGroup:              logs,
		LoggingFormat:         awslambda.LoggingFormat_JSON,
		ApplicationLogLevelV2: awslambda.ApplicationLogLevel(f.s.LogLevel),
	})
}

func architecture(name string) awslambda.Architecture {
	if name == x8664 {
		return awslambda.Architecture_X86_64()
	}
	return awslambda.Architecture_ARM_64()
}
