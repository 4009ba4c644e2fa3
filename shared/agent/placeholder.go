package agent

import (
	"slices"

	"theoneagents.app/agents/shared/fault"
)

// placeholders returns what a definition has in place of real recipients: the
// addresses, numbers and hosts in it that are reserved for examples, each once.
func (r Rules) placeholders(d Definition) []string {
	var found []string
	eachText("steps", d.document()["steps"], func(_, text string) {
		if r.isReserved(text) {
			found = append(found, text)
		}
	})
	return each(found)
}

// unfilled names each place where a placeholder of the agent's template still
// stands.
func (a Agent) unfilled() []fault.Detail {
	if len(a.Placeholders) == 0 {
		return nil
	}
	var left []fault.Detail
	eachText("steps", a.Definition.document()["steps"], func(path, text string) {
		if slices.Contains(a.Placeholders, text) {
			left = append(left, fault.Detail{
				Path:    path,
				Message: text + " is a placeholder of the template and reaches nobody; put a real recipient in its place",
			})
		}
	})
	return left
}
