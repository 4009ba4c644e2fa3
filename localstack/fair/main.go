// Fair measures whether an organization is delayed by the burst of another. It
// publishes events of a quiet organization, one after another, first alone and then
// behind a burst of a noisy organization, and compares the times until the first step
// of their runs. make fair runs it.
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

// options are the arguments.
type options struct {
	burst   int           // events of the noisy organization
	samples int           // events of the quiet organization, in each of the two phases
	every   time.Duration // time between two of them
	most    float64       // permitted ratio of the p99s
}

func run(ctx context.Context, w world, args []string) error {
	f := flag.NewFlagSet("fair", flag.ContinueOnError)
	f.SetOutput(w.err)
	var o options
	f.IntVar(&o.burst, "burst", 10_000, "number of events in the burst of the noisy organization")
	f.IntVar(&o.samples, "samples", 200, "number of events of the quiet organization, alone and behind the burst")
	f.DurationVar(&o.every, "every", 200*time.Millisecond, "time between two events of the quiet organization")
	f.Float64Var(&o.most, "most", 2, "largest permitted ratio of the p99 behind the burst to the p99 alone")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 || o.burst < 1 || o.samples < 1 || o.every <= 0 || o.most <= 0 {
		return errors.New("wrong arguments: fair takes only flags, and each must be positive")
	}
	s, err := open(w)
	if err != nil {
		return err
	}
	return s.measure(ctx, o)
}
