package httpapi

import (
	"errors"
	"time"

	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
)

// whole returns t as the API shows it: in UTC and whole seconds.
func whole(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// when returns t as the API shows it, or null for no time.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = whole(t)
	return &t
}

// text returns s, or null for none.
func text[S ~string](s S) *string {
	if s == "" {
		return nil
	}
	t := string(s)
	return &t
}

// value returns what p points to, or nothing.
func value[T any](p *T) T {
	var v T
	if p != nil {
		v = *p
	}
	return v
}

// each returns what show makes of every value; never null.
func each[A, B any](values []A, show func(A) B) []B {
	out := make([]B, len(values))
	for i, v := range values {
		out[i] = show(v)
	}
	return out
}

// named makes the fault of a missing thing say what was asked for, and leaves
// every other error as it is.
func named(err error, missing *fault.Error, what, name string, org id.Org) error {
	if errors.Is(err, missing) {
		return missing.Sayf("%s %s not found in org %s", what, name, org)
	}
	return err
}
