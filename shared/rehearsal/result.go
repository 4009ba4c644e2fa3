package rehearsal

import (
	"context"
	"errors"
	"strings"
	"time"

	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/step"
)

// A Result is what an agent would do. Its JSON is the format of the API. Lists are
// never null.
type Result struct {
	Outcome      definition.Outcome `json:"outcome"` // as the dispatcher judges the event
	Reason       *string            `json:"reason"`
	Event        Event              `json:"event"`
	Checks       []Check            `json:"checks"`
	Status       *string            `json:"status"` // of the run; null when none would start
	StatusReason *string            `json:"status_reason"`
	Error        *Failure           `json:"error"`
	Steps        []Step             `json:"steps"`
	Effects      []Effect           `json:"effects"`
	Gates        []Gate             `json:"gates"`
	TimePassed   int64              `json:"time_passed_seconds"`
	Credits      Credits            `json:"credits"`
	Warnings     []fault.Detail     `json:"warnings"`
}

// An Event is the event that was played.
type Event struct {
	Source    EventSource    `json:"source"`
	ID        id.Event       `json:"id"`
	Type      string         `json:"event_type"`
	Product   string         `json:"source_product"`
	Client    *string        `json:"client_id"`
	Published time.Time      `json:"published_at"`
	Payload   map[string]any `json:"payload"`
}

// An EventSource says where an event came from.
type EventSource string

// The sources of an event.
const (
	FromSample    EventSource = "sample"
	FromPayload   EventSource = "payload"
	FromExecution EventSource = "execution"
)

// A Check is one comparison that decides whether the event starts the agent, with the
// value that it found.
type Check struct {
	Part     string `json:"part"` // filter, client_scope, condition or agent_triggered
	Path     string `json:"path"` // in the definition
	Context  string `json:"context"`
	Field    string `json:"field"`
	Operator string `json:"operator"`
	Want     any    `json:"want"`
	Found    any    `json:"found"`
	Holds    bool   `json:"holds"`
}

// A Failure is the error of a step or of the run.
type Failure struct {
	Code    string  `json:"code"`
	Message string  `json:"message"`
	Step    *string `json:"step_id"`
}

// A Step is the record of one step.
type Step struct {
	ID       id.Step              `json:"step_id"`
	Kind     definition.Kind      `json:"step_type"`
	Name     *string              `json:"name"`
	Status   execution.StepStatus `json:"status"`
	HeldBack bool                 `json:"held_back"` // it would have reached the outside
	Source   *string              `json:"source"`    // of the answer; see Source
	Run      *string              `json:"source_execution_id"`
	Key      *string              `json:"idempotency_key"`
	Input    any                  `json:"input"`
	Output   any                  `json:"output"`
	Error    *Failure             `json:"error"`
	Attempts int                  `json:"attempts"`
	Credits  int64                `json:"credits"`
}

// An Effect is an action or a message that was held back.
type Effect struct {
	Step        id.Step        `json:"step_id"`
	Kind        string         `json:"kind"` // action or message
	What        string         `json:"what"` // "defend.isolate_device", or the channel
	Risk        *string        `json:"risk"` // of an action
	Destructive bool           `json:"destructive"`
	Params      map[string]any `json:"params"` // of an action, whole
	Recipient   *string        `json:"recipient"`
	Subject     *string        `json:"subject"`
	Text        *string        `json:"text"`
	Gate        *string        `json:"gate"` // the last gate that people approved before
	Key         string         `json:"idempotency_key"`
}

// The kinds of effects.
const (
	ActionEffect  = "action"
	MessageEffect = "message"
)

// A Gate is one question as its approvers would see it.
type Gate struct {
	Step      id.Step   `json:"step_id"`
	Message   string    `json:"message"`
	Shows     Shows     `json:"shows"`
	Approvers Approvers `json:"approvers"`
	Notices   []Notice  `json:"would_notify"`
	Timeout   int64     `json:"timeout_seconds"`
	Escalated bool      `json:"escalated"`
	Renewed   bool      `json:"renewed"` // asked again: the approval was too old
	Decision  Decision  `json:"decision"`
	Assumed   bool      `json:"assumed"` // always true
}

// Approvers are the people who may decide.
type Approvers struct {
	Roles []caller.Role `json:"roles"`
	Users []id.User     `json:"users"`
	Min   int           `json:"min_approvals"`
}

// A Notice is a message about a gate.
type Notice struct {
	On        string             `json:"on"`
	Channel   definition.Channel `json:"channel"`
	Recipient string             `json:"recipient"`
	Subject   *string            `json:"subject"`
	Text      string             `json:"text"`
}

