// Package retry repeats an operation whose conditional write lost a race.
package retry

import (
	"errors"
	"fmt"
)

// Tries is the maximum number of attempts of an operation. No record has thirty
// concurrent writers.
const Tries = 30

// ErrLost reports that an operation lost the race in every attempt.
var ErrLost = fmt.Errorf("lost %d races in a row", Tries)

// Races calls f until it returns any result other than lost, the error of a
// conditional write that lost a race. Each call of f must read the record again.
// After Tries lost races, it returns ErrLost.
func Races(lost error, f func() error) error {
	for range Tries {
		if err := f(); !errors.Is(err, lost) {
			return err
		}
	}
	return ErrLost
}
