package catalog_test

import (
	"io/fs"
	"maps"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"theoneagents.app/agents/events"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/jsonvalue"
)

// The required forms of names, labels and descriptions.
var (
	dottedName  = regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$`)
	simpleName  = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	shownName   = regexp.MustCompile(`^[A-Z][A-Za-z0-9 -]{1,60}$`)
	fullSaying  = regexp.MustCompile(`^[A-Z][^\n]{8,300}\.$`)
	enumWord    = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	dayLikeName = regexp.MustCompile(`(_at|^at)$`)
)

// load returns the real catalogue.
func load(t *testing.T) catalog.Catalog {
	t.Helper()
	c, err := catalog.Load(events.Files)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// files returns the files of the catalogue that match a pattern.
func files(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := fs.Glob(events.Files, pattern)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// raw returns the document in a file, which must hold exactly one JSON object.
func raw(t *testing.T, file string) map[string]any {
	t.Helper()
	data, err := fs.ReadFile(events.Files, file)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonvalue.Object(data)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// internal are the event types that no list shows.
var internal = []string{"canary:probe.sent"}

func TestNoListShowsAnInternalEventType(t *testing.T) {
	t.Parallel()

	c := load(t)
	for _, name := range internal {
		product, typ, _ := strings.Cut(name, ":")
		if e, ok := c.Event(name); !ok || !e.Internal {
			t.Errorf("%s is %+v, want an internal event type", name, e)
		}
		if slices.Contains(c.EventNames(), name) || slices.Contains(c.EventProducts(), product) || slices.Contains(c.EventTypesOf(product), typ) {
			t.Errorf("a list shows %s", name)
		}
	}
}

func TestEveryEventTypeFollowsTheRules(t *testing.T) {
	t.Parallel()

	c := load(t)
	names := files(t, "*/*.json")
	if got, want := len(c.Events())+len(internal), len(names); got != want {
		t.Errorf("%d event types, %v among them internal, of %d files", got, internal, want)
	}
	for _, file := range names {
		t.Run(file, func(t *testing.T) {
			t.Parallel()

			product, name := path.Dir(file), strings.TrimSuffix(path.Base(file), ".json")
			e, ok := c.Event(product + ":" + name)
			if !ok {
				t.Fatalf("there is no event %s:%s", product, name)
			}
			if e.Product != product || e.Type != name {
				t.Errorf("the file defines %s", e.Name())
			}
			if !simpleName.MatchString(product) || !dottedName.MatchString(name) || !strings.Contains(name, ".") {
				t.Errorf("%s is not named like psa:ticket.created", e.Name())
			}
			if !slices.Contains(catalog.Categories(), e.Category) {
				t.Errorf("category %q is none of %v", e.Category, catalog.Categories())
			}
			described(t, e.DisplayName, e.Description)
			if !strings.HasPrefix(e.Description, "Fires ") {
				t.Errorf("the description does not begin with Fires: %q", e.Description)
			}
			// The raw sample has the same types of numbers as events.
			sample, ok := raw(t, file)["sample_payload"].(map[string]any)
			if !ok || len(sample) == 0 {
				t.Fatal("there is no sample payload")
			}
			fields(t, e.Filterable, sample)
			times(t, sample)
			if _, ok := sample[e.Headline].(string); !ok || e.Subject(sample) == "" {
				t.Errorf("the headline %q is no text of the sample payload", e.Headline)
			}
		})
	}
}

// fields checks the filterable fields against the sample.
func fields(t *testing.T, fields []catalog.Field, sample map[string]any) {
	t.Helper()
	if len(fields) == 0 {
		t.Error("no field is filterable")
	}
	seen := map[string]bool{}
	for _, f := range fields {
		if seen[f.Path] {
			t.Errorf("%s is listed twice", f.Path)
		}
		seen[f.Path] = true
		if !dottedName.MatchString(f.Path) {
			t.Errorf("%q is not a dotted path", f.Path)
		}
		if !shownName.MatchString(f.Label) {
			t.Errorf("%s: the label is %q", f.Path, f.Label)
		}
		if f.Type == catalog.Object || f.Type == catalog.Array {
			t.Errorf("%s is of type %s, which no filter compares", f.Path, f.Type)
		}
		v, ok := jsonvalue.Lookup(sample, f.Path)
		if !ok {
			t.Errorf("the sample has no %s", f.Path)
			continue
		}
		typed(t, f.Path, f.Type, f.EnumValues, v)
	}
}

// typed checks the declaration of a field or a parameter, and its sample.
func typed(t *testing.T, name string, typ catalog.FieldType, values []string, sample any) {
	t.Helper()
	kinds := map[catalog.FieldType]string{
		catalog.String: "a string", catalog.Enum: "a string", catalog.Number: "a number",
		catalog.Boolean: "a boolean", catalog.Object: "an object", catalog.Array: "an array",
	}
	want, ok := kinds[typ]
	if !ok {
		t.Errorf("%s: there is no type %q", name, typ)
	}
	if got := jsonvalue.Kind(sample); got != want {
		t.Errorf("the sample of %s is %s, want %s", name, got, want)
	}
	if typ != catalog.Enum {
		if values != nil {
			t.Errorf("%s has enum values and is of type %s", name, typ)
		}
		return
	}
	if len(values) < 2 {
		t.Errorf("%s has the enum values %v", name, values)
	}
	text, _ := sample.(string)
	if !slices.Contains(values, text) {
		t.Errorf("the sample of %s is %q, none of %v", name, text, values)
	}
	for i, v := range values {
		if !enumWord.MatchString(v) || slices.Contains(values[:i], v) {
			t.Errorf("%s: the enum value %q is not a word of its own", name, v)
		}
	}
}

// times checks that a field named like a time is a time, in UTC and whole seconds.
func times(t *testing.T, sample map[string]any) {
	t.Helper()
	clock := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`)
	for name, v := range sample {
		if s, ok := v.(string); ok && dayLikeName.MatchString(name) && !clock.MatchString(s) {
			t.Errorf("%s is %q, want a time like 2026-03-09T14:23:01Z", name, s)
		}
	}
}

