package render

// Unguarded is what Value does with one placeholder, without the recover that is
// its last line of defence: what panics here, panics.
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
