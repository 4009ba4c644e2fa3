package releases_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/step"
)

// eachRelease runs a test for every release that has a fixture. Each test has a table
// of its own with the items that change returns for those of the fixture, or with those.
func eachRelease(t *testing.T, change func(item) item, test func(t *testing.T, w *world)) {
	t.Helper()
	folders, err := filepath.Glob("testdata/*")
	if err != nil || len(folders) == 0 {
		t.Fatalf("testdata has %d releases, want one or more: %v", len(folders), err)
	}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			t.Parallel()
			test(t, open(t, folder, change))
		})
	}
}

func TestTheAPIShowsEveryRecordOfAReleaseAndFollowsItsCursors(t *testing.T) {
	t.Parallel()

	eachRelease(t, nil, func(t *testing.T, w *world) { w.shows(t) })
}

// The attributes and members that a newer release has added change nothing: this is the
// table after a rollback.
func TestRecordsMayHaveAttributesOfANewerRelease(t *testing.T) {
	t.Parallel()

	eachRelease(t, func(i item) item { return newer(t, i) }, func(t *testing.T, w *world) {
		w.shows(t)
		w.decides(t)
	})
}

func TestAWaitingRunOfAReleaseContinues(t *testing.T) {
	t.Parallel()

	eachRelease(t, nil, func(t *testing.T, w *world) {
		w.decides(t)
		w.clock = w.clock.Add(25 * time.Hour)
		w.ends(t, w.Sleeping, "late")
	})
}

// decides approves the run that waits for approval, and plays its machine to the end.
func (w *world) decides(t *testing.T) {
	t.Helper()
	a, err := w.approvals().Decide(t.Context(), w.owner(), w.Approval, approval.Verdict{Approve: true})
	if err != nil {
		t.Fatal(err)
	}
	if a.Status != approval.Approved || len(w.rung) != 1 || w.rung[0] == "" {
		t.Errorf("the approval is %s and the doorbell rang for the tokens %q, want approved and one token", a.Status, w.rung)
	}
	w.ends(t, w.Asking, "tkt_5")
}

// ends plays the recorded machine of a waiting run: it calls the runner as that machine
// does, and every answer must be a choice of the machine. The run ends and adds one
// note.
func (w *world) ends(t *testing.T, exec id.Execution, note string) {
	t.Helper()
	waiting := slices.IndexFunc(w.Waiting, func(x waiting) bool { return x.Input.Cursor.Execution == exec })
	if waiting < 0 {
		t.Fatalf("no machine waits for %s", exec)
	}
	r, m, before := w.runner(), w.Waiting[waiting], len(w.notes)
	for calls := 1; ; calls++ {
		next, err := r.Handle(t.Context(), machine.Call{Op: machine.OpRun, Cursor: m.Input.Cursor, Owner: m.ARN})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(w.choices, string(next.Next)) {
			t.Fatalf("the runner answers %q; the machine of the release knows %q", next.Next, w.choices)
		}
		if next.Next == machine.NextDone {
			break
		}
		if calls == 3 {
			t.Fatalf("the runner still answers %q after %d calls", next.Next, calls)
		}
	}
	x, err := w.store.Header(t.Context(), w.Org, exec)
	if err != nil {
		t.Fatal(err)
	}
	if x.Status != execution.Completed {
		t.Errorf("the run is %s: %+v, want completed", x.Status, x.Error)
	}
	if diff := cmp.Diff([]any{note}, w.notes[before:]); diff != "" {
		t.Errorf("notes (-want +got)\n%s", diff)
	}
}

