package quota

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"theoneagents.app/agents/shared/id"
)

// A Day is a calendar day in UTC, like "2026-03-09".
type Day string

// DayOf returns the day of t.
func DayOf(t time.Time) Day { return Day(t.UTC().Format(time.DateOnly)) }

// end returns the begin of the next day.
func end(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour) }

// MessageSlots is the number of marks in a DayTally, which should stay below 1 KB.
const MessageSlots = 40

// A DayTally counts the messages of one quota on one day.
type DayTally struct {
	Count int
	Marks [MessageSlots]string // of the batches that were counted last
}

// A Batch asks for the right to send messages, of one step or one channel of a gate.
// Its key is the same at every try.
type Batch struct {
	Name  Name
	Day   Day
	Key   string
	Size  int
	Limit int // of the day
}

// Mark returns the mark of the batch without its size, and its slot. A mark lets a
// repetition find the batch counted, like a MarkText.
func (b Batch) Mark() (mark string, slot int) {
	const size = 8
	sum := sha256.Sum256([]byte(string(b.Day) + "#" + b.Key))
	return base64.RawURLEncoding.EncodeToString(sum[:size]) + "=", int(sum[size]) % MessageSlots
}

// Admit is the rule of every store: it returns the tally with the batch counted, and
// whether it has room for it and the batch is not marked.
func (t DayTally) Admit(b Batch) (DayTally, bool) {
	mark, slot := b.Mark()
	if t.Count+b.Size > b.Limit || strings.HasPrefix(t.Marks[slot], mark) {
		return t, false
	}
	t.Count += b.Size
	t.Marks[slot] = mark + strconv.Itoa(b.Size)
	return t, true
}

// Counted returns the size with which a batch was counted, if its mark is there.
func (t DayTally) Counted(b Batch) (size int, ok bool) {
	mark, slot := b.Mark()
	text, ok := strings.CutPrefix(t.Marks[slot], mark)
	if !ok {
		return 0, false
	}
	size, err := strconv.Atoi(text)
	return size, err == nil
}

// AdmitMessages counts n messages to be sent now. It returns how many of them may be
// sent, the first of the list, and the quota that refuses the others. It may be
// repeated with the same key on the same day: a batch is counted once.
func (s *Service) AdmitMessages(ctx context.Context, org id.Org, name Name, key string, n int) (int, *Reached, error) {
	plan, err := s.Store.Plan(ctx, org)
	if err != nil {
		return 0, nil, fmt.Errorf("find the plan of %s: %w", org, err)
	}
	now := s.Now()
	b := Batch{Name: name, Day: DayOf(now), Key: key, Limit: s.Limits(plan).perDay(name)}
	for b.Size = min(n, b.Limit); b.Size > 0; {
		t, ok, err := s.Store.AdmitMessages(ctx, org, b)
		if err != nil {
			return 0, nil, fmt.Errorf("count the messages of %s: %w", org, err)
		}
		if counted, known := t.Counted(b); !ok && known {
			b.Size, ok = min(n, counted), true
		}
		if ok {
			break
		}
		b.Size = min(b.Size, max(b.Limit-t.Count, 0)) // the count of a day only grows
	}
	if b.Size == n {
		return n, nil, nil
	}
	reset := end(now)
	return b.Size, &Reached{Name: name, Used: b.Limit, Limit: b.Limit, Reset: reset, Wait: max(reset.Sub(now), time.Second)}, nil
}
