package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/dynamo/schema"
)

// Each test here guards a decision: it fails on a change that must be
// deliberate.

func TestTheTableOutlivesTheStackAndCanBeRestored(t *testing.T) {
	_, table := inProduction(t).named(t, "AWS::DynamoDB::Table", "TableName", "one-agents")
	if table.DeletionPolicy != "RetainExceptOnCreate" || table.UpdateReplacePolicy != "Retain" {
		t.Errorf("deletion policy %q, on replacement %q; want RetainExceptOnCreate and Retain", table.DeletionPolicy, table.UpdateReplacePolicy)
	}
	for _, want := range []struct {
		path []string
		is   any
	}{
		{[]string{"BillingMode"}, "PAY_PER_REQUEST"},
		{[]string{"PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled"}, true},
		{[]string{"SSESpecification", "SSEEnabled"}, true},
		{[]string{"TimeToLiveSpecification", "AttributeName"}, schema.Expires},
		{[]string{"TimeToLiveSpecification", "Enabled"}, true},
		{[]string{"DeletionProtectionEnabled"}, true},
	} {
		if got := dig(table.Properties, want.path...); got != want.is {
			t.Errorf("%v = %v, want %v", want.path, got, want.is)
		}
	}
}

func TestIndexesMatchTheSchemaAndHoldKeysOnly(t *testing.T) {
	_, table := inProduction(t).named(t, "AWS::DynamoDB::Table", "TableName", "one-agents")
	var got []schema.Index
	for _, index := range each(table.Properties["GlobalSecondaryIndexes"]) {
		keys := each(dig(index, "KeySchema"))
		got = append(got, schema.Index{
			Name:         fmt.Sprint(dig(index, "IndexName")),
			PartitionKey: fmt.Sprint(dig(keys[0], "AttributeName")),
			SortKey:      fmt.Sprint(dig(keys[1], "AttributeName")),
		})
		if projection := dig(index, "Projection", "ProjectionType"); projection != "KEYS_ONLY" {
			t.Errorf("%v projects %v: each write would be charged once more for the whole item", dig(index, "IndexName"), projection)
		}
	}
	if diff := cmp.Diff(schema.Indexes(), got); diff != "" {
		t.Errorf("indexes (-want +got):\n%s", diff)
	}
}

func TestNoFunctionMayScanTheTable(t *testing.T) {
	allowed := []string{
		"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query",
		"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem",
	}
	stream := []string{"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"}
	for _, s := range inProduction(t).statements(t) {
		for _, action := range s.actions {
			follows := slices.Contains(stream, action) && (strings.Contains(s.roles, `"Functiontally`) || strings.Contains(s.roles, `"Functionwatchdog`))
			if strings.HasPrefix(action, "dynamodb:") && !slices.Contains(allowed, action) && !follows {
				t.Errorf("%s is granted to %s", action, s.roles)
			}
		}
	}
}

func TestPermissionsNameTheirActionsAndResources(t *testing.T) {
	// Tracing, log delivery and the list of streams cannot be limited to a resource.
	unlimited := regexp.MustCompile(`^(dynamodb:ListStreams$|xray:Put|xray:GetSampling|logs:(Create|Get|Update|Delete)LogDelivery|logs:ListLogDeliveries|logs:PutResourcePolicy|logs:DescribeResourcePolicies|logs:DescribeLogGroups)`)
	for _, s := range inProduction(t).statements(t) {
		for _, action := range s.actions {
			if strings.Contains(action, "*") {
				t.Errorf("%s is granted to %s", action, s.roles)
			}
			if strings.Contains(s.resources, `"*"`) && !unlimited.MatchString(action) {
				t.Errorf("%s on everything is granted to %s", action, s.roles)
			}
		}
	}
}

