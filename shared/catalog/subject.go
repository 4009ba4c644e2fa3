package catalog

import (
	"strings"

	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/render"
)

// MaxSubject is the maximum length of a subject, in characters.
const MaxSubject = 80

// Subject returns the text of the payload that tells the event apart from others of
// its type, on one line and cut to MaxSubject; "" for a payload without it.
func (t EventType) Subject(payload map[string]any) string {
	v, ok := jsonvalue.Lookup(payload, t.Headline)
	if !ok || t.Headline == "" {
		return ""
	}
	text, isText := v.(string)
	if !isText {
		if text, ok = jsonvalue.NumberText(v); !ok {
			return ""
		}
	}
	const longest = 64 * MaxSubject // before the spaces are joined, so that the work is bounded
	text = strings.Join(strings.Fields(render.Clean(text[:min(len(text), longest)])), " ")
	return render.Beginning(text, MaxSubject-1)
}
