package definition_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/jsonvalue"
)

// act returns a step that calls an action, such as act("a", "psa:add_note",
// `"ticket_id":"t"`).
func act(id, action string, params ...string) string {
	product, name, _ := strings.Cut(action, ":")
	return fmt.Sprintf(`{"id":%q,"type":"product_action","product":%q,"action":%q,"params":{%s}}`, id, product, name, strings.Join(params, ","))
}

// param returns a parameter that a text fills.
func param(name, text string) string { return fmt.Sprintf("%q:%q", name, text) }

// withSteps returns a definition with these steps.
func withSteps(t fataler, steps ...string) map[string]any {
	doc, err := jsonvalue.Object([]byte(`{"name":"n","category":"security",` +
		`"trigger":{"type":"bus_event","source_product":"psa","event_type":"ticket.created"},"steps":[` + strings.Join(steps, ",") + `]}`))
	if err != nil {
		t.Fatalf("%v: %s", err, steps)
	}
	return doc
}

// refused returns the paths that the rules refuse, and fails on faults of another
// kind.
func refused(t fataler, r definition.Rules, steps ...string) string {
	_, err := r.Parse(withSteps(t, steps...))
	var paths []string
	for _, f := range faults(err) {
		path, message, _ := strings.Cut(f, ": ")
		if !strings.Contains(message, "comes from a model's answer") && !strings.Contains(message, "move the gate behind the step") {
			t.Fatalf("another fault: %s", f)
		}
		paths = append(paths, path)
	}
	return strings.Join(paths, " ")
}