func TestEachFunctionHasOnlyItsPermissions(t *testing.T) {
	tmpl := inProduction(t)
	tracing := []string{"xray:PutTelemetryRecords", "xray:PutTraceSegments"}
	receive := []string{"sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ReceiveMessage"}
	secret := []string{"secretsmanager:GetSecretValue"}
	read := []string{"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"}
	counts := []string{"dynamodb:UpdateItem"} // of counts and last uses alone: see the test below
	write := []string{"dynamodb:PutItem", "dynamodb:UpdateItem"}
	remove, check := []string{"dynamodb:DeleteItem"}, []string{"dynamodb:ConditionCheckItem"}
	ring, start := []string{"states:SendTaskSuccess"}, []string{"states:StartExecution"}
	publish, mail := []string{"events:PutEvents"}, []string{"ses:SendEmail"}
	invoke := []string{"lambda:InvokeFunction"}
	follow := []string{"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"}
	want := map[string][]string{
		"agents":     slices.Concat(read, secret, write, remove, check, ring, invoke),
		"executions": slices.Concat(read, secret, write, check, ring, start),
		"approvals":  slices.Concat(read, secret, write, ring),
		"keys":       slices.Concat(read, secret, write, remove),
		"events":     slices.Concat(read, secret, counts),
		"credits":    slices.Concat(read, secret, counts),
		"audit":      slices.Concat(read, secret, counts),
		"pause":      slices.Concat(read, secret, write, check, ring, start),
		"settings":   slices.Concat(read, secret, write, check),
		"jobs":       slices.Concat(read, secret, write, invoke),
		"docs":       nil,
		"console":    nil,
		"jwks":       secret,
		"dispatcher": slices.Concat(read, write, remove, check, receive, mail, start, []string{"sqs:SendMessage"}),
		"runner":     slices.Concat(read, secret, write, check, ring, publish, mail, []string{"bedrock:InvokeModel", "sns:Publish"}),
		"sweeper":    slices.Concat(read, write, remove, check, ring, start, publish, invoke),
		"worker":     slices.Concat(read, write, check, []string{"bedrock:InvokeModel"}),                  // of jobs and credits: see TestTheWorkerWritesJobsAndCreditsOnly
		"tally":      slices.Concat([]string{"dynamodb:GetItem", "dynamodb:Query"}, write, check, follow), // of statistics: see TestTheTallyReachesStatisticsOnly
		"watchdog":   slices.Concat([]string{"dynamodb:GetItem", "dynamodb:UpdateItem"}, follow),
		"canary":     slices.Concat(read, write, remove, check, ring, []string{"sts:AssumeRole"}), // in its own organization: see TestTheCanaryReachesOnlyItsOwnOrganization
	}
	for _, f := range plan() {
		if _, ok := want[f.name]; !ok {
			t.Errorf("%s is not in this table of permissions", f.name)
		}
	}
	for function, want := range want {
		want = append(want, tracing...)
		slices.Sort(want)
		if diff := cmp.Diff(want, tmpl.actionsOf(t, function)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", function, diff)
		}
	}
}

