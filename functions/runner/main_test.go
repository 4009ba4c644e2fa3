package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/wire"
)

// TestMain serves secrets whose value is their name.
func TestMain(m *testing.M) {
	vault := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct{ SecretID string } // the decoder folds the case of SecretId
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		text, _ := json.Marshal(map[string]string{"current": in.SecretID})
		_ = json.NewEncoder(w).Encode(map[string]string{"SecretString": string(text)})
	}))
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_SECRETS_MANAGER": vault.URL, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
	} {
		_ = os.Setenv(name, value)
	}
	code := m.Run()
	vault.Close()
	os.Exit(code)
}

const models = `{"quick": "a", "standard": "b", "premium": "c", "expert": "d"}`

func TestTheRunnerRefusesAnUnknownOperation(t *testing.T) {
	t.Parallel()

	handle, err := wire.NewHandler(t.Context(), "runner", func(name string) string {
		if slices.Contains([]string{boot.EnvLogLevel, boot.EnvTraces}, name) {
			return "" // the function has none
		}
		return map[string]string{"MODELS": models, "CALL_KEY_SECRET": strings.Repeat("a", 64)}[name] + strings.Repeat(" ", len(name))
	}, handler, about)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := handle(t.Context(), machine.Call{Op: "dance"}); err == nil || !strings.Contains(err.Error(), "dance") {
		t.Errorf("err = %v, want it to name the operation", err)
	}
}

func TestTheRunnerDoesNotStartWithASecretThatIsNoKey(t *testing.T) {
	t.Parallel()

	_, err := wire.NewHandler(t.Context(), "runner", func(name string) string {
		return map[string]string{"MODELS": models, "CALL_KEY_SECRET": "swordfish"}[name] + strings.Repeat(" ", len(name))
	}, handler, about)
	if err == nil || !strings.Contains(err.Error(), "CALL_KEY_SECRET: want a seed") || strings.Contains(err.Error(), "swordfish") {
		t.Errorf("err = %v, want it to name the setting and hide its value", err)
	}
}

func TestTheRunnerNamesEveryMissingSetting(t *testing.T) {
	t.Parallel()

	_, err := wire.NewHandler(t.Context(), "runner", func(string) string { return "" }, handler, about)
	for _, name := range []string{"TABLE_NAME", "PRODUCTS_URL", "MODELS", "EMAIL_SENDER", "WEBHOOK_SECRET", "CALL_KEY_SECRET", "CALL_ISSUER"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("err = %v, want it to name %s", err, name)
		}
	}
}
