package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/events"
)

// A doc is a JSON object.
type doc = map[string]any

// resolved returns a value of the template with each reference replaced by the
// name of its resource: a role of a function is "role of <function>".
func (t template) resolved(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = t.resolved(e)
		}
		return out
	case doc:
		if join := each(v["Fn::Join"]); len(join) == 2 {
			var out strings.Builder
			for _, piece := range each(t.resolved(join[1])) {
				fmt.Fprint(&out, piece)
			}
			return out.String()
		}
		if id, ok := v["Ref"].(string); ok {
			if name, pseudo := strings.CutPrefix(id, "AWS::"); pseudo {
				return "<" + name + ">"
			}
			return t.nameOf(id)
		}
		if get := each(v["Fn::GetAtt"]); len(get) == 2 {
			return t.nameOf(fmt.Sprint(get[0]))
		}
		out := doc{}
		for key, e := range v {
			out[key] = t.resolved(e)
		}
		return out
	}
	return v
}

func (t template) nameOf(id string) string {
	r := t.Resources[id]
	if r.Type == "AWS::Lambda::Alias" {
		return fmt.Sprintf("%v:%v", t.behind(id).Properties["FunctionName"], r.Properties["Name"])
	}
	for _, property := range []string{"Name", "RoleName", "QueueName", "FunctionName", "TableName", "StateMachineName", "TopicName"} {
		if name, ok := r.Properties[property].(string); ok {
			return name
		}
	}
	for _, f := range t.of("AWS::Lambda::Function") {
		if role := each(dig(f.Properties, "Role", "Fn::GetAtt")); len(role) == 2 && role[0] == id {
			return fmt.Sprintf("role of %v", f.Properties["FunctionName"])
		}
	}
	for _, m := range t.of("AWS::StepFunctions::StateMachine") {
		if role := each(dig(m.Properties, "RoleArn", "Fn::GetAtt")); len(role) == 2 && role[0] == id {
			return fmt.Sprintf("role of %v", m.Properties["StateMachineName"])
		}
	}
	return id
}

// puts returns the statements that let a principal put events, by principal. A
// statement counts unless all of its actions are plainly others.
func (t template) puts(tt *testing.T) map[string][]any {
	tt.Helper()
	out := map[string][]any{}
	for id, policy := range t.of("AWS::IAM::Policy") {
		for _, s := range each(dig(policy.Properties, "PolicyDocument", "Statement")) {
			if !slices.ContainsFunc(each(dig(s, "Action")), func(action any) bool {
				service, name, _ := strings.Cut(strings.ToLower(fmt.Sprint(action)), ":")
				return strings.Contains(service, "*") || service == "events" && (strings.HasPrefix(name, "put") || strings.Contains(name, "*"))
			}) && dig(s, "NotAction") == nil {
				continue
			}
			roles := each(policy.Properties["Roles"])
			if len(roles) != 1 || policy.Properties["Users"] != nil || policy.Properties["Groups"] != nil {
				tt.Errorf("%s belongs to %s, want one role", id, dump(policy.Properties))
			}
			for _, role := range roles {
				name := fmt.Sprint(t.resolved(role))
				out[name] = append(out[name], t.resolved(s))
			}
		}
	}
	return out
}

func TestEachPublisherMayPutEventsOfItsSourceOnItsBusOnly(t *testing.T) {
	tmpl := inProduction(t)
	only := func(bus, source string) []any {
		return []any{doc{
			"Effect": "Allow", "Action": "events:PutEvents", "Resource": bus,
			"Condition": doc{"ForAllValues:StringEquals": doc{"events:source": source}, "Null": doc{"events:source": "false"}},
		}}
	}
	want := map[string][]any{
		"one-agents-publish-canary":  only("one-agents", "canary"),
		"one-agents-publish-psa":     only("one-agents", "psa"),
		"one-agents-publish-defend":  only("one-agents", "defend"),
		"one-agents-publish-hub":     only("one-agents-hub", "hub"),
		"role of one-agents-runner":  only("one-agents", "agents"),
		"role of one-agents-sweeper": only("one-agents", "agents"),
	}
	if diff := cmp.Diff(want, tmpl.puts(t)); diff != "" {
		t.Errorf("statements that allow putting events (-want +got):\n%s", diff)
	}
}

// TestRolesHaveNoOtherPolicies keeps the other tests of permissions complete:
// they read the policies that are resources of their own.
func TestRolesHaveNoOtherPolicies(t *testing.T) {
	tmpl := inProduction(t)
	for _, kind := range []string{"AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy", "AWS::IAM::User", "AWS::IAM::Group", "AWS::Events::EventBusPolicy"} {
		if n := len(tmpl.of(kind)); n != 0 {
			t.Errorf("%d resources %s, want none", n, kind)
		}
	}
	for id, role := range tmpl.of("AWS::IAM::Role") {
		managed := fmt.Sprint(tmpl.resolved(role.Properties["ManagedPolicyArns"]))
		const logs = "[arn:<Partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole]"
		const copies = "[arn:<Partition>:iam::aws:policy/service-role/AWSBackupServiceRolePolicyForBackup]"
		backup := managed == copies && strings.Contains(dump(role.Properties["AssumeRolePolicyDocument"]), `{"Service":"backup.amazonaws.com"}`)
		if role.Properties["Policies"] != nil || managed != "<nil>" && managed != logs && !backup {
			t.Errorf("%s has the policies %s and %s", id, dump(role.Properties["Policies"]), managed)
		}
	}
}