func TestFunctionsThatOnlyReadMayWriteNothingButCountsAndLastUses(t *testing.T) {
	tmpl := inProduction(t)
	updates := func(attributes, partitions string) string {
		return `{"ForAllValues:StringEquals":{"dynamodb:Attributes":[` + attributes + `]},` +
			`"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["` + partitions + `"]},` +
			`"Null":{"dynamodb:Attributes":"false","dynamodb:LeadingKeys":"false"},` +
			`"StringEqualsIfExists":{"dynamodb:ReturnValues":["NONE","UPDATED_OLD","UPDATED_NEW"]}}`
	}
	want := []string{
		updates(`"pk","sk","expires","taken","w"`, "ORG#*#RATE"),
		updates(`"pk","sk","last_used","w"`, "KEY#*"),
	}
	single := regexp.MustCompile(`"ForAllValues:StringLike":\{"dynamodb:LeadingKeys":"([^"]*)"\}`)
	for _, f := range plan() {
		if !slices.Contains(f.grants, countRequests) {
			continue
		}
		function := f.name
		var got []string
		for _, s := range tmpl.statements(t) {
			if !strings.Contains(s.roles, `"Function`+function+`ServiceRole`) || !slices.Contains(s.actions, "dynamodb:UpdateItem") {
				continue
			}
			got = append(got, single.ReplaceAllString(dump(s.raw["Condition"]), `"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["$1"]}`))
			if len(s.actions) != 1 || strings.Contains(s.resources, "index") {
				t.Errorf("%s may %v on %s", function, s.actions, s.resources)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s may update (-want +got):\n%s", function, diff)
		}
	}
}

// TestEachActionReachesOnlyItsResources covers the roles of functions, machines,
// the scheduler and the publishers: an action on another resource, by whichever
// role, fails here.
func TestEachActionReachesOnlyItsResources(t *testing.T) {
	tmpl := inProduction(t)
	const states, ses, bedrockOf = "arn:<Partition>:states:<Region>:<AccountId>:stateMachine:", "arn:<Partition>:ses:<Region>:<AccountId>:identity/", "arn:<Partition>:bedrock:*:"
	const anyFunction = "arn:<Partition>:lambda:<Region>:<AccountId>:function:one-agents-*"
	want := map[string][]string{
		"events:PutEvents":      {"one-agents", "one-agents-hub"}, // each by its publishers: see TestEachPublisherMayPutEventsOfItsSourceOnItsBusOnly
		"lambda:InvokeFunction": {"one-agents-runner", "one-agents-runner:*", "one-agents-runner:live", "one-agents-sweeper:live", "one-agents-worker:live"},
		"lambda:GetAlias":       {anyFunction}, "lambda:UpdateAlias": {anyFunction}, "lambda:GetProvisionedConcurrencyConfig": {anyFunction}, // CodeDeploy
		"cloudwatch:DescribeAlarms": {"arn:<Partition>:cloudwatch:<Region>:<AccountId>:alarm:one-agents-*"},
		"secretsmanager:GetSecretValue": {
			"arn:<Partition>:secretsmanager:<Region>:<AccountId>:secret:one-agents/call-key-??????",
			"arn:<Partition>:secretsmanager:<Region>:<AccountId>:secret:one-agents/cursor-??????",
			"arn:<Partition>:secretsmanager:<Region>:<AccountId>:secret:one-agents/webhook-??????",
		},
		"ses:SendEmail":          {ses + "agents@theoneagents.app", ses + "theoneagents.app"},
		"sns:Publish":            {"<nil>"}, // no topic: see TestTextMessagesGoToTelephonesOnly
		"sqs:SendMessage":        {"one-agents-dead-letters", "one-agents-unswept"},
		"sts:AssumeRole":         {"one-agents-publish-canary"},
		"states:SendTaskSuccess": {states + "one-agents-waits"},
		"states:StartExecution":  {"one-agents-runs", "one-agents-waits"},
	}
	for _, action := range []string{"ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes", "GetQueueUrl", "ReceiveMessage"} {
		want["sqs:"+action] = []string{"one-agents-events", "one-agents-undelivered"}
	}
	for _, action := range all() {
		want[action] = []string{"one-agents", "one-agents/index/*"}
	}
	for _, action := range []string{"DescribeStream", "GetRecords", "GetShardIterator"} {
		want["dynamodb:"+action] = []string{"one-agents"} // its stream
	}
	want["dynamodb:ListStreams"] = []string{"*"} // it knows no resource
	got := map[string][]string{}
	for _, s := range tmpl.statements(t) {
		for _, action := range s.actions {
			for _, resource := range append([]any{}, each(tmpl.resolved(s.raw["Resource"]))...) {
				got[action] = append(got[action], fmt.Sprint(resource))
			}
			if s.raw["Resource"] == nil {
				got[action] = append(got[action], "<nil>")
			}
		}
	}
	models := got["bedrock:InvokeModel"]
	delete(got, "bedrock:InvokeModel")
	for _, model := range models {
		if !strings.HasPrefix(model, bedrockOf) || strings.HasSuffix(model, "*") {
			t.Errorf("a function may call the model %s", model)
		}
	}
	for action, resources := range got {
		if strings.HasPrefix(action, "xray:") || strings.HasPrefix(action, "logs:") {
			delete(got, action) // they have no resource: see TestPermissionsNameTheirActionsAndResources
			continue
		}
		slices.Sort(resources)
		got[action] = slices.Compact(resources)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("resources by action (-want +got):\n%s", diff)
	}
}

// TestEachMachineIsStartedByItsRolesOnly separates the two machines, which the test before
// takes together.
func TestEachMachineIsStartedByItsRolesOnly(t *testing.T) {
	tmpl := inProduction(t)
	got := map[string][]string{}
	for _, s := range tmpl.statements(t) {
		if slices.Contains(s.actions, "states:StartExecution") {
			for _, role := range each(tmpl.resolved(mustJSON(t, s.roles))) {
				for _, machine := range each(tmpl.resolved(s.raw["Resource"])) {
					got[fmt.Sprint(machine)] = append(got[fmt.Sprint(machine)], fmt.Sprint(role))
				}
			}
		}
	}
	for _, roles := range got {
		slices.Sort(roles)
	}
	want := map[string][]string{
		"one-agents-runs":  {"role of one-agents-dispatcher", "role of one-agents-executions", "role of one-agents-pause", "role of one-agents-sweeper"},
		"one-agents-waits": {"role of one-agents-runs"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("roles by machine (-want +got):\n%s", diff)
	}
}

// mustJSON reads a value of the template from its JSON.
func mustJSON(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestTheDoorbellReachesOurWaitsMachineOnly(t *testing.T) {
	found := 0
	for _, s := range inProduction(t).statements(t) {
		if slices.Contains(s.actions, "states:SendTaskSuccess") {
			if found++; !strings.HasSuffix(s.resources, `":stateMachine:one-agents-waits"]]}`) {
				t.Errorf("%s may ring %s", s.roles, s.resources)
			}
		}
	}
	if found == 0 {
		t.Error("no function may ring")
	}
}

func TestTextMessagesGoToTelephonesOnly(t *testing.T) {
	for _, s := range inProduction(t).statements(t) {
		if slices.Contains(s.actions, "sns:Publish") && dump(s.raw["NotResource"]) != `"arn:*:sns:*:*:*"` {
			t.Errorf("sns:Publish without the guard: %v", s.raw)
		}
	}
}

func TestMailComesFromTheSenderOnly(t *testing.T) {
	for _, s := range inProduction(t).statements(t) {
		if slices.Contains(s.actions, "ses:SendEmail") && strings.Count(s.resources, ":identity/") != 2 {
			t.Errorf("ses:SendEmail on %s, want two identities", s.resources)
		}
	}
}

// mapped calls f for each event source mapping of a queue, with its queue and function.
func mapped(t *testing.T, tmpl template, f func(name string, mapping, queue, function resource)) {
	t.Helper()
	for id, mapping := range tmpl.of("AWS::Lambda::EventSourceMapping") {
		source := dig(mapping.Properties, "EventSourceArn", "Fn::GetAtt")
		if from := tmpl.Resources[fmt.Sprint(each(source)[0])]; from.Type != "AWS::SQS::Queue" {
			continue
		}
		target := regexp.MustCompile(`\w+Aliaslive\w+`).FindString(dump(mapping.Properties["FunctionName"]))
		f(id, mapping, tmpl.Resources[fmt.Sprint(each(source)[0])], tmpl.behind(target))
	}
}

func TestMappingsReportFailedMessages(t *testing.T) {
	n := 0
	mapped(t, inProduction(t), func(name string, mapping, _, _ resource) {
		n++
		if got := dump(mapping.Properties["FunctionResponseTypes"]); got != `["ReportBatchItemFailures"]` {
			t.Errorf("%s answers with %s: Lambda would delete failed messages", name, got)
		}
		if mapping.Properties["BatchSize"] != 10.0 {
			t.Errorf("%s takes %v messages, want 10", name, mapping.Properties["BatchSize"])
		}
		if window := mapping.Properties["MaximumBatchingWindowInSeconds"]; window != nil {
			t.Errorf("%s waits %v s for more messages: every run would start later", name, window)
		}
	})
	if n != 2 {
		t.Errorf("%d mappings, want 2, for events and undelivered", n)
	}
}

func TestMessagesStayHiddenForSixTimeouts(t *testing.T) {
	mapped(t, inProduction(t), func(name string, _, queue, function resource) {
		hidden, timeout := number(t, queue.Properties["VisibilityTimeout"]), number(t, function.Properties["Timeout"])
		if hidden < 6*timeout {
			t.Errorf("%s: hidden for %v s, timeout %v s", name, hidden, timeout)
		}
	})
}

func TestAnEventIsDeliveredUntilTheDispatcherGivesItUp(t *testing.T) {
	tmpl := inProduction(t)
	undelivered, _ := tmpl.named(t, "AWS::SQS::Queue", "QueueName", "one-agents-undelivered")
	_, events := tmpl.named(t, "AWS::SQS::Queue", "QueueName", "one-agents-events")
	if tries := number(t, dig(events.Properties, "RedrivePolicy", "maxReceiveCount")); tries < 1000 {
		t.Errorf("%v tries; at five minutes between them they end before the dispatcher gives up", tries)
	}
	if to := dump(dig(events.Properties, "RedrivePolicy", "deadLetterTargetArn")); !strings.Contains(to, undelivered) {
		t.Errorf("failed events go to %s, want %s", to, undelivered)
	}
}

func TestDeadLettersWaitForTwoWeeks(t *testing.T) {
	for _, name := range []string{"one-agents-dead-letters", "one-agents-undelivered", "one-agents-events"} {
		_, queue := inProduction(t).named(t, "AWS::SQS::Queue", "QueueName", name)
		if kept := number(t, queue.Properties["MessageRetentionPeriod"]); kept != 14*24*3600 {
			t.Errorf("%s keeps for %v s, want 14 days", name, kept)
		}
	}
}

func TestEveryProductHasOneRuleAndTheHubsIsOnItsOwnBus(t *testing.T) {
	tmpl := inProduction(t)
	got := map[string]string{}
	for _, r := range tmpl.of("AWS::Events::Rule") {
		got[fmt.Sprint(r.Properties["Name"])] = fmt.Sprint(tmpl.resolved(r.Properties["EventBusName"])) + " " + dump(r.Properties["EventPattern"])
	}
	want := map[string]string{
		"one-agents-canary": `one-agents {"detail-type":["probe.sent"],"source":["canary"]}`,
		"one-agents-agents": `one-agents {"detail-type":["credits.low"],"source":["agents"]}`,
		"one-agents-psa":    `one-agents {"detail-type":["ticket.created","ticket.resolved"],"source":["psa"]}`,
		"one-agents-defend": `one-agents {"detail-type":["alert.fired"],"source":["defend"]}`,
		"one-agents-hub":    `one-agents-hub {"detail-type":["org.created","subscription.changed"],"source":["hub"]}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
}

func TestEveryTargetGetsTheWholeEventAndHasADeadLetterQueue(t *testing.T) {
	tmpl := inProduction(t)
	events, _ := tmpl.named(t, "AWS::SQS::Queue", "QueueName", "one-agents-events")
	undelivered, _ := tmpl.named(t, "AWS::SQS::Queue", "QueueName", "one-agents-undelivered")
	for id, r := range tmpl.of("AWS::Events::Rule") {
		targets := each(r.Properties["Targets"])
		if len(targets) != 1 {
			t.Errorf("%s has %d targets, want 1", id, len(targets))
		}
		for _, target := range targets {
			want := map[string]any{
				"Id":               "events",
				"Arn":              map[string]any{"Fn::GetAtt": []any{events, "Arn"}},
				"DeadLetterConfig": map[string]any{"Arn": map[string]any{"Fn::GetAtt": []any{undelivered, "Arn"}}},
				"SqsParameters":    map[string]any{"MessageGroupId": "$.detail.org_id"},
			}
			if diff := cmp.Diff(any(want), target); diff != "" {
				t.Errorf("%s (-want +got):\n%s", id, diff)
			}
		}
	}
}

func TestOnlyTheRulesOfOurBusesMaySendToAQueue(t *testing.T) {
	tmpl := inProduction(t)
	const rules = "arn:<Partition>:events:<Region>:<AccountId>:rule/"
	ours := []any{rules + "one-agents/*", rules + "one-agents-hub/*"}
	allow := func(queue string) any {
		return doc{
			"Effect": "Allow", "Principal": doc{"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": queue,
			"Condition": doc{"ArnLike": doc{"aws:SourceArn": ours}},
		}
	}
	plain := func(queue string) any { // of requests without TLS
		return doc{
			"Effect": "Deny", "Principal": doc{"AWS": "*"}, "Action": "sqs:*", "Resource": queue,
			"Condition": doc{"Bool": doc{"aws:SecureTransport": "false"}},
		}
	}
	deny := doc{ // of messages that did not pass a bus
		"Effect": "Deny", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "one-agents-events",
		"Condition": doc{"ArnNotLike": doc{"aws:SourceArn": ours}},
	}
	got := map[string]any{}
	for _, policy := range tmpl.of("AWS::SQS::QueuePolicy") {
		queues := fmt.Sprint(tmpl.resolved(policy.Properties["Queues"]))
		got[queues] = tmpl.resolved(dig(policy.Properties, "PolicyDocument", "Statement"))
	}
	want := map[string]any{
		"[one-agents-events]":       []any{plain("one-agents-events"), allow("one-agents-events"), deny},
		"[one-agents-undelivered]":  []any{plain("one-agents-undelivered"), allow("one-agents-undelivered")},
		"[one-agents-dead-letters]": []any{plain("one-agents-dead-letters")},
		"[one-agents-unswept]":      []any{plain("one-agents-unswept")},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("policies; SQS accepts 20 statements (-want +got):\n%s", diff)
	}
}

func TestTheArchivesKeepEveryEventForThirtyDays(t *testing.T) {
	tmpl := inProduction(t)
	got := map[string]any{}
	for _, a := range tmpl.of("AWS::Events::Archive") {
		got[fmt.Sprint(a.Properties["ArchiveName"])] = tmpl.resolved(a.Properties["SourceArn"])
		if a.Properties["RetentionDays"] != 30.0 || a.Properties["EventPattern"] != nil {
			t.Errorf("archive %v, want everything for 30 days", a.Properties)
		}
	}
	want := map[string]any{"one-agents": "one-agents", "one-agents-hub": "one-agents-hub"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("archives and their buses (-want +got):\n%s", diff)
	}
}

func TestContextChangesTheTemplate(t *testing.T) {
	tmpl, err := synthesize(map[string]any{
		"archive": "false", "architecture": "x86_64", "webhookSecretName": "dev/webhook",
		"callKeySecretName": "dev/call", "callIssuer": "https://dev.example",
		"modelProvider": "openai", "modelKeySecretName": "one-agents/model", "productsUrl": "http://127.0.0.1:4800",
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(tmpl.of("AWS::Events::Archive")); n != 0 {
		t.Errorf("%d archives, want none", n)
	}
	_, run := tmpl.named(t, "AWS::Lambda::Function", "FunctionName", "one-agents-runner")
	if got := dump(run.Properties["Architectures"]); got != `["x86_64"]` {
		t.Errorf("architectures %s", got)
	}
	env := dig(run.Properties, "Environment", "Variables")
	for name, want := range map[string]string{
		boot.EnvHookSecret: `"dev/webhook"`,
		boot.EnvModelKey:   `"one-agents/model"`,
		boot.EnvProducts:   `"http://127.0.0.1:4800"`,
		boot.EnvProvider:   `"openai"`,

		boot.EnvCallKey: `"dev/call"`, boot.EnvCallIssuer: `"https://dev.example"`,
	} {
		if got := dump(dig(env, name)); got != want {
			t.Errorf("%s = %s, want %s", name, got, want)
		}
	}
	if slices.Contains(tmpl.actionsOf(t, "runner"), "bedrock:InvokeModel") {
		t.Error("the runner may call Bedrock, which it does not use")
	}
}

// The test lists the secrets that each function uses.
func TestAFunctionReadsOnlyTheSecretsThatItUses(t *testing.T) {
	for name, tmpl := range map[string]template{"production": inProduction(t), "a key of a model": withModelKey(t)} {
		api := []string{"one-agents/cursor"}
		run := []string{"one-agents/call-key", "one-agents/webhook"}
		var work []string
		if name != "production" {
			run, work = append(run, "one-agents/model"), []string{"one-agents/model"}
		}
		want := map[string][]string{
			"keys": append(api, "one-agents/webhook"), "runner": run, "jwks": {"one-agents/call-key"}, "docs": nil, "console": nil, "dispatcher": nil, "sweeper": nil, "tally": nil, "watchdog": nil, "canary": nil, "worker": work,
		}
		for _, f := range plan() {
			secrets, special := want[f.name]
			if !special {
				secrets = api
			}
			var got []string
			for _, s := range tmpl.statements(t) {
				if !strings.Contains(s.roles, `"Function`+f.name+`ServiceRole`) || !strings.Contains(dump(s.raw), "secretsmanager") {
					continue
				}
				if !slices.Equal(s.actions, []string{"secretsmanager:GetSecretValue"}) {
					t.Errorf("%s may %v", f.name, s.actions)
				}
				for _, m := range regexp.MustCompile(`:secret:([^"]*)-\?{6}"`).FindAllStringSubmatch(s.resources, -1) {
					got = append(got, m[1])
				}
			}
			slices.Sort(got)
			slices.Sort(secrets)
			if !slices.Equal(got, secrets) {
				t.Errorf("%s: %s may read %v, want %v", name, f.name, got, secrets)
			}
		}
	}
}

