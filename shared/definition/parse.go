package definition

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"time"

	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/input"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/outbox"
)

// Rules validate definitions.
type Rules struct {
	Catalog catalog.Catalog
	// Hosts are the private hosts ("127.0.0.1:4580") that webhooks may reach,
	// and over plain http; empty in the cloud.
	Hosts []string
	// Now is the clock for checking literal times; nil skips these checks.
	Now func() time.Time

	// Published are the publications of the platform's own agents.
	Published []Publication
	// ModelContent says that content of an outward, money or access action may come
	// from a model without an approval gate.
	ModelContent bool
}

func (r Rules) now() time.Time {
	if r.Now == nil {
		return time.Time{}
	}
	return r.Now()
}

// Parse reads and validates a definition. If it is invalid, Parse returns ErrConfig
// with every fault and its path.
func (r Rules) Parse(doc map[string]any) (Definition, error) {
	p := newParser(r)
	d := p.definition(doc)
	if len(p.Faults) > 0 {
		return Definition{}, ErrConfig.Naming(p.Faults)
	}
	return d, nil
}

// Warnings returns what is allowed in a definition but probably wrong, with its
// path. It includes the faults of a definition that was stored under older rules:
// its next update must not have them.
func (r Rules) Warnings(d Definition) []fault.Detail {
	p := newParser(r)
	p.definition(d.Document())
	return slices.Concat(p.Faults, p.Warnings)
}

func newParser(r Rules) *parser {
	return &parser{
		Reader: &input.Reader{}, rules: r, ids: map[id.Step]bool{}, vars: map[string]bool{}, outputs: map[string]any{},
	}
}

// UnmarshalJSON reads a stored definition, which was validated before it was
// stored.
func (d *Definition) UnmarshalJSON(data []byte) error {
	doc, err := jsonvalue.Object(data)
	if err != nil {
		return err
	}
	p := newParser(Rules{})
	p.stored = true
	*d = p.definition(doc)
	return nil
}

// A parser reads one definition.
type parser struct {
	*input.Reader

	rules   Rules
	stored  bool              // the definition was validated before it was stored: only read it
	event   catalog.EventType // the trigger's event type, if the catalogue has it
	payload any               // schema of the event's payload, derived from the sample; nil if unknown
	outputs map[string]any    // schemas of the outputs of the steps so far, by name in templates
	ids     map[id.Step]bool  // ids of the steps so far, on all paths
	vars    map[string]bool   // output_vars of the steps so far, on all paths
	past    past              // of the step that is read next
	count   int               // steps so far, nested steps included
	lookups int               // work of looking up paths so far
	public  bool              // the definition is a publication
	demands demands           // size of the filters and conditions so far

	// answers are the names of outputs that may carry a model's words: answers of
	// models, and outputs of steps that used such an answer, such as the reply of a
	// product to an action with the answer in a parameter. A prompt injection in an event can steer them, so they choose no
	// recipient, and no target or audience of an action unless an approval gate
	// shows them.
	answers []string
}

func (p *parser) definition(doc map[string]any) Definition {
	p.public = len(p.rules.Published) > 0 && slices.Contains(p.rules.Published, PublicationOf(doc))
	o := p.Object("", doc)
	d := Definition{
		Name:        o.NeedText("name", MaxName),
		Description: o.Text("description", MaxDescription),
		Category:    input.NeedChoice(o, "category", catalog.Categories()...),
		Conflict:    input.Choice(o, "conflict_behavior", Additive, Additive, Override),
		Conditions:  []condition.Condition{},
		Steps:       []Step{},
	}
	if v, ok := o.Need("trigger"); ok {
		d.Trigger = p.trigger(v)
	}
	for i, v := range o.List("conditions", MaxFilters) {
		d.Conditions = append(d.Conditions, p.condition(input.Index("conditions", i), v, 1, condition.InEvent, condition.InClient))
	}
	if v, ok := o.Get("client_scope"); ok {
		d.Scope = p.scope(v)
	}
	if v, ok := o.Get("execution_limit"); ok {
		d.Limit = p.limit(v)
	}
	if list := o.NeedList("steps", MaxSteps); list != nil {
		d.Steps = p.steps("steps", list, 1)
	}
	o.Done()
	if p.count > MaxSteps {
		p.Fault("steps", "there are %d steps, nested ones included; %d are allowed", p.count, MaxSteps)
	}
	return d
}

func (p *parser) trigger(v any) Trigger {
	o := p.Object("trigger", v)
	t := Trigger{
		Type:                input.NeedChoice(o, "type", "bus_event"),
		EventType:           o.NeedText("event_type", 100),
		Product:             o.NeedText("source_product", 40),
		AllowAgentTriggered: o.Bool("allow_agent_triggered"),
		Filters:             []condition.Filter{},
	}
	event, ok := p.rules.Catalog.Event(t.Event())
	if !ok && t.EventType != "" && t.Product != "" {
		p.Fault("trigger.event_type", "there is no event %s; %s", t.Event(), p.rules.otherEvents(t))
	}
	if t.Product == outbox.Product && !t.AllowAgentTriggered {
		p.Fault("trigger.allow_agent_triggered", "must be true: agents cause every event of the product %s, so this trigger would never match", t.Product)
	}
	p.event = event
	if ok {
		p.payload = payloadOf(event)
	}
	for i, v := range o.List("filters", MaxFilters) {
		t.Filters = append(t.Filters, p.filter(input.Index("trigger.filters", i), v, ok))
	}
	o.Done()
	return t
}

