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
	"theoneagents.app/agents/shared/quota"
	"theoneagents.app/agents/shared/render"
	"theoneagents.app/agents/shared/span"
)

// The states of a message to one recipient.
const (
	waiting = "pending"
	sending = "sending"
	sent    = "sent"
	refused = "failed"
	unknown = "unknown" // possibly sent, so not sent again
)

// A delivery is a message to one recipient with its state.
type delivery struct {
	Message

	status string
	reason string // of the status failed or unknown
	fault  error  // set if the recipient has no valid address

	recorded string    // status in the record
	tries    int       // number of attempts
	due      time.Time // earliest time of the next attempt
}

// deliveries are the messages of one step or of one channel of a gate.
type deliveries struct {
	channel definition.Channel
	list    []*delivery
	key     string // of the messages together
	leftOut int    // recipients beyond agent.MaxRecipients
}

// deliveries returns a message for each recipient of a channel. A recipient
// whose address is invalid fails alone. A placeholder may become a list; it is
// expanded, and duplicate addresses are dropped. The key of a message is m.Key
// with the recipient's position in the definition and, within a list, its
// address, so that it is the same at every try.
func (s *Service) deliveries(t Task, n definition.Notify, m Message) deliveries {
	m.Org, m.Execution, m.Agent, m.Channel = t.Run.Org, t.Run.ID, t.Run.Agent, n.Channel
	out, known := deliveries{channel: n.Channel, key: m.Key}, map[string]bool{}
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

// An addressee is a recipient named in a text of a definition.
type addressee struct {
	to     string // address, or the written text if it is not valid
	fault  error
	spread bool // part of a list
}

// addressees returns the recipients named in a text of a definition. A value is
// encoded for the URL that contains it; a value that is the whole address is
// taken unchanged.
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

// named returns the recipients named in a value of a text.
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
			a.to = text // an empty text would not identify the recipient
		}
		out = append(out, a)
	}
	return out
}

// address returns a recipient with its placeholders filled, or
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

// restore restores the record of an earlier try that crashed. Records are
// matched by recipient, because a list may have changed since. A message that
// was being sent may have arrived and is not sent again. Records of recipients
// no longer in the list are kept.
func (ds *deliveries) restore(outcome any) {
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
			d.restoreEntry(entry)
			break
		}
	}
	for i, v := range list {
		entry, _ := v.(map[string]any)
		if recipient, _ := entry["recipient"].(string); !used[i] {
			gone := &delivery{status: waiting}
			gone.Channel, gone.Recipient = ds.channel, recipient
			if gone.restoreEntry(entry); gone.status != waiting && gone.status != refused {
				ds.list = append(ds.list, gone)
			}
		}
	}
}

// restoreEntry restores a recorded state.
func (d *delivery) restoreEntry(entry map[string]any) {
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

// ration counts the messages against the quota of their channel, once for all tries,
// and refuses those beyond it. Messages that an earlier try sent count with the others,
// so that the number of a message decides at every try.
func (s *Service) ration(ctx context.Context, t Task, ds deliveries) error {
	if !ds.has(waiting) {
		return nil
	}
	var list []*delivery
	for _, d := range ds.list {
		if d.fault == nil && d.Key != "" {
			list = append(list, d)
		}
	}
	may, full, err := s.Quotas.AdmitMessages(ctx, t.Run.Org, quotaOf(ds.channel), ds.key, len(list))
	if err != nil {
		return fmt.Errorf("count the messages: %w", err)
	}
	for _, d := range list[may:] {
		if d.status == waiting {
			d.status, d.reason = refused, sentence("the quota of the organization's plan is reached: "+full.Sentence())
		}
	}
	return nil
}

// quotaOf returns the quota of a channel's messages.
func quotaOf(c definition.Channel) quota.Name {
	switch c {
	case definition.SMS:
		return quota.SMSPerDay
	case definition.Email:
		return quota.EmailsPerDay
	case definition.Slack, definition.Teams, definition.Webhook:
	}
	return quota.ChatsPerDay
}

// deliver sends the waiting messages and sets their states. For channels
// without an idempotency key it calls intend before each message. A recipient
// that requests a pause does not delay the others.
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
			d.reason = "The step timed out before this was sent."
		}
	}
	return tries, nil
}

// next returns the waiting message that is due first, or nil.
func (ds *deliveries) next() *delivery {
	var first *delivery
	for _, d := range ds.list {
		if d.status == waiting && (first == nil || d.due.Before(first.due)) {
			first = d
		}
	}
	return first
}

// record marks the current states as recorded.
func (ds *deliveries) record() {
	for _, d := range ds.list {
		d.recorded = d.status
	}
}

// send attempts one message once and sets its state.
func (s *Service) send(ctx context.Context, t Task, d *delivery) {
	sender, ok := s.Senders[d.Channel]
	if !ok {
		d.status, d.reason = refused, "The channel "+string(d.Channel)+" is not set up."
		return
	}
	d.tries++
	err := post(ctx, sender, d.Message)
	if err == nil {
		d.status, d.reason = sent, ""
		return
	}
	pause, err := s.nextPause(ctx, t, d.tries, err)
	if err != nil {
		s.Failed(ctx, fmt.Errorf("step %s: %s, try %d: %w", t.Definition.ID, d.Channel, d.tries, err))
	}
	switch {
	case err == nil:
		d.status, d.due = waiting, s.Now().Add(pause)
	case errors.Is(err, ErrAgain), errors.Is(err, ErrNotification), repeatable(d.Channel):
		d.status, d.reason = refused, sentence(reasonOf(err))
	default:
		d.status, d.reason = unknown, sentence(reasonOf(err)+"; the message may have arrived")
	}
}

// post sends a message once, in a span.
func post(ctx context.Context, to Sender, m Message) error {
	ctx, sending := span.Start(ctx, "send", span.Client)
	defer sending.End()
	sending.Text(span.Channel, string(m.Channel))
	err := to.Send(ctx, m)
	if err != nil {
		sending.Fail(ErrNotification.Code)
	}
	return err
}

// has reports whether a message has one of these states.
func (ds *deliveries) has(statuses ...string) bool {
	for _, d := range ds.list {
		if slices.Contains(statuses, d.status) {
			return true
		}
	}
	return false
}

// failure returns why no recipient was reached: the fault that all addresses
// share, otherwise ErrNotification, with the first reason.
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
	return code.Sayf("None of %d recipients could be reached. The first, %.100q: %s", len(ds.list), ds.channel.Shown(first.Recipient), first.reason)
}

// outcome returns the states of the messages as the trace shows them.
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

// maxReason limits the reason recorded for one recipient, in bytes.
const maxReason = 400

// sentence returns words with a capital letter and a full stop.
func sentence(words string) string {
	if words == "" {
		return ""
	}
	return strings.ToUpper(words[:1]) + strings.TrimRight(words[1:], ".") + "."
}