// withModelKey returns the template with a model that needs a key.
func withModelKey(t *testing.T) template {
	t.Helper()
	tmpl, err := synthesize(map[string]any{"modelProvider": "openai", "modelKeySecretName": "one-agents/model"})
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

func TestAnotherGenerationStartsTheFunctionsWithSecretsAnew(t *testing.T) {
	tmpl, err := synthesize(map[string]any{"secretsGeneration": "2"})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range plan() {
		_, fn := tmpl.named(t, "AWS::Lambda::Function", "FunctionName", "one-agents-"+f.name)
		uses := slices.ContainsFunc(f.env, func(name string) bool {
			return name != boot.EnvModelKey && slices.Contains(boot.SecretNames(), name) // this model needs no key
		})
		if got := dig(fn.Properties, "Environment", "Variables", "SECRETS_GENERATION"); uses != (got == "2") {
			t.Errorf("%s has the generation %v", f.name, got)
		}
	}
}

func TestNoFunctionHasASecretInItsEnvironment(t *testing.T) {
	for _, tmpl := range []template{inProduction(t), withModelKey(t)} {
		for id, f := range tmpl.of("AWS::Lambda::Function") {
			env, _ := dig(f.Properties, "Environment", "Variables").(map[string]any)
			for name, value := range env {
				text := dump(value)
				named := slices.Contains(boot.SecretNames(), name)
				if strings.Contains(text, "resolve:secretsmanager") || strings.Contains(text, "resolve:ssm-secure") ||
					named && !regexp.MustCompile(`^"(one-agents/[a-z-]+)?"$`).MatchString(text) {
					t.Errorf("%s has %s = %s, want at most the name of a secret", id, name, text)
				}
				if secretive := regexp.MustCompile(`SECRET|_KEY$|PASSWORD|TOKEN`).MatchString(name); secretive && !named {
					t.Errorf("%s has the variable %s, which is not among the names of secrets", id, name)
				}
			}
		}
	}
}

func TestFunctionsHaveTheEnvironmentOfPackageBoot(t *testing.T) {
	known, used := bootNames(t), map[string]bool{}
	for _, tmpl := range []template{inProduction(t), exporting(t)} {
		for id, f := range tmpl.of("AWS::Lambda::Function") {
			variables, _ := dig(f.Properties, "Environment", "Variables").(map[string]any)
			for name := range variables {
				used[name] = true
				if !slices.Contains(known, name) {
					t.Errorf("%s has the variable %s, which package boot does not define", id, name)
				}
			}
		}
	}
	for _, name := range known {
		if !used[name] {
			t.Errorf("package boot defines %s, which no function has", name)
		}
	}
}

// bootNames reads the constants of package boot, so that the test covers a new
// one.
func bootNames(t *testing.T) []string {
	t.Helper()
	return constants(t, "../shared/boot/names.go", func(spec *ast.ValueSpec) bool {
		return strings.HasPrefix(spec.Names[0].Name, "Env")
	})
}

// constants returns the values of the string constants of a file.
func constants(t *testing.T, file string, which func(*ast.ValueSpec) bool) []string {
	t.Helper()
	src, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	ast.Inspect(src, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 || !which(spec) {
			return true
		}
		value, ok := spec.Values[0].(*ast.BasicLit)
		if !ok {
			return true
		}
		s, err := strconv.Unquote(value.Value)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
		return true
	})
	if len(out) == 0 {
		t.Fatalf("no constants in %s", file)
	}
	return out
}

