package dynamo

import (
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"theoneagents.app/agents/shared/id"
)

// nanos returns a time as a number that keeps it exactly; 0 for none.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// timeOf is the reverse of nanos.
func timeOf(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// happened returns the time that an entry's id holds.
func happened(a id.Activity) time.Time {
	u, err := ulid.ParseStrict(strings.TrimPrefix(string(a), "act_"))
	if err != nil {
		return time.Time{}
	}
	return ulid.Time(u.Time()).UTC()
}
