package execution

import (
	"cmp"
	"maps"
	"slices"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/id"
)

// An Occasion is the reason for a message of a gate.
type Occasion string

// The occasions. A gate has up to four before its outcome, in this order, and
// one outcome.
const (
	OnAsked         Occasion = "asked"
	OnReminded      Occasion = "reminded"
	OnEscalated     Occasion = "escalated"
	OnRemindedAgain Occasion = "reminded_again"

	OnDecided   Occasion = "decided"
	OnExpired   Occasion = "expired"
	OnWithdrawn Occasion = "withdrawn" // the run was cancelled before a decision
)

// Occasions returns all occasions.
func Occasions() []Occasion { return append(questions(), OnDecided, OnExpired, OnWithdrawn) }

// questions returns the occasions before the outcome.
func questions() []Occasion { return []Occasion{OnAsked, OnReminded, OnEscalated, OnRemindedAgain} }

// A DeliveryStatus is the state of a message to one recipient.
type DeliveryStatus string

// The statuses. The last three are final.
const (
	DeliveryPending DeliveryStatus = "pending"
	DeliverySending DeliveryStatus = "sending"
	DeliverySent    DeliveryStatus = "sent"
	DeliveryFailed  DeliveryStatus = "failed"
	DeliveryUnknown DeliveryStatus = "unknown" // possibly sent, so not sent again
)

// DeliveryStatuses returns all statuses of a message.
func DeliveryStatuses() []DeliveryStatus {
	return []DeliveryStatus{DeliverySent, DeliverySending, DeliveryPending, DeliveryFailed, DeliveryUnknown}
}

// Final reports whether the status cannot change.
func (s DeliveryStatus) Final() bool {
	return s == DeliverySent || s == DeliveryFailed || s == DeliveryUnknown
}

// arrived reports whether the message may have reached its recipient.
func (s DeliveryStatus) arrived() bool {
	return s == DeliverySent || s == DeliveryUnknown || s == DeliverySending
}

// A Delivery is the result of a message over one channel.
type Delivery struct {
	Channel    definition.Channel
	Recipients []Receipt
	NotTold    string // number of recipients left out, with the reason; may be empty
}

// A Receipt is the result of a message to one recipient.
type Receipt struct {
	Recipient string // as shown in the trace, with long addresses cut
	Status    DeliveryStatus
	Reason    string // of a failure; may be empty
}

// Final reports whether the message to each recipient has a final status.
func (d Delivery) Final() bool {
	return !slices.ContainsFunc(d.Recipients, func(r Receipt) bool { return !r.Status.Final() })
}

// Closed returns the delivery after it was given up: messages being sent become
// unknown, pending ones fail with the reason.
func (d Delivery) Closed(reason string) Delivery {
	d.Recipients = slices.Clone(d.Recipients)
	for i, r := range d.Recipients {
		switch r.Status {
		case DeliverySending:
			d.Recipients[i].Status = DeliveryUnknown
		case DeliveryPending:
			d.Recipients[i].Status, d.Recipients[i].Reason = DeliveryFailed, reason
		case DeliverySent, DeliveryFailed, DeliveryUnknown:
		}
	}
	return d
}

// Document returns the delivery as stored in the output of a step.
func (d Delivery) Document() map[string]any {
	list := make([]any, 0, len(d.Recipients))
	for _, r := range d.Recipients {
		entry := map[string]any{"recipient": r.Recipient, "status": string(r.Status)}
		if r.Reason != "" {
			entry["reason"] = r.Reason
		}
		list = append(list, entry)
	}
	out := map[string]any{"channel": string(d.Channel), "recipients": list}
	if d.NotTold != "" {
		out["not_told"] = d.NotTold
	}
	return out
}

// Readable returns the output of a step as later steps may read it. The URLs of
// chats and webhooks are not in it: they are credentials, and the author of a later
// step may not be allowed to see them.
func (s StepRecord) Readable() any {
	if s.Kind != definition.Notification && s.Kind != definition.Gate {
		return s.Output
	}
	return MapDeliveries(s.Output, func(c definition.Channel, r string) string { return c.Shown(r) }, nil)
}

