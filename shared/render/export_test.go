package render

// Unguarded fills one placeholder like Value, but without recovering from
// panics.
func Unguarded(text string, s Scope) (any, error) {
	parts, err := parse(text)
	if err != nil {
		return nil, err
	}
	if len(parts) != 1 || parts[0].hole == nil {
		return nil, ErrTemplate
	}
	return parts[0].hole.run(begin(s))
}
