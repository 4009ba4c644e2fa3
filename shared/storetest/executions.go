package storetest

import (
	"time"

	"theoneagents.app/agents/shared/activity"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/machine"
)

func runs() []promise {
	return []promise{
		{"a run is read as it was written", func(t trial, s Store) {
			want := begun(t, s, aRun(anOrg(), "agent_1", 1))
			got, steps := read(t, s, want)
			same(t, "run", got, want)
			same(t, "steps", len(steps), 0)
		}},
		{"a run with everything is read as it was written", func(t trial, s Store) {
			x := begun(t, s, aRun(announced(t, s, credit.Starter), "agent_1", 1))
			x, _ = x.Leased("arn:aws:states:x", 0, x.Created.Add(1234567))
			x.Done, x.StalledLeases, x.Begun = 2, 3, execution.Begun{Step: "s", Attempts: 2}
			x.Holds = map[id.Step]credit.Hold{"think": {Month: month, Tier: credit.Quick, Amount: 5}}
			x.Credits, x.Warnings, x.WasParked = 40, 3, true
			x = x.Fail(execution.Failure{Code: "product_error", Message: "it broke", Step: "act"}, day().Add(time.Minute))
			x.Last = &execution.StepRecord{ID: "act", Status: execution.StepFailed, Output: map[string]any{"n": int64(9007199254740993)}}
			x = committed(t, s, execution.Change{Execution: x})
			got, _ := read(t, s, x)
			same(t, "run", got, x)
		}},
		{"a run of an event without client and metadata is read as it was written", func(t trial, s Store) {
			x := aRun(anOrg(), "agent_1", 1)
			x.Trigger.Client, x.Trigger.Metadata, x.Trigger.Payload = "", nil, map[string]any{}
			x = begun(t, s, x)
			got, _ := read(t, s, x)
			same(t, "run", got, x)
		}},
		{"a run is read with the cursor of its machine, before and after its first change", func(t trial, s Store) {
			want := begun(t, s, aRun(anOrg(), "agent_1", 1))
			at := func(c machine.Cursor) (execution.Execution, execution.Steps) {
				x, steps, err := s.ExecutionAt(t.Context(), c)
				ok(t, err)
				return x, steps
			}
			first := want.Cursor()
			for name, c := range map[string]machine.Cursor{
				"with the digest": first, "without": first.Later(), "with another digest": {Org: first.Org, Execution: first.Execution, Digest: "0123"},
			} {
				got, steps := at(c)
				same(t, "run "+name, got, want)
				same(t, "steps "+name, len(steps), 0)
			}
			x := leased(t, s, want)
			ok(t, s.SaveStep(t.Context(), x, execution.StepRecord{ID: "a", Status: execution.StepCompleted, Attempt: x.Lease.Attempt}))
			for _, c := range []machine.Cursor{first, first.Later()} {
				got, steps := at(c)
				same(t, "leased run", got, x)
				same(t, "its steps", len(steps), 1)
			}
			_, _, err := s.ExecutionAt(t.Context(), machine.Cursor{Org: want.Org, Execution: "exec_1", Digest: want.Digest()})
			is(t, err, execution.ErrNotFound)
		}},
		{"a run is recorded with the lease of its first worker", func(t trial, s Store) {
			x := aRun(anOrg(), "agent_1", 1)
			want := begun(t, s, x.FirstLeased("first", x.Created.Add(7)))
			got, _ := read(t, s, want)
			same(t, "run", got, want)
			_, ok := got.BegunAt("first", x.Created, time.Second)
			same(t, "may begin", ok, true)
			got, _ = read(t, s, leased(t, s, want))
			_, ok = got.BegunAt("first", x.Created, time.Second)
			same(t, "may begin after a change", ok, false)
		}},
		{"a ledger is read without an event, changes credits as a run does, and is in no list", func(t trial, s Store) {
			o := announced(t, s, credit.Starter)
			x := execution.NewLedger(o, "agent_1", "job_1", day())
			ok(t, s.Create(t.Context(), x))
			is(t, s.Create(t.Context(), x), execution.ErrExists)
			x.Revision = 1
			x = committed(t, s, execution.Change{Execution: x.OpenedBy("w", day())})
			h := credit.Hold{Month: month, Tier: credit.Quick, Amount: 5}
			c, _ := x.Reserved("think", h)
			x = committed(t, s, c)
			ok(t, s.SaveStep(t.Context(), x, execution.StepRecord{ID: "think", Status: execution.StepCompleted, Charge: &h, Attempt: x.Lease.Attempt}))
			got, steps := read(t, s, x)
			same(t, "ledger", got, x)
			c = got.Closed(execution.Completed, steps, day().Add(time.Second))
			x = committed(t, s, c)
			got, _ = read(t, s, x)
			same(t, "closed ledger", got, x)
			same(t, "charged", got.Credits, int64(5))
			b, err := s.Balance(t.Context(), o, month)
			ok(t, err)
			same(t, "remaining", b.Remaining, b.Allocation-5)
			for _, q := range []execution.Query{{}, {Agent: "agent_1"}, {Status: execution.Completed}, {Agent: "agent_1", Status: execution.Completed}} {
				q.Limit, q.Count, q.Now = 10, true, day().Add(time.Minute)
				page, err := s.Executions(t.Context(), o, q)
				ok(t, err)
				same(t, "listed", len(page.Executions)+page.Total, 0)
			}
			entries, err := s.Activity(t.Context(), o, "agent_1", activity.Query{Limit: 10})
			ok(t, err)
			same(t, "activity", len(entries.Entries), 0)
		}},
		{"a run that does not exist is not found", func(t trial, s Store) {
			_, _, err := s.Execution(t.Context(), anOrg(), "exec_1")
			is(t, err, execution.ErrNotFound)
			_, err = s.Header(t.Context(), anOrg(), "exec_1")
			is(t, err, execution.ErrNotFound)
			is(t, s.Commit(t.Context(), execution.Change{Execution: aRun(anOrg(), "agent_1", 1)}), execution.ErrStale)
		}},
		{"the record header of a run is read without its payload", func(t trial, s Store) {
			want := leased(t, s, begun(t, s, aRun(anOrg(), "agent_1", 1)))
			got, err := s.Header(t.Context(), want.Org, want.ID)
			ok(t, err)
			want.Trigger.Payload = nil
			same(t, "run", got, want)
		}},
		{"a change of a record header leaves the payload", func(t trial, s Store) {
			want := begun(t, s, aRun(anOrg(), "agent_1", 1))
			x, err := s.Header(t.Context(), want.Org, want.ID)
			ok(t, err)
			got, _ := read(t, s, committed(t, s, execution.Change{Execution: x.Renewed(day())}))
			same(t, "payload", got.Trigger.Payload, want.Trigger.Payload)
		}},
		{"one of many racing creations of a run wins", func(t trial, s Store) {
			x := aRun(anOrg(), "agent_1", 1)
			won := race(t, racers, execution.ErrExists, func(int) error { return s.Create(t.Context(), x) })
			same(t, "winners", won, 1)
		}},
		{"one of many racing commits wins", func(t trial, s Store) {
			x := begun(t, s, aRun(anOrg(), "agent_1", 1))
			for range 3 {
				won := race(t, racers, execution.ErrStale, func(int) error {
					return s.Commit(t.Context(), execution.Change{Execution: x})
				})
				same(t, "winners", won, 1)
				x.Revision++
			}
		}},
		{"a retry has the event of the run that it repeats", func(t trial, s Store) {
			x := leased(t, s, begun(t, s, aRun(anOrg(), "agent_1", 1)))
			x = committed(t, s, execution.Change{Execution: x.Fail(execution.Failure{Code: "x"}, day().Add(time.Minute))})
			want, err := x.Retry("exec_again", 4, execution.Starter{Type: execution.ByUser, ID: "auth0|7:b"}, nil, day().Add(time.Hour))
			ok(t, err)
			ok(t, s.Create(t.Context(), want))
			want.Revision = 1
			got, _ := read(t, s, want)
			same(t, "retry", got, want)
			by := execution.Starter{Type: execution.ByKey, ID: "key_1", KeyMaker: "user_1"}
			want, err = x.Retry("exec_third", 4, by, []id.Approval{"appr_2", "appr_1"}, day().Add(time.Hour))
			ok(t, err)
			ok(t, s.Create(t.Context(), want))
			want.Revision = 1
			got, _ = read(t, s, want)
			same(t, "retry of a denied run, by a key", got, want)
			moved := leased(t, s, want)
			got, _ = read(t, s, moved)
			same(t, "denials after a change", got.Denials, want.Denials)
		}},
		{"only a change that reopens a step replaces one that has ended", func(t trial, s Store) {
			x := leased(t, s, begun(t, s, aRun(anOrg(), "agent_1", 1)))
			done := execution.StepRecord{ID: "ask", Kind: definition.Gate, Status: execution.StepCompleted, Asked: day(), Attempt: x.Lease.Attempt}
			x = committed(t, s, execution.Change{Execution: x, Step: &done})
			again, earlier := done.Again()
			is(t, s.Commit(t.Context(), execution.Change{Execution: x, Step: &again}), execution.ErrStale)
			is(t, s.SaveStep(t.Context(), x, again), execution.ErrStale)
			c := execution.Change{Execution: x, Step: &again, Reopen: true, Closed: []execution.StepRecord{earlier}}
			won := race(t, racers, execution.ErrStale, func(int) error { return s.Commit(t.Context(), c) })
			same(t, "winners", won, 1)
			x.Revision++
			_, steps := read(t, s, x)
			same(t, "the gate", steps["ask"], again)
			kept, ok := steps.Earlier(steps["ask"])
			same(t, "kept", ok, true)
			same(t, "the earlier round", kept, earlier)
			again.Status = execution.StepWaiting
			x = committed(t, s, execution.Change{Execution: x, Step: &again})
			_, steps = read(t, s, x)
			same(t, "the gate, waiting", steps["ask"].Status, execution.StepWaiting)
		}},
		{"runs of one content share its payload, also after another run claims it", func(t trial, s Store) {
			first := begun(t, s, aRun(anOrg(), "agent_1", 1))
			twin := first
			twin.ID, twin.Trigger.ID, twin.Created = "exec_twin", "evt_twin", first.Created.Add(time.Hour)
			twin.Revision = 0
			twin = begun(t, s, twin)
			for _, want := range []execution.Execution{first, twin} {
				got, _ := read(t, s, want)
				same(t, "run", got, want)
			}
		}},
		{"a commit with one stale part changes nothing", func(t trial, s Store) {
			o := announced(t, s, credit.Starter)
			c := holding(t, s, aRun(o, "agent_1", 1), 200)
			c.Step = &execution.StepRecord{ID: "ask", Status: execution.StepWaiting}
			c.Gate = &approval.Approval{ID: "appr_1", Org: o, Execution: c.Execution.ID, Status: approval.Pending, Revision: 7, Created: day()}
			c.StatsDelta = &execution.StatsDelta{Used: []credit.Hold{{Month: month, Tier: credit.Quick, Amount: 5}}}
			is(t, s.Commit(t.Context(), c), execution.ErrStale)
			got, steps := read(t, s, c.Execution)
			same(t, "revision", got.Revision, c.Execution.Revision)
			same(t, "steps", len(steps), 0)
			same(t, "remaining", balance(t, s, o).Remaining, 20_000)
			_, recorded, err := s.Contribution(t.Context(), o, c.Execution.ID)
			ok(t, err)
			same(t, "a contribution", recorded, false)
			_, err = s.Approval(t.Context(), o, "appr_1")
			is(t, err, approval.ErrNotFound)
		}},
		{"every part of a commit is applied", func(t trial, s Store) {
			o := announced(t, s, credit.Starter)
			c := holding(t, s, aRun(o, "agent_1", 1), 200)
			c.Step = &execution.StepRecord{ID: "ask", Status: execution.StepWaiting}
			c.Gate = &approval.Approval{ID: "appr_1", Org: o, Execution: c.Execution.ID, Status: approval.Pending, Created: day()}
			c.StatsDelta = &execution.StatsDelta{Used: []credit.Hold{{Month: month, Tier: credit.Quick, Amount: 5}}}
			got, steps := read(t, s, committed(t, s, c))
			same(t, "revision", got.Revision, c.Execution.Revision+1)
			same(t, "steps", steps, execution.Steps{"ask": *c.Step})
			same(t, "remaining", balance(t, s, o).Remaining, 19_800)
			recorded, _, err := s.Contribution(t.Context(), o, c.Execution.ID)
			ok(t, err)
			same(t, "used", recorded.Used, c.StatsDelta.Used)
			a, err := s.Approval(t.Context(), o, "appr_1")
			ok(t, err)
			same(t, "gate's revision", a.Revision, 1)
		}},
		{"changing an argument or a result does not change the stored data", func(t trial, s Store) {
			x := begun(t, s, aRun(anOrg(), "agent_1", 1))
			want := anEvent(x.Org, 1).Payload
			x.Trigger.Payload["n"] = "changed"
			got, _ := read(t, s, x)
			same(t, "payload", got.Trigger.Payload, want)
			got.Trigger.Payload["n"], got.Trigger.Metadata.Causation.Depth = "changed", 9
			got, _ = read(t, s, x)
			same(t, "payload", got.Trigger.Payload, want)
			same(t, "depth", got.Trigger.Metadata.Causation.Depth, 1)
		}},
		{"overdue runs are found, the longest overdue first", overdue},
	}
}

