package rehearsal

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/input"
	"theoneagents.app/agents/shared/jsonvalue"
)

// A Request is the body of a request for a test run, without the agent.
type Request struct {
	Version     int            // of the agent; 0 for the newest
	Definition  map[string]any // not saved; nil for the agent's own
	Execution   id.Execution   // whose event is played; empty for none
	Payload     map[string]any // of the event; nil for the sample
	Client      id.Client      // of the event; empty for the one in the payload
	Profile     map[string]any // of the client, if it is given
	NoProfile   bool           // the client has no profile
	At          time.Time      // when the event arrives; zero for now
	answers     map[string]any
	decisions   map[string]any
	Recorded    bool // models answer as in earlier runs
	Live        bool // models are asked
	model       map[string]any
	fail        map[string]any
	ignoreMatch bool
}

// Read reads the fields of a body. Check holds it against the definition.
func Read(o input.Object) Request {
	q := Request{}
	if _, given := o.Get("version"); given {
		q.Version = int(o.Int("version", 1, 1_000_000))
	}
	q.Definition = object(o, "definition")
	if q.Definition != nil && q.Version > 0 {
		o.Fault(o.At("version"), "cannot be given together with definition")
	}
	readEvent(&q, o)
	switch v, given := o.OptionalAny("client_context"); v := v.(type) {
	case map[string]any:
		q.Profile = v
	case nil:
		q.NoProfile = given
	case string:
		if v != "now" {
			o.Fault(o.At("client_context"), `must be "now", an object or null`)
		}
	default:
		o.Fault(o.At("client_context"), `must be "now", an object or null`)
	}
	if s, ok := o.Get("at"); ok {
		q.At = readTime(o, s)
	}
	readModel(&q, o)
	q.answers, q.fail, q.decisions = object(o, "replies"), object(o, "fail"), object(o, "decisions")
	q.ignoreMatch = o.Bool("ignore_match")
	return q
}

func readModel(q *Request, o input.Object) {
	v, _ := o.Get("model")
	switch v := v.(type) {
	case nil:
		return
	case map[string]any:
		q.model = v
		return
	case string:
		q.Recorded, q.Live = v == string(Recorded), v == string(Live)
		if q.Recorded || q.Live || v == string(Simulated) {
			return
		}
	}
	o.Fault(o.At("model"), `must be "simulated", "recorded", "live" or an object with answers by step`)
}

// The years in which a test run may be: ids hold no time before 1970.
const (
	firstYear = 2000
	lastYear  = 2999
)

func readTime(o input.Object, v any) time.Time {
	s, _ := v.(string)
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.UTC().Year() < firstYear || t.UTC().Year() > lastYear {
		o.Fault(o.At("at"), "must be a time like 2026-03-09T14:00:00Z, from the year 2000 to 2999")
		return time.Time{}
	}
	return t.UTC()
}

func readEvent(q *Request, o input.Object) {
	v, _ := o.Get("event")
	switch v := v.(type) {
	case nil:
	case string:
		if v != string(FromSample) {
			o.Fault(o.At("event"), `must be "sample" or an object with payload or execution_id`)
		}
	case map[string]any:
		readGivenEvent(q, o.Object(o.At("event"), v))
	default:
		o.Fault(o.At("event"), `must be "sample" or an object with payload or execution_id`)
	}
}

// readGivenEvent reads an event with a payload, or that of an execution: each has its
// own fields, and null is a value of neither.
func readGivenEvent(q *Request, e input.Object) {
	payload, hasPayload := e.OptionalAny("payload")
	execution, hasExecution := e.OptionalAny("execution_id")
	client, hasClient := e.OptionalAny("client_id")
	switch {
	case hasPayload == hasExecution:
		e.Fault(e.Path, "must have either payload or execution_id")
	case hasPayload:
		var isObject bool
		if q.Payload, isObject = payload.(map[string]any); !isObject {
			e.Fault(e.At("payload"), "must be an object, not %s", jsonvalue.Kind(payload))
		}
		if client != nil {
			s := e.CheckText(e.At("client_id"), client, 1, 128)
			if s != "" && !id.ValidExternal(s) {
				e.Fault(e.At("client_id"), "must have 1 to 128 printable ASCII characters without spaces and #")
			}
			q.Client = id.Client(s)
		}
	default:
		s := e.CheckText(e.At("execution_id"), execution, 1, 200)
		if s != "" && !id.Valid("exec_", s) {
			e.Fault(e.At("execution_id"), "must be the id of an execution, like exec_01HXYZ")
		}
		q.Execution = id.Execution(s)
		if hasClient {
			e.Fault(e.At("client_id"), "cannot be given together with execution_id")
		}
	}
	e.Done()
}

func object(o input.Object, field string) map[string]any {
	v, ok := o.Get(field)
	if !ok {
		return nil
	}
	m, isObject := v.(map[string]any)
	if !isObject {
		o.Fault(o.At(field), "must be an object, not %s", jsonvalue.Kind(v))
	}
	return m
}

