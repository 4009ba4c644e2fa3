package cloud

import (
	"encoding/json"
	"fmt"
	"os"
)

// Outputs say where everything is. Tests, people and tools read them from
// outputs.json in the state folder.
type Outputs struct {
	API         string `json:"api_url"`
	Endpoint    string `json:"endpoint_url"`
	Region      string `json:"region"`
	Bus         string `json:"bus_name"`
	Table       string `json:"table_name"`
	Products    string `json:"products_url"`
	Hook        string `json:"hook_url"`
	Docs        string `json:"docs_url"`
	Origin      string `json:"origin"`
	DeadLetters string `json:"dead_letter_queue_url"`
	Events      string `json:"events_queue_url"`
	Undelivered string `json:"undelivered_queue_url"`
	Runs        string `json:"runs_machine_arn"`
	Waits       string `json:"waits_machine_arn"`

	// Stack is every output of the CDK app under its own name.
	Stack map[string]string `json:"stack"`
}

// NewOutputs returns the outputs of a stack that was deployed to endpoint, for
// products at the URL products.
func NewOutputs(endpoint, products string, stack map[string]string) Outputs {
	api := endpoint + "/_aws/execute-api/" + stack["ApiId"] + "/$default"
	return Outputs{
		API: api, Endpoint: endpoint, Region: Region,
		Bus: stack["BusName"], Table: stack["TableName"],
		Products: products, Hook: products + "/hooks/{org}/{channel}",
		Docs: api + "/docs", Origin: endpoint,
		DeadLetters: stack["DeadLetterQueueUrl"], Events: stack["EventsQueueUrl"], Undelivered: stack["UndeliveredQueueUrl"],
		Runs: stack["RunsMachineArn"], Waits: stack["WaitsMachineArn"],
		Stack: stack,
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

// Write writes o to a file, which is there whole or not at all.
func (o Outputs) Write(path string) error {
	text, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		return err
	}
	return replace(path, append(text, '\n'))
}

func replace(path string, text []byte) error {
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
