package model

import (
	"encoding/json"
	"net/http"

	"theoneagents.app/agents/localstack/products/reply"
)

// MarshalJSON returns the calls that the model remembers, to be kept. Its rules
// are not part of it: they end with the program.
func (m *Model) MarshalJSON() ([]byte, error) { return json.Marshal(m.calls) }

// UnmarshalJSON remembers calls that were kept.
func (m *Model) UnmarshalJSON(text []byte) error { return json.Unmarshal(text, m.calls) }

// UnmarshalJSON reads a call that was kept; data stays as it was written.
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
	said, err := reply.Decode[any](read.Response) // numbers keep their digits
	c.Response = said
	return err
}

// inForce tells which rules there are.
func (m *Model) inForce(w http.ResponseWriter, _ *http.Request) {
	reply.JSON(w, http.StatusOK, Script{Rules: m.rules.List()})
}
