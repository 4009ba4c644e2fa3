package main

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// probed is the template of a stage with the canary.
var probed = sync.OnceValues(func() (template, error) { return synthesize(map[string]any{"canary": "true"}) })

func withCanary(t *testing.T) template {
	t.Helper()
	tmpl, err := probed()
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

// ringing returns the alarms of a template by name, without the stack's.
func ringing(t *testing.T, tmpl template) map[string]map[string]any {
	t.Helper()
	all := map[string]map[string]any{}
	for _, r := range tmpl.of("AWS::CloudWatch::Alarm") {
		all[strings.TrimPrefix(fmt.Sprint(r.Properties["AlarmName"]), "one-agents-")] = r.Properties
	}
	if len(all) < 40 {
		t.Fatalf("only %d alarms", len(all))
	}
	return all
}

func TestEveryAlarmHasASectionOfTheRunbookAndTheOtherWayRound(t *testing.T) {
	text, err := os.ReadFile("RUNBOOK.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]bool{} // whether an alarm names it
	for _, part := range strings.Split(string(text), "\n## ")[1:] {
		name, body, _ := strings.Cut(part, "\n")
		sections[name] = false
		at := -1
		for _, want := range []string{"**Meaning.** ", "**Users see.** ", "**Look.** ", "**Mend.** "} {
			next := strings.Index(body, "\n"+want)
			if next <= at {
				t.Errorf("the section %s has no paragraph %q in its place", name, want)
			}
			at = next
		}
	}
	form := regexp.MustCompile(`^(page|ticket): [A-Z][^\n]*\. Runbook: infra/RUNBOOK\.md#([a-z-]+)$`)
	for name, a := range ringing(t, withCanary(t)) {
		found := form.FindStringSubmatch(fmt.Sprint(a["AlarmDescription"]))
		if found == nil {
			t.Errorf("%s says %q", name, a["AlarmDescription"])
			continue
		}
		if _, ok := sections[found[2]]; !ok {
			t.Errorf("%s names the section %s, which RUNBOOK.md does not have", name, found[2])
		}
		sections[found[2]] = true
	}
	for name, named := range sections {
		if !named {
			t.Errorf("RUNBOOK.md has the section %s, which no alarm names", name)
		}
	}
	for _, link := range regexp.MustCompile(`\]\(#([^)]*)\)`).FindAllStringSubmatch(string(text), -1) {
		if _, ok := sections[link[1]]; !ok {
			t.Errorf("RUNBOOK.md links to the section %s, which it does not have", link[1])
		}
	}
}

func TestAlarmsGoToTheRecipientsOfTheSettings(t *testing.T) {
	const oncall = "arn:aws:sns:eu-central-1:111122223333:oncall"
	tmpl := inContext(t, map[string]any{"alarmEmails": "ann@msp.example, bob@msp.example", "alarmTopicArn": oncall})
	topic, _ := tmpl.named(t, "AWS::SNS::Topic", "TopicName", "one-agents-alarms")
	ours := map[string]any{"Ref": topic}
	var emails []string
	for id, s := range tmpl.of("AWS::SNS::Subscription") {
		if s.Properties["Protocol"] != "email" || dump(s.Properties["TopicArn"]) != dump(ours) {
			t.Errorf("%s is %v", id, s.Properties)
		}
		emails = append(emails, fmt.Sprint(s.Properties["Endpoint"]))
	}
	slices.Sort(emails)
	if want := []string{"ann@msp.example", "bob@msp.example"}; !slices.Equal(emails, want) {
		t.Errorf("messages go to %v, want %v", emails, want)
	}
	for name, a := range ringing(t, tmpl) {
		want := []any{ours}
		if strings.HasPrefix(fmt.Sprint(a["AlarmDescription"]), "page: ") {
			want = append(want, oncall)
		}
		if diff := cmp.Diff(any(want), a["AlarmActions"]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if ended := a["OKActions"]; ended != nil && dump(ended) != dump(want) {
			t.Errorf("the end of %s goes to %v, want %v", name, ended, want)
		}
	}
}

func TestOnlyOurAlarmsMayPublishOnTheTopicAndOnlyOverTLS(t *testing.T) {
	tmpl := inProduction(t)
	for _, p := range tmpl.of("AWS::SNS::TopicPolicy") {
		want := []any{
			doc{"Sid": "AllowPublishThroughSSLOnly", "Effect": "Deny", "Principal": "*", "Action": "sns:Publish", "Resource": "one-agents-alarms", "Condition": doc{"Bool": doc{"aws:SecureTransport": "false"}}},
			doc{"Sid": "1", "Effect": "Allow", "Principal": doc{"Service": "cloudwatch.amazonaws.com"}, "Action": "sns:Publish", "Resource": "one-agents-alarms", "Condition": doc{"ArnLike": doc{"aws:SourceArn": "arn:<Partition>:cloudwatch:<Region>:<AccountId>:alarm:one-agents-*"}}},
		}
		if diff := cmp.Diff(any(want), tmpl.resolved(dig(p.Properties, "PolicyDocument", "Statement"))); diff != "" {
			t.Errorf("statements (-want +got):\n%s", diff)
		}
	}
	if n := len(tmpl.of("AWS::SNS::TopicPolicy")); n != 1 {
		t.Errorf("%d policies of topics, want 1", n)
	}
}

// CloudWatch accepts an alarm on a metric that never exists.
func TestAlarmsWatchResourcesOfTheStack(t *testing.T) {
	tmpl := withCanary(t)
	known := map[string][]string{}
	for kind, property := range map[string]string{
		"AWS::Lambda::Function": "FunctionName", "AWS::SQS::Queue": "QueueName", "AWS::Backup::BackupVault": "BackupVaultName",
	} {
		for _, r := range tmpl.of(kind) {
			known[property] = append(known[property], fmt.Sprint(r.Properties[property]))
		}
	}
	for _, p := range plan() {
		known["Resource"] = append(known["Resource"], "one-agents-"+p.name+":live")
	}
	for id := range tmpl.of("AWS::Lambda::Version") {
		known["ExecutedVersion"] = append(known["ExecutedVersion"], id)
	}
	known["ApiId"] = []string{"one-agents"}
	known["TableName"] = []string{"one-agents"}
	known["StateMachineArn"] = []string{"one-agents-runs", "one-agents-waits"}
	known["Operation"] = []string{"GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"}
	names := regexp.MustCompile(`\b[a-z][a-z0-9]*\b`)
	for name, a := range ringing(t, tmpl) {
		queries := each(a["Metrics"])
		var ids []string
		formula, results := "", 0
		for _, q := range queries {
			if dig(q, "ReturnData") == true {
				results++
			}
			if e, ok := dig(q, "Expression").(string); ok {
				formula = e
				continue
			}
			ids = append(ids, fmt.Sprint(dig(q, "Id")))
			metric := dig(q, "MetricStat", "Metric")
			if dig(metric, "Namespace") == "OneAgents" {
				continue
			}
			for _, d := range each(dig(metric, "Dimensions")) {
				dimension, value := fmt.Sprint(dig(d, "Name")), fmt.Sprint(tmpl.resolved(dig(d, "Value")))
				if !slices.Contains(known[dimension], value) {
					t.Errorf("%s: %s is %s, want one of %v", name, dimension, value, known[dimension])
				}
			}
			if len(each(dig(metric, "Dimensions"))) == 0 {
				t.Errorf("%s has a metric of the whole account", name)
			}
		}
		if results != 1 || len(ids) > 10 {
			t.Errorf("%s has %d results and %d metrics, want 1 and at most 10", name, results, len(ids))
		}
		used := names.FindAllString(formula, -1)
		slices.Sort(used)
		slices.Sort(ids)
		if used = slices.Compact(used); formula != "" && !slices.Equal(used, ids) {
			t.Errorf("%s: the formula %q uses %v, the metrics are %v", name, formula, used, ids)
		}
	}
}

// The functions log these metrics; a test of each of them is beside its code.
func TestAlarmsOnMetricsOfOurOwnNameMetricsThatAFunctionLogs(t *testing.T) {
	logged := loggedMetrics(t)
	for name, a := range ringing(t, withCanary(t)) {
		for _, q := range each(a["Metrics"]) {
			metric := dig(q, "MetricStat", "Metric")
			if own := fmt.Sprint(dig(metric, "MetricName")); dig(metric, "Namespace") == "OneAgents" && !logged[own] {
				t.Errorf("%s watches %s; the functions log %v", name, own, slices.Sorted(maps.Keys(logged)))
			}
		}
	}
}

// loggedMetrics returns the names of the metrics in the functions' programs.
func loggedMetrics(t *testing.T) map[string]bool {
	t.Helper()
	logged := map[string]bool{}
	for _, f := range plan() {
		source, err := os.ReadFile("../functions/" + f.name + "/main.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`"([A-Z][A-Za-z]+)":\s`).FindAllStringSubmatch(string(source), -1) {
			logged[m[1]] = true
		}
	}
	source, err := os.ReadFile("../shared/meter/results.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`"([A-Z][A-Za-z]+)"`).FindAllStringSubmatch(string(source), -1) {
		logged[m[1]] = true
	}
	return logged
}

func TestEveryFunctionIsWatchedForTimeoutsAndThrottles(t *testing.T) {
	all := ringing(t, withCanary(t))
	for _, f := range plan() {
		limit, ok := all["timeouts-"+f.name]["Threshold"].(float64)
		if !ok || limit > 1000*float64(f.timeout) || limit < 990*float64(f.timeout) {
			t.Errorf("timeouts-%s rings at %v ms; the function has %d s", f.name, limit, f.timeout)
		}
		if all["throttles-"+f.name] == nil {
			t.Errorf("there is no alarm throttles-%s", f.name)
		}
	}
}

func TestOnlyTheAlarmsAboutWhatMustHappenRingWithoutData(t *testing.T) {
	var got []string
	for name, a := range ringing(t, withCanary(t)) {
		switch a["TreatMissingData"] {
		case "breaching":
			got = append(got, name)
		case "notBreaching":
		default:
			t.Errorf("%s treats missing data as %v", name, a["TreatMissingData"])
		}
	}
	for _, name := range got {
		queries := dump(ringing(t, withCanary(t))[name]["Metrics"])
		if !strings.Contains(queries, "FILL(m0, 0)") {
			t.Errorf("%s looks at older data before it takes silence as bad: %s", name, queries)
		}
	}
	slices.Sort(got)
	if want := []string{"backup-missing", "canary-silent", "sweeper-stopped"}; !slices.Equal(got, want) {
		t.Errorf("%v ring without data, want %v", got, want)
	}
}

func TestADeadLetterRingsOnceAndNotForTheFortnightThatItStays(t *testing.T) {
	for name, a := range ringing(t, withCanary(t)) {
		for _, q := range each(a["Metrics"]) {
			metric := dig(q, "MetricStat", "Metric")
			if dump(metric) != "" && strings.Contains(dump(metric), "one-agents-dead-letters") && dig(metric, "MetricName") != "NumberOfMessagesSent" {
				t.Errorf("%s watches %v, which lasts as long as the letters", name, dig(metric, "MetricName"))
			}
		}
	}
}

func TestTheDashboardHasEveryAlarmAndAGraphOfEachSection(t *testing.T) {
	tmpl := withCanary(t)
	_, board := tmpl.named(t, "AWS::CloudWatch::Dashboard", "DashboardName", "one-agents")
	body := dump(board.Properties["DashboardBody"])
	for name, a := range ringing(t, tmpl) {
		if !strings.Contains(body, "alarm:one-agents-"+name) {
			t.Errorf("the state of %s is not on the dashboard", name)
		}
		_, section, _ := strings.Cut(fmt.Sprint(a["AlarmDescription"]), "#")
		if !strings.Contains(body, `\"title\":\"`+section+`\"`) && !strings.Contains(body, `\\\"title\\\":\\\"`+section+`\\\"`) {
			t.Errorf("the dashboard has no graph %s", section)
		}
	}
	if n := len(tmpl.of("AWS::CloudWatch::Dashboard")); n != 1 {
		t.Errorf("%d dashboards, want 1: each costs three dollars a month", n)
	}
}

func TestASettingLeavesTheAlarmsOut(t *testing.T) {
	tmpl := inContext(t, map[string]any{"alarms": "false", "rollout": "at-once"})
	for _, kind := range []string{"AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::SNS::Topic"} {
		if n := len(tmpl.of(kind)); n != 0 {
			t.Errorf("%d of %s, want none", n, kind)
		}
	}
}
