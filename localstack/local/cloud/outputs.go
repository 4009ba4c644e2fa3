package cloud

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
)

// Outputs are the addresses and names of a deployed system. Tests, people and
// tools read them from outputs.json in the state folder.
type Outputs struct {
	API         string `json:"api_url"`
	Endpoint    string `json:"endpoint_url"`
	Region      string `json:"region"`
	Bus         string `json:"bus_name"`     // of the products
	HubBus      string `json:"hub_bus_name"` // of the Hub
	Table       string `json:"table_name"`
	Products    string `json:"products_url"`
	Console     string `json:"console_url"`
	Hook        string `json:"hook_url"`
	Docs        string `json:"docs_url"`
	Origin      string `json:"origin"`
	DeadLetters string `json:"dead_letter_queue_url"`
	Events      string `json:"events_queue_url"`
	Undelivered string `json:"undelivered_queue_url"`
	Runs        string `json:"runs_machine_arn"`
	Waits       string `json:"waits_machine_arn"`

	// Publishers has the ARN of each product's publisher role.
	Publishers map[string]string `json:"publisher_roles"`

	// Mark identifies the checkout that started the emulator; it is empty when
	// this project has not started it.
	Mark string `json:"mark,omitempty"`

	// Stack has every output of the CDK app by its name there.
	Stack map[string]string `json:"stack"`
}

// NewOutputs returns the outputs of a stack that was deployed to the emulator at
// endpoint, which has the mark, beside these stand-ins.
func NewOutputs(endpoint, mark string, stands Stands, stack map[string]string) Outputs {
	api := endpoint + "/_aws/execute-api/" + stack["ApiId"] + "/$default"
	return Outputs{
		API: api, Endpoint: endpoint, Region: Region,
		Bus: stack["BusName"], HubBus: stack["HubBusName"], Publishers: publisherRoles(stack), Table: stack["TableName"],
		Products: stands.Products, Console: stands.Console, Hook: stands.Products + "/hooks/{org}/{channel}",
		Docs: api + "/docs", Origin: endpoint,
		DeadLetters: stack["DeadLetterQueueUrl"], Events: stack["EventsQueueUrl"], Undelivered: stack["UndeliveredQueueUrl"],
		Runs: stack["RunsMachineArn"], Waits: stack["WaitsMachineArn"],
		Mark: mark, Stack: stack,
	}
}

// ReadOutputs reads outputs from a file.
func ReadOutputs(path string) (Outputs, error) {
	var o Outputs
	text, err := os.ReadFile(path) //nolint:gosec // the operator's path.
	if err != nil {
		return o, err
	}
	if err := json.Unmarshal(text, &o); err != nil {
		return o, fmt.Errorf("read %s: %w", path, err)
	}
	return o, nil
}

// Present returns an error unless the emulator of these outputs answers at its
// endpoint.
func (o Outputs) Present(ctx context.Context, client *http.Client) error {
	answer, mark := Look(ctx, client, o.Endpoint)
	switch {
	case answer != Emulator:
		return fmt.Errorf("the emulator at %s has ended: make run starts it again, with its data", o.Endpoint)
	case o.Mark != "" && mark != o.Mark:
		return fmt.Errorf("the emulator at %s has ended and another one (%s) answers there: make run starts it again, with its data", o.Endpoint, cmp.Or(mark, "without a mark"))
	}
	return nil
}

// Write writes o to a file atomically.
func (o Outputs) Write(path string) error {
	text, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		return err
	}
	return Replace(path, append(text, '\n'))
}

// Replace replaces the text of a file atomically.
func Replace(path string, text []byte) error {
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
