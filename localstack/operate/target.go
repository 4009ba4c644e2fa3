package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"

	"theoneagents.app/agents/localstack/local/cloud"
)

// A target is a deployed system: its AWS configuration and the names of its parts.
type target struct {
	config      aws.Config
	buses       []channel // the Hub's first: its events say which organizations exist
	publisher   *cloud.Publisher
	table       string
	events      string        // URL of the queue of events
	undelivered string        // URL of the queue of undelivered events
	deadLetters string        // URL of the queue of dead letters
	runs        string        // ARN of the Express machine
	waits       string        // ARN of the Standard machine
	settle      time.Duration // wait after which a new rule is in force
}

// A channel is a bus and its archive. Names of replays are unique in an account,
// so each channel has a suffix for them.
type channel struct{ bus, archive, suffix string }

// channels returns the channels that have the events of a product; all for "".
func (p target) channels(product string) []channel {
	return slices.DeleteFunc(slices.Clone(p.buses), func(c channel) bool { return product != "" && c.bus != p.publisher.BusOf(product) })
}

// settle is the wait on AWS until a new rule is in force; AWS documents only "a
// short period of time". The emulator needs no wait.
const settle = 30 * time.Second

// target finds the system that the arguments name.
func (a *arguments) target(ctx context.Context) (target, error) {
	if *a.stack != "" {
		cfg, err := config.LoadDefaultConfig(ctx)
		if err != nil {
			return target{}, fmt.Errorf("read the AWS settings: %w", err)
		}
		outputs, err := outputsOf(ctx, cloudformation.NewFromConfig(cfg), *a.stack)
		if err != nil {
			return target{}, err
		}
		p, err := targetOf(cfg, "the stack "+*a.stack, outputs)
		p.settle = settle
		return p, err
	}
	file := filepath.Join(*a.state, "outputs.json")
	o, err := cloud.ReadOutputs(file)
	if errors.Is(err, fs.ErrNotExist) {
		return target{}, fmt.Errorf("no local cloud runs here, there is no %s: type make run first, or name a stack on AWS with -stack", file)
	}
	if err != nil {
		return target{}, err
	}
	if err := o.Present(ctx, &http.Client{Timeout: 5 * time.Second}); err != nil {
		return target{}, err
	}
	return targetOf(cloud.Config(o.Endpoint), file, o.Stack)
}

// stacks is the part of the CloudFormation client that is used.
type stacks interface {
	DescribeStacks(
		ctx context.Context, in *cloudformation.DescribeStacksInput, opts ...func(*cloudformation.Options),
	) (*cloudformation.DescribeStacksOutput, error)
}

// outputsOf returns the outputs of a stack.
func outputsOf(ctx context.Context, api stacks, name string) (map[string]string, error) {
	found, err := api.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &name})
	if err != nil {
		return nil, fmt.Errorf("look for the stack %s: %w", name, err)
	}
	outputs := map[string]string{}
	for _, s := range found.Stacks {
		for _, o := range s.Outputs {
			outputs[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
		}
	}
	return outputs, nil
}

// targetOf returns the system with these outputs; from names their source.
func targetOf(cfg aws.Config, from string, outputs map[string]string) (target, error) {
	p := target{config: cfg, buses: make([]channel, 2), publisher: cloud.NewPublisher(cfg, "operate", outputs)}
	hub, products := &p.buses[0], &p.buses[1]
	hub.suffix = "-hub"
	var missing []string
	for name, to := range map[string]*string{
		"BusName": &products.bus, "ArchiveName": &products.archive, "HubBusName": &hub.bus, "HubArchiveName": &hub.archive, "TableName": &p.table,
		"EventsQueueUrl": &p.events, "UndeliveredQueueUrl": &p.undelivered, "DeadLetterQueueUrl": &p.deadLetters,
		"RunsMachineArn": &p.runs, "WaitsMachineArn": &p.waits,
	} {
		if *to = outputs[name]; *to == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return p, fmt.Errorf("%s has no outputs %s: deploy the system again", from, strings.Join(missing, ", "))
	}
	return p, nil
}
