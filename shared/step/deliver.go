package step

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/render"
)

// What became of a message to one recipient.
const (
	waiting = "pending"
	sending = "sending"
	sent    = "sent"
	refused = "failed"
	unknown = "unknown" // it may have been sent; it is not sent again
)

// A delivery is a message to one recipient, and what became of it.
type delivery struct {
	Message

	status string
	reason string // why it failed, or why its outcome is unknown
	fault  error  // why there is no address to send it to

	recorded string    // the status that stands in the record
	tries    int       // how often it was sent
	due      time.Time // before which it is not sent again
}

// deliveries are the messages of one step or of one channel of a gate.
type deliveries struct {
	channel definition.Channel
	list    []*delivery
	leftOut int // recipients beyond agent.MaxRecipients
}

// deliveries returns a message for each recipient of a channel. A recipient
// whose address cannot be told fails alone. A list, which a placeholder may
// become, is spread, and each address is told once. The key of a message begins
// with m.Key and follows from the recipient's place in the definition, within a
// list from the address, so that it is the same at every try.
func (s *Service) deliveries(t Task, n definition.Notify, m Message) deliveries {
	m.Org, m.Execution, m.Agent, m.Channel = t.Run.Org, t.Run.ID, t.Run.Agent, n.Channel
	out, known := deliveries{channel: n.Channel}, map[string]bool{}
	for i, text := range n.Recipients {
		key := m.Key + ":" + strconv.Itoa(i)
		for _, a := range addressees(s.Rules, n.Channel, text, t.Scope) {
			d := &delivery{Message: m, status: waiting, fault: a.fault}
			d.Recipient, d.Key = a.to, key
			if a.spread {
				d.Key += ":" + id.Digest(a.to)
			}
			if a.fault != nil {
				d.status, d.reason = refused, sentence(fault.From(a.fault).Message)
			}
			once := strings.ToLower(a.to)
			if n.Channel != definition.Email {
				once = a.to
			}
			switch {
			case known[once]:
			case len(out.list) == definition.MaxRecipients:
				out.leftOut++
			default:
				out.list = append(out.list, d)
			}
			known[once] = true
		}
	}
	return out
}

// An addressee is one recipient that a text of a definition names.
type addressee struct {
	to     string // its address; where there is none, what was written
	fault  error
	spread bool // it is one of a list
}

// addressees returns the recipients that a text of a definition names. A value
// is encoded for the URL that it is a part of, and one that is the whole address
// is taken as it is.
func addressees(rules definition.Rules, c definition.Channel, text string, s render.Scope) []addressee {
	v, err := address(c, text, s)
	if err != nil {
		return []addressee{{to: text, fault: err}}
	}
	list, isList := v.([]any)
	switch {
	case !isList:
		list = []any{v}
	case len(list) == 0:
		return []addressee{{to: text, fault: definition.ErrRecipient.Sayf("The list is empty.")}}
	}
	var out []addressee
	for _, v := range list {
		out = append(out, named(rules, c, text, v)...)
	}
	for i := range out {
		out[i].spread = isList || len(out) > 1
	}
	return out
}

// named returns the recipients that a value of a text names.
func named(rules definition.Rules, c definition.Channel, text string, v any) []addressee {
	switch jsonvalue.Kind(v) {
	case "a string", "a number":
	case "null":
		return []addressee{{to: text, fault: definition.ErrRecipient.Sayf("The recipient is null.")}}
	default:
		return []addressee{{to: text, fault: definition.ErrRecipient.Sayf("The recipient is %s, not an address.", jsonvalue.Kind(v))}}
	}
	written := render.String(v)
	var out []addressee
	for _, one := range c.Recipients(written) {
		a := addressee{to: one}
		if to, err := rules.Recipient(c, one); err != nil {
			a.fault = err
		} else {
			a.to = to
		}
		if strings.TrimSpace(one) == "" {
			a.to = text // an empty text would not show which recipient it is
		}
		out = append(out, a)
	}
	return out
}

// address returns what the placeholders of a recipient become, or
// render.ErrTemplate.
func address(c definition.Channel, text string, s render.Scope) (any, error) {
	if render.Alone(text) {
		return render.Value(text, s)
	}
	switch c {
	case definition.Slack, definition.Teams, definition.Webhook:
		return render.Encoded(text, s, render.Percent)
	case definition.SMS, definition.Email:
	}
	return render.Text(text, s)
}

// resume takes over what an earlier try, which died, has recorded. The recipient
// decides which record is whose: a list may have changed since. What was being
// sent may have been sent, and is not sent again; of whom the list no longer
// names, the record is kept.
func (ds *deliveries) resume(outcome any) {
	output, _ := outcome.(map[string]any)
	list, _ := output["recipients"].([]any)
	used := make([]bool, len(list))
	for _, d := range ds.list {
		for i, v := range list {
			entry, _ := v.(map[string]any)
			if used[i] || entry["recipient"] != render.Cut(d.Recipient, maxShown) {
				continue
			}
			used[i] = true
			d.take(entry)
			break
		}
	}
	for i, v := range list {
		entry, _ := v.(map[string]any)
		if recipient, _ := entry["recipient"].(string); !used[i] {
			gone := &delivery{status: waiting}
			gone.Channel, gone.Recipient = ds.channel, recipient
			if gone.take(entry); gone.status != waiting && gone.status != refused {
				ds.list = append(ds.list, gone)
			}
		}
	}
}