// Credits are the prices of the models' answers. A test run is free.
type Credits struct {
	WouldCost int64 `json:"would_cost"`
	AtMost    int64 `json:"at_most"` // of any event
	Charged   int64 `json:"charged"` // always 0
}

// result returns the result of the play.
func (st *stage) result(ctx context.Context) (Result, error) {
	r := Result{
		Outcome: st.outcome, Reason: text(st.why), Event: eventOf(st.Event, st.Source), Checks: st.checks(), Steps: []Step{}, Effects: []Effect{}, Gates: []Gate{},
		TimePassed: int64(st.Now().Sub(st.At) / time.Second), Credits: Credits{AtMost: st.service.Rules.Capabilities(st.Definition).Bounds.Credits}, Warnings: []fault.Detail{},
	}
	if !st.started {
		return r, nil
	}
	x, trace, err := st.trace(ctx)
	if err != nil {
		return Result{}, err
	}
	if !x.Status.Ended() {
		return Result{}, errors.New("the machine ended before the run did")
	}
	r.Status, r.StatusReason, r.Error = text(x.Status), text(x.StatusReason()), failureOf(x.Error)
	gates := map[id.Step]*string{}
	for _, s := range trace {
		r.Steps = append(r.Steps, st.step(s))
		r.Credits.WouldCost += s.Credits()
		if gate, ok := trace.Verdict(s.ID); ok {
			gates[s.ID] = text(gate.ID)
		}
	}
	for _, k := range st.order {
		if e, ok := st.effect(k); ok {
			e.Gate = gates[e.Step]
			r.Effects = append(r.Effects, e)
		}
	}
	for _, q := range st.gates {
		r.Gates = append(r.Gates, st.shown(q))
	}
	r.Warnings = st.warnings(trace)
	return r, nil
}

func eventOf(e event.Event, source EventSource) Event {
	return Event{
		Source: source, ID: e.ID, Type: e.Type, Product: e.Product, Client: text(e.Client), Published: e.Published.UTC().Truncate(time.Second), Payload: e.Payload,
	}
}

// Limits of a found value, in bytes: of one text and of all together.
const (
	maxFound    = 1000
	maxFoundAll = 4 << 10
)

// checks returns every comparison of the definition with the event, whose type is that of
// the trigger.
func (st *stage) checks() []Check {
	all := []Check{}
	for _, part := range st.Definition.Explain(st.facts) {
		if part.Part == definition.TriggerPart {
			continue
		}
		for _, c := range part.Comparisons {
			found := c.Found
			if part.Part == definition.FilterPart || part.Part == definition.ConditionPart {
				found, _ = st.facts.Find(c.Condition.Context, c.Condition.Field)
			}
			all = append(all, Check{
				Part: string(part.Part), Path: part.Path + c.Path, Context: string(c.Condition.Context), Field: c.Condition.Field,
				Operator: string(c.Condition.Operator), Want: c.Condition.Value,
				Found: step.ShownWithin(found, maxFound, maxFoundAll), Holds: c.Holds,
			})
		}
	}
	return all
}

func (st *stage) step(s execution.TraceEntry) Step {
	v := Step{
		ID: s.ID, Kind: s.Kind, Name: text(s.Definition.Name), Status: s.Status, Source: text(st.sourceOf(s)), Run: text(st.runOf(s)),
		Input: s.Input, Output: s.Output, Error: failureOf(s.Error), Attempts: s.Tries, Credits: s.Credits(),
	}
	if v.HeldBack = (s.Kind == definition.Action || s.Kind == definition.Notification) && s.Tries > 0; v.HeldBack {
		v.Key = text(string(st.cursor.Execution) + ":" + string(s.ID))
	}
	return v
}

// effect returns an effect as the result shows it; ok is false for a message about a
// gate.
func (st *stage) effect(k kept) (Effect, bool) {
	if !k.message {
		c := st.actions[k.index]
		e := Effect{Step: c.Step, Kind: ActionEffect, What: c.Product + "." + c.Action, Params: c.Params, Key: c.Key}
		if a, ok := st.catalog.Action(c.Product, c.Action); ok {
			e.Risk, e.Destructive = text(a.RiskOf(c.Params)), a.Destructive
		}
		return e, true
	}
	m := st.messages[k.index]
	name := stepOf(m)
	return Effect{
		Step: name, Kind: MessageEffect, What: string(m.Channel), Recipient: text(m.Recipient), Subject: text(m.Subject), Text: text(m.Body), Key: m.Key,
	}, name != ""
}

