package desk

// A boundedMap keeps at most limit values by key, and drops the oldest. It is not
// safe for concurrent use.
type boundedMap[V any] struct {
	limit  int
	values map[string]V
	order  []string
}

func newBoundedMap[V any](limit int) *boundedMap[V] {
	return &boundedMap[V]{limit: limit, values: map[string]V{}}
}

func (m *boundedMap[V]) get(key string) (V, bool) {
	v, ok := m.values[key]
	return v, ok
}

func (m *boundedMap[V]) put(key string, v V) {
	if _, known := m.values[key]; !known {
		m.order = append(m.order, key)
	}
	m.values[key] = v
	for len(m.order) > m.limit {
		delete(m.values, m.order[0])
		m.order = m.order[1:]
	}
}
