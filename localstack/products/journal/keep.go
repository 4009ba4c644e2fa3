package journal

import "encoding/json"

// kept is an entry as it is kept.
type kept[T any] struct {
	Value T   `json:"value"`
	Bytes int `json:"bytes"`
}

// MarshalJSON returns all entries, to be kept.
func (l *Log[T]) MarshalJSON() ([]byte, error) {
	l.mu.Lock()
	all := make([]kept[T], 0, len(l.entries))
	for _, e := range l.entries {
		all = append(all, kept[T]{e.value, e.bytes})
	}
	l.mu.Unlock()
	return json.Marshal(all)
}

// UnmarshalJSON puts what was kept in the place of all entries.
func (l *Log[T]) UnmarshalJSON(text []byte) error {
	var all []kept[T]
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	l.Forget(func(T) bool { return true })
	for _, e := range all {
		l.Add(e.Value, e.Bytes)
	}
	return nil
}
