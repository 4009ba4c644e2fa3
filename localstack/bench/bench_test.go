package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func at(ms int) time.Time {
	return time.Date(2026, 3, 9, 14, 0, 0, ms*int(time.Millisecond), time.UTC)
}

func line(trace, name string, end int) string {
	return fmt.Sprintf(`{"trace_id": %q, "name": %q, "end": %q}`+"\n", trace, name, at(end).Format(time.RFC3339Nano))
}

// The spans of one export are in no order, and a look may find a part of a line.
func TestARunEndsWithTheTurnThatStoredItsEnd(t *testing.T) {
	t.Parallel()

	e := follow("")
	ended := e.expect("a")
	rest := []byte{}
	for _, text := range []string{
		line("a", "turn", 10), line("b", "run", 11), line("a", "run", 20), line("a", "turn", 15), // another turn
		line("a", "turn", 23)[:30], line("a", "turn", 23)[30:],
	} {
		select {
		case <-ended:
			t.Fatalf("the run has ended before %q", text)
		default:
		}
		rest = e.take(append(rest, text...))
	}
	select {
	case <-ended:
	default:
		t.Fatal("the run has not ended")
	}
	if got := e.of("a"); !got.Equal(at(23)) || len(rest) != 0 {
		t.Errorf("it ended at %v, want %v; %q is left", got, at(23), rest)
	}
}

func TestSpansAreReadFromTheFileThatFollowsAFullOne(t *testing.T) {
	t.Parallel()

	file := filepath.Join(t.TempDir(), "spans.jsonl")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(line("a", "run", 1))
	e := follow(file)
	ended := e.expect("a")
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- e.read(ctx) }()
	for open := true; open; {
		if err := os.Rename(file, file+".old"); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		write(line("a", "turn", 2) + line("a", "run", 2))
		select {
		case <-ended:
			open = false
		case err := <-done:
			t.Fatal(err)
		case <-time.After(20 * time.Millisecond): // the file may be replaced before it is opened
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAReportHasTheRowsOfThePhasesThatHaveEnded(t *testing.T) {
	t.Parallel()

	var r report
	if rows := r.rows(); len(rows) != 0 {
		t.Errorf("without a phase: %v", rows)
	}
	for i := range 100 {
		r.alone = append(r.alone, time.Duration(100-i)*time.Millisecond)
	}
	r.runs = 100
	r.add(`{"msg": "invocation", "calls": {"DynamoDB.GetItem": 150, "SFN.StartExecution": 50}, "read_units": 100, "write_units": 350}`)
	r.add(`{"msg": "request", "read_units": 1}`)
	r.add("START RequestId")
	before := snapshot{cpu: map[int]time.Duration{1: time.Second, 2: time.Second, 3: time.Second}, names: map[int]string{1: "runner", 2: emulator, 3: "runner"}}
	after := snapshot{cpu: map[int]time.Duration{1: 1200 * time.Millisecond, 2: 2 * time.Second, 4: 100 * time.Millisecond}, names: map[int]string{1: "runner", 2: emulator, 4: "dispatcher"}}
	r.processor = after.since(before)
	r.idle = snapshot{names: map[int]string{1: "runner", 2: emulator}, bytes: map[string]int{"runner": 30 << 20, emulator: 200 << 20}}
	var out bytes.Buffer
	if err := r.print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| event to end, one at a time: p50 / p99 / slowest | 50.0 / 99.0 / 100.0 ms |", "| calls of AWS of a run | 2.0 |",
		"| write / read units of a run | 3.5 / 1.0 |", "in our functions | 3.0 ms |", "| … runner | 2.0 ms |", "| … dispatcher | 1.0 ms |",
		"| … emulator | 10.0 ms |", "at the beginning | 30 MB of 1 functions, 230 MB in all |",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "a second") || strings.Contains(out.String(), "burst") {
		t.Errorf("a phase that has not ended has a row:\n%s", out.String())
	}
}

func TestTheTableReplacesTheOneBetweenItsComments(t *testing.T) {
	t.Parallel()

	file := filepath.Join(t.TempDir(), "README.md")
	write := func(text string) error {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r := report{flood: time.Second}
		return r.into(file)
	}
	if err := write("before\n<!-- make bench -->\nold\n<!-- end -->\nafter\n"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := string(text)
	if !strings.HasPrefix(got, "before\n<!-- make bench -->\n| measured") || !strings.HasSuffix(got, "| time of the burst | 1.0 s | 20 s |  |\n<!-- end -->\nafter\n") {
		t.Errorf("got\n%s", got)
	}
	if err := write("nothing"); err == nil || !strings.Contains(err.Error(), "make bench") {
		t.Errorf("err = %v", err)
	}
}
