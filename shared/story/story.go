// Package story tells a run in sentences: what started it, what each step did and with
// whose values, who was asked and who decided, and how it ended and why. It fills fixed
// sentences from the record and the trace. No model writes them, and nothing is read or
// written for them.
//
// Every value from outside (of an event, a model, a product, a person, or the author of the
// agent) is data: it stands on one line in curly quotation marks, which it cannot have
// itself, and is cut. Ids of people and of runs have no spaces and stand as they are. A
// story never has the URL of a chat or a webhook: it is the same for every reader.
//
// Each kind of step has one row in tellers, and each status, reason, occasion and channel
// has its words in words.go. The tests fail for one without.
package story

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/render"
)

// The bounds of a story. A run whose gates have many channels has more than MaxLines; the
// last line of its steps then says how many are left out.
const (
	MaxLines = 300
	MaxText  = 8 << 10 // bytes of a line
)

// A Line is one sentence, or a few that belong together.
type Line struct {
	At   time.Time
	Step id.Step // empty for a line about the run
	Text string
}

// A Run is a run as a story tells it.
type Run struct {
	execution.Execution

	Trace   execution.Trace
	Agent   string // the agent's name; may be empty
	Subject string // of the event; may be empty
}

// Lines returns the story of the run, the oldest line first. The last line says how the
// run ended, or what it waits for.
func (r Run) Lines() []Line {
	t := telling{run: r}
	for _, s := range r.Trace {
		t.step(s)
	}
	slices.SortStableFunc(t.lines, func(a, b Line) int { return a.At.Compare(b.At) })
	start, end := r.start(), t.ending()
	if left := MaxLines - len(start) - len(end) - 1; len(t.lines) > left {
		more := len(t.lines) - left
		t.lines = append(t.lines[:left], Line{At: t.lines[left-1].At, Text: render.Count(more) + " more sentences about its steps are left out."})
	}
	return slices.Concat(start, t.lines, end)
}

// start tells of the event, and who or what started the run.
func (r Run) start() []Line {
	e := r.Trigger
	text := e.Product + " published " + e.Type
	if e.Client != "" {
		text += " for the client " + quoted(string(e.Client), maxName)
	}
	if r.Subject != "" {
		text += ": " + quoted(r.Subject, maxValue)
	}
	text += "."
	switch by := e.Cause(); {
	case id.Valid("exec_", string(by)):
		text += fmt.Sprintf(" The run %s had caused the event.", by)
	case e.AgentTriggered():
		text += " An agent had caused the event."
	}
	return []Line{{At: e.Published, Text: text}, {At: r.Created, Text: r.started()}}
}

func (r Run) started() string {
	version := fmt.Sprintf("version %d of the agent %s", r.Version, quoted(cmp.Or(r.Agent, string(r.Execution.Agent)), maxName))
	if r.RetryOf == "" {
		return "The event started " + version + "."
	}
	retried := fmt.Sprintf("retried the run %s, with %s.", r.RetryOf, version)
	switch by := r.StartedBy(); by.Type {
	case execution.ByUser:
		return by.ID + " " + retried
	case execution.ByKey:
		return "The integration key " + by.ID + " " + retried
	case execution.ByEvent:
	}
	return "A caller " + retried // recorded before retries had a starter
}

// A telling collects the lines about the steps of a run.
type telling struct {
	run   Run
	lines []Line
	ahead []string // quoted names of the steps that the run has not reached
	moves bool     // a line says what the run does now
}

// say adds a line.
func (t *telling) say(at time.Time, step id.Step, sentences ...string) {
	sentences = slices.DeleteFunc(sentences, func(s string) bool { return s == "" })
	t.lines = append(t.lines, Line{At: at, Step: step, Text: strings.Join(sentences, " ")})
}

