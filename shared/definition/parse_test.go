package definition_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/jsonvalue"
)

func TestTheReferenceExampleIsRead(t *testing.T) {
	t.Parallel()

	got := parse(t, read(t, "reference"))
	want := definition.Definition{
		Name: "P1 Escalation Notify", Description: "SMS notify senior technicians when a ticket is escalated to P1",
		Category: "service_desk",
		Trigger: definition.Trigger{
			Type: "bus_event", EventType: "ticket.escalated", Product: "psa",
			Filters: []condition.Filter{{Field: "escalated_to", Operator: condition.Eq, Value: "p1"}},
		},
		Conditions: []condition.Condition{}, Conflict: definition.Additive,
		Steps: []definition.Step{{
			ID: "notify_senior", Kind: definition.Notification,
			NotificationStep: &definition.NotificationStep{
				Channel: definition.SMS, Recipients: []string{"+15551234567"}, Body: "P1 escalation: {{event_payload.ticket_id}}",
			},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got.Trigger.Event() != "psa:ticket.escalated" {
		t.Errorf("Event = %q", got.Trigger.Event())
	}
}

func TestParsingKeepsTheDocument(t *testing.T) {
	t.Parallel()

	for _, name := range []string{"reference", "everything"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			want := jsonvalue.Canonical(read(t, name))
			d := parse(t, read(t, name))
			if got := jsonvalue.Canonical(object(t, text(t, d))); got != want {
				t.Errorf("-want +got:\n%s\n%s", want, got)
			}
			if err := rules(t).Valid(d); err != nil {
				t.Errorf("the parsed definition is not valid: %v", faults(err))
			}
		})
	}
}

func TestAnAbsentFieldHasADefault(t *testing.T) {
	t.Parallel()

	doc := read(t, "reference")
	for _, field := range []string{"description", "conditions", "conflict_behavior", "client_scope"} {
		delete(doc, field)
	}
	edit(t, doc, "trigger.filters", "")
	got := parse(t, doc)
	if got.Conflict != definition.Additive || got.Conditions == nil || got.Trigger.Filters == nil || !got.Scope.Allows("cli_x") || got.Limit != nil {
		t.Errorf("%+v", got)
	}
	edit(t, doc, "execution_limit", "null")
	if got := parse(t, doc); got.Limit != nil {
		t.Errorf("no limit is %+v", got.Limit)
	}
	shown := text(t, got)
	for _, want := range []string{`"conditions":[]`, `"filters":[]`, `"client_scope":"all"`, `"conflict_behavior":"additive"`, `"description":""`} {
		if !strings.Contains(shown, want) {
			t.Errorf("%s is not shown in %s", want, shown)
		}
	}
}

// bad lists edits of everything.json (path, JSON, path, JSON …) with all faults
// that they must lead to, as "path: part of the message".
var bad = map[string]struct{ edits, faults []string }{
	"no name":                        {[]string{"name", ""}, []string{"name: is required"}},
	"an empty name":                  {[]string{"name", `""`}, []string{"name: must not be empty"}},
	"a name that is a number":        {[]string{"name", `5`}, []string{"name: must be a string, not a number"}},
	"a name that is null":            {[]string{"name", `null`}, []string{"name: is required"}},
	"a name that is too long":        {[]string{"name", quoted("ä", 201)}, []string{"name: has 201 characters; 200 are allowed"}},
	"a name with NUL":                {[]string{"name", `"a\u0000b"`}, []string{"name: must be text without NUL"}},
	"a description that is too long": {[]string{"description", quoted("ä", 2001)}, []string{"description: has 2001 characters"}},
	"no category":                    {[]string{"category", ""}, []string{"category: is required"}},
	"an unknown category":            {[]string{"category", `"hr"`}, []string{"category: must be one of service_desk, security"}},
	"a category that is an array":    {[]string{"category", `["security"]`}, []string{"category: must be one of"}},
	"an unknown field":               {[]string{"colour", `"red"`}, []string{"colour: is not a known field"}},
	"a field of another spelling":    {[]string{"Name", `"x"`}, []string{"Name: is not a known field"}},
	"a status":                       {[]string{"status", `"active"`}, []string{"status: is not a known field"}},
	"an id":                          {[]string{"id", `"agent_1"`}, []string{"id: is not a known field"}},
	"a type":                         {[]string{"type", `"system"`}, []string{"type: is not a known field"}},
	"an unknown conflict_behavior":   {[]string{"conflict_behavior", `"replace"`}, []string{"conflict_behavior: must be one of additive, override"}},

	"no trigger":                     {[]string{"trigger", ""}, []string{"trigger: is required"}},
	"a trigger that is a string":     {[]string{"trigger", `"psa:ticket.created"`}, []string{"trigger: must be an object, not a string"}},
	"a trigger of another type":      {[]string{"trigger.type", `"schedule"`}, []string{"trigger.type: must be one of bus_event"}},
	"a trigger without a type":       {[]string{"trigger.type", ""}, []string{"trigger.type: is required"}},
	"no event type":                  {[]string{"trigger.event_type", ""}, []string{"trigger.event_type: is required"}},
	"no product":                     {[]string{"trigger.source_product", ""}, []string{"trigger.source_product: is required"}},
	"an event that is not published": {[]string{"trigger.event_type", `"ticket.exploded"`}, []string{"trigger.event_type: there is no event psa:ticket.exploded"}},
	"an event of another product":    {[]string{"trigger.source_product", `"rmm"`}, []string{"trigger.event_type: there is no event rmm:ticket.created"}},
	"an unknown field of a trigger":  {[]string{"trigger.schedule", `"daily"`}, []string{"trigger.schedule: is not a known field"}},
	"allow_agent_triggered as text":  {[]string{"trigger.allow_agent_triggered", `"yes"`}, []string{"trigger.allow_agent_triggered: must be true or false, not a string"}},
	"a trigger on our own events without allow_agent_triggered": {
		[]string{"trigger", `{"type": "bus_event", "source_product": "agents", "event_type": "execution.failed"}`},
		[]string{"trigger.allow_agent_triggered: must be true: agents cause every event of the product agents"},
	},
	"a trigger on our own events that does not allow them": {
		[]string{"trigger", `{"type": "bus_event", "source_product": "agents", "event_type": "credits.low", "allow_agent_triggered": false}`},
		[]string{"trigger.allow_agent_triggered: must be true"},
	},
	"filters that are an object":        {[]string{"trigger.filters", `{}`}, []string{"trigger.filters: must be an array, not an object"}},
	"too many filters":                  {[]string{"trigger.filters", array(`{"field":"type","operator":"eq","value":"a"}`, 51)}, []string{"trigger.filters: has 51 entries; 50 are allowed"}},
	"a filter that is a string":         {[]string{"trigger.filters.0", `"priority"`}, []string{"trigger.filters[0]: must be an object, not a string"}},
	"a filter without a field":          {[]string{"trigger.filters.0.field", ""}, []string{"trigger.filters[0].field: is required"}},
	"a filter without an operator":      {[]string{"trigger.filters.0.operator", ""}, []string{"trigger.filters[0].operator: is required"}},
	"a filter without a value":          {[]string{"trigger.filters.0.value", ""}, []string{"trigger.filters[0].value: is required"}},
	"a filter with an unknown field":    {[]string{"trigger.filters.0.not", `true`}, []string{"trigger.filters[0].not: is not a known field"}},
	"a filter on an unfilterable field": {[]string{"trigger.filters.0.field", `"subject"`}, []string{`trigger.filters[0].field: psa:ticket.created has no filterable field "subject"`}},
	"an unknown operator":               {[]string{"trigger.filters.0.operator", `"like"`}, []string{"trigger.filters[0].operator: must be one of eq, ne"}},
	"an operator in capitals":           {[]string{"trigger.filters.0.operator", `"IN"`}, []string{"trigger.filters[0].operator: must be one of"}},
	"in without an array":               {[]string{"trigger.filters.0.value", `"p1"`}, []string{"trigger.filters[0].value: must be an array of 1 to 200 values"}},
	"in with an empty array":            {[]string{"trigger.filters.0.value", `[]`}, []string{"trigger.filters[0].value: must be an array of 1 to 200 values"}},
	"in with too many values":           {[]string{"trigger.filters.0.value", array(`"p1"`, 201)}, []string{"trigger.filters[0].value: must be an array of 1 to 200 values"}},
	"in with a nested array": {
		[]string{"trigger.filters.0.value", `["p1",["p2"]]`},
		[]string{"trigger.filters[0].value[1]: must be a string", "trigger.filters[0].value[1]: priority is one of"},
	},
	"a value that the field can never have":   {[]string{"trigger.filters.0.value", `["p1","P2"]`}, []string{"trigger.filters[0].value[1]: priority is one of p2, p1, p3, p4"}},
	"not_in with a value outside of the enum": {[]string{"trigger.filters.0.operator", `"not_in"`, "trigger.filters.0.value", `["p9"]`}, []string{"trigger.filters[0].value[0]: priority is one of"}},
	"eq with an array":                        {[]string{"trigger.filters.0.operator", `"eq"`}, []string{"trigger.filters[0].value: eq takes a string", "trigger.filters[0].value: priority is one of"}},
	"eq of a number with a string":            {[]string{"trigger.filters.1.operator", `"eq"`, "trigger.filters.1.value", `5`}, []string{"trigger.filters[1].value: client_id is a string, not a number"}},
	"a number operator on another type":       {[]string{"trigger.filters.0.operator", `"gt"`, "trigger.filters.0.value", `5`}, []string{"trigger.filters[0].operator: gt compares numbers, and priority is of type enum"}},
	"gt with a string":                        {[]string{"trigger.filters.0.operator", `"lte"`, "trigger.filters.0.value", `"5"`}, []string{"trigger.filters[0].value: lte takes a number, not a string", "trigger.filters[0].operator: lte compares numbers"}},
	"contains of a number":                    {[]string{"trigger.filters.1.operator", `"contains"`, "trigger.filters.1.value", `5`}, []string{"trigger.filters[1].value: contains takes a string, not a number"}},
	"exists with a string":                    {[]string{"trigger.filters.1.value", `"true"`}, []string{"trigger.filters[1].value: exists takes true or false, not a string"}},
	"starts_with in a number": {
		[]string{"trigger", `{"type":"bus_event","source_product":"defend","event_type":"alert.fired","filters":[{"field":"detection_confidence","operator":"starts_with","value":"0"}]}`},
		[]string{"trigger.filters[0].operator: starts_with compares strings, and detection_confidence is of type number"},
	},
	"eq of a number field with a string": {
		[]string{"trigger", `{"type":"bus_event","source_product":"defend","event_type":"alert.fired","filters":[{"field":"detection_confidence","operator":"eq","value":"0.9"}]}`},
		[]string{"trigger.filters[0].value: detection_confidence is a number, not a string"},
	},
	"ne of a boolean field with a string": {
		[]string{"trigger", `{"type":"bus_event","source_product":"defend","event_type":"vulnerability.found","filters":[{"field":"exploited","operator":"ne","value":"true"}]}`},
		[]string{"trigger.filters[0].value: exploited is a boolean, not a string"},
	},

	"a condition that is a string":         {[]string{"conditions.0", `"x"`}, []string{"conditions[0]: must be an object, not a string"}},
	"a condition of an unknown context":    {[]string{"conditions.0.context", `"agent"`}, []string{"conditions[0].context: must be one of event, client_context"}},
	"a condition on the run before it":     {[]string{"conditions.0.context", `"run"`}, []string{"conditions[0].context: must be one of event, client_context"}},
	"a condition without a field":          {[]string{"conditions.0.field", ""}, []string{"conditions[0].field: is required"}},
	"a condition with an empty field":      {[]string{"conditions.0.field", `""`}, []string{"conditions[0].field: must not be empty"}},
	"a condition without a value":          {[]string{"conditions.0.value", ""}, []string{"conditions[0].value: is required"}},
	"a condition with an unknown field":    {[]string{"conditions.0.unless", `1`}, []string{"conditions[0].unless: is not a known field"}},
	"an empty group":                       {[]string{"conditions.1.any", `[]`}, []string{"conditions[1].any: must not be empty"}},
	"a group that is no array":             {[]string{"conditions.1.any", `{}`}, []string{"conditions[1].any: must be an array, not an object"}},
	"a group of two kinds":                 {[]string{"conditions.1.all", `[{"field":"a","operator":"exists","value":true}]`}, []string{"conditions[1].any: is not a known field"}},
	"a group that is a condition too":      {[]string{"conditions.1.field", `"a"`}, []string{"conditions[1].field: is not a known field"}},
	"a fault deep in a group":              {[]string{"conditions.1.any.1.all.0.operator", `"is"`}, []string{"conditions[1].any[1].all[0].operator: must be one of"}},
	"groups that nest too deep":            {[]string{"conditions.1", nestedGroups(5)}, []string{"conditions[1]" + strings.Repeat(".all[0]", 4) + ".all: conditions nest at most 5 deep"}},
	"a client_scope that is another word":  {[]string{"client_scope", `"none"`}, []string{`client_scope: must be "all"`}},
	"a client_scope that is empty":         {[]string{"client_scope", `{}`}, []string{"client_scope: must have either include or exclude"}},
	"a client_scope with both":             {[]string{"client_scope.exclude", `["a"]`}, []string{"client_scope: must have either include or exclude"}},
	"a client_scope with an unknown field": {[]string{"client_scope.only", `1`}, []string{"client_scope.only: is not a known field"}},
	"a client that is a number":            {[]string{"client_scope.include.0", `5`}, []string{"client_scope.include[0]: must be a string, not a number"}},
	"an invalid client id":                 {[]string{"client_scope.include.0", `"a b"`}, []string{"client_scope.include[0]: must be a client id"}},
	"an empty limit":                       {[]string{"execution_limit", `{}`}, []string{"execution_limit: must have max_per_hour"}},
	"a limit that is a number":             {[]string{"execution_limit", `5`}, []string{"execution_limit: must be an object, not a number"}},
	"a limit of zero":                      {[]string{"execution_limit.max_per_hour", `0`}, []string{"execution_limit.max_per_hour: must be a whole number from 1"}},
	"a limit below zero":                   {[]string{"execution_limit.max_per_day", `-1`}, []string{"execution_limit.max_per_day: must be a whole number from 1"}},
	"a limit that is a fraction":           {[]string{"execution_limit.cooldown_minutes", `1.5`}, []string{"execution_limit.cooldown_minutes: must be a whole number"}},
	"a limit that is text":                 {[]string{"execution_limit.max_per_hour", `"5"`}, []string{"execution_limit.max_per_hour: must be a whole number"}},
	"a limit of another kind":              {[]string{"execution_limit.max_per_week", `5`}, []string{"execution_limit.max_per_week: is not a known field"}},

	"no steps":                        {[]string{"steps", ""}, []string{"steps: is required"}},
	"empty steps":                     {[]string{"steps", `[]`}, []string{"steps: must not be empty"}},
	"steps that are an object":        {[]string{"steps", `{}`}, []string{"steps: must be an array, not an object"}},
	"a step that is a string":         {[]string{"steps.5", `"wait"`}, []string{"steps[5]: must be an object, not a string"}},
	"a step without an id":            {[]string{"steps.5.id", ""}, []string{"steps[5].id: is required"}},
	"a step without a type":           {[]string{"steps.5.type", ""}, []string{"steps[5].type: is required"}},
	"a step of an unknown type":       {[]string{"steps.5.type", `"http"`}, []string{"steps[5].type: must be one of ai_reason, product_action"}},
	"an id that begins with a digit":  {[]string{"steps.5.id", `"1st"`}, []string{"steps[5].id: must begin with a letter"}},
	"an id in capitals":               {[]string{"steps.5.id", `"Rest"`}, []string{"steps[5].id: must begin with a letter"}},
	"an id with a hyphen":             {[]string{"steps.5.id", `"the-rest"`}, []string{"steps[5].id: must begin with a letter"}},
	"an id with a line break":         {[]string{"steps.5.id", `"rest\n"`}, []string{"steps[5].id: must begin with a letter"}},
	"an id that is too long":          {[]string{"steps.5.id", quoted("a", 65)}, []string{"steps[5].id: has 65 characters; 64 are allowed", "steps[5].id: must begin with a letter"}},
	"an id twice":                     {[]string{"steps.5.id", `"note"`}, []string{`steps[5].id: "note" is used twice`}},
	"an id twice at different depths": {[]string{"steps.5.id", `"pause"`}, []string{`steps[5].id: "pause" is used twice`}},
	"a step with an unknown field":    {[]string{"steps.5.colour", `1`}, []string{"steps[5].colour: is not a known field"}},
	"a field of another kind":         {[]string{"steps.5.prompt", `"x"`}, []string{"steps[5].prompt: is not a known field"}},
	"a step's name that is too long":  {[]string{"steps.5.name", quoted("x", 201)}, []string{"steps[5].name: has 201 characters"}},
	"an on_error of another word":     {[]string{"steps.4.on_error", `"retry"`}, []string{"steps[4].on_error: must be one of fail, continue"}},
	"an if that is a string":          {[]string{"steps.4.if", `"true"`}, []string{"steps[4].if: must be an object, not a string"}},
	"an if with a fault":              {[]string{"steps.4.if.operator", `"gt"`}, []string{"steps[4].if.value: gt takes a number, not a string"}},
	"an if on a later step":           {[]string{"steps.4.if", `{"context":"run","field":"steps.rest.output.x","operator":"exists","value":true}`}, []string{`steps[4].if.field: no step "rest" comes before this one`}},
	"an if on itself":                 {[]string{"steps.4.if", `{"context":"run","field":"steps.note.output.x","operator":"exists","value":true}`}, []string{`steps[4].if.field: no step "note" comes before this one`}},
	"an if on an unknown root":        {[]string{"steps.4.if", `{"context":"run","field":"payload.x","operator":"exists","value":true}`}, []string{`steps[4].if.field: "payload" is unknown here`}},
	"a retry that is a number":        {[]string{"steps.4.retry", `3`}, []string{"steps[4].retry: must be an object, not a number"}},
	"a retry without attempts":        {[]string{"steps.4.retry.max_attempts", ""}, []string{"steps[4].retry.max_attempts: is required"}},
	"a retry of six attempts":         {[]string{"steps.4.retry.max_attempts", `6`}, []string{"steps[4].retry.max_attempts: must be a whole number from 1 to 5"}},
	"a retry of 0 attempts":           {[]string{"steps.4.retry.max_attempts", `0`}, []string{"steps[4].retry.max_attempts: must be a whole number from 1 to 5"}},
	"a backoff that is too long":      {[]string{"steps.4.retry.backoff_seconds", `3600`}, []string{"steps[4].retry.backoff_seconds: must be a whole number from 0 to"}},
	"a retry with an unknown field":   {[]string{"steps.4.retry.jitter", `true`}, []string{"steps[4].retry.jitter: is not a known field"}},
	"a timeout of 0":                  {[]string{"steps.4.timeout_seconds", `0`}, []string{"steps[4].timeout_seconds: must be a whole number from 1"}},
	"a timeout that is a fraction":    {[]string{"steps.4.timeout_seconds", `0.5`}, []string{"steps[4].timeout_seconds: must be a whole number"}},

	"an unknown model":                  {[]string{"steps.0.model", `"gpt-4"`}, []string{"steps[0].model: must be one of quick, standard, premium, expert"}},
	"no model":                          {[]string{"steps.0.model", ""}, []string{"steps[0].model: is required"}},
	"no prompt":                         {[]string{"steps.0.prompt", ""}, []string{"steps[0].prompt: is required"}},
	"a prompt that is too long":         {[]string{"steps.0.prompt", quoted("x", 20_001)}, []string{"steps[0].prompt: has 20001 characters"}},
	"a schema that is an array":         {[]string{"steps.0.output_schema", `[]`}, []string{"steps[0].output_schema: must be a JSON Schema object, not an array"}},
	"a schema of an unknown type":       {[]string{"steps.0.output_schema.type", `"text"`}, []string{"steps[0].output_schema: is not a JSON Schema"}},
	"a schema that reads a file":        {[]string{"steps.0.output_schema", `{"$ref":"file:///etc/passwd"}`}, []string{"steps[0].output_schema: is not a JSON Schema"}},
	"a schema that reads the web":       {[]string{"steps.0.output_schema", `{"$ref":"https://example.com/x.json"}`}, []string{"steps[0].output_schema: is not a JSON Schema"}},
	"a schema with a broken expression": {[]string{"steps.0.output_schema", `{"pattern":"("}`}, []string{"steps[0].output_schema: is not a JSON Schema"}},
	"an output_var in capitals": {
		[]string{"steps.0.output_var", `"Verdict"`},
		[]string{"steps[0].output_var: must begin with a letter", `steps[3].else[0].body: "verdict" is unknown here`},
	},
	"an output_var that is a root": {
		[]string{"steps.0.output_var", `"event"`},
		[]string{`steps[0].output_var: "event" is reserved`, `steps[3].else[0].body: "verdict" is unknown here`},
	},
	"an output_var called steps": {
		[]string{"steps.0.output_var", `"steps"`},
		[]string{`steps[0].output_var: "steps" is reserved`, `steps[3].else[0].body: "verdict" is unknown here`},
	},
	"the id of a step that has an output_var": {[]string{"steps.3.else.0.body", `"{{ triage.noise }}"`}, []string{`steps[3].else[0].body: "triage" is unknown here`}},

	"an unknown product":               {[]string{"steps.4.product", `"erp"`}, []string{`steps[4].action: product "erp" has no action "add_note"; products with actions: `}},
	"an unknown action":                {[]string{"steps.4.action", `"explode"`}, []string{`steps[4].action: product "psa" has no action "explode"; it has `}},
	"no action":                        {[]string{"steps.4.action", ""}, []string{"steps[4].action: is required"}},
	"params that are an array":         {[]string{"steps.4.params", `[]`}, []string{"steps[4].params: must be an object, not an array"}},
	"a required param that is missing": {[]string{"steps.4.params.body", ""}, []string{"steps[4].params.body: is required by psa:add_note"}},
	"no params at all":                 {[]string{"steps.4.params", ""}, []string{"steps[4].params.ticket_id: is required", "steps[4].params.body: is required"}},
	"an unknown param":                 {[]string{"steps.4.params.colour", `1`}, []string{`steps[4].params.colour: psa:add_note has no parameter "colour"`}},
	"a param of another type":          {[]string{"steps.4.params.body", `true`}, []string{"steps[4].params.body: must be a string, not a boolean: true"}},
	"a param that is null":             {[]string{"steps.4.params.body", `null`}, []string{"steps[4].params.body: is required by psa:add_note"}},
	"a param that is none of its values": {
		[]string{"steps.4.params.visibility", `"secret"`}, []string{"steps[4].params.visibility: must be one of public, internal"},
	},
	"a template deep in a param": {
		[]string{"steps.4.params.body", `{"a":["{{ nope.x }}"]}`},
		[]string{`steps[4].params.body.a[0]: "nope" is unknown here`, "steps[4].params.body: must be a string, not an object"},
	},
	"a gate that does not require approval": {
		[]string{"steps.1.if", `{"field":"priority","operator":"eq","value":"p1"}`}, []string{"steps[2]: defend:isolate_device is destructive"},
	},

	"a destructive parameter from after the gate": {
		[]string{"steps.2.params.device_id", `"{{ steps.ask.output.note }}"`, "steps.2.params.reason", `"{{ event.id }} {{ ask.note }} {{ ask.decision }}"`},
		[]string{
			`steps[2].params.device_id: "steps.ask.output.note" is not known yet at the approval_gate before defend:isolate_device, so approvers would not see its value: move the gate behind the step that produces it`,
			`steps[2].params.reason: "ask.note" is not known yet`,
		},
	},

	"an unknown channel":                     {[]string{"steps.3.else.0.channel", `"pager"`}, []string{"steps[3].else[0].channel: must be one of sms, email, slack, teams, webhook"}},
	"no recipients":                          {[]string{"steps.3.else.0.recipients", ""}, []string{"steps[3].else[0].recipients: is required"}},
	"an empty list of recipients":            {[]string{"steps.3.else.0.recipients", `[]`}, []string{"steps[3].else[0].recipients: must not be empty"}},
	"too many recipients":                    {[]string{"steps.3.else.0.recipients", numbered(`"https://hooks.example/%d"`, 21)}, []string{"steps[3].else[0].recipients: has 21 entries; 20 are allowed"}},
	"a recipient twice":                      {[]string{"steps.3.else.0.recipients", `["https://hooks.example/x", "https://hooks.example/y", "https://hooks.example/x"]`}, []string{"steps[3].else[0].recipients[2]: is the same as recipients[0]; each recipient gets the message once"}},
	"a number written in two ways":           {[]string{"steps.1.notify", `[{"channel":"sms","recipients":["+15551234567","+1 (555) 123-4567"]}]`}, []string{"steps[1].notify[0].recipients[1]: is the same as recipients[0]; each recipient gets the message once"}},
	"a recipient that is a number":           {[]string{"steps.3.else.0.recipients.0", `5`}, []string{"steps[3].else[0].recipients[0]: must be a string, not a number"}},
	"an empty recipient":                     {[]string{"steps.3.else.0.recipients.0", `""`}, []string{"steps[3].else[0].recipients[0]: must not be empty"}},
	"a recipient that is no URL":             {[]string{"steps.3.else.0.recipients.0", `"#general"`}, []string{`steps[3].else[0].recipients[0]: "#general" is not an https URL`}},
	"no body":                                {[]string{"steps.3.else.0.body", ""}, []string{"steps[3].else[0].body: is required"}},
	"a subject that is too long":             {[]string{"steps.3.else.0.subject", quoted("x", 201)}, []string{"steps[3].else[0].subject: has 201 characters"}},
	"a tag in a body":                        {[]string{"steps.3.else.0.body", `"{% assign x = 1 %}"`}, []string{"steps[3].else[0].body: Tags"}},
	"an open placeholder":                    {[]string{"steps.3.else.0.body", `"{{ event_payload.x"`}, []string{"steps[3].else[0].body: A placeholder is not closed"}},
	"an unknown filter of a template":        {[]string{"steps.3.else.0.body", `"{{ event.id | shout }}"`}, []string{`steps[3].else[0].body: There is no filter "shout"`}},
	"an unknown root of a template":          {[]string{"steps.3.else.0.subject", `"{{ ticket.id }}"`}, []string{`steps[3].else[0].subject: "ticket" is unknown here`}},
	"an unknown root of a filter's argument": {[]string{"steps.3.else.0.body", `"{{ event.id | append: ticket.id }}"`}, []string{`steps[3].else[0].body: "ticket" is unknown here`}},
	"a recipient with an unknown root":       {[]string{"steps.3.else.0.recipients.0", `"https://x.example/{{ nobody.url }}"`}, []string{`steps[3].else[0].recipients[0]: "nobody" is unknown here`}},
	"a recipient from a model's answer":      {[]string{"steps.3.else.0.recipients.0", `"https://x.example/{{ verdict.url }}"`}, []string{"steps[3].else[0].recipients[0]: recipients must not come from a model's answer"}},
	"a recipient from a model's answer by the step's id": {
		[]string{"steps.3.else.0.recipients.0", `"https://x.example/{{ event.id | append: steps.triage.output.url }}"`},
		[]string{"steps[3].else[0].recipients[0]: recipients must not come from a model's answer"},
	},
	"a recipient from an action with a model's answer": {
		[]string{"steps.4.params.body", `"{{ verdict.email }}"`, "steps.5", `{"id":"last","type":"notification","channel":"email","recipients":["{{ steps.note.output.body }}"],"body":"b"}`},
		[]string{"steps[5].recipients[0]: recipients must not come from a model's answer"},
	},
	"a recipient from an action with a model's answer deep in its parameters": {
		[]string{
			"steps.3.else.0", `{"id":"made","type":"product_action","product":"psa","action":"create_ticket","params":{"subject":"s","description":"a {{ event.id | append: steps.triage.output.x }}","client_id":"c"}}`,
			"steps.5", `{"id":"last","type":"notification","channel":"email","recipients":["{{ made.description }}"],"body":"b"}`,
		},
		[]string{"steps[5].recipients[0]: recipients must not come from a model's answer"},
	},
	"a recipient from an action with the reply of such an action": {
		[]string{
			"steps.4.params.body", `"{{ verdict.email }}"`,
			"steps.5", `{"id":"more","type":"product_action","product":"psa","action":"add_note","params":{"ticket_id":"t","body":"{{ note.id }}","visibility":"internal"}}`,
			"steps.6", `{"id":"last","type":"approval_gate","message":"?","notify":[{"channel":"email","recipients":["{{ more.email }}"]}]}`,
		},
		[]string{"steps[6].notify[0].recipients[0]: recipients must not come from a model's answer"},
	},
	"a template of a later step":            {[]string{"steps.0.prompt", `"{{ steps.note.output.id }}"`}, []string{`steps[0].prompt: no step "note" comes before this one`}},
	"a template of its own step":            {[]string{"steps.0.system", `"{{ steps.triage.output.id }}"`}, []string{`steps[0].system: no step "triage" comes before this one`}},
	"a template of a step of the same case": {[]string{"steps.3.cases.0.steps.0", `{"id":"pause","type":"wait","until":"{{ steps.tell.output.at }}"}`}, []string{`steps[3].cases[0].steps[0].until: no step "tell" comes before this one`}},
	"a template of the branch around it":    {[]string{"steps.3.else.0.body", `"{{ steps.route.output }}"`}, []string{`steps[3].else[0].body: no step "route" comes before this one`}},
	"a template of a step of another case": {
		[]string{"steps.3.else.0.body", `"{{ steps.pause.output.waited_seconds }}"`}, []string{`steps[3].else[0].body: no step "pause" comes before this one on this path`},
	},
	"a template of an output variable of another case": {
		[]string{"steps.3.cases.0.steps.0", `{"id":"think","type":"ai_reason","model":"quick","prompt":"p","output_var":"thought"}`, "steps.3.else.0.body", `"{{ thought.text }}"`},
		[]string{`steps[3].else[0].body: "thought" is unknown here; known are event_payload, event, client_context, agent, execution, steps.<id>.output and the output variables of earlier steps on this path`},
	},
	"a condition on a step of another case": {
		[]string{"steps.3.else.0.if", `{"context":"run","field":"steps.pause.output.waited_seconds","operator":"gt","value":1}`},
		[]string{`steps[3].else[0].if.field: no step "pause" comes before this one on this path`},
	},
	"a condition of a case on a step of the case before": {
		[]string{"steps.3.cases.1", `{"when":{"context":"run","field":"steps.pause.output","operator":"exists","value":true},"steps":[{"id":"p2","type":"wait","duration_seconds":1}]}`},
		[]string{`steps[3].cases[1].when.field: no step "pause" comes before this one on this path`},
	},
	"a template of a step's input":    {[]string{"steps.3.else.0.body", `"{{ steps.triage.input }}"`}, []string{"steps[3].else[0].body: the only field of a step is its output: steps.triage.output"}},
	"a template of a misspelt output": {[]string{"steps.3.else.0.body", `"{{ steps.triage.outputs.noise }}"`}, []string{"steps[3].else[0].body: the only field of a step is its output: steps.triage.output"}},
	"a template of all steps":         {[]string{"steps.3.else.0.body", `"{{ steps }}"`}, []string{`steps[3].else[0].body: no step "" comes before`}},

	"a gate without a message":                  {[]string{"steps.1.message", ""}, []string{"steps[1].message: is required"}},
	"a gate of nine seconds":                    {[]string{"steps.1.timeout_seconds", `9`}, []string{"steps[1].timeout_seconds: must be a whole number from 10 to 31536000"}},
	"a gate of more than a year":                {[]string{"steps.1.timeout_seconds", `31536001`}, []string{"steps[1].timeout_seconds: must be a whole number from 10 to 31536000"}},
	"a gate that names viewers":                 {[]string{"steps.1.approvers.roles.0", `"viewer"`}, []string{"steps[1].approvers.roles[0]: viewers cannot decide"}},
	"a gate that escalates to viewers":          {[]string{"steps.1.escalate_to.roles.0", `"viewer"`}, []string{"steps[1].escalate_to.roles[0]: viewers cannot decide"}},
	"a gate that names an unknown role":         {[]string{"steps.1.approvers.roles.0", `"boss"`}, []string{"steps[1].approvers.roles[0]: must be one of owner, admin, member"}},
	"a gate that names a number":                {[]string{"steps.1.approvers.users.0", `5`}, []string{"steps[1].approvers.users[0]: must be a string, not a number"}},
	"a gate that names an invalid user id":      {[]string{"steps.1.approvers.users.0", `"a b"`}, []string{"steps[1].approvers.users[0]: must be a user id"}},
	"approvers with an unknown field":           {[]string{"steps.1.approvers.groups", `[]`}, []string{"steps[1].approvers.groups: is not a known field"}},
	"approvers that are an array":               {[]string{"steps.1.approvers", `["user_1"]`}, []string{"steps[1].approvers: must be an object, not an array"}},
	"a minimum of 0":                            {[]string{"steps.1.min_approvals", `0`}, []string{"steps[1].min_approvals: must be a whole number from 1"}},
	"an on_expiry of another word":              {[]string{"steps.1.on_expiry", `"ignore"`}, []string{"steps[1].on_expiry: must be one of deny, approve, escalate", "steps[1].escalate_to: is required with"}},
	"escalate without escalate_to":              {[]string{"steps.1.escalate_to", ""}, []string{"steps[1].escalate_to: is required with on_expiry escalate"}},
	"an escalation that never happens":          {[]string{"steps.1.on_expiry", `"deny"`}, []string{"steps[1].escalate_to: is required with on_expiry escalate"}},
	"an escalation with an unknown field":       {[]string{"steps.1.escalate_to.channel", `"sms"`}, []string{"steps[1].escalate_to.channel: is not a known field"}},
	"an escalation of one second":               {[]string{"steps.1.escalate_to.timeout_seconds", `1`}, []string{"steps[1].escalate_to.timeout_seconds: must be a whole number from 10"}},
	"an escalation message to a bad address":    {[]string{"steps.1.escalate_to.notify", `[{"channel":"email","recipients":["oncall"]}]`}, []string{`steps[1].escalate_to.notify[0].recipients[0]: "oncall" is not an e-mail address`}},
	"an escalation message without recipients":  {[]string{"steps.1.escalate_to.notify", `[{"channel":"email","recipients":[]}]`}, []string{"steps[1].escalate_to.notify[0].recipients: must not be empty"}},
	"an escalation message to a model's answer": {[]string{"steps.1.escalate_to.notify", `[{"channel":"email","recipients":["{{ steps.triage.output.mail }}"]}]`}, []string{"steps[1].escalate_to.notify[0].recipients[0]: "}},
	"an escalation with channels":               {[]string{"steps.1.escalate_to.notify", `{"channel":"email"}`}, []string{"steps[1].escalate_to.notify: must be an array, not an object"}},
	"a gate message to a bad address":           {[]string{"steps.1.notify.0.recipients.0", `"oncall"`}, []string{`steps[1].notify[0].recipients[0]: "oncall" is not an e-mail address`}},
	"a gate message on an unknown channel":      {[]string{"steps.1.notify.0.channel", `"pager"`}, []string{"steps[1].notify[0].channel: must be one of"}},
	"a gate message with an unknown field":      {[]string{"steps.1.notify.0.body", `"x"`}, []string{"steps[1].notify[0].body: is not a known field"}},
	"a gate with the output of a later one":     {[]string{"steps.1.message", `"{{ steps.note.output }}"`}, []string{`steps[1].message: no step "note" comes before this one`}},

	"a branch without cases":          {[]string{"steps.3.cases", ""}, []string{"steps[3].cases: is required"}},
	"a branch with empty cases":       {[]string{"steps.3.cases", `[]`}, []string{"steps[3].cases: must not be empty"}},
	"a case without a condition":      {[]string{"steps.3.cases.0.when", ""}, []string{"steps[3].cases[0].when: is required"}},
	"a case without steps":            {[]string{"steps.3.cases.0.steps", ""}, []string{"steps[3].cases[0].steps: is required"}},
	"a case with empty steps":         {[]string{"steps.3.cases.0.steps", `[]`}, []string{"steps[3].cases[0].steps: must not be empty"}},
	"a case with an unknown field":    {[]string{"steps.3.cases.0.else", `[]`}, []string{"steps[3].cases[0].else: is not a known field"}},
	"a case that is an array":         {[]string{"steps.3.cases.0", `[]`}, []string{"steps[3].cases[0]: must be an object, not an array"}},
	"an else that is an object":       {[]string{"steps.3.else", `{}`}, []string{"steps[3].else: must be an array, not an object"}},
	"a condition of a case on itself": {[]string{"steps.3.cases.0.when.field", `"steps.route.output"`}, []string{`steps[3].cases[0].when.field: no step "route" comes before this one`}},
	"too many cases": {
		[]string{"steps.3.cases", numbered(`{"when":{"field":"a","operator":"exists","value":true},"steps":[{"id":"w%d","type":"wait","duration_seconds":1}]}`, 21)},
		[]string{"steps[3].cases: has 21 entries; 20 are allowed"},
	},

	"a wait without duration and time": {[]string{"steps.5.until", ""}, []string{"steps[5]: must have either duration_seconds or until"}},
	"a wait for both":                  {[]string{"steps.5.duration_seconds", `5`}, []string{"steps[5]: must have either duration_seconds or until"}},
	"a wait of 0 seconds":              {[]string{"steps.5", `{"id":"rest","type":"wait","duration_seconds":0}`}, []string{"steps[5].duration_seconds: must be a whole number from 1 to 31536000"}},
	"a wait of more than a year":       {[]string{"steps.5", `{"id":"rest","type":"wait","duration_seconds":31536001}`}, []string{"steps[5].duration_seconds: must be a whole number from 1 to 31536000"}},
	"a wait until no valid time":       {[]string{"steps.5.until", `"tomorrow"`}, []string{"steps[5].until: must be a time like"}},
	"a wait until a day":               {[]string{"steps.5.until", `"2026-03-09"`}, []string{"steps[5].until: must be a time like"}},
	"a wait until an empty time":       {[]string{"steps.5.until", `""`}, []string{"steps[5].until: must be a time like"}},
	"a wait until an unknown variable": {[]string{"steps.5.until", `"{{ calendar.next }}"`}, []string{`steps[5].until: "calendar" is unknown here`}},

	"an output_var that an earlier step has": {
		[]string{"steps.5", `{"id":"again","type":"ai_reason","model":"quick","prompt":"p","output_var":"verdict"}`},
		[]string{`steps[5].output_var: "verdict" is the name of an earlier step's output`},
	},
	"an output_var that a step before the branch has": {
		[]string{"steps.3.else.0", `{"id":"again","type":"ai_reason","model":"quick","prompt":"p","output_var":"verdict"}`},
		[]string{`steps[3].else[0].output_var: "verdict" is the name of an earlier step's output`},
	},
	"an output_var that a step of a case before has": {
		[]string{
			"steps.3.cases.0.steps.0", `{"id":"one","type":"ai_reason","model":"quick","prompt":"p","output_var":"thought"}`,
			"steps.5", `{"id":"two","type":"ai_reason","model":"quick","prompt":"p","output_var":"thought"}`,
		},
		[]string{`steps[5].output_var: "thought" is the name of an earlier step's output`},
	},
	"an output_var that is an earlier step's id": {
		[]string{"steps.5", `{"id":"again","type":"ai_reason","model":"quick","prompt":"p","output_var":"note"}`},
		[]string{`steps[5].output_var: "note" is another step's id`},
	},
	"an output_var that is the branch around it": {
		[]string{"steps.3.else.0", `{"id":"again","type":"ai_reason","model":"quick","prompt":"p","output_var":"route"}`},
		[]string{`steps[3].else[0].output_var: "route" is another step's id`},
	},
	"an output_var that is a step with an output_var": {
		[]string{"steps.5", `{"id":"again","type":"ai_reason","model":"quick","prompt":"p","output_var":"triage"}`},
		[]string{`steps[5].output_var: "triage" is another step's id`},
	},
	"a step that is called like an earlier output_var": {
		[]string{"steps.5.id", `"verdict"`}, []string{`steps[5].id: "verdict" is an earlier step's output_var`},
	},
	"a step that is called like the branch around it": {
		[]string{"steps.3.else.0.id", `"route"`}, []string{`steps[3].else[0].id: "route" is used twice`},
	},

	"faults in several places": {
		[]string{"name", `""`, "colour", `1`, "steps.0.model", `"x"`, "steps.3.cases.0.steps.0.duration_seconds", `"x"`, "client_scope", `5`},
		[]string{"name: must not be empty", "client_scope: must be", "steps[0].model: must be one of", "steps[3].cases[0].steps[0].duration_seconds: must be a whole number", "colour: is not a known field"},
	},
}

func quoted(s string, n int) string { return `"` + strings.Repeat(s, n) + `"` }

func array(element string, n int) string {
	return "[" + strings.TrimSuffix(strings.Repeat(element+",", n), ",") + "]"
}

func numbered(element string, n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(element, i)
	}
	return "[" + strings.Join(all, ",") + "]"
}