// published is the description of ticket.created in the published API.
const published = "Fires when a new PSA ticket is opened by a client or technician"

func described(t *testing.T, display, description string) {
	t.Helper()
	if !shownName.MatchString(display) {
		t.Errorf("the display name is %q", display)
	}
	if description != published && !fullSaying.MatchString(description) {
		t.Errorf("the description is no sentence: %q", description)
	}
}

func TestEveryActionFollowsTheRules(t *testing.T) {
	t.Parallel()

	c := load(t)
	names := files(t, "*/actions/*.json")
	if got, want := len(c.Actions()), len(names); got != want {
		t.Errorf("%d actions of %d files", got, want)
	}
	for _, file := range names {
		t.Run(file, func(t *testing.T) {
			t.Parallel()

			product, name := path.Dir(path.Dir(file)), strings.TrimSuffix(path.Base(file), ".json")
			a, ok := c.Action(product, name)
			if !ok {
				t.Fatalf("there is no action %s:%s", product, name)
			}
			if a.Product != product || a.Action != name {
				t.Errorf("the file defines %s", a.Name())
			}
			if !simpleName.MatchString(product) || !simpleName.MatchString(name) {
				t.Errorf("%s is not named like psa:add_note", a.Name())
			}
			described(t, a.DisplayName, a.Description)
			doc := raw(t, file)
			for _, field := range []string{"destructive", "risk", "params", "sample_params", "sample_reply"} {
				if _, ok := doc[field]; !ok {
					t.Errorf("the field %s is missing", field)
				}
			}
			sample, ok := doc["sample_params"].(map[string]any)
			if !ok {
				t.Fatal("there are no sample params")
			}
			params(t, a, sample)
			risks(t, a)
			replies(t, c, a)
			consequences(t, c, a)
		})
	}
}

