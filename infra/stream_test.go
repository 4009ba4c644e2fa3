package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// streamOf returns the ARN of the stream of a table.
func streamOf(table string) string {
	return "arn:aws:dynamodb:eu-central-1:111122223333:table/" + table + "/stream/2026-11-29T08:00:00.000"
}

func TestEachConsumerFollowsTheStreamUntilItForgets(t *testing.T) {
	tmpl := inProduction(t)
	got := map[string]any{}
	for _, mapping := range tmpl.of("AWS::Lambda::EventSourceMapping") {
		p := mapping.Properties
		if !strings.Contains(dump(p["EventSourceArn"]), "StreamArn") {
			continue
		}
		for _, age := range []string{"MaximumRecordAgeInSeconds", "MaximumRetryAttempts"} {
			if p[age] != nil {
				t.Errorf("%s is %v: records would be given up", age, p[age])
			}
		}
		alias := regexp.MustCompile(`"Ref":"(\w+)"`).FindStringSubmatch(dump(p["FunctionName"]))[1]
		function := tmpl.behind(alias).Properties["FunctionName"]
		got[fmt.Sprint(function)] = []any{
			p["StartingPosition"], p["MaximumBatchingWindowInSeconds"], p["BisectBatchOnFunctionError"],
			dump(p["FunctionResponseTypes"]), dig(p, "FilterCriteria", "Filters"),
		}
	}
	want := map[string]any{
		"one-agents-tally": []any{"TRIM_HORIZON", 1.0, true, `["ReportBatchItemFailures"]`, []any{
			map[string]any{"Pattern": `{"dynamodb":{"NewImage":{"cn":{"S":[{"exists":true}]}}},"eventName":["MODIFY"]}`},
		}},
		"one-agents-watchdog": []any{"TRIM_HORIZON", 40.0, true, `["ReportBatchItemFailures"]`, []any{
			map[string]any{"Pattern": `{"dynamodb":{"Keys":{"sk":{"S":["META"]}}},"eventName":["INSERT"]}`},
			map[string]any{"Pattern": `{"dynamodb":{"Keys":{"sk":{"S":["META"]}},"NewImage":{"e":{"N":[{"exists":true}]}}},"eventName":["MODIFY"]}`},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mappings of the stream (-want +got):\n%s", diff)
	}
	_, table := tmpl.named(t, "AWS::DynamoDB::Table", "TableName", "one-agents")
	if view := dig(table.Properties, "StreamSpecification", "StreamViewType"); view != "NEW_AND_OLD_IMAGES" {
		t.Errorf("the stream has %v, and the consumers compare both images", view)
	}
}

func TestTheTallyReachesStatisticsOnly(t *testing.T) {
	tmpl := inProduction(t)
	got := map[string]string{}
	for _, s := range tmpl.statements(t) {
		if !strings.Contains(s.roles, `"FunctiontallyServiceRole`) {
			continue
		}
		for _, action := range s.actions {
			if strings.HasPrefix(action, "dynamodb:") && !strings.Contains(action, "Stream") && action != "dynamodb:GetRecords" && action != "dynamodb:GetShardIterator" {
				got[action] = fmt.Sprint(dig(s.raw, "Condition", "ForAllValues:StringLike", "dynamodb:LeadingKeys"), " ", dig(s.raw, "Condition", "Null", "dynamodb:LeadingKeys"))
			}
		}
	}
	const stats = "[ORG#*#STATS] false"
	want := map[string]string{
		"dynamodb:GetItem": stats, "dynamodb:Query": stats, "dynamodb:PutItem": stats, "dynamodb:UpdateItem": stats,
		"dynamodb:ConditionCheckItem": "[ORG#*] false",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the tally may (-want +got):\n%s", diff)
	}
}

func TestATableIsGivenWithItsStream(t *testing.T) {
	for name, tc := range map[string]struct {
		table, stream string
		ok            bool
	}{
		"neither":                 {"", "", true},
		"both":                    {"one-agents-2", streamOf("one-agents-2"), true},
		"a table alone":           {"one-agents-2", "", false},
		"a stream alone":          {"", streamOf("one-agents-2"), false},
		"a stream of another":     {"one-agents-2", streamOf("one-agents"), false},
		"a table as its stream":   {"one-agents-2", "arn:aws:dynamodb:eu-central-1:111122223333:table/one-agents-2", false},
		"something else entirely": {"one-agents-2", "one-agents-2", false},
	} {
		if err := checkTable(settings{Table: tc.table, Stream: tc.stream}); (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
