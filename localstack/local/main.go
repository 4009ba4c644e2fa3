// Local runs the whole system on this machine. It starts the emulator and the
// stand-in products, deploys the CDK app, shows a first run and stops its servers
// again. Other commands make sessions and keys, publish events, and print runs,
// traces, calls and logs. The Makefile calls it; see make help.
package main

import (
	"context"
	"errors"
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
		getenv: os.Getenv, environ: os.Environ(), now: time.Now, http: &http.Client{Timeout: 30 * time.Second},
		out: os.Stdout, err: os.Stderr,
	}
	err := run(ctx, w, os.Args[1:])
	code := exitCode(ctx, err)
	stop()
	if code == 0 {
		return
	}
	if text := err.Error(); text != "" {
		_, _ = fmt.Fprintln(os.Stderr, text)
	}
	os.Exit(code)
}

// exitCode returns the exit code of a command that ended with err.
func exitCode(ctx context.Context, err error) int {
	switch {
	case err == nil, errors.Is(err, errHelp):
		return 0
	case errors.Is(err, errInterrupted), ctx.Err() != nil:
		return exitInterrupted
	}
	if _, wrong := errors.AsType[*misuse](err); wrong || errors.Is(err, errUsage) {
		return exitMisuse
	}
	return exitFailed
}

// A world is a command's access to environment, clock, network and terminal.
type world struct {
	getenv   func(string) string
	environ  []string
	now      func() time.Time
	http     *http.Client
	out, err io.Writer
}

// say prints a line. It ignores a write error, which it could not report either.
func (w world) say(format string, args ...any) { _, _ = fmt.Fprintf(w.out, format+"\n", args...) }

var errUsage = errors.New("usage: local up|with|stop|reset|token|key|org|publish|show|trace|calls|logs|canary [flags]; -h after one of them lists its flags")

func run(ctx context.Context, w world, args []string) error {
	if len(args) == 0 {
		return errUsage
	}
	name, rest := args[0], args[1:]
	switch name {
	case "up":
		return up(ctx, w, rest)
	case "with":
		return with(ctx, w, rest)
	case "stop":
		return stop(ctx, w, rest)
	case "reset":
		return reset(ctx, w, rest)
	case "token":
		return token(w, rest)
	case "key":
		return key(ctx, w, rest)
	case "org":
		return newOrg(ctx, w, rest)
	case "publish":
		return publish(ctx, w, rest)
	case "show":
		return show(ctx, w, rest)
	case "trace":
		return trace(ctx, w, rest)
	case "calls":
		return calls(ctx, w, rest)
	case "logs":
		return logs(ctx, w, rest)
	case "canary":
		return probe(ctx, w, rest)
	}
	return errUsage
}