// otherEvents completes the message about an unknown event type: it suggests
// existing ones.
func (r Rules) otherEvents(t Trigger) string {
	if near := fault.Nearest(t.Event(), r.Catalog.EventNames()); near != "" {
		return "did you mean " + near + "?"
	}
	if types := r.Catalog.EventTypesOf(t.Product); len(types) > 0 {
		return t.Product + " has " + fault.Offer(t.EventType, types)
	}
	return otherProducts("events", t.Product, r.Catalog.EventProducts())
}

// otherProducts completes the message about a product without events or actions: it
// suggests products that have some.
func otherProducts(parts, product string, products []string) string {
	switch near := fault.Nearest(product, products); {
	case near != "":
		return fmt.Sprintf("did you mean product %s?", near)
	case len(products) == 0:
		return "no product has " + parts
	}
	return fmt.Sprintf("products with %s: %s", parts, fault.Offer(product, products))
}

func (p *parser) filter(path string, v any, known bool) condition.Filter {
	o := p.Object(path, v)
	f := condition.Filter{Field: o.NeedText("field", 200), Operator: input.NeedChoice(o, "operator", condition.Operators()...)}
	f.Value = p.value(o, f.Operator)
	o.Done()
	place, err := jsonvalue.ParsePath(f.Field)
	field, ok := p.event.Field(place.String())
	switch {
	case f.Field != "" && err != nil:
		p.Fault(o.At("field"), "%v", err)
	case !known || f.Field == "" || f.Operator == "":
	case !ok:
		p.Fault(path+".field", "%s has no filterable field %q; %s", p.event.Name(), f.Field, fault.Suggest(lastNames(place), p.event.FieldPaths()))
	default:
		p.Faults = append(p.Faults, f.Operator.Fits(path, field, f.Value)...)
	}
	return f
}

// value reads the comparison value of an operator.
func (p *parser) value(o input.Object, op condition.Operator) any {
	v, ok := o.NeedAny("value") // null is a value
	p.demanded(o.Path, v)
	if ok && op != "" {
		p.Faults = append(p.Faults, op.Takes(o.At("value"), v)...)
	}
	return v
}

// Limits of all filters and conditions of a definition together. The dispatcher
// looks at each of them for every event.
const (
	maxDemands     = 500
	maxDemandValue = 2000
	maxDemandText  = 64 << 10 // bytes
)

// demands is the size of the filters and conditions that a definition has.
type demands struct {
	count  int
	values int
	text   int // bytes
}

// over returns the limit that is exceeded, or "".
func (d demands) over() string {
	switch {
	case d.count > maxDemands:
		return fmt.Sprintf("there are more than %d filters and conditions together", maxDemands)
	case d.values > maxDemandValue:
		return fmt.Sprintf("filters and conditions list more than %d values together", maxDemandValue)
	case d.text > maxDemandText:
		return fmt.Sprintf("the values of filters and conditions have more than %d bytes together", maxDemandText)
	}
	return ""
}

// demanded counts a filter or a condition with its value, and reports the one that
// exceeds a limit of the definition.
func (p *parser) demanded(path string, value any) {
	before := p.demands.over()
	p.demands.count++
	list, isList := value.([]any)
	if !isList {
		list = []any{value}
	}
	p.demands.values += len(list)
	for _, v := range list {
		text, isText := v.(string)
		if number, is := jsonvalue.NumberText(v); is {
			text, isText = number, true
		}
		if isText {
			p.demands.text += len(text)
		}
	}
	if over := p.demands.over(); over != "" && before == "" {
		p.Fault(path, "%s", over)
	}
}

const maxConditionDepth = 5

func (p *parser) condition(path string, v any, depth int, contexts ...condition.Context) condition.Condition {
	o := p.Object(path, v)
	o.AllowNull("all", "any", "context", "field", "operator", "value")
	for _, group := range []string{"all", "any"} {
		if _, ok := o.Get(group); !ok {
			continue
		}
		c := condition.Condition{}
		p.demanded(path, nil)
		list := p.group(o, group, depth, contexts)
		if group == "all" {
			c.All = list
		} else {
			c.Any = list
		}
		o.Done()
		return c
	}
	c := condition.Condition{
		Context:  input.Choice(o, "context", condition.InEvent, contexts...),
		Field:    o.NeedText("field", 200),
		Operator: input.NeedChoice(o, "operator", condition.Operators()...),
	}
	c.Value = p.value(o, c.Operator)
	p.checkField(o, c, slices.Contains(contexts, condition.InRun))
	o.Done()
	return c
}

