// Package waterfall prints the spans of a trace as a tree with bars, for people.
package waterfall

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"theoneagents.app/agents/localstack/products/collector"
	"theoneagents.app/agents/shared/span"
)

// Widths in characters.
const (
	barWidth  = 30
	nameWidth = 44
)

// maxLines limits the lines of a trace.
const maxLines = 400

// Print writes the spans to out, each below its parent. The bars are of the time from
// the first start to the last end. Spans whose parent has not arrived, such as those of
// a run that has not ended, are at the left.
func Print(out io.Writer, spans []collector.Span) error {
	latest := map[string]collector.Span{}
	for _, s := range spans { // the same span may have been sent twice
		latest[s.Trace+s.ID] = s
	}
	p := page{children: map[string][]collector.Span{}}
	for _, s := range latest {
		if p.begin.IsZero() || s.Start.Before(p.begin) {
			p.begin = s.Start
		}
		if s.End.After(p.end) {
			p.end = s.End
		}
		parent := s.Trace + s.Parent
		if _, known := latest[parent]; !known {
			parent = ""
		}
		p.children[parent] = append(p.children[parent], s)
	}
	for _, list := range p.children {
		slices.SortFunc(list, func(a, b collector.Span) int {
			return cmp.Or(a.Start.Compare(b.Start), b.End.Compare(a.End), strings.Compare(a.ID, b.ID))
		})
	}
	trace := ""
	for _, root := range p.children[""] {
		if root.Trace != trace {
			trace = root.Trace
			p.line("trace %s  %s  %v", trace, p.begin.Local().Format("2006-01-02 15:04:05.000"), rounded(p.end.Sub(p.begin)))
		}
		p.tree(root, 0)
	}
	if more := p.lines - maxLines; more > 0 {
		fmt.Fprintf(&p.text, "… %d more lines\n", more)
	}
	_, err := io.WriteString(out, p.text.String())
	return err
}

type page struct {
	text       strings.Builder
	lines      int
	begin, end time.Time
	children   map[string][]collector.Span // by trace and parent
}

func (p *page) line(format string, args ...any) {
	if p.lines++; p.lines <= maxLines {
		fmt.Fprintf(&p.text, format+"\n", args...)
	}
}

func (p *page) tree(s collector.Span, depth int) {
	name := strings.Repeat("  ", depth) + title(s)
	if letters := []rune(name); len(letters) > nameWidth {
		name = string(letters[:nameWidth-1]) + "…"
	}
	p.line("  %-*s %s %9v  %s", nameWidth, name, p.bar(s), rounded(s.End.Sub(s.Start)), remark(s))
	for _, child := range p.children[s.Trace+s.ID] {
		p.tree(child, depth+1)
	}
}

// title returns the name of a span with what it is about.
func title(s collector.Span) string {
	about := func(keys ...string) string {
		for _, k := range keys {
			if text, ok := s.Attributes[k].(string); ok {
				return " " + text
			}
		}
		return ""
	}
	switch s.Name {
	case "dispatch":
		return s.Name + about(span.EventType)
	case "run", "start":
		return s.Name + about(span.Execution)
	case "step":
		return s.Name + about(span.Step)
	case "action":
		if product := about(span.Product); product != "" {
			return s.Name + product + "." + strings.TrimSpace(about(span.Action))
		}
	}
	return s.Name + about(span.Model, span.Channel)
}

// remark returns the outcome of a span and its function.
func remark(s collector.Span) string {
	words := []string{}
	for _, k := range []string{span.StepKind, span.Outcome, span.StatusCode, span.ErrorType} {
		if v, ok := s.Attributes[k]; ok {
			words = append(words, fmt.Sprint(v))
		}
	}
	if s.Failed {
		words = append(words, "FAILED")
	}
	return strings.Join(append(words, "("+s.Service+")"), " ")
}

func (p *page) bar(s collector.Span) string {
	whole := max(p.end.Sub(p.begin), 1)
	from := int(int64(s.Start.Sub(p.begin)) * (barWidth - 1) / int64(whole))
	length := max(int(int64(s.End.Sub(s.Start))*barWidth/int64(whole)), 1)
	length = min(length, barWidth-from)
	return "│" + strings.Repeat(" ", from) + strings.Repeat("━", length) + strings.Repeat(" ", barWidth-from-length) + "│"
}

// rounded returns a duration with about three digits.
func rounded(d time.Duration) time.Duration {
	switch {
	case d >= time.Minute:
		return d.Round(time.Second)
	case d >= time.Second:
		return d.Round(10 * time.Millisecond)
	}
	return d.Round(10 * time.Microsecond)
}
