package definition

import (
	"theoneagents.app/agents/shared/jsonvalue"
)

// Placeholders returns the recipients of a definition that reach nobody: the
// addresses, numbers and hosts in it that are reserved for examples, each once.
func (r Rules) Placeholders(d Definition) []string {
	var found []string
	jsonvalue.EachText("steps", d.Document()["steps"], func(_, text string) {
		if r.isReserved(text) {
			found = append(found, text)
		}
	})
	return each(found)
}
