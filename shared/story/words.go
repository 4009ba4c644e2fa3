package story

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/render"
)

// The bounds of values in sentences, in characters, and of lists.
const (
	maxName   = 60
	maxValue  = 100
	maxReason = 300
	maxListed = 8 // parameters of an action, fields of an answer, names of steps
	maxTold   = 5 // recipients with the same result
)

// Outcome says how a run ended and why, or what it waits for: the end of a sentence
// that begins with the run.
func Outcome(x execution.Execution) string {
	if x.Held {
		return "is held, because the organization is paused. It goes on when the organization resumes."
	}
	switch x.Status {
	case execution.Pending:
		return "has not begun yet."
	case execution.Running:
		return "is running."
	case execution.WaitingApproval:
		return "waits for an approval."
	case execution.Completed:
		text := "completed after " + lasting(x.Duration()) + "." + spent(x)
		if x.Warnings > 0 {
			text += " It went on after " + counted(x.Warnings, "failed step", "failed steps") + ", as the agent says."
		}
		return text
	case execution.Failed:
		return "failed" + failure(x) + "." + spent(x)
	case execution.Cancelled:
		return "was cancelled" + cancellation(x) + "." + spent(x)
	}
	return "is " + string(x.Status) + "." // of a newer release
}

// failure says at which step a run failed and why.
func failure(x execution.Execution) string {
	if x.Error == nil {
		return ""
	}
	at := ""
	if x.Error.Step != "" {
		at = " at the step " + quoted(string(x.Error.Step), maxName)
	}
	return at + " (" + x.Error.Code + "): " + strings.TrimSuffix(lower(x.Error.Sentence()), ".")
}

// cancellation says why a run was cancelled, and by whom.
func cancellation(x execution.Execution) string {
	by := string(x.CancelledBy)
	if by == "" {
		by = "a person"
	}
	switch x.Reason {
	case execution.ApprovalDenied:
		return ", because " + by + " denied an approval"
	case execution.ApprovalExpired:
		return ", because an approval was not decided in time"
	case execution.CancelledByUser:
		return " by " + by
	case execution.AgentDeleted:
		return ", because " + by + " deleted its agent"
	case execution.OrgPaused:
		return ", because " + by + " paused the organization"
	case execution.OrgDeleted:
		return ", because the organization was deleted"
	}
	return ": " + string(x.Reason) // of a newer release
}

func spent(x execution.Execution) string {
	if x.Credits == 0 {
		return ""
	}
	return " It used " + counted(int(x.Credits), "credit", "credits") + "."
}

// credits says what the model's answer of a step cost.
func credits(s execution.TraceEntry) string {
	if s.Credits() == 0 {
		return ""
	}
	return "It cost " + counted(int(s.Credits()), "credit", "credits") + "."
}

// message returns the words for a message of a channel.
func message(c definition.Channel) string {
	switch c {
	case definition.SMS:
		return "text message"
	case definition.Email:
		return "e-mail"
	case definition.Slack:
		return "Slack message"
	case definition.Teams:
		return "Teams message"
	case definition.Webhook:
		return "webhook message"
	}
	return "message" // of a newer release
}

// aMessage is message with its article.
func aMessage(c definition.Channel) string {
	if c == definition.Email {
		return "an " + message(c)
	}
	return "a " + message(c)
}

// delivered says what became of the messages of a channel, in the order of their results.
func delivered(d execution.Delivery) string {
	var parts []string
	for _, status := range execution.DeliveryStatuses() {
		var to []string
		reason := ""
		for _, r := range d.Recipients {
			if r.Status != status {
				continue
			}
			to = append(to, quoted(d.Channel.Shown(r.Recipient), maxName))
			if reason == "" && r.Reason != "" {
				reason = ": " + quoted(definition.WithoutURLs(r.Reason), maxValue)
			}
		}
		if len(to) > 0 {
			parts = append(parts, fmt.Sprintf("The %s to %s %s%s.", message(d.Channel), listed(to, maxTold), result(status), reason))
		}
	}
	if d.NotTold != "" {
		parts = append(parts, "Left out: "+quoted(definition.WithoutURLs(d.NotTold), maxValue)+".")
	}
	return strings.Join(parts, " ")
}

