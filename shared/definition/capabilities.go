package definition

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
)

// Capabilities are everything that the runs of a definition can do. They follow from
// the definition and the catalogue alone, and may name too much but never too little:
// no run has another effect, whatever the event, the models and the products say.
type Capabilities struct {
	WakesOn  Waking    `json:"wakes_on"`
	Reads    []string  `json:"reads"` // paths into the event, the client's profile, the agent and the run
	Asks     []Ask     `json:"asks"`
	Does     []Deed    `json:"does"`
	Tells    []Telling `json:"tells"`
	People   []Asking  `json:"people"`
	CanCause []string  `json:"can_cause"` // qualified names of events, sorted
	Bounds   Bounds    `json:"bounds"`
}

// Waking says which events start a run.
type Waking struct {
	Event          string   `json:"event"`
	When           []string `json:"when"` // all of these hold
	Clients        Scope    `json:"clients"`
	AgentTriggered bool     `json:"agent_triggered"` // also events that runs of agents caused
	Overrides      bool     `json:"overrides"`       // system agents then do not run
	Limit          *Limit   `json:"limit"`           // nil: none
}

// An Ask is a question to a model.
type Ask struct {
	Step    id.Step     `json:"step_id"`
	Model   credit.Tier `json:"model"`
	Sees    []string    `json:"sees"` // the paths whose values the model reads
	From    []Origin    `json:"from"` // whose words these are
	When    []string    `json:"when"`
	Credits int64       `json:"credits_at_most"`
}

// A Deed is an action in a product.
type Deed struct {
	Step   id.Step          `json:"step_id"`
	Action string           `json:"action"` // the qualified name
	Risk   catalog.Risk     `json:"risk"`
	When   []string         `json:"when"`
	Gates  []id.Step        `json:"gates"` // every run passes one of these by a person's approval first; empty: none is needed
	Params map[string]Given `json:"params"`
	Undo   string           `json:"undo,omitempty"` // the action that takes it back, if the catalogue knows one
}

// Given says where the value of a parameter comes from.
type Given struct {
	Role  catalog.Role `json:"role"`
	From  []Origin     `json:"from"`
	Shown bool         `json:"shown_at_gate"` // the approvers saw the value
}

// A Telling is a message on one channel.
type Telling struct {
	Step    id.Step  `json:"step_id"`
	Channel Channel  `json:"channel"`
	Of      Kind     `json:"of"` // notification, or approval_gate for its question and outcome
	To      []string `json:"to"` // the recipients that the definition writes out
	ToFrom  []Origin `json:"to_from"`
	Words   []Origin `json:"words_from"`
	When    []string `json:"when"`
}

// An Asking is a question to people.
type Asking struct {
	Step      id.Step   `json:"step_id"`
	Roles     []string  `json:"roles"` // besides owners and admins
	Users     []id.User `json:"users"`
	Approvals int       `json:"min_approvals"`
	Silence   OnExpiry  `json:"on_expiry"`
	Seconds   int64     `json:"timeout_seconds"`
	When      []string  `json:"when"`
	Required  bool      `json:"required"` // no run comes past it without a person's approval
}

// Bounds limit one run.
type Bounds struct {
	Credits  int64 `json:"credits_at_most"`
	Actions  int   `json:"actions_at_most"`
	Messages int   `json:"messages_at_most"`
	People   int   `json:"people_asked_at_most"`
	Seconds  int64 `json:"waits_seconds_at_most"` // for people and times
}

// An Origin is where a value comes from: "author" (the definition), "event", "client"
// (the profile), "run" (ids, names and times of the agent and its run), or, with the id
// of a step, "model:triage", "product:ticket", "people:confirm" and "receiver:hook".
type Origin string

// The origins without a step.
const (
	FromAuthor Origin = "author"
	FromEvent  Origin = "event"
	FromClient Origin = "client"
	FromRun    Origin = "run"
)

