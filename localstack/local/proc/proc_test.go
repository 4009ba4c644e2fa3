package proc_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"theoneagents.app/agents/localstack/local/proc"
)

func program(t *testing.T, script string) proc.Program {
	t.Helper()
	dir := t.TempDir()
	return proc.Program{
		Args:    []string{"/bin/sh", "-c", script},
		Log:     filepath.Join(dir, "logs", "log"),
		Record:  filepath.Join(dir, "record.json"),
		Address: "127.0.0.1:1",
		Version: "v1",
	}
}

func TestAProgramIsFoundAndStopped(t *testing.T) {
	t.Parallel()

	p := program(t, "sleep 60")
	started, err := proc.Start(p)
	if err != nil {
		t.Fatal(err)
	}
	found, alive := proc.Find(p.Record)
	if !alive || found != started {
		t.Errorf("found %+v, alive %t; want %+v", found, alive, started)
	}
	if was, err := proc.Stop(t.Context(), p.Record); err != nil || !was {
		t.Errorf("stop: %t, %v", was, err)
	}
	if _, alive := proc.Find(p.Record); alive {
		t.Error("it still runs")
	}
	if was, err := proc.Stop(t.Context(), p.Record); err != nil || was {
		t.Errorf("second stop: %t, %v", was, err)
	}
}

func TestChildrenEndWithTheirProgram(t *testing.T) {
	t.Parallel()

	p := program(t, "sleep 60 & echo $!; trap 'exit 0' TERM; wait")
	if _, err := proc.Start(p); err != nil {
		t.Fatal(err)
	}
	child := firstLine(t, p.Log)
	if _, err := proc.Stop(t.Context(), p.Record); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		stat, err := os.ReadFile("/proc/" + child + "/stat")
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
}

func TestAnotherProcessWithTheSameNumberIsLeftAlone(t *testing.T) {
	t.Parallel()

	record := filepath.Join(t.TempDir(), "record.json")
	text, err := json.Marshal(proc.Process{PID: os.Getpid(), Birth: "long ago"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(record, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if was, err := proc.Stop(t.Context(), record); err != nil || was {
		t.Errorf("stop: %t, %v; want it to find nothing", was, err)
	}
	if _, err := os.Stat(record); err == nil {
		t.Error("the stale record is still there")
	}
}

func TestAnInvalidRecordFindsNoProcess(t *testing.T) {
	t.Parallel()

	for _, text := range []string{"", "{", `{"pid": 0}`, `{"pid": 1}`, `{"pid": -1}`} {
		record := filepath.Join(t.TempDir(), "record.json")
		if err := os.WriteFile(record, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if p, alive := proc.Find(record); alive {
			t.Errorf("%q: found %+v", text, p)
		}
	}
}

func firstLine(t *testing.T, path string) string {
	t.Helper()
	var line string
	eventually(t, func() bool {
		text, err := os.ReadFile(path)
		if err != nil {
			return false
		}
		var whole bool
		line, _, whole = strings.Cut(string(text), "\n")
		return whole
	})
	return line
}

func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the condition did not hold within 10 s")
		}
	}
}

func TestAProcessIsFoundByItsProgramAndAllOfItsVariables(t *testing.T) {
	t.Parallel()

	if _, err := os.Stat("/proc/self/environ"); err != nil {
		t.Skip("this machine has no /proc")
	}
	p := program(t, "sleep 60")
	p.Env = []string{"MARK=" + p.Record, "OTHER=1"}
	started, err := proc.Start(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = proc.Stop(context.Background(), p.Record) })
	// Between fork and exec it has neither its name nor its variables.
	eventually(t, func() bool { return slices.Equal(proc.With("sh", p.Env...), []int{started.PID}) })
	for _, of := range [][]string{{"sh", p.Env[0], "OTHER=2"}, {"sh", p.Env[0] + "x"}, {"bootstrap", p.Env[0]}} {
		if got := proc.With(of[0], of[1:]...); len(got) != 0 {
			t.Errorf("%q found %v, want none", of, got)
		}
	}
}