// result returns what a status says about a message.
func result(s execution.DeliveryStatus) string {
	switch s {
	case execution.DeliveryPending:
		return "is not sent yet"
	case execution.DeliverySending:
		return "is being sent"
	case execution.DeliverySent:
		return "was sent"
	case execution.DeliveryFailed:
		return "failed"
	case execution.DeliveryUnknown:
		return "may have arrived and is not sent again"
	}
	return "is " + string(s) // of a newer release
}

// occasion returns the sentence about a message of a gate; empty where the line before it
// tells the same.
func occasion(on execution.Occasion) string {
	switch on {
	case execution.OnAsked, execution.OnEscalated:
		return ""
	case execution.OnReminded, execution.OnRemindedAgain:
		return "A reminder was due, because half of the time had passed."
	case execution.OnDecided:
		return "The people who had been asked were told of the decision."
	case execution.OnExpired:
		return "The people who had been asked were told that the time was over."
	case execution.OnWithdrawn:
		return "The people who had been asked were told that the question is withdrawn."
	}
	return string(on) + "." // of a newer release
}

// expiry says what happens without a decision.
func expiry(rule definition.OnExpiry, escalated bool) string {
	switch {
	case rule == definition.Approve:
		return "the run then goes on"
	case rule == definition.Escalate && !escalated:
		return "others are then asked"
	}
	return "the run is then cancelled" // Deny, and a question that was passed on
}

// quoted returns a value from outside in quotation marks, on one line and cut.
func quoted(text string, most int) string {
	q, _ := render.Quoted(text, most)
	return q
}

// shown returns a value of a document: numbers, true, false and null as they are,
// everything else quoted.
func shown(v any) string {
	switch v := v.(type) {
	case string:
		return quoted(v, maxValue)
	case []any, map[string]any:
		return quoted(jsonvalue.Canonical(v), maxValue)
	}
	return render.Within(jsonvalue.Canonical(v), maxValue)
}

// plainName reports whether the name of a field needs no quotation marks.
func plainName(name string) bool {
	return name != "" && len(name) <= maxName && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_'
	})
}

// field returns the name of a field.
func field(name string) string {
	if plainName(name) {
		return name
	}
	return quoted(name, maxName)
}

// fields returns the fields of a document in their order, each as tell says.
func fields(doc map[string]any, tell func(name string) string) string {
	var names, parts []string
	for name := range doc {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names[:min(len(names), maxListed)] {
		parts = append(parts, field(name)+" "+tell(name))
	}
	if more := len(names) - len(parts); more > 0 {
		parts = append(parts, render.Count(more)+" more")
	}
	return joined(parts)
}

// named lists the names of steps.
func named(names []string) string { return listed(names, maxListed) }

// listed returns the first words of a list, and the number of the others.
func listed(words []string, most int) string {
	if more := len(words) - most; more > 0 {
		words = append(slices.Clone(words[:most]), render.Count(more)+" more")
	}
	return joined(words)
}

func joined(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return render.Count(n) + " " + many
}

func lower(sentence string) string { return strings.ToLower(sentence[:1]) + sentence[1:] }

// Clock returns a time as sentences show it.
func Clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// lasting returns a duration in its two largest units, and a few seconds exactly.
func lasting(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	const few, tenth, day = 10 * time.Second, 100 * time.Millisecond, 24 * time.Hour
	if d < few {
		return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Truncate(tenth).Seconds()), ".0") + " s"
	}
	units := []struct {
		size time.Duration
		name string
	}{{day, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}}
	for i, u := range units {
		if d < u.size {
			continue
		}
		text := fmt.Sprintf("%d %s", d/u.size, u.name)
		if i+1 < len(units) && d%u.size >= units[i+1].size {
			text += fmt.Sprintf(" %d %s", d%u.size/units[i+1].size, units[i+1].name)
		}
		return text
	}
	return "" // it is longer than a second
}
