package model

import (
	"encoding/json"

	"theoneagents.app/agents/localstack/products/reply"
)

// MarshalJSON returns the recorded calls for saving. It leaves out the rules, which
// end with the program.
func (m *Model) MarshalJSON() ([]byte, error) { return json.Marshal(m.calls) }

// UnmarshalJSON restores saved calls.
func (m *Model) UnmarshalJSON(text []byte) error { return json.Unmarshal(text, m.calls) }

// UnmarshalJSON reads a saved call; its data stays unchanged.
func (c *Call) UnmarshalJSON(text []byte) error {
	type call Call
	read := struct {
		*call

		Response json.RawMessage `json:"response"`
	}{call: (*call)(c)}
	if err := json.Unmarshal(text, &read); err != nil {
		return err
	}
	c.Response = nil
	if read.Response == nil {
		return nil
	}
	said, err := reply.Decode[any](read.Response) // keeps all digits of numbers
	c.Response = said
	return err
}
