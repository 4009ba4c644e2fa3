package definition_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
)

// A demand is a filter or a condition with its value as JSON, for the oracle.
type demand struct {
	context condition.Context
	field   string
	op      condition.Operator
	wanted  string
	all     bool // the group is an all, not an any
	of      []demand
}

// A pair is an agent and an event, in the oracle's types.
type pair struct {
	filters, conditions []demand
	include, exclude    []id.Client
	allowed             bool

	client    id.Client
	payload   map[string]string // JSON by path
	profile   map[string]string // JSON by path; nil for a client without a profile
	triggered bool
	depth     int
}

// A dealer generates random pairs in which agent and event often match.
type dealer struct{ *rand.Rand }

func (d dealer) one(in int) bool { return d.IntN(in) == 0 }

func among[T any](d dealer, from ...T) T { return from[d.IntN(len(from))] }

func (d dealer) value() string {
	return among(d, `null`, `true`, `false`, `0`, `1`, `1.0`, `1.5`, `-1`, `10`, `9007199254740993`, `""`, `"a"`, `"ab"`, `"b"`, `"1"`, `"cli_a"`)
}

func (d dealer) fields(paths ...string) map[string]string {
	found := map[string]string{}
	for _, p := range paths {
		if !d.one(4) {
			found[p] = d.value()
		}
	}
	return found
}

// demand returns a demand that the pair's values often meet.
func (d dealer) demand(p pair, context condition.Context) demand {
	found, paths := p.payload, []string{"x", "y", "deep.x", "client_id", "event_type", "nowhere.x"}
	if context == condition.InClient {
		found, paths = p.profile, []string{"security_posture_score", "device_inventory.count"}
	}
	out := demand{context: context, field: among(d, paths...), op: among(d, condition.Operators()...), wanted: d.value()}
	if v, ok := found[out.field]; ok && !d.one(4) {
		out.wanted = v
	}
	switch out.op {
	case condition.In, condition.NotIn:
		list := []string{out.wanted, d.value()}
		out.wanted = "[" + strings.Join(list[d.IntN(2):], ",") + "]"
	case condition.Exists:
		out.wanted = among(d, "true", "true", "false")
	default:
	}
	return out
}

func (d dealer) condition(p pair, depth int) demand {
	if depth > 0 && d.one(3) {
		g := demand{all: d.one(2)}
		for range 1 + d.IntN(3) {
			g.of = append(g.of, d.condition(p, depth-1))
		}
		return g
	}
	return d.demand(p, among(d, condition.InEvent, condition.InEvent, condition.InClient))
}

func (d dealer) pair() pair {
	p := pair{client: among[id.Client](d, "cli_a", "cli_a", "cli_b", ""), payload: d.fields("x", "y", "deep.x"), allowed: d.one(2)}
	if d.one(8) {
		p.payload["client_id"] = d.value() // hides client_id of the envelope
	}
	if d.one(2) {
		p.profile = d.fields("security_posture_score", "device_inventory.count")
	}
	if d.one(3) {
		p.triggered, p.depth = d.one(2), d.IntN(9)-1
	}
	for range among(d, 0, 0, 1, 1, 2) {
		p.filters = append(p.filters, d.demand(p, condition.InEvent))
	}
	for range among(d, 0, 0, 1, 2) {
		p.conditions = append(p.conditions, d.condition(p, 2))
	}
	switch d.IntN(4) {
	case 0:
		p.include = [][]id.Client{{}, {"cli_a"}, {"cli_b", "cli_a"}, {"", "cli_a"}}[d.IntN(4)]
	case 1:
		p.exclude = [][]id.Client{{}, {"cli_a"}, {"cli_b"}, {""}}[d.IntN(4)]
	}
	return p
}

// found returns the value of a field, as JSON; "" if it is absent.
func (p pair) found(context condition.Context, field string) string {
	if context == condition.InClient {
		return p.profile[field]
	}
	if raw, ok := p.payload[field]; ok {
		return raw
	}
	switch {
	case field == "event_type":
		return `"a"`
	case field == "client_id" && p.client != "":
		return `"` + string(p.client) + `"`
	}
	return ""
}

// A truth is the oracle's answer about a demand.
type truth int

const (
	met truth = iota
	unmet
	unknown // the client's profile is missing
)

func (p pair) truth(d demand) truth {
	if d.of == nil {
		switch {
		case d.context == condition.InClient && p.profile == nil:
			return unknown
		case oracle(d.op, p.found(d.context, d.field), d.wanted):
			return met
		}
		return unmet
	}
	var found []truth
	for _, sub := range d.of {
		found = append(found, p.truth(sub))
	}
	if d.all { // the first member that is not met decides
		for _, t := range found {
			if t != met {
				return t
			}
		}
		return met
	}
	for _, t := range []truth{met, unknown} {
		if slices.Contains(found, t) {
			return t
		}
	}
	return unmet
}

