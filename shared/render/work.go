package render

import (
	"errors"
	"fmt"

	"theoneagents.app/agents/shared/jsonvalue"
)

// work limits the cost of filling one text, or all texts of one value. Without
// it, many placeholders with many filters could keep a function busy with one
// event for minutes.
type work struct {
	scope    Scope
	left     int
	timeless bool // the result is not shown, so now may be any time
}

// Limits of work.
const (
	maxWork = 128 << 20 // bytes that filters read and write; takes over a second
	maxStep = 4 << 20   // bytes that a filter passes to the next
)

var errWork = errors.New("the filters process too much data; together they may read and write 128 MiB")

func begin(s Scope) *work { return &work{scope: s, left: maxWork} }

// spend deducts cost from the remaining work.
func (w *work) spend(n int) error {
	if w.left -= n; w.left < 0 {
		return errWork
	}
	return nil
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
