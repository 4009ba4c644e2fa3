// Package timeline prints a run step by step, for people.
package timeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// width is the number of characters shown of an output.
const width = 100

// A Run is an execution as the API returns it.
type Run struct {
	ID        string     `json:"id"`
	Agent     string     `json:"agent_id"`
	Status    string     `json:"status"`
	Reason    string     `json:"status_reason"`
	Error     *Problem   `json:"error"`
	Credits   int        `json:"credits_used"`
	Created   time.Time  `json:"created_at"`
	Completed *time.Time `json:"completed_at"`
	Trigger   struct {
		ID      string `json:"id"`
		Type    string `json:"event_type"`
		Product string `json:"source_product"`
	} `json:"trigger_event"`
	Steps []Step `json:"steps"`
}

// A Step is one step of a run.
type Step struct {
	ID       string          `json:"step_id"`
	Type     string          `json:"step_type"`
	Status   string          `json:"status"`
	Output   json.RawMessage `json:"output"`
	Error    *Problem        `json:"error"`
	Credits  int             `json:"credits_used"`
	Duration *int64          `json:"duration_ms"`
}

// A Problem says why something failed.
type Problem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Step    string `json:"step_id"`
}

// Over reports whether the run has ended.
func (r Run) Over() bool {
	return r.Status == "completed" || r.Status == "failed" || r.Status == "cancelled"
}

// Print writes r to out.
func (r Run) Print(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%s  %s\n", r.Trigger.Product, r.Trigger.Type, r.Trigger.ID)
	fmt.Fprintf(&b, "└ %s  %s\n", r.Agent, r.ID)
	ids, types := 0, 0
	for _, s := range r.Steps {
		ids, types = max(ids, len(s.ID)), max(types, len(s.Type))
	}
	for _, s := range r.Steps {
		fmt.Fprintf(&b, "  %s %-*s  %-*s  %-9s %9s  %11s\n", mark(s.Status), ids, s.ID, types, s.Type, s.Status, duration(s.Duration), credits(s.Credits))
		if text := said(s); text != "" {
			fmt.Fprintf(&b, "      %s\n", text)
		}
	}
	fmt.Fprintf(&b, "%s %s, %s", mark(r.Status), r.Status, credits(r.Credits))
	if why := because(r); why != "" {
		fmt.Fprintf(&b, ": %s", why)
	}
	b.WriteString("\n")
	_, err := io.WriteString(out, b.String())
	return err
}

func mark(status string) string {
	switch status {
	case "completed":
		return "✓"
	case "failed":
		return "✗"
	case "skipped", "cancelled":
		return "–"
	}
	return "…"
}

func duration(ms *int64) string {
	switch {
	case ms == nil:
		return ""
	case *ms < 10_000:
		return fmt.Sprintf("%d ms", *ms)
	}
	return fmt.Sprintf("%.1f s", float64(*ms)/1000)
}

func credits(n int) string {
	if n == 1 {
		return "1 credit"
	}
	return fmt.Sprintf("%d credits", n)
}

// said returns the error or the output of a step, on one line.
func said(s Step) string {
	if s.Error != nil {
		return short(s.Error.Code + ": " + s.Error.Message)
	}
	var b bytes.Buffer
	if json.Compact(&b, s.Output) != nil || b.String() == "null" {
		return ""
	}
	return short(b.String())
}

func because(r Run) string {
	switch {
	case r.Error != nil:
		return r.Error.Code + ": " + r.Error.Message
	case r.Status == "completed":
		return ""
	}
	return r.Reason
}

func short(s string) string {
	runes := []rune(strings.Join(strings.Fields(s), " "))
	if len(runes) <= width {
		return string(runes)
	}
	return string(runes[:width-1]) + "…"
}
