package simulation_test

import (
	"context"
	"sync"
	"time"

	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/sweep"
	"theoneagents.app/agents/shared/tally"
)

// A tableStream is the stream of the table, with the two functions that follow it: one
// adds the contributions of runs, the other looks at new runs.
type tableStream struct {
	contributions *consumer[execution.Contribution]
	created       *consumer[machine.Cursor]

	mu   sync.Mutex
	read time.Time // when the longest outage ends
}

// A consumer follows the stream. Records are delivered to it at least once, in the order
// of the writes of a run, in batches of a shard. A failed batch comes again, whole or cut
// in two; one that succeeded may come again too, with the next records or hours later.
// Shards do not wait for each other.
type consumer[R any] struct {
	world  *world
	name   string
	window time.Duration
	handle func(context.Context, []R) (failed []int, err error)
	shards []*shard[R]
}

// A shard holds the records of some runs that were not read yet, the oldest first.
type shard[R any] struct {
	number int
	bell   chan struct{}

	mu      sync.Mutex
	records []R
	batches int
	read    bool // whether it is followed
}

const (
	streamShards = 3
	tallyWindow  = time.Second
	streamLimit  = time.Minute // of a function
)

func newStream(w *world) *tableStream {
	watchdog := &sweep.Watchdog{Runs: w.store}
	return &tableStream{
		contributions: newConsumer(w, "Tally", tallyWindow, (&tally.Service{Store: w.store}).Add),
		created:       newConsumer(w, "Watchdog", machine.WatchWindow, watchdog.Look),
	}
}

func newConsumer[R any](w *world, name string, window time.Duration, handle func(context.Context, []R) ([]int, error)) *consumer[R] {
	c := &consumer[R]{world: w, name: name, window: window, handle: handle}
	for n := range streamShards {
		c.shards = append(c.shards, &shard[R]{number: n, bell: make(chan struct{}, 1)})
	}
	return c
}

// put adds the record of a change that has just been applied.
func (s *tableStream) put(c execution.Contribution) {
	c.At = time.Now().UTC().Truncate(time.Second)
	s.contributions.put(c.Run, c)
}

// out tells that a shard is not read for some time.
func (s *tableStream) out(pause time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if until := time.Now().Add(pause); until.After(s.read) {
		s.read = until
	}
}

// outage returns for how long a shard is still not read. New runs that lost their machine
// wait until then.
func (s *tableStream) outage() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(0, time.Until(s.read))
}

// record adds the record of a new run.
func (s *tableStream) record(x execution.Execution) {
	s.created.put(x.ID, machine.Cursor{Org: x.Org, Execution: x.ID})
}

func (c *consumer[R]) put(run id.Execution, record R) {
	one := c.shards[int(id.Hash(string(run))[0])%len(c.shards)]
	one.mu.Lock()
	one.records = append(one.records, record)
	if !one.read {
		one.read = true
		go c.follow(one)
	}
	one.mu.Unlock()
	select {
	case one.bell <- struct{}{}:
	default:
	}
}

// follow reads a shard until the end of the world.
func (c *consumer[R]) follow(one *shard[R]) {
	w := c.world
	share := 1                  // of a full batch: more after a failure
	_ = sleep(w.over, c.window) // it ends with the world
	for w.over.Err() == nil {
		batch := one.batch(share)
		if len(batch) == 0 {
			select {
			case <-one.bell:
			case <-w.over.Done():
			}
			_ = sleep(w.over, c.window)
			continue
		}
		if x := w.oddStream("stream.Outage"); x.pause > 0 {
			w.stream.out(x.pause)
			_ = sleep(w.over, x.pause)
		}
		read, ok := c.deliver(batch)
		if ok && w.oddStream("stream.Again").before == nil {
			one.forget(read)
		}
		pause := time.Duration(0)
		if share = 1; !ok {
			one.forget(read)
			share, pause = 2, time.Second
		}
		_ = sleep(w.over, pause)
	}
}

// batch returns the next records; their number differs from batch to batch.
func (s *shard[R]) batch(share int) []R {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches++
	most := 1 + int(chance("batch", s.number, s.batches)*20)/share
	return append([]R(nil), s.records[:min(most, len(s.records))]...)
}

// forget ends the delivery of the first records.
func (s *shard[R]) forget(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = s.records[n:]
}

// deliver hands a batch to the function. It returns the number of records that need no
// other delivery, and whether they are all.
func (c *consumer[R]) deliver(batch []R) (read int, ok bool) {
	w := c.world
	failed, err := callMany(w, streamLimit, func(ctx context.Context) ([]int, error) {
		return through(ctx, w, "stream."+c.name, "", func() ([]int, error) {
			failed, _ := c.handle(ctx, batch) // the numbers say all
			return failed, nil
		})
	})
	w.note("stream: %d records for %s: %v failed, %v", len(batch), c.name, failed, err)
	switch {
	case err != nil:
		return 0, false
	case len(failed) > 0:
		return failed[0], false
	}
	if x := w.oddStream("stream.Late"); x.pause > 0 { // another delivery was on its way
		go func() {
			if sleep(w.over, x.pause) == nil {
				c.deliver(batch)
			}
		}()
	}
	return len(batch), true
}

// oddStream returns a fault of the stream itself, which is none of a run.
func (w *world) oddStream(port string) fault {
	f := w.faults
	_, x := f.next(port, "")
	if x != (fault{}) {
		w.note("%s: %+v", port, x)
		f.mu.Lock()
		f.done[x.name()]++
		f.mu.Unlock()
	}
	return x
}

// AddStats implements tally.Store.
func (s *store) AddStats(ctx context.Context, o id.Org, a id.Agent, all []execution.Contribution) error {
	return throughErr(ctx, s.world, "store.AddStats", "", func() error { return s.Store.AddStats(ctx, o, a, all) })
}
