package desk

import (
	"context"
	"errors"
	"sync"
)

// errKeyReused says that an idempotency key came back with another request.
var errKeyReused = errors.New("the idempotency key was used with other params")

// once does the work of a key one single time and remembers the answer.
type once struct {
	mu   sync.Mutex
	jobs *shelf[*job]
}

// A job is a piece of work that is under way or done.
type job struct {
	request string
	done    chan struct{} // closed when answer is there
	answer  answer
}

func newOnce(limit int) *once { return &once{jobs: newShelf[*job](limit)} }

// do returns the answer of work, which is called only for the first request
// with the key. Later ones, and those that come while the work is under way,
// get its answer as a repeated one; with another request they get errKeyReused.
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

// claim returns the job of the key, and whether it is the caller's to do.
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
