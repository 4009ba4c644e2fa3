package job_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/job"
	"theoneagents.app/agents/shared/memory"
)

var (
	who      = caller.Caller{Org: "org_a", User: "user_1", Roles: []caller.Role{caller.Member}}
	errCrash = errors.New("the worker died")
)

// A world has the services over a store in memory, and a clock that only the test moves.
type world struct {
	*memory.Store

	now   time.Time
	calls []job.Call // to workers
	names int
	down  error // of the start of workers
	crash func(what string) error
	told  []error
}

func newWorld() *world {
	return &world{Store: memory.New(), now: time.Date(2026, time.March, 9, 14, 0, 0, 0, time.UTC), crash: func(string) error { return nil }}
}

func (w *world) clock() time.Time { return w.now }
func (w *world) Begin(_ context.Context, c job.Call) error {
	w.calls = append(w.calls, c)
	return w.down
}

// SaveJob and EndJob may die before or after their write.
func (w *world) SaveJob(ctx context.Context, j job.Job) error {
	return w.dying("save", func() error { return w.Store.SaveJob(ctx, j) })
}

func (w *world) EndJob(ctx context.Context, j job.Job, result string, acts ...audit.Entry) error {
	return w.dying("end", func() error { return w.Store.EndJob(ctx, j, result, acts...) })
}

func (w *world) dying(what string, write func() error) error {
	if err := w.crash("before " + what); err != nil {
		return err
	}
	if err := write(); err != nil {
		return err
	}
	return w.crash("after " + what)
}

func (w *world) service() *job.Service {
	return &job.Service{
		Store: w, Workers: w, Now: w.clock, Report: func(_ context.Context, err error) { w.told = append(w.told, err) },
		NewID: func() id.Job { w.names++; return id.Job(fmt.Sprintf("job_%03d", w.names)) },
	}
}

func (w *world) worker(task job.Task) *job.Worker {
	return &job.Worker{
		Store: w, Tasks: map[job.Kind]job.Task{job.Backtest: task}, Now: w.clock,
		NewOwner: func() string { w.names++; return fmt.Sprintf("owner_%d", w.names) },
	}
}

// do is a task as a function.
type do func(ctx context.Context, j job.Job, args string, tell func(job.Progress) error) (string, error)

func (d do) Do(ctx context.Context, j job.Job, args string, tell func(job.Progress) error) (string, error) {
	return d(ctx, j, args, tell)
}

func echo(_ context.Context, _ job.Job, args string, _ func(job.Progress) error) (string, error) {
	return args, nil
}

