package execution

import (
	"cmp"
	"maps"
	"slices"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/id"
)

// An Occasion is why people are told of the question of a gate.
type Occasion string

// The occasions. A question has up to four, in their order, and one outcome.
const (
	OnAsked         Occasion = "asked"
	OnReminded      Occasion = "reminded"
	OnEscalated     Occasion = "escalated"
	OnRemindedAgain Occasion = "reminded_again"

	OnDecided   Occasion = "decided"
	OnExpired   Occasion = "expired"
	OnWithdrawn Occasion = "withdrawn" // the run was cancelled while the question was open
)

// questions are the occasions before the outcome.
func questions() []Occasion { return []Occasion{OnAsked, OnReminded, OnEscalated, OnRemindedAgain} }

// A DeliveryStatus is where a message to one recipient stands.
type DeliveryStatus string

// The statuses. The last three are final.
const (
	DeliveryPending DeliveryStatus = "pending"
	DeliverySending DeliveryStatus = "sending"
	DeliverySent    DeliveryStatus = "sent"
	DeliveryFailed  DeliveryStatus = "failed"
	DeliveryUnknown DeliveryStatus = "unknown" // it may have been sent; it is not sent again
)

// Final reports whether the status cannot change.
func (s DeliveryStatus) Final() bool {
	return s == DeliverySent || s == DeliveryFailed || s == DeliveryUnknown
}

// arrived reports whether the message may have reached its recipient.
func (s DeliveryStatus) arrived() bool {
	return s == DeliverySent || s == DeliveryUnknown || s == DeliverySending
}

// A Delivery is what became of a message over one channel.
type Delivery struct {
	Channel    definition.Channel
	Recipients []Receipt
	NotTold    string // how many recipients were left out, and why; may be empty
}

// A Receipt is what became of a message to one recipient.
type Receipt struct {
	Recipient string // as the trace shows it: cut when it is long
	Status    DeliveryStatus
	Reason    string // why it failed; may be empty
}

// Final reports whether the message has been delivered as far as it can be.
func (d Delivery) Final() bool {
	return !slices.ContainsFunc(d.Recipients, func(r Receipt) bool { return !r.Status.Final() })
}

// Closed returns the delivery after it was given up.
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

// Document returns the delivery as it stands in the output of a step.
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

// DeliveryOf reads a delivery from the output of a step; what is none is empty.
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

// Notified says who was told of the question of a gate: by occasion, for each
// channel of the gate in the order of the definition.
type Notified map[Occasion][]Delivery

// notified is the field of a gate's output.
const notified = "notified"

// NotifiedIn reads who was told from the output of a gate.
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

// With returns who was told, with what became of one more occasion.
func (n Notified) With(on Occasion, list []Delivery) Notified {
	n = maps.Clone(n)
	if n == nil {
		n = make(Notified, 1)
	}
	n[on] = slices.Clone(list)
	return n
}

// In returns the output of a gate with who was told. The output of before is not
// changed.
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

// Settled returns who was told once nobody is told of the question any more:
// what was being sent may have arrived.
func (n Notified) Settled() Notified {
	out := make(Notified, len(n))
	for on, list := range n {
		for _, d := range list {
			out[on] = append(out[on], d.Closed("The question was answered before this was sent."))
		}
	}
	return out
}

// Reached returns the recipients that may have heard of the question over the
// n-th channel of the gate.
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

// anybody reports whether somebody may have heard of the question.
func (n Notified) anybody() bool {
	for _, on := range questions() {
		for _, d := range n[on] {
			if slices.ContainsFunc(d.Recipients, func(r Receipt) bool { return r.Status.arrived() }) {
				return true
			}
		}
	}
	return false
}

// OutcomeOf names the record of who was told of the outcome of a gate. It is a
// row beside that of the gate, which is closed by then; no step of a definition
// can be called so.
func OutcomeOf(gate id.Step) id.Step { return gate + ":outcome" }

// Owing returns the gates whose question is answered, and of whose outcome the
// people who were asked have not all been told; of a run at its end no question
// is open. The order is that in which they asked.
func (s Steps) Owing(ended bool) []StepRecord {
	var out []StepRecord
	for _, step := range s {
		closed := ended || step.Status.Ended()
		if step.Kind == definition.Gate && closed && !s[OutcomeOf(step.ID)].Status.Ended() && NotifiedIn(step.Output).anybody() {
			out = append(out, step)
		}
	}
	slices.SortFunc(out, func(a, b StepRecord) int {
		return cmp.Or(a.Asked.Compare(b.Asked), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Delivered returns the trace with what people were told of the outcome of each gate,
// which stands in a row of its own, in the output of the gate.
func (t Trace) Delivered(done Steps) Trace {
	t = slices.Clone(t)
	for i, s := range t {
		row, ok := done[OutcomeOf(s.ID)]
		if !ok {
			continue
		}
		n := NotifiedIn(s.Output)
		for on, list := range NotifiedIn(row.Output) {
			n = n.With(on, list)
		}
		t[i].Output = n.In(s.Output)
	}
	return t
}