func TestFunctionsAreBuiltProgramsWithALogOfTheirOwn(t *testing.T) {
	tmpl := inProduction(t)
	for _, p := range plan() {
		_, f := tmpl.named(t, "AWS::Lambda::Function", "FunctionName", "one-agents-"+p.name)
		for property, want := range map[string]any{
			"Runtime": "provided.al2023", "Handler": "bootstrap", "MemorySize": map[bool]float64{false: 256, true: 1769}[p.name == worker], "Timeout": float64(p.timeout),
		} {
			if got := f.Properties[property]; got != want {
				t.Errorf("%s: %s = %v, want %v", p.name, property, got, want)
			}
		}
		_, logs := tmpl.named(t, "AWS::Logs::LogGroup", "LogGroupName", "/aws/lambda/one-agents-"+p.name)
		if logs.Properties["RetentionInDays"] != 30.0 {
			t.Errorf("%s: logs are kept for %v days", p.name, logs.Properties["RetentionInDays"])
		}
	}
	if got, want := len(tmpl.of("AWS::Lambda::Function")), len(plan()); got != want {
		t.Errorf("%d functions, want %d", got, want)
	}
}

func TestRunsIsExpressAndWaitsIsStandard(t *testing.T) {
	tmpl := inProduction(t)
	for name, kind := range map[string]string{"one-agents-runs": "EXPRESS", "one-agents-waits": "STANDARD"} {
		_, m := tmpl.named(t, "AWS::StepFunctions::StateMachine", "StateMachineName", name)
		if m.Properties["StateMachineType"] != kind {
			t.Errorf("%s is %v, want %s", name, m.Properties["StateMachineType"], kind)
		}
		if dig(m.Properties, "TracingConfiguration", "Enabled") != true {
			t.Errorf("%s is not traced", name)
		}
	}
	_, runs := tmpl.named(t, "AWS::StepFunctions::StateMachine", "StateMachineName", "one-agents-runs")
	if level := dig(runs.Properties, "LoggingConfiguration", "Level"); level != "ERROR" {
		t.Errorf("runs log at %v; without a history their errors must be in a log", level)
	}
}