// step tells of one step in its status.
func (t *telling) step(s execution.TraceEntry) {
	k := tellerOf(s.Kind)
	switch s.Status {
	case execution.StepPending:
		t.pending(s)
	case execution.StepRunning:
		t.moves = true
		t.say(s.Started, s.ID, k.subject(s)+" is under way.", k.extra(t, s))
	case execution.StepWaiting:
		t.moves = true
		k.waiting(t, s)
	case execution.StepCompleted:
		k.completed(t, s)
	case execution.StepFailed:
		t.failed(k, s)
	case execution.StepSkipped:
		t.skipped(k, s)
	default:
		t.say(s.Started, s.ID, fmt.Sprintf("%s is %s.", k.subject(s), s.Status)) // of a newer release
	}
}

func (t *telling) pending(s execution.TraceEntry) {
	for _, round := range s.Earlier {
		t.round(s, round)
	}
	if s.Round > 0 {
		t.again(s)
	}
	t.ahead = append(t.ahead, nameOf(s))
}

func (t *telling) failed(k teller, s execution.TraceEntry) {
	if !s.Asked.IsZero() {
		t.asked(s, s.StepRecord)
	}
	f := execution.Failure{Code: "internal_error"}
	if s.Error != nil {
		f = *s.Error
	}
	text := k.subject(s) + " failed"
	if s.Tries > 1 {
		text += fmt.Sprintf(" after %d tries", s.Tries)
	}
	goesOn := ""
	if s.Definition.OnError == definition.Continue {
		goesOn = "The run went on, as the agent says."
	}
	t.say(ended(s), s.ID, text+": "+quoted(definition.WithoutURLs(f.Message), maxReason)+" ("+f.Code+").", k.extra(t, s), credits(s), goesOn)
}

// skipped tells why a step did not run: its condition did not hold, or the run ended
// before. Steps that a run did not reach are told together at its end.
func (t *telling) skipped(k teller, s execution.TraceEntry) {
	input, _ := s.Input.(map[string]any)
	why, conditional := input["if"].(string)
	switch {
	case conditional:
		t.say(ended(s), s.ID, fmt.Sprintf("%s was skipped, because its condition did not hold: %s.", k.subject(s), quoted(why, maxReason)))
	case !s.Asked.IsZero():
		t.asked(s, s.StepRecord)
		t.say(t.run.Completed, s.ID, fmt.Sprintf("The question at %s was withdrawn, because the run ended.", nameOf(s)))
		t.told(s, s.StepRecord, t.run.Completed, execution.OnWithdrawn, execution.OnDecided, execution.OnExpired)
	case !s.Started.IsZero():
		t.say(ended(s), s.ID, k.subject(s)+" was still under way when the run ended. Its result is not known.")
	default:
		t.pending(s)
	}
}

// ending tells how the run ended, or what it waits for.
func (t *telling) ending() []Line {
	x := t.run.Execution
	at := x.Created
	for _, l := range t.lines {
		if l.At.After(at) {
			at = l.At
		}
	}
	var out []Line
	if x.Status.Ended() {
		at = x.Completed
		if n := len(t.ahead); n > 0 {
			out = append(out, Line{At: at, Text: fmt.Sprintf("%s not reached: %s.", counted(n, "step was", "steps were"), named(t.ahead))})
		}
		return append(out, Line{At: at, Text: "The run " + Outcome(x)})
	}
	if x.Held || !t.moves {
		text := "The run " + Outcome(x)
		if len(t.ahead) > 0 && !x.Held {
			text += " Its next step is " + t.ahead[0] + "."
			t.ahead = t.ahead[1:]
		}
		out = append(out, Line{At: at, Text: text})
	}
	if len(t.ahead) > 0 {
		out = append(out, Line{At: at, Text: "Still to come: " + named(t.ahead) + "."})
	}
	return out
}

// ended returns when a step ended, or began if that is not recorded.
func ended(s execution.TraceEntry) time.Time {
	if s.Ended.IsZero() {
		return s.Started
	}
	return s.Ended
}

// nameOf returns the name of a step, quoted: that of the definition, or the id.
func nameOf(s execution.TraceEntry) string {
	return quoted(cmp.Or(s.Definition.Name, string(s.ID)), maxName)
}
