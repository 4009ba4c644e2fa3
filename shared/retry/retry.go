// Package retry repeats a read, a decision and a write that lost a race.
package retry

import (
	"errors"
	"fmt"
)

// Tries is how many races in a row an operation may lose. Thirty writers of one
// record at the same moment are more than any record here has.
const Tries = 30

// ErrLost says that an operation lost Tries races in a row.
var ErrLost = fmt.Errorf("lost %d races in a row", Tries)

// Races calls f until it returns something else than lost, the error of a
// conditional write that came second. Each call of f reads the record again. It
// returns ErrLost when every try was second.
func Races(lost error, f func() error) error {
	for range Tries {
		if err := f(); !errors.Is(err, lost) {
			return err
		}
	}
	return ErrLost
}
