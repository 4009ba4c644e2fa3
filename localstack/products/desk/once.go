package desk

import (
	"context"
	"errors"
	"sync"
)

// errKeyReused is the error of an idempotency key that was used for another
// request before.
var errKeyReused = errors.New("the idempotency key was used with other params")

// once does the work of each key once and remembers the answer.
type once struct {
	mu   sync.Mutex
	jobs *boundedMap[*job]
}

// A job is work that has started or finished.
type job struct {
	request string
	done    chan struct{} // closed when answer is there
	answer  answer
}

func newOnce(limit int) *once { return &once{jobs: newBoundedMap[*job](limit)} }

// do calls work for the first request with the key. A later or concurrent request
// with the key waits for that answer and gets it as a repeated one; if the request
// differs, it gets errKeyReused.
func (o *once) do(ctx context.Context, key, request string, work func() answer) (answer, error) {
	j, mine := o.claim(key, request)
	if mine {
		defer close(j.done)
		j.answer = work()
		return j.answer, nil
	}
	if j.request != request {
		return answer{}, errKeyReused
	}
	select {
	case <-j.done:
		again := j.answer
		again.repeated = true
		return again, nil
	case <-ctx.Done():
		return answer{}, ctx.Err()
	}
}

// claim returns the job of the key, and whether the caller must do it.
func (o *once) claim(key, request string) (*job, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()

	if j, known := o.jobs.get(key); known {
		return j, false
	}
	j := &job{request: request, done: make(chan struct{})}
	o.jobs.put(key, j)
	return j, true
}
