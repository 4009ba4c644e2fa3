package wire

import (
	"context"
	"log/slog"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"

	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/correlation"
	"theoneagents.app/agents/shared/meter"
)

// A Program is the main function of a Lambda function. It runs until its
// process ends, and fails when a setting is missing.
type Program = func(context.Context, boot.Getenv) error

// A Handler answers the invocations of a function.
type Handler[In, Out any] = func(context.Context, In) (Out, error)

// Start returns the program of the function with this name. build returns its
// handler; about returns the subject of an invocation for its log line.
func Start[In, Out any](name string, build func(*Wire) Handler[In, Out], about func(In) slog.Attr) Program {
	return func(ctx context.Context, getenv boot.Getenv) error {
		handle, err := NewHandler(ctx, name, getenv, build, about)
		if err != nil {
			return err
		}
		lambda.StartWithOptions(handle, lambda.WithContext(ctx))
		return nil
	}
}

// NewHandler returns the handler that Start starts. Its error names every
// missing setting.
func NewHandler[In, Out any](
	ctx context.Context, name string, getenv boot.Getenv, build func(*Wire) Handler[In, Out], about func(In) slog.Attr,
) (Handler[In, Out], error) {
	w, err := New(ctx, name, getenv)
	if err != nil {
		return nil, err
	}
	handle := build(w)
	if err := w.Err(); err != nil {
		return nil, err
	}
	return counted(w, about, handle), nil
}

// metered returns a configuration whose clients count their calls.
func metered(cfg aws.Config) aws.Config {
	cfg.APIOptions = append(cfg.APIOptions, meter.Middleware)
	return cfg
}

// counted returns a handler that logs one line for each invocation: its subject, its
// calls, its units and the metrics of its results; and one more for its error. It
// exports the spans.
func counted[In, Out any](w *Wire, about func(In) slog.Attr, handle Handler[In, Out]) Handler[In, Out] {
	namespace := w.env.May(boot.EnvMetrics, "")
	return func(ctx context.Context, in In) (Out, error) {
		ctx, m := meter.With(ctx)
		ctx = correlation.With(ctx)
		request := ""
		if call, ok := lambdacontext.FromContext(ctx); ok {
			request = call.AwsRequestID
		}
		correlation.Set(ctx, func(f *correlation.Fields) { f.Request = request })
		ctx, export := w.traced(ctx, request)
		out, err := handle(ctx, in)
		if err != nil {
			w.Log.ErrorContext(ctx, "invocation failed", "err", err)
		}
		c := m.Count()
		line := []slog.Attr{
			about(in), slog.Any("calls", c.Calls),
			slog.Float64("read_units", c.Read), slog.Float64("write_units", c.Write), slog.Bool("failed", err != nil),
		}
		log := w.Log
		for n, metrics := range m.Lines(namespace, w.Now()) {
			if log = w.metrics; n == 0 {
				line = append(line, metrics...)
				continue
			}
			w.metrics.LogAttrs(ctx, slog.LevelInfo, "results", metrics...)
		}
		log.LogAttrs(ctx, slog.LevelInfo, "invocation", line...)
		export()
		return out, err
	}
}
