// Package boot starts a function: it reads the environment, makes the clients,
// and reports all missing settings at once.
//
// It has no local mode: a laptop differs from the cloud only by the endpoints
// in the environment.
package boot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
)

// Getenv reads the environment: os.Getenv in a program, a map in a test.
type Getenv func(name string) string

// An Env reads settings and collects every missing or invalid one.
type Env struct {
	getenv Getenv
	faults []error
}

// NewEnv returns a reader of the environment.
func NewEnv(getenv Getenv) *Env { return &Env{getenv: getenv} }

// Need returns a required setting.
func (e *Env) Need(name string) string {
	v := e.getenv(name)
	if v == "" {
		e.faults = append(e.faults, fmt.Errorf("%s is not set", name))
	}
	return v
}

// May returns an optional setting, or def without it.
func (e *Env) May(name, def string) string {
	if v := e.getenv(name); v != "" {
		return v
	}
	return def
}

// Count returns a required setting that is a whole number from 1.
func (e *Env) Count(name string) int {
	v := e.Need(name)
	n, err := strconv.Atoi(v)
	if v != "" && (err != nil || n < 1) {
		e.Fault(name, fmt.Errorf("want a whole number from 1, got %q", v))
	}
	return n
}

// List returns the parts of a comma-separated setting; none without the
// setting.
func (e *Env) List(name string) []string {
	var out []string
	for part := range strings.SplitSeq(e.getenv(name), ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// Fault records an invalid setting.
func (e *Env) Fault(name string, err error) {
	if err != nil {
		e.faults = append(e.faults, fmt.Errorf("%s: %w", name, err))
	}
}

// Err returns an error that names every missing or invalid setting, or nil.
func (e *Env) Err() error {
	if len(e.faults) == 0 {
		return nil
	}
	return fmt.Errorf("environment: %w", errors.Join(e.faults...))
}

// Logger returns the log of a function: a JSON object per line on standard
// error.
func Logger(function string) *slog.Logger {
	return slog.New(slog.NewJSONHandler(os.Stderr, nil)).With("function", function)
}

// Reporter returns a func that logs failures that will be retried.
func Reporter(log *slog.Logger) func(context.Context, error) {
	return func(ctx context.Context, err error) {
		log.WarnContext(ctx, "recoverable failure, will be retried", "err", err)
	}
}

// Main runs a function's program, and ends it with a message if it cannot
// start.
func Main(run func(context.Context, Getenv) error) {
	if err := run(context.Background(), os.Getenv); err != nil {
		slog.Error("cannot start", "err", err)
		os.Exit(1)
	}
}