// Capabilities returns the capabilities of a valid definition. Fields that the
// catalogue no longer knows are kept: an unknown action has the risk destructive.
func (r Rules) Capabilities(d Definition) Capabilities {
	w := &walk{
		catalog: r.Catalog, reads: map[string]bool{}, from: map[string][]Origin{}, cause: map[string]bool{},
		all: Capabilities{Asks: []Ask{}, Does: []Deed{}, Tells: []Telling{}, People: []Asking{}},
	}
	if t, known := r.Catalog.Event(d.Trigger.Event()); known {
		w.payload = payloadOf(t)
	}
	w.all.WakesOn = Waking{
		Event: d.Trigger.Event(), When: []string{}, Clients: d.Scope,
		AgentTriggered: d.Trigger.AllowAgentTriggered, Overrides: d.Conflict == Override, Limit: d.Limit,
	}
	demands := slices.Clone(d.Conditions)
	for i, f := range d.Trigger.Filters {
		demands = slices.Insert(demands, i, condition.Condition{Context: condition.InEvent, Field: f.Field, Operator: f.Operator, Value: f.Value})
	}
	for _, c := range demands {
		w.conditions(c)
		w.all.WakesOn.When = append(w.all.WakesOn.When, c.String())
	}
	w.all.Bounds = w.steps(d.Steps, []string{})
	w.all.Bounds.Seconds = int64(d.Patience().Seconds())
	w.all.Reads = list(slices.Sorted(maps.Keys(w.reads)))
	w.all.CanCause = list(slices.Sorted(maps.Keys(w.cause)))
	return w.all
}

// A walk visits the steps of a definition in their order, as the parser does.
type walk struct {
	catalog catalog.Catalog
	payload any // the schema of the event's payload; nil for a type that the catalogue does not have
	all     Capabilities
	reads   map[string]bool
	cause   map[string]bool
	from    map[string][]Origin // origins of the outputs so far, by name in templates
	past    past
	gates   []id.Step // the last gates that require approval, on all paths
}

// steps visits steps that run under conditions, and returns their bounds.
func (w *walk) steps(list []Step, when []string) Bounds {
	var sum Bounds
	for _, s := range list {
		sum = sum.and(w.step(s, when))
		w.past = w.past.after(s)
		if s.RequiresApproval() {
			w.gates = []id.Step{s.ID}
		}
	}
	return sum
}

func (w *walk) step(s Step, when []string) Bounds {
	if s.If != nil {
		w.conditions(*s.If)
		when = slices.Concat(when, []string{s.If.String()})
	}
	switch {
	case s.AIStep != nil:
		return w.ask(s, when)
	case s.ActionStep != nil:
		return w.deed(s, when)
	case s.NotificationStep != nil:
		words := w.origins(s.Subject, s.Body)
		to, from := w.recipients(s.Recipients)
		w.all.Tells = append(w.all.Tells, Telling{
			Step: s.ID, Channel: s.Channel, Of: Notification, To: to, ToFrom: from, Words: words, When: when,
		})
		w.keep(s, with(join(words, from), "receiver", s.ID))
		return Bounds{Messages: most(s.Recipients)}
	case s.GateStep != nil:
		return w.people(s, when)
	case s.BranchStep != nil:
		return w.branch(s, when)
	case s.WaitStep != nil:
		w.keep(s, w.origins(s.Until))
	}
	return Bounds{}
}

func (w *walk) ask(s Step, when []string) Bounds {
	w.all.Asks = append(w.all.Asks, Ask{
		Step: s.ID, Model: s.Model, Sees: paths(s.Prompt, s.System), From: w.origins(s.Prompt, s.System), When: when, Credits: s.Model.Price(),
	})
	w.keep(s, []Origin{Origin("model:" + s.ID)})
	return Bounds{Credits: s.Model.Price()}
}

