package catalog_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"theoneagents.app/agents/shared/catalog"
)

const ticket = `{"source_product": "psa", "event_type": "ticket.created", "category": "service_desk",
	"display_name": "Ticket", "description": "Fires.", "filterable_fields": [{"path": "priority", "label": "P", "type": "string"}],
	"sample_payload": {"priority": "p1"}}`

const note = `{"product": "psa", "action": "add_note", "display_name": "Note", "description": "Adds.", "destructive": false, "risk": "internal",
	"params": [{"name": "body", "type": "string", "required": true, "role": "content", "description": "Text."}], "sample_params": {"body": "x"}}`

// folder returns a file system with these files.
func folder(contents map[string]string) fstest.MapFS {
	files := fstest.MapFS{}
	for name, content := range contents {
		files[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return files
}

func TestACatalogueFindsEventsAndActionsByName(t *testing.T) {
	t.Parallel()

	c, err := catalog.Load(folder(map[string]string{
		"psa/ticket.created.json": ticket, "psa/actions/add_note.json": note,
		"rmm/alert.json": `{"source_product": "rmm", "event_type": "alert"}`,
	}))
	if err != nil {
		t.Fatal(err)
	}
	e, ok := c.Event("psa:ticket.created")
	if !ok || e.Name() != "psa:ticket.created" {
		t.Errorf("Event = %+v, %t", e, ok)
	}
	if f, ok := e.Field("priority"); !ok || f.Type != catalog.String {
		t.Errorf("Field = %+v, %t", f, ok)
	}
	if f, ok := e.Field("subject"); ok {
		t.Errorf("Field of a path that is not filterable = %+v", f)
	}
	a, ok := c.Action("psa", "add_note")
	if !ok || a.Name() != "psa:add_note" {
		t.Errorf("Action = %+v, %t", a, ok)
	}
	if p, ok := a.Param("body"); !ok || !p.Required {
		t.Errorf("Param = %+v, %t", p, ok)
	}
	if p, ok := a.Param("nope"); ok {
		t.Errorf("Param of an unknown name = %+v", p)
	}
	if _, ok := c.Action("defend", "add_note"); ok {
		t.Error("an action of another product was found")
	}
	if _, ok := c.Event("psa:add_note"); ok {
		t.Error("an action was found as an event")
	}
	var names []string
	for _, e := range c.Events() {
		names = append(names, e.Name())
	}
	if want := []string{"psa:ticket.created", "rmm:alert"}; !slices.Equal(names, want) {
		t.Errorf("Events = %v, want %v", names, want)
	}
}

func TestTheZeroCatalogueIsEmpty(t *testing.T) {
	t.Parallel()

	var c catalog.Catalog
	if _, ok := c.Event("psa:ticket.created"); ok {
		t.Error("an event was found")
	}
	if len(c.Events())+len(c.Actions()) != 0 {
		t.Error("events or actions are listed")
	}
}

func TestTheErrorNamesAnInvalidFile(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct{ file, content, want string }{
		"no JSON":                            {"psa/a.json", `{`, "it ends too early"},
		"an empty file":                      {"psa/a.json", ``, "it is empty"},
		"an unknown field":                   {"psa/a.json", strings.Replace(ticket, `"category"`, `"kategory"`, 1), "kategory"},
		"an unknown field of a field":        {"psa/ticket.created.json", strings.Replace(ticket, `"label"`, `"lable"`, 1), "lable"},
		"a field of the wrong type":          {"psa/ticket.created.json", strings.Replace(ticket, `"service_desk"`, `5`, 1), "category"},
		"another event type than the file":   {"psa/ticket.deleted.json", ticket, "the file defines psa:ticket.created"},
		"another product than the folder":    {"rmm/ticket.created.json", ticket, "the file defines psa:ticket.created"},
		"a second value after the first":     {"psa/ticket.created.json", ticket + "{}", "more than one value"},
		"rubbish after the value":            {"psa/ticket.created.json", ticket + "]", "more than one value"},
		"another action than the file":       {"psa/actions/add.json", note, "the file defines psa:add_note"},
		"an action of another product":       {"rmm/actions/add_note.json", note, "the file defines psa:add_note"},
		"an event type among the actions":    {"psa/actions/ticket.created.json", ticket, "unknown field"},
		"an action among the event types":    {"psa/add_note.json", note, "unknown field"},
		"an unknown field of an action":      {"psa/actions/add_note.json", strings.Replace(note, `"destructive"`, `"dangerous"`, 1), "dangerous"},
		"a destructive that is no boolean":   {"psa/actions/add_note.json", strings.Replace(note, `false`, `"no"`, 1), "destructive"},
		"a risk that lacks its else":         {"psa/actions/add_note.json", strings.Replace(note, `"internal"`, `{"param": "body", "values": {"x": "internal"}}`, 1), "else"},
		"a risk with an unknown field":       {"psa/actions/add_note.json", strings.Replace(note, `"internal"`, `{"param": "body", "values": {"x": "internal"}, "else": "money", "then": "x"}`, 1), "then"},
		"a risk of another kind":             {"psa/actions/add_note.json", strings.Replace(note, `"internal"`, `5`, 1), "risk"},
		"a role that is spelled wrongly":     {"psa/actions/add_note.json", strings.Replace(note, `"role"`, `"rule"`, 1), "rule"},
		"a required that is spelled wrongly": {"psa/actions/add_note.json", strings.Replace(note, `"required"`, `"requird"`, 1), "requird"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			_, err := catalog.Load(folder(map[string]string{tc.file: tc.content}))
			if err == nil {
				t.Fatal("the file was accepted")
			}
			if !strings.Contains(err.Error(), tc.file) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("err = %v; want one that names %s and says %q", err, tc.file, tc.want)
			}
		})
	}
}

func TestTheErrorNamesAllInvalidFiles(t *testing.T) {
	t.Parallel()

	_, err := catalog.Load(folder(map[string]string{
		"psa/a.json": "{", "rmm/b.json": "[]", "psa/actions/c.json": "5", "psa/ticket.created.json": ticket,
	}))
	if err == nil {
		t.Fatal("the files were accepted")
	}
	for _, file := range []string{"psa/a.json", "rmm/b.json", "psa/actions/c.json"} {
		if !strings.Contains(err.Error(), file) {
			t.Errorf("%s is not named in %v", file, err)
		}
	}
	if strings.Contains(err.Error(), "ticket.created") {
		t.Errorf("a valid file is named in %v", err)
	}
}
