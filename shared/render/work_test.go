package render_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"theoneagents.app/agents/shared/render"
)

// heavy returns a text whose filters read and write at least a number of bytes of
// the value long.
func heavy(bytes int) string {
	const each = 18 * (256 << 10) // nine filters read the value and write it
	return strings.Repeat("{{ long"+strings.Repeat(" | upcase", 9)+" | size }}", bytes/each+1)
}

func TestAllTextsOfAScopeShareItsBudget(t *testing.T) {
	t.Parallel()

	budget := render.NewBudget(render.Work)
	scope := render.Scope{"long": strings.Repeat("x", 256<<10)}.Within(budget)
	text := heavy(render.Work / 4)
	fills := map[string]func() error{
		"Text":    func() error { _, err := render.Text(text, scope); return err },
		"Value":   func() error { _, err := render.Value(map[string]any{"a": text}, scope); return err },
		"Encoded": func() error { _, err := render.Encoded(text, scope, render.Slack); return err },
		"Marked":  func() error { _, _, err := render.Marked(text, scope); return err },
	}
	worked := 0
	for range 3 {
		for name, fill := range fills {
			err := fill()
			switch {
			case err == nil:
				worked++
			case !errors.Is(err, render.ErrTemplate) || !strings.Contains(err.Error(), "too much data"):
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if worked != 3 {
		t.Errorf("%d texts of a quarter of the budget and more were filled, want 3", worked)
	}
	if _, err := render.Text("{{ long | size }}", scope); err == nil || !errors.Is(budget.Err(), render.ErrTemplate) {
		t.Errorf("a little more: %v, and the budget says %v", err, budget.Err())
	}
}

func TestAPartIsTakenFromItsBudget(t *testing.T) {
	t.Parallel()

	whole := render.NewBudget(100)
	part := whole.Part(60)
	if err := part.Spend(50); err != nil || part.Left() != 10 || whole.Left() != 50 {
		t.Errorf("%v, %d and %d left", err, part.Left(), whole.Left())
	}
	if err := part.Spend(11); err == nil || part.Err() == nil || whole.Err() != nil {
		t.Errorf("beyond the part: %v, %v, %v", err, part.Err(), whole.Err())
	}
	rest := whole.Part(1000)
	if rest.Left() != whole.Left() {
		t.Errorf("a part of 1000 has %d, more than the whole with %d", rest.Left(), whole.Left())
	}
	if whole.Spend(1000) == nil || rest.Spend(1) == nil || rest.Err() == nil {
		t.Error("a part of an exceeded budget can be spent")
	}
	var none *render.Budget
	if none.Spend(1<<40) != nil || none.Err() != nil {
		t.Error("no budget is exceeded")
	}
}

func TestWorkEndsWithTheTime(t *testing.T) {
	t.Parallel()

	budget, calls := render.NewBudget(render.Work), 0
	budget.Until(func() error {
		if calls++; calls > 10 {
			return errors.New("over")
		}
		return nil
	})
	_, err := render.Text(heavy(render.Work/2), render.Scope{"long": strings.Repeat("x", 256<<10)}.Within(budget))
	if !errors.Is(err, render.ErrTemplate) || !strings.Contains(err.Error(), "the time ran out") || calls != 11 {
		t.Errorf("after %d calls: %v", calls, err)
	}
	if !errors.Is(budget.Err(), render.ErrTemplate) {
		t.Errorf("the budget says %v", budget.Err())
	}
}

// No template and value make a text that costs more than its budget: what is left
// never falls by more than one filter's input and output below zero, and a text
// that is filled has spent its work.
func FuzzTheWorkOfATemplateIsBounded(f *testing.F) {
	f.Add("{{ v | upcase | split: 'a' | uniq | join }}", "aAbB")
	f.Add("{{ v | times: 99999999999 | times: 99999999999 }}", "7")
	f.Add("{{ v | date: '%c%c%c%c' }}{{ v | json | json | json }}", "now")
	f.Add("{{ v | replace: '', v | replace: '', v | replace: '', v }}", "aaaa")
	f.Fuzz(func(t *testing.T, text, value string) {
		const most = 4 << 20
		budget := render.NewBudget(most)
		spends := 0
		budget.Until(func() error { spends++; return nil })
		out, err := render.Text(text, render.Scope{"v": value}.Within(budget))
		if err == nil && budget.Err() != nil {
			t.Errorf("%q is filled beyond its budget", text)
		}
		if len(out) > render.MaxOutput {
			t.Errorf("%q has %d bytes", text, len(out))
		}
		if limit := 2*len(text) + 2; spends > limit {
			t.Errorf("%q worked %d times, more than its %d bytes explain", text, spends, len(text))
		}
	})
}

func ExampleBudget() {
	step := render.NewBudget(1000)
	scope := render.Scope{"name": "Ada"}.Within(step.Part(100))
	text, err := render.Text("{{ name | upcase }}", scope)
	fmt.Println(text, err, step.Left())
	// Output: ADA <nil> 978
}