// outcome returns the outcome that the oracle expects.
func (p pair) outcome() definition.Outcome {
	for _, f := range p.filters {
		if p.truth(f) != met {
			return definition.Filtered
		}
	}
	if p.include != nil && (p.client == "" || !slices.Contains(p.include, p.client)) ||
		p.client != "" && slices.Contains(p.exclude, p.client) {
		return definition.OutOfScope
	}
	for _, c := range p.conditions {
		switch p.truth(c) {
		case unmet:
			return definition.ConditionNotMet
		case unknown:
			return definition.NoProfile
		case met:
		}
	}
	if p.triggered && (!p.allowed || p.depth > 5) || p.depth > 0 && !p.allowed || p.depth > 5 {
		return definition.LoopGuard
	}
	return definition.Started
}

func decoded(t testing.TB, raw string) any {
	v, err := jsonvalue.Decode([]byte(raw))
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return v
}

// nested returns the document with the fields, whose paths have one or two names.
func nested(t testing.TB, fields map[string]string) map[string]any {
	if fields == nil {
		return nil
	}
	doc := map[string]any{}
	for path, raw := range fields {
		if first, rest, deep := strings.Cut(path, "."); deep {
			doc[first] = map[string]any{rest: decoded(t, raw)}
		} else {
			doc[path] = decoded(t, raw)
		}
	}
	return doc
}

func (d demand) condition(t testing.TB) condition.Condition {
	var subs []condition.Condition
	for _, sub := range d.of {
		subs = append(subs, sub.condition(t))
	}
	switch {
	case subs == nil:
		return condition.Condition{Context: d.context, Field: d.field, Operator: d.op, Value: decoded(t, d.wanted)}
	case d.all:
		return condition.Condition{All: subs}
	}
	return condition.Condition{Any: subs}
}

// definition returns the definition of the pair, without a trigger.
func (p pair) definition(t testing.TB) definition.Definition {
	d := definition.Definition{
		Trigger: definition.Trigger{AllowAgentTriggered: p.allowed}, Scope: definition.Scope{Include: p.include, Exclude: p.exclude},
	}
	for _, f := range p.filters {
		d.Trigger.Filters = append(d.Trigger.Filters, condition.Filter{Field: f.field, Operator: f.op, Value: decoded(t, f.wanted)})
	}
	for _, c := range p.conditions {
		d.Conditions = append(d.Conditions, c.condition(t))
	}
	return d
}

// facts returns the event and the profile of the pair.
func (p pair) facts(t testing.TB) condition.Facts {
	e := event.Event{
		ID: "evt_1", Type: "a", Product: "psa", Org: "org_a", Client: p.client, Payload: nested(t, p.payload), Published: time.Unix(0, 0),
		Metadata: &event.Metadata{AgentTriggered: p.triggered, Causation: &event.Causation{Depth: p.depth}},
	}
	return condition.Facts{Event: e, Client: nested(t, p.profile)}
}

// judged returns the outcome of the real matcher.
func (p pair) judged(t testing.TB) (definition.Outcome, string) {
	return judged(p.definition(t), p.facts(t))
}

// The pairs are the same in every run of the test.
func TestTheMatcherAgreesWithTheOracleAboutManyPairs(t *testing.T) {
	t.Parallel()

	const shards, each = 4, 26_000
	counts := make([]map[definition.Outcome]int, shards)
	t.Run("shards", func(t *testing.T) {
		for shard := range shards {
			t.Run(strconv.Itoa(shard), func(t *testing.T) {
				t.Parallel()

				d := dealer{rand.New(rand.NewPCG(2026, uint64(shard)))}
				counts[shard] = map[definition.Outcome]int{}
				for range each {
					p := d.pair()
					got, why := p.judged(t)
					want := p.outcome()
					if got != want || (got == definition.Started) != (why == "") {
						t.Fatalf("%s (%s), want %s:\n%+v", got, why, want, p)
					}
					counts[shard][got]++
				}
			})
		}
	})
	sum, total := map[definition.Outcome]int{}, 0
	for _, c := range counts {
		for outcome, n := range c {
			sum[outcome] += n
			total += n
		}
	}
	var shown []string
	for _, o := range slices.Sorted(maps.Keys(sum)) {
		shown = append(shown, fmt.Sprintf("%s %d", o, sum[o]))
	}
	t.Logf("%d pairs: %s", total, strings.Join(shown, ", "))
	if total < 100_000 {
		t.Errorf("%d pairs, want 100,000", total)
	}
	for _, o := range []definition.Outcome{
		definition.Started, definition.Filtered, definition.OutOfScope, definition.ConditionNotMet, definition.NoProfile, definition.LoopGuard,
	} {
		if sum[o] < total/50 {
			t.Errorf("only %d of %d pairs are %s; the test shows little about it", sum[o], total, o)
		}
	}
}
