package definition

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/input"
	"theoneagents.app/agents/shared/jsonvalue"
)

// roots returns the names with which a path of a template can begin in every step.
func roots() []string {
	return []string{"event_payload", "event", "client_context", "agent", "execution"}
}

// reserved reports whether the name has a fixed meaning in templates.
func reserved(name string) bool { return name == "steps" || slices.Contains(roots(), name) }

var varName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

func readAI(p *parser, o input.Object, s *Step, _ int) {
	a := &AIStep{
		Model:     input.NeedChoice(o, "model", credit.Tiers()...),
		Prompt:    o.NeedText("prompt", MaxText),
		System:    o.Text("system", MaxText),
		OutputVar: o.Text("output_var", 64),
	}
	p.template(o.At("prompt"), a.Prompt)
	p.template(o.At("system"), a.System)
	if v, ok := o.Get("output_schema"); ok {
		a.Schema = p.schema(o.At("output_schema"), v)
	}
	switch {
	case a.OutputVar == "":
	case !varName.MatchString(a.OutputVar):
		p.Fault(o.At("output_var"), "must begin with a letter and have only a-z, 0-9 and _, at most 64")
	case reserved(a.OutputVar):
		p.Fault(o.At("output_var"), "%q is reserved", a.OutputVar)
	case a.OutputVar == string(s.ID):
	case p.ids[id.Step(a.OutputVar)]:
		p.Fault(o.At("output_var"), "%q is another step's id", a.OutputVar)
	case slices.Contains(p.past.names, a.OutputVar):
		p.Fault(o.At("output_var"), "%q is the name of an earlier step's output", a.OutputVar)
	}
	p.vars[a.OutputVar] = true
	s.AIStep = a
	p.answers = append(p.answers, s.Names()...)
}

func (p *parser) schema(path string, v any) map[string]any {
	m, ok := v.(map[string]any)
	if !ok {
		p.Fault(path, "must be a JSON Schema object, not %s", jsonvalue.Kind(v))
		return map[string]any{} // avoids more faults, for each path into the output
	}
	if p.stored {
		return m // it was checked when it was stored; compiling it would cost every reader
	}
	for _, why := range schemaFaults(m) {
		p.Fault(path, "%s", why)
	}
	return m
}

func readAction(p *parser, o input.Object, s *Step, _ int) {
	a := &ActionStep{Product: o.NeedText("product", 40), Action: o.NeedText("action", 100), Params: map[string]any{}}
	s.ActionStep = a
	if v, ok := o.Get("params"); ok {
		m, isObject := v.(map[string]any)
		if !isObject {
			p.Fault(o.At("params"), "must be an object, not %s", jsonvalue.Kind(v))
			return
		}
		a.Params = m
	}
	jsonvalue.EachText(o.At("params"), a.Params, func(path, text string) { p.template(path, text) })
	p.taint(*s, a.Params)
	action, ok := p.rules.Catalog.Action(a.Product, a.Action)
	if !ok {
		if a.Product != "" && a.Action != "" {
			p.Fault(o.At("action"), "product %q has no action %q; %s", a.Product, a.Action, p.rules.otherActions(*a))
		}
		return
	}
	p.params(o.At("params"), action, a.Params)
	p.guarded(o, *s, action)
}

// otherActions completes the message about an unknown action: it suggests existing
// ones.
func (r Rules) otherActions(a ActionStep) string {
	if actions := r.Catalog.ActionsOf(a.Product); len(actions) > 0 {
		return "it has " + fault.Offer(a.Action, actions)
	}
	return otherProducts("actions", a.Product, r.Catalog.ActionProducts())
}

// checkApproved reports a text of an action that reads an output from after the
// gate: the approvers could not have seen its value.
func (p *parser) checkApproved(path, text string, action catalog.Action) {
	for _, named := range named(text) {
		if Begins(named, p.past.afterGate) {
			p.Fault(path, "%q is not known yet at the approval_gate before %s, so approvers would not see its value: "+
				"move the gate behind the step that produces it", named.String(), action.Name())
			return
		}
	}
}

func (p *parser) params(path string, action catalog.Action, given map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		param, ok := action.Param(name)
		if !ok {
			p.Fault(path+"."+name, "%s has no parameter %q; %s", action.Name(), name, fault.Suggest(name, action.ParamNames()))
			continue
		}
		p.param(path+"."+name, param, given[name])
	}
	for _, param := range action.Params {
		if param.Required && given[param.Name] == nil {
			p.Fault(path+"."+param.Name, "is required by %s", action.Name())
		}
	}
}

