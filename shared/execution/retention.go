package execution

import (
	"time"

	"theoneagents.app/agents/shared/tenant"
)

// DefaultRetention is how long a run is kept after its end, where nobody chose.
const DefaultRetention = 400 * 24 * time.Hour

// MinRetention is the shortest retention.
const MinRetention = tenant.MinRetentionDays * 24 * time.Hour

// lingering is the time that a run may be open besides its waits: for its steps, and
// until its end is recorded in an outage.
const lingering = 7 * 24 * time.Hour

// Kept returns the run with the time until which it is kept: its retention after the
// latest end that its definition allows, so that all its items may expire at the same
// time and none of an open run. patience is that of the definition.
func (x Execution) Kept(patience, retention time.Duration) Execution {
	if retention == 0 {
		retention = DefaultRetention
	}
	x.KeptUntil = rounded(x.Created.Add(patience + lingering + retention))
	return x
}

// rounded returns a time rounded up to about three hours: DynamoDB stores a number
// with zeros at its end in fewer bytes.
func rounded(t time.Time) time.Time {
	const step = 10_000 // seconds
	return time.Unix((t.Unix()/step+1)*step, 0).UTC()
}

// keptOn returns a run that ends now, kept for MinRetention at least. A run that was
// recorded before runs expired is kept for DefaultRetention.
func (x Execution) keptOn(now time.Time) Execution {
	least := now.Add(MinRetention)
	if x.KeptUntil.IsZero() {
		least = now.Add(DefaultRetention)
	}
	if x.KeptUntil.Before(least) {
		x.KeptUntil = rounded(least)
	}
	return x
}

// Outlived reports whether an open run has been open for so long, in a pause of its
// organization, that its steps expire within a day. It must not go on: it would repeat
// them.
func (x Execution) Outlived(now time.Time) bool {
	return !x.Status.Ended() && !x.KeptUntil.IsZero() && !now.Before(x.KeptUntil.Add(-24*time.Hour))
}

// Gone reports whether an ended run has expired. The store may still have some of its
// items.
func (x Execution) Gone(now time.Time) bool {
	return x.Status.Ended() && !x.KeptUntil.IsZero() && !now.Before(x.KeptUntil)
}
