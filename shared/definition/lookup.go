package definition

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/input"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/render"
)

// A view is the schema of the values below a root, such as event_payload.
type view struct {
	root   string // the prefix of paths into the view, "" for none
	schema any
	likely bool // the schema is derived from a sample: events may have more fields
}

// envelope is the schema of an event without its payload.
func envelope() map[string]any {
	return closed(map[string]any{
		"id": typed("string"), "event_type": typed("string"), "source_product": typed("string"),
		"org_id": typed("string"), "client_id": typed("string"), "published_at": typed("string"),
		"metadata": closed(map[string]any{
			"agent_triggered": typed("boolean"),
			"causation":       closed(map[string]any{"execution_id": typed("string"), "depth": typed("number")}),
		}),
		"payload": true,
	})
}

// profile is the schema of a client's profile.
func profile() map[string]any {
	return closed(map[string]any{
		"security_posture_score": typed("number"),
		"recent_incidents":       typed("number"),
		"device_inventory": closed(map[string]any{
			"count":   typed("number"),
			"devices": map[string]any{"type": "array", "items": typed("string")},
		}),
	})
}

// ownRoots returns the schemas of the agent and of its run, as templates see them.
func ownRoots() map[string]any {
	return map[string]any{
		"agent":     closed(map[string]any{"id": typed("string"), "name": typed("string"), "version": typed("number")}),
		"execution": closed(map[string]any{"id": typed("string"), "created_at": typed("string"), "retry_of": typed("string")}),
	}
}

// payloadOf returns a schema for the payload of an event type, derived from the
// catalogue's sample and filterable fields.
func payloadOf(t catalog.EventType) any {
	schema, ok := sampled(t.Sample).(map[string]any)
	properties, _ := schema["properties"].(map[string]any)
	if !ok || properties == nil {
		return true
	}
	for _, f := range t.Filterable {
		path, err := jsonvalue.ParsePath(f.Path)
		if err == nil {
			withField(schema, path, f)
		}
	}
	return schema
}

// withField adds a filterable field to the schema of a payload.
func withField(schema map[string]any, path jsonvalue.Path, f catalog.Field) {
	for i, name := range path {
		properties, ok := schema["properties"].(map[string]any)
		if !ok {
			return // not an object; the catalogue's tests refuse such a field
		}
		if i == len(path)-1 {
			properties[name] = fieldSchema(f)
			return
		}
		child, ok := properties[name].(map[string]any)
		if !ok {
			child = closed(map[string]any{})
			properties[name] = child
		}
		schema = child
	}
}

func fieldSchema(f catalog.Field) map[string]any {
	if f.Type != catalog.Enum {
		return map[string]any{"type": []any{string(f.Type), "null"}}
	}
	values := []any{nil}
	for _, v := range f.EnumValues {
		values = append(values, v)
	}
	return map[string]any{"enum": values}
}

// output returns the schema of the step's output. The reply of a product may be
// any JSON.
func (s Step) output() any {
	switch {
	case s.AIStep == nil:
		return true
	case s.Schema == nil:
		return closed(map[string]any{"text": typed("string")})
	}
	return map[string]any(s.Schema)
}

// named returns the paths in the placeholders of all texts in v. It ignores
// malformed templates, which the method template reports.
func named(v any) []jsonvalue.Path {
	paths, err := render.Named(v)
	if err != nil {
		return nil
	}
	return paths
}

// template reports placeholders that cannot be filled, and returns their paths.
func (p *parser) template(at, text string) []jsonvalue.Path {
	paths, err := render.Paths(text)
	if err != nil {
		p.Fault(at, "%s", faultMessage(err))
		return nil
	}
	for _, path := range paths {
		p.checkPath(at, path)
	}
	return paths
}

// taint adds the outputs of a step to the answers if one of the step's values reads
// an answer: a product or a receiver of messages may repeat it in its reply, and
// the length of a wait may tell it.
func (p *parser) taint(s Step, values ...any) {
	if slices.ContainsFunc(named(values), p.fromModel) {
		p.answers = append(p.answers, s.Names()...)
	}
}

// fromModel reports whether a path reads a model's answer, or the output of a step
// that may repeat such an answer.
func (p *parser) fromModel(path jsonvalue.Path) bool { return Begins(path, p.answers) }

// checkPath reports a path that templates cannot find at this step, and returns
// the values that are allowed there.
func (p *parser) checkPath(at string, path jsonvalue.Path) place {
	if p.stored {
		return anywhere()
	}
	v, rest, ok := p.viewOf(at, path)
	if !ok {
		return anywhere()
	}
	return p.within(at, v, rest)
}

