package stories_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// A laptop is a local cloud of its own, like that of make run and make stop.
type laptop struct {
	t     *testing.T
	state string // its folder, relative to the project
}

// local runs the program behind make run, stop and reset, and returns its
// output.
func (l laptop) local(command string, args ...string) string {
	l.t.Helper()
	said, err := l.try(command, args...)
	if err != nil {
		l.t.Fatalf("local %s: %v: %s", command, err, said)
	}
	return said
}

func (l laptop) try(command string, args ...string) (string, error) {
	cmd := exec.Command(".local/bin/local", append([]string{command, "-state", l.state}, args...)...)
	cmd.Dir = "../.."
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "AWS_") })
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	return said.String(), err
}

// outputs is the file with the addresses of the cloud.
func (l laptop) outputs() string { return filepath.Join("../..", l.state, "outputs.json") }

// again returns an organization on the restarted cloud.
func (l laptop) again(o *org) *org {
	c := *o
	c.stage = openAt(l.t, l.outputs())
	return &c
}

// killEmulator kills the emulator.
func (l laptop) killEmulator() {
	l.t.Helper()
	text, err := os.ReadFile(filepath.Join("../..", l.state, "emulator.json"))
	if err != nil {
		l.t.Fatal(err)
	}
	var p struct {
		PID int `json:"pid"`
	}
	if err := json.Unmarshal(text, &p); err != nil || p.PID <= 1 {
		l.t.Fatalf("%s: %v", text, err)
	}
	if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil {
		l.t.Fatal(err)
	}
}

// TestALaptopContinuesWithItsData stops a cloud, starts it again, kills it, and
// resets it.
func TestALaptopContinuesWithItsData(t *testing.T) {
	t.Parallel()

	open(t) // or skip
	l := laptop{t, ".local/restart"}
	l.local("reset")
	t.Cleanup(func() { l.local("reset") })
	l.local("up", "-port", "0", "-products-port", "0", "-no-demo")

	// One run waits for approval, another has ended, an event is a dead letter,
	// and an integration key exists.
	o := openAt(t, l.outputs()).tenant(t)
	agent := o.agent(gate(600), note("after", "approved"))
	o.escalate()
	waiting := o.run()
	approval := o.approvalOf(waiting)
	o.publish("psa", "ticket.created", doc{"ticket_id": "tkt_1", "client_id": "cli_1", "subject": "The printer is offline"})
	done := o.ends(o.runBeside(waiting))
	key := text(o.must(http.StatusCreated, o.post("/api/keys", doc{"name": "a key", "access": "read"})), "key")
	o.put("psa", "ticket.created", doc{"org_id": o.name, "id": "evt_letter"})
	o.eventually("the malformed event is a dead letter", func() bool { return l.letters(o) == "malformed" })
	calls := len(o.calls(""))

	if said := l.local("stop"); !strings.Contains(said, "make run continues with it") {
		t.Errorf("stop said %q", said)
	}
	if said, err := l.try("publish", "-event", "psa:ticket.created"); err == nil || !strings.Contains(said, "make run") {
		t.Errorf("publish after stop said %q", said)
	}
	if said := l.local("up", "-no-demo"); !strings.Contains(said, "is up to date") || strings.Contains(said, "killed") {
		t.Errorf("up said %q", said)
	}

	o = l.again(o)
	if got := o.must(http.StatusOK, o.get("/api/executions/"+text(done, "id"))); statuses(got) != statuses(done) {
		t.Errorf("the run that was done has the steps %s, they were %s", statuses(got), statuses(done))
	}
	if got := o.must(http.StatusOK, o.get("/api/agents/"+agent)); text(got, "status") != "active" {
		t.Errorf("the agent is %s", text(got, "status"))
	}
	if got := o.send(http.MethodGet, o.outputs.API+"/api/credits", nil, http.Header{"X-Integration-Key": {key}}); got.status != http.StatusOK {
		t.Errorf("the key is answered with %d", got.status)
	}
	if got := len(o.calls("")); got != calls {
		t.Errorf("%d calls are stored, want %d", got, calls)
	}
	if got := l.letters(o); got != "malformed" {
		t.Errorf("the dead letters are %q", got)
	}
	if got := o.must(http.StatusOK, o.decide(approval, "approved")); text(got, "status") != "approved" {
		t.Errorf("the approval is %s", text(got, "status"))
	}

	// The task token is lost; the sweeper wakes the run.
	if x := o.ends(waiting); text(x, "status") != "completed" || len(o.done("add_note")) != 2 {
		t.Errorf("the run that waited is %s, with %d notes", text(x, "status"), len(o.done("add_note")))
	}
	o.escalate()
	o.eventually("another run waits", func() bool { return len(o.runs()) == 3 })

	l.killEmulator()
	if said := l.local("up", "-no-demo"); !strings.Contains(said, "was killed: it continues with its snapshot of") || !strings.Contains(said, "is up to date") {
		t.Errorf("up after a kill said %q", said)
	}
	o = l.again(o)
	if got := o.must(http.StatusOK, o.get("/api/executions/"+text(done, "id"))); statuses(got) != statuses(done) {
		t.Errorf("after a kill the run that was done has the steps %s", statuses(got))
	}

	if said := l.local("reset"); !strings.Contains(said, "is deleted") {
		t.Errorf("reset said %q", said)
	}
	for _, left := range []string{"outputs.json", "hub.pem", "root.pem", "ports.json", "deployed.json", "emulator", "products"} {
		if _, err := os.Stat(filepath.Join("../..", l.state, left)); err == nil {
			t.Errorf("reset left %s", left)
		}
	}
}

// letters returns the reasons of the dead letters about events of an
// organization.
func (l laptop) letters(o *org) string {
	l.t.Helper()
	cmd := exec.Command("../../.local/bin/operate", "letters", "-json", "-org", o.name, "-state", filepath.Join("../..", l.state))
	printed, err := cmd.Output()
	if err != nil {
		l.t.Fatalf("letters: %v", err)
	}
	var out doc
	if err := json.Unmarshal(printed, &out); err != nil {
		l.t.Fatal(err)
	}
	var reasons []string
	for _, x := range list(out, "letters") {
		reasons = append(reasons, text(x, "reason"))
	}
	return strings.Join(reasons, " ")
}