func TestAModelChoosesNoTargetAndNoAudienceUnseen(t *testing.T) {
	t.Parallel()

	const (
		ifs    = `"if":` + always
		answer = "{{ ai_said.text }}"
	)
	way := func(steps ...string) []string { return steps }
	update := func(id, ticket string) string {
		return act(id, "psa:update_ticket", param("ticket_id", ticket), `"status":"open"`)
	}
	for name, tc := range map[string]struct {
		steps func(p *plan) []string
		want  string // the paths that are refused
	}{
		"a target":            {func(*plan) []string { return way(think("ai"), update("a", answer)) }, "steps[1].params.ticket_id"},
		"a target, by step":   {func(*plan) []string { return way(think("ai"), update("a", "{{ steps.ai.output.text }}")) }, "steps[1].params.ticket_id"},
		"a target, in a text": {func(*plan) []string { return way(think("ai"), update("a", "tkt_"+answer+"_x")) }, "steps[1].params.ticket_id"},
		"a target, filtered": {func(*plan) []string {
			return way(think("ai"), update("a", "{{ ai_said.text | slice: 0, 3 | upcase }}"))
		}, "steps[1].params.ticket_id"},
		"a target, whole": {func(*plan) []string { return way(think("ai"), update("a", "{{ ai_said | json }}")) }, "steps[1].params.ticket_id"},
		"a target, as default": {func(*plan) []string {
			return way(think("ai"), update("a", "{{ event_payload.x | default: ai_said.text }}"))
		}, "steps[1].params.ticket_id"},
		"a target, appended": {func(*plan) []string { return way(think("ai"), update("a", "{{ event.id | append: ai_said.text }}")) }, "steps[1].params.ticket_id"},
		"a target, by name in quotes": {func(*plan) []string {
			return way(think("ai"), update("a", "{{ steps['ai'].output['text'] }}"))
		}, "steps[1].params.ticket_id"},
		"a target, in a list": {func(*plan) []string {
			return way(think("ai"), act("a", "psa:link_tickets", `"ticket_id":"t"`, `"related_ids":["x",["`+answer+`"]]`))
		}, "steps[1].params.related_ids"},
		"a target, the list itself": {func(*plan) []string {
			return way(think("ai"), act("a", "psa:link_tickets", `"ticket_id":"t"`, param("related_ids", "{{ ai_said.text | split: ',' }}")))
		}, "steps[1].params.related_ids"},
		"an audience": {func(*plan) []string {
			return way(think("ai"), act("a", "people:assign_task", param("employee_id", answer), `"title":"t"`))
		}, "steps[1].params.employee_id"},
		"the readers of a note": {func(*plan) []string {
			return way(think("ai"), act("a", "psa:add_note", `"ticket_id":"t"`, `"body":"b"`, param("visibility", answer)))
		}, "steps[1].params.visibility"},
		"a target and an audience": {func(*plan) []string {
			return way(think("ai"), act("a", "psa:add_note", param("ticket_id", answer), `"body":"b"`, param("visibility", answer)))
		}, "steps[1].params.ticket_id steps[1].params.visibility"},
		"the indicator that is blocked": {func(*plan) []string {
			return way(think("ai"), act("a", "defend:block_indicator", `"client_id":"c"`, `"kind":"domain"`, param("value", answer)))
		}, "steps[1].params.value"},
		"under an if": {func(*plan) []string {
			return way(think("ai"), strings.Replace(update("a", answer), `"type"`, ifs+`,"type"`, 1))
		}, "steps[1].params.ticket_id"},

		"a target of the event's choice": {func(*plan) []string {
			return way(think("ai"), update("a", "{{ event_payload.ticket_id }}{{ event.id }}{{ client_context.recent_incidents | default: 1 }}"))
		}, ""},
		"a target that a reply names": {func(*plan) []string {
			return way(act("made", "psa:create_ticket", `"subject":"s"`), update("a", "{{ made.ticket_id }}"))
		}, ""},
		"a target that a reply to the event's text names": {func(*plan) []string {
			return way(think("ai"), act("made", "psa:create_ticket", param("subject", "{{ event_payload.subject }}")), update("a", "{{ made.ticket_id }}"))
		}, ""},
		"what only sorts a ticket": {func(*plan) []string {
			return way(think("ai"), act("a", "psa:update_ticket", `"ticket_id":"t"`, param("priority", answer), param("category", answer),
				param("status", answer), param("assignee", answer)))
		}, ""},
		"what a person has written at a gate": {func(p *plan) []string {
			return way(think("ai"), called("ask", p.gate()), update("a", "{{ steps.ask.output.note }}"))
		}, ""},

		"a target that a reply to a model's text names": {func(*plan) []string {
			return way(think("ai"), act("made", "psa:create_ticket", param("subject", answer)), update("a", "{{ made.ticket_id }}"))
		}, "steps[2].params.ticket_id"},
		"a target that a reply to a sorting field names": {func(*plan) []string {
			return way(think("ai"), act("made", "psa:update_ticket", `"ticket_id":"t"`, param("priority", answer)), update("a", "{{ steps.made.output.ticket_id }}"))
		}, "steps[2].params.ticket_id"},
		"a target at the end of a chain of replies": {func(*plan) []string {
			return way(think("ai"), act("one", "psa:create_ticket", param("subject", answer)),
				act("two", "psa:create_ticket", `"subject":"s"`, param("description", "{{ one.url }}")),
				act("three", "psa:create_ticket", `"subject":"{{ two.x }}"`), update("a", "{{ three.ticket_id }}"))
		}, "steps[4].params.ticket_id"},
		"a target that a reply names whose object has a model's text": {func(*plan) []string {
			return way(think("ai"), act("one", "compliance:record_evidence", `"control_id":"c"`, `"summary":"s"`, `"data":{"a":[{"b":"`+answer+`"}]}`),
				update("a", "{{ one.ticket_id }}"))
		}, "steps[2].params.ticket_id"},
		"a target that a reply names which a person approved": {func(p *plan) []string {
			return way(think("ai"), p.gate(), act("made", "psa:create_ticket", param("subject", answer)), update("a", "{{ made.ticket_id }}"))
		}, "steps[3].params.ticket_id"},
		"a target that a reply names, approved after it": {func(p *plan) []string {
			return way(think("ai"), act("made", "psa:create_ticket", param("subject", answer)), p.gate(), update("a", "{{ made.ticket_id }}"))
		}, ""},

		"a target from the reply to a message with a model's text": {func(p *plan) []string {
			return way(think("ai"), strings.Replace(called("tell", p.tell()), `"body":"`, `"body":"`+answer, 1), update("a", "{{ steps.tell.output.recipients[0].reason }}"))
		}, "steps[2].params.ticket_id"},
		"a target from the reply to a message with a model's subject": {func(p *plan) []string {
			return way(think("ai"), strings.Replace(called("tell", p.tell()), `"body"`, `"subject":"`+answer+`","body"`, 1), update("a", "{{ steps.tell.output | json }}"))
		}, "steps[2].params.ticket_id"},
		"a target from the reply to a message": {func(p *plan) []string {
			return way(think("ai"), called("tell", p.tell()), update("a", "{{ steps.tell.output.channel }}"))
		}, ""},
		"a target from a wait until a model's time": {func(*plan) []string {
			return way(think("ai"), `{"id":"rest","type":"wait","until":"`+answer+`"}`, update("a", "{{ steps.rest.output.waited_seconds }}"))
		}, "steps[2].params.ticket_id"},
		"a target from a wait until the event's time": {func(*plan) []string {
			return way(think("ai"), `{"id":"rest","type":"wait","until":"{{ event.published_at }}"}`, update("a", "{{ steps.rest.output.waited_seconds }}"))
		}, ""},
		"a target from an action with such a reply in a text": {func(p *plan) []string {
			return way(think("ai"), `{"id":"rest","type":"wait","until":"`+answer+`"}`,
				act("made", "psa:create_ticket", param("subject", "Waited {{ steps.rest.output.waited_seconds }} s")), update("a", "{{ made.ticket_id }}"))
		}, "steps[3].params.ticket_id"},

		"behind a gate":                   {func(p *plan) []string { return way(think("ai"), p.gate(), update("a", answer)) }, ""},
		"before a gate":                   {func(p *plan) []string { return way(think("ai"), update("a", answer), p.gate()) }, "steps[1].params.ticket_id"},
		"behind a gate that asked before": {func(p *plan) []string { return way(p.gate(), think("ai"), update("a", answer)) }, "steps[2].params.ticket_id"},
		"behind a gate that escalates": {func(p *plan) []string {
			return way(think("ai"), p.gate(`"on_expiry":"escalate","escalate_to":{"roles":["admin"]}`), update("a", answer))
		}, ""},
		"behind a gate that silence approves": {func(p *plan) []string { return way(think("ai"), p.gate(`"on_expiry":"approve"`), update("a", answer)) }, "steps[2].params.ticket_id"},
		"behind a gate that has an if":        {func(p *plan) []string { return way(think("ai"), p.gate(ifs), update("a", answer)) }, "steps[2].params.ticket_id"},
		"behind a gate that may fail":         {func(p *plan) []string { return way(think("ai"), p.gate(`"on_error":"continue"`), update("a", answer)) }, "steps[2].params.ticket_id"},
		"behind a gate that shows only another parameter": {func(p *plan) []string {
			return way(think("ai"), p.gate(), act("late", "psa:create_ticket", `"subject":"s"`),
				act("a", "psa:update_ticket", param("ticket_id", answer), param("status", "{{ late.status }}")))
		}, "steps[3].params.status"},
		"behind a gate of another case": {func(p *plan) []string {
			return way(think("ai"), p.branch("", way(p.gate()), way(update("a", answer))))
		}, "steps[1].else[0].params.ticket_id"},
		"behind a gate of every case": {func(p *plan) []string {
			return way(think("ai"), p.branch("", way(p.gate()), way(p.gate())), update("a", answer))
		}, ""},
		"behind a gate of some cases": {func(p *plan) []string {
			return way(think("ai"), p.branch("", way(p.gate()), way(p.tell())), update("a", answer))
		}, "steps[2].params.ticket_id"},
		"behind gates of a branch that has an if": {func(p *plan) []string {
			return way(think("ai"), p.branch(ifs, way(p.gate()), way(p.gate())), update("a", answer))
		}, "steps[2].params.ticket_id"},
		"of a case's model, behind a gate before": {func(p *plan) []string {
			return way(p.gate(), p.branch("", way(think("ai")), nil), update("a", "{{ ai_said.text | default: 'x' }}"))
		}, "steps[2].params.ticket_id"},
		"by the output_var of two cases": {func(*plan) []string {
			return way((&plan{}).branch("", way(think("ai")), way(strings.ReplaceAll(think("bi"), "bi_said", "ai_said"))), update("a", answer))
		}, "steps[1].params.ticket_id"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if got := refused(t, rules(t), tc.steps(&plan{})...); got != tc.want {
				t.Errorf("refused %q, want %q", got, tc.want)
			}
		})
	}
}

