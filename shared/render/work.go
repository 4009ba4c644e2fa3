package render

import (
	"errors"
	"fmt"

	"theoneagents.app/agents/shared/jsonvalue"
)

// work is what filling the placeholders of one text, or of all texts of one
// value, may take. Without a bound of it, many placeholders with many filters
// could keep a function busy with one event for minutes.
type work struct {
	scope    Scope
	left     int
	timeless bool // nobody will see the result: now may be any time
}

// The bounds of work.
const (
	maxWork = 128 << 20 // bytes that filters read and write; more than a second's
	maxStep = 4 << 20   // bytes of what a filter hands to the next one
)

var errWork = errors.New("the filters work on too much: all together may read and write 128 MiB")

func begin(s Scope) *work { return &work{scope: s, left: maxWork} }

// spend takes what is read or written from what is left.
func (w *work) spend(n int) error {
	if w.left -= n; w.left < 0 {
		return errWork
	}
	return nil
}

// fits reports a size that is too large for a filter's result.
func (w *work) fits(size int) error {
	if size > maxStep {
		return fmt.Errorf("the result of a filter would have %d bytes; %d are allowed", size, maxStep)
	}
	return nil
}

// text returns a filter's result, if it is not too large.
func (w *work) text(s string) (any, error) {
	if err := w.fits(len(s)); err != nil {
		return nil, err
	}
	return s, nil
}

// number returns the result of a calculation, if it is not too long.
func (w *work) number(n number) (number, error) {
	if digits := n.digits(); digits > maxDigits {
		return n, fmt.Errorf("the result of a calculation would have %d digits; %d are allowed", digits, maxDigits)
	}
	return n, nil
}

// cost returns about how many bytes there are to be read in a value.
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
