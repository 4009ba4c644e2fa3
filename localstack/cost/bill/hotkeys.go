package bill

import (
	"slices"
	"strings"
)

// A Scope is what a partition key belongs to.
type Scope string

// The scopes. A key that belongs to one run is in none: no run writes it often.
const (
	Agent  Scope = "an agent"
	Org    Scope = "an organization"
	Region Scope = "the region"
)

// Scopes returns all scopes in the order of the table.
func Scopes() []Scope { return []Scope{Agent, Org, Region} }

// A Bound is the largest number of runs in a second that one key of a scope takes.
type Bound struct {
	Runs float64
	Key  string
}

// BoundOf returns the bound of a scope for runs with this usage: that of the key with
// the most write units. Without a key there is no bound, and Key is empty.
func (u Usage) BoundOf(scope Scope) Bound {
	var bound Bound
	for _, key := range names(u.Keys, nil) {
		if scopeOf(key) != scope || u.Keys[key] == 0 {
			continue
		}
		if runs := float64(partition*spread(key)) / u.Keys[key]; bound.Key == "" || runs < bound.Runs {
			bound = Bound{runs, key}
		}
	}
	return bound
}

// scopeOf returns the scope of a key: the agent, the organization or the region that
// shares it. A key of one event or one run has the scope "".
func scopeOf(key string) Scope {
	has := func(name string) bool { return strings.Contains(key, name+"#…") }
	switch {
	case slices.ContainsFunc([]string{"EXEC", "SEEN", "APPR", "OUTBOX", "ROOT", "ACT"}, has) && strings.Contains(key, "ORG#…"):
		return ""
	case has("AGENT"):
		return Agent
	case has("ORG"):
		return Org
	}
	return Region
}

// openShards is the number of partitions of the index of open runs, and of unpublished
// events: those of package dynamo.
const openShards = 4

// spread returns the number of partitions over which the values of a key are spread, or
// of the runs that share a write unit of it.
func spread(key string) int {
	switch {
	case scopeOf(key) == Region:
		return openShards
	case strings.HasPrefix(key, "ORG#…#STATS "):
		return summed
	}
	return 1
}

// Pattern returns a key without the parts that differ from run to run. A key is a list
// of names in capitals, each followed by a value, as itemkeys.go of package dynamo makes
// them; a status stays.
func Pattern(key string) string {
	parts := strings.Split(key, "#")
	for i, part := range parts {
		name := part != "" && strings.Trim(part, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == ""
		if !name && !slices.Contains(statuses(), part) {
			parts[i] = "…"
		}
	}
	return strings.Join(parts, "#")
}

// statuses are those of runs and approvals.
func statuses() []string {
	return []string{"pending", "running", "waiting_approval", "completed", "failed", "cancelled", "approved", "denied", "expired"}
}

// InTransaction reports whether a run changes the item with this key, as Pattern returns
// it, only in transactions, which cost two units for each.
func InTransaction(key string) bool {
	return slices.Contains([]string{"ORG#…#CREDIT MONTH#…"}, key)
}