// MapDeliveries returns the input or output of a notification or a gate with every
// recipient and every reason replaced. A nil func replaces nothing.
func MapDeliveries(v any, recipient definition.RecipientMap, reason func(string) string) any {
	switch v := v.(type) {
	case []any:
		out := slices.Clone(v)
		for i := range out {
			out[i] = MapDeliveries(out[i], recipient, reason)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, field := range v {
			out[name] = MapDeliveries(field, recipient, reason)
		}
		channel, _ := out["channel"].(string)
		if list, ok := out["recipients"].([]any); ok && recipient != nil {
			for i, r := range list {
				switch r := r.(type) {
				case string:
					list[i] = recipient(definition.Channel(channel), r)
				case map[string]any:
					if text, ok := r["recipient"].(string); ok {
						r["recipient"] = recipient(definition.Channel(channel), text)
					}
				}
			}
		}
		if text, ok := out["reason"].(string); ok && reason != nil {
			out["reason"] = reason(text)
		}
		return out
	}
	return v
}

// DeliveryOf reads a delivery from the output of a step. It returns an empty
// delivery when v holds none.
func DeliveryOf(v any) Delivery {
	doc, _ := v.(map[string]any)
	channel, _ := doc["channel"].(string)
	left, _ := doc["not_told"].(string)
	d := Delivery{Channel: definition.Channel(channel), NotTold: left}
	list, _ := doc["recipients"].([]any)
	for _, v := range list {
		entry, _ := v.(map[string]any)
		recipient, _ := entry["recipient"].(string)
		status, _ := entry["status"].(string)
		reason, _ := entry["reason"].(string)
		d.Recipients = append(d.Recipients, Receipt{recipient, DeliveryStatus(status), reason})
	}
	return d
}

// Notified holds the deliveries of a gate's messages by occasion, one for each
// channel in the order of the definition.
type Notified map[Occasion][]Delivery

// notified is the field of a gate's output.
const notified = "notified"

// NotifiedIn reads the deliveries from the output of a gate.
func NotifiedIn(output any) Notified {
	doc, _ := output.(map[string]any)
	all, _ := doc[notified].(map[string]any)
	n := make(Notified, len(all))
	for on, v := range all {
		list, _ := v.([]any)
		for _, d := range list {
			n[Occasion(on)] = append(n[Occasion(on)], DeliveryOf(d))
		}
	}
	return n
}

// With returns n with the deliveries of one more occasion.
func (n Notified) With(on Occasion, list []Delivery) Notified {
	n = maps.Clone(n)
	if n == nil {
		n = make(Notified, 1)
	}
	n[on] = slices.Clone(list)
	return n
}

// In returns a copy of the output with the deliveries added.
func (n Notified) In(output any) map[string]any {
	before, _ := output.(map[string]any)
	out := maps.Clone(before)
	if out == nil {
		out = map[string]any{}
	}
	if len(n) == 0 {
		return out
	}
	all := map[string]any{}
	for on, list := range n {
		docs := make([]any, 0, len(list))
		for _, d := range list {
			docs = append(docs, d.Document())
		}
		all[string(on)] = docs
	}
	out[notified] = all
	return out
}

// Settled closes the deliveries of a decided gate: a message being sent may
// have arrived.
func (n Notified) Settled() Notified {
	out := make(Notified, len(n))
	for on, list := range n {
		for _, d := range list {
			out[on] = append(out[on], d.Closed("The approval was decided before this was sent."))
		}
	}
	return out
}

// Reached returns the recipients that the messages before the outcome may have
// reached over a channel of the gate.
func (n Notified) Reached(channel int) map[string]bool {
	out := map[string]bool{}
	for _, on := range questions() {
		if list := n[on]; channel < len(list) {
			for _, r := range list[channel].Recipients {
				if r.Status.arrived() {
					out[r.Recipient] = true
				}
			}
		}
	}
	return out
}

// reachedAny reports whether a message before the outcome may have reached a
// recipient.
func (n Notified) reachedAny() bool {
	for _, on := range questions() {
		for _, d := range n[on] {
			if slices.ContainsFunc(d.Recipients, func(r Receipt) bool { return r.Status.arrived() }) {
				return true
			}
		}
	}
	return false
}

// OutcomeOf returns the id of the row that records the outcome messages of a
// gate, whose own row is closed by then. No step of a definition can have this
// id.
func OutcomeOf(gate id.Step) id.Step { return gate + ":outcome" }

// Owing returns the gates that were decided and whose outcome has not been sent
// to all recipients of the question, in the order in which they asked. In an
// ended run every gate counts as decided.
func (s Steps) Owing(ended bool) []StepRecord {
	var out []StepRecord
	for _, step := range s {
		closed := ended || step.Status.Ended()
		if step.Kind == definition.Gate && closed && !s[step.OutcomeRow()].Status.Ended() && NotifiedIn(step.Output).reachedAny() {
			out = append(out, step)
		}
	}
	slices.SortFunc(out, func(a, b StepRecord) int {
		return cmp.Or(a.Asked.Compare(b.Asked), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Delivered returns the trace with the outcome messages of each gate, which are
// stored in a row of their own, merged into the output of the gate.
func (t Trace) Delivered(done Steps) Trace {
	t = slices.Clone(t)
	for i, s := range t {
		t[i].StepRecord = done.delivered(s.StepRecord)
		t[i].Earlier = slices.Clone(s.Earlier)
		for n, earlier := range s.Earlier {
			t[i].Earlier[n] = done.delivered(earlier)
		}
	}
	return t
}

// delivered returns the row of a step with the outcome messages of its round.
func (s Steps) delivered(step StepRecord) StepRecord {
	row, ok := s[step.OutcomeRow()]
	if !ok {
		return step
	}
	n := NotifiedIn(step.Output)
	for on, list := range NotifiedIn(row.Output) {
		n = n.With(on, list)
	}
	step.Output = n.In(step.Output)
	return step
}
