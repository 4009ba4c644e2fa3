package rehearsal

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/rehearsal/simulate"
	"theoneagents.app/agents/shared/step"
	"theoneagents.app/agents/shared/tenant"
)

// held are the ports to the outside. They keep every effect and reach no one.
type held struct {
	catalog   catalog.Catalog
	steps     map[id.Step]definition.Step
	answers   Answers
	recording *Recording

	mu       sync.Mutex
	actions  []step.Command
	messages []step.Message
	order    []kept
	sources  map[id.Step]Source
	runs     map[id.Step]id.Execution // of recorded answers
}

// A kept is the place of an effect among those of its kind.
type kept struct {
	message bool
	index   int
}

// A Source says where the answer to a step came from.
type Source string

// The sources.
const (
	Mock      Source = "mock"      // the request has it
	Sample    Source = "sample"    // the catalogue's sample reply
	Empty     Source = "empty"     // an empty reply: the catalogue does not know the action
	Recorded  Source = "recorded"  // an earlier run got it for the same question
	Live      Source = "live"      // a model was asked
	Simulated Source = "simulated" // made to fit the schema
	Assumed   Source = "assumed"   // a decision of people
)

func newHeld(c catalog.Catalog, d definition.Definition, a Answers, r *Recording) *held {
	h := &held{
		catalog: c, steps: map[id.Step]definition.Step{}, answers: a, recording: r,
		sources: map[id.Step]Source{}, runs: map[id.Step]id.Execution{},
	}
	definition.EachStep(d.Steps, func(s definition.Step) { h.steps[s.ID] = s })
	return h
}

// A failure is a failure that the request wants.
type failure struct{ text string }

func (f failure) Error() string { return f.text }

// Reason returns the text for the trace.
func (f failure) Reason() string { return f.text }

// fails returns the failure of a step, or nil.
func (h *held) fails(s id.Step) error {
	if code, ok := h.answers.Fail[s]; ok {
		h.sources[s] = Mock
		return failure{"the test run lets it fail with " + code}
	}
	return nil
}

// Act implements step.Products.
func (h *held) Act(_ context.Context, c step.Command) (map[string]any, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.fails(c.Step); err != nil {
		return nil, err
	}
	h.order = append(h.order, kept{index: len(h.actions)})
	h.actions = append(h.actions, c)
	for _, name := range []string{string(c.Step), c.Product + "." + c.Action} {
		if reply, ok := h.answers.Replies[name].(map[string]any); ok {
			h.sources[c.Step] = Mock
			return maps.Clone(reply), nil
		}
	}
	if a, ok := h.catalog.Action(c.Product, c.Action); ok && a.Reply != nil {
		h.sources[c.Step] = Sample
		return maps.Clone(a.Reply), nil
	}
	h.sources[c.Step] = Empty
	return map[string]any{}, nil
}

// Send implements step.Sender. The failure of a step concerns its own messages, not
// those of its gate.
func (h *held) Send(_ context.Context, m step.Message) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := stepOf(m); s != "" {
		if err := h.fails(s); err != nil {
			return fmt.Errorf("%w: %w", step.ErrNotification, err)
		}
	}
	h.order = append(h.order, kept{message: true, index: len(h.messages)})
	h.messages = append(h.messages, m)
	return nil
}

func (h *held) senders() map[definition.Channel]step.Sender {
	all := make(map[definition.Channel]step.Sender)
	for _, c := range definition.Channels() {
		all[c] = h
	}
	return all
}

// stepOf returns the notification whose message m is, or "" for the message of a gate,
// whose key begins with the id of its approval.
func stepOf(m step.Message) id.Step {
	rest, ok := strings.CutPrefix(m.Key, string(m.Execution)+":")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, ":")
	return id.Step(name)
}

