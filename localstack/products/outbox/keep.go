package outbox

import (
	"encoding/json"
	"time"
)

// kept is the saved state of a message.
type kept struct {
	First  time.Time `json:"first"`
	Hidden bool      `json:"hidden,omitempty"`
}

// MarshalJSON returns the observed and forgotten messages for saving.
func (o *Outbox) MarshalJSON() ([]byte, error) {
	o.mu.Lock()
	all := make(map[string]kept, len(o.seen))
	for id, s := range o.seen {
		all[id] = kept{s.first, s.hidden}
	}
	o.mu.Unlock()
	return json.Marshal(all)
}

// UnmarshalJSON restores saved state.
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