// params checks the parameters of an action against the sample, which must have
// exactly these parameters.
func params(t *testing.T, a catalog.Action, sample map[string]any) {
	t.Helper()
	if len(a.Params) == 0 {
		t.Error("it has no parameters")
	}
	seen := map[string]bool{}
	for _, p := range a.Params {
		if seen[p.Name] {
			t.Errorf("%s is listed twice", p.Name)
		}
		seen[p.Name] = true
		if !simpleName.MatchString(p.Name) {
			t.Errorf("a parameter is called %q", p.Name)
		}
		if !fullSaying.MatchString(p.Description) {
			t.Errorf("%s: the description is no sentence: %q", p.Name, p.Description)
		}
		v, ok := sample[p.Name]
		if !ok {
			t.Errorf("the sample has no %s", p.Name)
			continue
		}
		typed(t, p.Name, p.Type, p.EnumValues, v)
		if _, why := p.Fit(v); why != "" {
			t.Errorf("the sample does not fit: %s %s", p.Name, why)
		}
		if p.MaxLength < 0 || p.MaxLength > 0 && p.Type != catalog.String {
			t.Errorf("%s of type %s has the max_length %d", p.Name, p.Type, p.MaxLength)
		}
	}
	for name := range sample {
		if !seen[name] {
			t.Errorf("the sample has %s, which is no parameter", name)
		}
	}
}

// risks checks that an action says its risk and the roles of its parameters, and
// that the three fields that speak of harm agree.
func risks(t *testing.T, a catalog.Action) {
	t.Helper()
	for _, p := range a.Params {
		if !slices.Contains(catalog.Roles(), p.Role) {
			t.Errorf("%s has the role %q, none of %v", p.Name, p.Role, catalog.Roles())
		}
	}
	if !slices.Contains(catalog.Risks(), a.Risk.Else) {
		t.Errorf("the risk is %q, none of %v", a.Risk.Else, catalog.Risks())
	}
	if highest := a.Risk.Highest(); (highest == catalog.Destructive) != a.Destructive {
		t.Errorf("destructive is %t and the risk %s", a.Destructive, highest)
	}
	if a.Risk.Param == "" {
		return
	}
	p, ok := a.Param(a.Risk.Param)
	if !ok || p.Type != catalog.Enum && p.Type != catalog.Boolean {
		t.Errorf("the risk depends on %q, which is no parameter with a few values", a.Risk.Param)
	}
	for value, risk := range a.Risk.Values {
		known := p.EnumValues
		if p.Type == catalog.Boolean {
			known = []string{"true", "false"}
		}
		if !slices.Contains(known, value) {
			t.Errorf("the risk depends on the value %q of %s, which it never has", value, p.Name)
		}
		if !slices.Contains(catalog.Risks(), risk) || risk == catalog.Destructive || risk == a.Risk.Else {
			t.Errorf("the value %q of %s has the risk %q", value, p.Name, risk)
		}
	}
}

// choosesNoObject are the actions that make a record of which no event tells, for a
// person and for no object that exists already.
var choosesNoObject = []string{"crm:create_task", "people:assign_task"}

func TestAnActionOnAnObjectRequiresTheTargetThatChoosesIt(t *testing.T) {
	t.Parallel()

	for _, a := range load(t).Actions() {
		target := slices.ContainsFunc(a.Params, func(p catalog.Param) bool { return p.Required && p.Role == catalog.Target })
		if a.Makes != nil || slices.Contains(choosesNoObject, a.Name()) {
			continue
		}
		if !target {
			t.Errorf("no required parameter of %s has the role target", a.Name())
		}
	}
}

