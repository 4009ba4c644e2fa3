package credit

import "math"

// Thresholds returns the percentages of use at which an organization is
// notified that its credits run low.
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

// Low names the thresholds that a hold was the first to reach. Each threshold
// of a month belongs to one hold: charging the hold notifies the organization,
// releasing it frees the threshold for the next hold that reaches it.
type Low struct {
	Marks      Marks `json:"marks,omitempty"`
	Used       int64 `json:"used,omitempty"` // including this and all other open holds
	Allocation int64 `json:"allocation,omitempty"`
}

// With returns the balance after a hold of amount, and the thresholds that the
// hold reaches.
func (b Balance) With(amount int64) (Balance, Low) {
	b.Remaining -= amount
	low := Low{Used: b.Allocation - b.Remaining, Allocation: b.Allocation}
	for i := range Thresholds() {
		if mark := Marks(1) << i; b.Announced&mark == 0 && b.Remaining <= b.left(i) {
			low.Marks |= mark
		}
	}
	if low.Marks == 0 {
		return b, Low{}
	}
	b.Announced |= low.Marks
	return b, low
}

// Slack returns the distance of the balance from the next threshold that no
// hold has reached.
func (b Balance) Slack() int64 {
	for i := range Thresholds() {
		if b.Announced&(1<<i) == 0 {
			return b.Remaining - b.left(i)
		}
	}
	return math.MaxInt32 // more than any plan's allocation
}

// left returns the remaining credits at the i-th threshold.
func (b Balance) left(i int) int64 { return b.Allocation * (100 - Thresholds()[i]) / 100 }

// A Reached refuses a hold that would be the first to reach a threshold, or
// that was marked for another balance. It holds the current balance, so that
// the caller can mark the hold and try again.
type Reached struct {
	Balance Balance
}

func (*Reached) Error() string {
	return "the credits reach a threshold, and the hold is not marked for it"
}
