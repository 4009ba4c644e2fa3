package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"theoneagents.app/agents/localstack/local/cloud"
	"theoneagents.app/agents/shared/canary"
	"theoneagents.app/agents/shared/clock"
)

// probe calls the canary once a minute and prints its reports. On AWS a schedule calls
// it; the local cloud has none, so that its lists have no runs of the canary.
func probe(ctx context.Context, w world, args []string) error {
	f, state := flags(w, "canary")
	minutes := f.Int("minutes", 4, "number of calls, a minute between them")
	if err := parse(f, args); err != nil {
		return err
	}
	if *minutes < 1 {
		return misusef("-minutes is %d, not a number from 1", *minutes)
	}
	o, err := home(*state).readOutputs(ctx, w)
	if err != nil {
		return err
	}
	for n := range *minutes {
		if n > 0 {
			if err := clock.Sleep(ctx, canary.Every); err != nil {
				return err
			}
		}
		r, err := w.callCanary(ctx, o)
		if err != nil {
			return err
		}
		w.say("%s  %s", w.now().Local().Format("15:04:05"), seen(r))
	}
	return nil
}

// seen says in words what a tick has seen.
func seen(r canary.Report) string {
	ended, before := "there is none", int(canary.Settled.Minutes())
	switch {
	case r.Ended:
		ended = fmt.Sprintf("completed, took %v", r.Took.Round(time.Millisecond))
	case r.Failed:
		ended = "not completed; make show ORG=org_canary has more"
	}
	return fmt.Sprintf("published; run of %d minutes before: %s; longest of the last runs: %v", before, ended, r.Late.Round(time.Millisecond))
}

// callCanary invokes the function, which answers with its report.
func (w world) callCanary(ctx context.Context, o cloud.Outputs) (canary.Report, error) {
	address := o.Endpoint + "/2015-03-31/functions/" + o.Stack["CanaryFunctionName"] + "/invocations"
	in, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader([]byte("{}")))
	if err != nil {
		return canary.Report{}, err
	}
	out, err := w.http.Do(in)
	if err != nil {
		return canary.Report{}, fmt.Errorf("call the canary: %w", err)
	}
	defer func() { _ = out.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(out.Body, 1<<20))
	if err != nil {
		return canary.Report{}, fmt.Errorf("read the answer of the canary: %w", err)
	}
	var r canary.Report
	if out.StatusCode != http.StatusOK || out.Header.Get("X-Amz-Function-Error") != "" || json.Unmarshal(text, &r) != nil {
		return r, fmt.Errorf("the canary failed: %s; make logs FUNCTION=canary has more", text)
	}
	return r, nil
}