func TestMachinesHaveAnARNForEveryPlaceholder(t *testing.T) {
	for id, m := range inProduction(t).of("AWS::StepFunctions::StateMachine") {
		given, _ := m.Properties["DefinitionSubstitutions"].(map[string]any)
		used := map[string]bool{}
		for _, name := range regexp.MustCompile(`\$\{(\w+)\}`).FindAllStringSubmatch(dump(m.Properties["DefinitionString"]), -1) {
			used[name[1]] = true
		}
		if diff := cmp.Diff(slices.Sorted(maps.Keys(given)), slices.Sorted(maps.Keys(used))); diff != "" {
			t.Errorf("%s placeholders (-given +used):\n%s", id, diff)
		}
	}
}

func TestTheAPIRoutesEachFunctionAndTheRestToDocs(t *testing.T) {
	tmpl := inProduction(t)
	got := map[string]string{}
	for _, r := range tmpl.of("AWS::ApiGatewayV2::Route") {
		got[fmt.Sprint(r.Properties["RouteKey"])] = functionBehind(t, tmpl, r)
	}
	want := map[string]string{"$default": "one-agents-docs", "ANY /.well-known/jwks.json": "one-agents-jwks"}
	for path, function := range map[string]string{
		"agents": "agents", "templates": "agents", "executions": "executions", "approvals": "approvals",
		"keys": "keys", "webhook-secret": "keys", "events": "events", "actions": "events", "credits": "credits", "quotas": "credits", "me": "credits", "audit": "audit", "settings": "settings", "pause": "pause", "jobs": "jobs", "backtests": "jobs",
	} {
		want["ANY /api/"+path] = "one-agents-" + function
		want["ANY /api/"+path+"/{proxy+}"] = "one-agents-" + function
	}
	for _, page := range []string{"approvals", "runs", "agents", "events", "credits", "settings"} {
		want["ANY /"+page], want["ANY /"+page+"/{proxy+}"] = "one-agents-console", "one-agents-console"
	}
	want["ANY /"], want["ANY /assets/{proxy+}"] = "one-agents-console", "one-agents-console"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}
}

