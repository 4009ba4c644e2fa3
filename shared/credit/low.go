package credit

import "math"

// Thresholds returns how many percent of a month's credits are used when an
// organization is told that they run low.
func Thresholds() []int64 { return []int64{80, 95, 100} }

// Marks is a set of thresholds: bit i stands for the i-th.
type Marks uint8

// Percents returns the thresholds of the set, the lowest first.
func (m Marks) Percents() []int64 {
	var list []int64
	for i, percent := range Thresholds() {
		if m&(1<<i) != 0 {
			list = append(list, percent)
		}
	}
	return list
}

// Low says which thresholds a hold was the first to reach. Each threshold of a
// month belongs to one hold: when the hold is charged, the organization is told;
// when it is released, the threshold is free for the next hold that reaches it.
type Low struct {
	Marks      Marks `json:"marks,omitempty"`
	Used       int64 `json:"used,omitempty"` // with the hold and all others that are open
	Allocation int64 `json:"allocation,omitempty"`
}

// With returns the balance from which a hold is taken, and what the hold
// reaches.
func (b Balance) With(amount int64) (Balance, Low) {
	b.Remaining -= amount
	low := Low{Used: b.Allocation - b.Remaining, Allocation: b.Allocation}
	for i := range Thresholds() {
		if mark := Marks(1) << i; b.Told&mark == 0 && b.Remaining <= b.left(i) {
			low.Marks |= mark
		}
	}
	if low.Marks == 0 {
		return b, Low{}
	}
	b.Told |= low.Marks
	return b, low
}

// Slack returns by how much the balance is above the next threshold that no
// hold has reached.
func (b Balance) Slack() int64 {
	for i := range Thresholds() {
		if b.Told&(1<<i) == 0 {
			return b.Remaining - b.left(i)
		}
	}
	return math.MaxInt32 // no plan allows so much
}

// left returns what remains at the i-th threshold.
func (b Balance) left(i int) int64 { return b.Allocation * (100 - Thresholds()[i]) / 100 }

// A Reached is the refusal of a hold that would be the first to reach a
// threshold, or that was marked for another balance. It says how the balance
// stands, so that the hold can be marked and tried again.
type Reached struct {
	Balance Balance
}

func (*Reached) Error() string {
	return "the credits reach a threshold, and the hold is not marked for it"
}
