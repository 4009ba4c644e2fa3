// Crash puts the deployed system under load while its functions are killed, a
// product fails and people press the wrong buttons; then it lets everything
// come to rest and audits what can be seen from outside. make crash runs it.
//
// What is to happen follows from the seed, and is printed first. When it happens
// depends on the machine: the same seed makes the same trouble, not the same
// race.
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

// A world is all that the program may touch.
type world struct {
	outputs  string // file that says where the system is
	now      func() time.Time
	http     *http.Client
	out, err io.Writer
}

// say prints a line. There is nobody to tell when that fails.
func (w world) say(format string, args ...any) { _, _ = fmt.Fprintf(w.out, format+"\n", args...) }

// errViolated says that something did not hold.
var errViolated = errors.New("not everything that was promised has held")

func run(ctx context.Context, w world, args []string) error {
	f := flag.NewFlagSet("crash", flag.ContinueOnError)
	f.SetOutput(w.err)
	var o options
	f.IntVar(&o.events, "events", 1000, "how many events to publish")
	f.Uint64Var(&o.seed, "seed", 0, "what is to happen; 0 takes another each time")
	f.Float64Var(&o.rate, "rate", 5, "events a second")
	f.BoolVar(&o.hurry, "hurry", false, "be short: repeat messages and sweep in seconds, not in minutes as the system is deployed")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 || o.events < 1 || o.rate <= 0 {
		return errors.New("crash takes flags only, at least one event, and a positive rate")
	}
	if o.seed == 0 {
		o.seed = uint64(w.now().UnixNano())
	}
	s, err := open(ctx, w)
	if err != nil {
		return err
	}
	return s.run(ctx, o)
}
