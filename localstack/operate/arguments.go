package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"theoneagents.app/agents/events"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/queue"
	"theoneagents.app/agents/shared/tenant"
)

// A misuse lists all errors in the command line.
type misuse struct {
	command string
	faults  []string
}

func (m *misuse) Error() string {
	return m.command + ": " + strings.Join(m.faults, "\n"+m.command+": ")
}

// errHelp is the error of a command that was called with -h.
var errHelp = errors.New("help was asked for")

// arguments are the arguments of a command.
type arguments struct {
	set          *flag.FlagSet
	state, stack *string
	json         *bool
	faults       []string
}

// argue returns the arguments that every command has.
func argue(command string) *arguments {
	a := &arguments{set: flag.NewFlagSet("operate "+command, flag.ContinueOnError)}
	a.set.SetOutput(io.Discard) // package flag would print only the first fault
	a.state = a.set.String("state", ".local", "folder of the local cloud's state")
	a.stack = a.set.String("stack", "", "CloudFormation stack to operate, instead of the local cloud")
	a.json = a.set.Bool("json", false, "print JSON")
	return a
}

// parse reads all flags, continues after wrong ones, and returns the arguments
// that are not flags. Only -h ends it early.
func (a *arguments) parse(w surroundings, args []string) (rest []string, err error) {
	for len(args) > 0 {
		err := a.set.Parse(args)
		if errors.Is(err, flag.ErrHelp) {
			a.set.SetOutput(w.out)
			a.set.Usage()
			return nil, errHelp
		}
		if err != nil {
			a.faults = append(a.faults, err.Error())
		}
		args = a.set.Args()
		if err == nil && len(args) > 0 {
			rest, args = append(rest, args[0]), args[1:]
		}
	}
	return rest, nil
}

// refuse adds a fault if bad is true.
func (a *arguments) refuse(bad bool, format string, args ...any) {
	if bad {
		a.faults = append(a.faults, fmt.Sprintf(format, args...))
	}
}

// onlyFlags refuses arguments that are not flags.
func (a *arguments) onlyFlags(rest []string) {
	for _, r := range rest {
		a.refuse(true, "unexpected argument %q", r)
	}
}

// err returns all faults, or nil.
func (a *arguments) err() error {
	if len(a.faults) == 0 {
		return nil
	}
	slices.Sort(a.faults)
	return &misuse{command: a.set.Name(), faults: slices.Compact(a.faults)}
}

// org reads the id of an organization; an empty one is allowed.
func (a *arguments) org(s string) id.Org {
	o, ok := id.ParseOrg(s)
	a.refuse(s != "" && !ok, "-org %q is not an organization id: an id is org_ and up to 40 letters or digits", s)
	return o
}

// reasons returns every reason of a dead letter.
func reasons() []string {
	return []string{
		event.ErrMalformed.Code, event.ErrTooLarge.Code, tenant.ErrUnknown.Code, event.ErrMismatch.Code, queue.ErrFailed.Code, undelivered, unreadable,
	}
}

// reason refuses an unknown reason.
func (a *arguments) reason(s string) {
	a.refuse(s != "" && !slices.Contains(reasons(), s), "-reason %q is unknown: a reason is %s", s, strings.Join(reasons(), ", "))
}

// kind reads the qualified name of an event type; an empty one is allowed.
func (a *arguments) kind(s string) (product, kind string) {
	if s == "" {
		return "", ""
	}
	known, err := catalog.Load(events.Files)
	a.refuse(err != nil, "the catalogue cannot be read: %v", err)
	var names []string
	for _, e := range known.Events() {
		names = append(names, e.Name())
	}
	a.refuse(!slices.Contains(names, s), "-type %q is not an event type of the catalogue; %s", s, fault.Suggest(s, names))
	product, kind, _ = strings.Cut(s, ":")
	return product, kind
}

// moment reads a time.
func (a *arguments) moment(name, s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	a.refuse(err != nil, "-%s %q is not a time like 2026-03-09T14:00:00Z", name, s)
	return t.UTC()
}

// document prints v as JSON.
func (w surroundings) document(v any) error {
	out := json.NewEncoder(w.out)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	return out.Encode(v)
}