// replies checks that the sample reply has the object that the action makes, and that
// a field of the reply that is named like a parameter or like a field of an event of
// this product has the same kind of value.
func replies(t *testing.T, c catalog.Catalog, a catalog.Action) {
	t.Helper()
	if len(a.Reply) == 0 {
		t.Fatal("there is no sample reply")
	}
	times(t, a.Reply)
	if _, ok := a.MadeIn(a.Reply); a.Makes != nil && !ok {
		t.Errorf("the sample reply %v has no %s", a.Reply, a.Makes.ID)
	}
	known := map[string]any{}
	for _, e := range c.Events() {
		if e.Product == a.Product {
			maps.Copy(known, e.Sample)
		}
	}
	maps.Copy(known, a.Sample)
	for name, v := range a.Reply {
		if !simpleName.MatchString(name) {
			t.Errorf("a field of the reply is called %q", name)
		}
		if same, ok := known[name]; ok && jsonvalue.Kind(same) != jsonvalue.Kind(v) {
			t.Errorf("the reply's %s is %s, elsewhere it is %s", name, jsonvalue.Kind(v), jsonvalue.Kind(same))
		}
		p, isParam := a.Param(name)
		if isParam && p.Role == catalog.Target && !reflect.DeepEqual(v, a.Sample[name]) {
			t.Errorf("the reply is about %s %v, the sample parameters about %v", name, v, a.Sample[name])
		}
	}
}

// consequences checks the events that an action causes and the action that takes it
// back.
func consequences(t *testing.T, c catalog.Catalog, a catalog.Action) {
	t.Helper()
	if !slices.IsSorted(a.Emits) || len(slices.Compact(slices.Clone(a.Emits))) != len(a.Emits) {
		t.Errorf("emits is not sorted, or names an event twice: %v", a.Emits)
	}
	for _, name := range a.Emits {
		if e, ok := c.Event(name); !ok || e.Internal || e.Product != a.Product {
			t.Errorf("it emits %s, which is no event type of %s in the catalogue", name, a.Product)
		}
	}
	if a.Makes != nil && !slices.ContainsFunc(a.Emits, func(name string) bool {
		e, _ := c.Event(name)
		return slices.Contains(e.Objects, *a.Makes)
	}) {
		t.Errorf("it makes a %s and emits no event about one", a.Makes.Object)
	}
	if a.Undo == nil {
		return
	}
	back, ok := c.Action(a.Product, a.Undo.Action)
	if !ok || back.Name() == a.Name() {
		t.Fatalf("%s:%s, which takes it back, is no other action of the catalogue", a.Product, a.Undo.Action)
	}
	for name, from := range a.Undo.Params {
		filled, known := back.Param(name)
		source, has := a.Param(from)
		if !known || !has || filled.Type != source.Type || filled.Required && !source.Required {
			t.Errorf("the parameter %s of %s cannot be filled from %s", name, back.Name(), from)
		}
	}
	for _, p := range back.Params {
		if _, filled := a.Undo.Params[p.Name]; p.Required && !filled {
			t.Errorf("%s requires %s, which undo does not fill", back.Name(), p.Name)
		}
	}
}

// The validation of definitions relies on these risks, so lowering one is a
// change of this test too.
func TestTheRisksOfActionsThatReachBeyondTheOrganization(t *testing.T) {
	t.Parallel()

	beyond := map[string]catalog.Risk{
		"psa:add_note": catalog.Outward, "books:send_reminder": catalog.Outward,
		"psa:add_time_entry": catalog.Money, "books:create_invoice_draft": catalog.Money, "books:approve_expense": catalog.Money,
		"defend:unisolate_device": catalog.Access, "defend:block_indicator": catalog.Access, "rmm:start_maintenance": catalog.Access,
	}
	for _, a := range load(t).Actions() {
		want, reaches := beyond[a.Name()]
		switch {
		case a.Destructive:
			want = catalog.Destructive
		case !reaches:
			want = catalog.Internal
		}
		if got := a.Risk.Highest(); got != want {
			t.Errorf("%s has the risk %s, want %s", a.Name(), got, want)
		}
	}
}

