package agent

import (
	"errors"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"theoneagents.app/agents/shared/fault"
)

// ErrRecipient refuses somebody who cannot be reached.
var ErrRecipient = fault.New(fault.Invalid, "invalid_recipient", "The recipient cannot be reached.")

// errElsewhere refuses schemas that are not in the definition.
var errElsewhere = errors.New("a schema may refer only to its own parts")

// nowhere loads nothing: a tenant's schema must not make us read files or URLs.
type nowhere struct{}

func (nowhere) Load(string) (any, error) { return nil, errElsewhere }

// CompileSchema returns the JSON Schema (draft 2020-12 unless it says
// otherwise) that doc describes.
func CompileSchema(doc map[string]any) (*jsonschema.Schema, error) {
	const name = "urn:output"
	c := jsonschema.NewCompiler()
	c.UseLoader(nowhere{})
	if err := c.AddResource(name, doc); err != nil {
		return nil, err
	}
	return c.Compile(name)
}

// faultMessage returns what a fault says, without its code.
func faultMessage(err error) string { return fault.From(err).Message }
