package outbox

import (
	"encoding/json"
	"time"
)

// kept is what is known of a message, as it is written down.
type kept struct {
	First  time.Time `json:"first"`
	Hidden bool      `json:"hidden,omitempty"`
}

// MarshalJSON returns which messages were seen and forgotten, to be kept.
func (o *Outbox) MarshalJSON() ([]byte, error) {
	o.mu.Lock()
	all := make(map[string]kept, len(o.seen))
	for id, s := range o.seen {
		all[id] = kept{s.first, s.hidden}
	}
	o.mu.Unlock()
	return json.Marshal(all)
}

// UnmarshalJSON remembers what was kept.
func (o *Outbox) UnmarshalJSON(text []byte) error {
	var all map[string]kept
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for id, k := range all {
		o.seen[id] = sighting{k.First, k.Hidden}
	}
	return nil
}
