// Crash tests the deployed system under load and faults. It publishes events
// while it kills functions, lets a product fail, and lets users decide, cancel and
// retry. When all runs have ended, it audits the state that is visible from
// outside. make crash runs it.
//
// The seed determines the plan, which is printed first. The timing depends on the
// machine: the same seed repeats the faults, but not their interleaving.
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
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	w := world{
		outputs: cmp.Or(os.Getenv("LOCAL_OUTPUTS"), ".local/outputs.json"), now: time.Now,
		http: &http.Client{Timeout: 40 * time.Second}, out: os.Stdout, err: os.Stderr,
	}
	err := run(ctx, w, os.Args[1:])
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A world is the program's access to files, clock, network and terminal.
type world struct {
	outputs  string // file with the addresses of the system
	now      func() time.Time
	http     *http.Client
	out, err io.Writer
}

// say prints a line. It ignores a write error, which it could not report either.
func (w world) say(format string, args ...any) { _, _ = fmt.Fprintf(w.out, format+"\n", args...) }

// errViolated is the error of an audit that found violations.
var errViolated = errors.New("the audit found violated invariants")

func run(ctx context.Context, w world, args []string) error {
	f := flag.NewFlagSet("crash", flag.ContinueOnError)
	f.SetOutput(w.err)
	var o options
	f.IntVar(&o.events, "events", 1000, "number of events to publish")
	f.Uint64Var(&o.seed, "seed", 0, "seed of the plan; 0 takes a new one each time")
	f.Float64Var(&o.rate, "rate", 5, "events per second")
	f.BoolVar(&o.hurry, "hurry", false, "redeliver messages and sweep within seconds, instead of the deployed minutes")
	f.DurationVar(&o.outage, "outage", 0, "time during which the dispatcher may not use the table, from a third of the events on")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 || o.events < 1 || o.rate <= 0 || o.outage < 0 {
		return errors.New("wrong arguments: crash takes only flags, -events must be at least 1, -rate positive and -outage not negative")
	}
	if o.seed == 0 {
		o.seed = uint64(w.now().UnixNano())
	}
	s, err := open(w)
	if err != nil {
		return err
	}
	return s.run(ctx, o)
}
