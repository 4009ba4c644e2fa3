package stories_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"theoneagents.app/agents/localstack/local/cloud"
)

// entry returns an event of the organization as a source puts it on a bus. Its
// envelope agrees with the source, so that only the bus can refuse it.
func (o *org) entry(bus, source, detailType string, payload doc) types.PutEventsRequestEntry {
	o.t.Helper()
	detail, err := json.Marshal(o.envelope(source, detailType, payload))
	if err != nil {
		o.t.Fatal(err)
	}
	return types.PutEventsRequestEntry{EventBusName: &bus, Source: &source, DetailType: &detailType, Detail: aws.String(string(detail))}
}

// denied reports whether the bus refused a call for want of a permission.
func denied(err error) bool {
	e, ok := errors.AsType[smithy.APIError](err)
	return ok && e.ErrorCode() == "AccessDeniedException"
}

func TestAPublisherSpeaksForItsProductOnly(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	stranger := open(t).unannounced(t)
	o.agentOn("rmm", "device.offline", note("tell", "forged"))
	o.agent(note("tell", "true"))
	products, hub := o.outputs.Bus, o.outputs.HubBus
	ticket := doc{"ticket_id": "tkt_1", "escalated_to": "p1"}
	device := doc{"device_id": "dev_1"}
	suspended := doc{"reason": "unpaid"}

	as := func(product string) *eventbridge.Client {
		api, err := o.bus.As(product)
		if err != nil {
			t.Fatal(err)
		}
		return api
	}
	account := eventbridge.NewFromConfig(cloud.Config(o.outputs.Endpoint)) // may do everything but pass the policy of a bus
	foreign := cloud.Config(o.outputs.Endpoint)
	foreign.Credentials = credentials.NewStaticCredentialsProvider("AKIAUNKNOWN", "secret", "")

	for name, tc := range map[string]struct {
		api     *eventbridge.Client
		entries []types.PutEventsRequestEntry
	}{
		"another product's event": {as("psa"), []types.PutEventsRequestEntry{o.entry(products, "rmm", "device.offline", device)}},
		"another product's beside its own": {as("psa"), []types.PutEventsRequestEntry{
			o.entry(products, "psa", "ticket.escalated", ticket), o.entry(products, "rmm", "device.offline", device),
		}},
		"its own source in capitals":        {as("psa"), []types.PutEventsRequestEntry{o.entry(products, "PSA", "ticket.escalated", ticket)}},
		"a wildcard for a source":           {as("psa"), []types.PutEventsRequestEntry{o.entry(products, "*", "ticket.escalated", ticket)}},
		"an event of the platform":          {as("psa"), []types.PutEventsRequestEntry{o.entry(products, "agents", "execution.failed", doc{})}},
		"the Hub's event on its own bus":    {as("psa"), []types.PutEventsRequestEntry{o.entry(products, "hub", "org.suspended", suspended)}},
		"the Hub's event on the Hub's bus":  {as("psa"), []types.PutEventsRequestEntry{o.entry(hub, "hub", "org.suspended", suspended)}},
		"its own event on the Hub's bus":    {as("psa"), []types.PutEventsRequestEntry{o.entry(hub, "psa", "ticket.escalated", ticket)}},
		"a new organization":                {as("psa"), []types.PutEventsRequestEntry{stranger.entry(products, "hub", "org.created", doc{"plan": "scale"})}},
		"the Hub on the products' bus":      {as("hub"), []types.PutEventsRequestEntry{o.entry(products, "hub", "org.suspended", suspended)}},
		"the Hub for a product":             {as("hub"), []types.PutEventsRequestEntry{o.entry(products, "rmm", "device.offline", device)}},
		"a product's source from the Hub":   {as("hub"), []types.PutEventsRequestEntry{o.entry(hub, "rmm", "device.offline", device)}},
		"the account without a role":        {account, []types.PutEventsRequestEntry{o.entry(products, "rmm", "device.offline", device)}},
		"the account for the Hub":           {account, []types.PutEventsRequestEntry{o.entry(hub, "hub", "org.suspended", suspended)}},
		"the account for the platform":      {account, []types.PutEventsRequestEntry{o.entry(products, "agents", "execution.failed", doc{})}},
		"a key that the account never made": {eventbridge.NewFromConfig(foreign), []types.PutEventsRequestEntry{o.entry(products, "rmm", "device.offline", device)}},
	} {
		out, err := tc.api.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: tc.entries})
		if !denied(err) {
			t.Errorf("%s: %v, %+v; want access denied", name, err, out)
		}
	}

	o.publish("psa", "ticket.escalated", ticket) // handled after everything before it
	o.ends(o.run())
	if forged := o.done("add_note"); len(forged) != 1 {
		t.Errorf("notes: %v, want that of the true event", forged)
	}
	if got := stranger.get("/api/agents").status; got != http.StatusForbidden {
		t.Errorf("a forged organization answers %d", got)
	}
	o.must(http.StatusOK, o.get("/api/agents")) // not suspended
}