// A message waits in the queue for up to 14 days, so releases before may have handled
// it, or put it there.
func TestAMessageOfAReleaseIsHandledOnce(t *testing.T) {
	t.Parallel()

	eachRelease(t, nil, func(t *testing.T, w *world) {
		handle := func(body string) {
			t.Helper()
			out, err := w.dispatcher(t).Handle(t.Context(), events.SQSEvent{Records: []events.SQSMessage{{MessageId: "m", Body: body}}})
			if err != nil || len(out.BatchItemFailures) > 0 {
				t.Fatalf("%+v, %v", out, err)
			}
		}
		handle(string(w.Message))
		for _, c := range w.started { // under the name of its machine, a second start does nothing
			if _, err := w.store.Header(t.Context(), c.Org, c.Execution); err != nil || c.Execution == w.Asking {
				t.Errorf("an event that the release has handled starts %v: %v", c, err)
			}
		}
		known := len(w.started)
		fresh := strings.NewReplacer("tkt_2", "tkt_100", `"evt_`, `"evt_X`).Replace(string(w.Message))
		handle(fresh)
		handle(fresh)
		again := slices.Compact(w.started[known:])
		if len(again) != 1 || slices.Contains(w.started[:known], again[0]) {
			t.Fatalf("another event starts %v, want one run", again)
		}
		next, err := w.runner().Handle(t.Context(), machine.Call{Op: machine.OpRun, Cursor: again[0], Owner: "a machine"})
		if err != nil || next.Next != machine.NextGate {
			t.Errorf("the runner answers %+v, %v; want a gate", next, err)
		}
	})
}

func TestAKeyOfAReleaseIsAccepted(t *testing.T) {
	t.Parallel()

	eachRelease(t, nil, func(t *testing.T, w *world) {
		if status := w.byKey(http.MethodGet, "/api/executions/"+string(w.Asking)); status != http.StatusOK {
			t.Errorf("status %d, want 200", status)
		}
	})
}

// byKey returns the status of a request with the recorded key.
func (w *world) byKey(method, path string) int {
	r := httptest.NewRequest(method, path, http.NoBody)
	r.Header.Set("X-Integration-Key", w.Key)
	got := httptest.NewRecorder()
	w.api.ServeHTTP(got, r)
	return got.Code
}

// After a rollback a waiting run may have a step of a kind that only the newer release
// knows: the run fails and says so.
func TestAStepOfAnUnknownKindFailsItsRun(t *testing.T) {
	t.Parallel()

	eachRelease(t, unknownValues()["kind of a step in a definition"], func(t *testing.T, w *world) {
		w.clock = w.clock.Add(25 * time.Hour)
		next, err := w.runner().Handle(t.Context(), machine.Call{
			Op: machine.OpRun, Cursor: machine.Cursor{Org: w.Org, Execution: w.Sleeping}, Owner: "a machine",
		})
		if err != nil || next.Next != machine.NextDone {
			t.Fatalf("the runner answers %+v, %v; want the end", next, err)
		}
		x, err := w.store.Header(t.Context(), w.Org, w.Sleeping)
		if err != nil || x.Status != execution.Failed || x.Error == nil || x.Error.Message != step.ErrUnknown.Message {
			t.Errorf("the run is %s: %+v, %v; want failed with %q", x.Status, x.Error, err, step.ErrUnknown.Message)
		}
	})
}

func TestAKeyWithAnUnknownRightMayOnlyRead(t *testing.T) {
	t.Parallel()

	eachRelease(t, unknownValues()["access of a key"], func(t *testing.T, w *world) {
		path := "/api/executions/" + string(w.Asking)
		read, cancel := w.byKey(http.MethodGet, path), w.byKey(http.MethodPost, path+"/cancel")
		if read != http.StatusOK || cancel != http.StatusForbidden {
			t.Errorf("reading: %d, want 200; cancelling: %d, want 403", read, cancel)
		}
	})
}

// The values of enumerations that a newer release has added spoil no list and no record
// beside them.
func TestAnUnknownValueFailsNothingBesideIt(t *testing.T) {
	t.Parallel()

	for name, change := range unknownValues() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachRelease(t, change, func(t *testing.T, w *world) {
				for _, a := range w.answers {
					if status, body := w.get(a.Path); status != http.StatusOK {
						t.Errorf("GET %s: %d %s", a.Path, status, body)
					}
				}
			})
		})
	}
}

