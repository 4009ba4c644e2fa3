package desk

// A shelf keeps at most limit values by key, and drops the oldest. It is not safe
// for concurrent use.
type shelf[V any] struct {
	limit  int
	values map[string]V
	order  []string
}

func newShelf[V any](limit int) *shelf[V] {
	return &shelf[V]{limit: limit, values: map[string]V{}}
}

func (s *shelf[V]) get(key string) (V, bool) {
	v, ok := s.values[key]
	return v, ok
}

func (s *shelf[V]) put(key string, v V) {
	if _, known := s.values[key]; !known {
		s.order = append(s.order, key)
	}
	s.values[key] = v
	for len(s.order) > s.limit {
		delete(s.values, s.order[0])
		s.order = s.order[1:]
	}
}
