// Operate is the operators' program, for a laptop and for AWS. It lists dead
// letters and puts their events back on the bus, shows everything stored about a
// run, and replays events from the archives. Every command may be repeated and may
// be killed at any moment.
//
// It exits with 0 on success, 1 on a failure and 2 on wrong arguments.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"theoneagents.app/agents/shared/clock"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, surroundings{now: time.Now, sleep: clock.Sleep, out: os.Stdout}, os.Args[1:])
	stop()
	if err == nil {
		return
	}
	_, _ = fmt.Fprintln(os.Stderr, err)
	if _, wrong := errors.AsType[*misuse](err); wrong {
		os.Exit(2)
	}
	os.Exit(1)
}

// surroundings are a command's access to clock and terminal.
type surroundings struct {
	now   func() time.Time
	sleep func(ctx context.Context, d time.Duration) error
	out   io.Writer
}

// say prints a line. It ignores a write error, which it could not report either.
func (w surroundings) say(format string, args ...any) {
	_, _ = fmt.Fprintf(w.out, format+"\n", args...)
}

const usage = `operate letters  [-reason R] [-org O]                       list dead letters
operate redrive  [-reason R] [-org O] [-id evt_…] [-dry-run] [-force]
                                                           put their events back on the bus
operate redrive  -all                                      move all of them inside AWS, 500 in a second
operate run      exec_… -org O                             show everything stored about a run
operate replay   -from T -to T [-org O] [-type psa:ticket.created] [-name N]
                                                           replay events from the archives

Every command takes -json, and -h to explain its flags. It operates the system that
make run started (-state .local), or with -stack NAME a CloudFormation stack in the
account and region of the current AWS settings.`

func run(ctx context.Context, w surroundings, args []string) error {
	commands := map[string]func(context.Context, surroundings, []string) error{
		"letters": letters, "redrive": redrive, "run": show, "replay": replay,
	}
	if len(args) > 0 {
		if command, ok := commands[args[0]]; ok {
			err := command(ctx, w, args[1:])
			if errors.Is(err, errHelp) {
				return nil
			}
			return err
		}
		if args[0] == "-h" || args[0] == "help" {
			w.say("%s", usage)
			return nil
		}
	}
	return &misuse{command: "operate", faults: []string{"name a command:\n\n" + usage}}
}