// functionBehind returns the name of the function behind a route.
func functionBehind(t *testing.T, tmpl template, route resource) string {
	t.Helper()
	target := dump(route.Properties["Target"])
	for id, integration := range tmpl.of("AWS::ApiGatewayV2::Integration") {
		if !strings.Contains(target, `"`+id+`"`) {
			continue
		}
		if integration.Properties["PayloadFormatVersion"] != "2.0" {
			t.Errorf("%s speaks %v, want 2.0", id, integration.Properties["PayloadFormatVersion"])
		}
		for alias := range tmpl.of("AWS::Lambda::Alias") {
			if strings.Contains(dump(integration.Properties["IntegrationUri"]), `"`+alias+`"`) {
				return fmt.Sprint(tmpl.behind(alias).Properties["FunctionName"])
			}
		}
	}
	return "nothing"
}

func TestEveryRouteMayCallItsFunction(t *testing.T) {
	tmpl := inProduction(t)
	got := map[string]bool{}
	for _, p := range tmpl.of("AWS::Lambda::Permission") {
		parts := each(dig(p.Properties, "SourceArn", "Fn::Join"))
		pieces := each(parts[1])
		got[fmt.Sprint(pieces[len(pieces)-1])] = true
	}
	for _, r := range tmpl.of("AWS::ApiGatewayV2::Route") {
		route := fmt.Sprint(r.Properties["RouteKey"])
		arn := "/*/*" // the ARN of the default route is stage/$default, without a path
		if path, ok := strings.CutPrefix(route, "ANY "); ok {
			arn += path
		}
		if !got[arn] {
			t.Errorf("%s: no permission for %s", route, arn)
		}
	}
}