// viewOf returns the view that a path of a template leads into, and the rest of
// the path. It reports a path whose root is not known at this step.
func (p *parser) viewOf(at string, path jsonvalue.Path) (view, jsonvalue.Path, bool) {
	root, rest := path[0], path[1:]
	own := ownRoots()[root]
	switch {
	case root == "steps":
		return p.outputOf(at, path)
	case root == "event_payload":
		return p.payloadView(root), rest, true
	case root == "event" && len(rest) > 0 && rest[0] == "payload":
		return p.payloadView("event.payload"), rest[1:], true
	case root == "event":
		return view{root: root, schema: envelope()}, rest, true
	case root == "client_context":
		return view{root: root, schema: profile()}, rest, true
	case own != nil:
		return view{root: root, schema: own}, rest, true
	case slices.Contains(p.past.names, root):
		return view{root: root, schema: p.outputs[root]}, rest, true
	}
	p.Fault(at, "%q is unknown here; known are %s, steps.<id>.output and the output variables of earlier steps on this path%s",
		root, strings.Join(roots(), ", "), p.suggestion(path))
	return view{}, nil, false
}

// suggestion completes the message about an unknown root with the name that the
// author probably meant.
func (p *parser) suggestion(path jsonvalue.Path) string {
	if p.hasPayload(path[0]) {
		return fmt.Sprintf("; did you mean event_payload.%s?", path)
	}
	known := roots()
	for _, name := range p.past.names {
		if !strings.HasPrefix(name, "steps.") {
			known = append(known, name)
		}
	}
	return fault.DidYouMean(path[0], known)
}

// outputOf returns the view of the output that a path like steps.<id>.output reads.
func (p *parser) outputOf(at string, path jsonvalue.Path) (view, jsonvalue.Path, bool) {
	step := ""
	if len(path) > 1 {
		step = path[1]
	}
	name := "steps." + step
	if !slices.Contains(p.past.names, name) {
		var ids []string
		for _, known := range p.past.names {
			if id, ok := strings.CutPrefix(known, "steps."); ok {
				ids = append(ids, id)
			}
		}
		p.Fault(at, "no step %q comes before this one on this path%s", step, fault.DidYouMean(step, ids))
		return view{}, nil, false
	}
	switch {
	case len(path) == 2:
		return view{schema: true}, nil, true
	case path[2] != "output":
		p.Fault(at, "the only field of a step is its output: steps.%s.output", step)
		return view{}, nil, false
	}
	return view{root: name + ".output", schema: p.outputs[name]}, path[3:], true
}

func (p *parser) payloadView(root string) view {
	if p.payload == nil {
		return view{root: root, schema: true}
	}
	return view{root: root, schema: p.payload, likely: true}
}

// hasPayload reports whether the catalogue's payload has a field of this name.
func (p *parser) hasPayload(name string) bool {
	schema, _ := p.payload.(map[string]any)
	_, ok := properties(schema)[name]
	return ok
}

// properties returns the schemas of an object's fields.
func properties(schema map[string]any) map[string]any {
	fields, _ := schema["properties"].(map[string]any)
	return fields
}

// maxLookups bounds the work of looking up all paths of a definition, in schemas
// and names that are looked at.
const maxLookups = 500_000

// perName is the work of comparing a name with another.
const perName = 10

// within looks up a path in a view and returns the values that are allowed there.
// It reports a path that the view does not have: as a fault if a schema forbids
// it, as a warning if only a sample lacks it.
func (p *parser) within(at string, v view, path jsonvalue.Path) place {
	if p.lookups > maxLookups {
		return anywhere() // reported once
	}
	s := newShape(v.schema)
	got := s.at(path)
	defer func() {
		if p.lookups += 1 + s.spent; p.lookups > maxLookups {
			p.Fault(at, "takes too much work to check, with the paths before it: use simpler output_schemas or fewer placeholders")
		}
	}()
	if got.kinds != noKind {
		if got.naming == unlisted {
			p.Warn(at, "%s", p.lacks(s, v, path))
		}
		return got
	}
	if v.likely {
		p.Warn(at, "%s", p.lacks(s, v, path))
	} else {
		p.Fault(at, "%s", p.lacks(s, v, path))
	}
	return anywhere()
}

