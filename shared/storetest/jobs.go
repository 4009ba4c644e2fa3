package storetest

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/job"
)

// aJob returns the n-th new job of an organization.
func aJob(o id.Org, n int) job.Job {
	at := day().Add(time.Duration(n) * time.Second)
	return job.New(job.Job{ID: id.Job("job_" + id.Derive(at, string(o), strconv.Itoa(n))), Org: o, Kind: job.Backtest, By: "user_1"}, at)
}

// begunJob returns the stored n-th job of an organization without an open one.
func begunJob(t trial, s Store, o id.Org, n int) job.Job {
	t.Helper()
	j := aJob(o, n)
	_, err := s.CreateJob(t.Context(), j, `{"n": 1}`)
	ok(t, err)
	j.Revision = 1
	return j
}

// endedJob returns the stored n-th job, which has completed.
func endedJob(t trial, s Store, o id.Org, n int) job.Job {
	t.Helper()
	j := begunJob(t, s, o, n).Completed(day().Add(time.Hour))
	ok(t, s.EndJob(t.Context(), j, `{"n": 2}`))
	j.Revision++
	return j
}

func jobs() []promise {
	return []promise{
		{"a job is as it was stored", func(t trial, s Store) {
			o := announced(t, s, "growth")
			j := begunJob(t, s, o, 1)
			got, err := s.Job(t.Context(), o, j.ID)
			ok(t, err)
			same(t, "new job", got, j)
			args, err := s.JobArgs(t.Context(), o, j.ID)
			ok(t, err)
			same(t, "arguments", args, `{"n": 1}`)

			j, _ = j.Leased("w", day().Add(time.Minute))
			j.Progress = job.Progress{Cursor: "c", Done: 3, Of: 9}
			ok(t, s.SaveJob(t.Context(), j))
			j.Revision++
			got, err = s.Job(t.Context(), o, j.ID)
			ok(t, err)
			same(t, "leased job", got, j)

			j = j.Failed(job.ErrRunning, day().Add(time.Hour))
			ok(t, s.EndJob(t.Context(), j, ""))
			j.Revision++
			got, err = s.Job(t.Context(), o, j.ID)
			ok(t, err)
			same(t, "failed job", got, j)
			_, err = s.JobResult(t.Context(), o, j.ID)
			is(t, err, job.ErrNotFound)
		}},
		{"a job of another organization does not exist", func(t trial, s Store) {
			o, other := announced(t, s, "growth"), announced(t, s, "growth")
			j := endedJob(t, s, o, 1)
			_, err := s.Job(t.Context(), other, j.ID)
			is(t, err, job.ErrNotFound)
			_, err = s.JobResult(t.Context(), other, j.ID)
			is(t, err, job.ErrNotFound)
			_, err = s.JobArgs(t.Context(), other, j.ID)
			is(t, err, job.ErrNotFound)
			p, err := s.Jobs(t.Context(), other, job.Query{Limit: 10, Now: day()})
			ok(t, err)
			same(t, "jobs of the other", len(p.Jobs), 0)
		}},
		{"of many that start a job of a kind at once, one does, and the others are told its id", func(t trial, s Store) {
			o := announced(t, s, "growth")
			var names sync.Map
			began := race(t, racers, job.ErrRunning, func(n int) error {
				open, err := s.CreateJob(t.Context(), aJob(o, n), "{}", anAct(o, n))
				if errors.Is(err, job.ErrRunning) {
					names.Store(open, true)
				}
				return err
			})
			same(t, "started", began, 1)
			p, err := s.Jobs(t.Context(), o, job.Query{Limit: 100, Now: day()})
			ok(t, err)
			same(t, "stored", len(p.Jobs), 1)
			names.Range(func(open, _ any) bool {
				same(t, "named", open, any(p.Jobs[0].ID))
				return true
			})
			same(t, "acts", len(log(t, s, o)), 1)
		}},
		{"after the end of a job another one may start", func(t trial, s Store) {
			o := announced(t, s, "growth")
			endedJob(t, s, o, 1)
			j := begunJob(t, s, o, 2)
			cancelled, err := j.Cancel(day())
			ok(t, err)
			ok(t, s.EndJob(t.Context(), cancelled, "", anAct(o, 1)))
			same(t, "acts", len(log(t, s, o)), 1)
			begunJob(t, s, o, 3)
		}},
		{"a write that was computed from an earlier state changes nothing", func(t trial, s Store) {
			o := announced(t, s, "growth")
			j := begunJob(t, s, o, 1)
			late := j
			j, _ = j.Leased("w", day())
			ok(t, s.SaveJob(t.Context(), j))
			is(t, s.SaveJob(t.Context(), late), job.ErrStale)
			is(t, s.EndJob(t.Context(), late.Completed(day()), `{"late": true}`, anAct(o, 1)), job.ErrStale)
			_, err := s.JobResult(t.Context(), o, j.ID)
			is(t, err, job.ErrNotFound)
			same(t, "acts", len(log(t, s, o)), 0)
			is(t, s.SaveJob(t.Context(), aJob(o, 9).Postponed(day())), job.ErrStale)
		}},
		{"a result of 300 KB is as it was stored", func(t trial, s Store) {
			o := announced(t, s, "growth")
			j := begunJob(t, s, o, 1)
			large := `{"x": "` + strings.Repeat("a", job.MaxResult-9) + `"}`
			ok(t, s.EndJob(t.Context(), j.Completed(day()), large))
			got, err := s.JobResult(t.Context(), o, j.ID)
			ok(t, err)
			same(t, "large result", got == large, true)
		}},
		{"jobs are listed newest first, page by page, without those that have expired", func(t trial, s Store) {
			o := announced(t, s, "growth")
			var want []id.Job
			for n := range 5 {
				want = append([]id.Job{endedJob(t, s, o, n).ID}, want...)
			}
			var got []id.Job
			q := job.Query{Limit: 2, Now: day()}
			for range 10 {
				p, err := s.Jobs(t.Context(), o, q)
				ok(t, err)
				for _, j := range p.Jobs {
					got = append(got, j.ID)
				}
				if q.After = p.Next; q.After == "" {
					break
				}
			}
			same(t, "jobs", got, want)
			p, err := s.Jobs(t.Context(), o, job.Query{Limit: 10, Now: day().Add(2 * job.Kept)})
			ok(t, err)
			same(t, "expired jobs", len(p.Jobs), 0)
		}},
		{"an open job is found when it is due, and an ended one never", func(t trial, s Store) {
			o := announced(t, s, "growth")
			j := begunJob(t, s, o, 1)
			due := func(now time.Time) bool {
				calls, err := s.OverdueJobs(t.Context(), now, 1000)
				ok(t, err)
				return slices.Contains(calls, job.Call{Org: o, Job: j.ID})
			}
			same(t, "due at its time", due(j.Due), false)
			same(t, "due afterwards", due(j.Due.Add(time.Nanosecond)), true)
			j, _ = j.Leased("w", day().Add(time.Hour))
			ok(t, s.SaveJob(t.Context(), j))
			j.Revision++
			same(t, "due under a lease", due(j.Due), false)
			ok(t, s.EndJob(t.Context(), j.Completed(day()), "{}"))
			same(t, "due after its end", due(j.Due.Add(1000*time.Hour)), false)
		}},
	}
}
