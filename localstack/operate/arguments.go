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

// A misuse says everything that is wrong with what was typed.
type misuse struct {
	what   string
	faults []string
}

func (m *misuse) Error() string { return m.what + ": " + strings.Join(m.faults, "\n"+m.what+": ") }

// errHelp says that somebody only wanted to know.
var errHelp = errors.New("help was asked for")

// arguments are what is typed after a command.
type arguments struct {
	set          *flag.FlagSet
	state, stack *string
	json         *bool
	faults       []string
}

// argue returns the arguments that every command has.
func argue(command string) *arguments {
	a := &arguments{set: flag.NewFlagSet("operate "+command, flag.ContinueOnError)}
	a.set.SetOutput(io.Discard) // it would tell of the first fault alone
	a.state = a.set.String("state", ".local", "folder of the local cloud's state")
	a.stack = a.set.String("stack", "", "CloudFormation stack to operate, instead of the local cloud")
	a.json = a.set.Bool("json", false, "print JSON")
	return a
}

// parse reads the arguments, goes on after those that are wrong, and returns
// what is no flag. Only a call for help ends it.
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

// refuse notes a fault.
func (a *arguments) refuse(bad bool, format string, args ...any) {
	if bad {
		a.faults = append(a.faults, fmt.Sprintf(format, args...))
	}
}

// nothing notes what is too much.
func (a *arguments) nothing(rest []string) {
	for _, r := range rest {
		a.refuse(true, "%q belongs to no flag", r)
	}
}

// err returns all faults, or nil.
func (a *arguments) err() error {
	if len(a.faults) == 0 {
		return nil
	}
	slices.Sort(a.faults)
	return &misuse{what: a.set.Name(), faults: slices.Compact(a.faults)}
}

// org reads the name of an organization, which may be missing.
func (a *arguments) org(s string) id.Org {
	o, ok := id.ParseOrg(s)
	a.refuse(s != "" && !ok, "-org %q is no organization: org_ and up to 40 letters or digits", s)
	return o
}

// reasons are those that a letter can have.
func reasons() []string {
	return []string{
		event.ErrMalformed.Code, event.ErrTooLarge.Code, tenant.ErrUnknown.Code, event.ErrMismatch.Code, queue.ErrFailed.Code, unreadable,
	}
}

// reason notes a reason that no letter can have.
func (a *arguments) reason(s string) {
	a.refuse(s != "" && !slices.Contains(reasons(), s), "-reason %q is none of the reasons %s", s, strings.Join(reasons(), ", "))
}

// kind reads the qualified name of an event type, which may be missing.
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
	a.refuse(!slices.Contains(names, s), "-type %q is no event type of the catalogue; %s", s, fault.Suggest(s, names))
	product, kind, _ = strings.Cut(s, ":")
	return product, kind
}

// moment reads a time.
func (a *arguments) moment(name, s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	a.refuse(err != nil, "-%s %q is no time like 2026-03-09T14:00:00Z", name, s)
	return t.UTC()
}

// document prints v as JSON.
func (w surroundings) document(v any) error {
	out := json.NewEncoder(w.out)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	return out.Encode(v)
}
