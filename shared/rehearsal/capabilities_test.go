package rehearsal_test

import (
	"encoding/json"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/rehearsal"
)

// marked matches what the event, models and products say in the test below.
var marked = regexp.MustCompile(`EVENT|(?:MODEL|PRODUCT):s[0-9]+`)

// origins returns the origins whose words a text has.
func origins(text string) []definition.Origin {
	var all []definition.Origin
	for _, m := range marked.FindAllString(text, -1) {
		who, step, _ := strings.Cut(m, ":")
		o := definition.Origin(strings.ToLower(who))
		if step != "" {
			o += definition.Origin(":" + step)
		}
		all = append(all, o)
	}
	return all
}

// No run has an effect that the capabilities of its definition do not name: each action
// and its parameters, each message with its recipient and words, the gate before it, and
// the bounds. What the event, models and products say carries a mark.
func TestEveryEffectLiesWithinTheCapabilities(t *testing.T) {
	t.Parallel()

	const definitions = 500
	rules, acted := rules(t), 0
	for seed := range uint64(definitions) {
		r := rand.New(rand.NewPCG(seed, 2)) // a seed repeats the definition
		doc, a := random(r)
		d, err := rules.Parse(decoded(t, doc))
		if err != nil {
			continue
		}
		for step := range a.model {
			a.model[step] = map[string]any{"word": "MODEL:" + step}
		}
		for step := range a.replies {
			a.replies[step] = map[string]any{"ticket_id": "PRODUCT:" + step}
		}
		text, err := json.Marshal(map[string]any{
			"event": map[string]any{"payload": map[string]any{
				"ticket_id": "EVENT", "priority": []string{"p1", "p2"}[r.IntN(2)], "subject": "EVENT", "type": "incident",
				"created_by": "EVENT", "created_at": "2026-03-09T14:00:00Z", "description": "EVENT", "client_id": "cli_a",
			}},
			"model": a.model, "replies": a.replies, "decisions": a.decide,
		})
		if err != nil {
			t.Fatal(err)
		}
		got, c := play(t, d, string(text)), rules.Capabilities(d)
		for _, e := range got.Effects {
			acted++
			if why := beyond(c, got, e); why != "" {
				t.Fatalf("seed %d, %s: %s is not in its capabilities\n%s", seed, e.Step, why, jsonvalue.Canonical(doc))
			}
		}
		if b := c.Bounds; got.Credits.WouldCost > b.Credits || len(got.Gates) > 2*b.People || counted(got, rehearsal.ActionEffect) > b.Actions || counted(got, rehearsal.MessageEffect) > b.Messages {
			t.Fatalf("seed %d: more than %+v: %d credits, %d effects, %d gates\n%s", seed, b, got.Credits.WouldCost, len(got.Effects), len(got.Gates), jsonvalue.Canonical(doc))
		}
	}
	if acted < definitions/2 {
		t.Errorf("the plays had only %d effects", acted)
	}
}

func counted(r rehearsal.Result, kind string) int {
	n := 0
	for _, e := range r.Effects {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// beyond says which part of an effect the capabilities do not name, or "".
func beyond(c definition.Capabilities, all rehearsal.Result, e rehearsal.Effect) string {
	if e.Kind == rehearsal.MessageEffect {
		for _, tell := range c.Tells {
			if tell.Step != e.Step || string(tell.Channel) != e.What || tell.Of != definition.Notification {
				continue
			}
			if !slices.Contains(tell.To, *e.Recipient) && len(tell.ToFrom) == 0 {
				return "the recipient " + *e.Recipient
			}
			return unnamed(tell.Words, *e.Subject+" "+*e.Text)
		}
		return "the message"
	}
	for _, deed := range c.Does {
		if deed.Step != e.Step || strings.ReplaceAll(deed.Action, ":", ".") != e.What {
			continue
		}
		if len(deed.Gates) > 0 && !slices.ContainsFunc(all.Gates, func(g rehearsal.Gate) bool {
			return slices.Contains(deed.Gates, g.Step) && g.Decision == rehearsal.Approved
		}) {
			return "an action without its gate"
		}
		for name, v := range e.Params {
			given, ok := deed.Params[name]
			if !ok {
				return "the parameter " + name
			}
			if why := unnamed(given.From, jsonvalue.Canonical(v)); why != "" {
				return name + ": " + why
			}
		}
		return ""
	}
	return "the action"
}

// unnamed returns an origin whose words a text has and that a list does not name.
func unnamed(from []definition.Origin, text string) string {
	for _, o := range origins(text) {
		if !slices.Contains(from, o) {
			return string(o)
		}
	}
	return ""
}
