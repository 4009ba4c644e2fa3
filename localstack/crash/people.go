package main

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"theoneagents.app/agents/localstack/crash/audit"
	"theoneagents.app/agents/shared/clock"
)

// attend polls the runs of the organization about every second, records their
// statuses and acts as the users, until leave is called.
func (o *org) attend(ctx context.Context) {
	for o.watching() {
		began := o.now()
		o.look(ctx)
		o.answer(ctx)
		o.recordCredits(ctx)
		if clock.Sleep(ctx, time.Second-o.now().Sub(began)) != nil {
			break
		}
	}
	o.acting.Wait()
}

// look records the state of the newest runs and of the open ones.
func (o *org) look(ctx context.Context) {
	var page struct {
		Executions []audit.Run `json:"executions"`
	}
	if o.once(ctx, http.MethodGet, "/api/executions?limit=200", nil).into(&page) != nil {
		return // the next poll tries again
	}
	seen := map[string]bool{}
	for _, x := range page.Executions {
		seen[x.ID] = true
		o.see(ctx, x)
	}
	for _, id := range o.open() {
		var x audit.Run
		if (!seen[id] || o.isCalm()) && o.once(ctx, http.MethodGet, "/api/executions/"+id, nil).into(&x) == nil {
			o.see(ctx, x)
		}
	}
}

func (o *org) open() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var ids []string
	for id, s := range o.observation {
		if s.open() {
			ids = append(ids, id)
		}
	}
	return ids
}

func (o *org) isCalm() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.calm.IsZero()
}

// see records the status of a run, reads the whole run when it is new, and lets
// the users act on it.
func (o *org) see(ctx context.Context, x audit.Run) {
	o.mu.Lock()
	known := o.observation[x.ID]
	if moves := o.moves[x.ID]; len(moves) == 0 || moves[len(moves)-1] != x.Status {
		o.moves[x.ID] = append(moves, x.Status)
	}
	o.mu.Unlock()
	if known == nil {
		if x.Event.ID == "" && o.once(ctx, http.MethodGet, "/api/executions/"+x.ID, nil).into(&x) != nil {
			return // the next poll tries again
		}
		known = &observation{event: x.Event.ID, agent: x.Agent, since: o.now()}
		known.handled = x.RetryOf != "" // users do not act on a retry
	}
	o.mu.Lock()
	o.observation[x.ID] = known
	known.status = x.Status
	if trace := traced(x); len(x.Steps) > 0 && trace != known.trace || !known.open() {
		o.measure(x.ID, known)
		known.trace, known.since = trace, o.now()
	} else if len(x.Steps) > 0 {
		known.since = later(known.since, awake(x))
		o.measure(x.ID, known)
	}
	o.mu.Unlock()
	o.act(ctx, x.ID, known)
}

