// Bench measures the running system of make run: how long an event takes to the end of
// its run, alone and among others, how long a decision takes, what a run costs of calls,
// units and processor time, and the memory of all processes. make bench runs it.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"theoneagents.app/agents/localstack/harness"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	w := harness.World{
		File: cmp.Or(os.Getenv("LOCAL_OUTPUTS"), ".local/outputs.json"), Now: time.Now,
		HTTP: &http.Client{Timeout: 40 * time.Second},
	}
	err := run(ctx, w, os.Stdout, os.Args[1:])
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// options are the arguments.
type options struct {
	events   int           // one at a time
	together int           // in all, with inFlight at a time
	inFlight int           // at a time
	gates    int           // decisions
	burst    int           // events at once
	limit    time.Duration // for everything
}

func run(ctx context.Context, w harness.World, out io.Writer, args []string) error {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	var o options
	f.IntVar(&o.events, "events", 200, "number of events that are handled one at a time")
	f.IntVar(&o.together, "together", 800, "number of events that are handled several at a time")
	f.IntVar(&o.inFlight, "in-flight", 16, "number of events at a time")
	f.IntVar(&o.gates, "gates", 30, "number of runs that wait for a decision")
	f.IntVar(&o.burst, "burst", 1000, "number of events that are published at once")
	readme := f.String("readme", "", "also write the table into this file, between the comments make bench and end")
	f.DurationVar(&o.limit, "limit", 2*time.Minute, "time limit of the measurement")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 || min(o.events, o.together, o.inFlight, o.gates, o.burst) < 1 || o.limit <= 0 {
		return errors.New("wrong arguments: bench takes only flags, and each must be positive")
	}
	s, err := harness.Open(w, "bench")
	if err != nil {
		return err
	}
	if err := s.Outputs.Present(ctx, w.HTTP); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.limit, fmt.Errorf("the measurement took longer than %v: -limit allows more", o.limit))
	defer cancel()
	b := &bench{System: s, options: o, out: out}
	failed := b.measure(ctx)
	if failed != nil && ctx.Err() != nil {
		failed = errors.Join(failed, context.Cause(ctx))
	}
	if err := errors.Join(b.report.print(out), failed); err != nil || *readme == "" {
		return err // after the rows of the phases that have ended
	}
	return b.report.into(*readme)
}