// param reports a value that the parameter does not allow. A text with a
// placeholder is checked when the step runs.
func (p *parser) param(path string, param catalog.Param, v any) {
	if text, isText := v.(string); v == nil || isText && strings.Contains(text, "{{") {
		return // null means absent
	}
	if _, why := param.Fit(v); why != "" {
		p.Fault(path, "%s", why)
	}
}

func readNotification(p *parser, o input.Object, s *Step, _ int) {
	n := &NotificationStep{
		Channel: input.NeedChoice(o, "channel", Channels()...),
		Subject: o.Text("subject", MaxName),
		Body:    o.NeedText("body", MaxText),
	}
	n.Recipients = p.recipients(o, n.Channel)
	p.template(o.At("subject"), n.Subject)
	p.template(o.At("body"), n.Body)
	s.NotificationStep = n
	p.taint(*s, n.Subject, n.Body)
}

func (p *parser) recipients(o input.Object, c Channel) []string {
	list := o.Texts("recipients", o.NeedList("recipients", MaxRecipients), 2000)
	known := map[string]int{}
	for i, r := range list {
		path := input.Index(o.At("recipients"), i)
		once := p.rules.once(c, r)
		if first, again := known[once]; again && r != "" {
			p.Fault(path, "is the same as recipients[%d]; each recipient gets the message once", first)
			continue
		}
		known[once] = i
		if strings.Contains(r, "{{") {
			if slices.ContainsFunc(p.template(path, r), p.fromModel) {
				p.Fault(path, "recipients must not come from a model's answer")
			}
			p.fixedHost(path, c, r)
			p.fills(path, c, r)
		} else if _, err := p.rules.Recipient(c, r); err != nil && r != "" {
			p.Fault(path, "%s", faultMessage(err))
		} else if p.rules.isReserved(r) {
			p.Warn(path, "%.100s is reserved for examples, so nobody receives the message; put a real recipient in its place", c.Shown(r))
		}
	}
	return list
}

var (
	e164    = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	address = regexp.MustCompile(`^[A-Za-z0-9._%+'-]{1,64}@([A-Za-z0-9]([A-Za-z0-9-]{0,62})\.)+[A-Za-z]{2,63}$`)
	link    = regexp.MustCompile(`^(https?)://([A-Za-z0-9.-]+(:[0-9]{1,5})?)(/[^\s#\\]*)?$`)
	dots    = regexp.MustCompile(`^[^?]*/\.\.?(/|\?|$)`)
)

// Reaches checks the form of a recipient's address on a channel. It returns
// ErrRecipient if a message could not be sent there.
func (r Rules) Reaches(c Channel, recipient string) error {
	switch c {
	case SMS:
		if !e164.MatchString(recipient) {
			return ErrRecipient.Sayf("%.60q is not a phone number like +15551234567.", recipient)
		}
		if kind := costly(recipient); kind != "" {
			return ErrRecipient.Sayf("%s is in a range of %s numbers, to which no text message is sent.", recipient, kind)
		}
	case Email:
		if !address.MatchString(recipient) || len(recipient) > 254 {
			return ErrRecipient.Sayf("%.60q is not an e-mail address.", recipient)
		}
	case Slack, Teams, Webhook:
		m, wrong := link.FindStringSubmatch(recipient), recipient
		if strings.Contains(recipient, "/") {
			wrong = c.Shown(recipient)
		}
		switch {
		case Hidden(recipient):
			return ErrRecipient.Sayf("%s stands for no URL of this agent; write the URL itself.", recipient)
		case m == nil, m[1] != "https" && !slices.Contains(r.Hosts, m[2]):
			return ErrRecipient.Sayf("%.60q is not an https URL.", wrong)
		case dots.MatchString(m[4]):
			// A ".." would lead out of the path that the author of the definition wrote.
			return ErrRecipient.Sayf("%.60q has a path with . or .. in it.", c.Shown(recipient))
		}
	}
	return nil
}

