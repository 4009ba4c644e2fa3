package dispatch

import (
	"fmt"
	"slices"
	"time"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/id"
)

// Starts are the runs that count against an agent's limit, oldest first. Their
// JSON is a stored format.
type Starts []Start

// A Start is the time at which a run was admitted.
type Start struct {
	Execution id.Execution `json:"x"`
	At        time.Time    `json:"t"`
}

// LimitStarts are the recorded starts of an agent.
type LimitStarts struct {
	Starts   Starts
	Revision int64 // of the record, counts the writes; 0 before the first
}

// Admit returns the starts with the run counted, or why the limit refuses it. A
// counted run is not counted again. Starts that can no longer matter are
// dropped.
func (s Starts) Admit(exec id.Execution, l definition.Limit, now time.Time) (counted Starts, why string) {
	if s.Has(exec) {
		return s, ""
	}
	if why := s.refuses(l, now); why != "" {
		return s, why
	}
	s = append(slices.Clone(s), Start{Execution: exec, At: now})
	slices.SortStableFunc(s, func(a, b Start) int { return a.At.Compare(b.At) })
	s = s.since(now.Add(-24 * time.Hour))
	return s[max(len(s)-max(l.PerHour, l.PerDay, 1), 0):], ""
}

// Has reports whether a run was counted.
func (s Starts) Has(exec id.Execution) bool {
	return slices.ContainsFunc(s, func(x Start) bool { return x.Execution == exec })
}

// refuses returns why the limit admits no run at this time, or "".
func (s Starts) refuses(l definition.Limit, now time.Time) string {
	if why := s.full("max_per_hour", l.PerHour, time.Hour, now); why != "" {
		return why
	}
	if why := s.full("max_per_day", l.PerDay, 24*time.Hour, now); why != "" {
		return why
	}
	cooldown := time.Duration(l.Cooldown) * time.Minute
	if recent := s.since(now.Add(-cooldown)); cooldown > 0 && len(recent) > 0 {
		last := recent[len(recent)-1].At
		return fmt.Sprintf("cooldown_minutes is %d and the last run started at %s; the next may start at %s",
			l.Cooldown, clock(last), clock(last.Add(cooldown)))
	}
	return ""
}

// full returns why no more than most runs may start in this period, or "".
func (s Starts) full(bound string, most int, within time.Duration, now time.Time) string {
	recent := s.since(now.Add(-within))
	if most <= 0 || len(recent) < most {
		return ""
	}
	until := recent[len(recent)-most].At.Add(within)
	return fmt.Sprintf("%s is %d and %d started; the next may start at %s", bound, most, len(recent), clock(until))
}

// since returns the starts after t.
func (s Starts) since(t time.Time) Starts {
	i := slices.IndexFunc(s, func(x Start) bool { return x.At.After(t) })
	if i < 0 {
		return nil
	}
	return s[i:]
}

func clock(t time.Time) string { return t.UTC().Format(time.RFC3339) }
