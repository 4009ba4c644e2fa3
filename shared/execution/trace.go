package execution

import (
	"slices"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/id"
)

// A Trace lists every step of the definition in order, with the steps of a
// taken branch case after their branch. A step that was not reached is pending,
// or skipped once the run has ended.
type Trace []TraceEntry

// A TraceEntry is a step of the definition with its record.
type TraceEntry struct {
	StepRecord

	Definition definition.Step
	Earlier    []StepRecord // the earlier rounds of a gate that asked again, the oldest first
}

// Steps are the recorded steps of a run.
type Steps map[id.Step]StepRecord

// TraceOf returns the trace of a run of d with these recorded steps.
func TraceOf(d definition.Definition, done Steps, ended bool) Trace {
	return trace(nil, d.Steps, done, ended)
}

func trace(t Trace, steps []definition.Step, done Steps, ended bool) Trace {
	for _, def := range steps {
		s, ok := done[def.ID]
		if !ok {
			s = StepRecord{ID: def.ID, Kind: def.Kind, Status: StepPending}
		}
		if ended && !s.Status.Ended() {
			s.Status = StepSkipped
		}
		t = append(t, TraceEntry{StepRecord: s, Definition: def, Earlier: done.rounds(s)})
		t = trace(t, taken(def, s), done, ended)
	}
	return t
}

// taken returns the steps of the case that a branch took.
func taken(def definition.Step, s StepRecord) []definition.Step {
	switch {
	case def.BranchStep == nil || s.Case == nil || s.Status != StepCompleted:
		return nil
	case *s.Case < 0:
		return def.Else
	case *s.Case < len(def.Cases):
		return def.Cases[*s.Case].Steps
	}
	return nil
}

// Next returns the first step that has not ended, and whether there is one.
func (t Trace) Next() (TraceEntry, bool) {
	for _, s := range t {
		if !s.Status.Ended() {
			return s, true
		}
	}
	return TraceEntry{}, false
}

// Last reports whether all other steps have ended before step, and step is not
// a branch: no step can follow it.
func (t Trace) Last(step id.Step) bool {
	for _, s := range slices.Backward(t) {
		if s.ID == step {
			return s.Definition.BranchStep == nil
		}
		if !s.Status.Ended() {
			return false
		}
	}
	return false
}

// Ended returns the number of recorded steps that have ended.
func (s Steps) Ended() int {
	n := 0
	for _, step := range s {
		if step.Status.Ended() {
			n++
		}
	}
	return n
}

// PassedOver returns the number of recorded steps that failed without ending
// the run; f is the run's failure or nil.
func (s Steps) PassedOver(f *Failure) int {
	n := 0
	for _, step := range s {
		if step.Status == StepFailed && (f == nil || f.Step != step.ID) {
			n++
		}
	}
	return n
}

// Charged returns the cost of the recorded steps.
func (s Steps) Charged() int64 {
	var sum int64
	for _, step := range s {
		sum += step.Credits()
	}
	return sum
}

// ShownBefore returns the values shown at the last gate that the run had passed before a
// step, or nil.
func (t Trace) ShownBefore(step id.Step) *ShownToApprovers {
	at := slices.IndexFunc(t, func(s TraceEntry) bool { return s.ID == step })
	return t[:max(at, 0)].ShownToApprovers()
}

// ShownToApprovers returns the values shown at the last gate that the run has
// passed, or nil. They include everything that an earlier gate showed of the
// steps still to come.
func (t Trace) ShownToApprovers() *ShownToApprovers {
	for _, s := range slices.Backward(t) {
		if s.ShownToApprovers != nil && s.Status == StepCompleted {
			return s.ShownToApprovers
		}
	}
	return nil
}
