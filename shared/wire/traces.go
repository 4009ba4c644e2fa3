package wire

import (
	"context"
	"net/http"
	"strings"

	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/otlp"
	"theoneagents.app/agents/shared/span"
)

// openTraces makes the exporter of traces, if the settings name a collector.
func (w *Wire) openTraces(name string) {
	endpoint := w.env.May(boot.EnvTraces, "")
	if endpoint == "" {
		return
	}
	headers, err := otlp.ParseHeaders(w.secret(boot.EnvTracesHeaders).Current)
	w.env.Fault(boot.EnvTracesHeaders, err)
	w.ratio = w.env.Ratio(boot.EnvTracesRatio)
	w.traces = &otlp.Exporter{
		Endpoint: strings.TrimRight(endpoint, "/"), Headers: headers, HTTP: &http.Client{Timeout: otlp.Timeout}, Now: w.Now,
		Resource: []span.Attribute{
			{Key: "service.namespace", Value: "one-agents"},
			{Key: "service.name", Value: w.env.May("AWS_LAMBDA_FUNCTION_NAME", name)},
			{Key: "cloud.provider", Value: "aws"},
			{Key: "cloud.region", Value: w.env.May("AWS_REGION", "")},
			{Key: "faas.instance", Value: w.env.May("AWS_LAMBDA_LOG_STREAM_NAME", "")},
		},
	}
}

// traced returns a context whose spans are recorded, and a func that exports them. The
// answer of the invocation waits for it, because Lambda then stops the process.
func (w *Wire) traced(ctx context.Context, request string) (context.Context, func()) {
	if w.traces == nil {
		return ctx, func() {}
	}
	r := span.NewRecorder(w.Now, w.ratio, request)
	return span.With(ctx, r), func() {
		spans, dropped := r.Ended()
		if err := w.traces.Export(ctx, spans, dropped); err != nil {
			w.Log.WarnContext(ctx, "traces are lost", "err", err)
		}
	}
}