// shows compares every recorded answer with that of this code: fields may be added.
func (w *world) shows(t *testing.T) {
	t.Helper()
	for _, a := range w.answers {
		status, text := w.get(a.Path)
		var got any
		if err := json.Unmarshal(text, &got); err != nil || status != http.StatusOK {
			t.Errorf("GET %s: %d %s", a.Path, status, text)
			continue
		}
		for _, lost := range lost("", a.Body, got) {
			t.Errorf("GET %s: %s", a.Path, lost)
		}
	}
}

func (w *world) get(path string) (status int, body []byte) {
	r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
	r.Header.Set("Authorization", "Bearer of the owner")
	got := httptest.NewRecorder()
	w.api.ServeHTTP(got, r)
	return got.Code, bytes.TrimSpace(got.Body.Bytes())
}

// lost returns the values of want that got has not, with their paths. The platform's own
// agents come with the code, not from the table: only their statistics are compared.
func lost(path string, want, got any) []string {
	var out []string
	switch want := want.(type) {
	case map[string]any:
		got, _ := got.(map[string]any)
		names := slices.Sorted(maps.Keys(want))
		if want["type"] == "system" {
			names = []string{"id", "status", "stats"}
		}
		for _, name := range names {
			out = append(out, lost(path+"."+name, want[name], got[name])...)
		}
	case []any:
		list, _ := got.([]any)
		if len(list) != len(want) {
			return []string{fmt.Sprintf("%s has %d entries, want %d", path, len(list), len(want))}
		}
		for n, w := range want {
			out = append(out, lost(fmt.Sprintf("%s[%d]", path, n), w, list[n])...)
		}
	default:
		if want != got && !strings.HasSuffix(path, ".next_cursor") {
			out = append(out, fmt.Sprintf("%s is %v, want %v", path, got, want))
		}
	}
	return out
}

// newer returns an item as a newer release may write it: with more attributes, and more
// members in its JSON texts.
func newer(t *testing.T, i item) item {
	t.Helper()
	out := maps.Clone(i)
	out["newer_text"], out["newer_list"] = text("x"), list(text("y"))
	for name, v := range i {
		var object map[string]json.RawMessage
		s := textOf(v)
		if !strings.HasPrefix(s, "{") || json.Unmarshal([]byte(s), &object) != nil {
			continue
		}
		out[name] = text(`{"newer_member":{"a":[1]},` + s[1:])
	}
	return out
}

// unknownValues returns changes that give every record of a kind a value of a newer
// release.
func unknownValues() map[string]func(item) item {
	set := func(sortKey, attribute, value string) func(item) item {
		return func(i item) item {
			if !strings.HasPrefix(textOf(i["sk"]), sortKey) || textOf(i[attribute]) == "" {
				return i
			}
			out := maps.Clone(i)
			out[attribute] = text(value)
			return out
		}
	}
	replace := func(sortKey, attribute, before, after string) func(item) item {
		return func(i item) item {
			if !strings.HasPrefix(textOf(i["sk"]), sortKey) {
				return i
			}
			out := maps.Clone(i)
			out[attribute] = text(strings.Replace(textOf(i[attribute]), before, after, 1))
			return out
		}
	}
	return map[string]func(item) item{
		"status of a run":                set("META", "st", "newer"),
		"reason of a run":                set("META", "rs", "newer"),
		"type of a step":                 replace("STEP#", "doc", `"type":"`, `"type":"newer_`),
		"status of a step":               replace("STEP#", "doc", `"status":"`, `"status":"newer_`),
		"status of an approval":          set("APPROVAL", "status", "newer"),
		"outcome of an activity":         set("ACT#", "outcome", "newer"),
		"status of an agent":             set("AGENT#", "status", "newer"),
		"access of a key":                set("KEY", "access", "newer"),
		"kind of a step in a definition": replace("VERSION#", "definition", `"type":"product_action"`, `"type":"newer"`),
	}
}

// quiet is a log that keeps nothing.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