// overdue uses times long before those of the other promises, so that it may
// share a store with them.
func overdue(t trial, s Store) {
	o, then := anOrg(), time.Date(1999, time.January, 1, 0, 0, 0, int(day().UnixNano()%1e9), time.UTC)
	var want []machine.Cursor
	for n := range 12 {
		x := begun(t, s, aRun(o, "agent_1", n))
		x.Due = then.Add(time.Duration(n) * time.Nanosecond)
		x.FoundOpen, x.WasParked = n%3 == 0, n%3 != 0
		committed(t, s, execution.Change{Execution: x})
		want = append(want, machine.Cursor{Org: o, Execution: x.ID})
	}
	fresh := begun(t, s, aRun(o, "agent_1", 12)) // the watchdog has not seen it
	fresh.Due = then
	committed(t, s, execution.Change{Execution: fresh})
	at := func(n, limit int) []machine.Cursor {
		got, err := s.Overdue(t.Context(), then.Add(time.Duration(n)*time.Nanosecond), limit)
		ok(t, err)
		return got
	}
	same(t, "before", len(at(0, 100)), 0)
	same(t, "in between", at(5, 100), want[:5])
	same(t, "limited", at(12, 7), want[:7])
	for n, c := range want {
		x, err := s.Header(t.Context(), o, c.Execution)
		ok(t, err)
		if n%2 == 0 {
			x.Due = time.Time{}
		} else {
			x = x.Renewed(day())
		}
		committed(t, s, execution.Change{Execution: x})
	}
	same(t, "afterwards", len(at(12, 100)), 0)
}