func readGate(p *parser, o input.Object, s *Step, _ int) {
	g := &GateStep{
		Message:      o.NeedText("message", MaxText),
		MinApprovals: int(o.Int("min_approvals", 1, 20)),
		OnExpiry:     input.Choice(o, "on_expiry", "", OnExpiries()...),
	}
	p.template(o.At("message"), g.Message)
	if v, ok := o.Get("approvers"); ok {
		a := p.Object(o.At("approvers"), v)
		g.Approvers = p.approvers(a)
		a.Done()
	}
	g.Notify = p.notify(o)
	if v, ok := o.Get("escalate_to"); ok {
		e := p.Object(o.At("escalate_to"), v)
		g.EscalateTo = &Escalates{
			Approvers: p.approvers(e), Timeout: int(e.Int("timeout_seconds", minGate, MaxWait)), Notify: p.notify(e),
		}
		e.Done()
	}
	if (g.OnExpiry == Escalate) != (g.EscalateTo != nil) {
		p.Fault(o.At("escalate_to"), "is required with on_expiry escalate, and only allowed with it")
	}
	s.GateStep = g
}

// notify reads the recipients of gate messages.
func (p *parser) notify(o input.Object) []Notify {
	var out []Notify
	for i, v := range o.List("notify", 10) {
		n := p.Object(input.Index(o.At("notify"), i), v)
		notify := Notify{Channel: input.NeedChoice(n, "channel", Channels()...)}
		notify.Recipients = p.recipients(n, notify.Channel)
		n.Done()
		out = append(out, notify)
	}
	return out
}

func (p *parser) approvers(o input.Object) Approvers {
	var a Approvers
	for i, v := range o.List("roles", 4) {
		role, _ := v.(string)
		switch role {
		case "owner", "admin", "member":
		case "viewer":
			p.Fault(input.Index(o.At("roles"), i), "viewers cannot decide; use owner, admin or member")
		default:
			p.Fault(input.Index(o.At("roles"), i), "must be one of owner, admin, member")
		}
		a.Roles = append(a.Roles, role)
	}
	for i, u := range o.Texts("users", o.List("users", 100), 128) {
		if u != "" && !id.ValidExternal(u) {
			p.Fault(input.Index(o.At("users"), i), "must be a user id: printable, without # or space")
		}
		a.Users = append(a.Users, id.User(u))
	}
	return a
}

func readBranch(p *parser, o input.Object, s *Step, depth int) {
	b := &BranchStep{}
	s.BranchStep = b
	before := p.past.addAfterGate(*s)
	var ways []past
	if s.If != nil || s.OnError == Continue {
		ways = append(ways, before) // the run may skip the whole branch
	}
	for i, v := range o.NeedList("cases", MaxCases) {
		c := p.Object(input.Index(o.At("cases"), i), v)
		way := Case{Steps: []Step{}}
		p.past = before
		if v, ok := c.Need("when"); ok {
			way.When = p.condition(c.At("when"), v, 1, condition.InEvent, condition.InClient, condition.InRun)
		}
		if list := c.NeedList("steps", MaxSteps); list != nil {
			way.Steps = p.steps(c.At("steps"), list, depth+1)
		}
		c.Done()
		b.Cases, ways = append(b.Cases, way), append(ways, p.past)
	}
	p.past = before
	if list := o.List("else", MaxSteps); list != nil {
		b.Else = p.steps(o.At("else"), list, depth+1)
	}
	p.past = joined(append(ways, p.past))
}

func readWait(p *parser, o input.Object, s *Step, _ int) {
	w := &WaitStep{Duration: o.Int("duration_seconds", 1, MaxWait), Until: o.Text("until", 200)}
	_, hasDuration := o.Get("duration_seconds")
	_, hasUntil := o.Get("until")
	if hasDuration == hasUntil {
		p.Fault(o.Path, "must have either duration_seconds or until")
	}
	switch {
	case strings.Contains(w.Until, "{{"):
		p.template(o.At("until"), w.Until)
	case hasUntil:
		p.until(o.At("until"), w.Until)
	}
	s.WaitStep = w
	p.taint(*s, w.Until)
}

// until reports a time that cannot be parsed, that lies more than a year ahead, or
// that has passed.
func (p *parser) until(path, text string) {
	at, err := time.Parse(time.RFC3339, text)
	switch now := p.rules.now(); {
	case err != nil:
		p.Fault(path, "must be a time like 2026-03-09T14:23:01Z")
	case now.IsZero():
	case at.Sub(now) > MaxWait*time.Second:
		p.Fault(path, "%s is more than a year away; a step waits for at most a year", text)
	case at.Before(now):
		p.Warn(path, "%s has passed, so the step does not wait", text)
	}
}