// measure records the longest standstill of a run since the last fault.
func (o *org) measure(run string, s *observation) {
	if o.calm.IsZero() {
		return
	}
	if lasted := o.now().Sub(later(o.calm, s.since)); s.trace != "" && lasted > o.still[run].Lasted {
		o.still[run] = audit.Standstill{Lasted: lasted, Status: s.trace}
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func traced(x audit.Run) string {
	words := []string{x.Status}
	for _, s := range x.Steps {
		words = append(words, s.ID+":"+s.Status)
	}
	return strings.Join(words, " ")
}

// awake returns the end of a run's wait or gate, or the zero time.
func awake(x audit.Run) time.Time {
	for _, s := range x.Steps {
		if s.Status != "waiting" || s.Started == nil {
			continue
		}
		if s.Type == "wait" {
			return s.Started.Add(pause * time.Second)
		}
		return s.Started.Add(gate * time.Second)
	}
	return time.Time{}
}

// act cancels or retries a run as planned for its event: some open runs are
// cancelled, some failed or cancelled ones are retried.
func (o *org) act(ctx context.Context, run string, s *observation) {
	h := o.plans[s.event]
	switch {
	case s.handled:
	case s.open() && h.cancel:
		s.handled = true
		o.killCallee(ctx, h, "executions")
		o.acting.Go(func() { o.cancel(ctx, run) })
	case (s.status == "failed" || s.status == "cancelled") && h.retry:
		s.handled = true
		o.killCallee(ctx, h, "executions")
		o.acting.Go(func() { o.retry(ctx, run) })
	}
}

// killCallee kills the function that is about to be called, if the plan of the
// event says so and the faults are not over.
func (o *org) killCallee(ctx context.Context, h plannedEvent, function string) {
	if h.killCallee && !o.isCalm() {
		o.acting.Go(func() { o.faults.killOne(ctx, kill{function: function, pick: h.pick}) })
	}
}

func (o *org) cancel(ctx context.Context, run string) {
	r, _ := o.untilAnswered(ctx, "user_ann", http.MethodPost, "/api/executions/"+run+"/cancel", nil)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.actions.cancels++
	if r.code == http.StatusOK {
		o.cancelled = append(o.cancelled, run)
	}
}

func (o *org) retry(ctx context.Context, run string) {
	_, sent := o.untilAnswered(ctx, "user_ann", http.MethodPost, "/api/executions/"+run+"/retry", nil)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.actions.retries++
	o.retried[run] += sent
}

// answer decides new pending approvals as planned.
func (o *org) answer(ctx context.Context) {
	var page struct {
		Approvals []audit.Approval `json:"approvals"`
	}
	if o.once(ctx, http.MethodGet, "/api/approvals?status=pending&limit=200", nil).into(&page) != nil {
		return // the next poll tries again
	}
	for _, p := range page.Approvals {
		o.mu.Lock()
		s, asked := o.observation[p.Run], o.asked[p.ID]
		o.asked[p.ID] = asked || s != nil
		o.mu.Unlock()
		if s == nil || asked {
			continue
		}
		h := o.plans[s.event]
		o.killCallee(ctx, h, "approvals")
		switch h.verdict {
		case "approve":
			o.acting.Go(func() { o.decide(ctx, p.ID, "user_bob", "approved") })
		case "deny":
			o.acting.Go(func() { o.decide(ctx, p.ID, "user_bob", "denied") })
		case "both":
			o.acting.Go(func() { o.decide(ctx, p.ID, "user_bob", "approved") })
			o.acting.Go(func() { o.decide(ctx, p.ID, "user_cem", "denied") })
		}
	}
}

func (o *org) decide(ctx context.Context, approval, user, decision string) {
	r, _ := o.untilAnswered(ctx, user, http.MethodPost, "/api/approvals/"+approval+"/decision", doc{"decision": decision})
	o.mu.Lock()
	defer o.mu.Unlock()
	o.actions.verdicts++
	o.verdicts = append(o.verdicts, audit.Verdict{
		Approval: approval, User: user, Decision: decision, Code: r.code, Status: r.text("status"),
	})
}

// recordCredits records the credits during the test.
func (o *org) recordCredits(ctx context.Context) {
	var c audit.Credits
	if o.once(ctx, http.MethodGet, "/api/credits", nil).into(&c) != nil {
		return // the next poll tries again
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.balances = append(o.balances, c)
}

// repeatDecisions repeats every decision and also sends its opposite, and repeats
// every cancellation.
func (o *org) repeatDecisions(ctx context.Context) {
	o.mu.Lock()
	verdicts, cancelled := slices.Clone(o.verdicts), slices.Clone(o.cancelled)
	o.mu.Unlock()
	for _, v := range verdicts {
		for _, decision := range []string{"approved", "denied"} {
			path := "/api/approvals/" + v.Approval + "/decision"
			o.untilAnswered(ctx, v.User, http.MethodPost, path, doc{"decision": decision})
		}
	}
	for _, run := range cancelled {
		o.untilAnswered(ctx, "user_ann", http.MethodPost, "/api/executions/"+run+"/cancel", nil)
	}
}
