package parts

import (
	"context"
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/aws"

	"theoneagents.app/agents/shared/meter"
)

// metered returns a configuration whose clients count their calls.
func metered(cfg aws.Config) aws.Config {
	cfg.APIOptions = append(cfg.APIOptions, meter.Middleware)
	return cfg
}

// Metered returns a handler that logs one line an invocation: what it was about,
// and what it asked of AWS.
func Metered[In, Out any](
	p Parts, about func(In) slog.Attr, handle func(context.Context, In) (Out, error),
) func(context.Context, In) (Out, error) {
	return func(ctx context.Context, in In) (Out, error) {
		ctx, m := meter.With(ctx)
		out, err := handle(ctx, in)
		c := m.Count()
		p.Log.InfoContext(ctx, "invocation", about(in), slog.Any("calls", c.Calls),
			slog.Float64("read_units", c.Read), slog.Float64("write_units", c.Write), slog.Bool("failed", err != nil))
		return out, err
	}
}

// Nothing is what an invocation is about that says so in no word.
func Nothing[In any](In) slog.Attr { return slog.Attr{} }
