package condition_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/render"
)

// within fails the test when f takes too long for a bounded amount of work, on a
// slow machine too. A machine that is busy with other work may need another try.
func within(t *testing.T, f func()) {
	t.Helper()
	const most, tries = 2 * time.Second, 5
	var took time.Duration
	for range tries {
		begun := time.Now()
		f()
		if took = time.Since(begun); took <= most {
			return
		}
	}
	t.Errorf("it took %v", took)
}

// nested returns a group of groups with a number of leaves in each.
func nested(depth, wide int, leaf condition.Condition) condition.Condition {
	if depth == 0 {
		return leaf
	}
	group := make([]condition.Condition, wide)
	for i := range group {
		group[i] = nested(depth-1, wide, leaf)
	}
	if depth%2 == 0 {
		return condition.Condition{All: append(slices.Clone(group), condition.Condition{Context: condition.InEvent, Field: "x", Operator: condition.Exists, Value: false})}
	}
	return condition.Condition{Any: group}
}

func TestAFailedGroupTakesLittleWorkAndSaysLittle(t *testing.T) {
	t.Parallel()

	long := strings.Repeat("ä ", 60_000)
	list := make([]any, 200)
	for i := range list {
		list[i] = fmt.Sprintf("%s%d", long[:800], i)
	}
	var items []any
	for range 20_000 {
		items = append(items, map[string]any{"name": "Ä"})
	}
	e := event.Event{Payload: map[string]any{"x": long, "short": long[:900], "list": items}}
	leaves := map[string]condition.Condition{
		"contains": {Context: condition.InEvent, Field: "x", Operator: condition.Contains, Value: "Ä Ö"},
		"in":       {Context: condition.InEvent, Field: "short", Operator: condition.In, Value: list},
		"eq":       {Context: condition.InEvent, Field: "x", Operator: condition.Eq, Value: long[1:]},
		"a list":   {Context: condition.InEvent, Field: "list", Operator: condition.Eq, Value: "x"},
		"missing":  {Context: condition.InEvent, Field: strings.Repeat("f", 5000), Operator: condition.Eq, Value: long},
		"profile":  {Context: condition.InClient, Field: "x", Operator: condition.Eq, Value: "x"},
	}
	for name, leaf := range leaves {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for depth, wide := range []int{1, 500, 22, 8, 5} {
				within(t, func() {
					group := nested(depth, wide, leaf)
					ok, why := group.Holds(condition.Facts{Event: e})
					group.LacksProfile(condition.Facts{Event: e})
					if ok || why == "" || len(why) > condition.MaxSentence {
						t.Errorf("%d deep: %t, %d bytes", depth, ok, len(why))
					}
				})
			}
			f := condition.Filter{Field: leaf.Field, Operator: leaf.Operator, Value: leaf.Value}
			if _, why := f.Holds(condition.Facts{Event: e}); len(why) > condition.MaxSentence {
				t.Errorf("a filter says %d bytes", len(why))
			}
		})
	}
}

func TestAGroupNamesItsFirstReasons(t *testing.T) {
	t.Parallel()

	var group condition.Condition
	for i := range 12 {
		group.Any = append(group.Any, condition.Condition{Context: condition.InEvent, Field: "x", Operator: condition.Eq, Value: int64(i)})
	}
	_, why := group.Holds(condition.Facts{Event: event.Event{Payload: map[string]any{"x": "a"}}})
	if !strings.HasPrefix(why, `none of: event x must be 0; it is "a"`) || !strings.HasSuffix(why, "; and 2 more") {
		t.Errorf("it says %q", why)
	}
}

// Each comparison of a group is made at most once for each level above it.
//
//nolint:paralleltest // allocations of other tests would count.
func TestTheWorkOfAGroupGrowsInProportion(t *testing.T) {
	leaf := condition.Condition{Context: condition.InClient, Field: "x.y", Operator: condition.Eq, Value: "b"}
	facts := condition.Facts{Client: map[string]any{"x": map[string]any{"y": "a"}}}
	work := func(wide int) float64 {
		group := nested(1, wide, leaf)
		for range 4 {
			group = condition.Condition{All: []condition.Condition{{Any: []condition.Condition{group}}}}
		}
		return testing.AllocsPerRun(5, func() { group.LacksProfile(facts) })
	}
	if once, twice := work(1000), work(2000); twice > 2.2*once {
		t.Errorf("1,000 comparisons allocate %v times, 2,000 %v times", once, twice)
	}
}

