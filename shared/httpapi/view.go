package httpapi

import (
	"errors"
	"time"

	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
)

// whole returns t in the API's format: UTC and whole seconds.
func whole(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// when returns t in the API's format, or null for the zero time.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = whole(t)
	return &t
}

// text returns s, or null for an empty text.
func text[S ~string](s S) *string {
	if s == "" {
		return nil
	}
	t := string(s)
	return &t
}

// value returns the value that p points to, or the zero value.
func value[T any](p *T) T {
	var v T
	if p != nil {
		v = *p
	}
	return v
}

// each applies show to every value. The result is never null.
func each[A, B any](values []A, show func(A) B) []B {
	out := make([]B, len(values))
	for i, v := range values {
		out[i] = show(v)
	}
	return out
}

// named adds the kind, the id and the organization to the error of a missing
// resource, and returns every other error unchanged.
func named(err error, missing *fault.Error, what, name string, org id.Org) error {
	if errors.Is(err, missing) {
		return missing.Sayf("%s %s not found in org %s", what, name, org)
	}
	return err
}