func (w *world) started(t *testing.T, args string) job.Job {
	t.Helper()
	j, err := w.service().Start(t.Context(), who, job.Backtest, args)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// got returns a job as its caller sees it.
func (w *world) got(t *testing.T, name id.Job) (job.Job, string) {
	t.Helper()
	j, result, err := w.service().Get(t.Context(), who, name)
	if err != nil {
		t.Fatal(err)
	}
	return j, result
}

func TestAJobEndsWithTheResultOfItsTask(t *testing.T) {
	t.Parallel()

	w := newWorld()
	j := w.started(t, `{"x": 1}`)
	if j.Status != job.Pending || len(w.calls) != 1 || w.calls[0] != (job.Call{Org: "org_a", Job: j.ID}) {
		t.Fatalf("started %+v with the calls %v", j, w.calls)
	}
	w.now = w.now.Add(time.Second)
	if err := w.worker(do(echo)).Work(t.Context(), w.calls[0]); err != nil {
		t.Fatal(err)
	}
	j, result := w.got(t, j.ID)
	if j.Status != job.Completed || result != `{"x": 1}` || !j.Due.IsZero() || !j.Ended.Equal(w.now) {
		t.Errorf("ended as %+v with %s", j, result)
	}
	w.now = w.now.Add(job.Kept)
	if _, _, err := w.service().Get(t.Context(), who, j.ID); !errors.Is(err, job.ErrNotFound) {
		t.Errorf("after 30 days: %v, want ErrNotFound", err)
	}
}

func TestAnOrganizationHasOneOpenJobOfAKind(t *testing.T) {
	t.Parallel()

	w := newWorld()
	first := w.started(t, `{}`)
	_, err := w.service().Start(t.Context(), who, job.Backtest, `{}`)
	if !errors.Is(err, job.ErrRunning) || !strings.Contains(err.Error(), string(first.ID)) {
		t.Errorf("err = %v, want ErrRunning that names %s", err, first.ID)
	}
	other := who
	other.Org = "org_b"
	if _, err := w.service().Start(t.Context(), other, job.Backtest, `{}`); err != nil {
		t.Errorf("another organization: %v", err)
	}
	if _, err := w.service().Cancel(t.Context(), who, first.ID); err != nil {
		t.Fatal(err)
	}
	w.started(t, `{}`)
}

func TestStartAndCancelAreActs(t *testing.T) {
	t.Parallel()

	w := newWorld()
	j := w.started(t, `{}`)
	w.now = w.now.Add(time.Second)
	if _, err := w.service().Cancel(t.Context(), who, j.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.service().Cancel(t.Context(), who, j.ID); !errors.Is(err, job.ErrEnded) {
		t.Errorf("the second cancellation: %v, want ErrEnded", err)
	}
	p, err := w.Audit(t.Context(), "org_a", audit.Query{Limit: 10})
	if err != nil || len(p.Entries) != 2 {
		t.Fatalf("%d acts, %v; want 2", len(p.Entries), err)
	}
	for i, want := range []audit.Entry{
		{Kind: audit.JobCancelled, From: "pending", To: "cancelled"}, {Kind: audit.JobStarted, To: "backtest"},
	} {
		if got := p.Entries[i]; got.Kind != want.Kind || got.From != want.From || got.To != want.To || got.Object != string(j.ID) || got.Actor != "user_1" {
			t.Errorf("act %d is %+v", i, got)
		}
	}
}

func TestAWorkerStopsWhenItsJobIsCancelled(t *testing.T) {
	t.Parallel()

	w := newWorld()
	j := w.started(t, `{}`)
	after := 0
	err := w.worker(do(func(ctx context.Context, _ job.Job, _ string, tell func(job.Progress) error) (string, error) {
		for i := range 10 {
			w.now = w.now.Add(6 * time.Second)
			if i == 3 {
				if _, err := w.service().Cancel(ctx, who, j.ID); err != nil {
					return "", err
				}
			}
			if err := tell(job.Progress{Done: i, Of: 10}); err != nil {
				return "", err
			}
			after = i
		}
		return "{}", nil
	})).Work(t.Context(), w.calls[0])
	if j, result := w.got(t, j.ID); err != nil || after != 2 || j.Status != job.Cancelled || j.Done != 2 || result != "" {
		t.Errorf("worked until %d (%v); the job is %+v with %q", after, err, j, result)
	}
}

func TestAFaultFailsTheJobAndAnotherErrorTriesAgain(t *testing.T) {
	t.Parallel()

	w := newWorld()
	nothing := fault.New(fault.Invalid, "nothing_kept", "The journal has no event.")
	j := w.started(t, `{}`)
	fails := func(err error) job.Task {
		return do(func(context.Context, job.Job, string, func(job.Progress) error) (string, error) { return "", err })
	}
	for n := range job.MaxBegins {
		if err := w.worker(fails(errCrash)).Work(t.Context(), w.calls[0]); !errors.Is(err, errCrash) {
			t.Fatalf("try %d: %v", n, err)
		}
		w.now = w.now.Add(job.LeaseTime)
	}
	if j, _ := w.got(t, j.ID); j.Status != job.Running {
		t.Fatalf("the job is %s after %d failed tries", j.Status, job.MaxBegins)
	}
	if err := w.worker(fails(errCrash)).Work(t.Context(), w.calls[0]); err != nil {
		t.Fatal(err)
	}
	if j, _ := w.got(t, j.ID); j.Status != job.Failed || j.Failure.Code != "job_failed" {
		t.Errorf("the job is %+v, want it given up", j)
	}

	j = w.started(t, `{}`)
	if err := w.worker(fails(nothing)).Work(t.Context(), w.calls[1]); err != nil {
		t.Fatal(err)
	}
	if j, _ := w.got(t, j.ID); j.Status != job.Failed || *j.Failure != (job.Failure{Code: "nothing_kept", Message: "The journal has no event."}) {
		t.Errorf("the job is %+v, want it failed with nothing_kept", j)
	}
	w.started(t, `{}`)
}

func TestAResultThatIsTooLargeFailsTheJob(t *testing.T) {
	t.Parallel()

	w := newWorld()
	j := w.started(t, `{}`)
	large := do(func(context.Context, job.Job, string, func(job.Progress) error) (string, error) {
		return strings.Repeat("a", job.MaxResult+1), nil
	})
	if err := w.worker(large).Work(t.Context(), w.calls[0]); err != nil {
		t.Fatal(err)
	}
	if j, _ := w.got(t, j.ID); j.Status != job.Failed || j.Failure.Code != "job_failed" {
		t.Errorf("the job is %+v", j)
	}
}

func TestTheSweeperStartsAWorkerOnAJobThatHasNone(t *testing.T) {
	t.Parallel()

	w := newWorld()
	w.down = errCrash
	j := w.started(t, `{}`)
	if len(w.told) != 1 {
		t.Errorf("told %v, want the failed start", w.told)
	}
	w.down = nil
	s := &job.Sweeper{Store: w, Workers: w, Now: w.clock}
	sweep := func(after time.Duration, want int) {
		t.Helper()
		w.now = w.now.Add(after)
		if n, err := s.Sweep(t.Context()); n != want || err != nil {
			t.Errorf("after %v: %d started (%v), want %d", after, n, err, want)
		}
	}
	sweep(job.Grace, 0)
	sweep(time.Nanosecond, 1)
	sweep(time.Second, 0) // the worker may be starting
	sweep(job.Grace, 1)

	leased, _ := j.Leased("w", w.now)
	leased.Revision = 3
	if err := w.Store.SaveJob(t.Context(), leased); err != nil {
		t.Fatal(err)
	}
	if err := w.worker(do(echo)).Work(t.Context(), w.calls[0]); err != nil {
		t.Fatal(err)
	}
	if j, _ := w.got(t, j.ID); j.Status != job.Running || j.Lease.Owner != "w" {
		t.Errorf("a second worker took the job of the first: %+v", j)
	}
	sweep(job.LeaseTime, 0)
	sweep(job.Grace+1, 1)
	if err := w.worker(do(echo)).Work(t.Context(), w.calls[0]); err != nil {
		t.Fatal(err)
	}
	sweep(1000*time.Hour, 0)
}

func TestAWorkerWhoseTimeIsShortLeavesTheRestToAnother(t *testing.T) {
	t.Parallel()

	w := newWorld()
	j := w.started(t, `{}`)
	short, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	task := do(func(_ context.Context, j job.Job, _ string, tell func(job.Progress) error) (string, error) {
		from := len(j.Cursor)
		if err := tell(job.Progress{Cursor: j.Cursor + "x", Done: from + 1, Of: 3}); err != nil {
			return "", err
		}
		return j.Cursor + "x", nil
	})
	if err := w.worker(task).Work(short, w.calls[0]); err != nil {
		t.Fatal(err)
	}
	if j, _ := w.got(t, j.ID); j.Status != job.Running || j.Cursor != "x" || j.Due.After(w.now) {
		t.Errorf("the job is %+v, want it due at once with its cursor", j)
	}
	if err := w.worker(task).Work(t.Context(), w.calls[0]); err != nil {
		t.Fatal(err)
	}
	if _, result := w.got(t, j.ID); result != "xx" {
		t.Errorf("the result is %q", result)
	}
}

// Wherever workers die, the job ends with the result of work that was never interrupted.
func TestAJobThatIsInterruptedAnywhereEndsWithTheSameResult(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		parts := rapid.IntRange(0, 30).Draw(t, "parts")
		j, err := w.service().Start(t.Context(), who, job.Backtest, `{}`)
		if err != nil {
			t.Fatal(err)
		}
		// The cursor is the number of parts that were done, and the work is their sum.
		task := do(func(_ context.Context, j job.Job, _ string, tell func(job.Progress) error) (string, error) {
			var n, sum int
			_, _ = fmt.Sscanf(j.Cursor, "%d %d", &n, &sum)
			for ; n < parts; n++ {
				w.now = w.now.Add(time.Duration(rapid.IntRange(0, 9).Draw(t, "seconds")) * time.Second)
				sum += n * n
				if err := tell(job.Progress{Cursor: fmt.Sprintf("%d %d", n+1, sum), Done: n + 1, Of: parts}); err != nil {
					return "", err
				}
				if err := w.crash("after a part"); err != nil {
					return "", err
				}
			}
			return strconv.Itoa(sum), nil
		})
		crashes := rapid.IntRange(0, job.MaxBegins-1).Draw(t, "crashes")
		w.crash = func(string) error {
			if crashes > 0 && rapid.IntRange(0, 4).Draw(t, "dies") == 0 {
				crashes--
				return errCrash
			}
			return nil
		}
		s := &job.Sweeper{Store: w.Store, Workers: w, Now: w.clock}
		for range 50 {
			for _, c := range w.calls { // a call may be made twice
				if err := w.worker(task).Work(t.Context(), c); err != nil && !errors.Is(err, errCrash) {
					t.Fatal(err)
				}
			}
			w.calls = nil
			w.now = w.now.Add(30 * time.Second)
			if _, err := s.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		want := 0
		for n := range parts {
			want += n * n
		}
		got, result, err := w.service().Get(t.Context(), who, j.ID)
		if err != nil || got.Status != job.Completed || result != strconv.Itoa(want) {
			t.Fatalf("the job is %+v (%v) with %q, want %d", got, err, result, want)
		}
	})
}
