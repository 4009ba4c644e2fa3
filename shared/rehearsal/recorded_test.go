package rehearsal_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/rehearsal"
	"theoneagents.app/agents/shared/step"
)

// past are runs, the newest first, with the steps of each.
type past struct {
	names []id.Execution
	steps map[id.Execution]execution.Steps
	gone  map[id.Execution]bool
	reads []id.Execution
}

func (p *past) add(name id.Execution, all ...execution.StepRecord) {
	steps := execution.Steps{}
	for _, s := range all {
		steps[s.ID] = s
	}
	p.names, p.steps[name] = append(p.names, name), steps
}

func (p *past) Executions(_ context.Context, _ id.Org, q execution.Query) (execution.Page, error) {
	var page execution.Page
	for _, name := range p.names[:min(len(p.names), q.Limit)] {
		page.Executions = append(page.Executions, execution.Execution{ID: name})
	}
	return page, nil
}

func (p *past) Execution(_ context.Context, _ id.Org, name id.Execution) (execution.Execution, execution.Steps, error) {
	p.reads = append(p.reads, name)
	if p.steps[name] == nil {
		return execution.Execution{}, nil, execution.ErrNotFound
	}
	x := execution.Execution{ID: name, Status: execution.Completed}
	if p.gone[name] {
		x.KeptUntil = noon.Add(-time.Hour)
	}
	return x, p.steps[name], nil
}

const sorts = `[{"id": "sort", "type": "ai_reason", "model": "quick", "prompt": "Sort {{ event_payload.ticket_id }}.",
		"output_schema": {"type": "object", "required": ["word"], "properties": {"word": {"type": "string"}}}},
	{"id": "say", "type": "ai_reason", "model": "standard", "prompt": "Say {{ steps.sort.output.word }}."}]`

// asked returns the digests of the questions of a definition whose steps get the answers of
// a body.
func asked(t *testing.T, d definition.Definition) (sort, say string) {
	t.Helper()
	const id, word = "event_payload.ticket_id", "steps.sort.output.word"
	q := step.Question{Tier: "quick", Prompt: "Sort [[" + id + "]].", Data: map[string]any{id: "tkt_48213"}, Schema: d.Steps[0].Schema}
	r := step.Question{Tier: "standard", Prompt: "Say [[" + word + "]].", Data: map[string]any{word: "urgent"}}
	return q.Digest(), r.Digest()
}

func answered(name id.Step, digest string, output any) execution.StepRecord {
	return execution.StepRecord{ID: name, Kind: definition.AI, Status: execution.StepCompleted, QuestionDigest: digest, Output: output}
}

func TestARecordedAnswerIsThatOfTheNewestRunWithTheSameQuestion(t *testing.T) {
	t.Parallel()

	d := defined(t, sorts)
	sort, say := asked(t, d)
	word := func(w string) map[string]any { return map[string]any{"word": w} }
	said := map[string]any{"text": "It is urgent."}
	old := func(p *past, n int) {
		for i := range n {
			p.add(id.Execution(fmt.Sprintf("exec_other%d", i)), answered("sort", "another question", word("x")))
		}
	}
	for name, tc := range map[string]struct {
		runs      func(p *past)
		sort, say string // the runs; "" for simulated answers
		reads     int
		warning   string
	}{
		"no run":                 {func(*past) {}, "", "", 0, "no execution that is kept"},
		"one run":                {func(p *past) { p.add("exec_1", answered("sort", sort, word("urgent")), answered("say", say, said)) }, "exec_1", "exec_1", 1, ""},
		"a step of another name": {func(p *past) { p.add("exec_1", answered("old", sort, word("urgent")), answered("say", say, said)) }, "exec_1", "exec_1", 1, ""},
		"the newest of two": {func(p *past) {
			p.add("exec_2", answered("sort", sort, word("urgent")))
			p.add("exec_1", answered("sort", sort, word("dull")), answered("say", say, said))
		}, "exec_2", "exec_1", 2, ""},
		"another question":        {func(p *past) { p.add("exec_1", answered("sort", say, word("urgent"))) }, "", "", 1, "the only execution"},
		"a record without digest": {func(p *past) { p.add("exec_1", answered("sort", "", word("urgent"))) }, "", "", 1, "older than the record of questions"},
		"a step that failed": {func(p *past) {
			s := answered("sort", sort, nil)
			s.Status = execution.StepFailed
			p.add("exec_1", s)
		}, "", "", 1, "the only execution"},
		"a run that is gone": {func(p *past) {
			p.add("exec_1", answered("sort", sort, word("urgent")))
			p.gone["exec_1"] = true
		}, "", "", 1, "no execution that is kept"},
		"a run beyond the bound": {func(p *past) {
			old(p, rehearsal.MaxRecorded)
			p.add("exec_1", answered("sort", sort, word("urgent")))
		}, "", "", rehearsal.MaxRecorded, "none of the 50 executions"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			p := &past{steps: map[id.Execution]execution.Steps{}, gone: map[id.Execution]bool{}}
			tc.runs(p)
			r := playRecorded(t, d, `{"model": "recorded"}`, p)
			warned := map[string]string{}
			for _, w := range r.Warnings {
				warned[w.Path] = w.Message
			}
			for i, want := range []string{tc.sort, tc.say} {
				s, source := r.Steps[i], "recorded"
				if want == "" {
					source = "simulated"
				}
				run := ""
				if s.Run != nil {
					run = *s.Run
				}
				if *s.Source != source || run != want {
					t.Errorf("the answer to %s is %s from %q, want %s from %q", s.ID, *s.Source, run, source, want)
				}
				if w, given := warned["model."+string(s.ID)]; given != (want == "") || given && !strings.Contains(w, tc.warning) {
					t.Errorf("the warning about %s is %q", s.ID, w)
				}
			}
			if len(p.reads) != tc.reads {
				t.Errorf("%d runs were read, want %d", len(p.reads), tc.reads)
			}
		})
	}
}

// The run whose event is played counts too when it is older than the newest runs.
func TestTheAnswersOfThePlayedRunCount(t *testing.T) {
	t.Parallel()

	d := defined(t, sorts)
	sort, _ := asked(t, d)
	p := &past{steps: map[id.Execution]execution.Steps{}, gone: map[id.Execution]bool{}}
	for i := range rehearsal.MaxRecorded {
		p.add(id.Execution(fmt.Sprintf("exec_other%d", i)))
	}
	p.add("exec_played", answered("sort", sort, map[string]any{"word": "urgent"}))
	q := rehearsal.Request{}
	e, source, _ := q.EventFor(rules(t).Catalog, d, "org_a", noon)
	s := &rehearsal.Service{Rules: rules(t)}
	r, err := s.Run(t.Context(), rehearsal.Play{
		Org: "org_a", Plan: "starter", Agent: "agent_1", Version: 1, Definition: d, Event: e, Source: source, At: noon,
		Recording: rehearsal.NewRecording(p, "org_a", "agent_1", "exec_played", noon),
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Steps[0]; got.Run == nil || *got.Run != "exec_played" {
		t.Errorf("the answer is from %v", got.Run)
	}
}
