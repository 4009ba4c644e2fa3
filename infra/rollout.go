package main

import (
	"errors"
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"
)

// The ways in which a deployment brings new versions of the functions into use.
const (
	// gradual sends a tenth of the invocations of each function to the new version for
	// five minutes, then all. When an alarm rings meanwhile, all go to the old version
	// again, and the deployment fails.
	gradual = "gradual"
	// atOnce sends all invocations to the new version.
	atOnce = "at-once"
	// unversioned is for a local cloud: the functions have no versions.
	unversioned = "unversioned"
)

// live is the alias of a function that everything invokes.
const live = "live"

// shift is the part of a rollout that CodeDeploy knows by this name.
const shift = "CodeDeployDefault.LambdaCanary10Percent5Minutes"

func checkRollout(s settings) error {
	if s.Rollout == gradual && !s.Alarms {
		return errors.New(`rollout: a gradual one needs alarms to end it, and alarms is false: set rollout to "at-once" or alarms to true`)
	}
	return oneOf("rollout", s.Rollout, gradual, atOnce, unversioned)
}

// live returns what invokes a function: its alias, or the function itself where there
// are no versions.
func (f *factory) live(name string) awslambda.IFunction {
	if alias, ok := f.aliases[name]; ok {
		return alias
	}
	return f.functions[name]
}

// version makes the version of a function that this deployment brings, and the alias.
// Earlier versions stay, so that the alias can be set to one of them at once.
func (f *factory) version(p function, fn awslambda.Function) {
	if f.s.Rollout != unversioned {
		f.aliases[p.name] = fn.AddAlias(jsii.String(live), nil)
	}
}

// tried returns the functions whose new versions are tried. The sweeper and the canary run
// once a minute, so that a tenth of their invocations tell nothing.
func (s settings) tried() []function {
	var functions []function
	for _, p := range plan() {
		if s.Rollout == gradual && p.name != sweeper && p.name != canary {
			functions = append(functions, p)
		}
	}
	return functions
}

// endsTrial returns the alarms that end the trial of a function, the first about its new
// version alone.
func (s settings) endsTrial(name string) []string {
	alarms := []string{"version-" + name}
	switch name {
	case runner:
		alarms = append(alarms, "errors-"+runner, "runs-failed", "waits-failed")
	case dispatcher:
		alarms = append(alarms, "errors-"+dispatcher, "late-events", "postponed-events", "dead-letter-rate")
	case tally:
		return append(alarms, "late-statistics")
	case watchdog:
		return append(alarms, "late-watchdog")
	default:
		return append(alarms, "api-errors")
	}
	if s.Canary {
		alarms = append(alarms, "canary-late")
	}
	return alarms
}

// newTrials lets CodeDeploy bring the new versions into use. The types have no package
// here: that of CodeDeploy needs those of ECS and EC2.
func newTrials(stack awscdk.Stack, s settings, f *factory) {
	tried := s.tried()
	if len(tried) == 0 {
		return
	}
	application := awscdk.NewCfnResource(stack, jsii.String("Rollout"), &awscdk.CfnResourceProps{
		Type: jsii.String("AWS::CodeDeploy::Application"),
		Properties: &map[string]any{
			"ApplicationName": prefix(stack), "ComputePlatform": "Lambda",
		},
	})
	role := newTrialRole(stack)
	for _, p := range tried {
		var alarms []any
		for _, name := range s.endsTrial(p.name) {
			alarms = append(alarms, map[string]any{"Name": named(stack, name)})
		}
		group := awscdk.NewCfnResource(stack, jsii.String("Rollout-"+p.name), &awscdk.CfnResourceProps{
			Type: jsii.String("AWS::CodeDeploy::DeploymentGroup"),
			Properties: &map[string]any{
				"ApplicationName": application.Ref(), "DeploymentGroupName": named(stack, p.name), "ServiceRoleArn": role.RoleArn(),
				"DeploymentConfigName": shift,
				"DeploymentStyle":      map[string]any{"DeploymentType": "BLUE_GREEN", "DeploymentOption": "WITH_TRAFFIC_CONTROL"},
				"AlarmConfiguration":   map[string]any{"Enabled": true, "Alarms": alarms},
				"AutoRollbackConfiguration": map[string]any{
					"Enabled": true, "Events": []string{"DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"},
				},
			},
		})
		// The alarm must be about the new version before its trial begins. The other alarms
		// have no reference: one about a machine follows the function that the machine calls.
		group.Node().AddDependency(role, stack.Node().FindChild(jsii.String("Alarm-version-"+p.name)))
		alias, ok := f.aliases[p.name].Node().DefaultChild().(awslambda.CfnAlias)
		if !ok {
			panic(fmt.Sprintf("infra: the alias of %s has no resource of its own", p.name))
		}
		alias.CfnOptions().SetUpdatePolicy(&awscdk.CfnUpdatePolicy{CodeDeployLambdaAliasUpdate: &awscdk.CfnCodeDeployLambdaAliasUpdate{
			ApplicationName: application.Ref(), DeploymentGroupName: group.Ref(),
		}})
	}
}

// newTrialRole declares the role of CodeDeploy: it moves our aliases and reads our
// alarms. The policy of AWS for it allows every alias of the account.
func newTrialRole(stack awscdk.Stack) awsiam.Role {
	role := awsiam.NewRole(stack, jsii.String("RolloutRole"), &awsiam.RoleProps{
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("codedeploy.amazonaws.com"), nil),
	})
	every := func(service, resource string) *string {
		return stack.FormatArn(&awscdk.ArnComponents{
			Service: jsii.String(service), Resource: jsii.String(resource), ResourceName: named(stack, "*"), ArnFormat: awscdk.ArnFormat_COLON_RESOURCE_NAME,
		})
	}
	for _, action := range []string{"lambda:GetAlias", "lambda:UpdateAlias", "lambda:GetProvisionedConcurrencyConfig"} {
		role.AddToPolicy((*statements(action, every("lambda", "function")))[0])
	}
	role.AddToPolicy((*statements("cloudwatch:DescribeAlarms", every("cloudwatch", "alarm")))[0])
	return role
}
