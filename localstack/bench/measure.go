package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"golang.org/x/sync/errgroup"

	"theoneagents.app/agents/localstack/harness"
	"theoneagents.app/agents/shared/clock"
)

// warmUp is the number of events before the measurement, so that each function has
// processes and the measurement meets no cold start.
const warmUp = 20

// The events for which the agents listen: one has three notes as its run, the other an
// approval and a note.
const (
	product = "psa"
	noted   = "ticket.escalated"
	gated   = "ticket.updated"
)

// A bench measures one system.
type bench struct {
	*harness.System
	options

	out    io.Writer
	org    *harness.Org
	ends   *ends
	report report
}

func (b *bench) say(format string, args ...any) { _, _ = fmt.Fprintf(b.out, format+"\n", args...) }

// measure makes all measurements, one after another.
func (b *bench) measure(ctx context.Context) error {
	b.report.idle = b.memory()
	var err error
	if b.org, err = b.Introduce(ctx, "bench", "scale"); err != nil {
		return err
	}
	if err := b.org.Hire(ctx, product, noted, harness.Note("one", "1"), harness.Note("two", "2"), harness.Note("three", "3")); err != nil {
		return err
	}
	if err := b.org.Hire(ctx, product, gated, harness.Doc{
		"id": "gate", "type": "approval_gate", "message": "Note it?", "timeout_seconds": 600,
	}, harness.Note("done", "1")); err != nil {
		return err
	}
	b.ends = follow(filepath.Join(b.State, "traces", "spans.jsonl"))
	ctx, stop := context.WithCancel(ctx)
	var reader errgroup.Group
	reader.Go(func() error {
		defer stop() // nothing would end any more
		return b.ends.read(ctx)
	})
	err = b.phases(ctx)
	stop()
	if failed := reader.Wait(); failed != nil {
		return failed
	}
	return err
}

func (b *bench) phases(ctx context.Context) error {
	for _, phase := range []func(context.Context) error{b.warm, b.alone, b.crowd, b.decisions, b.flood} {
		if err := phase(ctx); err != nil {
			return err
		}
	}
	return nil
}

// A sent is a published event.
type sent struct {
	trace string
	at    time.Time
	ended <-chan struct{}
}

// event returns a new event.
func (b *bench) event(kind string) (harness.Event, sent) {
	var trace [16]byte
	_, _ = rand.Read(trace[:]) // never fails
	s := sent{trace: hex.EncodeToString(trace[:])}
	s.ended = b.ends.expect(s.trace)
	e := harness.Event{Product: product, Type: kind, Ticket: "tkt_" + s.trace[:12], Trace: s.trace}
	e.Payload = harness.Doc{"ticket_id": e.Ticket, "escalated_to": "p1"}
	if kind == gated {
		e.Payload = harness.Doc{"ticket_id": e.Ticket, "changes": harness.Doc{"status": "open"}}
	}
	return e, s
}

// publish publishes one event.
func (b *bench) publish(ctx context.Context, kind string) (sent, error) {
	e, s := b.event(kind)
	s.at = b.Now()
	return s, b.org.Put(ctx, e)
}

// end waits for the end of an event's run and returns its time.
func (b *bench) end(ctx context.Context, s sent) (time.Time, error) {
	select {
	case <-s.ended:
		return b.ends.of(s.trace), nil
	case <-ctx.Done():
		return time.Time{}, fmt.Errorf("the run of an event has not ended after %v: %w", b.Now().Sub(s.at).Round(time.Second), ctx.Err())
	}
}

// once publishes an event and returns the time until its run has ended.
func (b *bench) once(ctx context.Context) (time.Duration, error) {
	s, err := b.publish(ctx, noted)
	if err != nil {
		return 0, err
	}
	at, err := b.end(ctx, s)
	return at.Sub(s.at), err
}

func (b *bench) warm(ctx context.Context) error {
	_, err := b.many(ctx, warmUp, 2)
	return err
}

// alone measures events one at a time.
func (b *bench) alone(ctx context.Context) error {
	b.say("%d events, one at a time", b.events)
	began, before := b.Now(), b.processor()
	for range b.events {
		took, err := b.once(ctx)
		if err != nil {
			return err
		}
		b.report.alone = append(b.report.alone, took)
	}
	b.report.processor = b.processor().since(before)
	b.report.runs = b.events
	return b.usage(ctx, began)
}