// lacks returns the message about a path that a view does not have: the first
// unknown name, and the names that exist in its place.
func (p *parser) lacks(s *shape, v view, path jsonvalue.Path) string {
	n := 1
	for n < len(path) && s.at(path[:n]).kinds != noKind && s.at(path[:n]).naming != unlisted {
		n++
	}
	parent, name := s.at(path[:n-1]), path[n-1]
	s.spent += perName * len(parent.names)
	where := v.root
	if n > 1 {
		where = strings.TrimPrefix(v.root+"."+path[:n-1].String(), ".")
	}
	if v.likely {
		if where == "" {
			where = "the payload"
		}
		where = fmt.Sprintf("%s in the catalogue's sample of %s", where, p.event.Name())
	} else if where == "" {
		where = "it"
	}
	switch {
	case parent.kinds&kindObject == noKind && parent.kinds != noKind:
		return fmt.Sprintf("%s is %s and has no %q", where, parent.kinds, name)
	case len(parent.names) == 0:
		return fmt.Sprintf("%s has no %q", where, name)
	case fault.Nearest(name, parent.names) != "":
		return fmt.Sprintf("%s has no %q; did you mean %s?", where, name, fault.Nearest(name, parent.names))
	}
	return fmt.Sprintf("%s has no %q; it has %s", where, name, fault.Offer(name, parent.names))
}

// lastNames returns a path in the notation of filters, without the roots that
// templates need.
func lastNames(path jsonvalue.Path) string {
	for len(path) > 1 && slices.Contains([]string{"event_payload", "payload", "event"}, path[0]) {
		path = path[1:]
	}
	return path.String()
}

// checkField reports a condition whose field is not a path or can never be found,
// and a condition that can never hold.
func (p *parser) checkField(o input.Object, c condition.Condition, inSteps bool) {
	if c.Field == "" || p.stored {
		return
	}
	at := o.At("field")
	path, err := jsonvalue.ParsePath(c.Field)
	if err != nil {
		p.Fault(at, "%v", err)
		return
	}
	got := anywhere()
	switch c.Context {
	case condition.InRun:
		got = p.checkPath(at, path)
	case condition.InClient:
		got = p.ofClient(at, path)
	case condition.InEvent:
		got = p.ofEvent(at, path, inSteps)
	}
	p.canHold(o, c, got)
}

// ofClient looks a path up in the profile of the event's client.
func (p *parser) ofClient(at string, path jsonvalue.Path) place {
	if path[0] == "client_context" && len(path) > 1 {
		p.Fault(at, "the condition already reads the client's profile: write %q", path[1:].String())
		return anywhere()
	}
	return p.within(at, view{root: "client_context", schema: profile()}, path)
}

// ofEvent looks a path up in the payload of the event and then in its envelope.
// It reports paths in the notation of templates, which conditions do not use.
func (p *parser) ofEvent(at string, path jsonvalue.Path, inSteps bool) place {
	root, rest := path[0], path[1:]
	if p.hasPayload(root) {
		return p.within(at, p.payloadView(""), path)
	}
	if say := p.misplaced(path, inSteps); say != "" {
		p.Fault(at, "%s", say)
		return anywhere()
	}
	fields := properties(envelope())
	switch {
	case root == "payload":
		return p.within(at, p.payloadView(""), rest)
	case fields[root] != nil:
		return p.within(at, view{schema: envelope(), likely: p.payload != nil}, path)
	}
	return p.within(at, p.payloadView(""), path)
}

// misplaced returns the message about a path that a condition on the event cannot
// find, with the correct notation, or "".
func (p *parser) misplaced(path jsonvalue.Path, inSteps bool) string {
	root, rest := path[0], path[1:]
	fields := properties(envelope())
	ofStep := root == "steps" && (len(path) > 2 && path[2] == "output" || Begins(path, p.past.names))
	switch {
	case root == "event_payload" && len(rest) == 0:
		return "a condition on the event must name a field of the payload, such as \"priority\""
	case root == "event_payload":
		return fmt.Sprintf("a condition on the event names fields of the payload without \"event_payload\": write %q", rest.String())
	case root == "event" && len(rest) > 0 && fields[rest[0]] != nil:
		return fmt.Sprintf("a condition on the event names fields of the event without \"event\": write %q", rest.String())
	case root == "client_context" && len(rest) > 0:
		return fmt.Sprintf("a field of the client's profile needs \"context\": \"client_context\": add it, and write %q", rest.String())
	case ofStep && !inSteps:
		return "an agent's conditions are judged before its first step: put a condition on a step's output into a later step's if, " +
			"or into a branch's when, with \"context\": \"run\""
	case ofStep:
		return "a condition on a step's output needs \"context\": \"run\": add it"
	case inSteps && slices.Contains(p.past.names, root):
		return fmt.Sprintf("%s is the output of an earlier step, and a condition on it needs \"context\": \"run\": add it, "+
			"or write %q for a field of the event", root, "payload."+path.String())
	}
	return ""
}

