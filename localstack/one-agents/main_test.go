package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/template"
)

// call runs the program.
func call(t *testing.T, args ...string) (code int, out, faults string) {
	t.Helper()
	var o, f bytes.Buffer
	code = run(t.Context(), &o, &f, args)
	return code, o.String(), f.String()
}

// folder returns a folder with these files.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	defined = `{"name": "Note", "description": "Adds a note.", "category": "service_desk",
		"trigger": {"type": "bus_event", "event_type": "ticket.created", "source_product": "psa", "filters": [{"field": "priority", "operator": "eq", "value": "p1"}]},
		"steps": [{"id": "note", "type": "product_action", "product": "psa", "action": "add_note",
			"params": {"ticket_id": "{{ event_payload.ticket_id }}", "body": "Seen.", "visibility": "internal"}}]}`
	matching = `"request": {"event": {"payload": {"ticket_id": "t1", "priority": "p1"}}}`
)

func tests(list ...string) string { return `{"tests": [` + strings.Join(list, ",") + `]}` }

func TestTheExitCodeSaysWhatIsWrong(t *testing.T) {
	t.Parallel()

	passes := `{"name": "a p1", ` + matching + `, "expect": {"outcome": "started", "effects": [{"what": "psa.add_note", "params": {"ticket_id": "t1"}}]}}`
	for name, tc := range map[string]struct {
		command string
		files   map[string]string
		code    int
		says    string
	}{
		"all well":                        {"test", map[string]string{"a.json": defined, "a.tests.json": tests(passes)}, 0, "1 definitions, 1 tests, 0 failed, 0 faults"},
		"a definition without a fixture":  {"test", map[string]string{"a.json": defined}, 0, "1 definitions, 0 tests"},
		"another value":                   {"test", map[string]string{"a.json": defined, "a.tests.json": tests(strings.Replace(passes, `"t1"}}]`, `"t2"}}]`, 1))}, 1, `effects[0].params.ticket_id: want "t2", got "t1"`},
		"another number of effects":       {"test", map[string]string{"a.json": defined, "a.tests.json": tests(`{"name": "n", ` + matching + `, "expect": {"effects": []}}`)}, 1, "effects: want 0 entries"},
		"a field that there is not":       {"test", map[string]string{"a.json": defined, "a.tests.json": tests(`{"name": "n", ` + matching + `, "expect": {"effect": []}}`)}, 1, "effect: want [], got nothing"},
		"an event that does not match":    {"test", map[string]string{"a.json": defined, "a.tests.json": tests(`{"name": "n", "expect": {"outcome": "started"}}`)}, 1, `outcome: want "started", got "filtered"`},
		"an unknown name":                 {"test", map[string]string{"a.json": defined, "a.tests.json": tests(`{"name": "n", "request": {"replies": {"psa.add_notes": {}}}, "expect": {}}`)}, 2, "a.tests.json.tests[0].request.replies.psa.add_notes"},
		"an unknown field of a test":      {"test", map[string]string{"a.json": defined, "a.tests.json": tests(`{"name": "n", "expected": {}}`)}, 2, "expect: is required"},
		"recorded answers":                {"test", map[string]string{"a.json": defined, "a.tests.json": tests(`{"name": "n", "request": {"model": "recorded"}, "expect": {}}`)}, 2, "there are no executions whose answers"},
		"live models":                     {"test", map[string]string{"a.json": defined, "a.tests.json": tests(`{"name": "n", "request": {"model": "live"}, "expect": {}}`)}, 2, "asks no model"},
		"an execution":                    {"test", map[string]string{"a.json": defined, "a.tests.json": tests(`{"name": "n", "request": {"event": {"execution_id": "exec_1"}}, "expect": {}}`)}, 2, "there are no executions"},
		"an invalid definition":           {"test", map[string]string{"a.json": strings.Replace(defined, "add_note", "add_nothing", 1)}, 2, "steps[0].action"},
		"no JSON":                         {"validate", map[string]string{"a.json": "{"}, 2, "INVALID a.json"},
		"a valid definition":              {"validate", map[string]string{"a.json": defined, "a.tests.json": "not read"}, 0, "1 definitions"},
		"a fixture without a definition":  {"test", map[string]string{"a.json": defined, "b.tests.json": tests(passes)}, 2, "There is no definition b.json."},
		"an empty folder":                 {"test", nil, 2, ""},
		"a command that there is not":     {"check", nil, 2, ""},
		"a definition with a double name": {"validate", map[string]string{"a.json": `{"name": "a", "name": "b"}`}, 2, "name"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			code, out, faults := call(t, tc.command, folder(t, tc.files))
			if code != tc.code || !strings.Contains(out, tc.says) {
				t.Errorf("code %d, want %d; want %q in\n%s%s", code, tc.code, tc.says, out, faults)
			}
		})
	}
}

func TestTheReportsForPrograms(t *testing.T) {
	t.Parallel()

	dir := folder(t, map[string]string{
		"a.json": defined, "a.tests.json": tests(`{"name": "fails", "expect": {"outcome": "started"}}`, `{"name": "passes", `+matching+`, "expect": {"status": "completed"}}`),
		"b.json": `{}`,
	})
	file := filepath.Join(t.TempDir(), "junit.xml")
	code, out, faults := call(t, "test", "-json", "-junit", file, dir)
	var r Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 2 {
		t.Fatal(code, err, out, faults)
	}
	if r.Tests != 2 || r.Failed != 1 || r.Faults == 0 || r.Agents[0].Tests[0].Passed || !r.Agents[0].Tests[1].Passed || r.Agents[0].Tests[1].Result.Effects[0].What != "psa.add_note" {
		t.Errorf("%+v", r)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var x suites
	if err := xml.Unmarshal(text, &x); err != nil {
		t.Fatal(err)
	}
	if len(x.Suites) != 2 || x.Suites[0].Failures != 1 || x.Suites[0].Tests != 2 || x.Suites[1].Errors != 1 || x.Suites[0].Cases[0].Failure == nil {
		t.Errorf("%s", text)
	}
}

func TestTheDifferenceNamesWhatIsWider(t *testing.T) {
	t.Parallel()

	older := folder(t, map[string]string{"a.json": defined, "a.tests.json": tests()})
	newer := folder(t, map[string]string{"a.json": strings.Replace(defined, `"visibility": "internal"`, `"visibility": "public"`, 1)})
	if code, out, faults := call(t, "diff", older, older); code != 0 || out != "" {
		t.Errorf("without a change: %d %s %s", code, out, faults)
	}
	if code, out, _ := call(t, "diff", older, newer); code != 1 || !strings.Contains(out, "WIDER    a.json: ") {
		t.Errorf("a public note: %d %s", code, out)
	}
	code, out, _ := call(t, "diff", "-json", older, newer)
	var changes map[string]definition.Change
	if err := json.Unmarshal([]byte(out), &changes); err != nil || code != 1 || len(changes["a.json"].Wider) == 0 {
		t.Errorf("as JSON: %d %v %s", code, err, out)
	}
	code, out, _ = call(t, "capabilities", older)
	var all map[string]struct {
		Does []struct{ Action string }
	}
	if err := json.Unmarshal([]byte(out), &all); err != nil || code != 0 || all["a.json"].Does[0].Action != "psa:add_note" {
		t.Errorf("capabilities: %d %v %s", code, err, out)
	}
	if code, _, faults := call(t, "diff", older, folder(t, map[string]string{"a.json": "{}"})); code != 2 || !strings.Contains(faults, "INVALID") {
		t.Errorf("an invalid definition: %d %s", code, faults)
	}
	if code, _, _ := call(t, "diff", older); code != 2 {
		t.Errorf("one folder: %d", code)
	}
}

// Each template of ours has a fixture, and does what the fixture says.
func TestEveryTemplateDoesWhatItsFixtureSays(t *testing.T) {
	t.Parallel()

	report, err := check(t.Context(), os.DirFS("../../shared/template/files"), os.DirFS("../../shared/template/tests"), true)
	if err != nil {
		t.Fatal(err)
	}
	names, err := fs.Glob(template.Files, "files/*.json")
	if err != nil || len(report.Agents) != len(names) {
		t.Fatalf("%d definitions of %d templates, %v", len(report.Agents), len(names), err)
	}
	for _, a := range report.Agents {
		started := false
		for _, one := range a.Tests {
			started = started || one.Result != nil && one.Result.Status != nil && len(one.Result.Effects) > 0
			for _, d := range one.Differences {
				t.Errorf("%s: %s: %s", a.File, one.Name, line(d))
			}
		}
		if !started {
			t.Errorf("%s: no test lets it act", a.File)
		}
		for _, f := range a.Faults {
			t.Errorf("%s: %s", a.File, line(f))
		}
	}
}
