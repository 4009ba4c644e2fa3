package stories_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// operator is held by the story that reads the dead letters: a command hides them
// from every other one for a moment, so that two stories that wait for letters
// would keep them from each other.
var operator sync.Mutex

// operate runs the operators' program on the system and returns its output.
func (o *org) operate(args ...string) doc {
	o.t.Helper()
	operator.Lock()
	defer operator.Unlock()
	args = append(args, "-json", "-state", filepath.Dir(os.Getenv("LOCAL_OUTPUTS")))
	cmd := exec.CommandContext(o.t.Context(), "../../.local/bin/operate", args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	printed, err := cmd.Output()
	if err != nil {
		o.t.Fatalf("operate %v: %v: %s", args, err, &said)
	}
	var out doc
	if err := json.Unmarshal(printed, &out); err != nil {
		o.t.Fatalf("operate %v: %v: %s", args, err, printed)
	}
	return out
}

// reasons returns the reasons of the dead letters about events of the
// organization.
func (o *org) reasons() string {
	o.t.Helper()
	var reasons []string
	for _, l := range list(o.operate("letters", "-org", o.name), "letters") {
		reasons = append(reasons, text(l, "reason"))
	}
	slices.Sort(reasons)
	return strings.Join(reasons, " ")
}

// waitForLetters waits until the organization has these dead letters.
func (o *org) waitForLetters(want string) {
	o.t.Helper()
	o.eventually("the dead letters are "+want, func() bool { return o.reasons() == want })
}

// redrive redrives the organization's dead letters until the list is as
// wanted, and returns the events that were put back.
func (o *org) redrive(want string) (events []string) {
	o.t.Helper()
	o.eventually("the remaining dead letters are "+want, func() bool {
		for _, l := range list(o.operate("redrive", "-org", o.name), "letters") {
			if at(l, "redriven") == true {
				events = append(events, text(l, "event_id"))
			}
		}
		return o.reasons() == want
	})
	return events
}

// witness publishes a ticket and waits for its run. Then every earlier event
// has been handled, and the organization has n runs.
func (o *org) witness(n int) {
	o.t.Helper()
	ticket := "tkt_" + rand.Text()[:10]
	o.publish("psa", "ticket.created", doc{"ticket_id": ticket})
	o.eventually("the witness ran", func() bool {
		return slices.ContainsFunc(o.done("update_ticket"), func(c any) bool { return text(c, "params", "ticket_id") == ticket })
	})
	if got := len(o.runs()); got != n {
		o.t.Errorf("%d executions, want %d: %v", got, n, o.runs())
	}
}

func TestAnOperatorPutsEventsBackAndEachRunsOnce(t *testing.T) {
	t.Parallel()

	o := open(t).unannounced(t)
	began := time.Now().Add(-time.Second)
	early := o.envelope("psa", "ticket.created", doc{"ticket_id": "tkt_early", "subject": "VPN down"})
	o.put("psa", "ticket.created", early)
	broken := o.envelope("psa", "ticket.created", doc{"ticket_id": "tkt_broken"})
	broken["published_at"] = "yesterday"
	o.put("psa", "ticket.created", broken)
	o.waitForLetters("malformed unknown_org")

	o.announce()
	if got := o.redrive("malformed"); len(got) != 1 || got[0] != text(early, "id") {
		t.Fatalf("redriven %v, want %s alone", got, text(early, "id"))
	}
	x := o.ends(o.run())
	if text(x, "status") != "completed" || text(x, "trigger_event", "id") != text(early, "id") {
		t.Fatalf("the run is %v", x)
	}

	if got := o.redrive("malformed"); len(got) != 0 {
		t.Errorf("the second time %v was redriven", got)
	}
	o.put("psa", "ticket.created", early) // as after a redrive that was killed before it deleted the dead letter
	o.witness(2)

	replayed := o.operate("replay", "-org", o.name, "-from", began.UTC().Format(time.RFC3339), "-to", time.Now().UTC().Format(time.RFC3339))
	var buses []string
	for _, r := range list(replayed, "replays") {
		buses = append(buses, text(r, "bus"))
		if text(r, "state") != "COMPLETED" || at(r, "repeated") != false {
			t.Errorf("replay = %v", r)
		}
	}
	if !slices.Equal(buses, []string{o.outputs.HubBus, o.outputs.Bus}) {
		t.Errorf("replays on %v, want both buses, the Hub's first", buses)
	}
	o.waitForLetters("malformed malformed") // the replayed malformed event is handled, so the others are too
	o.witness(3)
	updates := slices.DeleteFunc(o.done("update_ticket"), func(c any) bool { return text(c, "params", "ticket_id") != "tkt_early" })
	if len(updates) != 1 {
		t.Errorf("the ticket was updated %d times, want once", len(updates))
	}
}

// It runs before the parallel stories, whose letters it would move too.
func TestAnOperatorMovesAllLettersBackAtOnce(t *testing.T) { //nolint:paralleltest // see above.
	o := open(t).unannounced(t)
	for _, ticket := range []string{"tkt_1", "tkt_2", "tkt_3"} {
		o.put("psa", "ticket.created", o.envelope("psa", "ticket.created", doc{"ticket_id": ticket, "subject": "VPN down"}))
	}
	forged := o.envelope("psa", "ticket.created", doc{"ticket_id": "tkt_forged"})
	forged["source_product"] = "rmm"
	o.put("psa", "ticket.created", forged)
	o.waitForLetters("envelope_mismatch unknown_org unknown_org unknown_org")

	o.announce()
	if moved := o.operate("redrive", "-all"); text(moved, "status") != "COMPLETED" || number(moved, "moved") < 4 {
		t.Errorf("the move is %v", moved)
	}
	o.waitForLetters("envelope_mismatch")
	o.witness(4)
}

func TestAnEventFromTheFutureBecomesADeadLetter(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	future := o.envelope("psa", "ticket.created", doc{"ticket_id": "tkt_future"})
	future["published_at"] = time.Now().Add(6 * time.Minute).UTC().Format(time.RFC3339)
	o.put("psa", "ticket.created", future)
	o.waitForLetters("malformed")
	o.witness(1)
}

func TestAnOperatorInspectsAWholeRun(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	o.alert()
	exec := o.run()
	approval := o.approvalOf(exec)
	var x doc
	o.eventually("the machine waits", func() bool {
		x = o.operate("run", exec, "-org", o.name)
		return at(x, "approvals", 0, "machine_waits") == true && text(x, "machines", "waits", 0, "status") == "RUNNING"
	})
	if text(x, "approvals", 0, "id") != approval || text(x, "approvals", 0, "status") != "pending" ||
		text(x, "execution", "status") != "waiting_approval" || text(x, "execution", "due") == "" {
		t.Errorf("while it waits: %v", x)
	}

	o.decide(approval, "approved")
	o.ends(exec)
	o.eventually("the machine is done", func() bool {
		x = o.operate("run", exec, "-org", o.name)
		return text(x, "machines", "waits", 0, "status") == "SUCCEEDED"
	})
	if text(x, "approvals", 0, "votes", 0, "user") != o.user || text(x, "approvals", 0, "actions", 0, "action") != "isolate_device" {
		t.Errorf("approval %v", at(x, "approvals", 0))
	}
	var charged float64
	for _, c := range list(x, "ledger", "charged") {
		charged += number(c, "amount")
	}
	b := at(x, "ledger", "balances", 0)
	if charged != number(x, "execution", "credits_used") || number(b, "allocation")-number(b, "remaining") != charged || len(list(x, "ledger", "held")) != 0 {
		t.Errorf("ledger %v of a run that cost %v", at(x, "ledger"), at(x, "execution", "credits_used"))
	}
	if len(list(x, "steps")) != len(list(o.get("/api/executions/"+exec).body, "steps")) || text(x, "event", "source_product") != "defend" {
		t.Errorf("run %v", x)
	}
}
