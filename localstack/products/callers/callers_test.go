package callers_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"theoneagents.app/agents/localstack/hub"
	"theoneagents.app/agents/localstack/products/callers"
)

var now = time.Date(2026, time.March, 9, 14, 23, 1, 0, time.UTC)

// An api serves the keys of One Agents.
type api struct {
	key  *hub.Key
	down bool
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, err := a.key.JWKS()
	if a.down || err != nil || r.URL.Path != "/.well-known/jwks.json" {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	_, _ = w.Write(text)
}

func newKey(t *testing.T) *hub.Key {
	t.Helper()
	key, err := hub.Open(filepath.Join(t.TempDir(), "call.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func open(t *testing.T) (*api, *callers.Callers) {
	t.Helper()
	a := &api{key: newKey(t)}
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	outputs := filepath.Join(t.TempDir(), "outputs.json")
	if err := os.WriteFile(outputs, []byte(`{"api_url": "`+server.URL+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return a, &callers.Callers{Outputs: outputs, HTTP: server.Client(), Now: func() time.Time { return now }}
}

const body = `{"ticket_id":"tkt_1"}`

func claims(changed map[string]any) map[string]any {
	sum := sha256.Sum256([]byte(body))
	all := map[string]any{
		"iss": callers.Issuer, "aud": []string{"psa"}, "sub": "exec_1", "org": "org_a", "step": "s", "action": "add_note",
		"jti": "exec_1:s", "body_sha256": hex.EncodeToString(sum[:]), "iat": now.Unix(), "exp": now.Unix() + 60,
	}
	for name, v := range changed {
		if all[name] = v; v == nil {
			delete(all, name)
		}
	}
	return all
}

func call(token string) callers.Call {
	return callers.Call{
		Authorization: "Bearer " + token, Org: "org_a", Execution: "exec_1", Key: "exec_1:s",
		Product: "psa", Action: "add_note", Body: []byte(body),
	}
}

func sign(t *testing.T, key *hub.Key, changed map[string]any) string {
	t.Helper()
	token, err := key.Sign(claims(changed))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestOnlyTheSignedCallPasses(t *testing.T) {
	t.Parallel()

	a, k := open(t)
	good := sign(t, a.key, nil)
	if err := k.Check(t.Context(), call(good)); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*callers.Call){
		"another body":         func(c *callers.Call) { c.Body = []byte(`{"ticket_id":"tkt_2"}`) },
		"a body with a space":  func(c *callers.Call) { c.Body = []byte(body + " ") },
		"no body":              func(c *callers.Call) { c.Body = nil },
		"another organization": func(c *callers.Call) { c.Org = "org_b" },
		"another run":          func(c *callers.Call) { c.Execution = "exec_2" },
		"no run":               func(c *callers.Call) { c.Execution = "" },
		"another key":          func(c *callers.Call) { c.Key = "exec_1:t" },
		"no key":               func(c *callers.Call) { c.Key = "" },
		"another product":      func(c *callers.Call) { c.Product = "defend" },
		"another action":       func(c *callers.Call) { c.Action = "create_ticket" },
		"no token":             func(c *callers.Call) { c.Authorization = "" },
		"another scheme":       func(c *callers.Call) { c.Authorization = "Basic " + good },
	} {
		c := call(good)
		change(&c)
		if err := k.Check(t.Context(), c); !errors.Is(err, callers.ErrRefused) {
			t.Errorf("%s: err = %v, want ErrRefused", name, err)
		}
	}
	for name, changed := range map[string]map[string]any{
		"expired":        {"iat": now.Unix() - 70, "exp": now.Unix() - 10},
		"no exp":         {"exp": nil},
		"no iat":         {"iat": nil},
		"from later":     {"iat": now.Unix() + 30, "exp": now.Unix() + 60},
		"too long":       {"exp": now.Unix() + 61},
		"another issuer": {"iss": "https://evil.example"},
		"no audience":    {"aud": nil},
		"no step":        {"step": nil},
		"no hash":        {"body_sha256": nil},
		"no id":          {"jti": nil},
	} {
		if err := k.Check(t.Context(), call(sign(t, a.key, changed))); !errors.Is(err, callers.ErrRefused) {
			t.Errorf("%s: err = %v, want ErrRefused", name, err)
		}
	}
}

func TestAForgedTokenIsRefused(t *testing.T) {
	t.Parallel()

	a, k := open(t)
	forged, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signed := func(method jwt.SigningMethod, key any) string {
		token := jwt.NewWithClaims(method, jwt.MapClaims(claims(nil)))
		token.Header["kid"] = a.key.ID()
		text, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	public, err := a.key.JWKS()
	if err != nil {
		t.Fatal(err)
	}
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"` + a.key.ID() + `"}`))
	payload, err := json.Marshal(claims(nil))
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"a key that is not in the set":  sign(t, newKey(t), nil),
		"a key that has a known name":   signed(jwt.SigningMethodES256, forged),
		"the public key as a secret":    signed(jwt.SigningMethodHS256, public),
		"no signature":                  none + "." + base64.RawURLEncoding.EncodeToString(payload) + ".",
		"no token":                      "",
		"a session of the same service": sign(t, a.key, map[string]any{"aud": "one-agents"}),
	} {
		if err := k.Check(t.Context(), call(token)); !errors.Is(err, callers.ErrRefused) {
			t.Errorf("%s: err = %v, want ErrRefused", name, err)
		}
	}
}

func TestANewKeyIsFetchedAndAnAPIThatIsDownIsNoRefusal(t *testing.T) {
	t.Parallel()

	a, k := open(t)
	if err := k.Check(t.Context(), call(sign(t, a.key, nil))); err != nil {
		t.Fatal(err)
	}
	a.key, a.down = newKey(t), true
	token := call(sign(t, a.key, nil))
	if err := k.Check(t.Context(), token); err == nil || errors.Is(err, callers.ErrRefused) {
		t.Errorf("err = %v, want another error than ErrRefused", err)
	}
	a.down = false
	if err := k.Check(t.Context(), token); err != nil {
		t.Errorf("with the new key: %v", err)
	}
	k.Outputs = filepath.Join(t.TempDir(), "nothing")
	if err := k.Check(t.Context(), call(sign(t, newKey(t), nil))); err == nil || errors.Is(err, callers.ErrRefused) {
		t.Errorf("without outputs: err = %v, want another error than ErrRefused", err)
	}
}