// deliver writes an event into the queue of events as it is. The emulator's bus
// would keep the last of two values with the same name.
func (o *org) deliver(source, detailType, detail string) {
	o.t.Helper()
	body := fmt.Sprintf(`{"source":%q,"detail-type":%q,"detail":%s}`, source, detailType, detail)
	if _, err := sqs.NewFromConfig(o.config).SendMessage(context.Background(), &sqs.SendMessageInput{QueueUrl: &o.outputs.Events, MessageBody: &body}); err != nil {
		o.t.Fatal(err)
	}
}

func TestAnEventWithDoubledOrFoldedNamesIsReadOneWay(t *testing.T) {
	t.Parallel()

	victim := open(t).tenant(t)
	victim.agent(note("tell", "forged"))
	o := open(t).tenant(t)
	o.agent(note("tell", "true"))
	body, err := json.Marshal(o.envelope("psa", "ticket.escalated", doc{"ticket_id": "tkt_1", "escalated_to": "p1"}))
	if err != nil {
		t.Fatal(err)
	}
	own, other := `"org_id":"`+o.name+`"`, `"org_id":"`+victim.name+`"`
	doubled := []string{
		own + "," + other,
		other + "," + own,
		own + `,"\u006frg_id":"` + victim.name + `"`,
		own + `,"source_product":"hub"`,
	}
	for _, names := range doubled {
		o.deliver("psa", "ticket.escalated", strings.Replace(string(body), own, names, 1))
	}
	o.eventually("all are dead letters", func() bool { // a letter is listed under the last of its organizations
		return strings.Count(o.reasons()+victim.reasons(), "malformed") == len(doubled)
	})

	folded := strings.Replace(string(body), own, own+`,"ORG_ID":"`+victim.name+`","Payload":{"ticket_id":"tkt_2"}`, 1)
	o.put("psa", "ticket.escalated", folded) // names in capitals mean nothing
	if x := o.ends(o.run()); text(x, "trigger_event", "payload", "ticket_id") != "tkt_1" || len(victim.runs()) != 0 {
		t.Errorf("the run is %v; of the other organization: %v", x, victim.runs())
	}
}

// TestTheBusesObeyTheirPolicies keeps the other stories honest: the emulator
// really has the policies of the template.
func TestTheBusesObeyTheirPolicies(t *testing.T) {
	t.Parallel()

	o := open(t)
	api := eventbridge.NewFromConfig(o.config)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for bus, role := range map[string]string{o.outputs.Bus: o.outputs.Publishers["psa"], o.outputs.HubBus: o.outputs.Publishers["hub"]} {
		found, err := api.DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{Name: &bus})
		if err != nil {
			t.Fatal(err)
		}
		if policy := aws.ToString(found.Policy); role == "" || !strings.Contains(policy, role) || !strings.Contains(policy, "events:source") {
			t.Errorf("%s has the policy %s, want one about %s", bus, policy, role)
		}
	}
}