func (w *walk) deed(s Step, when []string) Bounds {
	deed := Deed{
		Step: s.ID, Action: s.Product + ":" + s.Action, Risk: catalog.Destructive, When: when, Gates: []id.Step{}, Params: map[string]Given{},
	}
	action, known := w.catalog.Action(s.Product, s.Action)
	if known {
		deed.Risk = action.RiskOf(s.Params)
		if action.Undo != nil {
			deed.Undo = s.Product + ":" + action.Undo.Action
		}
		for _, event := range action.Emits {
			w.cause[event] = true
		}
	}
	if w.past.approved {
		deed.Gates = w.gates
	}
	sent := []Origin{}
	for name, v := range s.Params {
		given := Given{Role: catalog.Target, From: w.origins(v)}
		if p, ok := action.Param(name); ok {
			given.Role = p.Role
		}
		given.Shown = w.past.approved && !slices.ContainsFunc(named(v), func(p jsonvalue.Path) bool { return Begins(p, w.past.afterGate) })
		deed.Params[name] = given
		sent = join(sent, given.From)
	}
	w.all.Does = append(w.all.Does, deed)
	w.keep(s, with(sent, "product", s.ID))
	return Bounds{Actions: 1}
}

// people visits a gate. Its question and the outcome are messages; it asks a second
// time when an approval has aged, and its escalation asks other people.
func (w *walk) people(s Step, when []string) Bounds {
	const rounds, messages = 2, 2
	a := Asking{
		Step: s.ID, Roles: list(s.Approvers.Roles), Users: list(s.Approvers.Users), Approvals: s.Min(), Silence: s.Expiry(),
		Seconds: int64(s.TimeLimit().Seconds()), When: when, Required: s.RequiresApproval(),
	}
	if s.EscalateTo != nil {
		a.Roles = join(a.Roles, s.EscalateTo.Roles)
		a.Users = join(a.Users, s.EscalateTo.Users)
	}
	w.all.People = append(w.all.People, a)
	words, told := w.origins(s.Message), []Origin{}
	b := Bounds{People: 1}
	for _, n := range s.Channels(true) {
		to, from := w.recipients(n.Recipients)
		w.all.Tells = append(w.all.Tells, Telling{
			Step: s.ID, Channel: n.Channel, Of: Gate, To: to, ToFrom: from, Words: with(words, "people", s.ID), When: when,
		})
		told = join(told, from)
		b.Messages += rounds * messages * most(n.Recipients)
	}
	w.keep(s, with(join(words, told), "people", s.ID))
	return b
}

// branch visits the ways of a branch. A run takes one of them, so the bounds are those
// of the largest.
func (w *walk) branch(s Step, when []string) Bounds {
	before, gates := w.past.addAfterGate(s), w.gates
	var ways []past
	var last []id.Step
	if s.If != nil || s.OnError == Continue {
		ways, last = append(ways, before), slices.Clone(gates)
	}
	var high Bounds
	var others []string
	way := func(steps []Step, when []string) {
		w.past, w.gates = before, gates
		high = high.or(w.steps(steps, when))
		ways, last = append(ways, w.past), append(last, w.gates...)
	}
	reads := []Origin{}
	for _, c := range s.Cases {
		reads = join(reads, w.conditions(c.When))
	}
	for _, c := range s.Cases {
		way(c.Steps, slices.Concat(when, others, []string{c.When.String()}))
		others = append(others, "not ("+c.When.String()+")")
	}
	way(s.Else, slices.Concat(when, others))
	w.past, w.gates = joined(ways), distinct(last)
	w.keep(s, reads)
	return high
}

// keep stores the origins of a step's output under each of its names. Two ways of a
// branch may give outputs the same name.
func (w *walk) keep(s Step, from []Origin) {
	for _, name := range s.Names() {
		w.from[name] = join(w.from[name], from)
	}
}

// paths returns the paths that placeholders name, sorted.
func paths(values ...any) []string {
	all := []string{}
	for _, p := range named(values) {
		all = append(all, p.String())
	}
	return distinct(all)
}

// read keeps a path that does not lead to the output of a step.
func (w *walk) read(p jsonvalue.Path) {
	if slices.Contains(roots(), p[0]) {
		w.reads[p.String()] = true
	}
}

// origins returns the origins of values with placeholders. Text around a placeholder
// is the author's.
func (w *walk) origins(values ...any) []Origin {
	from := []Origin{}
	if slices.ContainsFunc(values, written) {
		from = append(from, FromAuthor)
	}
	for _, p := range named(values) {
		w.read(p)
		from = join(from, w.originOf(p))
	}
	return from
}

// written reports whether a value has a part that the author wrote: anything except
// one placeholder without a literal.
func written(v any) bool {
	if text, ok := v.(string); ok {
		return text != "" && !plain.MatchString(text)
	}
	return v != nil
}

