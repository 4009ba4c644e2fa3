package main

import (
	"strings"
	"testing"

	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/wire"
)

const models = `{"quick": "a", "standard": "b", "premium": "c", "expert": "d"}`

func TestTheRunnerRefusesAnUnknownOperation(t *testing.T) {
	t.Parallel()

	handle, err := wire.NewHandler(t.Context(), "runner", func(name string) string {
		return map[string]string{"MODELS": models}[name] + strings.Repeat(" ", len(name))
	}, handler, about)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := handle(t.Context(), machine.Call{Op: "dance"}); err == nil || !strings.Contains(err.Error(), "dance") {
		t.Errorf("err = %v, want it to name the operation", err)
	}
}

func TestTheRunnerNamesEveryMissingSetting(t *testing.T) {
	t.Parallel()

	_, err := wire.NewHandler(t.Context(), "runner", func(string) string { return "" }, handler, about)
	for _, name := range []string{"TABLE_NAME", "PRODUCTS_URL", "MODELS", "EMAIL_SENDER", "WEBHOOK_SECRET"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("err = %v, want it to name %s", err, name)
		}
	}
}
