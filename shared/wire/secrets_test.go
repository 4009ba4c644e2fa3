package wire

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"theoneagents.app/agents/shared/boot"
)

// vaultReads counts the reads of secrets by name.
var vaultReads struct {
	sync.Mutex

	of map[string]int

	together chan struct{} // closed when all four that wait were asked for
	waiting  int
}

// TestMain serves secrets: "missing" is unknown, "broken" is no generations, and the
// value of every other is its name. The answer to "wait …" comes when four were asked
// for.
func TestMain(m *testing.M) {
	vaultReads.of, vaultReads.together = map[string]int{}, make(chan struct{})
	served := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct{ SecretID string } // the decoder folds the case of SecretId
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		vaultReads.Lock()
		vaultReads.of[in.SecretID]++
		if strings.HasPrefix(in.SecretID, "wait") {
			if vaultReads.waiting++; vaultReads.waiting == 4 {
				close(vaultReads.together)
			}
		}
		vaultReads.Unlock()
		text, _ := json.Marshal(map[string]string{"current": in.SecretID})
		switch {
		case in.SecretID == "missing":
			w.Header().Set("X-Amzn-Errortype", "ResourceNotFoundException")
			w.WriteHeader(http.StatusBadRequest)
			return
		case in.SecretID == "broken":
			text = []byte("swordfish")
		case strings.HasPrefix(in.SecretID, "wait"):
			select {
			case <-vaultReads.together:
			case <-r.Context().Done():
				return
			}
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"SecretString": string(text)})
	}))
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_SECRETS_MANAGER": served.URL, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
	} {
		_ = os.Setenv(name, value)
	}
	code := m.Run()
	served.Close()
	os.Exit(code)
}

func TestAFunctionDoesNotStartWithoutASecretThatItUses(t *testing.T) {
	t.Parallel()

	for _, name := range []string{"missing", "broken"} {
		_, err := NewHandler(t.Context(), "keys", func(setting string) string {
			if setting == boot.EnvHookSecret {
				return name
			}
			return settings(setting)
		}, handlerOf("keys"), route)
		if err == nil || !strings.Contains(err.Error(), boot.EnvHookSecret) || strings.Contains(err.Error(), "swordfish") {
			t.Errorf("%s: %v; want it to name the variable and hide the value", name, err)
		}
	}
}

func TestSecretsAreReadAtOnceAndOnce(t *testing.T) {
	t.Parallel()

	names := map[string]string{boot.EnvHookSecret: "wait 1", boot.EnvCursorSecret: "wait 2", boot.EnvModelKey: "wait 3", boot.EnvCallKey: "wait 4"}
	w, err := New(t.Context(), "test", func(setting string) string { return names[setting] })
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		for variable, name := range names {
			if got := w.needSecret(variable); got != (boot.Secret{Current: name}) {
				t.Errorf("%s = %+v, %v", variable, got, w.Err())
			}
		}
	}
	vaultReads.Lock()
	defer vaultReads.Unlock()
	for _, name := range names {
		if vaultReads.of[name] != 1 {
			t.Errorf("%s was read %d times", name, vaultReads.of[name])
		}
	}
}

func TestAFunctionWithoutSecretsReadsNone(t *testing.T) {
	t.Parallel()

	w, err := New(t.Context(), "test", func(string) string { return "" })
	if err != nil || len(w.vault.reads) != 0 || w.secret(boot.EnvModelKey) != (boot.Secret{}) || w.Err() != nil {
		t.Errorf("%v, %v, %v", w.vault.reads, err, w.Err())
	}
}
