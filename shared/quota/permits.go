package quota

import (
	"sync"

	"theoneagents.app/agents/shared/id"
)

// permits are what one instance of a function knows of the current minute: the
// permits that it took and has not used, and the runs that it admitted. A busy
// instance takes more permits than it needs at once, and so writes once for many
// runs. Permits that it does not use are lost when the minute ends: the quota is then
// reached early, and never late.
type permits struct {
	mu     sync.Mutex
	minute Minute
	orgs   map[id.Org]*share
}

// A share is the part of an organization's minute that the instance took.
type share struct {
	left   int                   // permits without a run
	writes int                   // of this instance in the minute
	seen   Tally                 // as the last write left it
	runs   map[id.Execution]bool // the admitted runs; true for one that took a spare permit and has no mark
}

// mostShares is the number of organizations in the memory of an instance.
const mostShares = 10_000

// of returns the share of an organization in a minute. The shares of an earlier minute
// are dropped; so are all when there are too many.
func (p *permits) of(org id.Org, m Minute) *share {
	if m != p.minute || p.orgs == nil || len(p.orgs) >= mostShares {
		p.minute, p.orgs = m, make(map[id.Org]*share)
	}
	s := p.orgs[org]
	if s == nil {
		s = &share{runs: map[id.Execution]bool{}}
		p.orgs[org] = s
	}
	return s
}

// take admits runs that this instance admitted before, and others as long as it has
// permits. It returns both, and the rest.
func (p *permits) take(org id.Org, m Minute, runs []id.Execution) (admitted, rest []id.Execution) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.of(org, m)
	for _, run := range runs {
		_, before := s.runs[run]
		switch {
		case before:
		case s.left > 0:
			s.left--
			s.runs[run] = true
		default:
			rest = append(rest, run)
			continue
		}
		admitted = append(admitted, run)
	}
	return admitted, rest
}

// spare returns the number of permits that the next write takes beyond those for n
// runs: none with the first write of a minute, then one, and each time twice as many,
// up to a 32nd of the minute's. Near half of a quota it takes none, so that the last
// runs of a minute are counted one by one.
func (p *permits) spare(org id.Org, m Minute, n int, l Limits) int {
	const (
		part      = 32
		doublings = 8
	)
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.of(org, m)
	if s.writes == 0 {
		return 0
	}
	spare := min(1<<min(s.writes-1, doublings), l.RunsPerMinute/part)
	if s.seen.Minutes[m]+n+spare > l.RunsPerMinute/2 || s.seen.Open+n+spare > l.OpenRuns/2 {
		return 0
	}
	return spare
}

// counted records a write, and when it was not refused the runs and the spare permits
// that it counted.
func (p *permits) counted(org id.Org, a Admission, t Tally, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.of(org, a.Minute)
	s.seen = t
	if !ok {
		return
	}
	s.writes++
	s.left += a.Spare
	for _, run := range a.Runs {
		s.runs[run] = false
	}
}

// give takes back the permit of a run, and reports whether it was a spare one: then no
// store knows of the run.
func (p *permits) give(org id.Org, m Minute, run id.Execution) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m != p.minute || p.orgs[org] == nil {
		return false
	}
	s := p.orgs[org]
	spare := s.runs[run]
	delete(s.runs, run)
	if spare {
		s.left++
	}
	return spare
}
