package render

import (
	"errors"
	"fmt"

	"theoneagents.app/agents/shared/jsonvalue"
)

// A Budget limits the work of filling templates and comparing values, in bytes
// that are read and written. Without it, many placeholders with many filters, or
// many texts, could keep a function busy with one event for minutes. All texts
// of a step share one. A Budget is for one goroutine; nil is unlimited.
type Budget struct {
	left  int
	whole *Budget      // spent too; nil for none
	stop  func() error // ends the work early; nil for never
}

// Work is the budget of one step, or of one text without a step: about a second.
const Work = 128 << 20

// NewBudget returns a budget of a number of bytes.
func NewBudget(bytes int) *Budget { return &Budget{left: bytes} }

// Part returns a budget of at most a number of bytes, which are taken from b.
func (b *Budget) Part(bytes int) *Budget {
	if b == nil {
		return NewBudget(bytes)
	}
	return &Budget{left: min(bytes, b.left), whole: b}
}

// Until makes the budget end when stop returns an error, such as at the end of a
// step's time.
func (b *Budget) Until(stop func() error) { b.stop = stop }

// Left returns the remaining bytes; negative when work was refused.
func (b *Budget) Left() int { return b.left }

// Spend takes n bytes. It returns an error when they exceed the budget, which
// then stays exceeded, or when the time has ended.
func (b *Budget) Spend(n int) error {
	if b == nil {
		return nil
	}
	if b.left < n {
		b.left = -1
		return errWork
	}
	b.left -= n
	if b.stop != nil && b.stop() != nil {
		return errTime
	}
	return b.whole.Spend(n)
}

// Err returns ErrTemplate when work was or would be refused: later results are not
// to be trusted.
func (b *Budget) Err() error {
	switch {
	case b == nil:
		return nil
	case b.left >= 0 && (b.stop == nil || b.stop() == nil):
		return b.whole.Err()
	case b.left >= 0:
		return ErrTemplate.Sayf("The time of the step ran out.")
	}
	return ErrTemplate.Sayf("The templates and conditions of the step process too much data; together they may read and write %d MiB.", Work>>20)
}

// work is the work on one text, or on all texts of one value.
type work struct {
	scope    Scope
	budget   *Budget // nil until one is needed
	timeless bool    // the result is not shown, so now may be any time
}

// maxStep limits the bytes that a filter passes to the next.
const maxStep = 4 << 20

var (
	errWork = fmt.Errorf("the filters process too much data; together they may read and write %d MiB", Work>>20)
	errTime = errors.New("the time ran out")
)

// begin returns the work under the budget of the scope, or one of its own.
func begin(s Scope) *work { return &work{scope: s, budget: s.Budget()} }

// spend deducts cost from the remaining work.
func (w *work) spend(n int) error {
	if w.budget == nil {
		w.budget = NewBudget(Work)
	}
	return w.budget.Spend(n)
}

// fits returns an error if a filter's result is too large.
func (w *work) fits(size int) error {
	if size > maxStep {
		return fmt.Errorf("the result of a filter would have %d bytes; %d are allowed", size, maxStep)
	}
	return nil
}

// text returns a filter's result, or an error if it is too large.
func (w *work) text(s string) (any, error) {
	if err := w.fits(len(s)); err != nil {
		return nil, err
	}
	return s, nil
}

// number returns the result of a calculation, or an error if it is too long.
func (w *work) number(n number) (number, error) {
	if digits := n.digits(); digits > maxDigits {
		return n, fmt.Errorf("the result of a calculation would have %d digits; %d are allowed", digits, maxDigits)
	}
	return n, nil
}

// cost returns the approximate size of a value, in bytes.
func cost(v any) int {
	switch v := v.(type) {
	case string:
		return 8 + len(v)
	case jsonvalue.Number:
		return 8 + len(v)
	case number:
		return 8 + v.digits()
	case []any:
		sum := 8
		for i := range v {
			sum += cost(v[i])
		}
		return sum
	case map[string]any:
		sum := 8
		for k := range v {
			sum += len(k) + cost(v[k])
		}
		return sum
	}
	return 8
}