func TestTheStageDoesNotPrefixPaths(t *testing.T) {
	tmpl := inProduction(t)
	_, stage := tmpl.named(t, "AWS::ApiGatewayV2::Stage", "StageName", "$default")
	if stage.Properties["AutoDeploy"] != true || len(tmpl.of("AWS::ApiGatewayV2::Stage")) != 1 {
		t.Errorf("stage %v, want one that deploys itself", stage.Properties)
	}
}

func TestTheStageBoundsTheRateAndLogsEveryRequestWithoutSecrets(t *testing.T) {
	tmpl := inProduction(t)
	_, stage := tmpl.named(t, "AWS::ApiGatewayV2::Stage", "StageName", "$default")
	want := map[string]any{"ThrottlingRateLimit": 500.0, "ThrottlingBurstLimit": 1000.0}
	if diff := cmp.Diff(any(want), stage.Properties["DefaultRouteSettings"]); diff != "" {
		t.Errorf("throttle (-want +got):\n%s", diff)
	}
	if dig(stage.Properties, "AccessLogSettings", "DestinationArn") == nil {
		t.Error("the access log goes nowhere")
	}
	format := fmt.Sprint(dig(stage.Properties, "AccessLogSettings", "Format"))
	var line map[string]string
	if err := json.Unmarshal([]byte(format), &line); err != nil || line["source"] != "$context.identity.sourceIp" || line["status"] != "$context.status" {
		t.Errorf("format %s, %v", format, err)
	}
	for _, secret := range []string{"$context.path", "authorizer", "header", "query", "userAgent"} {
		if strings.Contains(format, secret) {
			t.Errorf("the access log has %s: %s", secret, format)
		}
	}
}

func TestOnlyOurPagesMayCallWithACookie(t *testing.T) {
	_, api := inProduction(t).named(t, "AWS::ApiGatewayV2::Api", "Name", "one-agents")
	want := map[string]any{
		"AllowCredentials": true,
		"AllowHeaders":     []any{"authorization", "content-type", "if-match", "if-none-match", "x-integration-key"},
		"AllowMethods":     []any{"GET", "POST", "PUT", "PATCH", "DELETE"},
		"AllowOrigins":     []any{"https://console.theoneagents.app"},
		"ExposeHeaders":    []any{"etag", "retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"},
		"MaxAge":           3600.0,
	}
	if diff := cmp.Diff(any(want), api.Properties["CorsConfiguration"]); diff != "" {
		t.Errorf("cors (-want +got):\n%s", diff)
	}
}

func TestTheSweeperRunsEveryMinuteWithoutRetries(t *testing.T) {
	tmpl := inProduction(t)
	_, schedule := tmpl.named(t, "AWS::Scheduler::Schedule", "Name", "one-agents-sweep")
	if got := schedule.Properties["ScheduleExpression"]; got != "rate(1 minute)" {
		t.Errorf("every %v", got)
	}
	if dig(schedule.Properties, "Target", "DeadLetterConfig", "Arn") == nil {
		t.Error("a sweep that could not start goes to no queue")
	}
	if got := number(t, dig(schedule.Properties, "Target", "RetryPolicy", "MaximumEventAgeInSeconds")); got > 60 {
		t.Errorf("a sweep may start %v s late, want less than the minute until the next", got)
	}
	for id, c := range tmpl.of("AWS::Lambda::EventInvokeConfig") {
		if number(t, c.Properties["MaximumRetryAttempts"]) != 0 {
			t.Errorf("%s: Lambda repeats a failed sweep", id)
		}
	}
}

func TestTheStackHasTheOutputsThatTheToolsRead(t *testing.T) {
	want := []string{
		"AlarmTopicArn", "ApiEndpoint", "ApiId", "ArchiveName", "BusName", "DeadLetterQueueUrl", "EventsQueueUrl", "HubArchiveName", "HubBusName",
		"PublisherRoleCanary", "PublisherRoleDefend", "PublisherRoleHub", "PublisherRolePsa", "RunsMachineArn", "TableName", "UndeliveredQueueUrl", "WaitsMachineArn",
	}
	for _, f := range plan() {
		want = append(want, strings.ToUpper(f.name[:1])+f.name[1:]+"FunctionName")
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(inProduction(t).Outputs))); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
}
