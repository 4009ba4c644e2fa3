package execution

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/id"
)

// An approval of a destructive action ages. When the action has not begun
// VerdictLasts after the verdict, the gate asks again: its row starts over with the
// next round, and the row of the earlier round is kept beside it, with its messages
// and their outcome.

// VerdictLasts is how long an approval of a destructive action is valid.
const VerdictLasts = 24 * time.Hour

// Verdict returns the gate before a step at which people last approved, and
// whether there is one.
func (t Trace) Verdict(before id.Step) (gate TraceEntry, ok bool) {
	for _, s := range t {
		if s.ID == before {
			break
		}
		if s.Definition.GateStep != nil && !s.ApprovedAt().IsZero() {
			gate, ok = s, true
		}
	}
	return gate, ok
}

// ApprovedAt returns when people approved at a gate; zero if they did not.
func (s StepRecord) ApprovedAt() time.Time {
	output, _ := s.Output.(map[string]any)
	switch {
	case s.Status != StepCompleted || output["decision"] != "approved":
		return time.Time{}
	case s.Decided.IsZero(): // recorded before the field existed
		return s.Ended
	}
	return s.Decided
}

// Aged reports whether the approval at a gate is too old for a destructive action.
func (s StepRecord) Aged(now time.Time) bool {
	at := s.ApprovedAt()
	return !at.IsZero() && !now.Before(at.Add(VerdictLasts))
}

// Again returns the row of a gate that asks again, and the row that keeps the
// earlier round.
func (s StepRecord) Again() (again, earlier StepRecord) {
	earlier = s
	earlier.ID = roundOf(s.ID, s.Round)
	return StepRecord{ID: s.ID, Kind: s.Kind, Status: StepPending, Round: s.Round + 1, Attempt: s.Attempt}, earlier
}

// Earlier returns the row of the round before, and whether the gate asked before.
func (s Steps) Earlier(gate StepRecord) (StepRecord, bool) {
	earlier, ok := s[roundOf(gate.ID, gate.Round-1)]
	return earlier, ok && gate.Round > 0
}

// rounds returns the rows of the earlier rounds of a gate, the oldest first.
func (s Steps) rounds(gate StepRecord) []StepRecord {
	var all []StepRecord
	for n := range gate.Round {
		if earlier, ok := s[roundOf(gate.ID, n)]; ok {
			all = append(all, earlier)
		}
	}
	return all
}

// roundOf returns the id of the row that keeps an earlier round of a gate. No step
// of a definition can have this id.
func roundOf(gate id.Step, round int) id.Step {
	return id.Step(fmt.Sprintf("%s:round:%d", gate, round))
}

// Gate returns the id of the gate in the definition, for the row of any round.
func (s StepRecord) Gate() id.Step {
	gate, _, _ := strings.Cut(string(s.ID), ":")
	return id.Step(gate)
}

// Superseded reports whether s is the row of an earlier round of a gate.
func (s StepRecord) Superseded() bool { return s.Kind == definition.Gate && s.Gate() != s.ID }

// OutcomeRow returns the id of the row that records the outcome messages of a
// gate's round.
func (s StepRecord) OutcomeRow() id.Step {
	row := OutcomeOf(s.Gate())
	if s.Round > 0 {
		row += id.Step(":" + strconv.Itoa(s.Round))
	}
	return row
}
