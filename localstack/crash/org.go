package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"theoneagents.app/agents/localstack/crash/audit"
	"theoneagents.app/agents/localstack/hub"
	"theoneagents.app/agents/shared/clock"
)

// An org is an organization with its users.
type org struct {
	*system

	number int
	name   string
	word   string // part of every payload
	poor   bool
	plans  map[string]plannedEvent // by event id
	faults *faults

	mu          sync.Mutex
	tokens      map[string]string
	left        bool      // the users have stopped watching
	calm        time.Time // of the last fault; zero before
	observation map[string]*observation
	asked       map[string]bool // approvals that a user has handled
	moves       map[string][]string
	still       map[string]audit.Standstill
	balances    []audit.Credits
	verdicts    []audit.Verdict
	retried     map[string]int
	cancelled   []string
	actions     actions
	acting      sync.WaitGroup
}

// actions count the actions of the users.
type actions struct {
	verdicts, cancels, retries int
	repeats                    int // requests repeated because the answer was lost
}

// An observation is the last observed state of a run.
type observation struct {
	status, event, agent string
	trace                string    // its steps and their statuses
	since                time.Time // when this trace was first observed
	handled              bool      // the users have acted on it
}

func (s observation) open() bool {
	return s.status != "completed" && s.status != "failed" && s.status != "cancelled"
}

func newOrg(s *system, n int) *org {
	return &org{
		system: s, number: n, name: fmt.Sprintf("org_%sq%d", s.nonce, n), word: fmt.Sprintf("word_%sw%d", s.nonce, n),
		poor: n == tenantCount-1, plans: map[string]plannedEvent{}, tokens: map[string]string{}, observation: map[string]*observation{},
		asked: map[string]bool{}, moves: map[string][]string{}, still: map[string]audit.Standstill{}, retried: map[string]int{},
	}
}

// leave makes the users stop watching.
func (o *org) leave() {
	o.mu.Lock()
	o.left = true
	o.mu.Unlock()
}

func (o *org) watching() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.left
}

// as returns a session of a user.
func (o *org) as(user string) (string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if t := o.tokens[user]; t != "" {
		return t, nil
	}
	t, err := o.key.Mint(hub.Claims{
		Org: o.name, User: user, Roles: []string{"owner"}, ID: "jti_" + o.nonce + user, Issued: o.now(), TTL: 12 * time.Hour,
	})
	o.tokens[user] = t
	return t, err
}

// once calls the API once, as the organization's first owner.
func (o *org) once(ctx context.Context, method, path string, body any) reply {
	return o.by(ctx, "user_ann", method, path, body)
}

func (o *org) by(ctx context.Context, user, method, path string, body any) reply {
	token, err := o.as(user)
	if err != nil {
		return reply{err: err, to: path}
	}
	return o.request(ctx, method, o.outputs.API+path, token, body)
}

// untilAnswered repeats a request until it is answered, at most 20 times. It
// returns the number of requests sent.
func (o *org) untilAnswered(ctx context.Context, user, method, path string, body any) (r reply, sent int) {
	for sent = 1; ; sent++ {
		r = o.by(ctx, user, method, path, body)
		if !r.lost() && r.code != http.StatusTooManyRequests || sent == 20 || clock.Sleep(ctx, 250*time.Millisecond) != nil {
			break
		}
	}
	o.mu.Lock()
	o.actions.repeats += sent - 1
	o.mu.Unlock()
	return r, sent
}

// get reads a path into v, with repetitions.
func (o *org) get(ctx context.Context, path string, v any) (reply, error) {
	r, _ := o.untilAnswered(ctx, "user_ann", http.MethodGet, path, nil)
	return r, r.into(v)
}

// all calls page with every page of a list.
func (o *org) all(ctx context.Context, path string, query url.Values, page func(r reply) (next string, err error)) error {
	query.Set("limit", "200")
	for {
		r, _ := o.untilAnswered(ctx, "user_ann", http.MethodGet, path+"?"+query.Encode(), nil)
		next, err := page(r)
		if err != nil || next == "" {
			return err
		}
		query.Set("cursor", next)
	}
}

// busy reports whether a run of the organization has not ended, or is not yet in the
// statistics of its agent.
func (o *org) busy(ctx context.Context) bool {
	for _, status := range []string{"pending", "running", "waiting_approval"} {
		r := o.once(ctx, http.MethodGet, "/api/executions?limit=1&status="+status, nil)
		var page struct {
			Executions []audit.Run `json:"executions"`
		}
		if r.into(&page) != nil || len(page.Executions) > 0 {
			return true
		}
	}
	var ended struct {
		Total int `json:"total"`
	}
	var list struct {
		Agents []audit.Agent `json:"agents"`
	}
	runs := o.once(ctx, http.MethodGet, "/api/executions?limit=1", nil)
	agents := o.once(ctx, http.MethodGet, "/api/agents", nil)
	if runs.into(&ended) != nil || agents.into(&list) != nil {
		return true
	}
	summed := 0
	for _, a := range list.Agents {
		summed += a.Stats.Runs
	}
	return summed < ended.Total // too many are for the audit
}

