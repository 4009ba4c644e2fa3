package meter

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// A Result is a step or a run that has ended. Kind, outcome and model have few values,
// so that they may be dimensions: CloudWatch charges for each combination.
type Result struct {
	Kind    string // of the step; "" for a run
	Outcome string
	Model   string // that answered, or ""
	Took    time.Duration

	InputTokens, OutputTokens, Credits int64 // of a model's answer
}

// maxValues is the largest number of values of a metric in one line of the embedded
// metric format.
const maxValues = 100

// Observe keeps a result for Lines; without a meter it does nothing.
func Observe(ctx context.Context, r Result) {
	m := of(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.results = append(m.results, r)
}

// Lines returns the metrics of the results in the embedded metric format, as the
// attributes of as few log lines as possible: mostly one, since the dimensions of a
// line have one value each. The organization is no dimension, since there may be any
// number: it is a field of the line, by which CloudWatch Logs Insights adds up the fields
// steps and credits.
//
//	StepDuration                                kind, outcome    its count is the number of steps
//	InputTokens, OutputTokens, CreditsCharged   model
//	RunDuration                                 run_outcome
func (m *Meter) Lines(namespace string, at time.Time) [][]slog.Attr {
	m.mu.Lock()
	defer m.mu.Unlock()
	var groups []*line
	for _, r := range m.results {
		i := slices.IndexFunc(groups, func(l *line) bool { return l.takes(r) })
		if i < 0 {
			i, groups = len(groups), append(groups, &line{})
		}
		groups[i].add(r)
	}
	lines := make([][]slog.Attr, 0, len(groups))
	for _, g := range groups {
		lines = append(lines, g.attrs(namespace, at))
	}
	return lines
}

// A line has the steps of one kind, outcome and model, and a run.
type line struct {
	steps []Result
	run   *Result
}

func (l *line) takes(r Result) bool {
	if r.Kind == "" {
		return l.run == nil
	}
	return len(l.steps) == 0 || len(l.steps) < maxValues &&
		l.steps[0].Kind == r.Kind && l.steps[0].Outcome == r.Outcome && l.steps[0].Model == r.Model
}

func (l *line) add(r Result) {
	if r.Kind == "" {
		l.run = &r
		return
	}
	l.steps = append(l.steps, r)
}

func (l *line) attrs(namespace string, at time.Time) []slog.Attr {
	var attrs []slog.Attr
	var directives []map[string]any
	metrics := func(dimensions []string, unit string, values map[string][]int64) {
		var list []map[string]string
		for _, name := range []string{"StepDuration", "RunDuration", "InputTokens", "OutputTokens", "CreditsCharged"} {
			if values[name] != nil {
				list = append(list, map[string]string{"Name": name, "Unit": unit})
				attrs = append(attrs, slog.Any(name, values[name]))
			}
		}
		directives = append(directives, map[string]any{"Namespace": namespace, "Dimensions": [][]string{dimensions}, "Metrics": list})
	}
	if len(l.steps) > 0 {
		first := l.steps[0]
		attrs = append(attrs, slog.String("kind", first.Kind), slog.String("outcome", first.Outcome), slog.Int("steps", len(l.steps)))
		metrics([]string{"kind", "outcome"}, "Milliseconds", map[string][]int64{"StepDuration": l.each(func(r Result) int64 { return r.Took.Milliseconds() })})
		if first.Model != "" {
			credits := int64(0)
			for _, r := range l.steps {
				credits += r.Credits
			}
			attrs = append(attrs, slog.String("model", first.Model), slog.Int64("credits", credits))
			metrics([]string{"model"}, "Count", map[string][]int64{
				"InputTokens": l.each(func(r Result) int64 { return r.InputTokens }), "OutputTokens": l.each(func(r Result) int64 { return r.OutputTokens }),
				"CreditsCharged": l.each(func(r Result) int64 { return r.Credits }),
			})
		}
	}
	if l.run != nil {
		attrs = append(attrs, slog.String("run_outcome", l.run.Outcome))
		metrics([]string{"run_outcome"}, "Milliseconds", map[string][]int64{"RunDuration": {l.run.Took.Milliseconds()}})
	}
	return append(attrs, slog.Any("_aws", map[string]any{ //nolint:sloglint // the format requires this name.
		"Timestamp": at.UnixMilli(), "CloudWatchMetrics": directives,
	}))
}

func (l *line) each(of func(Result) int64) []int64 {
	out := make([]int64, 0, len(l.steps))
	for _, r := range l.steps {
		out = append(out, of(r))
	}
	return out
}

// Bounded returns a model if it is among the known ones, otherwise "other": a model
// may answer under any name.
func Bounded(model string, known []string) string {
	if model == "" || slices.Contains(known, model) {
		return model
	}
	if i := slices.IndexFunc(known, func(k string) bool { return strings.HasPrefix(model, k) }); i >= 0 {
		return known[i] // with a date, as OpenAI answers
	}
	return "other"
}