// The codes with which steps can fail, by kind.
func codes(k definition.Kind) []string {
	switch k {
	case definition.Action:
		return []string{"product_error"}
	case definition.AI:
		return []string{"model_unavailable"}
	case definition.Notification:
		return []string{"notification_failed"}
	case definition.Gate, definition.Branching, definition.Waiting:
	}
	return nil
}

// Check returns the answers of the request for a definition, and every name and value
// that do not fit it, with the path in the body.
func (q Request) Check(d definition.Definition) (Answers, []fault.Detail) {
	r := &input.Reader{}
	a := Answers{
		Model: map[id.Step]any{}, Replies: q.answers, Fail: map[id.Step]string{}, Decisions: map[id.Step][]Decision{}, IgnoreMatch: q.ignoreMatch,
	}
	steps, actions := map[string]definition.Step{}, map[string]bool{}
	definition.EachStep(d.Steps, func(s definition.Step) {
		steps[string(s.ID)] = s
		if s.ActionStep != nil {
			actions[s.Product+"."+s.Action], actions[string(s.ID)] = true, true
		}
	})
	of := func(kinds ...definition.Kind) []string {
		var names []string
		for name, s := range steps {
			if slices.Contains(kinds, s.Kind) {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return names
	}
	for _, name := range slices.Sorted(maps.Keys(q.model)) {
		path := "model." + name
		s, ok := steps[name]
		v := q.model[name]
		_, isText := v.(string)
		switch {
		case !ok || s.AIStep == nil:
			r.Fault(path, "is no AI step of the definition; %s", fault.Suggest(name, of(definition.AI)))
		case s.Schema == nil && !isText:
			r.Fault(path, "must be a string, not %s: the step has no output_schema", jsonvalue.Kind(v))
		default:
			a.Model[s.ID] = v
		}
	}
	for _, name := range slices.Sorted(maps.Keys(q.answers)) {
		path := "replies." + name
		if !actions[name] {
			r.Fault(path, "is neither an action step of the definition nor an action like psa.create_ticket that one calls; %s", fault.Suggest(name, slices.Sorted(maps.Keys(actions))))
		} else if _, isObject := q.answers[name].(map[string]any); !isObject {
			r.Fault(path, "must be an object, not %s", jsonvalue.Kind(q.answers[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(q.fail)) {
		s, ok := steps[name]
		if !ok || codes(s.Kind) == nil {
			r.Fault("fail."+name, "is no step of the definition that calls the outside; %s", fault.Suggest(name, of(definition.Action, definition.AI, definition.Notification)))
			continue
		}
		o := r.Object("fail."+name, q.fail[name])
		code := input.NeedChoice(o, "code", codes(s.Kind)...)
		o.Done()
		a.Fail[s.ID] = code
	}
	for _, name := range slices.Sorted(maps.Keys(q.decisions)) {
		s, ok := steps[name]
		if !ok || s.GateStep == nil {
			r.Fault("decisions."+name, "is no gate of the definition; %s", fault.Suggest(name, of(definition.Gate)))
			continue
		}
		a.Decisions[s.ID] = decisions(r, "decisions."+name, q.decisions[name])
	}
	return a, r.Faults
}

// maxDecisions is the number of questions of one gate that may have a decision each.
const maxDecisions = 10

// decisions reads the decision about all questions of a gate, or a list with one for
// each; the last holds for the rest.
func decisions(r *input.Reader, path string, v any) []Decision {
	list, isList := v.([]any)
	if !isList {
		list = []any{v}
	}
	if len(list) == 0 || len(list) > maxDecisions {
		r.Fault(path, "must have 1 to %d decisions", maxDecisions)
		return nil
	}
	var all []Decision
	for i, v := range list {
		at := path
		if isList {
			at = input.Index(path, i)
		}
		text, _ := v.(string)
		d := Decision(text)
		if d != Approved && d != Denied && d != Expired {
			r.Fault(at, "must be approved, denied or expired")
			continue
		}
		all = append(all, d)
	}
	return all
}

// EventFor returns the event that the request has for an agent: the sample of the
// trigger's type, or one with the payload. It is published when it arrives.
func (q Request) EventFor(c catalog.Catalog, d definition.Definition, org id.Org, at time.Time) (event.Event, EventSource, []fault.Detail) {
	payload, source, path := q.Payload, FromPayload, "event.payload"
	if payload == nil {
		t, ok := c.Event(d.Trigger.Event())
		if !ok {
			return event.Event{}, "", []fault.Detail{{Path: "event", Message: fmt.Sprintf("the catalogue no longer has %s, so there is no sample", d.Trigger.Event())}}
		}
		payload, source, path = t.Sample, FromSample, "event"
	}
	name := id.Event("evt_" + id.Derive(at, "test run", d.Trigger.Event(), string(q.Client), jsonvalue.Canonical(payload)))
	e, err := event.Event{
		ID: name, Type: d.Trigger.EventType, Product: d.Trigger.Product, Org: org, Client: q.Client, Payload: payload, Published: at.UTC(),
	}.AsReceived()
	if err != nil {
		return event.Event{}, "", []fault.Detail{{Path: path, Message: fault.From(err).Message}}
	}
	return e, source, nil
}
