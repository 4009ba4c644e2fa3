package httpapi

import (
	"sync"

	"theoneagents.app/agents/shared/id"
)

// maxSubjects bounds the subjects that an instance keeps: about 3 MB.
const maxSubjects = 10_000

// subjects keeps the subjects of runs that lists have shown. The event of a run never
// changes, so a list that is asked for again and again reads the payload of each run
// once for each instance.
type subjects struct {
	mu   sync.Mutex
	kept map[subjectOf]string
}

type subjectOf struct {
	org  id.Org
	exec id.Execution
}

// get returns the subject of a run, and whether it is kept.
func (s *subjects) get(org id.Org, exec id.Execution) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, ok := s.kept[subjectOf{org, exec}]
	return text, ok
}

// keep keeps the subject of a run.
func (s *subjects) keep(org id.Org, exec id.Execution, subject string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil || len(s.kept) >= maxSubjects {
		s.kept = map[subjectOf]string{}
	}
	s.kept[subjectOf{org, exec}] = subject
}
