package backtest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/job"
	"theoneagents.app/agents/shared/rehearsal"
)

// Task does the work of back-tests.
type Task struct {
	Journal     Journal
	Past        Past
	Definitions Definitions
	System      []agent.Agent
	Rules       definition.Rules

	// Saw receives all verdicts about each judged event; nil for no receiver.
	Saw func(e id.Event, with, as []Verdict)
	// Most bounds the judged events; 0 for MaxEvents.
	Most int
}

// Do implements job.Task.
func (t *Task) Do(ctx context.Context, j job.Job, args string, tell func(job.Progress) error) (string, error) {
	var a Args
	if err := json.Unmarshal([]byte(args), &a); err != nil {
		return "", fmt.Errorf("read the arguments of %s: %w", j.ID, err)
	}
	r, err := t.result(ctx, j, a, tell)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("write the result of %s: %w", j.ID, err)
	}
	return string(text), nil
}

func (t *Task) result(ctx context.Context, j job.Job, a Args, tell func(job.Progress) error) (Result, error) {
	as, with, err := a.placed(ctx, j.Org, t.Definitions, t.System)
	if err != nil {
		return Result{}, err
	}
	types := a.types(as)
	as, with = among(as, types), among(with, types)
	tape, err := readTape(ctx, t.Journal, reading{
		org: j.Org, args: a, types: types, facts: profiles(slices.Concat(as, with), types), now: j.Created,
		tell: func(read int) error { return tell(job.Progress{Done: read}) },
	}, cmp.Or(t.Most, MaxEvents))
	if err != nil {
		return Result{}, err
	}
	if tape.ofType == 0 {
		return Result{}, noneKept(a)
	}
	c := newCauses(t.Past)
	if err := c.warm(ctx, j.Org, t.Rules.Catalog, a.Uses, tape.events); err != nil {
		return Result{}, fmt.Errorf("find the causes of events: %w", err)
	}
	s, err := t.judge(ctx, j, a, tape, c, as, with, tell)
	if err != nil {
		return Result{}, err
	}
	can := t.Rules.Capabilities(*a.Definition)
	r := s.done(can.Bounds.Credits)
	r.Loops = loops(can.CanCause, t.listening(ctx, j.Org, a))
	if a.Play != Simulated {
		return r, nil
	}
	return r, t.play(ctx, j, s, &r, with, tell)
}

// every is the number of events or runs between two signs of progress.
const every = 250

