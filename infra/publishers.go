package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"
)

// own is the source of the platform's own events. Functions publish them; the
// source has no publisher role.
const own = "agents"

// A publisher is a role and the only source for which it may put events.
type publisher struct {
	source string
	roles  []awsiam.IRole
}

// newPublishers declares a role for each product of the rules. A product puts
// its events in this role.
func newPublishers(stack awscdk.Stack, s settings, rules []rule, b buses) map[string]awsiam.Role {
	roles := map[string]awsiam.Role{}
	for _, r := range rules {
		if r.Product == own {
			continue
		}
		role := awsiam.NewRole(stack, jsii.String("Publisher-"+r.Product), &awsiam.RoleProps{
			RoleName:    named(stack, "publish-"+r.Product),
			Description: jsii.String("Puts events of " + r.Product + " on the bus."),
			AssumedBy:   principals(append(slices.Clone(s.Operators), s.Publishers[r.Product]...)),
		})
		role.AddToPolicy(putStatement(b.of(r.Product), r.Product))
		roles[r.Product] = role
	}
	return roles
}

// principals returns the principals that a trust policy names: "" is the
// account of the stack, whose own policies then decide.
func principals(names []string) awsiam.IPrincipal {
	var all []awsiam.IPrincipal
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		switch {
		case name == thisAccount:
			all = append(all, awsiam.NewAccountRootPrincipal())
		case strings.HasPrefix(name, "arn:"):
			all = append(all, awsiam.NewArnPrincipal(jsii.String(name)))
		default:
			all = append(all, awsiam.NewAccountPrincipal(jsii.String(name)))
		}
	}
	return awsiam.NewCompositePrincipal(all...)
}

// putStatement allows putting events of one source on a bus. PutEvents may
// carry several events, so the condition holds for all of their sources; it
// would hold for a request without a source, too.
func putStatement(bus awsevents.EventBus, source string) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions:   jsii.Strings("events:PutEvents"),
		Resources: &[]*string{bus.EventBusArn()},
		Conditions: &map[string]any{
			"ForAllValues:StringEquals": map[string]any{"events:source": source},
			"Null":                      map[string]any{"events:source": "false"},
		},
	})
}

// guard sets the policies of the buses. Within an account a policy of a bus only
// takes rights away: without it every principal that may put events on all
// buses would speak for every product.
func guard(stack awscdk.Stack, b buses, roles map[string]awsiam.Role, functions map[string]awslambda.Function) {
	ours := publisher{source: own}
	for _, f := range plan() {
		if slices.Contains(f.grants, publishEvents) {
			ours.roles = append(ours.roles, functions[f.name].Role())
		}
	}
	products := []publisher{ours}
	for _, product := range slices.Sorted(maps.Keys(roles)) {
		if product != hub {
			products = append(products, publisher{product, []awsiam.IRole{roles[product]}})
		}
	}
	setPolicy(stack, b.Products, prefix(stack), products)
	var hubs []publisher
	if role, ok := roles[hub]; ok {
		hubs = append(hubs, publisher{hub, []awsiam.IRole{role}})
	}
	setPolicy(stack, b.Hub, hubBus(stack), hubs)
}

// setPolicy denies a bus to every principal but the roles of the publishers,
// and to each of them every source but its own. The whole policy is a property
// of the bus, so that the bus never exists without it.
func setPolicy(stack awscdk.Stack, bus awsevents.EventBus, name string, publishers []publisher) {
	// The policy is a part of the bus and cannot refer to it.
	arn := stack.FormatArn(&awscdk.ArnComponents{
		Service: jsii.String("events"), Resource: jsii.String("event-bus"), ResourceName: jsii.String(name),
	})
	var all []*string
	statements := []awsiam.PolicyStatement{}
	for _, p := range publishers {
		var arns []*string
		for _, role := range p.roles {
			arns = append(arns, role.RoleArn())
		}
		all = append(all, arns...)
		statements = append(statements, denyPut(arn, "Only"+identifier(p.source), map[string]any{
			"ArnEquals":                   map[string]any{"aws:PrincipalArn": arns},
			"ForAnyValue:StringNotEquals": map[string]any{"events:source": p.source},
		}))
	}
	// An AWS service, such as EventBridge during a replay, is exempt from the
	// denial; it needs a permission like any other principal and gets none.
	others := map[string]any{"BoolIfExists": map[string]any{"aws:PrincipalIsAWSService": "false"}}
	if len(all) > 0 {
		others["ArnNotEquals"] = map[string]any{"aws:PrincipalArn": all}
	}
	statements = append([]awsiam.PolicyStatement{denyPut(arn, "OnlyPublishers", others)}, statements...)
	bare, ok := bus.Node().DefaultChild().(awsevents.CfnEventBus)
	if !ok {
		panic("the construct of a bus has no CloudFormation resource of a bus")
	}
	bare.SetPolicy(awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{
		Statements: &statements, Minimize: jsii.Bool(false),
	}))
}

func denyPut(bus *string, id string, conditions map[string]any) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String(id),
		Effect:     awsiam.Effect_DENY,
		Principals: &[]awsiam.IPrincipal{awsiam.NewStarPrincipal()},
		Actions:    jsii.Strings("events:PutEvents"),
		Resources:  &[]*string{bus},
		Conditions: &conditions,
	})
}

// identifier returns a product's name for outputs and statements, where only
// letters and digits are allowed.
func identifier(product string) string {
	var out strings.Builder
	for _, part := range strings.FieldsFunc(product, func(r rune) bool { return r == '_' || r == '.' }) {
		out.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return out.String()
}

// thisAccount is the account of the stack, as a principal of a trust policy.
const thisAccount = ""

// principal matches an account, or a role or user of an account. A wildcard
// would let strangers publish, so no part may be one.
var principal = regexp.MustCompile(`^(\d{12}|arn:aws[a-z-]*:iam::\d{12}:(root|(role|user)/[A-Za-z0-9+=,.@_/-]+))$`)

// checkPrincipals refuses names that are not principals.
func checkPrincipals(key string, names []string) error {
	for _, name := range names {
		if !principal.MatchString(name) {
			return fmt.Errorf("%s: %q is not a principal: give an account, like 111122223333, or the ARN of a role or user", key, name)
		}
	}
	return nil
}

// checkPublishers refuses principals of products without a publisher role.
func checkPublishers(publishers map[string][]string, rules []rule) error {
	var products []string
	for _, r := range rules {
		if r.Product != own {
			products = append(products, r.Product)
		}
	}
	for _, product := range slices.Sorted(maps.Keys(publishers)) {
		if !slices.Contains(products, product) {
			return fmt.Errorf("publishers: %q has no publisher role: want one of %v", product, products)
		}
	}
	return nil
}
