package main

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"theoneagents.app/agents/localstack/local/cloud"
	"theoneagents.app/agents/localstack/local/steps"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/dynamo/schema"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
)

// checkOrg returns a misuse unless s is a valid id of an organization.
func checkOrg(s string) error {
	if _, ok := id.ParseOrg(s); ok {
		return nil
	}
	return misusef("%q is not an organization id: an id is org_ and up to 40 letters or digits, like %s", s, demoOrg)
}

// newOrg creates an organization, or changes the plan of a known one.
func newOrg(ctx context.Context, w world, args []string) error {
	f, state := flags(w, "org")
	org := f.String("org", "", "organization")
	plan := f.String("plan", string(credit.Growth), "starter, growth or scale")
	if err := parse(f, args); err != nil {
		return err
	}
	if *org == "" {
		return misusef("the organization is missing: make org ORG=org_acme [PLAN=growth]")
	}
	if err := checkOrg(*org); err != nil {
		return err
	}
	if plans := []string{string(credit.Starter), string(credit.Growth), string(credit.Scale)}; !slices.Contains(plans, *plan) {
		return misusef("there is no plan %q: a plan is %s", *plan, strings.Join(plans, ", "))
	}
	h := home(*state)
	o, err := h.readOutputs(ctx, w)
	if err != nil {
		return err
	}
	owner, err := w.as(h, o, *org)
	if err != nil {
		return err
	}
	known := owner.known(ctx) == nil
	if err := seed(ctx, w, steps.Reporter{Out: w.out, Now: w.now}, o, owner, *org, *plan); err != nil {
		return err
	}
	if known {
		e := newEvent("hub", "subscription.changed", *org, json.RawMessage(`{"plan":"`+*plan+`"}`), w.now())
		if err := put(ctx, o, e); err != nil {
			return err
		}
		w.say("%s exists already; its plan becomes %s.", *org, *plan)
	}
	w.say("make -s token ORG=%s prints a session of its owner.", *org)
	return nil
}

// orgsLike returns known organizations with a similar id, as the end of a
// sentence, or an empty string when the table cannot be read.
func (w world) orgsLike(ctx context.Context, o cloud.Outputs, org string) string {
	names := orgs(ctx, o)
	if len(names) == 0 {
		return ""
	}
	return " (known: " + fault.Offer(org, names) + ")"
}

// orgs returns the known organizations. It reads the whole table, which is only
// done on a laptop.
func orgs(ctx context.Context, o cloud.Outputs) []string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	const record = "ORG"
	pages := dynamodb.NewScanPaginator(dynamodb.NewFromConfig(cloud.Config(o.Endpoint)), &dynamodb.ScanInput{
		TableName:                 aws.String(o.Table),
		FilterExpression:          aws.String("#sk = :record"),
		ProjectionExpression:      aws.String("#pk"),
		ExpressionAttributeNames:  map[string]string{"#pk": schema.PartitionKey, "#sk": schema.SortKey},
		ExpressionAttributeValues: map[string]types.AttributeValue{":record": &types.AttributeValueMemberS{Value: record}},
	})
	var names []string
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return names
		}
		for _, item := range page.Items {
			if pk, ok := item[schema.PartitionKey].(*types.AttributeValueMemberS); ok {
				names = append(names, strings.TrimPrefix(pk.Value, record+"#"))
			}
		}
	}
	slices.Sort(names)
	return names
}
