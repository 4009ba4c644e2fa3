package desk

import (
	"encoding/json"

	"theoneagents.app/agents/localstack/products/reply"
)

// kept is the saved data of a desk. It has no rules, which end with the program.
type kept struct {
	Done    int           `json:"done"`
	Tickets []keptThing   `json:"tickets"`
	Notes   []keptThing   `json:"notes"`
	Devices []keptThing   `json:"devices"`
	Replies []keptReplied `json:"replies"`
}

type keptThing struct {
	Key   string `json:"key"`
	Thing thing  `json:"thing"`
}

type keptReplied struct {
	Key         string `json:"key"`
	Request     []byte `json:"request"`
	Status      int    `json:"status"`
	ContentType string `json:"content_type"`
	Text        []byte `json:"text"`
}

// MarshalJSON returns the desk's data without its rules.
func (d *Desk) MarshalJSON() ([]byte, error) {
	p := d.products
	p.mu.Lock()
	k := kept{Done: p.done, Tickets: keep(p.tickets), Notes: keep(p.notes), Devices: keep(p.devices)}
	p.mu.Unlock()
	k.Replies = d.replies.keep()
	return json.Marshal(k)
}

// keep returns all things in the order of their arrival. Things are replaced and
// never changed, so that they may be read without a lock.
func keep(s *boundedMap[thing]) []keptThing {
	all := make([]keptThing, 0, len(s.order))
	for _, key := range s.order {
		all = append(all, keptThing{key, s.values[key]})
	}
	return all
}

// keep returns the answers of finished work.
func (o *once) keep() []keptReplied {
	o.mu.Lock()
	defer o.mu.Unlock()

	all := make([]keptReplied, 0, len(o.jobs.order))
	for _, key := range o.jobs.order {
		j := o.jobs.values[key]
		select {
		case <-j.done:
			all = append(all, keptReplied{key, []byte(j.request), j.answer.status, j.answer.contentType, j.answer.text})
		default:
		}
	}
	return all
}

// UnmarshalJSON restores saved data.
func (d *Desk) UnmarshalJSON(text []byte) error {
	k, err := reply.Decode[kept](text)
	if err != nil {
		return err
	}
	p := d.products
	p.mu.Lock()
	p.done = k.Done
	for boundedMap, things := range map[*boundedMap[thing]][]keptThing{p.tickets: k.Tickets, p.notes: k.Notes, p.devices: k.Devices} {
		for _, t := range things {
			boundedMap.put(t.Key, t.Thing)
		}
	}
	p.mu.Unlock()

	d.replies.mu.Lock()
	defer d.replies.mu.Unlock()
	for _, r := range k.Replies {
		j := &job{request: string(r.Request), done: make(chan struct{}), answer: answer{status: r.Status, contentType: r.ContentType, text: r.Text}}
		close(j.done)
		d.replies.jobs.put(r.Key, j)
	}
	return nil
}