func TestAParameterDecidesTheRisk(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		product, action, param string
		value                  any
		want                   catalog.Risk
	}{
		"a public note":                      {"psa", "add_note", "visibility", "public", catalog.Outward},
		"an internal note":                   {"psa", "add_note", "visibility", "internal", catalog.Internal},
		"a note of the product's choice":     {"psa", "add_note", "visibility", nil, catalog.Outward},
		"a note of the event's choice":       {"psa", "add_note", "visibility", "{{ event_payload.x }}", catalog.Outward},
		"a note of a template's choice":      {"psa", "add_note", "visibility", "{{ 'internal' }}", catalog.Outward},
		"an internal note in capitals":       {"psa", "add_note", "visibility", "INTERNAL", catalog.Outward},
		"a visibility of another kind":       {"psa", "add_note", "visibility", []any{"internal"}, catalog.Outward},
		"billable time":                      {"psa", "add_time_entry", "billable", true, catalog.Money},
		"time that is free":                  {"psa", "add_time_entry", "billable", false, catalog.Internal},
		"time that is false as text":         {"psa", "add_time_entry", "billable", "false", catalog.Money},
		"a parameter that decides no risk":   {"psa", "update_ticket", "status", "public", catalog.Internal},
		"an action that is always dangerous": {"defend", "isolate_device", "reason", "internal", catalog.Destructive},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			a, ok := load(t).Action(tc.product, tc.action)
			if !ok {
				t.Fatal("it is not in the catalogue")
			}
			if got := a.RiskOf(map[string]any{tc.param: tc.value}); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
	a, _ := load(t).Action("psa", "add_note")
	if got := a.RiskOf(nil); got != catalog.Outward {
		t.Errorf("without any parameter: %s", got)
	}
}

func TestFieldsThatOnlySortATicketAreContent(t *testing.T) {
	t.Parallel()

	a, _ := load(t).Action("psa", "update_ticket")
	for _, p := range a.Params {
		want := catalog.Content
		if p.Name == "ticket_id" {
			want = catalog.Target
		}
		if p.Role != want {
			t.Errorf("%s has the role %s, want %s", p.Name, p.Role, want)
		}
	}
}

func TestTheCatalogueIsAsLargeAsPromised(t *testing.T) {
	t.Parallel()

	c := load(t)
	if got := len(c.Events()); got < 60 {
		t.Errorf("%d event types, want at least 60", got)
	}
	if got := len(c.Actions()); got < 40 {
		t.Errorf("%d actions, want at least 40", got)
	}
	products, categories, acting := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, e := range c.Events() {
		products[e.Product], categories[e.Category] = true, true
	}
	for _, a := range c.Actions() {
		acting[a.Product] = true
	}
	for _, product := range []string{
		"psa", "rmm", "defend", "crm", "books", "backups", "hub", "people", "oncall", "compliance",
	} {
		if !products[product] {
			t.Errorf("%s has no event types", product)
		}
		if !acting[product] {
			t.Errorf("%s has no actions", product)
		}
	}
	for _, category := range catalog.Categories() {
		if !categories[category] {
			t.Errorf("no event type is of category %s", category)
		}
	}
}

