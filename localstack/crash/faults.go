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

// faults kill functions, and count.
type faults struct {
	*system

	kills []kill

	mu     sync.Mutex
	killed map[string]int
	spoilt map[string]int // deaths in the middle of an invocation
	log    int64          // how long the emulator's log was at first

	ended, rested time.Time
}

func (s *system) faults(kills []kill) *faults {
	f := &faults{system: s, kills: kills, killed: map[string]int{}}
	if info, err := os.Stat(f.emulatorLog()); err == nil {
		f.log = info.Size()
	}
	return f
}

// kill kills what is to be killed, in its time.
func (f *faults) kill(ctx context.Context, began time.Time) {
	for _, k := range f.kills {
		if clock.Sleep(ctx, k.at-f.now().Sub(began)) != nil {
			break
		}
		f.strike(ctx, k)
	}
}

// strike kills one process of a function, one that is at work if there is one.
func (f *faults) strike(ctx context.Context, k kill) {
	if k.function == "sweeper" { // it seldom works: give it something to die in
		go f.ring(ctx, "sweeper")
	}
	// Only the id of a process that the emulator runs for this system.
	ids := proc.With("bootstrap", "AWS_LAMBDA_FUNCTION_NAME="+f.function(k.function), "AWS_ENDPOINT_URL="+f.outputs.Endpoint)
	var victims []*os.Process // from now on nobody else can be meant by its id
	for _, id := range ids {
		if p, err := os.FindProcess(id); err == nil {
			victims = append(victims, p)
			defer p.Release() //nolint:errcheck // nothing hangs on it.
		}
	}
	if len(victims) == 0 {
		return
	}
	victim := f.awake(ctx, victims)
	if victim != nil {
		_ = clock.Sleep(ctx, time.Duration(k.lot%1000)*work(k.function)/1000) // the kill follows either way
	} else {
		victim = victims[k.lot%uint64(len(victims))]
	}
	if victim.Kill() == nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.killed[k.function]++
	}
}

// work is about how long an invocation takes.
func work(function string) time.Duration {
	if function == "runner" {
		return 200 * time.Millisecond
	}
	return 15 * time.Millisecond
}

// awake returns the first of some processes that is seen to read something: its
// next invocation, or an answer that it waited for. It is nil when none does for
// a second.
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

// hasRead says how much a process has read so far, in words that only compare.
func hasRead(id int) string {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(id) + "/io")
	if err != nil {
		return "" // it is gone
	}
	first, _, _ := strings.Cut(string(text), "\n")
	return first
}

func (f *faults) emulatorLog() string { return filepath.Join(f.state, "logs", "emulator.log") }

// deaths counts what the emulator says of functions that died at work. It is
// empty where the emulator is not ours.
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
	_ = json.Unmarshal(event, &e) // what is no event goes back too
	_, err := s.queues.SendMessage(ctx, &sqs.SendMessageInput{
		QueueUrl:    &s.outputs.Events,
		MessageBody: aws.String(string(raw(doc{"source": e.Product, "detail-type": e.Type, "detail": event}))),
	})
	return err
}
