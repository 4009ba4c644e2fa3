package journal

import "encoding/json"

// kept is a saved entry.
type kept[T any] struct {
	Value T   `json:"value"`
	Bytes int `json:"bytes"`
}

// MarshalJSON returns all entries for saving.
func (l *Log[T]) MarshalJSON() ([]byte, error) {
	l.mu.Lock()
	all := make([]kept[T], 0, len(l.entries))
	for _, e := range l.entries {
		all = append(all, kept[T]{e.value, e.bytes})
	}
	l.mu.Unlock()
	return json.Marshal(all)
}

// UnmarshalJSON replaces all entries by saved ones.
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
