package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The worker reads the journal and the agents, and writes jobs alone.
func TestTheWorkerWritesJobsOnly(t *testing.T) {
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
	if diff := cmp.Diff(map[string]string{"dynamodb:PutItem": "[ORG#*#JOBS] false"}, got); diff != "" {
		t.Errorf("the worker may (-want +got):\n%s", diff)
	}
}
