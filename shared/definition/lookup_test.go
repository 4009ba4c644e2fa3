package definition_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"theoneagents.app/agents/shared/definition"
)

// expectation is one case: edits of a definition, and parts of the messages that
// they must lead to; none for a definition without faults.
type expectation struct {
	edits []string
	want  []string
}

const (
	ifPath   = "steps.4.if"
	bodyPath = "steps.4.params.body"
)

// never lists definitions with paths that can never be found.
var never = map[string]expectation{
	"a condition on a step's output without a context": {
		[]string{ifPath, `{"field":"steps.triage.output.noise","operator":"eq","value":false}`},
		[]string{`steps[4].if.field: a condition on a step's output needs "context": "run": add it`},
	},
	"a condition on an output variable without a context": {
		[]string{ifPath, `{"field":"verdict.noise","operator":"eq","value":false}`},
		[]string{`steps[4].if.field: verdict is the output of an earlier step, and a condition on it needs "context": "run"`},
	},
	"a condition on a step's id without a context, deep in a group": {
		[]string{ifPath, `{"any":[{"all":[{"context":"event","field":"steps.triage.output","operator":"exists","value":true}]}]}`},
		[]string{`steps[4].if.any[0].all[0].field: a condition on a step's output needs "context": "run"`},
	},
	"a when on a step's output without a context": {
		[]string{"steps.3.cases.0.when", `{"field":"steps[\"triage\"].output.noise","operator":"eq","value":false}`},
		[]string{`steps[3].cases[0].when.field: a condition on a step's output needs "context": "run"`},
	},
	"a condition of the agent on a step's output": {
		[]string{"conditions.0", `{"field":"steps.triage.output.noise","operator":"eq","value":false}`},
		[]string{`conditions[0].field: an agent's conditions are judged before its first step`},
	},
	"a condition on the event with the root of templates": {
		[]string{"conditions.0", `{"field":"event_payload.priority","operator":"eq","value":"p1"}`},
		[]string{`conditions[0].field: a condition on the event names fields of the payload without "event_payload": write "priority"`},
	},
	"a condition on a list with the root of templates": {
		[]string{"conditions.0", `{"field":"event_payload.alerts.1.x","operator":"eq","value":"p1"}`},
		[]string{`write "alerts.1.x"`},
	},
	"a condition on the whole payload": {
		[]string{"conditions.0", `{"field":"event_payload","operator":"exists","value":true}`},
		[]string{`must name a field of the payload, such as "priority"`},
	},
	"a condition on the envelope with the root of templates": {
		[]string{ifPath, `{"field":"event.client_id","operator":"exists","value":true}`},
		[]string{`steps[4].if.field: a condition on the event names fields of the event without "event": write "client_id"`},
	},
	"a condition on the profile without a context": {
		[]string{"conditions.0", `{"field":"client_context.recent_incidents","operator":"gt","value":1}`},
		[]string{`needs "context": "client_context": add it, and write "recent_incidents"`},
	},
	"a condition on the profile that repeats its context": {
		[]string{"conditions.0", `{"context":"client_context","field":"client_context.recent_incidents","operator":"gt","value":1}`},
		[]string{`write "recent_incidents"`},
	},
	"a condition on a field that the profile never has": {
		[]string{"conditions.0", `{"context":"client_context","field":"security_score","operator":"gt","value":1}`},
		[]string{`conditions[0].field: client_context has no "security_score"; it has device_inventory, recent_incidents, security_posture_score`},
	},
	"a condition below a number of the profile": {
		[]string{"conditions.0", `{"context":"client_context","field":"recent_incidents.count","operator":"gt","value":1}`},
		[]string{`client_context.recent_incidents is a number and has no "count"`},
	},
	"a condition whose field is not a path": {
		[]string{"conditions.0", `{"field":" alerts.1","operator":"exists","value":true}`}, []string{"conditions[0].field: "},
	},
	"a filter whose field is not a path": {
		[]string{"trigger.filters.0.field", `"priority "`}, []string{"trigger.filters[0].field: "},
	},
	"a condition on the run whose field is not a path": {
		[]string{ifPath, `{"context":"run","field":"steps..output","operator":"exists","value":true}`}, []string{"steps[4].if.field: "},
	},
	"a filter with the root of templates": {
		[]string{"trigger.filters.0.field", `"event_payload.priority"`}, []string{"did you mean priority?"},
	},
	"a template of an unknown field of the profile": {
		[]string{bodyPath, `"{{ client_context.device_inventory.counts }}"`},
		[]string{`steps[4].params.body: client_context.device_inventory has no "counts"; did you mean count?`},
	},
	"a default does not make a field of the profile exist": {
		[]string{bodyPath, `"{{ client_context.score | default: 1 }}"`}, []string{`client_context has no "score"`},
	},
	"a path in a filter's argument": {
		[]string{bodyPath, `"{{ event_payload.subject | default: event.clientid }}"`}, []string{`event has no "clientid"; did you mean client_id?`},
	},
	"a template of an unknown field of the envelope": {
		[]string{bodyPath, `"{{ event.payload_id }}"`}, []string{`event has no "payload_id"; did you mean payload?`},
	},
	"a template of an unknown field of the agent":         {[]string{bodyPath, `"{{ agent.title }}"`}, []string{`agent has no "title"; it has id, name, version`}},
	"a template of an unknown field of the run":           {[]string{bodyPath, `"{{ execution.started }}"`}, []string{`execution has no "started"`}},
	"a template of a misspelt step":                       {[]string{bodyPath, `"{{ steps.triaje.output.noise }}"`}, []string{`no step "triaje" comes before this one on this path; did you mean triage?`}},
	"a template of a misspelt variable":                   {[]string{bodyPath, `"{{ verdikt.noise }}"`}, []string{`"verdikt" is unknown here`, "did you mean verdict?"}},
	"a template of a misspelt root":                       {[]string{bodyPath, `"{{ event_paylod.subject }}"`}, []string{"did you mean event_payload?"}},
	"a template of a payload's field without its root":    {[]string{bodyPath, `"{{ subject }}"`}, []string{"did you mean event_payload.subject?"}},
	"a template of an output without a schema":            {[]string{"steps.0.output_schema", "", "steps.3.cases.0.when.field", `"verdict.text"`, "steps.3.else.0.body", `"x"`, bodyPath, `"{{ verdict.priority }}"`}, []string{`verdict has no "priority"; it has text`}},
	"a condition of a run on an output that is forbidden": {[]string{ifPath, `{"context":"run","field":"steps.triage.output.urgency","operator":"eq","value":1}`}, []string{`steps[4].if.field: steps.triage.output has no "urgency"; it has`}},
	"a when on an output that is forbidden":               {[]string{"steps.3.cases.0.when.field", `"verdict.noize"`}, []string{`steps[3].cases[0].when.field: verdict has no "noize"; did you mean noise?`}},
	"a gate's message with an output that is forbidden":   {[]string{"steps.1.message", `"{{ verdict.noize }}"`}, []string{`steps[1].message: verdict has no "noize"`}},
	"a wait until more than a year":                       {[]string{"steps.5.until", `"2027-03-09T14:23:02Z"`}, []string{"steps[5].until: 2027-03-09T14:23:02Z is more than a year away"}},
	"an index into an output that is a boolean":           {[]string{bodyPath, `"{{ verdict.noise[0] }}"`}, []string{`verdict.noise is a boolean and has no "0"`}},
	"an output that is forbidden in brackets":             {[]string{ifPath, `{"context":"run","field":"verdict[\"noize\"]","operator":"exists","value":true}`}, []string{`verdict has no "noize"`}},
	"an event that does not exist":                        {[]string{"trigger.event_type", `"ticket.creatd"`}, []string{"trigger.event_type: there is no event psa:ticket.creatd; did you mean psa:ticket.created?"}},
	"an event of a product that has others":               {[]string{"trigger.event_type", `"lightning.struck"`}, []string{"there is no event psa:lightning.struck; psa has ticket.assigned"}},
	"an event of a product that does not exist":           {[]string{"trigger.source_product", `"autotask"`}, []string{`products with events: agents, backups`}},
	"a filter on a misspelt field":                        {[]string{"trigger.filters.0.field", `"prioritty"`}, []string{`has no filterable field "prioritty"; did you mean priority?`}},
	"a misspelt parameter":                                {[]string{"steps.4.params.bodi", `"x"`}, []string{`psa:add_note has no parameter "bodi"; did you mean body?`}},
	"a misspelt enum value of a parameter":                {[]string{"steps.4.params.visibility", `"publik"`}, []string{"must be one of public, internal"}},
	"a misspelt field of a step":                          {[]string{"steps.4.parms", `{}`}, []string{"steps[4].parms: is not a known field; did you mean params?"}},
	"a misspelt kind":                                     {[]string{"steps.5", `{"id":"n","type":"notfication"}`}, []string{"steps[5].type: must be one of notification, ai_reason"}},
	"a misspelt channel":                                  {[]string{"steps.3.else.0.channel", `"emial"`}, []string{"must be one of email, sms"}},
}

