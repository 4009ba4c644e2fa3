package definition

import (
	"theoneagents.app/agents/shared/jsonvalue"
)

// Placeholders returns, without duplicates, the recipients of a definition that no
// message can reach: addresses, numbers and hosts that are reserved for examples.
func (r Rules) Placeholders(d Definition) []string {
	var found []string
	jsonvalue.EachText("steps", d.Document()["steps"], func(_, text string) {
		if r.isReserved(text) {
			found = append(found, text)
		}
	})
	return distinct(found)
}
