package definition

import "context"

// CheckWork returns the work of checking an answer against a schema.
func CheckWork(ctx context.Context, doc map[string]any, answer any) int {
	c, err := newChecker(doc)
	if err != nil {
		return 0
	}
	_ = c.check(ctx, answer)
	return maxCheck - c.meter.left
}

// AcceptsNothing is acceptsNothing.
var AcceptsNothing = acceptsNothing
