package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The worker reads the journal and the agents, asks models, and writes jobs and what test runs
// cost. Of the records of runs it may write ledgers alone.
func TestTheWorkerWritesJobsAndCreditsOnly(t *testing.T) {
	tmpl := inProduction(t)
	got := map[string]string{}
	for _, s := range tmpl.statements(t) {
		if !strings.Contains(s.roles, `"FunctionworkerServiceRole`) {
			continue
		}
		for _, action := range s.actions {
			if !strings.HasPrefix(action, "xray:") && !slices.Contains(reads(), action) {
				got[action] = fmt.Sprint(dig(s.raw, "Condition", "ForAllValues:StringLike", "dynamodb:LeadingKeys"), " ", dig(s.raw, "Condition", "Null", "dynamodb:LeadingKeys"))
			}
		}
	}
	want := map[string]string{
		"dynamodb:PutItem":            "[ORG#*#JOBS ORG#*#EXEC#test_* ORG#*#CREDIT ORG#*#OUTBOX#*] false",
		"dynamodb:UpdateItem":         "[ORG#*#EXEC#test_* ORG#*#CREDIT] false",
		"dynamodb:ConditionCheckItem": "<nil> <nil>", // of the organization's plan; it writes nothing
		"bedrock:InvokeModel":         "<nil> <nil>",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the worker may (-want +got):\n%s", diff)
	}
}
