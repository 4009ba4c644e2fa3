package simulation_test

import (
	"context"
	"sync"
	"time"

	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/tally"
)

// A tableStream is the stream of the table. It delivers the contributions of runs at
// least once, in the order of the writes of a run, in batches of a shard. A failed batch
// comes again, whole or cut in two; one that succeeded may come again too, with the next
// records or hours later. Shards do not wait for each other.
type tableStream struct {
	world  *world
	tally  *tally.Service
	shards []*shard
}

// A shard holds the records of some runs that were not read yet, the oldest first.
type shard struct {
	number int
	bell   chan struct{}

	mu      sync.Mutex
	records []execution.Contribution
	batches int
	read    bool // whether it is followed
}

const (
	streamShards = 3
	tallyWindow  = time.Second
	tallyLimit   = time.Minute
)

func newStream(w *world) *tableStream {
	s := &tableStream{world: w, tally: &tally.Service{Store: w.store}}
	for n := range streamShards {
		s.shards = append(s.shards, &shard{number: n, bell: make(chan struct{}, 1)})
	}
	return s
}

// put adds the record of a change that has just been applied.
func (s *tableStream) put(c execution.Contribution) {
	c.At = time.Now().UTC().Truncate(time.Second)
	one := s.shards[int(id.Hash(string(c.Run))[0])%len(s.shards)]
	one.mu.Lock()
	one.records = append(one.records, c)
	if !one.read {
		one.read = true
		go s.follow(one)
	}
	one.mu.Unlock()
	select {
	case one.bell <- struct{}{}:
	default:
	}
}

// follow reads a shard until the end of the world.
func (s *tableStream) follow(one *shard) {
	w := s.world
	share := 1                     // of a full batch: more after a failure
	_ = sleep(w.over, tallyWindow) // it ends with the world
	for w.over.Err() == nil {
		batch := one.batch(share)
		if len(batch) == 0 {
			select {
			case <-one.bell:
			case <-w.over.Done():
			}
			_ = sleep(w.over, tallyWindow)
			continue
		}
		if x := s.odd("stream.Outage"); x.pause > 0 {
			_ = sleep(w.over, x.pause)
		}
		read, ok := s.deliver(batch)
		if ok && s.odd("stream.Again").before == nil {
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
func (s *shard) batch(share int) []execution.Contribution {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches++
	most := 1 + int(chance("batch", s.number, s.batches)*20)/share
	return append([]execution.Contribution(nil), s.records[:min(most, len(s.records))]...)
}

// forget ends the delivery of the first records.
func (s *shard) forget(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = s.records[n:]
}

// deliver hands a batch to the function. It returns the number of records that need no
// other delivery, and whether they are all.
func (s *tableStream) deliver(batch []execution.Contribution) (read int, ok bool) {
	w := s.world
	failed, err := callMany(w, tallyLimit, func(ctx context.Context) ([]int, error) {
		return through(ctx, w, "stream.Tally", "", func() ([]int, error) {
			failed, _ := s.tally.Add(ctx, batch) // the numbers say all
			return failed, nil
		})
	})
	w.note("stream: %d contributions: %v failed, %v", len(batch), failed, err)
	switch {
	case err != nil:
		return 0, false
	case len(failed) > 0:
		return failed[0], false
	}
	if x := s.odd("stream.Late"); x.pause > 0 { // another delivery was on its way
		go func() {
			if sleep(w.over, x.pause) == nil {
				s.deliver(batch)
			}
		}()
	}
	return len(batch), true
}

// odd returns the fault of the stream itself, which is none of a run.
func (s *tableStream) odd(port string) fault {
	f := s.world.faults
	_, x := f.next(port, "")
	if x != (fault{}) {
		s.world.note("%s: %+v", port, x)
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