// Ask implements step.Model.
func (h *held) Ask(ctx context.Context, q step.Question) (step.Answer, error) {
	if err := ctx.Err(); err != nil {
		return step.Answer{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.fails(q.Step); err != nil {
		return step.Answer{}, err
	}
	if v, ok := h.answers.Model[q.Step]; ok {
		h.sources[q.Step] = Mock
		if text, isText := v.(string); isText {
			return step.Answer{Text: text}, nil
		}
		return step.Answer{Text: jsonvalue.Canonical(v)}, nil
	}
	if h.recording != nil {
		if found, err := h.recording.answer(ctx, q.Digest()); err != nil || found != nil {
			return h.recorded(q, found), err
		}
	}
	h.sources[q.Step] = Simulated
	if q.Schema == nil {
		return step.Answer{Text: fmt.Sprintf("The simulated answer of %s.", q.Step)}, nil
	}
	schema, err := json.Marshal(q.Schema)
	if err != nil {
		return step.Answer{}, fmt.Errorf("schema of %s: %w", q.Step, err)
	}
	return step.Answer{Text: string(simulate.Answer(schema, nil))}, nil
}

// recorded returns a recorded answer as the model gave it; none for nil.
func (h *held) recorded(q step.Question, found *recorded) step.Answer {
	if found == nil {
		return step.Answer{}
	}
	h.sources[q.Step], h.runs[q.Step] = Recorded, found.run
	if q.Schema != nil {
		return step.Answer{Text: jsonvalue.Canonical(found.output)}
	}
	output, _ := found.output.(map[string]any)
	text, _ := output["text"].(string)
	return step.Answer{Text: text}
}

// ---- people, time and the rest of the platform ----

// assumed returns the n-th person who decides at a gate: an owner who took no part in
// setting the run up.
func assumed(org id.Org, n int, at time.Time) caller.Caller {
	return caller.Caller{Org: org, User: id.User(fmt.Sprintf("user_assumed_%d", n+1)), Roles: []caller.Role{caller.Owner}, Issued: at}
}

// A clock is the time of a test run, which passes only by its waits.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock(at time.Time) *clock { return &clock{now: at} }

// Now returns the time of the run.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Sleep lets the time of the run pass.
func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	c.pass(d)
	return ctx.Err()
}

// Profile implements dispatch.Profiles and runner.Profiles.
func (st *stage) Profile(_ context.Context, _ id.Org, c id.Client) (map[string]any, error) {
	if c != st.Event.Client {
		return nil, nil //nolint:nilnil // no profile is no error.
	}
	return st.Client, nil
}

// Start implements dispatch.Machine.
func (st *stage) Start(_ context.Context, c machine.Cursor) error {
	st.started, st.cursor = true, c
	return nil
}

// Ring implements approval.Doorbell.
func (st *stage) Ring(context.Context, string) error {
	st.rang = true
	return nil
}

// Version implements runner.Definitions.
func (st *stage) Version(context.Context, id.Org, id.Agent, int) (definition.Definition, error) {
	return st.Definition, nil
}

// VersionRecord implements runner.Definitions. The people who decide are not among the
// authors, so these need no names.
func (st *stage) VersionRecord(context.Context, id.Org, id.Agent, int) (agent.Version, error) {
	return agent.Version{Number: max(st.Play.Version, 1), Definition: st.Definition}, nil
}

// An only is the one agent that listens.
type only struct{ agent.Listener }

// Listeners implements dispatch.Agents.
func (o only) Listeners(context.Context, id.Org, string) ([]agent.Listener, map[id.Agent]bool, error) {
	return []agent.Listener{o.Listener}, nil, nil
}

// nobody are the parts of the platform that a test run leaves alone: events of the Hub
// and of clients change no record, no agent is deactivated, no owner gets an e-mail, no
// event is published.
type nobody struct{}

func (nobody) Project(context.Context, event.Event) error             { return nil }
func (nobody) Invalidate(context.Context, id.Org, id.Agent) error     { return nil }
func (nobody) Tell(context.Context, tenant.Tenant, event.Event) error { return nil }
func (nobody) Publish(context.Context, []event.Event)                 {}
func (nobody) Repeat(context.Context, id.Org) error                   { return nil }

var _ step.Products = (*held)(nil)

// sourceOf returns the source of a step's answer.
func (st *stage) sourceOf(s execution.TraceEntry) Source {
	if s.Definition.GateStep != nil && !s.Asked.IsZero() {
		return Assumed
	}
	st.held.mu.Lock()
	defer st.held.mu.Unlock()
	return st.sources[s.ID]
}

// runOf returns the run that got a step's answer, if it is recorded.
func (st *stage) runOf(s execution.TraceEntry) id.Execution {
	st.held.mu.Lock()
	defer st.held.mu.Unlock()
	return st.runs[s.ID]
}
