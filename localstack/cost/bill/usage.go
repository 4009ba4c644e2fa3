// Package bill computes what runs cost on AWS: from the usage that a story counts on the
// deployed system, which is recorded in usage.json, and the prices in prices.json. What
// only AWS could show, such as the duration of a call, is assumed; see assumed.go.
package bill

import (
	_ "embed" // the recorded usage
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Usage is what one event and its runs use.
type Usage struct {
	EventBytes  int                 `json:"event_bytes"` // of the event on the bus
	Functions   map[string]Function `json:"functions"`   // by name
	Starts      int                 `json:"starts"`      // of the Express machine
	Transitions int                 `json:"transitions"` // of the Standard machine
	Requests    int                 `json:"requests"`    // of the API
	Products    int                 `json:"products"`    // calls of products
	StoredBytes int                 `json:"stored_bytes"`

	// Keys has the write units by partition key, those of indexes included. The parts of
	// a key that differ from run to run have one name: see Pattern.
	Keys map[string]float64 `json:"keys"`
}

// A Function is the use of one function.
type Function struct {
	Invocations int            `json:"invocations"`
	Calls       map[string]int `json:"calls"` // of AWS, by service and operation
	Read        float64        `json:"read_units"`
	Write       float64        `json:"write_units"`
	LogBytes    int            `json:"log_bytes"` // of its own lines
}

// Units returns the read and write units of all functions.
func (u Usage) Units() (read, write float64) {
	for _, f := range u.Functions {
		read, write = read+f.Read, write+f.Write
	}
	return read, write
}

// Calls returns the number of calls of AWS of all functions.
func (u Usage) Calls() (n int) {
	for _, f := range u.Functions {
		n += f.calls()
	}
	return n
}

func (f Function) calls() (n int) {
	for _, calls := range f.Calls {
		n += calls
	}
	return n
}

// The workloads whose usage is counted.
const (
	ThreeActions = "three actions"
	Answer       = "an AI answer and two actions"
	Gate         = "an approval and an action"
	Nothing      = "an event that starts nothing"
)

// Workloads returns the names of all workloads in the order of the table.
func Workloads() []string { return []string{ThreeActions, Answer, Gate, Nothing} }

//go:embed usage.json
var recorded []byte

// Recorded returns the recorded usage by workload.
func Recorded() (map[string]Usage, error) {
	var all map[string]Usage
	if err := json.Unmarshal(recorded, &all); err != nil {
		return nil, fmt.Errorf("read usage.json: %w", err)
	}
	for _, name := range Workloads() {
		if _, ok := all[name]; !ok {
			return nil, fmt.Errorf("usage.json has no usage of %q: make cost COUNT=1 counts it", name)
		}
	}
	return all, nil
}

// Differences returns how a counted usage differs from the recorded one in its units,
// calls and keys; "" for no difference. Bytes may differ by a tenth: ids and times have
// different lengths.
func (u Usage) Differences(counted Usage) string {
	var b strings.Builder
	say := func(what string, recorded, counted any) {
		if recorded != counted {
			_, _ = fmt.Fprintf(&b, "%s: recorded %v, counted %v\n", what, recorded, counted)
		}
	}
	near := func(what string, recorded, counted int) {
		if d := counted - recorded; 10*max(d, -d) > recorded {
			say(what, recorded, counted)
		}
	}
	for _, name := range names(u.Functions, counted.Functions) {
		r, c := u.Functions[name], counted.Functions[name]
		say(name+", invocations", r.Invocations, c.Invocations)
		say(name+", read units", r.Read, c.Read)
		say(name+", write units", r.Write, c.Write)
		near(name+", bytes of logs", r.LogBytes, c.LogBytes)
		for _, call := range names(r.Calls, c.Calls) {
			say(name+", "+call, r.Calls[call], c.Calls[call])
		}
	}
	say("starts", u.Starts, counted.Starts)
	say("transitions", u.Transitions, counted.Transitions)
	say("requests", u.Requests, counted.Requests)
	say("calls of products", u.Products, counted.Products)
	near("bytes of the event", u.EventBytes, counted.EventBytes)
	near("bytes stored", u.StoredBytes, counted.StoredBytes)
	for _, key := range names(u.Keys, counted.Keys) {
		say("writes of "+key, u.Keys[key], counted.Keys[key])
	}
	return b.String()
}

// names returns the keys of two maps, sorted.
func names[V any](a, b map[string]V) []string {
	all := map[string]bool{}
	for _, m := range []map[string]V{a, b} {
		for name := range m {
			all[name] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}