// take takes over a recorded outcome.
func (d *delivery) take(entry map[string]any) {
	status, _ := entry["status"].(string)
	reason, _ := entry["reason"].(string)
	switch status {
	case sending:
		d.status, d.reason = unknown, "The worker that sent it crashed; the message may have arrived."
	case sent, refused, unknown:
		d.status, d.reason = status, reason
	}
	d.recorded = status
}

// deliver sends the messages that wait, and writes into each what became of it.
// Where a channel has no idempotency key, intend is called before. A recipient
// that asks to be left alone for a while does not hold up the others.
func (s *Service) deliver(ctx context.Context, t Task, ds deliveries, intend func() error) (tries int, err error) {
	for ctx.Err() == nil {
		d := ds.next()
		if d == nil {
			break
		}
		if pause := d.due.Sub(s.Now()); pause > 0 && s.Sleep(ctx, pause) != nil {
			break
		}
		if !repeatable(ds.channel) && d.recorded != sending {
			d.status = sending
			if err := intend(); err != nil {
				return tries, fmt.Errorf("intend: %w", err)
			}
			ds.record()
		}
		s.send(ctx, t, d)
		tries = max(tries, d.tries)
	}
	for _, d := range ds.list {
		if d.status == waiting && d.reason == "" {
			d.reason = "The time was over before its turn came."
		}
	}
	return tries, nil
}

// next returns the message that may be sent first, or nil when none waits.
func (ds *deliveries) next() *delivery {
	var first *delivery
	for _, d := range ds.list {
		if d.status == waiting && (first == nil || d.due.Before(first.due)) {
			first = d
		}
	}
	return first
}

// record notes that the outcomes so far stand in the record.
func (ds *deliveries) record() {
	for _, d := range ds.list {
		d.recorded = d.status
	}
}

// send sends one message once, and writes down what became of it.
func (s *Service) send(ctx context.Context, t Task, d *delivery) {
	sender, ok := s.Senders[d.Channel]
	if !ok {
		d.status, d.reason = refused, "The channel "+string(d.Channel)+" is not set up."
		return
	}
	d.tries++
	err := sender.Send(ctx, d.Message)
	if err == nil {
		d.status, d.reason = sent, ""
		return
	}
	pause, err := s.again(ctx, t, d.tries, err)
	switch {
	case err == nil:
		d.status, d.due = waiting, s.Now().Add(pause)
	case errors.Is(err, ErrAgain), errors.Is(err, ErrNotification), repeatable(d.Channel):
		d.status, d.reason = refused, sentence(reasonOf(err))
	default:
		d.status, d.reason = unknown, sentence(reasonOf(err)+"; the message may have arrived")
	}
}

// has reports whether the outcome of a message is one of these.
func (ds *deliveries) has(statuses ...string) bool {
	for _, d := range ds.list {
		if slices.Contains(statuses, d.status) {
			return true
		}
	}
	return false
}

// failure returns why no recipient was told: the fault that all addresses share,
// or ErrNotification, with the first reason.
func (ds *deliveries) failure() error {
	first, shared := ds.list[0], true
	for _, d := range ds.list {
		shared = shared && d.fault != nil && fault.From(d.fault).Code == fault.From(first.fault).Code
	}
	code := ErrNotification
	if shared {
		code = fault.From(first.fault)
	}
	if len(ds.list) == 1 {
		return code.Sayf("%s", first.reason)
	}
	return code.Sayf("None of %d recipients could be told. The first, %.100q: %s", len(ds.list), first.Recipient, first.reason)
}

// outcome returns what became of the messages, as the trace shows it.
func (ds *deliveries) outcome() map[string]any {
	list := make([]any, 0, len(ds.list))
	for _, d := range ds.list {
		entry := map[string]any{"recipient": render.Cut(d.Recipient, maxShown), "status": d.status}
		if d.reason != "" {
			entry["reason"] = render.Cut(d.reason, maxReason)
		}
		list = append(list, entry)
	}
	out := map[string]any{"channel": string(ds.channel), "recipients": list}
	if ds.leftOut > 0 {
		out["not_told"] = fmt.Sprintf("%d more recipients; a message goes to at most %d.", ds.leftOut, definition.MaxRecipients)
	}
	return out
}

// maxReason is how much of the reason of one recipient is kept, in bytes.
const maxReason = 400

// sentence returns words as a sentence.
func sentence(words string) string {
	if words == "" {
		return ""
	}
	return strings.ToUpper(words[:1]) + strings.TrimRight(words[1:], ".") + "."
}