func (w *walk) originOf(p jsonvalue.Path) []Origin {
	switch p[0] {
	case "event_payload", "event":
		return []Origin{FromEvent}
	case "client_context":
		return []Origin{FromClient}
	case "agent", "execution":
		return []Origin{FromRun}
	}
	var from []Origin
	for name, of := range w.from {
		// steps alone is the outputs of all steps.
		if p.Begins(strings.Split(name, ".")) || len(p) == 1 && strings.HasPrefix(name, p[0]+".") {
			from = join(from, of)
		}
	}
	return from
}

// conditions keeps what conditions read, and returns its origins.
func (w *walk) conditions(c condition.Condition) []Origin {
	from := []Origin{}
	for _, member := range slices.Concat(c.All, c.Any) {
		from = join(from, w.conditions(member))
	}
	if c.Field == "" {
		return from
	}
	path, err := jsonvalue.ParsePath(c.Field)
	if err != nil {
		return from
	}
	switch c.Context {
	case condition.InClient:
		path = slices.Concat(jsonvalue.Path{"client_context"}, path)
	case condition.InEvent:
		for _, found := range w.inEvent(path) {
			w.read(found)
		}
		return join(from, []Origin{FromEvent})
	case condition.InRun:
	}
	w.read(path)
	return join(from, w.originOf(path))
}

// inEvent returns where a condition on the event may find a field: in the payload, and
// the fields of the envelope there where the payload does not have them. Only for a type
// of the catalogue is it known which fields the payload has.
func (w *walk) inEvent(path jsonvalue.Path) []jsonvalue.Path {
	root, fields := path[0], properties(envelope())
	inPayload, inEnvelope := slices.Concat(jsonvalue.Path{"event_payload"}, path), slices.Concat(jsonvalue.Path{"event"}, path)
	payload, known := w.payload.(map[string]any)
	_, has := properties(payload)[root]
	switch {
	case root == "event" || root == "event_payload":
		return []jsonvalue.Path{path}
	case root == "payload" && known && !has:
		return []jsonvalue.Path{slices.Concat(jsonvalue.Path{"event_payload"}, path[1:])}
	case fields[root] == nil:
		return []jsonvalue.Path{inPayload}
	case known && !has:
		return []jsonvalue.Path{inEnvelope}
	}
	return []jsonvalue.Path{inPayload, inEnvelope}
}

// recipients returns the recipients that are written out, and the origins of the
// others.
func (w *walk) recipients(texts []string) (to []string, from []Origin) {
	to, from = []string{}, []Origin{}
	for _, text := range texts {
		if !strings.Contains(text, "{{") {
			to = append(to, text)
			continue
		}
		from = join(from, w.origins(text))
	}
	return to, from
}

// most returns how many messages a list of recipients can become: a placeholder may be
// filled by a list.
func most(recipients []string) int {
	if slices.ContainsFunc(recipients, func(r string) bool { return strings.Contains(r, "{{") }) {
		return MaxRecipients
	}
	return len(recipients)
}

// with adds the origin of a step's own words.
func with(from []Origin, who string, step id.Step) []Origin {
	return join(from, []Origin{Origin(who + ":" + string(step))})
}

// join returns two lists as one, sorted and without duplicates.
func join[T cmp.Ordered](a, b []T) []T { return list(distinct(slices.Concat(a, b))) }

// list returns a list that is not nil, for JSON.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

// and returns the bounds of steps that follow each other, without Seconds: Patience knows
// the waits of a whole definition.
func (b Bounds) and(c Bounds) Bounds {
	return Bounds{
		Credits: b.Credits + c.Credits, Actions: b.Actions + c.Actions, Messages: b.Messages + c.Messages, People: b.People + c.People,
	}
}

// or returns the bounds of steps of which a run takes one part.
func (b Bounds) or(c Bounds) Bounds {
	return Bounds{
		Credits: max(b.Credits, c.Credits), Actions: max(b.Actions, c.Actions), Messages: max(b.Messages, c.Messages), People: max(b.People, c.People),
	}
}