func steps() []promise {
	step := func(name id.Step, st execution.StepStatus, attempt int64) execution.StepRecord {
		one := 1
		return execution.StepRecord{
			ID: name, Kind: "wait", Status: st, Attempt: attempt, Case: &one, Tries: 2,
			Input: map[string]any{"n": int64(9007199254740993), "f": jsonvalue.Number("1.5")}, Output: []any{"a", nil, int64(2)},
			ShownToApprovers: &execution.ShownToApprovers{
				Client: map[string]any{"n": int64(9007199254740993)},
				Params: map[id.Step]jsonvalue.Values{"act": {"f": jsonvalue.Number("1.5"), "n": int64(2)}},
			},
			Error:  &execution.Failure{Code: "c", Message: "m", Step: name},
			Charge: &credit.Hold{Month: month, Tier: credit.Quick, Amount: 5},
			Usage:  &execution.Usage{Model: "m", InputTokens: 1, OutputTokens: 2}, QuestionDigest: "VXjvfFPbzAn7lBHKZ1x_sA",
			Until: day(), Asked: day(), Started: day(), Ended: day().Add(1234567),
		}
	}
	return []promise{
		{"one of many racing workers records a new step", func(t trial, s Store) {
			x := begun(t, s, aRun(anOrg(), "agent_1", 1))
			won := race(t, racers, execution.ErrStale, func(int) error {
				return s.SaveNewStep(t.Context(), x, step("a", execution.StepRunning, 2))
			})
			same(t, "winners", won, 1)
			is(t, s.SaveNewStep(t.Context(), x, step("a", execution.StepRunning, 3)), execution.ErrStale)
			ok(t, s.SaveStep(t.Context(), x, step("a", execution.StepRunning, 2)))
		}},
		{"a fenced step is refused to earlier attempts", func(t trial, s Store) {
			x := begun(t, s, aRun(anOrg(), "agent_1", 1))
			x.Lease.Attempt = 2
			is(t, s.FenceStep(t.Context(), x, "a"), execution.ErrStale)
			before := step("a", execution.StepRunning, 1)
			ok(t, s.SaveStep(t.Context(), x, before))
			ok(t, s.FenceStep(t.Context(), x, "a"))
			_, got := read(t, s, x)
			same(t, "its record", got["a"].Output, before.Output)
			is(t, s.SaveStep(t.Context(), x, step("a", execution.StepCompleted, 1)), execution.ErrStale)
			ok(t, s.FenceStep(t.Context(), x, "a"))
			ok(t, s.SaveStep(t.Context(), x, step("a", execution.StepCompleted, 2)))
			x.Lease.Attempt = 3
			is(t, s.FenceStep(t.Context(), x, "a"), execution.ErrStale)
		}},
		{"a step is read as it was written", func(t trial, s Store) {
			x := begun(t, s, aRun(anOrg(), "agent_1", 1))
			a, b := step("a", execution.StepCompleted, 1), step("b", execution.StepWaiting, 1)
			ok(t, s.SaveStep(t.Context(), x, a))
			x = committed(t, s, execution.Change{Execution: x, Step: &b})
			_, got := read(t, s, x)
			same(t, "steps", got, execution.Steps{"a": a, "b": b})
		}},
		{"a step that has ended is not recorded again", func(t trial, s Store) {
			x := begun(t, s, aRun(anOrg(), "agent_1", 1))
			for _, st := range []execution.StepStatus{execution.StepCompleted, execution.StepFailed, execution.StepSkipped} {
				first, again := step(id.Step(st), st, 1), step(id.Step(st), execution.StepRunning, 2)
				ok(t, s.SaveStep(t.Context(), x, first))
				is(t, s.SaveStep(t.Context(), x, again), execution.ErrStale)
				is(t, s.Commit(t.Context(), execution.Change{Execution: x, Step: &again}), execution.ErrStale)
				_, got := read(t, s, x)
				same(t, "step", got[first.ID], first)
			}
		}},
		{"an earlier attempt does not record over a later one", func(t trial, s Store) {
			x := begun(t, s, aRun(anOrg(), "agent_1", 1))
			ok(t, s.SaveStep(t.Context(), x, step("a", execution.StepRunning, 2)))
			is(t, s.SaveStep(t.Context(), x, step("a", execution.StepCompleted, 1)), execution.ErrStale)
			ok(t, s.SaveStep(t.Context(), x, step("a", execution.StepRunning, 2)))
			ok(t, s.SaveStep(t.Context(), x, step("a", execution.StepWaiting, 3)))
			ok(t, s.SaveStep(t.Context(), x, step("a", execution.StepCompleted, 10)))
		}},
		{"one of many racing ends of a step wins", func(t trial, s Store) {
			x := begun(t, s, aRun(anOrg(), "agent_1", 1))
			won := race(t, racers, execution.ErrStale, func(i int) error {
				return s.SaveStep(t.Context(), x, step("a", execution.StepCompleted, int64(i)))
			})
			same(t, "winners", won, 1)
		}},
		{"the last step in the record of a run is among its steps", func(t trial, s Store) {
			x := begun(t, s, aRun(anOrg(), "agent_1", 1))
			ok(t, s.SaveStep(t.Context(), x, step("a", execution.StepRunning, 1)))
			last := step("a", execution.StepCompleted, 2)
			x.Last = &last
			x = committed(t, s, execution.Change{Execution: x})
			got, steps := read(t, s, x)
			same(t, "steps", steps, execution.Steps{"a": last})
			same(t, "last", got.Last, &last)
			got, err := s.Header(t.Context(), x.Org, x.ID)
			ok(t, err)
			same(t, "last", got.Last, &last)
		}},
		{"a long run is read whole", func(t trial, s Store) {
			x := begun(t, s, aRun(anOrg(), "agent_1", 1))
			text := make([]byte, 100_000)
			for i := range text {
				text[i] = 'x'
			}
			want := execution.Steps{}
			for i := range 15 {
				st := step(id.Step("s"+string(rune('a'+i))), execution.StepCompleted, 1)
				st.Output = string(text)
				want[st.ID] = st
				ok(t, s.SaveStep(t.Context(), x, st))
			}
			_, got := read(t, s, x)
			same(t, "steps", got, want)
		}},
	}
}
