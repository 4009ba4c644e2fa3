package proc_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"theoneagents.app/agents/localstack/local/proc"
)

func TestOneProcessHoldsAFile(t *testing.T) {
	t.Parallel()

	path := filepath.Join(t.TempDir(), "folder", "running")
	if p, held := proc.Holder(path); held {
		t.Errorf("before it is there: %+v", p)
	}
	release, err := proc.Hold(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := proc.Hold(path); !errors.Is(err, proc.ErrHeld) {
		t.Errorf("a second one: %v", err)
	}
	if p, held := proc.Holder(path); !held || p.PID != os.Getpid() {
		t.Errorf("held %t by %+v", held, p)
	}
	release()
	if p, held := proc.Holder(path); held {
		t.Errorf("after it was released: %+v", p)
	}
	release, err = proc.Hold(path)
	if err != nil {
		t.Fatal(err)
	}
	release()
}

func TestAProgramWithoutARecordIsFoundByItsLock(t *testing.T) {
	t.Parallel()

	p := program(t, `exec 9>>"$0/running"; flock 9; echo $$ >"$0/running"; echo held; exec sleep 60`)
	dir := filepath.Dir(p.Record)
	p.Args = append(p.Args, dir)
	if _, err := proc.Start(p); err != nil {
		t.Fatal(err)
	}
	if firstLine(t, p.Log) != "held" {
		t.Skip("this machine has no flock")
	}
	if err := proc.Forget(p.Record); err != nil {
		t.Fatal(err)
	}
	found, held := proc.Holder(filepath.Join(dir, "running"))
	if !held {
		t.Fatal("no process holds the file")
	}
	if err := found.End(t.Context(), time.Second); err != nil {
		t.Fatal(err)
	}
	if _, held := proc.Holder(filepath.Join(dir, "running")); held {
		t.Error("it still runs")
	}
}
