package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/boot"
)

// inContext synthesizes for a context.
func inContext(t *testing.T, context map[string]any) template {
	t.Helper()
	tmpl, err := synthesize(context)
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

// names returns the physical names of all resources, and the namespaces of metrics. A
// name within another resource, such as that of a role's policy, is not among them.
func (t template) names() []string {
	property := regexp.MustCompile(`^(Name|[A-Za-z]+Name|Namespace)$`)
	var out []string
	for id, r := range t.Resources {
		for key, v := range r.Properties {
			if name, ok := v.(string); ok && property.MatchString(key) && !slices.Contains([]string{"StageName", "MetricName", "PolicyName", "DeploymentConfigName"}, key) && r.Type != "AWS::Lambda::Alias" {
				out = append(out, fmt.Sprintf("%s.%s %s", id, key, name))
			}
		}
	}
	return out
}

func TestEveryNameHasTheStageSoThatStagesShareNone(t *testing.T) {
	dev, prod := inContext(t, map[string]any{"stage": "dev", "canary": "true"}), inContext(t, map[string]any{"stage": "prod", "canary": "true"})
	if n := len(dev.names()); n < 50 {
		t.Fatalf("only %d names", n)
	}
	for _, name := range dev.names() {
		if !strings.Contains(name, " one-agents-dev") && !strings.Contains(name, "/one-agents-dev") && !strings.Contains(name, "OneAgents/dev") &&
			!strings.Contains(name, " AWS/") {
			t.Errorf("%s is without the stage", name)
		}
	}
	// Names are also parts of ARNs, environments and policies: the templates of two
	// stages differ in the name of the stage alone, and everywhere.
	if got, want := strings.NewReplacer("one-agents-dev", "one-agents-prod", "OneAgents/dev", "OneAgents/prod").Replace(dev.withoutHashes()), prod.withoutHashes(); got != want {
		t.Errorf("the stages differ in more than their name (-prod +dev, renamed):\n%s", cmp.Diff(want, got))
	}
	for _, left := range regexp.MustCompile(`one-agents[^"]*`).FindAllString(string(dev.raw), -1) {
		if !strings.HasPrefix(left, "one-agents-dev") && left != "one-agents" { // the audience of sessions
			t.Errorf("%s is without the stage", left)
		}
	}
}

func TestAStageHasItsTagsAndIsProtectedUntilASettingSaysOtherwise(t *testing.T) {
	for protect, want := range map[string]bool{"": true, "true": true, "false": false} {
		app := awscdk.NewApp(nil)
		context := map[string]any{"stage": "dev", "dist": dist[arm64]}
		if protect != "" {
			context["protect"] = protect
		}
		s, err := readStage(func(key string) any { return context[key] }, defaultRegion)
		if err != nil {
			t.Fatal(err)
		}
		stack, err := newStack(app, s, catalogue())
		if err != nil {
			t.Fatal(err)
		}
		if *stack.StackName() != "one-agents-dev" || *stack.TerminationProtection() != want {
			t.Errorf("protect=%q: %s refuses to be deleted: %v, want %v", protect, *stack.StackName(), *stack.TerminationProtection(), want)
		}
		artifact := app.Synth(nil).GetStackByName(jsii.String("one-agents-dev"))
		got := map[string]string{}
		for key, value := range *artifact.Tags() {
			got[key] = *value
		}
		if diff := cmp.Diff(map[string]string{"application": "one-agents", "stage": "dev"}, got); diff != "" {
			t.Errorf("tags (-want +got):\n%s", diff)
		}
	}
}

// CloudFormation cannot delete a protected table, so a first deployment that fails
// would leave a table in the way of the next.
func TestAnUnprotectedFirstDeploymentLeavesNothingInTheWayOfTheNext(t *testing.T) {
	tmpl := inContext(t, map[string]any{"stage": "dev", "protect": "false"})
	_, table := tmpl.named(t, "AWS::DynamoDB::Table", "TableName", "one-agents-dev")
	if table.Properties["DeletionProtectionEnabled"] != false {
		t.Error("the table is protected")
	}
	for id, r := range tmpl.Resources {
		if r.DeletionPolicy == "Retain" {
			t.Errorf("%s (%s) stays after a failed first deployment", id, r.Type)
		}
	}
}

func TestTheStackMakesItsSecretsInTheFormThatTheFunctionsRead(t *testing.T) {
	tmpl := inContext(t, map[string]any{"stage": "dev"})
	var got []string
	for id, r := range tmpl.of("AWS::SecretsManager::Secret") {
		got = append(got, fmt.Sprint(r.Properties["Name"]))
		if r.DeletionPolicy != "RetainExceptOnCreate" {
			t.Errorf("%s: deletion policy %q: a lost secret of webhooks cannot be made again", id, r.DeletionPolicy)
		}
		// Another value here replaces the secret of every deployed stage.
		want := doc{"ExcludeCharacters": punctuation, "ExcludePunctuation": true, "GenerateStringKey": "current", "PasswordLength": 64.0, "SecretStringTemplate": "{}"}
		if diff := cmp.Diff(any(want), r.Properties["GenerateSecretString"]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", id, diff)
		}
	}
	slices.Sort(got)
	if want := []string{"one-agents-dev/call-key", "one-agents-dev/cursor", "one-agents-dev/webhook"}; !slices.Equal(got, want) {
		t.Errorf("secrets %v, want %v", got, want)
	}
	value := strings.Repeat("aB3x", secretLength/4)
	if made, err := boot.ParseSecret(fmt.Sprintf(`{"current":%q}`, value)); err != nil || made.Current != value {
		t.Errorf("the functions read %+v, %v", made, err)
	}
	source, err := os.ReadFile("../shared/callkey/callkey.go")
	if err != nil {
		t.Fatal(err)
	}
	seeds := regexp.MustCompile("var seed = regexp.MustCompile\\(`(.*)`\\)").FindSubmatch(source)
	if len(seeds) != 2 || !regexp.MustCompile(string(seeds[1])).MatchString(value) {
		t.Errorf("a secret that the stack makes is no seed for package callkey, which wants %q", seeds)
	}
}

func TestEverySecretOfAFunctionIsMadeOrNamedByASetting(t *testing.T) {
	for _, context := range []map[string]any{
		{"stage": "dev"},
		{},
		{"modelProvider": "openai", "modelKeySecretName": "mine/model"},
		{"webhookSecretName": "mine/webhook", "cursorSecretName": "mine/cursor", "callKeySecretName": "mine/call"},
	} {
		tmpl, made := inContext(t, context), map[string]bool{}
		for _, r := range tmpl.of("AWS::SecretsManager::Secret") {
			made[fmt.Sprint(r.Properties["Name"])] = true
		}
		for id, f := range tmpl.of("AWS::Lambda::Function") {
			for _, variable := range boot.SecretNames() {
				name, ok := dig(f.Properties, "Environment", "Variables", variable).(string)
				if ok && name != "" && made[name] == strings.HasPrefix(name, "mine/") {
					t.Errorf("%v: %s reads %s; the stack makes %v", context, id, name, slices.Sorted(maps.Keys(made)))
				}
			}
		}
	}
}

func TestARestoredTableReplacesTheStacksOwn(t *testing.T) {
	tmpl := inContext(t, map[string]any{"stage": "dev", "tableName": "one-agents-dev-restored", "tableStreamArn": streamOf("one-agents-dev-restored")})
	if n := len(tmpl.of("AWS::DynamoDB::Table")); n != 0 {
		t.Errorf("the stack makes %d tables", n)
	}
	for id, f := range tmpl.of("AWS::Lambda::Function") {
		if name := dig(f.Properties, "Environment", "Variables", boot.EnvTable); name != nil && name != "one-agents-dev-restored" {
			t.Errorf("%s uses the table %v", id, name)
		}
	}
	if got := dump(dig(tmpl.Outputs["TableName"], "Value")); got != `"one-agents-dev-restored"` {
		t.Errorf("the output is %s", got)
	}
	const table = "arn:<Partition>:dynamodb:<Region>:<AccountId>:table/one-agents-dev-restored"
	for _, s := range tmpl.statements(t) {
		if !slices.ContainsFunc(s.actions, func(a string) bool { return strings.HasPrefix(a, "dynamodb:") }) {
			continue
		}
		for _, r := range each(tmpl.resolved(s.raw["Resource"])) {
			follows := r == streamOf("one-agents-dev-restored") || slices.Contains(s.actions, "dynamodb:ListStreams")
			if r != table && r != table+"/index/*" && !follows {
				t.Errorf("%s may %v on %v", s.roles, s.actions, r)
			}
		}
	}
}

func TestProgramsOfAnotherProcessorAreRefusedWithTheCommandThatMendsIt(t *testing.T) {
	broken := t.TempDir()
	for _, f := range plan() {
		if err := os.MkdirAll(filepath.Join(broken, f.name), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(broken, f.name, "bootstrap"), []byte("\xcf\xfa\xed\xfe a program for macOS"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct {
		architecture, dist string
		want               []string
	}{
		"amd64 for arm64": {arm64, dist[x8664], []string{"linux/amd64", "architecture is arm64", "type make dist ARCH=arm64", "architecture to x86_64"}},
		"arm64 for amd64": {x8664, dist[arm64], []string{"linux/arm64", "architecture is x86_64", "type make dist ARCH=amd64", "architecture to arm64"}},
		"not for Linux":   {arm64, broken, []string{"bootstrap is not a program for linux/arm64", "type make dist ARCH=arm64"}},
		"none":            {x8664, t.TempDir(), []string{"there is no program", "type make dist ARCH=amd64"}},
	} {
		_, err := synthesize(map[string]any{"architecture": tc.architecture, "dist": tc.dist})
		for _, want := range tc.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: err = %v, want %q in it", name, err, want)
			}
		}
	}
	if _, err := synthesize(map[string]any{"programs": "host", "dist": broken}); err != nil {
		t.Errorf("a local cloud on macOS: %v", err)
	}
}

func TestTheDefaultModelsAreThoseOfTheRegion(t *testing.T) {
	none := func(string) any { return nil }
	for region, geography := range map[string]string{"us-east-1": "us.", "us-west-2": "us.", "eu-central-1": "eu."} {
		s, err := readSettings(none, region)
		if err != nil {
			t.Fatal(err)
		}
		var models map[string][]string
		if err := json.Unmarshal([]byte(s.Models), &models); err != nil || len(models) != len(tiers()) {
			t.Fatalf("%s, %v", s.Models, err)
		}
		for tier, some := range models {
			for _, id := range some {
				if !strings.HasPrefix(id, geography) {
					t.Errorf("%s: %s has the model %s", region, tier, id)
				}
			}
		}
	}
	for _, region := range []string{"ap-southeast-2", "ca-central-1", "us-gov-west-1"} {
		_, err := readSettings(none, region)
		for _, want := range []string{"models: there are no defaults for the region " + region, "set models", "list-inference-profiles --region " + region} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: err = %v, want %q in it", region, err, want)
			}
		}
	}
}

func TestAModelThatTheRegionCannotCallIsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		region, model, provider, endpoint string
		refused                           bool
	}{
		"another geography":      {region: "eu-central-1", model: "us.amazon.nova-lite-v1:0", refused: true},
		"its own geography":      {region: "ap-southeast-2", model: "au.anthropic.claude-x"},
		"everywhere":             {region: "ap-southeast-2", model: "global.anthropic.claude-x"},
		"not in a government's":  {region: "us-gov-west-1", model: "us.anthropic.claude-x", refused: true},
		"a government's own":     {region: "us-gov-west-1", model: "us-gov.anthropic.claude-x"},
		"a model itself":         {region: "ap-southeast-2", model: "amazon.nova-lite-v1:0"},
		"another endpoint":       {region: "eu-central-1", model: "us.amazon.nova-lite-v1:0", endpoint: "http://127.0.0.1:4580/bedrock"},
		"another provider's own": {region: "eu-central-1", model: "us.amazon.nova-lite-v1:0", provider: openai},
	} {
		_, err := readSettings(func(key string) any {
			switch key {
			case "models":
				return map[string]any{"quick": tc.model, "standard": tc.model, "premium": tc.model, "expert": tc.model}
			case "modelProvider":
				return map[bool]any{true: tc.provider}[tc.provider != ""]
			case "modelEndpoint":
				return tc.endpoint
			}
			return nil
		}, tc.region)
		if tc.refused != (err != nil && strings.Contains(err.Error(), "models: quick: "+tc.model) && strings.Contains(err.Error(), "set models to")) {
			t.Errorf("%s: err = %v, refused want %v", name, err, tc.refused)
		}
	}
}

func TestAStageHasItsSettingsInTheContext(t *testing.T) {
	context := map[string]any{
		"stage": "dev", "origins": "https://all.example", "emailSender": "cli@all.example",
		"stages": map[string]any{
			"dev":  map[string]any{"consoleUrl": "https://dev.example", "emailSender": "dev@dev.example"},
			"prod": map[string]any{"consoleUrl": "https://prod.example"},
		},
	}
	s, err := readStage(func(key string) any { return context[key] }, defaultRegion)
	if err != nil || s.Console != "https://dev.example" || s.Sender != "cli@all.example" || !slices.Equal(s.Origins, []string{"https://all.example", "https://dev.example"}) {
		t.Errorf("%+v, %v", s, err)
	}
	context["stages"] = map[string]any{"dev": map[string]any{"emailsender": "x"}}
	if _, err := readStage(func(key string) any { return context[key] }, defaultRegion); err == nil ||
		!strings.Contains(err.Error(), `stages: dev: there is no setting "emailsender"`) || !strings.Contains(err.Error(), "emailSender") {
		t.Errorf("err = %v, want it to name the unknown setting and the known ones", err)
	}
}