// busPolicy returns the statements of a bus's policy by their id.
func (t template) busPolicy(tt *testing.T, name string) map[string]any {
	tt.Helper()
	_, bus := t.named(tt, "AWS::Events::EventBus", "Name", name)
	out := map[string]any{}
	statements := each(dig(bus.Properties, "Policy", "Statement"))
	for _, s := range statements {
		out[fmt.Sprint(dig(s, "Sid"))] = t.resolved(s)
	}
	if len(out) != len(statements) {
		tt.Errorf("the policy of %s repeats an id", name)
	}
	return out
}

func denial(id, bus string, condition doc) any {
	return doc{
		"Sid": id, "Effect": "Deny", "Principal": "*", "Action": "events:PutEvents",
		"Resource": "arn:<Partition>:events:<Region>:<AccountId>:event-bus/" + bus, "Condition": condition,
	}
}

func TestABusRefusesEveryPrincipalButItsPublishersAndEverySourceButTheirs(t *testing.T) {
	tmpl := inProduction(t)
	only := func(id, bus, source string, roles ...any) any {
		return denial(id, bus, doc{"ArnEquals": doc{"aws:PrincipalArn": roles}, "ForAnyValue:StringNotEquals": doc{"events:source": source}})
	}
	others := func(bus string, roles ...any) any {
		return denial("OnlyPublishers", bus, doc{"ArnNotEquals": doc{"aws:PrincipalArn": roles}, "BoolIfExists": doc{"aws:PrincipalIsAWSService": "false"}})
	}
	for bus, want := range map[string]map[string]any{
		"one-agents": {
			"OnlyPublishers": others("one-agents", "role of one-agents-runner", "role of one-agents-sweeper", "one-agents-publish-canary", "one-agents-publish-defend", "one-agents-publish-psa"),
			"OnlyAgents":     only("OnlyAgents", "one-agents", "agents", "role of one-agents-runner", "role of one-agents-sweeper"),
			"OnlyCanary":     only("OnlyCanary", "one-agents", "canary", "one-agents-publish-canary"),
			"OnlyDefend":     only("OnlyDefend", "one-agents", "defend", "one-agents-publish-defend"),
			"OnlyPsa":        only("OnlyPsa", "one-agents", "psa", "one-agents-publish-psa"),
		},
		"one-agents-hub": {
			"OnlyPublishers": others("one-agents-hub", "one-agents-publish-hub"),
			"OnlyHub":        only("OnlyHub", "one-agents-hub", "hub", "one-agents-publish-hub"),
		},
	} {
		if diff := cmp.Diff(want, tmpl.busPolicy(t, bus)); diff != "" {
			t.Errorf("policy of %s (-want +got):\n%s", bus, diff)
		}
	}
	if n := len(tmpl.of("AWS::Events::EventBus")); n != 2 {
		t.Errorf("%d buses, want 2", n)
	}
}

func TestABusWithoutPublishersRefusesEveryPrincipal(t *testing.T) {
	files := catalogue()
	maps.DeleteFunc(files, func(name string, _ *fstest.MapFile) bool { return strings.HasPrefix(name, "hub/") })
	tmpl, err := synthesizeFor(nil, files)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"OnlyPublishers": denial("OnlyPublishers", "one-agents-hub", doc{"BoolIfExists": doc{"aws:PrincipalIsAWSService": "false"}})}
	if diff := cmp.Diff(want, tmpl.busPolicy(t, "one-agents-hub")); diff != "" {
		t.Errorf("policy (-want +got):\n%s", diff)
	}
}

