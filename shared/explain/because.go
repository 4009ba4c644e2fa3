package explain

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"theoneagents.app/agents/shared/activity"
	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/story"
)

// because returns the sentences about a record, or otherwise where it is empty.
func because(r Record, otherwise string) string {
	var said []string
	if r.Refusal != nil {
		said = append(said, "It did not start: "+sentence(r.Refusal.Detail))
	}
	if r.Run != nil {
		said = append(said, fmt.Sprintf("It started version %d.", r.Run.Version))
	}
	if len(said) == 0 {
		return otherwise
	}
	return strings.Join(said, " ")
}

// sentence returns words with one full stop.
func sentence(words string) string { return strings.TrimSuffix(words, ".") + "." }

// capital returns words with a capital letter.
func capital(words string) string { return strings.ToUpper(words[:1]) + words[1:] }

// otherTrigger names the event for which an agent listens. A change after the event may
// have changed that.
func otherTrigger(h agent.Head, e event.Event) string {
	say := fmt.Sprintf("It listens for %s.", h.Event())
	if h.Event() == "" {
		say = "It listens for another event."
	}
	switch at := moment(e); {
	case h.Created.After(at):
		return say + " It was created at " + story.Clock(h.Created) + ", after the event."
	case h.Updated.After(at):
		return say + " It was last changed at " + story.Clock(h.Updated) + ", after the event."
	}
	return say
}

// moment returns when an event was published, as exactly as it is known. Products tell
// whole seconds; the id of most events has the milliseconds. Without them the end of the
// second counts, so that nothing that happened within it counts as after the event.
func moment(e event.Event) time.Time {
	second := e.Published.Truncate(time.Second)
	if made, ok := id.TimeOf(e.ID); ok && made.Truncate(time.Second).Equal(second) {
		return made
	}
	if e.Published.Equal(second) {
		return second.Add(time.Second - time.Nanosecond)
	}
	return e.Published
}

// unhandled is the reason of silence where no other is known.
const unhandled = "It listened, and nothing is recorded: the event was not handled yet, or could not be."

// silence says why nothing is recorded of an event at an agent that listens for it.
func (s *Service) silence(ctx context.Context, o id.Org, h agent.Head, at time.Time) (string, error) {
	if h.Created.After(at) {
		return fmt.Sprintf("It was created at %s, after the event.", story.Clock(h.Created)), nil
	}
	log, err := s.Acts.Audit(ctx, o, audit.Query{Object: string(h.ID), Limit: maxActs})
	if err != nil {
		return "", err
	}
	var before, after *audit.Entry // the changes of the status around the event
	for _, act := range slices.Backward(log.Entries) {
		if statusIn(act.From) == statusIn(act.To) {
			continue
		}
		switch {
		case !act.At.After(at):
			before = &act
		case after == nil:
			after = &act
		}
	}
	was := h.Status
	if after != nil {
		was = statusIn(after.From)
	}
	switch was {
	case agent.Draft:
		return "It was a draft" + until(after) + ".", nil
	case agent.Paused:
		return "It was paused" + since(before) + until(after) + ".", nil
	case agent.Invalid:
		return "It was out of service, because the catalogue no longer had something that it needs.", nil
	case agent.Active:
	}
	if s.Now().Sub(at) >= activity.Kept {
		return fmt.Sprintf("Refusals are kept for %d days, and none is left.", int(activity.Kept.Hours()/24)), nil
	}
	if h.Updated.After(at) {
		return "Nothing is recorded. It was last changed at " + story.Clock(h.Updated) + ", after the event, and may have listened for another event before.", nil
	}
	return unhandled, nil
}

// statusIn returns the status in a state of the audit log, such as "version 2, active".
func statusIn(state string) agent.Status {
	_, status, ok := strings.Cut(state, ", ")
	if !ok {
		status = state
	}
	return agent.Status(status)
}

func since(act *audit.Entry) string {
	if act == nil {
		return ""
	}
	return fmt.Sprintf(" from %s (%s)", story.Clock(act.At), act.Actor)
}

func until(act *audit.Entry) string {
	if act == nil {
		return ", and still is"
	}
	return fmt.Sprintf(" until %s (%s)", story.Clock(act.At), act.Actor)
}

// cut parts the qualified name of an event.
func cut(name string) (product, kind string) {
	product, kind, _ = strings.Cut(name, ":")
	return product, kind
}
