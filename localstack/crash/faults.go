package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"theoneagents.app/agents/localstack/local/proc"
	"theoneagents.app/agents/shared/clock"
)

// faults kill processes of functions, and count the kills.
type faults struct {
	*system

	kills []kill

	mu          sync.Mutex
	killed      map[string]int
	interrupted map[string]int // kills during an invocation
	log         int64          // length of the emulator's log at the start

	ended, rested time.Time
}

func (s *system) faults(kills []kill) *faults {
	f := &faults{system: s, kills: kills, killed: map[string]int{}}
	if info, err := os.Stat(f.emulatorLog()); err == nil {
		f.log = info.Size()
	}
	return f
}

// kill carries out the planned kills at their times.
func (f *faults) kill(ctx context.Context, began time.Time) {
	for _, k := range f.kills {
		if clock.Sleep(ctx, k.at-f.now().Sub(began)) != nil {
			break
		}
		f.killOne(ctx, k)
	}
}

// killOne kills one process of a function, preferably during an invocation.
func (f *faults) killOne(ctx context.Context, k kill) {
	if k.function == "sweeper" { // it seldom runs: start an invocation to kill
		go f.invokeAsync(ctx, "sweeper")
	}
	// Only processes that the emulator runs for this system.
	ids := proc.With("bootstrap", "AWS_LAMBDA_FUNCTION_NAME="+f.function(k.function), "AWS_ENDPOINT_URL="+f.outputs.Endpoint)
	var victims []*os.Process // a handle cannot come to mean a later process with the same id
	for _, id := range ids {
		if p, err := os.FindProcess(id); err == nil {
			victims = append(victims, p)
			defer p.Release() //nolint:errcheck // an error has no consequence.
		}
	}
	if len(victims) == 0 {
		return
	}
	victim := f.awake(ctx, victims)
	if victim != nil {
		_ = clock.Sleep(ctx, time.Duration(k.pick%1000)*work(k.function)/1000) // the kill follows either way
	} else {
		victim = victims[k.pick%uint64(len(victims))]
	}
	if victim.Kill() == nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.killed[k.function]++
	}
}

// work is the approximate duration of an invocation.
func work(function string) time.Duration {
	if function == "runner" {
		return 200 * time.Millisecond
	}
	return 15 * time.Millisecond
}

// awake returns the first process that reads input, which is its next invocation
// or an awaited answer. It returns nil when no process reads for a second.
func (f *faults) awake(ctx context.Context, of []*os.Process) *os.Process {
	before := map[int]string{}
	for _, p := range of {
		before[p.Pid] = hasRead(p.Pid)
	}
	for end := f.now().Add(time.Second); f.now().Before(end); {
		for _, p := range of {
			if hasRead(p.Pid) != before[p.Pid] {
				return p
			}
		}
		if clock.Sleep(ctx, time.Millisecond) != nil {
			break
		}
	}
	return nil
}

// hasRead returns the input counter of a process, as a text that is only good for
// comparing.
func hasRead(id int) string {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(id) + "/io")
	if err != nil {
		return "" // the process has ended
	}
	first, _, _ := strings.Cut(string(text), "\n")
	return first
}

func (f *faults) emulatorLog() string { return filepath.Join(f.state, "logs", "emulator.log") }

// deaths counts, by function, the emulator's log lines about processes that ended
// during an invocation. Without the emulator's log it is empty.
func (f *faults) deaths() map[string]int {
	died := map[string]int{}
	text, err := os.ReadFile(f.emulatorLog())
	if err != nil || int64(len(text)) < f.log {
		return died
	}
	for line := range bytes.Lines(text[f.log:]) {
		_, rest, found := strings.Cut(string(line), "Lambda ")
		name, _, died1 := strings.Cut(rest, ": Runtime exited")
		if found && died1 {
			died[strings.TrimPrefix(name, "one-agents-")]++
		}
	}
	return died
}

// redrive puts a dead letter back into the queue of events.
func (s *system) redrive(ctx context.Context, event json.RawMessage) error {
	var e struct {
		Product string `json:"source_product"`
		Type    string `json:"event_type"`
	}
	_ = json.Unmarshal(event, &e) // an invalid event is redriven too
	_, err := s.queues.SendMessage(ctx, &sqs.SendMessageInput{
		QueueUrl:    &s.outputs.Events,
		MessageBody: aws.String(string(raw(doc{"source": e.Product, "detail-type": e.Type, "detail": event}))),
	})
	return err
}
