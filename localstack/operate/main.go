// Operate is for those who keep the system running, on a laptop and on AWS. It
// lists dead letters and puts their events back on the bus, shows a run whole,
// and replays events from the archive. Whatever it does may be done again, and
// may be ended at any moment.
//
// It exits with 0 when all is done, 1 when something failed, and 2 when it was
// asked for something that it does not do.
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

// surroundings are all that a command may touch besides the system.
type surroundings struct {
	now   func() time.Time
	sleep func(ctx context.Context, d time.Duration) error
	out   io.Writer
}

// say prints a line. There is nobody to tell when that fails.
func (w surroundings) say(format string, args ...any) {
	_, _ = fmt.Fprintf(w.out, format+"\n", args...)
}

const usage = `operate letters  [-reason R] [-org O]                       list dead letters
operate redrive  [-reason R] [-org O] [-id evt_…] [-dry-run] [-force]
                                                           put their events back on the bus
operate run      exec_… -org O                             show a run whole
operate replay   -from T -to T [-org O] [-type psa:ticket.created] [-name N]
                                                           replay events from the archive

Each takes -json, and says with -h what its flags mean. The system is the one
that make run started (-state .local), or with -stack NAME that of a
CloudFormation stack in the account and region of the AWS settings in force.`

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
	return &misuse{what: "operate", faults: []string{"say what to do:\n\n" + usage}}
}