// shown returns a question as its approvers would see it.
func (st *stage) shown(q *question) Gate {
	a := q.approval
	g := Gate{
		Step: a.Step, Message: a.Message, Shows: st.shows(a), Approvers: Approvers{Roles: a.Deciders(), Users: append([]id.User{}, a.Approvers.Users...), Min: max(a.Min, 1)},
		Notices: []Notice{}, Timeout: int64(q.timeout / time.Second), Escalated: a.Escalated, Renewed: a.Renews != nil, Decision: q.decision, Assumed: true,
	}
	for _, m := range st.messages {
		rest, ok := strings.CutPrefix(m.Key, string(a.ID)+":")
		if !ok {
			continue
		}
		on, _, _ := strings.Cut(rest, ":")
		if later := execution.Occasion(on) == execution.OnEscalated || execution.Occasion(on) == execution.OnRemindedAgain; later != a.Escalated && asks(on) {
			continue
		}
		g.Notices = append(g.Notices, Notice{On: on, Channel: m.Channel, Recipient: m.Recipient, Subject: text(m.Subject), Text: m.Body})
	}
	return g
}

// asks reports whether a message asks for a decision, and does not tell of one.
func asks(on string) bool {
	switch execution.Occasion(on) {
	case execution.OnAsked, execution.OnReminded, execution.OnEscalated, execution.OnRemindedAgain:
		return true
	case execution.OnDecided, execution.OnExpired, execution.OnWithdrawn:
	}
	return false
}

// warnings returns on which answers of the request the result rests.
func (st *stage) warnings(trace execution.Trace) []fault.Detail {
	all := []fault.Detail{}
	for _, s := range trace {
		if st.recording != nil && st.sourceOf(s) == Simulated {
			all = append(all, fault.Detail{Path: "model." + string(s.ID), Message: st.recording.missing()})
		}
		switch source := st.sourceOf(s); {
		case source == Sample && st.Definition.Mentions("steps."+string(s.ID)+"."):
			all = append(all, fault.Detail{Path: "replies." + string(s.ID), Message: "Later steps read the reply, which is the catalogue's sample."})
		case source == Empty:
			all = append(all, fault.Detail{Path: "replies." + string(s.ID), Message: "The reply is empty: the catalogue does not have the action."})
		case source == Simulated && s.Status == execution.StepFailed:
			all = append(all, fault.Detail{Path: "model." + string(s.ID), Message: "No simulated answer fits the output_schema; give an answer in model."})
		}
	}
	return all
}

func failureOf(f *execution.Failure) *Failure {
	if f == nil {
		return nil
	}
	return &Failure{Code: f.Code, Message: f.Message, Step: text(f.Step)}
}

// text returns s, or null for an empty text.
func text[S ~string](s S) *string {
	if s == "" {
		return nil
	}
	t := string(s)
	return &t
}

// Hidden returns the result with every recipient that is the URL of a chat or a
// webhook as hide shows it, for people who may not see these credentials.
func (r Result) Hidden(hide definition.RecipientMap) Result {
	failed := func(f *Failure) *Failure {
		if f == nil {
			return nil
		}
		return &Failure{Code: f.Code, Message: definition.WithoutURLs(f.Message), Step: f.Step}
	}
	r.Error = failed(r.Error)
	r.Steps = append([]Step{}, r.Steps...)
	for i, s := range r.Steps {
		if s.Kind == definition.Notification || s.Kind == definition.Gate {
			r.Steps[i].Input = execution.MapDeliveries(s.Input, hide, definition.WithoutURLs)
			r.Steps[i].Output = execution.MapDeliveries(s.Output, hide, definition.WithoutURLs)
		}
		r.Steps[i].Error = failed(s.Error)
	}
	r.Effects = append([]Effect{}, r.Effects...)
	for i, e := range r.Effects {
		if e.Kind == MessageEffect && e.Recipient != nil {
			r.Effects[i].Recipient = text(hide(definition.Channel(e.What), *e.Recipient))
		}
	}
	r.Gates = append([]Gate{}, r.Gates...)
	for i, g := range r.Gates {
		r.Gates[i].Shows = g.Shows.hidden(hide)
		r.Gates[i].Notices = append([]Notice{}, g.Notices...)
		for j, n := range g.Notices {
			r.Gates[i].Notices[j].Recipient = hide(n.Channel, n.Recipient)
		}
	}
	return r
}
