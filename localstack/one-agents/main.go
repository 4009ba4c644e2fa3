// One-agents tests agents without a network: it plays the definitions of a folder on
// the events of their fixtures, by the code that plays test runs in the API. It is made
// for pull requests to a folder of definitions.
//
// It is a program under localstack, beside the other programs for a developer's
// machine, because it needs no function and no stage.
//
// It exits with 0 when all is well, 1 when a test fails or a change makes an agent able to
// do more, and 2 when the input is invalid: an argument, a definition or a fixture.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

// The exit codes.
const (
	exitOK      = 0
	exitFailed  = 1
	exitInvalid = 2
)

const usage = `one-agents test     [-json] [-junit FILE] [-tests DIR] DIR   play the tests of all definitions
one-agents validate [-json] DIR                              check all definitions
one-agents capabilities DIR                                  write all that the definitions can do, as JSON
one-agents diff     [-json] OLD NEW                          show what NEW can do that OLD cannot, and the reverse

DIR has definitions, as POST /api/agents takes them, or templates: NAME.json. The tests of
a definition are in NAME.tests.json, beside it or in the folder of -tests:

  {"tests": [{"name": "a p1 ticket", "request": {…}, "expect": {…}}]}

"request" is the body of POST /api/agents/{id}/test without version, definition and
execution_id, at 2026-03-09T14:30:00Z unless it has "at". "expect" has the parts of the
answer that must be so: each field of an object, each entry of a list.

It exits with 0; with 1 when a test fails, or when diff finds anything wider; and with 2 for
invalid input.`

func main() { os.Exit(run(context.Background(), os.Stdout, os.Stderr, os.Args[1:])) }

// run does a command and returns its exit code.
func run(ctx context.Context, out, faults io.Writer, args []string) int {
	folders := map[string]int{"test": 1, "validate": 1, "capabilities": 1, "diff": 2}
	if len(args) == 0 || folders[args[0]] == 0 {
		say(faults, "%s", usage)
		if len(args) > 0 && (args[0] == "help" || args[0] == "-h") {
			return exitOK
		}
		return exitInvalid
	}
	flags := flag.NewFlagSet("one-agents "+args[0], flag.ContinueOnError)
	flags.SetOutput(faults)
	asJSON := flags.Bool("json", args[0] == "capabilities", "write the report as JSON")
	var junit, tests string
	if args[0] == "test" {
		flags.StringVar(&junit, "junit", "", "write a JUnit report to this file")
		flags.StringVar(&tests, "tests", "", "the folder of the fixtures, if it is not the folder of the definitions")
	}
	switch err := flags.Parse(args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitInvalid
	case flags.NArg() != folders[args[0]]:
		say(faults, "%s needs %d folders of definitions\n\n%s", args[0], folders[args[0]], usage)
		return exitInvalid
	}
	switch args[0] {
	case "capabilities":
		return capabilities(out, faults, flags.Arg(0))
	case "diff":
		return difference(out, faults, flags.Arg(0), flags.Arg(1), *asJSON)
	}
	return play(ctx, out, faults, playing{
		definitions: flags.Arg(0), tests: cmp.Or(tests, flags.Arg(0)), junit: junit, json: *asJSON, validate: args[0] == "validate",
	})
}

// A playing is what test and validate were asked for.
type playing struct {
	definitions, tests string // folders
	junit              string // a file; empty for none
	json, validate     bool
}

// play does the commands test and validate.
func play(ctx context.Context, out, faults io.Writer, p playing) int {
	report, err := check(ctx, os.DirFS(p.definitions), os.DirFS(p.tests), !p.validate)
	if err == nil && p.junit != "" {
		err = writeJUnit(p.junit, report)
	}
	if err != nil {
		say(faults, "%v", err)
		return exitInvalid
	}
	if p.json {
		return max(report.exit(), written(out, faults, report))
	}
	report.print(out)
	return report.exit()
}

// say writes a line. It ignores a write error, which it could not report either.
func say(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
