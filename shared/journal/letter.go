package journal

import (
	"time"

	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/render"
)

// LetterKept is how long a note of a dead letter is kept; SQS deletes the letter itself
// after 14 days.
const LetterKept = 30 * 24 * time.Hour

// maxMessage is the size of the reason in a note, in bytes.
const maxMessage = 800

// A Letter is the note that an event of an organization became a dead letter. The letter
// itself, with the event, is in a queue that only operators read.
type Letter struct {
	Event   id.Event
	Name    string // the qualified name of its type; empty when its envelope has none
	Reason  string // the code of a fault
	Message string
	At      time.Time
	Expires time.Time
}

// LetterOf returns the note of a dead letter of now.
func LetterOf(e id.Event, name, reason, message string, now time.Time) Letter {
	now = now.UTC().Truncate(time.Second)
	return Letter{Event: e, Name: name, Reason: reason, Message: render.Cut(message, maxMessage), At: now, Expires: now.Add(LetterKept)}
}