func (p *parser) group(o input.Object, name string, depth int, contexts []condition.Context) []condition.Condition {
	list := o.NeedList(name, MaxFilters)
	if depth >= maxConditionDepth {
		p.Fault(o.At(name), "conditions nest at most %d deep", maxConditionDepth)
		return []condition.Condition{}
	}
	out := make([]condition.Condition, 0, len(list))
	for i, v := range list {
		out = append(out, p.condition(input.Index(o.At(name), i), v, depth+1, contexts...))
	}
	return out
}

func (p *parser) scope(v any) Scope {
	if v == "all" {
		return Scope{}
	}
	m, ok := v.(map[string]any)
	if !ok {
		p.Fault("client_scope", `must be "all", {"include": […]} or {"exclude": […]}`)
		return Scope{}
	}
	o := p.Object("client_scope", m)
	s := Scope{Include: p.clients(o, "include"), Exclude: p.clients(o, "exclude")}
	if (s.Include == nil) == (s.Exclude == nil) {
		p.Fault("client_scope", "must have either include or exclude")
	}
	o.Done()
	return s
}

func (p *parser) clients(o input.Object, field string) []id.Client {
	if _, ok := o.Get(field); !ok {
		return nil
	}
	list := o.List(field, 1000)
	out := make([]id.Client, 0, len(list))
	for i, s := range o.Texts(field, list, 128) {
		if s != "" && !id.ValidExternal(s) {
			p.Fault(input.Index(o.At(field), i), "must be a client id: printable, without # or space")
		}
		out = append(out, id.Client(s))
	}
	return out
}

func (p *parser) limit(v any) *Limit {
	o := p.Object("execution_limit", v)
	l := &Limit{
		PerHour:  int(o.Int("max_per_hour", 1, 1000)),
		PerDay:   int(o.Int("max_per_day", 1, 1000)),
		Cooldown: int(o.Int("cooldown_minutes", 1, 1440)),
	}
	if o.Empty() {
		p.Fault("execution_limit", "must have max_per_hour, max_per_day or cooldown_minutes")
	}
	o.Done()
	return l
}

var stepID = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// steps reads a sequence of steps. Afterwards p.past is the past of the step that
// follows the sequence.
func (p *parser) steps(path string, list []any, depth int) []Step {
	if depth > MaxDepth {
		p.Fault(path, "steps nest at most %d deep", MaxDepth)
		return []Step{}
	}
	out := make([]Step, 0, len(list))
	for i, v := range list {
		p.count++
		out = append(out, p.step(input.Index(path, i), v, depth))
	}
	return out
}

func (p *parser) step(path string, v any, depth int) Step {
	o := p.Object(path, v)
	s := Step{
		ID:      id.Step(o.NeedText("id", 64)),
		Kind:    input.NeedChoice(o, "type", Kinds()...),
		Name:    o.Text("name", MaxName),
		OnError: input.Choice(o, "on_error", "", OnErrors()...),
	}
	switch {
	case s.ID == "":
	case !stepID.MatchString(string(s.ID)):
		p.Fault(o.At("id"), "must begin with a letter and have only a-z, 0-9 and _, at most 64")
	case p.ids[s.ID]:
		p.Fault(o.At("id"), "%q is used twice", s.ID)
	case p.vars[string(s.ID)]:
		p.Fault(o.At("id"), "%q is an earlier step's output_var", s.ID)
	}
	p.ids[s.ID] = true
	if v, ok := o.Get("if"); ok {
		c := p.condition(o.At("if"), v, 1, condition.InEvent, condition.InClient, condition.InRun)
		s.If = &c
	}
	if v, ok := o.Get("retry"); ok {
		s.Retry = p.retry(o.At("retry"), v)
	}
	row := s.Kind.row()
	s.Timeout = int(o.Int("timeout_seconds", row.low, row.high))
	if row.read != nil {
		row.read(p, o, &s, depth)
		for _, other := range stepKinds() {
			o.AllowNull(other.fields...)
		}
		o.Done()
	}
	p.past = p.past.after(s)
	for _, name := range s.Names() {
		p.outputs[name] = s.output()
	}
	return s
}

func (p *parser) retry(path string, v any) *Retry {
	o := p.Object(path, v)
	o.Need("max_attempts")
	r := &Retry{MaxAttempts: int(o.Int("max_attempts", 1, 5)), Backoff: int(o.Int("backoff_seconds", 0, 30))}
	o.Done()
	return r
}

// Document returns the definition as a JSON document that can be edited and parsed
// again.
func (d Definition) Document() map[string]any {
	data, err := json.Marshal(d)
	if err != nil {
		return nil // cannot happen: every definition has JSON
	}
	doc, err := jsonvalue.Object(data)
	if err != nil {
		return nil
	}
	return doc
}

// Valid validates a stored definition against the rules of today. It returns
// ErrConfig if, for example, the catalogue has lost one of its event types or
// actions.
func (r Rules) Valid(d Definition) error {
	_, err := r.Parse(d.Document())
	return err
}

// ErrConfig refuses an invalid definition; its details name every fault.
var ErrConfig = fault.New(fault.Invalid, "invalid_agent_config", "The agent's definition is not valid; see details.")