// gather reads everything that the API shows to the organization.
func (o *org) gather(ctx context.Context) (audit.Org, error) {
	g := gathering{org: o, seen: audit.Org{Name: o.name, Word: o.word, Activity: map[string][]audit.Activity{}}}
	for _, read := range []func(context.Context) error{g.agents, g.runs, g.approvals, g.credits} {
		if err := read(ctx); err != nil {
			return g.seen, err
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	g.seen.Balances, g.seen.Moves, g.seen.Still = slices.Clone(o.balances), maps.Clone(o.moves), maps.Clone(o.still)
	g.seen.Verdicts, g.seen.Retries, g.seen.Cancelled = slices.Clone(o.verdicts), maps.Clone(o.retried), slices.Clone(o.cancelled)
	return g.seen, nil
}

// A gathering collects the pages of an organization.
type gathering struct {
	*org

	seen audit.Org
}

// read reads a page into v and records it.
func (g *gathering) read(ctx context.Context, path string, v any) (string, error) {
	r, err := g.get(ctx, path, v)
	g.seen.Pages = append(g.seen.Pages, audit.Page{Path: path, Text: string(r.body)})
	return string(r.body), err
}

func (g *gathering) agents(ctx context.Context) error {
	var list struct {
		Agents []audit.Agent `json:"agents"`
	}
	if _, err := g.read(ctx, "/api/agents", &list); err != nil {
		return err
	}
	for _, a := range list.Agents {
		if _, err := g.read(ctx, "/api/agents/"+a.ID, &a); err != nil {
			return err
		}
		g.seen.Agents = append(g.seen.Agents, a)
		err := g.all(ctx, "/api/agents/"+a.ID+"/activity", url.Values{}, func(r reply) (string, error) {
			var page struct {
				Activity []audit.Activity `json:"activity"`
				Next     string           `json:"next_cursor"`
			}
			g.seen.Pages = append(g.seen.Pages, audit.Page{Path: r.to, Text: string(r.body)})
			err := r.into(&page)
			g.seen.Activity[a.ID] = append(g.seen.Activity[a.ID], page.Activity...)
			return page.Next, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (g *gathering) runs(ctx context.Context) error {
	var ids []string
	err := g.all(ctx, "/api/executions", url.Values{}, func(r reply) (string, error) {
		var page struct {
			Executions []audit.Run `json:"executions"`
			Next       string      `json:"next_cursor"`
		}
		g.seen.Pages = append(g.seen.Pages, audit.Page{Path: r.to, Text: string(r.body)})
		err := r.into(&page)
		for _, x := range page.Executions {
			ids = append(ids, x.ID)
		}
		return page.Next, err
	})
	for _, id := range ids {
		var x audit.Run
		text, failed := g.read(ctx, "/api/executions/"+id, &x)
		if failed != nil {
			return failed
		}
		x.Text = text
		g.seen.Runs = append(g.seen.Runs, x)
	}
	return err
}

func (g *gathering) approvals(ctx context.Context) error {
	return g.all(ctx, "/api/approvals", url.Values{}, func(r reply) (string, error) {
		var page struct {
			Approvals []audit.Approval `json:"approvals"`
			Next      string           `json:"next_cursor"`
		}
		g.seen.Pages = append(g.seen.Pages, audit.Page{Path: r.to, Text: string(r.body)})
		err := r.into(&page)
		g.seen.Approvals = append(g.seen.Approvals, page.Approvals...)
		return page.Next, err
	})
}

func (g *gathering) credits(ctx context.Context) error {
	_, err := g.read(ctx, "/api/credits", &g.seen.Credits)
	return err
}

// trespass tries to read and change the runs and approvals of another
// organization.
func (o *org) trespass(ctx context.Context, other audit.Org) []audit.Trespass {
	var tries []audit.Trespass
	try := func(method, path string, body any) {
		r, _ := o.untilAnswered(ctx, "user_ann", method, path, body)
		tries = append(tries, audit.Trespass{Path: method + " " + path, Code: r.code})
	}
	for n, x := range other.Runs {
		if n%20 == 0 {
			try(http.MethodGet, "/api/executions/"+x.ID, nil)
			try(http.MethodPost, "/api/executions/"+x.ID+"/cancel", nil)
			try(http.MethodPost, "/api/executions/"+x.ID+"/retry", nil)
		}
	}
	for n, p := range other.Approvals {
		if n%20 == 0 {
			try(http.MethodGet, "/api/approvals/"+p.ID, nil)
			try(http.MethodPost, "/api/approvals/"+p.ID+"/decision", doc{"decision": "approved"})
		}
	}
	return tries
}

// raw returns v as JSON.
func raw(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return text
}