// judge judges the events of a tape in both universes.
func (t *Task) judge(
	ctx context.Context, j job.Job, a Args, tape *tape, c *causes, as, with []listening, tell func(job.Progress) error,
) (*sheet, error) {
	candidate, err := newUniverse(ctx, j.Org, a, t.Rules, c, with)
	if err != nil {
		return nil, err
	}
	universes := []*Universe{candidate}
	if a.Compare {
		live, err := newUniverse(ctx, j.Org, a, t.Rules, c, as)
		if err != nil {
			return nil, err
		}
		universes = append(universes, live)
	}
	s, looks := newSheet(a, tape), lookupOf(*a.Definition)
	for n, e := range tape.events {
		if n%every == 0 {
			if err := tell(job.Progress{Done: n, Of: len(tape.events)}); err != nil {
				return nil, err
			}
		}
		if e.cut {
			if s.wants(e.Event) {
				s.result.Unknown.Payload++
			}
			continue
		}
		found := make([][]Verdict, 2)
		for i, u := range universes {
			if e.fact != nil {
				err = u.learn(ctx, e.Client, *e.fact)
			} else {
				found[i], err = u.Judge(ctx, e.Event)
			}
			if err != nil {
				return nil, err
			}
		}
		if e.fact != nil || !s.wants(e.Event) {
			continue
		}
		if t.Saw != nil {
			t.Saw(e.ID, found[0], found[1])
		}
		if err := s.see(ctx, e, candidate, looks, found); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// see adds the verdicts about an event, unless they rest on a profile that is not known.
func (s *sheet) see(ctx context.Context, e taped, u *Universe, looks lookup, found [][]Verdict) error {
	var profile map[string]any
	var err error
	if s.args.Definition.Mentions("client_context") {
		if profile, err = u.profile(ctx, e.Client); err != nil {
			return err
		}
	}
	if v, listens := verdictOf(found[0], s.args.Agent); listens && e.Client != "" && v.Outcome != definition.Filtered && v.Outcome != definition.OutOfScope &&
		looks != (lookup{}) && !looks.known(s.args, e.Event, profile) {
		s.result.Unknown.Profile++
		return nil
	}
	s.add(e, profile, found[0], found[1])
	return nil
}

// listening returns all agents of the organization with the candidate among them.
func (t *Task) listening(ctx context.Context, org id.Org, a Args) []listening {
	_, with, err := a.placed(ctx, org, t.Definitions, t.System)
	if err != nil {
		return nil
	}
	return with
}

// loops returns the agents that an event starts which the candidate can cause.
func loops(causes []string, all []listening) []Loop {
	found := []Loop{}
	for _, l := range all {
		if slices.Contains(causes, l.Trigger.Event()) && len(found) < MaxRows {
			found = append(found, Loop{Via: l.Trigger.Event(), Agent: l.agent, Open: l.Trigger.AllowAgentTriggered})
		}
	}
	slices.SortFunc(found, func(a, b Loop) int {
		return cmp.Or(strings.Compare(a.Via, b.Via), strings.Compare(string(a.Agent), string(b.Agent)))
	})
	return found
}

// play plays the runs that would have started, or a sample of them, as test runs, and
// adds what they would have done.
func (t *Task) play(ctx context.Context, j job.Job, s *sheet, r *Result, with []listening, tell func(job.Progress) error) error {
	sample := slices.Clone(s.starts)
	slices.SortFunc(sample, func(a, b start) int { return cmp.Compare(a.draw, b.draw) })
	sample = sample[:min(len(sample), MaxPlayed)]
	p := &player{Task: t, org: j.Org, args: s.args, service: &rehearsal.Service{Rules: t.Rules}, agents: map[id.Agent]listening{}}
	for _, l := range with {
		p.agents[l.agent] = l
	}
	effects, same := map[string]int{}, map[id.Agent]int{}
	var credits int64
	r.Approvals, r.Played = &Approvals{}, &Played{Runs: len(sample), Of: len(s.starts)}
	for n, x := range sample {
		if n%every == 0 {
			if err := tell(job.Progress{Done: n, Of: len(sample)}); err != nil {
				return err
			}
		}
		mine, err := p.play(ctx, s.args.Agent, x)
		if errors.Is(err, rehearsal.ErrTooLong) {
			r.Played.Failed++
			continue
		}
		if err != nil {
			return err
		}
		if mine.Status != nil && *mine.Status == "failed" {
			r.Played.Failed++
		}
		credits += mine.Credits.WouldCost
		r.Approvals.Questions += len(mine.Gates)
		for _, e := range mine.Effects {
			effects[e.What]++
		}
		for _, v := range x.others {
			switch theirs, err := p.play(ctx, v.Agent, x); {
			case errors.Is(err, rehearsal.ErrTooLong):
			case err != nil:
				return err
			case p.meet(mine, theirs):
				same[v.Agent]++
			}
		}
	}
	r.Effects = rows(effects, func(what string, n int) EffectCount { return EffectCount{what, n} })
	for i, o := range r.Overlap {
		n := same[o.Agent]
		r.Overlap[i].Same = &n
	}
	each, runs := 0.0, float64(r.WouldStart)*r.Events.Factor
	if len(sample) > 0 {
		each = 1 / float64(len(sample))
	}
	likely := float64(credits) * each * runs
	r.Credits.Likely = &likely
	s.share(r, likely)
	if weeks := s.args.To.Sub(s.args.From).Hours() / 24 / 7; weeks > 0 {
		r.Approvals.PerWeek = float64(r.Approvals.Questions) * each * runs / weeks
	}
	return nil
}

// A player plays runs as test runs.
type player struct {
	*Task

	org     id.Org
	args    Args
	service *rehearsal.Service
	agents  map[id.Agent]listening
}

func (p *player) play(ctx context.Context, a id.Agent, x start) (rehearsal.Result, error) {
	l := p.agents[a]
	r, err := p.service.Run(ctx, rehearsal.Play{
		Org: p.org, Plan: p.args.Plan, Settings: p.args.settings(), Agent: a, Version: l.version, System: l.system,
		Definition: l.Definition, Event: x.Event, Client: x.profile, At: x.Published, Answers: rehearsal.Answers{IgnoreMatch: true},
	})
	if err != nil {
		return r, fmt.Errorf("play %s at %s: %w", x.ID, a, err)
	}
	return r, nil
}

// meet reports whether two runs act on one object: a parameter that chooses the target
// has the same value.
func (p *player) meet(a, b rehearsal.Result) bool {
	mine := p.targets(a)
	for target := range p.targets(b) {
		if mine[target] {
			return true
		}
	}
	return false
}

// targets returns the objects on which a run acts: the product, the parameter and its
// value.
func (p *player) targets(r rehearsal.Result) map[string]bool {
	all := map[string]bool{}
	for _, e := range r.Effects {
		product, action, _ := strings.Cut(e.What, ".")
		known, ok := p.Rules.Catalog.Action(product, action)
		if e.Kind != rehearsal.ActionEffect || !ok {
			continue
		}
		for _, param := range known.Params {
			if v, given := e.Params[param.Name]; given && param.Role == catalog.Target {
				all[fmt.Sprintf("%s %s %v", product, param.Name, v)] = true
			}
		}
	}
	return all
}