func clocked(t *testing.T) definition.Rules {
	t.Helper()
	r := rules(t)
	r.Now = func() time.Time { return time.Date(2026, time.March, 9, 14, 23, 1, 0, time.UTC) }
	return r
}

func edited(t *testing.T, edits []string) map[string]any {
	t.Helper()
	doc := read(t, "everything")
	for pair := range slices.Chunk(edits, 2) {
		edit(t, doc, pair[0], pair[1])
	}
	return doc
}

func TestAPathThatCanNeverBeFoundIsRefused(t *testing.T) {
	t.Parallel()

	for name, tc := range never {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			closed := []string{"steps.0.output_schema.additionalProperties", "false"}
			_, err := clocked(t).Parse(edited(t, append(closed, tc.edits...)))
			got := strings.Join(faults(err), "\n")
			if err == nil {
				t.Fatal("the definition is accepted")
			}
			for _, want := range tc.want {
				if !strings.Contains(got, want) {
					t.Errorf("%q is not among\n%s", want, got)
				}
			}
		})
	}
}

// likely lists definitions that are allowed, with their warnings.
var likely = map[string]expectation{
	"everything.json": {nil, nil},
	"a template of a field that the sample does not have": {
		[]string{bodyPath, `"{{ event_payload.subjct }}"`},
		[]string{`steps[4].params.body: event_payload in the catalogue's sample of psa:ticket.created has no "subjct"; did you mean subject?`},
	},
	"a field of the sample":              {[]string{bodyPath, `"{{ event_payload.subject }} {{ event.payload.subject.size }}"`}, nil},
	"a filterable field":                 {[]string{bodyPath, `"{{ event_payload.client_id }}"`}, nil},
	"a condition on an unknown field":    {[]string{"conditions.0", `{"field":"prioriti","operator":"eq","value":"p1"}`}, []string{`conditions[0].field: the payload in the catalogue's sample of psa:ticket.created has no "prioriti"; did you mean priority?`}},
	"a condition on the payload by name": {[]string{"conditions.0", `{"field":"payload.priority","operator":"eq","value":"p1"}`}, nil},
	"a condition on the envelope":        {[]string{"conditions.0", `{"field":"metadata.agent_triggered","operator":"exists","value":false}`}, nil},
	"a condition below a text":           {[]string{"conditions.0", `{"field":"subject.line","operator":"exists","value":true}`}, []string{`subject in the catalogue's sample of psa:ticket.created is a string or null and has no "line"`}},
	"a condition on a null value":        {[]string{"conditions.0", `{"field":"priority","operator":"eq","value":null}`}, nil},
	"an operator for texts on a number": {
		[]string{"conditions.0", `{"context":"client_context","field":"recent_incidents","operator":"contains","value":"1"}`},
		[]string{"conditions[0].operator: contains compares strings and recent_incidents is a number, so the condition never holds"},
	},
	"an operator for numbers on a text":                 {[]string{"conditions.0", `{"field":"subject","operator":"gte","value":1}`}, []string{"gte compares numbers and subject is a string or null, so the condition never holds"}},
	"a number in quotes":                                {[]string{"conditions.0", `{"context":"client_context","field":"recent_incidents","operator":"eq","value":"1"}`}, []string{"conditions[0].value: recent_incidents is a number, so the condition never holds"}},
	"a value that an enum does not have":                {[]string{"conditions.0", `{"field":"priority","operator":"in","value":["urgent","p9"]}`}, []string{"priority is one of p1, p2, p3, p4, so the condition never holds"}},
	"one possible value of several":                     {[]string{"conditions.0", `{"field":"priority","operator":"in","value":["urgent","p1"]}`}, nil},
	"a boolean of an output that is a text":             {[]string{ifPath, `{"context":"run","field":"verdict.noise","operator":"eq","value":"false"}`}, []string{"steps[4].if.value: verdict.noise is a boolean, so the condition never holds"}},
	"the opposite of an impossible one":                 {[]string{ifPath, `{"context":"run","field":"verdict.noise","operator":"ne","value":"false"}`}, nil},
	"an address for examples":                           {[]string{"steps.1.notify.0.recipients.0", `"lead@example.com"`}, []string{"steps[1].notify[0].recipients[0]: lead@example.com is reserved for examples"}},
	"a host for examples":                               {[]string{"steps.3.else.0.recipients.0", `"https://hooks.example.org/x"`}, []string{"https://hooks.example.org/… is reserved for examples"}},
	"an open schema that lists others":                  {[]string{"steps.0.output_schema", `{"type":"object","properties":{"noise":{"type":"boolean"}}}`, bodyPath, `"{{ verdict.noize }}"`}, []string{`verdict has no "noize"; did you mean noise?`}},
	"a wait until a past time":                          {[]string{"steps.5.until", `"2026-03-09T14:23:00Z"`}, []string{"steps[5].until: 2026-03-09T14:23:00Z has passed, so the step does not wait"}},
	"a wait until a year away":                          {[]string{"steps.5.until", `"2027-03-09T14:23:01Z"`}, nil},
	"a recipient that the sample fills with an address": {[]string{"steps.1.notify.0.recipients.0", `"{{ event_payload.created_by }}"`}, nil},
	"a recipient that the sample fills with a text": {
		[]string{"steps.1.notify.0.recipients.0", `"{{ event_payload.subject }}"`},
		[]string{"steps[1].notify[0].recipients[0]: event_payload.subject in the catalogue's sample of psa:ticket.created cannot be a recipient of email"},
	},
	"a recipient that join makes of a list": {[]string{"steps.1.notify.0.recipients.0", `"{{ event_payload.watchers | join: ',' }}"`}, []string{"has no \"watchers\"", "join makes the list one text"}},
}

