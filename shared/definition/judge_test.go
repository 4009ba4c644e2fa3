package definition_test

import (
	"encoding/json"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
)

// happened returns an event with the given payload.
// judged returns the answer of a definition that listens for the event.
func judged(d definition.Definition, f condition.Facts) (definition.Outcome, string) {
	d.Trigger.Product, d.Trigger.EventType = f.Event.Product, f.Event.Type
	return d.Judge(f)
}

func happened(t testing.TB, payload string) event.Event {
	t.Helper()
	return event.Event{
		ID: "evt_1", Type: "ticket.created", Product: "psa", Org: "org_a", Client: "cli_acme", Payload: object(t, payload),
		Published: time.Date(2026, 3, 9, 14, 23, 1, 0, time.UTC),
	}
}

// filtered reports whether a filter lets an event pass.
func filtered(e event.Event, f condition.Filter) bool {
	d := definition.Definition{Trigger: definition.Trigger{Filters: []condition.Filter{f}}}
	outcome, _ := judged(d, condition.Facts{Event: e})
	return outcome == definition.Started
}

// Conditions on the event {"a":1} and on the client's profile.
var (
	holds   = condition.Condition{Context: condition.InEvent, Field: "a", Operator: condition.Eq, Value: int64(1)}
	fails   = condition.Condition{Context: condition.InEvent, Field: "a", Operator: condition.Eq, Value: int64(2)}
	profile = condition.Condition{Context: condition.InClient, Field: "score", Operator: condition.Lt, Value: int64(80)}
	absent  = condition.Condition{Context: condition.InClient, Field: "score", Operator: condition.Exists, Value: false}
)

func all(c ...condition.Condition) condition.Condition  { return condition.Condition{All: c} }
func some(c ...condition.Condition) condition.Condition { return condition.Condition{Any: c} }

func TestAConditionWithoutItsProfileIsReportedOnlyIfItDecides(t *testing.T) {
	t.Parallel()

	known := map[string]any{"score": int64(72)}
	const none, yes = definition.NoProfile, definition.Started
	const no = definition.ConditionNotMet
	for name, tc := range map[string]struct {
		conditions []condition.Condition
		with       definition.Outcome // when the client has a profile with a score of 72
		without    definition.Outcome // when the client has no profile
	}{
		"no condition":                              {nil, yes, yes},
		"one that holds":                            {[]condition.Condition{holds}, yes, yes},
		"one that does not":                         {[]condition.Condition{fails}, no, no},
		"all of a list must hold":                   {[]condition.Condition{holds, fails}, no, no},
		"all hold":                                  {[]condition.Condition{all(holds, holds)}, yes, yes},
		"one of all does not":                       {[]condition.Condition{all(holds, fails)}, no, no},
		"any holds":                                 {[]condition.Condition{some(fails, holds)}, yes, yes},
		"none of any holds":                         {[]condition.Condition{some(fails, fails)}, no, no},
		"any of all":                                {[]condition.Condition{some(all(holds, fails), all(holds))}, yes, yes},
		"all of any":                                {[]condition.Condition{all(some(fails, holds), some(fails))}, no, no},
		"the profile":                               {[]condition.Condition{profile}, yes, none},
		"a field that the profile has not":          {[]condition.Condition{absent}, no, none},
		"the event first, which fails":              {[]condition.Condition{fails, profile}, no, no},
		"the profile first, and the event fails":    {[]condition.Condition{profile, fails}, no, none},
		"the profile in a group":                    {[]condition.Condition{all(holds, profile)}, yes, none},
		"the event fails first in a group":          {[]condition.Condition{all(fails, profile)}, no, no},
		"any, and the event holds":                  {[]condition.Condition{some(profile, holds)}, yes, yes},
		"any, and only the profile might":           {[]condition.Condition{some(fails, profile)}, yes, none},
		"any of which no profile would help":        {[]condition.Condition{some(fails, all(fails, profile))}, no, no},
		"any of which one lacks the profile deeper": {[]condition.Condition{some(fails, all(holds, profile))}, yes, none},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			d := definition.Definition{Conditions: tc.conditions}
			e := happened(t, `{"a":1}`)
			if got, why := judged(d, condition.Facts{Event: e, Client: known}); got != tc.with || (got == yes) != (why == "") {
				t.Errorf("with a profile: %s (%s), want %s", got, why, tc.with)
			}
			if got, why := judged(d, condition.Facts{Event: e}); got != tc.without || (got == yes) != (why == "") {
				t.Errorf("without a profile: %s (%s), want %s", got, why, tc.without)
			}
		})
	}
}