// nestedGroups returns a condition inside n groups.
func nestedGroups(n int) string {
	return strings.Repeat(`{"all":[`, n) + `{"field":"a","operator":"exists","value":true}` + strings.Repeat(`]}`, n)
}

func TestABadDefinitionIsRefusedWithEveryFault(t *testing.T) {
	t.Parallel()

	for name, tc := range bad {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			doc := read(t, "everything")
			for pair := range slices.Chunk(tc.edits, 2) {
				edit(t, doc, pair[0], pair[1])
			}
			d, err := rules(t).Parse(doc)
			if !errors.Is(err, definition.ErrConfig) {
				t.Fatalf("err = %v, want ErrConfig", err)
			}
			if diff := cmp.Diff(definition.Definition{}, d); diff != "" {
				t.Errorf("a definition is returned with the error:\n%s", diff)
			}
			got := faults(err)
			if len(got) != len(tc.faults) {
				t.Fatalf("%d faults, want %d:\n%s", len(got), len(tc.faults), strings.Join(got, "\n"))
			}
			for _, want := range tc.faults {
				path, message, _ := strings.Cut(want, ": ")
				if !slices.ContainsFunc(got, func(s string) bool {
					return strings.HasPrefix(s, path+": ") && strings.Contains(s, message)
				}) {
					t.Errorf("%q is not among\n%s", want, strings.Join(got, "\n"))
				}
			}
			_, again := rules(t).Parse(doc)
			if diff := cmp.Diff(got, faults(again)); diff != "" {
				t.Errorf("the second time the faults differ:\n%s", diff)
			}
		})
	}
}