// many handles n events, some at a time, and returns how long that took.
func (b *bench) many(ctx context.Context, n, inFlight int) (time.Duration, error) {
	began := b.Now()
	workers, ctx := errgroup.WithContext(ctx)
	workers.SetLimit(inFlight)
	for range n {
		workers.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			_, err := b.once(ctx)
			return err
		})
	}
	err := workers.Wait()
	return b.Now().Sub(began), err
}

func (b *bench) crowd(ctx context.Context) error {
	b.say("%d events, %d at a time", b.together, b.inFlight)
	before := b.processor()
	took, err := b.many(ctx, b.together, b.inFlight)
	if err != nil {
		return err
	}
	b.report.rate = float64(b.together) / took.Seconds()
	b.report.busy, b.report.busyRuns = b.processor().since(before), b.together
	return nil
}

// decisions measures the time from a decision to the end of the run.
func (b *bench) decisions(ctx context.Context) error {
	b.say("%d decisions", b.gates)
	for range b.gates {
		s, err := b.publish(ctx, gated)
		if err != nil {
			return err
		}
		approval, err := b.approval(ctx)
		if err != nil {
			return err
		}
		// The machine parks the run within these milliseconds; a person needs longer.
		if err := clock.Sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
		decided := b.Now()
		if err := b.org.Call(ctx, http.MethodPost, "/api/approvals/"+approval+"/decision", harness.Doc{"decision": "approved"}, nil); err != nil {
			return err
		}
		at, err := b.end(ctx, s)
		if err != nil {
			return err
		}
		b.report.decided = append(b.report.decided, at.Sub(decided))
	}
	return nil
}

// approval waits for the pending approval.
func (b *bench) approval(ctx context.Context) (string, error) {
	for {
		var list struct {
			Approvals []struct {
				ID string `json:"id"`
			} `json:"approvals"`
		}
		if err := b.org.Call(ctx, http.MethodGet, "/api/approvals?status=pending", nil, &list); err != nil {
			return "", err
		}
		if len(list.Approvals) > 0 {
			return list.Approvals[0].ID, nil
		}
		if err := clock.Sleep(ctx, 25*time.Millisecond); err != nil {
			return "", err
		}
	}
}

// flood publishes many events at once, and measures the memory when all runs have ended.
func (b *bench) flood(ctx context.Context) error {
	b.say("%d events at once", b.burst)
	began := b.Now()
	var all []sent
	for len(all) < b.burst {
		var events []harness.Event
		for range min(harness.MostEvents, b.burst-len(all)) {
			e, s := b.event(noted)
			s.at = began
			events, all = append(events, e), append(all, s)
		}
		if err := b.org.Put(ctx, events...); err != nil {
			return err
		}
	}
	for _, s := range all {
		if _, err := b.end(ctx, s); err != nil {
			return err
		}
	}
	b.report.flood, b.report.flooded = b.Now().Sub(began), b.memory()
	return nil
}

// usage reads the calls and units since a time from the log lines of the functions.
func (b *bench) usage(ctx context.Context, since time.Time) error {
	api := cloudwatchlogs.NewFromConfig(b.Config)
	for _, output := range []string{"DispatcherFunctionName", "RunnerFunctionName"} {
		pages := cloudwatchlogs.NewFilterLogEventsPaginator(api, &cloudwatchlogs.FilterLogEventsInput{
			LogGroupName: aws.String("/aws/lambda/" + b.Outputs.Stack[output]), StartTime: aws.Int64(since.UnixMilli()),
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return fmt.Errorf("read the log of %s: %w", b.Outputs.Stack[output], err)
			}
			for _, e := range page.Events {
				for line := range strings.Lines(aws.ToString(e.Message)) {
					b.report.add(line)
				}
			}
		}
	}
	return nil
}

// add adds a log line, if it is that of an invocation.
func (r *report) add(line string) {
	var l struct {
		Message string         `json:"msg"`
		Calls   map[string]int `json:"calls"`
		Read    float64        `json:"read_units"`
		Write   float64        `json:"write_units"`
	}
	if json.Unmarshal([]byte(line), &l) != nil || l.Message != "invocation" {
		return
	}
	r.read, r.write = r.read+l.Read, r.write+l.Write
	for _, n := range l.Calls {
		r.calls += n
	}
}
