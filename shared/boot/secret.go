package boot

import (
	"encoding/json"
	"errors"
)

// A Secret has the generations of a secret. During a rotation the previous one is
// still accepted; only the current one makes anything new.
type Secret struct {
	Current  string `json:"current"`
	Previous string `json:"previous"`
}

// errSecret says what the text of a secret must be; it does not quote it.
var errSecret = errors.New(`want {"current": "…"} or {"current": "…", "previous": "…"}`)

// ParseSecret returns the generations in the text of a secret.
func ParseSecret(text string) (Secret, error) {
	var fields map[string]string
	if err := json.Unmarshal([]byte(text), &fields); err != nil {
		return Secret{}, errSecret // without err, which may quote the text
	}
	s := Secret{Current: fields["current"], Previous: fields["previous"]}
	for name := range fields {
		if name != "current" && name != "previous" {
			return Secret{}, errSecret
		}
	}
	if s.Current == "" {
		return Secret{}, errSecret
	}
	return s, nil
}

// SecretNames returns the environment variables that hold the name of a secret. No
// variable holds a secret itself.
func SecretNames() []string {
	return []string{EnvHookSecret, EnvCursorSecret, EnvModelKey, EnvCallKey, EnvTracesHeaders}
}
