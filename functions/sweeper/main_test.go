package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/sweep"
	"theoneagents.app/agents/shared/wire"
)

func TestTheSweeperDoesNothingWithoutOverdueRuns(t *testing.T) {
	aws := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if target := r.Header.Get("X-Amz-Target"); target != "DynamoDB_20120810.Query" {
			t.Errorf("a call of %s", target)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_, _ = w.Write([]byte(`{"Items": [], "Count": 0}`))
	}))
	defer aws.Close()
	t.Setenv("AWS_ENDPOINT_URL", aws.URL)
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")

	handle, err := wire.NewHandler(context.Background(), "sweeper", func(name string) string {
		if slices.Contains(boot.SecretNames(), name) || slices.Contains([]string{boot.EnvLogLevel, boot.EnvTraces}, name) {
			return "" // the function has none
		}
		return "x" + name
	}, handler, about)
	if err != nil {
		t.Fatal(err)
	}
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Second) // too short for a second sweep
	defer cancel()
	got, err := handle(soon, nil)
	if err != nil || got != (sweep.Report{}) {
		t.Errorf("report %+v, %v; want nothing to do", got, err)
	}
}

func TestTheSweeperNamesEveryMissingSetting(t *testing.T) {
	t.Parallel()

	_, err := wire.NewHandler(t.Context(), "sweeper", func(string) string { return "" }, handler, about)
	for _, name := range []string{"TABLE_NAME", "RUNS_MACHINE_ARN"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("err = %v, want it to name %s", err, name)
		}
	}
}
