package definition

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/input"
	"theoneagents.app/agents/shared/jsonvalue"
)

// verdictLasts is how long an approval of a destructive action is valid, in
// seconds: execution.VerdictLasts.
const verdictLasts = 24 * 60 * 60

// A Publication is the trigger and the steps of an agent of the platform that
// publishes a model's text without an approval gate. A definition with another
// trigger or other steps needs the gate.
type Publication struct {
	trigger, steps string
}

// PublicationOf returns the publication of a definition's document.
func PublicationOf(doc map[string]any) Publication {
	trigger, _ := doc["trigger"].(map[string]any)
	return Publication{
		trigger: fmt.Sprintf("%v %v %v", trigger["type"], trigger["source_product"], trigger["event_type"]),
		steps:   jsonvalue.Canonical(doc["steps"]),
	}
}

// gateBefore completes the message about an action that needs a gate.
const gateBefore = "every path to it must pass an approval_gate without an if, without on_error continue and without on_expiry approve"

// guarded reports an action that needs an approval gate and has none, and values
// that such a gate would not show.
func (p *parser) guarded(o input.Object, s Step, action catalog.Action) {
	at, guarded := o.At("params"), action.Destructive
	if action.Destructive && p.past.approved && p.past.waited >= verdictLasts {
		p.Warn(o.Path, "an approval of a destructive action is valid for 24 hours, and a run waits longer before %s, "+
			"so the gate will ask again; put the gate behind the wait", action.Name())
	}
	if action.Destructive && !p.past.approved {
		p.Fault(o.Path, "%s is destructive: %s", action.Name(), gateBefore)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(s.Params)) {
		why := p.influenced(s, action, name)
		if why == "" {
			continue
		}
		guarded = true
		if !p.past.approved {
			p.Fault(at+"."+name, "%s: %s", why, gateBefore)
		}
	}
	if guarded && p.past.approved {
		// A gate shows either all parameters of an action or none.
		jsonvalue.EachText(at, s.Params, func(path, text string) { p.checkApproved(path, text, action) })
	}
}

// influenced says why a parameter needs an approval gate because of a model's
// answer in it, or "".
func (p *parser) influenced(s Step, action catalog.Action, name string) string {
	param, known := action.Param(name)
	paths := named(s.Params[name])
	i := slices.IndexFunc(paths, p.fromModel)
	if !known || i < 0 {
		return ""
	}
	risk := action.RiskOf(s.Params)
	switch {
	case param.Role == catalog.Target:
		return fmt.Sprintf("%q comes from a model's answer and would choose the object of %s", paths[i].String(), action.Name())
	case param.Role == catalog.Audience:
		return fmt.Sprintf("%q comes from a model's answer and would choose the people whom %s reaches", paths[i].String(), action.Name())
	case risk == catalog.Internal || p.public || p.rules.ModelContent:
		return ""
	}
	return fmt.Sprintf("%q comes from a model's answer, and %s has the risk %s%s", paths[i].String(), action.Name(), risk, calmer(action))
}

// calmer says how else an action can be made internal.
func calmer(action catalog.Action) string {
	for _, value := range slices.Sorted(maps.Keys(action.Risk.Values)) {
		if action.Risk.Values[value] == catalog.Internal {
			return fmt.Sprintf(" unless %s is %s", action.Risk.Param, value)
		}
	}
	return ""
}

// origin is the beginning of a URL up to its path.
var origin = regexp.MustCompile(`^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?/`)

// fixedHost reports a URL whose scheme, host or port a placeholder would choose:
// the message would go to a server of the event's choice.
func (p *parser) fixedHost(at string, c Channel, text string) {
	if p.stored || c == SMS || c == Email {
		return
	}
	head, _, _ := strings.Cut(text, "{{")
	head = lowerScheme(strings.TrimPrefix(trimmed(head), "<"))
	if !origin.MatchString(head) {
		p.Fault(at, "a placeholder may fill only the path and the query of the URL; write its scheme and host out, like https://hooks.example.com/{{ event.client_id }}")
	} else if err := p.rules.Reaches(c, head+"x"); err != nil {
		p.Fault(at, "%s", faultMessage(err))
	}
}