func TestADefinitionAtItsLimitsIsAccepted(t *testing.T) {
	t.Parallel()

	for name, edits := range map[string][]string{
		"the longest name":                          {"name", quoted("ä", 200)},
		"the longest description":                   {"description", quoted("ä", 2000)},
		"the longest id":                            {"steps.5.id", quoted("a", 64)},
		"the longest prompt":                        {"steps.0.prompt", quoted("x", 20_000)},
		"fifty filters":                             {"trigger.filters", array(`{"field":"type","operator":"eq","value":"a"}`, 50)},
		"two hundred values":                        {"trigger.filters.0.value", array(`"p1"`, 200)},
		"twenty recipients":                         {"steps.3.else.0.recipients", numbered(`"https://hooks.example/%d"`, 20)},
		"twenty cases":                              {"steps.3.cases", numbered(`{"when":{"field":"a","operator":"exists","value":true},"steps":[{"id":"w%d","type":"wait","duration_seconds":1}]}`, 20)},
		"groups as deep as allowed":                 {"conditions.1", nestedGroups(4)},
		"a gate of ten seconds":                     {"steps.1.timeout_seconds", `10`},
		"a gate of a year":                          {"steps.1.timeout_seconds", `31536000`},
		"a gate without a timeout":                  {"steps.1.timeout_seconds", ""},
		"a wait of a second":                        {"steps.5", `{"id":"rest","type":"wait","duration_seconds":1}`},
		"a wait of a year":                          {"steps.5", `{"id":"rest","type":"wait","duration_seconds":31536000}`},
		"a wait until a time":                       {"steps.5.until", `"2026-03-09T14:23:01+01:00"`},
		"five attempts":                             {"steps.4.retry.max_attempts", `5`},
		"no backoff":                                {"steps.4.retry.backoff_seconds", `0`},
		"a client_scope that includes none":         {"client_scope", `{"include":[]}`},
		"a client_scope that excludes":              {"client_scope", `{"exclude":["cli_1","cli_2"]}`},
		"a limit with one field":                    {"execution_limit", `{"cooldown_minutes":30}`},
		"an else that is empty":                     {"steps.3.else", `[]`},
		"no else":                                   {"steps.3.else", ""},
		"a param that is a placeholder":             {"steps.4.params.visibility", `"{{ event_payload.visibility }}"`},
		"a field outside of the catalogue's sample": {"conditions.0", `{"field":"anything.at.0.all","operator":"eq","value":null}`},
		"an eq on a number":                         {"conditions.0", `{"field":"x","operator":"eq","value":1e3}`},
		"a schema that refers to itself":            {"steps.0.output_schema", `{"$defs":{"a":{"type":"array","items":{"$ref":"#/$defs/a"}}},"properties":{"noise":{"$ref":"#/$defs/a"}},"minItems":1,"maximum":1.5}`},
		"an empty schema":                           {"steps.0.output_schema", `{}`},
		"all roots in a template":                   {"steps.3.else.0.body", `"{{ event_payload.a }}{{ event.id }}{{ client_context.recent_incidents | default: 1 }}{{ agent.id }}{{ execution.id }}{{ steps.triage.output }}{{ steps.note2 | default: 1 }}"`, "steps.2.id", `"note2"`},
		"a template of an approval":                 {"steps.3.else.0.body", `"{{ steps.ask.output.decided_by }}"`},
		"a template of a step of a case":            {"steps.5.until", `"{{ steps.pause.output.at | default: event.published_at }}"`},
		"a path from the event":                     {"steps.3.else.0.recipients.0", `"https://x.example/{{ event_payload.hook }}?c={{ event.client_id }}"`},
		"a recipient from the event":                {"steps.3.else.0.channel", `"email"`, "steps.3.else.0.recipients.0", `"{{ event_payload.hook }}"`},
		"the same output_var in two cases": {
			"steps.3.cases.0.steps.0", `{"id":"one","type":"ai_reason","model":"quick","prompt":"p","output_var":"thought"}`,
			"steps.3.else.0", `{"id":"two","type":"ai_reason","model":"quick","prompt":"p","output_var":"thought"}`,
			"steps.4.params.body", `"{{ thought.text }}"`,
		},
		"an output_var that is its own step": {"steps.0.output_var", `"triage"`, "steps.3.else.0.body", `"{{ triage.noise }}"`},
		"a recipient from the reply of an action": {
			"steps.5", `{"id":"last","type":"notification","channel":"email","recipients":["{{ steps.note.output.email }}"],"body":"b"}`,
		},
		"a step that is called like a root":    {"steps.2.id", `"event"`},
		"a step that is called steps":          {"steps.2.id", `"steps"`},
		"a condition on an output variable":    {"steps.4.if", `{"context":"run","field":"verdict.noise","operator":"eq","value":false}`},
		"a condition on the event in a run":    {"steps.4.if", `{"context":"run","field":"event_payload.priority","operator":"eq","value":"p1"}`},
		"a filter on the beginning of an enum": {"trigger.filters.0", `{"field":"priority","operator":"starts_with","value":"p"}`},
		"a filter for a missing field":         {"trigger.filters.0", `{"field":"priority","operator":"exists","value":false}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			doc := read(t, "everything")
			for pair := range slices.Chunk(edits, 2) {
				edit(t, doc, pair[0], pair[1])
			}
			d := parse(t, doc)
			var stored definition.Definition
			if err := json.Unmarshal([]byte(text(t, d)), &stored); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(text(t, d), text(t, stored)); diff != "" {
				t.Errorf("storing and reading changes it:\n%s", diff)
			}
		})
	}
}

// waits returns n steps with the ids w<first>, w<first+1>, ….
func waits(first, n int) string {
	steps := make([]string, n)
	for i := range steps {
		steps[i] = fmt.Sprintf(`{"id":"w%d","type":"wait","duration_seconds":1}`, first+i)
	}
	return "[" + strings.Join(steps, ",") + "]"
}

// deep returns a step nested in the cases of branches, which count as steps too.
func deep(branches int) string {
	step := `{"id":"inner","type":"wait","duration_seconds":1}`
	for i := range branches {
		step = fmt.Sprintf(`{"id":"b%d","type":"branch","cases":[{"when":{"field":"a","operator":"exists","value":true},"steps":[%s]}]}`, i, step)
	}
	return "[" + step + "]"
}

// deepElse returns a step nested in the elses of branches.
func deepElse(branches int) string {
	step := `{"id":"inner","type":"wait","duration_seconds":1}`
	for i := range branches {
		step = fmt.Sprintf(`{"id":"b%d","type":"branch","cases":[{"when":{"field":"a","operator":"exists","value":true},"steps":[{"id":"c%d","type":"wait","duration_seconds":1}]}],"else":[%s]}`, i, i, step)
	}
	return "[" + step + "]"
}

func TestStepsAreLimitedInNumberAndDepth(t *testing.T) {
	t.Parallel()

	// mixed returns a branch with n steps in its case, followed by m steps.
	mixed := func(m, n int) string {
		return fmt.Sprintf(`[{"id":"b","type":"branch","cases":[{"when":{"field":"a","operator":"exists","value":true},"steps":%s}]},%s`,
			waits(1000, n), strings.TrimPrefix(waits(0, m), "["))
	}
	for name, tc := range map[string]struct {
		steps string
		fault string // "" for a valid definition
	}{
		"fifty steps":                          {waits(0, 50), ""},
		"fifty-one steps":                      {waits(0, 51), "steps: has 51 entries; 50 are allowed"},
		"fifty steps at two depths":            {mixed(20, 29), ""},
		"fifty-one steps at two depths":        {mixed(20, 30), "steps: there are 51 steps, nested ones included; 50 are allowed"},
		"a step at depth five":                 {deep(4), ""},
		"a step at depth six":                  {deep(5), strings.Replace("steps[0]"+strings.Repeat(".cases[0].steps[0]", 4)+".cases[0].steps: steps nest at most 5 deep", "[0].cases", "[0].cases", 1)},
		"a step at depth five of elses":        {deepElse(4), ""},
		"a step at depth six of elses":         {deepElse(5), "nest at most 5 deep"},
		"one step":                             {waits(0, 1), ""},
		"a hundred steps at depth two at once": {mixed(1, 100), "has 100 entries; 50 are allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			doc := read(t, "reference")
			edit(t, doc, "steps", tc.steps)
			_, err := rules(t).Parse(doc)
			switch {
			case tc.fault == "" && err != nil:
				t.Errorf("refused: %v", faults(err))
			case tc.fault != "" && !strings.Contains(strings.Join(faults(err), "\n"), tc.fault):
				t.Errorf("%v; want %q", faults(err), tc.fault)
			}
		})
	}
}

func TestAMalformedDefinitionIsRefusedWithoutAPanic(t *testing.T) {
	t.Parallel()

	for _, in := range []string{
		`{}`, `{"trigger":null,"steps":null}`, `{"steps":[null,5,"x",[],{}]}`, `{"steps":[{"type":"branch","cases":[null]}]}`,
		`{"steps":[{"type":"approval_gate","approvers":null,"notify":[null],"escalate_to":null}]}`,
		`{"conditions":[null,{"all":null},{"any":[null]}],"client_scope":{"include":null},"execution_limit":[]}`,
		`{"trigger":{"filters":[null,{}]},"steps":[{"type":"ai_reason","output_schema":null,"retry":null,"if":[]}]}`,
	} {
		if _, err := rules(t).Parse(object(t, in)); !errors.Is(err, definition.ErrConfig) {
			t.Errorf("%s: %v, want ErrConfig", in, err)
		}
		var d definition.Definition
		if err := json.Unmarshal([]byte(in), &d); err != nil {
			t.Errorf("%s cannot be read as a stored definition: %v", in, err)
		}
	}
	if _, err := rules(t).Parse(nil); !errors.Is(err, definition.ErrConfig) {
		t.Errorf("nil: %v, want ErrConfig", err)
	}
	var d definition.Definition
	if err := json.Unmarshal([]byte(`[]`), &d); err == nil {
		t.Error("an array was read as a definition")
	}
}

func TestARecipientMustBeReachable(t *testing.T) {
	t.Parallel()

	local := definition.Rules{Hosts: []string{"127.0.0.1:4580", "localhost"}}
	for name, tc := range map[string]struct {
		channel   definition.Channel
		recipient string
		want      bool
	}{
		"a number":                            {definition.SMS, "+15551234567", true},
		"a number without a plus":             {definition.SMS, "15551234567", false},
		"a number that begins with zero":      {definition.SMS, "+05551234567", false},
		"a number that is too long":           {definition.SMS, "+1234567890123456", false},
		"a number with blanks":                {definition.SMS, "+1 555 123 4567", false},
		"a number with a line break":          {definition.SMS, "+15551234567\n", false},
		"an address":                          {definition.Email, "jane.o'doe+x@mail.msp.example", true},
		"an address without a domain":         {definition.Email, "jane@localhost", false},
		"two addresses":                       {definition.Email, "a@b.example,c@d.example", false},
		"an address with a line break":        {definition.Email, "a@b.example\r\nBcc: c@d.example", false},
		"an address with a name":              {definition.Email, "Jane <a@b.example>", false},
		"an address that is too long":         {definition.Email, strings.Repeat("a", 64) + "@" + strings.Repeat("b.", 100) + "example", false},
		"a URL":                               {definition.Webhook, "https://hooks.example/a/b?c=d", true},
		"a URL with a port":                   {definition.Slack, "https://hooks.example:8443/x", true},
		"a URL without a path":                {definition.Teams, "https://hooks.example", true},
		"a URL without TLS":                   {definition.Webhook, "http://hooks.example/x", false},
		"a local URL":                         {definition.Webhook, "http://127.0.0.1:4580/hooks/org_a/webhook", true},
		"a local URL of another port":         {definition.Webhook, "http://127.0.0.1:22/x", false},
		"a local URL by name":                 {definition.Slack, "http://localhost/x", true},
		"a host that begins like a local one": {definition.Webhook, "http://127.0.0.1:4580.evil.example/x", false},
		"a URL with a user":                   {definition.Webhook, "https://user:pass@hooks.example/x", false},
		"a local host as a user":              {definition.Webhook, "http://127.0.0.1:4580@evil.example/x", false},
		"a URL with a fragment":               {definition.Webhook, "https://hooks.example/x#y", false},
		"a URL with a backslash":              {definition.Webhook, `https://hooks.example\@evil.example/`, false},
		"a URL of another scheme":             {definition.Webhook, "ftp://hooks.example/x", false},
		"a URL with a path that goes up":      {definition.Webhook, "https://hooks.example/a/../b", false},
		"a URL that ends in a path up":        {definition.Webhook, "https://hooks.example/a/..", false},
		"a URL with a path that goes nowhere": {definition.Webhook, "https://hooks.example/./b?c", false},
		"a URL with dots in its names":        {definition.Webhook, "https://hooks.example/a..b/.c/d.?e=/../f", true},
		"a URL with a blank":                  {definition.Webhook, "https://hooks.example/a b", false},
		"no URL":                              {definition.Slack, "#general", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			err := local.Reaches(tc.channel, tc.recipient)
			if tc.want != (err == nil) || err != nil && !errors.Is(err, definition.ErrRecipient) {
				t.Errorf("Reaches(%s, %q) = %v", tc.channel, tc.recipient, err)
			}
		})
	}
	if err := (definition.Rules{}).Reaches(definition.Webhook, "http://127.0.0.1:4580/x"); !errors.Is(err, definition.ErrRecipient) {
		t.Errorf("without configuration a local URL is reached: %v", err)
	}
}

func TestADefinitionIsNoLongerValidWhenTheCatalogueChanges(t *testing.T) {
	t.Parallel()

	d := parse(t, read(t, "everything"))
	err := definition.Rules{Catalog: catalog.Catalog{}}.Valid(d)
	if !errors.Is(err, definition.ErrConfig) {
		t.Fatalf("err = %v, want ErrConfig", err)
	}
	got := strings.Join(faults(err), "\n")
	for _, want := range []string{"trigger.event_type: there is no event", "steps[2].action: product", "steps[4].action: product"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not among\n%s", want, got)
		}
	}
	// A stored definition is not validated again, so it stays readable.
	var stored definition.Definition
	if err := json.Unmarshal([]byte(text(t, d)), &stored); err != nil || text(t, stored) != text(t, d) {
		t.Errorf("%v: %s", err, text(t, stored))
	}
}