// TestTheCatalogueHasAPublisherForEachProduct covers the real catalogue: each
// product but the platform itself has a role, and the policy keeps the limit of
// EventBridge.
func TestTheCatalogueHasAPublisherForEachProduct(t *testing.T) {
	tmpl, err := synthesizeFor(nil, events.Files)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := productRules(events.Files)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, r := range rules {
		if r.Product != own {
			want = append(want, "one-agents-publish-"+r.Product)
		}
	}
	var got []string
	for _, role := range tmpl.of("AWS::IAM::Role") {
		if name, ok := role.Properties["RoleName"].(string); ok {
			got = append(got, name)
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("roles (-want +got):\n%s", diff)
	}
	const most, arn = 10 << 10, "arn:aws-us-gov:iam::111122223333:role/"
	_, bus := tmpl.named(t, "AWS::Events::EventBus", "Name", "one-agents")
	raw, err := json.Marshal(tmpl.resolved(bus.Properties["Policy"]))
	if err != nil {
		t.Fatal(err)
	}
	if size := len(raw) + len(arn)*strings.Count(string(raw), "publish"); size > most {
		t.Errorf("the policy has about %d bytes, EventBridge takes %d", size, most)
	}
}

func TestTheOwnSourceIsThatOfTheOutbox(t *testing.T) {
	published := constants(t, "../shared/outbox/outbox.go", func(spec *ast.ValueSpec) bool { return spec.Names[0].Name == "Product" })
	if !slices.Equal(published, []string{own}) {
		t.Errorf("functions may publish %q; they publish %q", own, published)
	}
}

// trusts returns the statements of the trust policy of each publisher role.
func (t template) trusts() map[string]any {
	out := map[string]any{}
	for _, role := range t.of("AWS::IAM::Role") {
		if name, ok := role.Properties["RoleName"].(string); ok {
			out[name] = t.resolved(dig(role.Properties, "AssumeRolePolicyDocument", "Statement"))
		}
	}
	return out
}

func TestPrincipalsOfTheAccountOrTheNamedOnesAssumeAPublisherRole(t *testing.T) {
	by := func(principals any) any {
		return []any{doc{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": doc{"AWS": principals}}}
	}
	const root, oncall = "arn:<Partition>:iam::<AccountId>:root", "arn:aws:iam::111122223333:role/oncall"
	const probes = "role of one-agents-canary"
	want := map[string]any{"one-agents-publish-canary": by([]any{probes, root}), "one-agents-publish-psa": by(root), "one-agents-publish-defend": by(root), "one-agents-publish-hub": by(root)}
	if diff := cmp.Diff(want, inProduction(t).trusts()); diff != "" {
		t.Errorf("without settings (-want +got):\n%s", diff)
	}

	tmpl, err := synthesize(doc{
		"operators":  oncall,
		"publishers": `{"psa": ["444455556666"], "hub": ["arn:aws:iam::444455556666:role/hub", "arn:aws:iam::444455556666:user/bus"]}`,
	})
	if err != nil {
		t.Fatal(err)
	}
	want = map[string]any{
		"one-agents-publish-psa":    by([]any{oncall, "arn:<Partition>:iam::444455556666:root"}),
		"one-agents-publish-defend": by(oncall),
		"one-agents-publish-canary": by([]any{oncall, probes}),
		"one-agents-publish-hub":    by([]any{oncall, "arn:aws:iam::444455556666:role/hub", "arn:aws:iam::444455556666:user/bus"}),
	}
	if diff := cmp.Diff(want, tmpl.trusts()); diff != "" {
		t.Errorf("with settings (-want +got):\n%s", diff)
	}
}

func TestNoPrincipalIsAWildcard(t *testing.T) {
	for _, bad := range []string{
		"*", "", " ", "arn:aws:iam::*:root", "arn:aws:iam::111122223333:*", "arn:aws:iam::111122223333:role/*", "arn:aws:iam::111122223333:role/a?",
		"11112222333", "1111222233334", "111122223333\n", "arn:aws:sts::111122223333:assumed-role/a/b", "arn:aws:iam::111122223333:role/${x}",
		"psa.example", "lambda.amazonaws.com",
	} {
		_, err := readSettings(func(key string) any {
			if key == "publishers" {
				return map[string]any{"psa": []any{bad}}
			}
			return nil
		}, defaultRegion)
		if err == nil || !strings.Contains(err.Error(), "publishers: psa") {
			t.Errorf("publishers %q: err = %v", bad, err)
		}
		if strings.TrimSpace(bad) == "" || strings.TrimSpace(bad) != bad {
			continue // a list on the command line drops spaces and empty parts
		}
		if _, err := readSettings(func(key string) any {
			if key == "operators" {
				return "111122223333," + bad
			}
			return nil
		}, defaultRegion); err == nil || !strings.Contains(err.Error(), "operators") {
			t.Errorf("operators %q: err = %v", bad, err)
		}
	}
}

func TestPrincipalsOfUnknownProductsAreRefused(t *testing.T) {
	for product, says := range map[string]string{"pas": `"pas"`, "agents": `"agents"`, "chat": `"chat"`} {
		_, err := synthesize(doc{"publishers": doc{product: []any{"111122223333"}}})
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "psa") {
			t.Errorf("%s: err = %v, want it to name the product and the roles", product, err)
		}
	}
	for _, value := range []any{`[]`, `{"psa": "111122223333"}`, `{"psa": []}`, `{`, 7} {
		if _, err := synthesize(doc{"publishers": value}); err == nil || !strings.Contains(err.Error(), "publishers") {
			t.Errorf("%v: err = %v", value, err)
		}
	}
}
