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
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"theoneagents.app/agents/shared/correlation"
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

// Logger returns the log of a function: a JSON object per line on standard error, of
// this level and above. Each line has the fields of its context.
func Logger(function string, level slog.Level) *slog.Logger {
	return NewLogger(os.Stderr, function, level)
}

// NewLogger is Logger with another output.
func NewLogger(out io.Writer, function string, level slog.Level) *slog.Logger {
	handler := slog.NewJSONHandler(out, &slog.HandlerOptions{Level: level})
	return slog.New(correlated{handler}).With("function", function)
}

// A correlated handler adds the fields of the context to each line that has no such
// field of its own.
type correlated struct{ slog.Handler }

// Handle implements slog.Handler.
func (c correlated) Handle(ctx context.Context, r slog.Record) error {
	own := map[string]bool{}
	r.Attrs(func(a slog.Attr) bool { own[a.Key] = true; return true })
	f := correlation.Of(ctx)
	for _, field := range [...]struct{ key, value string }{
		{"request_id", f.Request},
		{"org_id", string(f.Org)},
		{"event_id", string(f.Event)},
		{"agent_id", string(f.Agent)},
		{"execution_id", string(f.Execution)},
		{"trace_id", f.Trace},
	} {
		if field.value != "" && !own[field.key] {
			r.AddAttrs(slog.String(field.key, field.value))
		}
	}
	return c.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (c correlated) WithAttrs(attrs []slog.Attr) slog.Handler {
	return correlated{c.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (c correlated) WithGroup(name string) slog.Handler { return correlated{c.Handler.WithGroup(name)} }

// Reporter returns a func that logs failures under a message.
func Reporter(log *slog.Logger, message string) func(context.Context, error) {
	return func(ctx context.Context, err error) {
		log.WarnContext(ctx, message, "err", err) //nolint:sloglint // the messages of all callers are constants.
	}
}

// LogLevel returns the level in the setting EnvLogLevel: one of Lambda's names, of which
// slog has no TRACE and FATAL. Without the setting it is INFO.
func (e *Env) LogLevel() slog.Level {
	const finer = 4 // the distance of slog's levels
	switch text := e.May(EnvLogLevel, "INFO"); text {
	case "TRACE":
		return slog.LevelDebug - finer
	case "FATAL":
		return slog.LevelError + finer
	default:
		var level slog.Level
		e.Fault(EnvLogLevel, level.UnmarshalText([]byte(text)))
		return level
	}
}

// Ratio returns an optional setting that is a number from 0 to 1, or 1 without it.
func (e *Env) Ratio(name string) float64 {
	text := e.May(name, "1")
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v >= 0 && v <= 1) {
		e.Fault(name, fmt.Errorf("want a number from 0 to 1, got %q", text))
	}
	return v
}

// Main runs a function's program, and ends it with a message if it cannot
// start.
func Main(run func(context.Context, Getenv) error) {
	if err := run(context.Background(), os.Getenv); err != nil {
		slog.Error("cannot start", "err", err)
		os.Exit(1)
	}
}
