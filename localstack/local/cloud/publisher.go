package cloud

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// hub is the product with a bus of its own.
const hub = "hub"

// A Publisher puts events on the buses, in the role of their product: the buses
// refuse every other principal.
type Publisher struct {
	bus, hub string            // names of the buses
	roles    map[string]string // ARNs of the roles by product
	session  string            // name of the sessions of the roles
	config   aws.Config

	mu      sync.Mutex
	clients map[string]*eventbridge.Client // by product
}

// NewPublisher returns the publisher of a stack with these outputs. The
// credentials of config assume the roles; session names their sessions in the
// logs of AWS.
func NewPublisher(config aws.Config, session string, stack map[string]string) *Publisher {
	return &Publisher{
		bus: stack["BusName"], hub: stack["HubBusName"], roles: publisherRoles(stack),
		session: session, config: config, clients: map[string]*eventbridge.Client{},
	}
}

// publisherRoles returns the publisher roles among the outputs of a stack, by
// product.
func publisherRoles(stack map[string]string) map[string]string {
	roles := map[string]string{}
	for name, arn := range stack {
		if _, product, found := strings.Cut(arn, "-publish-"); found && strings.HasPrefix(name, "PublisherRole") {
			roles[product] = arn
		}
	}
	return roles
}

// As returns a client with the rights of a product.
func (p *Publisher) As(product string) (*eventbridge.Client, error) {
	role, ok := p.roles[product]
	if !ok {
		return nil, fmt.Errorf("%s has no publisher role, so no bus takes its events", product)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.clients[product] == nil {
		c := p.config.Copy()
		c.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(p.config), role, func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName = p.session
		}))
		p.clients[product] = eventbridge.NewFromConfig(c)
	}
	return p.clients[product], nil
}

// BusOf returns the name of the bus for the events of a product.
func (p *Publisher) BusOf(product string) string {
	if product == hub {
		return p.hub
	}
	return p.bus
}

// Put puts an event on the bus of its source.
func (p *Publisher) Put(ctx context.Context, source, detailType, detail string) error {
	api, err := p.As(source)
	if err != nil {
		return err
	}
	out, err := api.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
		EventBusName: aws.String(p.BusOf(source)), Source: &source, DetailType: &detailType, Detail: &detail,
	}}})
	if err != nil {
		return err
	}
	if out.FailedEntryCount > 0 { // EventBridge reports a refusal with status 200
		e := out.Entries[0]
		return &Refusal{Code: aws.ToString(e.ErrorCode), Message: aws.ToString(e.ErrorMessage)}
	}
	return nil
}

// A Refusal is EventBridge's error for one entry of a successful request.
type Refusal struct{ Code, Message string }

func (r *Refusal) Error() string { return r.Code + ": " + r.Message }
