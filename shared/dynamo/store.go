package dynamo

import (
	"context"
	"crypto/rand"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"theoneagents.app/agents/shared/clock"
)

// A Store keeps the data of all organizations in one table. It has no clock:
// times are arguments. It is safe for concurrent use.
type Store struct {
	db    *dynamodb.Client
	table string
	nonce func() string
	sleep func(ctx context.Context, d time.Duration) error

	mu    sync.Mutex
	noted map[string]bool // keys of the notes that it wrote
}

// An Option configures a Store.
type Option func(*Store)

// WithNonce sets the source of the nonces of writes; each must be unique.
func WithNonce(nonce func() string) Option { return func(s *Store) { s.nonce = nonce } }

// WithSleep sets how the store waits before it tries again. It must return when
// the context is done, with its error.
func WithSleep(sleep func(context.Context, time.Duration) error) Option {
	return func(s *Store) { s.sleep = sleep }
}

// New returns a store on a table.
func New(db *dynamodb.Client, table string, opts ...Option) *Store {
	s := &Store{db: db, table: table, nonce: aNonce, sleep: clock.Sleep, noted: map[string]bool{}}
	for _, o := range opts {
		o(s)
	}
	return s
}

// aNonce returns 70 random bits. It must differ among the writes of one item while
// their replies may be lost, and every item pays for its length.
func aNonce() string { return rand.Text()[:14] }

// tries bounds how often a write that lost a race or met a conflict is tried.
const tries = 30

// pause waits a random time before the next try; the bound of that time grows
// with each try.
func (s *Store) pause(ctx context.Context, try int) error {
	const least, most = 4 * time.Millisecond, 250 * time.Millisecond
	limit := min(least<<min(try, 10), most)
	return s.sleep(ctx, mathrand.N(limit)+1) //nolint:gosec // the delay is no secret.
}

// maxNoted limits the notes that a store remembers.
const maxNoted = 10_000

// note writes the item of a key once for each instance of a function. Such an item
// leads to a partition whose name has a part that nothing else tells.
func (s *Store) note(ctx context.Context, key primary, w write) error {
	name := key.PK + "#" + key.SK
	s.mu.Lock()
	known := s.noted[name]
	s.mu.Unlock()
	if known {
		return nil
	}
	if err := s.write(ctx, w); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.noted) >= maxNoted {
		clear(s.noted)
	}
	s.noted[name] = true
	return nil
}
