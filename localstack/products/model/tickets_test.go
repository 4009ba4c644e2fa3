package model

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"theoneagents.app/agents/shared/rehearsal/simulate"
)

// dispatchSchema is the output schema of the system agent Dispatch.
const dispatchSchema = `{"type": "object", "additionalProperties": false,
	"required": ["priority", "category", "required_skill", "urgency_notes", "draft_response"],
	"properties": {
		"priority": {"type": "string", "enum": ["p1", "p2", "p3", "p4"]},
		"category": {"type": "string", "enum": ["network", "security", "hardware", "software", "user_access", "general"]},
		"required_skill": {"type": "string", "enum": ["senior", "network", "security", "general"]},
		"urgency_notes": {"type": "string", "maxLength": 500},
		"draft_response": {"type": "string", "minLength": 1, "maxLength": 60}}}`

func valid(t *testing.T, schema string, answer []byte) error {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(schema)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("mem:///schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("mem:///schema.json")
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(answer))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(v)
}

func TestTicketsAreClassifiedByTheirWords(t *testing.T) {
	t.Parallel()

	tests := []struct {
		name, prompt              string
		category, priority, skill string
	}{
		{"a network outage is urgent and for seniors", "Subject: VPN down for all users", "network", "p1", "senior"},
		{"a phishing mail is for security", "I got a phishing mail", "security", "p3", "security"},
		{"ransomware is always urgent", "Ransomware on the file server", "security", "p1", "senior"},
		{"a broken screen blocks work", "The screen of my laptop is broken", "hardware", "p2", "general"},
		{"a crash is a matter of software", "Excel crashes at start", "software", "p3", "general"},
		{"a question about a password can wait", "How do I change my password?", "user_access", "p4", "general"},
		{"the rest is general", "Please order more coffee", "general", "p3", "general"},
		{"a download is not down", "The download of the report is slow", "general", "p3", "general"},
		{"names of fields and lists of answers say nothing", `Choose category: network, security, hardware, software, user_access or general.
			{"network_id": "n1", "subject": "Coffee"}`, "general", "p3", "general"},
		{
			"only what stands in tags counts, if anything does", "Is it urgent? Is the network down?\n<event_data>\n{\"subject\": \"printer jam\"}\n</event_data>\nAnswer when ready.",
			"hardware", "p3", "general",
		},
		{"a tag without an end is only text", "wifi is slow in <room 5>", "network", "p3", "network"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			text := simulate.Answer(json.RawMessage(dispatchSchema), classify(tt.prompt))
			if err := valid(t, dispatchSchema, text); err != nil {
				t.Fatal(err)
			}
			var got struct {
				Category string `json:"category"`
				Priority string `json:"priority"`
				Skill    string `json:"required_skill"`
			}
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{tt.category, tt.priority, tt.skill}, []string{got.Category, got.Priority, got.Skill}); diff != "" {
				t.Errorf("category, priority, skill (-want +got):\n%s", diff)
			}
		})
	}
}
