package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"theoneagents.app/agents/localstack/local/waterfall"
	"theoneagents.app/agents/localstack/products/collector"
	"theoneagents.app/agents/shared/id"
)

// trace prints the spans of the trace of a run, by default the newest.
func trace(ctx context.Context, w world, args []string) error {
	f, state := flags(w, "trace")
	org := f.String("org", demoOrg, "organization whose newest run is meant without -run")
	run := f.String("run", "", "the run, like exec_…; by default the newest")
	asJSON := f.Bool("json", false, "print JSON")
	if err := parse(f, args); err != nil {
		return err
	}
	if err := checkOrg(*org); err != nil {
		return err
	}
	if *run != "" && !id.Valid("exec_", *run) {
		return misusef("-run is %q, not a run like exec_01KK9VH6M0AAAAAAAAAAAAAAAA: make show prints the newest", *run)
	}
	h := home(*state)
	o, err := h.readOutputs(ctx, w)
	if err != nil {
		return err
	}
	if *run == "" {
		owner, err := w.as(h, o, *org)
		if err != nil {
			return err
		}
		if *run, err = owner.newest(ctx, *org); err != nil {
			return err
		}
	}
	spans, err := w.spans(ctx, o.Products, *run)
	if err != nil {
		return err
	}
	if *asJSON {
		out := json.NewEncoder(w.out)
		out.SetIndent("", "  ")
		return out.Encode(map[string]any{"spans": spans})
	}
	if len(spans) == 0 {
		w.say("No span of %s has arrived. Only the latest spans are kept.", *run)
		return nil
	}
	return waterfall.Print(w.out, spans)
}

func (w world) spans(ctx context.Context, products, run string) ([]collector.Span, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, products+"/_traces?"+url.Values{"run": {run}}.Encode(), http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := w.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("the products, which keep the traces, do not answer: %w; make run starts them", err)
	}
	defer func() { _ = resp.Body.Close() }()
	var found struct {
		Spans []collector.Span `json:"spans"`
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the products answered %s", resp.Status)
	}
	err = json.NewDecoder(resp.Body).Decode(&found)
	return found.Spans, err
}