// canHold warns of a condition that can never hold.
func (p *parser) canHold(o input.Object, c condition.Condition, got place) {
	at, is := o.At("operator"), fmt.Sprintf("%s is %s", c.Field, got.kinds)
	if got.kinds == allKind && got.values == nil {
		return
	}
	switch c.Operator {
	case condition.Contains, condition.StartsWith, condition.EndsWith:
		if got.kinds&kindString == noKind {
			p.Warn(at, "%s compares strings and %s, so the condition never holds", c.Operator, is)
		}
	case condition.Gt, condition.Gte, condition.Lt, condition.Lte:
		if got.kinds&kindNumber == noKind {
			p.Warn(at, "%s compares numbers and %s, so the condition never holds", c.Operator, is)
		}
	case condition.Eq:
		p.canBe(o.At("value"), c.Field, []any{c.Value}, got)
	case condition.In:
		list, _ := c.Value.([]any)
		p.canBe(o.At("value"), c.Field, list, got)
	case condition.Ne, condition.NotIn, condition.Exists:
	}
}

// canBe warns of a field that can never equal one of the wanted values.
func (p *parser) canBe(at, field string, wanted []any, got place) {
	for _, v := range wanted {
		if got.kinds&kindOf(v) != noKind &&
			(got.values == nil || slices.ContainsFunc(got.values, func(known any) bool { return jsonvalue.Same(known, v) })) {
			return
		}
	}
	var names []string
	for _, known := range got.values {
		if known != nil {
			names = append(names, render.String(known))
		}
	}
	switch {
	case len(wanted) == 0:
	case len(names) == 0:
		p.Warn(at, "%s is %s, so the condition never holds", field, got.kinds)
	default:
		p.Warn(at, "%s is one of %s, so the condition never holds", field, fault.Offer(render.String(wanted[0]), names))
	}
}

var (
	// alone matches a text that consists of one placeholder without filters.
	alone = regexp.MustCompile(`^\s*\{\{\s*([^|{}]+?)\s*\}\}\s*$`)
	// joins matches a text with the filter join, which makes one text of a list.
	joins = regexp.MustCompile(`\|\s*join\b`)
)

// fills warns of a recipient with a placeholder that would not become a valid
// address with the values of the catalogue's sample.
func (p *parser) fills(at string, c Channel, text string) {
	if p.stored || p.payload == nil {
		return
	}
	if joins.MatchString(text) {
		p.Warn(at, "join makes the list one text, which is one recipient; without join, each entry of the list is a recipient")
		return
	}
	whole := alone.FindStringSubmatch(text)
	for _, path := range named(text) {
		if path[0] != "event_payload" {
			continue
		}
		v, ok := path[1:].In(p.event.Sample)
		if !ok || v == nil {
			continue
		}
		list, isList := v.([]any)
		switch {
		case whole == nil && kindOf(v)&(kindArray|kindObject) != noKind:
			p.Warn(at, "%s is %s in the catalogue's sample of %s, and the text around the placeholder makes it one recipient; "+
				"remove the text around it", path, jsonvalue.Kind(v), p.event.Name())
		case whole == nil:
		case !isList:
			p.reachable(at, c, path, v)
		default:
			for _, e := range list {
				p.reachable(at, c, path, e)
			}
		}
	}
}

func (p *parser) reachable(at string, c Channel, path jsonvalue.Path, v any) {
	text, ok := v.(string)
	if !ok {
		p.Warn(at, "%s is %s in the catalogue's sample of %s, not a recipient", path, jsonvalue.Kind(v), p.event.Name())
		return
	}
	if err := p.rules.Reaches(c, strings.TrimSpace(text)); err != nil {
		p.Warn(at, "%s in the catalogue's sample of %s cannot be a recipient of %s: %s", path, p.event.Name(), c, faultMessage(err))
	}
}

var (
	// fictional matches the North American telephone numbers that are never assigned.
	fictional = regexp.MustCompile(`^\+1(555[0-9]{7}|[0-9]{3}55501[0-9]{2})$`)
	// exampleHost matches the hosts that are reserved for examples and tests (RFC 2606, RFC 6761).
	exampleHost = regexp.MustCompile(`(?i)^(.+\.)?(example\.(com|net|org)|[^.]+\.(example|test|invalid|localhost)|localhost)\.?$`)
)

// isReserved reports whether an address, a number or a URL is reserved for examples.
func (r Rules) isReserved(recipient string) bool {
	if m := link.FindStringSubmatch(recipient); m != nil {
		host, _, _ := strings.Cut(m[2], ":")
		return !slices.Contains(r.Hosts, m[2]) && exampleHost.MatchString(host)
	}
	_, host, isAddress := strings.Cut(recipient, "@")
	return fictional.MatchString(recipient) || isAddress && address.MatchString(recipient) && exampleHost.MatchString(host)
}
