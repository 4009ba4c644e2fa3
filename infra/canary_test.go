package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheCanaryRunsInProdUnlessASettingSaysOtherwise(t *testing.T) {
	for _, tc := range []struct {
		stage, canary string
		want          bool
	}{{"prod", "", true}, {"dev", "", false}, {"", "", false}, {"prod", "false", false}, {"dev", "true", true}} {
		s, err := readSettings(func(key string) any {
			switch {
			case key == "stage":
				return tc.stage
			case key == "canary" && tc.canary != "":
				return tc.canary
			}
			return nil
		}, defaultRegion)
		if err != nil || s.Canary != tc.want {
			t.Errorf("stage %q, canary %q: %v, %v", tc.stage, tc.canary, s.Canary, err)
		}
	}
}

func TestTheCanaryIsCalledEveryMinuteWithTheTimeOfTheSchedule(t *testing.T) {
	_, schedule := withCanary(t).named(t, "AWS::Scheduler::Schedule", "Name", "one-agents-probe")
	if got := schedule.Properties["ScheduleExpression"]; got != "rate(1 minute)" {
		t.Errorf("every %v", got)
	}
	if got := dig(schedule.Properties, "Target", "Input"); got != `{"minute":"<aws.scheduler.scheduled-time>"}` {
		t.Errorf("the input is %v", got)
	}
	if n := len(inProduction(t).of("AWS::Scheduler::Schedule")); n != 1 {
		t.Errorf("%d schedules without the canary, want that of the sweeper", n)
	}
}

func TestTheCanaryReachesOnlyItsOwnOrganization(t *testing.T) {
	tmpl, found := inProduction(t), 0
	for _, s := range tmpl.statements(t) {
		if !strings.Contains(s.roles, `"FunctioncanaryServiceRole`) || !slices.ContainsFunc(s.actions, func(a string) bool { return strings.HasPrefix(a, "dynamodb:") }) {
			continue
		}
		found++
		want := doc{"ForAllValues:StringLike": doc{"dynamodb:LeadingKeys": []any{"ORG#org_canary", "ORG#org_canary#*"}}}
		if diff := cmp.Diff(any(want), s.raw["Condition"]); diff != "" {
			t.Errorf("%v (-want +got):\n%s", s.actions, diff)
		}
		if resource := fmt.Sprint(tmpl.resolved(s.raw["Resource"])); resource != "one-agents" {
			t.Errorf("%v on %s, want the table without its indexes", s.actions, resource)
		}
	}
	if found != 1 {
		t.Errorf("%d statements about the table, want 1", found)
	}
}
