package credit

import "time"

// A Day is a calendar day in UTC, like "2026-03-09".
type Day string

// DayOf returns the day of t, or the nearest day of the month: a hold counts in the
// month that it was taken from.
func (m Month) DayOf(t time.Time) Day {
	first := m.Start()
	last := first.AddDate(0, 1, -1)
	switch t = t.UTC(); {
	case t.Before(first):
		t = first
	case t.After(last):
		t = last.Add(min(t.Sub(last), 24*time.Hour-1))
	}
	return Day(t.Format(time.DateOnly))
}

// A Grace is what refused answers have cost nothing on the latest day with one.
type Grace struct {
	Day  Day
	Used int64
}

// minGrace is the smallest daily grace: one answer of the dearest tier.
const minGrace = 200

// DailyGrace returns the credits of refused answers that are free each day: a
// hundredth of the month's allocation.
func (b Balance) DailyGrace() int64 {
	const share = 100
	return max(minGrace, b.Allocation/share)
}

// A Pardon asks that a hold is released although a model was called: the tenant's
// own schema refused the answer, or the tenant's own timeout cut it off. It is
// reserved from the grace of its day.
type Pardon struct {
	Hold Hold
	Day  Day

	// Seen is the balance for which the caller decided that the grace suffices; nil
	// if this is the first of its day, for which every grace suffices.
	Seen *Balance
}

// Forgive returns the balance with a refused answer taken from the grace of the day,
// and whether the grace suffices. A later day, by another worker's clock, stands.
func (b Balance) Forgive(day Day, amount int64) (Balance, bool) {
	if day > b.Grace.Day {
		b.Grace = Grace{Day: day}
	}
	if b.Grace.Used+amount > b.DailyGrace() {
		return b, false
	}
	b.Grace.Used += amount
	return b, true
}

// Pardons reports whether the pardon may be taken from this balance: it is the first
// of its day, or the grace still suffices on the day and for the allocation that its
// caller saw.
func (b Balance) Pardons(p Pardon) bool {
	if p.Seen == nil {
		return p.Day > b.Grace.Day
	}
	seen, _ := p.Seen.Forgive(p.Day, p.Hold.Amount)
	_, ok := b.Forgive(p.Day, p.Hold.Amount)
	return ok && b.Allocation == seen.Allocation && (b.Grace.Day == p.Seen.Grace.Day || p.Seen.Grace.Day < p.Day && b.Grace.Day < p.Day)
}

// A Moved refuses a pardon for another balance. It holds the current balance, so
// that the caller can decide again.
type Moved struct {
	Balance Balance
}

func (*Moved) Error() string { return "the grace of refused answers has changed" }
