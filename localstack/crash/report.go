package main

import (
	"slices"
	"strings"
	"time"

	"theoneagents.app/agents/localstack/crash/audit"
)

// slow is the time beyond its waits from which on a run counts as held up. A
// product that fails twice delays a run by seconds on its own.
const slow = 10 * time.Second

// report prints the statistics of the test.
func (s *system) report(f *faults, e audit.Evidence, people actions) {
	ends, outcomes, reasons := map[string]int{}, map[string]int{}, map[string]int{}
	var late, lags, still []time.Duration
	runs, attempts, retries := 0, 0, 0
	published := map[string]time.Time{}
	for _, p := range e.Published {
		published[p.ID] = p.At
	}
	for _, o := range e.Orgs {
		for _, r := range o.Runs {
			runs++
			ends[end(r)]++
			for _, step := range r.Steps {
				attempts += max(0, step.Attempts-1)
			}
			late = append(late, lateness(o, r))
			if r.RetryOf != "" {
				retries++
			} else {
				lags = append(lags, r.Created.Sub(published[r.Event.ID]))
			}
		}
		for _, entries := range o.Activity {
			for _, a := range entries {
				outcomes[a.Outcome]++
			}
		}
		for _, st := range o.Still {
			still = append(still, st.Lasted)
		}
	}
	for _, l := range e.Letters {
		reasons[l.Reason]++
	}
	held := slices.DeleteFunc(slices.Clone(late), func(d time.Duration) bool { return d < slow })
	s.say("events:        %d published, dead letters %v", len(e.Published), reasons)
	s.say("activity:      %v", outcomes)
	s.say("runs:          %d (%d of them retries): %v", runs, retries, ends)
	s.say("killed:        %v; during an invocation %v", f.killed, f.interrupted)
	s.reportCalls(e.Calls, attempts)
	s.say("users:         %d decisions, %d cancellations, %d retries; %d requests repeated because the answer was lost",
		people.verdicts, people.cancels, people.retries, people.repeats)
	s.say("dispatch:      from publishing to the run %s", spread(lags))
	s.say("runs took:     beyond their waits %s", spread(late))
	s.say("repaired:      %d runs were held up for %v and more: %s", len(held), slow, spread(held))
	s.say("stood still:   after the last fault %s", spread(still))
	s.say("duration:      %.0f s: faults %.0f s, then %.0f s until all runs had ended", s.now().Sub(s.began).Seconds(),
		f.ended.Sub(s.began).Seconds(), f.rested.Sub(f.ended).Seconds())
}

func end(r audit.Run) string {
	if r.Reason == "" {
		return r.Status
	}
	return r.Status + ":" + r.Reason
}

// lateness is the duration of a run without its waits and approvals.
func lateness(o audit.Org, r audit.Run) time.Duration {
	if r.Ended == nil {
		return 0
	}
	took := r.Ended.Sub(r.Created)
	for _, s := range r.Steps {
		if s.Type == "wait" && s.Status == "completed" {
			took -= pause * time.Second
		}
	}
	for _, p := range o.Approvals {
		if p.Run != r.ID {
			continue
		}
		for _, s := range r.Steps {
			if s.ID == p.Step && s.Started != nil {
				until := p.Expires
				if p.Decided != nil && p.Decided.Before(until) {
					until = *p.Decided
				}
				took -= max(0, until.Sub(*s.Started))
			}
		}
	}
	return max(0, took)
}

// reportCalls prints the statistics of the calls to the stand-ins.
func (s *system) reportCalls(calls []audit.Call, attempts int) {
	done, failed, lost, repeated := map[string]int{}, 0, 0, 0
	hooks := map[string]int{}
	for _, c := range calls {
		switch {
		case c.Status >= 400:
			failed++
		case c.Repeated:
			repeated++
		default:
			done[c.Kind]++
		}
		if c.Lost {
			lost++
		}
		if c.Kind == "webhook" && c.Done() {
			hooks[c.Key]++
		}
	}
	again := 0
	for _, n := range hooks {
		again += n - 1
	}
	s.say("product calls: %d: done %v, failed %d, replies lost %d, deduplicated by key %d; webhooks, which have no deduplication, repeated %d; further tries of steps %d",
		len(calls), done, failed, lost, repeated, again, attempts)
}

// spread returns the percentiles of durations.
func spread(of []time.Duration) string {
	if len(of) == 0 {
		return "none"
	}
	slices.Sort(of)
	at := func(part float64) string {
		return of[int(part*float64(len(of)-1))].Round(100 * time.Millisecond).String()
	}
	return strings.Join([]string{"p50 " + at(0.5), "p99 " + at(0.99), "max " + at(1)}, ", ")
}