func TestAModelsTextLeavesTheOrganizationThroughAGateOnly(t *testing.T) {
	t.Parallel()

	const answer = "{{ ai_said.text }}"
	note := func(more ...string) string {
		return act("a", "psa:add_note", append([]string{`"ticket_id":"t"`, param("body", "Hello, "+answer)}, more...)...)
	}
	for name, tc := range map[string]struct{ action, want string }{
		"a public note":                         {note(`"visibility":"public"`), "steps[1].params.body"},
		"an internal note":                      {note(`"visibility":"internal"`), ""},
		"a note whose readers the product sets": {note(), "steps[1].params.body"},
		"a note whose readers are null":         {note(`"visibility":null`), "steps[1].params.body"},
		"a note whose readers the event sets":   {note(`"visibility":"{{ event_payload.x }}"`), "steps[1].params.body"},
		"a note whose readers a template sets":  {note(`"visibility":"{{ 'internal' }}"`), "steps[1].params.body"},
		"a public note of the event's text":     {act("a", "psa:add_note", `"ticket_id":"t"`, `"body":"{{ event_payload.subject }}"`, `"visibility":"public"`), ""},
		"a note that has lost its links":        {strings.Replace(note(`"visibility":"public"`), "Hello, "+answer, "{{ ai_said.text | strip_links }}", 1), "steps[1].params.body"},
		"the tone of a reminder":                {act("a", "books:send_reminder", `"invoice_id":"i"`, param("tone", answer)), "steps[1].params.tone"},
		"a reminder":                            {act("a", "books:send_reminder", `"invoice_id":"{{ event_payload.x }}"`, `"tone":"firm"`), ""},
		"the remark of a payment":               {act("a", "books:approve_expense", `"expense_id":"e"`, param("note", answer)), "steps[1].params.note"},
		"the lines of an invoice":               {act("a", "books:create_invoice_draft", `"client_id":"c"`, `"lines":[{"price_usd":"`+answer+`"}]`), "steps[1].params.lines"},
		"the duration of a silence":             {act("a", "rmm:start_maintenance", `"device_id":"d"`, param("minutes", "{{ ai_said.text | plus: 0 }}")), "steps[1].params.minutes"},
		"the end of a block":                    {act("a", "defend:block_indicator", `"client_id":"c"`, `"kind":"ip"`, `"value":"v"`, param("expires_in_hours", "{{ ai_said.text | plus: 0 }}")), "steps[1].params.expires_in_hours"},
		"whether time is billed":                {act("a", "psa:add_time_entry", `"ticket_id":"t"`, `"minutes":5`, `"technician":"m"`, param("billable", answer)), "steps[1].params.billable"},
		"the summary of time that is billed":    {act("a", "psa:add_time_entry", `"ticket_id":"t"`, `"minutes":5`, `"technician":"m"`, `"billable":true`, param("summary", answer)), "steps[1].params.summary"},
		"the summary of time that is free":      {act("a", "psa:add_time_entry", `"ticket_id":"t"`, `"minutes":5`, `"technician":"m"`, `"billable":false`, param("summary", answer)), ""},
		"the subject of a ticket":               {act("a", "psa:create_ticket", param("subject", answer)), ""},
		"a comment for analysts":                {act("a", "defend:add_alert_comment", `"alert_id":"a"`, param("body", answer)), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if got := refused(t, rules(t), think("ai"), tc.action); got != tc.want {
				t.Errorf("refused %q, want %q", got, tc.want)
			}
			if got := refused(t, rules(t), think("ai"), (&plan{}).gate(), tc.action); got != "" {
				t.Errorf("behind a gate, refused %q", got)
			}
			if got := refused(t, rules(t), (&plan{}).gate(), think("ai"), tc.action); (got == "") != (tc.want == "") {
				t.Errorf("behind a gate that asked before, refused %q, want any: %t", got, tc.want != "")
			}
		})
	}
}

