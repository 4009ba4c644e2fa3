package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"
)

// A suppression is a rule of cdk-nag that some constructs break for a reason.
type suppression struct {
	rule, where, why string
	used             bool
}

// suppressions returns them all. The paths are those of constructs, below the stack.
func suppressions() []*suppression {
	return []*suppression{
		{rule: "AwsSolutions-APIG4", where: `^Api/`, why: "The functions authenticate: an authorizer of API Gateway reads no cookie and costs a second invocation."},
		{rule: "AwsSolutions-IAM4", where: `^Function-[a-z]+/ServiceRole/`, why: "The policy allows the writing of logs alone."},
		{rule: "AwsSolutions-IAM5", where: `^(Function-[a-z]+/ServiceRole|Runs/Role|Waits/Role|SchedulerRoleForTarget-\w+)/`, why: "TestEachActionReachesOnlyItsResources and TestPermissionsNameTheirActionsAndResources list every resource: " +
			"indexes of the table, versions of a function, regions of a model, and services that know no resources."},
		{rule: "AwsSolutions-IAM5", where: `^RolloutRole/`, why: "CodeDeploy moves the aliases and reads the alarms of the stage, whose names have its prefix."},
		{rule: "AwsSolutions-IAM4", where: `^BackupPlan/Table/Role/`, why: "AWS Backup's own policy, which follows the actions that it needs."},
		{rule: "AwsSolutions-SF1", where: `^(Runs|Waits)/`, why: "A log of every event would cost more than the run; the record has every step, and Waits keeps its history."},
		{rule: "AwsSolutions-SMG4", where: `^\w+Secret/`, why: "Organizations know what is derived from them: a rotation needs the time of people, with two generations."},
		{rule: "AwsSolutions-SQS3", where: `^(DeadLetters|Unswept)Queue/`, why: "These are the last queues, for operators, with an alarm each."},
		{rule: "Serverless-SQSRedrivePolicy", where: `^(DeadLetters|Unswept|Undelivered)Queue/`, why: "A message that cannot be moved on stays, with an alarm."},
		{rule: "Serverless-LambdaAsyncFailureDestination", where: `^Function-(sweeper|canary)/`, why: "The next call, a minute later, covers the same runs."},
		{rule: "Serverless-LambdaDLQ", where: `^Function-[a-z]+/`, why: "No function but the sweeper and the canary is invoked asynchronously."},
		{rule: "Serverless-LambdaEventSourceMappingDestination", where: `^Function-dispatcher/Aliaslive/SqsEventSource:`, why: "A destination is for streams; a queue has a dead-letter queue."},
		{rule: "Serverless-LambdaEventSourceMappingDestination", where: `^Stream-(tally|watchdog)/`, why: "No record is given up: a batch is repeated until it succeeds, with the alarms late-statistics and late-watchdog."},
	}
}

// TestTheStackFollowsTheRulesOfCDKNag runs two packs of rules beside the stack, whose
// template stays the same.
func TestTheStackFollowsTheRulesOfCDKNag(t *testing.T) {
	app := awscdk.NewApp(nil)
	context := map[string]any{"stage": "dev", "canary": "true", "dist": dist[arm64]}
	s, err := readStage(func(key string) any { return context[key] }, defaultRegion)
	if err != nil {
		t.Fatal(err)
	}
	stack, err := newStack(app, s, catalogue())
	if err != nil {
		t.Fatal(err)
	}
	packs := &cdknag.NagPackProps{Reports: jsii.Bool(false)}
	awscdk.Aspects_Of(app).Add(cdknag.NewAwsSolutionsChecks(packs), nil)
	awscdk.Aspects_Of(app).Add(cdknag.NewServerlessChecks(packs), nil)
	annotations, anything := assertions.Annotations_FromStack(stack), assertions.Match_AnyValue()
	found := append(*annotations.FindError(jsii.String("*"), anything), *annotations.FindWarning(jsii.String("*"), anything)...)
	known := suppressions()
	for _, finding := range found {
		text := fmt.Sprint(finding.Entry.Data)                 //nolint:staticcheck // assertions has no other type.
		path := strings.TrimPrefix(*finding.Id, "/OneAgents/") //nolint:staticcheck // the same.
		if !suppressed(known, regexp.MustCompile(`^[A-Za-z0-9-]+`).FindString(text), path) {
			t.Errorf("%s: %s", path, text)
		}
	}
	for _, k := range known {
		if !k.used {
			t.Errorf("%s at %s is suppressed and does not occur", k.rule, k.where)
		}
	}
}

// suppressed reports whether a rule may be broken at a path.
func suppressed(known []*suppression, rule, path string) bool {
	for _, k := range known {
		if k.rule == rule && regexp.MustCompile(k.where).MatchString(path) {
			k.used = true
			return true
		}
	}
	return false
}