func TestAStepHasATimeLimitAndAttempts(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		step     definition.Step
		limit    time.Duration
		attempts int
	}{
		"a gate":                               {definition.Step{Kind: definition.Gate}, 2 * time.Hour, 3},
		"a gate with a timeout":                {definition.Step{Kind: definition.Gate, Timeout: 600}, 10 * time.Minute, 3},
		"an AI step":                           {definition.Step{Kind: definition.AI}, time.Minute, 3},
		"an action":                            {definition.Step{Kind: definition.Action}, 30 * time.Second, 3},
		"an action with a timeout and a retry": {definition.Step{Kind: definition.Action, Timeout: 5, Retry: &definition.Retry{MaxAttempts: 1}}, 5 * time.Second, 1},
		"a notification":                       {definition.Step{Kind: definition.Notification}, 30 * time.Second, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if tc.step.TimeLimit() != tc.limit || tc.step.Attempts() != tc.attempts {
				t.Errorf("%v and %d attempts; want %v and %d", tc.step.TimeLimit(), tc.step.Attempts(), tc.limit, tc.attempts)
			}
		})
	}
	if got := (definition.Step{Kind: definition.Waiting}).TimeLimit(); got <= definition.MaxWait*time.Second {
		t.Errorf("a wait ends by its time limit of %v", got)
	}
	if (definition.GateStep{}).Min() != 1 || (definition.GateStep{MinApprovals: 3}).Min() != 3 {
		t.Error("Min is not the default 1 or the given 3")
	}
	if (definition.GateStep{}).Expiry() != definition.Deny || (definition.GateStep{OnExpiry: definition.Approve}).Expiry() != definition.Approve {
		t.Error("Expiry is not the default deny or the given approve")
	}
}

func TestAStepIsFoundUnderItsVariable(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		step definition.Step
		want string
	}{
		"a step is found by its id":                   {definition.Step{ID: "triage", AIStep: &definition.AIStep{}}, "triage"},
		"an output_var replaces the id":               {definition.Step{ID: "triage", AIStep: &definition.AIStep{OutputVar: "verdict"}}, "verdict"},
		"an action is found by its id":                {definition.Step{ID: "note", ActionStep: &definition.ActionStep{}}, "note"},
		"a step called event has no variable":         {definition.Step{ID: "event", ActionStep: &definition.ActionStep{}}, ""},
		"a step called event_payload has no variable": {definition.Step{ID: "event_payload", AIStep: &definition.AIStep{}}, ""},
		"a step called steps has no variable":         {definition.Step{ID: "steps", AIStep: &definition.AIStep{}}, ""},
		"an output_var replaces a reserved id":        {definition.Step{ID: "event", AIStep: &definition.AIStep{OutputVar: "x"}}, "x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if got := tc.step.Var(); got != tc.want {
				t.Errorf("Var = %q, want %q", got, tc.want)
			}
		})
	}
}