func TestConfirmedEventTypesHaveTheirPayload(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		payload    []string
		filterable map[string]catalog.FieldType
	}{
		"psa:ticket.created": {
			[]string{"ticket_id", "priority", "subject", "type", "created_by", "created_at"},
			map[string]catalog.FieldType{"priority": catalog.Enum, "type": catalog.String, "client_id": catalog.String},
		},
		"psa:ticket.escalated":   {[]string{"ticket_id", "escalated_to"}, map[string]catalog.FieldType{"escalated_to": catalog.String}},
		"psa:ticket.sla_warning": {[]string{"ticket_id"}, nil},
		"psa:ticket.resolved":    {[]string{"ticket_id", "client_id"}, nil},
		"defend:alert.fired": {
			[]string{"severity", "description", "mitre_tactic", "device_id", "client_id", "detection_confidence"},
			map[string]catalog.FieldType{
				"severity": catalog.Enum, "mitre_tactic": catalog.String, "device_id": catalog.String,
				"client_id": catalog.String, "detection_confidence": catalog.Number,
			},
		},
		"defend:posture.updated": {
			[]string{"client_id", "security_posture_score"},
			map[string]catalog.FieldType{"security_posture_score": catalog.Number},
		},
		"rmm:device.added":         {[]string{"client_id", "device_id", "device_count"}, nil},
		"rmm:device.removed":       {[]string{"client_id", "device_id", "device_count"}, nil},
		"rmm:alert.triggered":      {[]string{"device_id", "client_id", "severity", "message"}, nil},
		"hub:org.created":          {[]string{"plan"}, map[string]catalog.FieldType{"plan": catalog.Enum}},
		"hub:subscription.changed": {[]string{"plan"}, map[string]catalog.FieldType{"plan": catalog.Enum}},
		"hub:org.suspended":        {nil, nil},
		"hub:org.deleted":          {nil, nil},
		"hub:session.revoked":      {nil, nil},
		"hub:client.review_due":    {[]string{"client_id"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			e, ok := load(t).Event(name)
			if !ok {
				t.Fatal("it is not in the catalogue")
			}
			for _, field := range tc.payload {
				if _, ok := e.Sample[field]; !ok {
					t.Errorf("the payload has no %s", field)
				}
			}
			for field, typ := range tc.filterable {
				if f, _ := e.Field(field); f.Type != typ {
					t.Errorf("%s is of type %q, want %s", field, f.Type, typ)
				}
			}
		})
	}
}

func TestConfirmedActionsHaveExactlyTheirParameters(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		product, action string
		destructive     bool
		params          []string
	}{
		"a ticket is created":   {"psa", "create_ticket", false, []string{"subject", "description", "priority", "client_id", "type"}},
		"a ticket is updated":   {"psa", "update_ticket", false, []string{"ticket_id", "priority", "category", "status", "assignee", "ai_classified"}},
		"a note is added":       {"psa", "add_note", false, []string{"ticket_id", "body", "visibility"}},
		"a device is isolated":  {"defend", "isolate_device", true, []string{"device_id", "reason"}},
		"an isolation is ended": {"defend", "unisolate_device", false, []string{"device_id"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			a, ok := load(t).Action(tc.product, tc.action)
			if !ok {
				t.Fatal("it is not in the catalogue")
			}
			if a.Destructive != tc.destructive {
				t.Errorf("destructive is %t", a.Destructive)
			}
			var got []string
			for _, p := range a.Params {
				got = append(got, p.Name)
			}
			if !slices.Equal(got, tc.params) {
				t.Errorf("params %v, want %v", got, tc.params)
			}
		})
	}
}

// The published API quotes this event type.
func TestTicketCreatedMatchesThePublishedAPI(t *testing.T) {
	t.Parallel()

	got, ok := load(t).Event("psa:ticket.created")
	if !ok || got.DisplayName != "Ticket Created" || got.Description != published {
		t.Errorf("%q: %q", got.DisplayName, got.Description)
	}
	want := catalog.Field{Path: "priority", Label: "Priority", Type: catalog.Enum, EnumValues: []string{"p1", "p2", "p3", "p4"}}
	if f, ok := got.Field("priority"); !ok || f.Label != want.Label || f.Type != want.Type || !slices.Equal(f.EnumValues, want.EnumValues) {
		t.Errorf("%+v, want %+v", f, want)
	}
}