// Whatever a condition and an event are, the sentence is short and comes soon.
func FuzzTheWorkOfAConditionIsLimited(f *testing.F) {
	f.Add(`{"any": [{"all": [{"context": "event", "field": "x", "operator": "in", "value": ["Ä", "ä"]}]}]}`, `{"x": "A\u0308"}`)
	f.Add(`{"any": [{"context": "client_context", "field": "x", "operator": "eq", "value": null}]}`, `{}`)
	f.Fuzz(func(t *testing.T, doc, payload string) {
		var c condition.Condition
		if json.Unmarshal([]byte(doc), &c) != nil {
			return
		}
		p, err := jsonvalue.Object([]byte(payload))
		if err != nil {
			return
		}
		facts := condition.Facts{Event: event.Event{Payload: p}}
		within(t, func() {
			ok, why := c.Holds(facts)
			if ok != (why == "") && c.All == nil && c.Any == nil || len(why) > condition.MaxSentence {
				t.Errorf("%t, %d bytes", ok, len(why))
			}
			if ok && c.LacksProfile(facts) {
				t.Error("it holds and lacks a profile")
			}
		})
	})
}

// The work of a filter, a condition and a sentence is counted in the budget, and is
// at most proportional to the size of what they read.
func TestTheWorkOfComparisonsGrowsInProportion(t *testing.T) {
	t.Parallel()

	const unit = 1000
	texts := func(n int) []any {
		list := make([]any, n)
		for i := range list {
			list[i] = fmt.Sprintf("Ä%07d", i)
		}
		return list
	}
	for name, judge := range map[string]func(f condition.Facts, n int) (bool, string){
		"a filter of a long text": func(f condition.Facts, n int) (bool, string) {
			f.Event.Payload = map[string]any{"x": strings.Repeat("a", n)}
			return condition.Filter{Field: "x", Operator: condition.Contains, Value: "b"}.Holds(f)
		},
		"a filter with a long list": func(f condition.Facts, n int) (bool, string) {
			f.Event.Payload = map[string]any{"x": "ä"}
			return condition.Filter{Field: "x", Operator: condition.In, Value: texts(n)}.Holds(f)
		},
		"a wide group": func(f condition.Facts, n int) (bool, string) {
			f.Event.Payload = map[string]any{"x": "a"}
			return nested(1, n, condition.Condition{Context: condition.InEvent, Field: "x", Operator: condition.Eq, Value: "b"}).Holds(f)
		},
		"a deep tree": func(f condition.Facts, n int) (bool, string) {
			f.Event.Payload = map[string]any{"x": "a"}
			group := nested(1, n, condition.Condition{Context: condition.InEvent, Field: "x", Operator: condition.Eq, Value: "A"})
			for range 4 {
				group = condition.Condition{All: []condition.Condition{{Any: []condition.Condition{group}}}}
			}
			return group.Holds(f)
		},
		"a sentence about a long text": func(f condition.Facts, n int) (bool, string) {
			f.Event.Payload = map[string]any{"x": strings.Repeat("Ä ", n)}
			return condition.Filter{Field: "x", Operator: condition.Eq, Value: strings.Repeat("ä ", n)}.Holds(f)
		},
	} {
		spent := func(n int) int {
			const all = 1 << 40
			budget := render.NewBudget(all)
			if ok, why := judge(condition.Facts{Budget: budget}, n); ok || why == "" || len(why) > condition.MaxSentence {
				t.Errorf("%s: %t, %q", name, ok, why)
			}
			return all - budget.Left()
		}
		once, many := spent(unit), spent(16*unit)
		if many > 16*once+once/2 || once > 2000*unit {
			t.Errorf("%s takes %d for a size of %d, and %d for 16 times as much", name, once, unit, many)
		}
	}
}

// Whatever a condition and an event are, a budget ends the work: no more is spent
// than it has, and what is beyond it does not hold.
func FuzzABudgetEndsTheWorkOfAFilter(f *testing.F) {
	f.Add("x", "contains", `"ä"`, `{"x": "AAAA"}`)
	f.Add("x", "in", `["a", "b", 1]`, `{"x": [1, 2]}`)
	f.Add("x", "ne", `1`, `{}`)
	f.Fuzz(func(t *testing.T, field, operator, want, payload string) {
		p, err := jsonvalue.Object([]byte(payload))
		if err != nil {
			return
		}
		v, err := jsonvalue.Decode([]byte(want))
		if err != nil {
			return
		}
		filter := condition.Filter{Field: field, Operator: condition.Operator(operator), Value: v}
		facts := condition.Facts{Event: event.Event{Payload: p}}
		holds, _ := filter.Holds(facts)
		for _, most := range []int{0, 100, 300, 1000, 1 << 30} {
			facts.Budget = render.NewBudget(most)
			ok, why := filter.Holds(facts)
			if facts.Budget.Left() < -1 || ok && !holds || ok != (why == "") || len(why) > condition.MaxSentence {
				t.Errorf("with %d: %t, %q, %d left; without a limit: %t", most, ok, why, facts.Budget.Left(), holds)
			}
			if limit := 1000 + 100*(len(want)+len(payload)); most-facts.Budget.Left() > limit {
				t.Errorf("%q takes %d, more than the %d bytes explain", want, most-facts.Budget.Left(), len(want)+len(payload))
			}
		}
	})
}
