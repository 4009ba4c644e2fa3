package tenant

import (
	"strings"

	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/render"
)

// MaxName bounds the stored name of an organization, in characters, since every
// event reads it.
const MaxName = 100

// nameOf returns the name of the organization in an event of the Hub, on one line
// and without invisible characters, and whether the event has one. A longer name is
// cut.
func nameOf(e event.Event) (string, bool) {
	text, _ := e.Payload["name"].(string)
	name := strings.Join(strings.Fields(render.Clean(text)), " ")
	return render.Beginning(name, MaxName), name != ""
}