// An event about an object that an action made counts as caused by an agent only
// where both files name the object and the field of its id.
func TestEveryEventNamesTheObjectsThatActionsMake(t *testing.T) {
	t.Parallel()

	c := load(t)
	made := map[string]map[string]string{} // by product and field, the kind
	for _, a := range c.Actions() {
		if a.Makes == nil {
			if strings.HasPrefix(a.Action, "create_") && len(eventsWith(c, a.Product, strings.TrimPrefix(a.Action, "create_")+"_id")) > 0 {
				t.Errorf("%s does not name the object that it makes", a.Name())
			}
			continue
		}
		if !simpleName.MatchString(a.Makes.Object) || !simpleName.MatchString(a.Makes.ID) {
			t.Errorf("%s makes %+v", a.Name(), *a.Makes)
		}
		if made[a.Product] == nil {
			made[a.Product] = map[string]string{}
		}
		made[a.Product][a.Makes.ID] = a.Makes.Object
		if len(eventsWith(c, a.Product, a.Makes.ID)) == 0 {
			t.Errorf("%s makes a %s, which no event is about", a.Name(), a.Makes.Object)
		}
	}
	for _, e := range c.Events() {
		named := map[string]string{}
		for _, o := range e.Objects {
			named[o.ID] = o.Object
		}
		for field, kind := range made[e.Product] {
			if _, has := e.Sample[field]; has && named[field] != kind {
				t.Errorf("%s has the field %s, and its objects are %v; want a %s", e.Name(), field, e.Objects, kind)
			}
		}
		for field, kind := range named {
			if made[e.Product][field] != kind {
				t.Errorf("%s is about a %s in the field %s, which no action of %s makes", e.Name(), kind, field, e.Product)
			}
		}
		if got := len(e.ObjectsIn(e.Sample)); got != len(e.Objects) {
			t.Errorf("the sample of %s has the ids of %d of %d objects", e.Name(), got, len(e.Objects))
		}
	}
}

// eventsWith returns the event types of a product whose samples have a field.
func eventsWith(c catalog.Catalog, product, field string) []string {
	var names []string
	for _, e := range c.Events() {
		if _, has := e.Sample[field]; has && e.Product == product {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestAnObjectIsNamedByATextOrAWholeNumber(t *testing.T) {
	t.Parallel()

	c := load(t)
	note, _ := c.Action("psa", "add_note")
	for name, tc := range map[string]struct {
		reply map[string]any
		want  string
	}{
		"the field of the catalogue": {map[string]any{"note_id": "n_1", "id": "x"}, "n_1"},
		"the field id":               {map[string]any{"id": "n_2"}, "n_2"},
		"a whole number":             {map[string]any{"note_id": int64(9007199254740993)}, "9007199254740993"},
		"any characters":             {map[string]any{"note_id": "note #1"}, "note #1"},
		"an empty text":              {map[string]any{"note_id": ""}, ""},
		"an object":                  {map[string]any{"note_id": map[string]any{"id": "n"}}, ""},
		"no field":                   {map[string]any{"ok": true}, ""},
		"no reply":                   {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := note.MadeIn(tc.reply)
			if ok != (tc.want != "") || ok && got != (catalog.ObjectID{Kind: "psa:note", ID: tc.want}) {
				t.Errorf("got %+v, %t", got, ok)
			}
		})
	}
	if made, ok := (catalog.Action{}).MadeIn(map[string]any{"id": "x"}); ok {
		t.Errorf("an action that makes nothing made %+v", made)
	}
	added, _ := c.Event("psa:ticket.note_added")
	got := added.ObjectsIn(map[string]any{"note_id": int64(7), "ticket_id": "tkt_1"})
	want := []catalog.ObjectID{{Kind: "psa:note", ID: "7"}, {Kind: "psa:ticket", ID: "tkt_1"}}
	if !slices.Equal(got, want) {
		t.Errorf("an added note is about %v, want %v", got, want)
	}
}