func TestADefinitionSaysWhetherItNeedsTheProfile(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		conditions []condition.Condition
		want       bool
	}{
		"no condition":   {nil, false},
		"the event":      {[]condition.Condition{holds, some(fails, all(holds))}, false},
		"the profile":    {[]condition.Condition{holds, profile}, true},
		"deep in groups": {[]condition.Condition{some(fails, all(holds, some(profile)))}, true},
	} {
		if got := (definition.Definition{Conditions: tc.conditions}).UsesClient(); got != tc.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	d := parse(t, read(t, "everything"))
	if !d.Mentions("client_context") || !d.Mentions("verdict") || d.Mentions("no such word") {
		t.Error("Mentions is wrong about client_context, verdict or an absent word")
	}
}

func TestAScopeSelectsClients(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		scope  definition.Scope
		client id.Client
		want   bool
		shown  string
	}{
		"all, a client":              {definition.Scope{}, "cli_a", true, `"all"`},
		"all, no client":             {definition.Scope{}, "", true, `"all"`},
		"included":                   {definition.Scope{Include: []id.Client{"cli_a"}}, "cli_a", true, `{"include":["cli_a"]}`},
		"not included":               {definition.Scope{Include: []id.Client{"cli_a"}}, "cli_b", false, `{"include":["cli_a"]}`},
		"include, no client":         {definition.Scope{Include: []id.Client{"cli_a"}}, "", false, `{"include":["cli_a"]}`},
		"include none":               {definition.Scope{Include: []id.Client{}}, "cli_a", false, `{"include":[]}`},
		"include none, no client":    {definition.Scope{Include: []id.Client{}}, "", false, `{"include":[]}`},
		"include the empty client":   {definition.Scope{Include: []id.Client{""}}, "", false, `{"include":[""]}`},
		"excluded":                   {definition.Scope{Exclude: []id.Client{"cli_a"}}, "cli_a", false, `{"exclude":["cli_a"]}`},
		"not excluded":               {definition.Scope{Exclude: []id.Client{"cli_a"}}, "cli_b", true, `{"exclude":["cli_a"]}`},
		"exclude, no client":         {definition.Scope{Exclude: []id.Client{"cli_a"}}, "", true, `{"exclude":["cli_a"]}`},
		"exclude the empty client":   {definition.Scope{Exclude: []id.Client{""}}, "", true, `{"exclude":[""]}`},
		"exclude none":               {definition.Scope{Exclude: []id.Client{}}, "cli_a", true, `{"exclude":[]}`},
		"included in another letter": {definition.Scope{Include: []id.Client{"CLI_A"}}, "cli_a", false, `{"include":["CLI_A"]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if got := tc.scope.Allows(tc.client); got != tc.want {
				t.Errorf("Allows(%q) = %t", tc.client, got)
			}
			e := happened(t, `{}`)
			e.Client = tc.client
			want := definition.OutOfScope
			if tc.want {
				want = definition.Started
			}
			if got, _ := judged(definition.Definition{Scope: tc.scope}, condition.Facts{Event: e}); got != want {
				t.Errorf("Judge = %s, want %s", got, want)
			}
			if got := text(t, tc.scope); got != tc.shown {
				t.Errorf("it is shown as %s, want %s", got, tc.shown)
			}
		})
	}
}

func TestTheReasonOfAScopeNamesTheClient(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		scope  definition.Scope
		client id.Client
		want   string
	}{
		"not included": {definition.Scope{Include: []id.Client{"cli_a"}}, "cli_b", `client_scope does not include client "cli_b"`},
		"excluded":     {definition.Scope{Exclude: []id.Client{"cli_a"}}, "cli_a", `client_scope excludes client "cli_a"`},
		"no client":    {definition.Scope{Include: []id.Client{"cli_a"}}, "", "the event has no client, and client_scope includes only listed clients"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			e := happened(t, `{}`)
			e.Client = tc.client
			if _, got := judged(definition.Definition{Scope: tc.scope}, condition.Facts{Event: e}); got != tc.want {
				t.Errorf("it says %q, want %q", got, tc.want)
			}
		})
	}
}

func TestTheLoopGuardCountsTheRunsBehindAnEvent(t *testing.T) {
	t.Parallel()

	by := func(agentTriggered bool, depth int) *event.Metadata {
		return &event.Metadata{AgentTriggered: agentTriggered, Causation: &event.Causation{Execution: "exec_1", Depth: depth}}
	}
	for name, tc := range map[string]struct {
		metadata *event.Metadata
		allowed  bool
		want     definition.Outcome
	}{
		"not caused by an agent":                {nil, false, definition.Started},
		"marked as not caused by an agent":      {by(false, 0), false, definition.Started},
		"caused by an agent":                    {&event.Metadata{AgentTriggered: true}, false, definition.LoopGuard},
		"caused by an agent, and allowed":       {&event.Metadata{AgentTriggered: true}, true, definition.Started},
		"depth 1, not allowed":                  {by(true, 1), false, definition.LoopGuard},
		"depth 1":                               {by(true, 1), true, definition.Started},
		"depth 4":                               {by(true, 4), true, definition.Started},
		"depth 5 still starts":                  {by(true, 5), true, definition.Started},
		"depth 6 does not":                      {by(true, 6), true, definition.LoopGuard},
		"depth 600 does not":                    {by(true, 600), true, definition.LoopGuard},
		"depth 6 without the mark does not":     {by(false, 6), true, definition.LoopGuard},
		"a depth without the mark, not allowed": {by(false, 2), false, definition.LoopGuard},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			e := happened(t, `{}`)
			e.Metadata = tc.metadata
			d := definition.Definition{Trigger: definition.Trigger{AllowAgentTriggered: tc.allowed}}
			if got, why := judged(d, condition.Facts{Event: e}); got != tc.want || (got == definition.Started) != (why == "") {
				t.Errorf("%s (%s), want %s", got, why, tc.want)
			}
		})
	}
}

func TestTheFirstFailedCheckIsTheReason(t *testing.T) {
	t.Parallel()

	d := definition.Definition{
		Trigger:    definition.Trigger{Filters: []condition.Filter{{Field: "priority", Operator: condition.Eq, Value: "p1"}}},
		Scope:      definition.Scope{Include: []id.Client{"cli_acme"}},
		Conditions: []condition.Condition{{Context: condition.InEvent, Field: "type", Operator: condition.Eq, Value: "incident"}},
	}
	e := happened(t, `{"priority":"p2","type":"request"}`)
	e.Client = "cli_other"
	e.Metadata = &event.Metadata{AgentTriggered: true}
	for _, tc := range []struct {
		want definition.Outcome
		says string
		fix  func()
	}{
		{definition.Filtered, `priority must be "p1"; it is "p2"`, func() { e.Payload["priority"] = "p1" }},
		{definition.OutOfScope, `client "cli_other"`, func() { e.Client = "cli_acme" }},
		{definition.ConditionNotMet, `event type must be "incident"; it is "request"`, func() { e.Payload["type"] = "incident" }},
		{definition.LoopGuard, "an agent caused the event", func() { e.Metadata = nil }},
		{definition.Started, "", func() {}},
	} {
		got, why := judged(d, condition.Facts{Event: e})
		if got != tc.want || !strings.Contains(why, tc.says) {
			t.Errorf("%s (%s); want %s (%s)", got, why, tc.want, tc.says)
		}
		tc.fix()
	}
}

func TestAReasonIsNeverLong(t *testing.T) {
	t.Parallel()

	e := happened(t, `{"x":"`+strings.Repeat("ä", 5000)+`"}`)
	d := definition.Definition{Trigger: definition.Trigger{Filters: []condition.Filter{{Field: "x", Operator: condition.Eq, Value: strings.Repeat("ö", 5000)}}}}
	if _, why := judged(d, condition.Facts{Event: e}); len(why) > 1000 || !strings.Contains(why, "…") {
		t.Errorf("%d bytes: %.100s", len(why), why)
	}
	missing := condition.Filter{Field: "nope", Operator: condition.Eq, Value: "x"}
	d.Trigger.Filters = []condition.Filter{missing}
	if _, why := judged(d, condition.Facts{Event: e}); !strings.Contains(why, "it is missing") {
		t.Errorf("why = %q", why)
	}
}

// The oracle is a second, slow and simple implementation of the matcher. It works
// on JSON text and rational numbers and shares no code with the real one.

type kind int

const (
	isNothing kind = iota
	isNull
	isBoolean
	isNumber
	isString
	isOther
)

func kindOf(raw string) kind {
	switch {
	case raw == "":
		return isNothing
	case raw == "null":
		return isNull
	case raw == "true" || raw == "false":
		return isBoolean
	case raw[0] == '"':
		return isString
	case raw[0] == '[' || raw[0] == '{':
		return isOther
	}
	return isNumber
}

// order compares two numbers exactly.
func order(a, b string) int {
	x, xOK := new(big.Rat).SetString(a)
	y, yOK := new(big.Rat).SetString(b)
	if !xOK || !yOK {
		panic(a + " or " + b + " is no number")
	}
	return x.Cmp(y)
}

func unquoted(raw string) string {
	var s string
	if err := json.Unmarshal([]byte(raw), &s); err != nil {
		panic(err)
	}
	return s
}

// oracle reports whether found, as JSON or "", satisfies the operator.
func oracle(o condition.Operator, found, wanted string) bool {
	f, w := kindOf(found), kindOf(wanted)
	same := func(a, b string) bool {
		x, y := kindOf(a), kindOf(b)
		switch {
		case x != y || x == isNothing || x == isOther:
			return false
		case x == isNumber:
			return order(a, b) == 0
		case x == isString:
			return unquoted(a) == unquoted(b)
		}
		return a == b
	}
	among := func() bool {
		var list []json.RawMessage
		if json.Unmarshal([]byte(wanted), &list) != nil {
			return false
		}
		return slices.ContainsFunc(list, func(e json.RawMessage) bool { return same(found, string(e)) })
	}
	numbers, strs := f == isNumber && w == isNumber, f == isString && w == isString
	switch o {
	case condition.Eq:
		return same(found, wanted)
	case condition.Ne:
		return !same(found, wanted)
	case condition.In:
		return among()
	case condition.NotIn:
		return !among()
	case condition.Exists:
		return wanted == strconv.FormatBool(f != isNothing)
	case condition.Gt:
		return numbers && order(found, wanted) > 0
	case condition.Gte:
		return numbers && order(found, wanted) >= 0
	case condition.Lt:
		return numbers && order(found, wanted) < 0
	case condition.Lte:
		return numbers && order(found, wanted) <= 0
	case condition.Contains:
		a, b := unquoted2(strs, found, wanted)
		for i := range len(a) - len(b) + 1 {
			if a[i:i+len(b)] == b {
				return strs
			}
		}
	case condition.StartsWith:
		a, b := unquoted2(strs, found, wanted)
		return strs && len(a) >= len(b) && a[:len(b)] == b
	case condition.EndsWith:
		a, b := unquoted2(strs, found, wanted)
		return strs && len(a) >= len(b) && a[len(a)-len(b):] == b
	default:
		if slices.Contains(condition.Operators(), o) {
			panic("the oracle has no case for the operator " + string(o))
		}
	}
	return false
}

func unquoted2(strs bool, a, b string) (x, y string) {
	if !strs {
		return "", ""
	}
	return unquoted(a), unquoted(b)
}

// scalars returns a generator of JSON scalars that are often equal or close.
func scalars() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom([]string{
			`null`, `true`, `false`, `0`, `1`, `-1`, `1.0`, `1.5`, `2`, `10`, `9007199254740992`, `9007199254740993`, `9007199254740992.0`,
			`9223372036854775807`, `9223372036854775808`, `1e3`, `1000`, `-0`, `0.1`,
			`""`, `"a"`, `"A"`, `"ab"`, `"b"`, `"1"`, `"true"`, `"null"`, `"ä"`, `"\u00e4"`,
		}),
		rapid.Map(rapid.Int64(), func(n int64) string { return strconv.FormatInt(n, 10) }),
		rapid.Map(rapid.StringMatching(`[ab]{0,3}`), func(s string) string { return `"` + s + `"` }),
	)
}

func anything() *rapid.Generator[string] {
	list := rapid.Map(rapid.SliceOfN(scalars(), 0, 4), func(s []string) string { return "[" + strings.Join(s, ",") + "]" })
	return rapid.OneOf(scalars(), scalars(), list, rapid.SampledFrom([]string{`{}`, `{"a":1}`, `[[1]]`}))
}

func TestOperatorsAgreeWithTheOracle(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		o := rapid.SampledFrom(condition.Operators()).Draw(t, "operator")
		found := rapid.OneOf(rapid.Just(""), anything(), anything()).Draw(t, "found")
		wanted := anything().Draw(t, "wanted")
		if got, want := matches(t, o, found, wanted), oracle(o, found, wanted); got != want {
			t.Errorf("%s %s %s is %t, want %t", found, o, wanted, got, want)
		}
	})
}

// fataler is implemented by tests, fuzz targets and property tests.
type fataler interface {
	Fatalf(format string, args ...any)
}

// matches reports the answer of the real matcher.
func matches(t fataler, o condition.Operator, found, wanted string) bool {
	payload := map[string]any{}
	for field, raw := range map[string]string{"x": found, "want": wanted} {
		if raw == "" {
			continue
		}
		v, err := jsonvalue.Decode([]byte(raw))
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		payload[field] = v
	}
	want := payload["want"]
	delete(payload, "want")
	return filtered(event.Event{Payload: payload}, condition.Filter{Field: "x", Operator: o, Value: want})
}

// trees returns a generator of conditions, with the answer that the oracle
// gives for a payload.
func trees(depth int, payload map[string]string) *rapid.Generator[tree] {
	return rapid.Custom(func(t *rapid.T) tree {
		if depth > 0 && rapid.IntRange(0, 2).Draw(t, "group") > 0 {
			subs := rapid.SliceOfN(trees(depth-1, payload), 1, 3).Draw(t, "of")
			every := rapid.Bool().Draw(t, "all")
			out := tree{holds: every}
			for _, s := range subs {
				if every {
					out.c.All = append(out.c.All, s.c)
					out.holds = out.holds && s.holds
				} else {
					out.c.Any = append(out.c.Any, s.c)
					out.holds = out.holds || s.holds
				}
			}
			return out
		}
		field := rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "field")
		o := rapid.SampledFrom(condition.Operators()).Draw(t, "operator")
		wanted := anything().Draw(t, "wanted")
		v, err := jsonvalue.Decode([]byte(wanted))
		if err != nil {
			t.Fatal(err)
		}
		return tree{condition.Condition{Context: condition.InEvent, Field: field, Operator: o, Value: v}, oracle(o, payload[field], wanted)}
	})
}

type tree struct {
	c     condition.Condition
	holds bool
}

func TestGroupsAgreeWithTheOracle(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		raw := map[string]string{"x": anything().Draw(t, "x"), "y": scalars().Draw(t, "y")}
		payload := map[string]any{}
		for field, text := range raw {
			v, err := jsonvalue.Decode([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			payload[field] = v
		}
		tree := trees(3, raw).Draw(t, "condition")
		got, why := tree.c.Holds(condition.Facts{Event: event.Event{Payload: payload}})
		if got != tree.holds || got != (why == "") {
			t.Errorf("%v is %t (%s), want %t", tree.c, got, why, tree.holds)
		}
		outcome, _ := judged(definition.Definition{Conditions: []condition.Condition{tree.c}}, condition.Facts{Event: event.Event{Payload: payload}})
		want := map[bool]definition.Outcome{true: definition.Started, false: definition.ConditionNotMet}[tree.holds]
		if outcome != want {
			t.Errorf("Judge = %s, want %s", outcome, want)
		}
	})
}
