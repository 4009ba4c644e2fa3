package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A resource that invoked a function without its alias would try no version, and stay with
// a bad one after a rollback.
func TestEverythingInvokesTheLiveVersionOfAFunction(t *testing.T) {
	tmpl := inProduction(t)
	n := 0
	for function := range tmpl.of("AWS::Lambda::Function") {
		for id, r := range tmpl.Resources {
			text := dump(r.Properties)
			if !strings.Contains(text, `"Ref":"`+function+`"`) && !strings.Contains(text, `"Fn::GetAtt":["`+function+`"`) {
				continue
			}
			n++
			switch {
			case r.Type == "AWS::Lambda::Version" || r.Type == "AWS::Lambda::Alias":
			case r.Type == "AWS::Lambda::EventInvokeConfig" && strings.Contains(dump(r.Properties["Qualifier"]), "Aliaslive"):
			case r.Type == "AWS::IAM::Policy" && strings.HasPrefix(id, "WaitsRole"): // executions that began before the alias
			default:
				t.Errorf("%s (%s) uses %s without its alias", id, r.Type, function)
			}
		}
	}
	if want := 2*len(plan()) + 2; n != want {
		t.Errorf("%d uses of functions, want %d", n, want)
	}
	for _, m := range tmpl.of("AWS::StepFunctions::StateMachine") {
		if got := tmpl.resolved(dig(m.Properties, "DefinitionSubstitutions", "Runner")); got != "one-agents-runner:live" {
			t.Errorf("a machine invokes %v", got)
		}
	}
}

func TestANewVersionOfEveryFunctionThatRunsOftenIsTriedUnderItsAlarms(t *testing.T) {
	tmpl := inProduction(t)
	rings := ringing(t, tmpl)
	tried := 0
	for id, alias := range tmpl.of("AWS::Lambda::Alias") {
		function := fmt.Sprint(tmpl.behind(id).Properties["FunctionName"])
		name := strings.TrimPrefix(function, "one-agents-")
		group := tmpl.Resources[fmt.Sprint(dig(alias.UpdatePolicy, "CodeDeployLambdaAliasUpdate", "DeploymentGroupName", "Ref"))]
		if name == sweeper || name == canary {
			if alias.UpdatePolicy != nil {
				t.Errorf("%s is tried", name)
			}
			continue
		}
		tried++
		if group.Properties["DeploymentConfigName"] != "CodeDeployDefault.LambdaCanary10Percent5Minutes" ||
			dig(group.Properties, "AutoRollbackConfiguration", "Enabled") != true || dig(group.Properties, "AlarmConfiguration", "Enabled") != true {
			t.Errorf("%s is tried by %s", name, dump(group.Properties))
		}
		var alarms []string
		for _, a := range each(dig(group.Properties, "AlarmConfiguration", "Alarms")) {
			alarms = append(alarms, strings.TrimPrefix(fmt.Sprint(dig(a, "Name")), "one-agents-"))
		}
		if !slices.Contains(alarms, "version-"+name) || len(alarms) < 2 {
			t.Errorf("%s is tried under the alarms %v", name, alarms)
		}
		for _, a := range alarms {
			if _, ok := rings[a]; !ok {
				t.Errorf("%s is tried under the alarm %s, which does not exist", name, a)
			}
		}
		if depends := dump(group.DependsOn); !strings.Contains(depends, "Alarmversion"+name) {
			t.Errorf("the trial of %s may begin before its alarm is about the new version: it waits for %s", name, depends)
		}
	}
	if want := len(plan()) - 2; tried != want {
		t.Errorf("%d functions are tried, want %d", tried, want)
	}
}

// An operator sets the alias to an earlier version: it must be there.
func TestEarlierVersionsStayUnlessTheFirstDeploymentFails(t *testing.T) {
	versions := inProduction(t).of("AWS::Lambda::Version")
	for id, v := range versions {
		if v.DeletionPolicy != "RetainExceptOnCreate" {
			t.Errorf("%s has the deletion policy %q", id, v.DeletionPolicy)
		}
	}
	if len(versions) != len(plan()) {
		t.Errorf("%d versions, want %d", len(versions), len(plan()))
	}
}

func TestASettingSaysHowNewVersionsComeIntoUse(t *testing.T) {
	for rollout, want := range map[string]map[string]int{
		"at-once":     {"AWS::CodeDeploy::DeploymentGroup": 0, "AWS::Lambda::Alias": len(plan()), "AWS::CodeDeploy::Application": 0},
		"unversioned": {"AWS::CodeDeploy::DeploymentGroup": 0, "AWS::Lambda::Alias": 0, "AWS::Lambda::Version": 0},
	} {
		tmpl := inContext(t, map[string]any{"rollout": rollout})
		for kind, n := range want {
			if got := len(tmpl.of(kind)); got != n {
				t.Errorf("%s: %d of %s, want %d", rollout, got, kind, n)
			}
		}
		for name := range ringing(t, tmpl) {
			if strings.HasPrefix(name, "version-") {
				t.Errorf("%s: the alarm %s is about a trial", rollout, name)
			}
		}
	}
	if _, err := synthesize(map[string]any{"alarms": "false"}); err == nil || !strings.Contains(err.Error(), `"at-once"`) {
		t.Errorf("a gradual rollout without alarms: %v, want an error that names the other rollout", err)
	}
}