func TestAProbableMistakeIsAWarning(t *testing.T) {
	t.Parallel()

	for name, tc := range likely {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			r := clocked(t)
			d, err := r.Parse(edited(t, append([]string{"steps.1.notify.0.recipients.0", `"lead@msp.com"`, "steps.3.else.0.recipients.0", `"https://hooks.msp.com/x"`, "steps.5.until", `"2026-04-01T00:00:00Z"`, "steps.1.message", `"?"`, "steps.2.params.device_id", `"dev_1"`}, tc.edits...)))
			if err != nil {
				t.Fatalf("%v:\n%s", err, strings.Join(faults(err), "\n"))
			}
			var got []string
			for _, w := range r.Warnings(d) {
				got = append(got, w.Path+": "+w.Message)
			}
			if len(got) != len(tc.want) {
				t.Fatalf("%d warnings, want %d:\n%s", len(got), len(tc.want), strings.Join(got, "\n"))
			}
			for i, want := range tc.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("%q, want %q", got[i], want)
				}
			}
		})
	}
}

func TestOnlyRecipientsReservedForExamplesAreWarnedAbout(t *testing.T) {
	t.Parallel()

	for recipient, reserved := range map[string]bool{
		"sms +15551234567": true, "sms +15550000000": true, "sms +12125550100": true, "sms +12125550199": true,
		"sms +12125550200": false, "sms +12125551234": false, "sms +491701234567": false, "sms +15851234567": false,
		"email a@example.com": true, "email a@mail.example.net": true, "email a@EXAMPLE.ORG": true, "email a@acme.example": true,
		"email a@acme.test": true, "email a@x.invalid": true, "email a@acme.com": false, "email a@myexample.com": false,
		"email a@example.co": false, "email a@example.com.au": false,
		"webhook https://hooks.example.com/x": true, "webhook https://example.com": true, "webhook https://a.test/x?y=example.com": true,
		"webhook https://acme.com/example.com": false, "webhook https://hooks.slack.com/services/x": false,
		"webhook http://127.0.0.1:4580/hooks/org_a/webhook": false, "webhook http://a.localhost:4580/x": false,
	} {
		channel, to, _ := strings.Cut(recipient, " ")
		r := clocked(t)
		r.Hosts = []string{"127.0.0.1:4580", "a.localhost:4580"}
		doc := read(t, "reference")
		edit(t, doc, "steps.0.channel", `"`+channel+`"`)
		edit(t, doc, "steps.0.recipients.0", `"`+to+`"`)
		d, err := r.Parse(doc)
		if err != nil {
			t.Fatalf("%s: %v", recipient, faults(err))
		}
		got := len(r.Warnings(d)) > 0
		if got != reserved {
			t.Errorf("%s: warned %v, want %v: %v", recipient, got, reserved, r.Warnings(d))
		}
	}
}