func TestTheFaultSaysWhatToAdd(t *testing.T) {
	t.Parallel()

	doc := read(t, "reference")
	edit(t, doc, "steps", "["+think("ai")+","+act("a", "psa:add_note", `"ticket_id":"{{ ai_said.text }}"`, `"body":"{{ ai_said.text }}"`)+"]")
	_, err := rules(t).Parse(doc)
	const before = "every path to it must pass an approval_gate without an if, without on_error continue and without on_expiry approve"
	want := []string{
		`steps[1].params.body: "ai_said.text" comes from a model's answer, and psa:add_note has the risk outward unless visibility is internal: ` + before,
		`steps[1].params.ticket_id: "ai_said.text" comes from a model's answer and would choose the object of psa:add_note: ` + before,
	}
	if got := faults(err); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// Of every action: a model's answer in a parameter is refused by the role of the
// parameter and the risk of the action, and taken behind a gate that shows it.
func TestTheCatalogueDecidesWhatAModelMayFill(t *testing.T) {
	t.Parallel()

	r := rules(t)
	for _, a := range r.Catalog.Actions() {
		for _, p := range a.Params {
			if a.Destructive {
				continue // needs a gate in any case
			}
			params := maps.Clone(a.Sample)
			params[p.Name] = "{{ ai_said.text }}"
			step := text(t, map[string]any{"id": "act", "type": "product_action", "product": a.Product, "action": a.Action, "params": params})
			free := p.Role == "content" && a.RiskOf(params) == "internal"
			if got := refused(t, r, think("ai"), step); (got == "") != free {
				t.Errorf("%s.%s: refused %q, want none: %t", a.Name(), p.Name, got, free)
			}
			if got := refused(t, r, think("ai"), (&plan{}).gate(), step); got != "" {
				t.Errorf("%s.%s behind a gate: refused %q", a.Name(), p.Name, got)
			}
		}
	}
}

// A publication allows content without a gate in a definition with the same event
// and the same steps, and neither a target nor an audience.
func TestAPublicationIsAsNarrowAsItSays(t *testing.T) {
	t.Parallel()

	note := func(more ...string) string {
		return act("a", "psa:add_note", append([]string{`"ticket_id":"t"`, param("body", "{{ ai_said.text }}"), `"visibility":"public"`}, more...)...)
	}
	published := withSteps(t, think("ai"), note())
	r := rules(t)
	r.Published = []definition.Publication{definition.PublicationOf(published)}
	for name, tc := range map[string]struct{ edits, want []string }{
		"as it is":      {nil, nil},
		"a name":        {[]string{"name", `"other"`}, nil},
		"a filter":      {[]string{"trigger.filters", `[{"field":"priority","operator":"eq","value":"p1"}]`}, nil},
		"an event":      {[]string{"trigger.event_type", `"ticket.updated"`}, []string{"steps[1].params.body"}},
		"a product":     {[]string{"trigger.source_product", `"defend"`, "trigger.event_type", `"alert.fired"`}, []string{"steps[1].params.body"}},
		"a prompt":      {[]string{"steps.0.prompt", `"Say anything"`}, []string{"steps[1].params.body"}},
		"a step more":   {[]string{"steps.2", note()}, []string{"steps[1].params.body", "steps[2].params.body"}},
		"a target":      {[]string{"steps.1.params.ticket_id", `"{{ ai_said.text }}"`}, []string{"steps[1].params.body", "steps[1].params.ticket_id"}},
		"an audience":   {[]string{"steps.1.params.visibility", `"{{ ai_said.text }}"`}, []string{"steps[1].params.body", "steps[1].params.visibility"}},
		"a text before": {[]string{"steps.1.params.body", `"https://{{ ai_said.text }}"`}, []string{"steps[1].params.body"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			doc := withSteps(t, think("ai"), note())
			for i := 0; i < len(tc.edits); i += 2 {
				edit(t, doc, tc.edits[i], tc.edits[i+1])
			}
			_, err := r.Parse(doc)
			var got []string
			for _, f := range faults(err) {
				if path, _, _ := strings.Cut(f, ": "); strings.Contains(path, ".params.") {
					got = append(got, path)
				}
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("refused %q, want %q", got, tc.want)
			}
		})
	}
	chosen := withSteps(t, think("ai"), note(`"x":1`))
	edit(t, chosen, "steps.1.params", `{"ticket_id":"{{ ai_said.text }}","body":"b","visibility":"{{ ai_said.text }}"}`)
	others := rules(t)
	others.Published = []definition.Publication{definition.PublicationOf(chosen)}
	if _, err := others.Parse(chosen); len(faults(err)) != 2 {
		t.Errorf("a publication chose a target and an audience: %v", faults(err))
	}
}

func TestAPlaceholderChoosesNoHost(t *testing.T) {
	t.Parallel()

	const refuses = "a placeholder may fill only the path and the query of the URL"
	for url, taken := range map[string]bool{
		"https://hooks.example/{{ event_payload.x }}":                      true,
		"https://hooks.example/a/{{ event_payload.x }}/b":                  true,
		"https://hooks.example/a?x={{ event_payload.x }}&y={{ event.id }}": true,
		"https://hooks.example:8443/{{ event_payload.x }}":                 true,
		" HTTPS://hooks.example/{{ event_payload.x }}":                     true,
		"<https://hooks.example/{{ event_payload.x }}>":                    true,
		"{{ event_payload.x }}":                                            false,
		"{{ event_payload.x | default: 'https://hooks.example/' }}":        false,
		"{{ 'https://hooks.example/' | append: event_payload.x }}":         false,
		"https://{{ event_payload.x }}":                                    false,
		"https://{{ event_payload.x }}/path":                               false,
		"https://{{ event_payload.x }}.hooks.example/":                     false,
		"https://hooks.{{ event_payload.x }}/":                             false,
		"https://hooks.example{{ event_payload.x }}":                       false,
		"https://hooks.example{{ event_payload.x }}/a":                     false,
		"https://hooks.example:{{ event_payload.x }}/a":                    false,
		"https://hooks.example:44{{ event_payload.x }}/a":                  false,
		"https://user@{{ event_payload.x }}/a":                             false,
		"https://{{ event_payload.x }}@hooks.example/a":                    false,
		"https://hooks.example?{{ event_payload.x }}":                      false,
		"https://hooks.example#{{ event_payload.x }}":                      false,
		`https://hooks.example\{{ event_payload.x }}`:                      false,
		"https:{{ event_payload.x }}//hooks.example/":                      false,
		"{{ event_payload.x }}://hooks.example/":                           false,
		"http{{ event_payload.x }}://hooks.example/":                       false,
		"{{ client_context.security_posture_score }}":                      false,
		"https://{{ agent.name }}/":                                        false,
		"//hooks.example/{{ event_payload.x }}":                            false,
	} {
		for _, channel := range []string{"webhook", "slack", "teams"} {
			for place, steps := range map[string]string{
				"steps[0].recipients[0]":           fmt.Sprintf(`{"id":"n","type":"notification","channel":%q,"recipients":[%q],"body":"b"}`, channel, url),
				"steps[0].notify[0].recipients[0]": fmt.Sprintf(`{"id":"g","type":"approval_gate","message":"m","notify":[{"channel":%q,"recipients":[%q]}]}`, channel, url),
				"steps[0].escalate_to.notify[0].recipients[0]": fmt.Sprintf(
					`{"id":"g","type":"approval_gate","message":"m","on_expiry":"escalate","escalate_to":{"roles":["admin"],"notify":[{"channel":%q,"recipients":[%q]}]}}`, channel, url),
			} {
				doc := read(t, "reference")
				edit(t, doc, "steps", "["+steps+"]")
				_, err := rules(t).Parse(doc)
				got := faults(err)
				host := slices.ContainsFunc(got, func(f string) bool { return strings.HasPrefix(f, place+": "+refuses) })
				if taken && len(got) > 0 || !taken && !host {
					t.Errorf("%s %s: %q", channel, url, got)
				}
			}
		}
	}
	for _, url := range []string{"http://hooks.example/{{ event_payload.x }}", "https://hooks.example/../{{ event_payload.x }}", "https://hooks.example/#{{ event_payload.x }}"} {
		doc := read(t, "reference")
		edit(t, doc, "steps", fmt.Sprintf(`[{"id":"n","type":"notification","channel":"webhook","recipients":[%q],"body":"b"}]`, url))
		if _, err := rules(t).Parse(doc); len(faults(err)) != 1 {
			t.Errorf("%s: %q", url, faults(err))
		}
	}
}

// A stored definition that newer rules refuse is read as it is, and the warnings
// say what its next save will be refused for.
func TestAStoredDefinitionIsOnlyWarnedOf(t *testing.T) {
	t.Parallel()

	r := rules(t)
	doc := read(t, "reference")
	edit(t, doc, "steps", "["+think("ai")+","+act("a", "psa:update_ticket", `"ticket_id":"t"`)+`,{"id":"n","type":"notification","channel":"webhook","recipients":["https://hooks.example/"],"body":"b"}]`)
	d := parse(t, doc)
	d.Steps[1].Params["ticket_id"] = "{{ ai_said.text }}"
	d.Steps[2].Recipients[0] = "{{ event_payload.x }}"
	var stored definition.Definition
	if err := json.Unmarshal([]byte(text(t, d)), &stored); err != nil {
		t.Fatal(err)
	}
	if got := stored.Steps[2].Recipients[0]; got != "{{ event_payload.x }}" {
		t.Errorf("it is read as %q", got)
	}
	var warned []string
	for _, w := range r.Warnings(stored) {
		warned = append(warned, w.Path)
	}
	for _, path := range []string{"steps[1].params.ticket_id", "steps[2].recipients[0]"} {
		if !slices.Contains(warned, path) {
			t.Errorf("%s is not among the warnings %q", path, warned)
		}
	}
	if r.Valid(stored) == nil {
		t.Error("it may be saved again")
	}
}

// A course writes steps at random and knows every way through them.
type course struct {
	*rapid.T

	plan    plan
	tainted map[string]bool // step ids whose output a model may have chosen
	ids     []string        // steps before this one
}

// A passage is one step on one way.
type passage struct {
	id    string
	gate  bool     // a person must have said yes
	names []string // steps that its parameters name
	needs bool     // a parameter needs a gate
}

// steps returns steps as text, and every way through them.
func (c *course) steps(depth int) (texts []string, ways [][]passage) {
	ways = [][]passage{nil}
	for range rapid.IntRange(1, 3).Draw(c.T, "steps") {
		text, more := c.step(depth)
		texts = append(texts, text)
		var all [][]passage
		for _, w := range ways {
			for _, m := range more {
				all = append(all, slices.Concat(w, m))
			}
		}
		ways = all
	}
	return texts, ways
}

func (c *course) step(depth int) (string, [][]passage) {
	id := fmt.Sprintf("s%d", c.plan.next())
	kinds := []string{"ai", "act", "act", "gate"}
	if depth < 2 {
		kinds = append(kinds, "branch")
	}
	defer func() { c.ids = append(c.ids, id) }()
	switch rapid.SampledFrom(kinds).Draw(c.T, "kind") {
	case "ai":
		c.tainted[id] = true
		return think(id), [][]passage{{{id: id}}}
	case "gate":
		if rapid.Bool().Draw(c.T, "a gate that may be passed") {
			more := rapid.SampledFrom([]string{`"if":` + always, `"on_expiry":"approve"`, `"on_error":"continue"`}).Draw(c.T, "how")
			return called(id, c.plan.gate(more)), [][]passage{{{id: id}}}
		}
		return called(id, c.plan.gate()), [][]passage{{{id: id, gate: true}}}
	case "act":
		return c.action(id)
	}
	before := c.ids
	first, ways := c.steps(depth + 1)
	inFirst := c.ids[len(before):]
	c.ids = slices.Clip(before)
	var second []string
	others := [][]passage{nil}
	if rapid.Bool().Draw(c.T, "else") {
		second, others = c.steps(depth + 1)
	}
	c.ids = slices.Concat(before, inFirst, c.ids[len(before):])
	ways = slices.Concat(ways, others)
	more := ""
	if rapid.Bool().Draw(c.T, "if") {
		more, ways = `"if":`+always, append(ways, nil)
	}
	return called(id, c.plan.branch(more, first, second)), ways
}

// action returns an action whose parameters name earlier steps.
func (c *course) action(id string) (string, [][]passage) {
	p := passage{id: id}
	text := func(name string, guarded bool) string {
		if len(c.ids) == 0 || rapid.Bool().Draw(c.T, "plain") {
			return param(name, "x")
		}
		of := rapid.SampledFrom(c.ids).Draw(c.T, "names")
		p.names = append(p.names, of)
		if c.tainted[of] {
			c.tainted[id] = true
			p.needs = p.needs || guarded
		}
		return param(name, "{{ steps."+of+".output | default: 'x' | json }}")
	}
	kind := rapid.SampledFrom([]string{"internal", "public"}).Draw(c.T, "visibility")
	step := act(id, "psa:add_note", text("ticket_id", true), text("body", kind == "public"), param("visibility", kind))
	return step, [][]passage{{p}}
}

// missed returns the steps that run without a person having seen them on some way.
func missed(ways [][]passage) []string {
	found := map[string]bool{}
	for _, way := range ways {
		asked, late := false, map[string]bool{}
		for _, p := range way {
			if p.needs && (!asked || slices.ContainsFunc(p.names, func(of string) bool { return late[of] })) {
				found[p.id] = true
			}
			if p.gate {
				asked, late = true, map[string]bool{}
			}
			late[p.id] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// On every way through a definition that is taken, a person has seen each value
// that needs one; and no other definition is refused.
func TestNoWayLeadsAroundThePersonWhoMustSee(t *testing.T) {
	t.Parallel()

	r := rules(t)
	rapid.Check(t, func(t *rapid.T) {
		c := &course{T: t, tainted: map[string]bool{}}
		steps, ways := c.steps(0)
		doc := withSteps(t, steps...)
		_, err := r.Parse(doc)
		got := map[string]bool{}
		for _, f := range faults(err) {
			path, message, _ := strings.Cut(f, ": ")
			if !strings.Contains(message, "comes from a model's answer") && !strings.Contains(message, "move the gate behind the step") {
				t.Fatalf("another fault: %s", f)
			}
			got[stepAt(doc, path)] = true
		}
		if want := missed(ways); !slices.Equal(slices.Sorted(maps.Keys(got)), want) {
			t.Errorf("refused %v, want %v: %s", slices.Sorted(maps.Keys(got)), want, strings.Join(steps, ",\n"))
		}
	})
}

// stepAt returns the id of the step that a path of a fault leads into.
func stepAt(doc map[string]any, path string) string {
	step := path[:strings.Index(path, ".params")]
	for place, o := range objects("", doc) {
		if place == step {
			return fmt.Sprint(o["id"])
		}
	}
	return step
}
