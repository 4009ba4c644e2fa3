package session

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/tenant"
)

var now = time.Date(2026, time.March, 9, 14, 23, 1, 0, time.UTC)

// keys are made once: an RSA key takes a while.
var keys = sync.OnceValue(func() map[string]crypto.Signer {
	must := func(k crypto.Signer, err error) crypto.Signer {
		if err != nil {
			panic(err)
		}
		return k
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	all := map[string]crypto.Signer{"RS256": must(rs, err)}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	all["weak"] = must(weak, err)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	all["ES256"] = must(ec, err)
	wide, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	all["ES384"] = must(wide, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	all["EdDSA"] = must(ed, err)
	return all
})

// A hub serves the keys above as the Hub does, by name.
type hub struct {
	mu    sync.Mutex
	names []string
	extra []map[string]string // more keys
	down  bool
	asked int
}

func (h *hub) RoundTrip(r *http.Request) (*http.Response, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked++
	if _, bounded := r.Context().Deadline(); !bounded {
		return nil, errors.New("the request has no time limit")
	}
	if h.down {
		return nil, errors.New("the Hub is down")
	}
	set := slices.Clone(h.extra)
	for _, name := range h.names {
		set = append(set, jwk(name, keys()[name].Public()))
	}
	body, err := json.Marshal(map[string]any{"keys": set})
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(string(body)))}, err
}

func jwk(kid string, key crypto.PublicKey) map[string]string {
	b64 := base64.RawURLEncoding.EncodeToString
	switch key := key.(type) {
	case *rsa.PublicKey:
		return map[string]string{"kid": kid, "kty": "RSA", "use": "sig", "n": b64(key.N.Bytes()), "e": "AQAB"}
	case *ecdsa.PublicKey:
		point, err := key.Bytes() // 4, x, y
		if err != nil {
			panic(err)
		}
		half := len(point) / 2
		return map[string]string{
			"kid": kid, "kty": "EC", "crv": key.Curve.Params().Name, "x": b64(point[1 : half+1]), "y": b64(point[half+1:]),
		}
	case ed25519.PublicKey:
		return map[string]string{"kid": kid, "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": b64(key)}
	}
	panic("no such key")
}

func newHub() *hub { return &hub{names: []string{"RS256", "ES256", "EdDSA", "ES384", "weak"}} }

func verifier(h *hub) *Verifier {
	clock := func() time.Time { return now }
	return &Verifier{
		Keys:   &Keys{URL: "https://hub.example/jwks", Client: &http.Client{Transport: h}, Now: clock},
		Issuer: "https://hub.example", Audience: "one-agents", Now: clock,
	}
}

// good returns valid claims as JSON. Each pair of changes replaces a claim; an
// empty value removes it.
func good(changes ...string) string {
	fields := []string{"org_id", "user_id", "roles", "jti", "iss", "aud", "exp", "nbf", "iat"}
	values := map[string]string{
		"org_id": `"org_a"`, "user_id": `"user_1"`, "roles": `["admin"]`, "jti": `"j1"`,
		"iss": `"https://hub.example"`, "aud": `"one-agents"`,
		"exp": unix(60), "nbf": unix(-60), "iat": unix(-60),
	}
	for i := 0; i < len(changes); i += 2 {
		if _, ok := values[changes[i]]; !ok {
			fields = append(fields, changes[i])
		}
		values[changes[i]] = changes[i+1]
	}
	var out []string
	for _, f := range fields {
		if values[f] != "" {
			out = append(out, fmt.Sprintf("%q: %s", f, values[f]))
		}
	}
	return "{" + strings.Join(out, ", ") + "}"
}

// unix returns the time this many seconds from now, as a claim.
func unix(seconds int64) string { return strconv.FormatInt(now.Unix()+seconds, 10) }

func other(changes ...string) string {
	form := []string{
		"org_id", "", "user_id", "", "roles", "",
		"tenantId", `"org_a"`, "sub", `"user_1"`, "orgRole", `"admin"`,
	}
	return good(append(form, changes...)...)
}

// sign returns a token with exactly this header and these claims.
func sign(t *testing.T, key, header, claims string) string {
	t.Helper()
	b64 := base64.RawURLEncoding.EncodeToString
	text := b64([]byte(header)) + "." + b64([]byte(claims))
	method := map[string]jwt.SigningMethod{
		"RS256": jwt.SigningMethodRS256, "weak": jwt.SigningMethodRS256, "ES256": jwt.SigningMethodES256,
		"ES384": jwt.SigningMethodES384, "EdDSA": jwt.SigningMethodEdDSA,
	}[key]
	sig, err := method.Sign(text, keys()[key])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + b64(sig)
}

func head(alg string) string { return fmt.Sprintf(`{"alg": %q, "typ": "JWT", "kid": %q}`, alg, alg) }

func TestBothFormsAndAllAlgorithmsPass(t *testing.T) {
	t.Parallel()

	v := verifier(newHub())
	person := caller.Caller{Org: "org_a", User: "user_1", Roles: []caller.Role{caller.Admin}}
	for name, token := range map[string]string{
		"RS256":            sign(t, "RS256", head("RS256"), good()),
		"ES256":            sign(t, "ES256", head("ES256"), good()),
		"EdDSA":            sign(t, "EdDSA", head("EdDSA"), good()),
		"the other form":   sign(t, "ES256", head("ES256"), other()),
		"no typ":           sign(t, "ES256", `{"alg": "ES256", "kid": "ES256"}`, good()),
		"small typ":        sign(t, "ES256", `{"alg": "ES256", "kid": "ES256", "typ": "jwt"}`, good()),
		"several aud":      sign(t, "ES256", head("ES256"), good("aud", `["other", "one-agents"]`)),
		"a sub beside":     sign(t, "ES256", head("ES256"), good("sub", `"someone"`)),
		"unknown claims":   sign(t, "ES256", head("ES256"), good("theme", `{"dark": true}`)),
		"the same twice":   sign(t, "ES256", head("ES256"), good("roles", `["admin", "admin"]`)),
		"no nbf":           sign(t, "ES256", head("ES256"), good("nbf", "")),
		"a day":            sign(t, "ES256", head("ES256"), good("iat", unix(-60), "exp", unix(86400-60))),
		"the longest jti":  sign(t, "ES256", head("ES256"), good("jti", `"`+strings.Repeat("j", tenant.MaxJTI)+`"`)),
		"clocks 1 s apart": sign(t, "ES256", head("ES256"), good("nbf", unix(1), "iat", unix(1))),
	} {
		got, err := v.Caller(t.Context(), token)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := person
		want.Issued = time.Unix(now.Unix()-60, 0)
		if name == "clocks 1 s apart" {
			want.Issued = time.Unix(now.Unix()+1, 0)
		}
		if want.Session = "j1"; name == "the longest jti" {
			want.Session = strings.Repeat("j", tenant.MaxJTI)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAttacksAreRefused(t *testing.T) {
	t.Parallel()

	h := newHub()
	h.extra = append(h.extra,
		map[string]string{"kid": "secret", "kty": "oct", "k": base64.RawURLEncoding.EncodeToString([]byte("swordfish"))},
		func() map[string]string { k := jwk("cipher", keys()["RS256"].Public()); k["use"] = "enc"; return k }(),
		func() map[string]string { k := jwk("PS", keys()["RS256"].Public()); k["alg"] = "PS256"; return k }(),
	)
	v := verifier(h)
	es, plain := head("ES256"), good()
	b64 := base64.RawURLEncoding.EncodeToString
	signed := sign(t, "ES256", es, plain)
	parts := strings.Split(signed, ".")
	hs := func(header string, secret []byte) string {
		text := b64([]byte(header)) + "." + b64([]byte(plain))
		m := hmac.New(sha256.New, secret)
		m.Write([]byte(text))
		return text + "." + b64(m.Sum(nil))
	}
	der, err := x509.MarshalPKIXPublicKey(keys()["RS256"].Public())
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	claims := func(changes ...string) string { return sign(t, "ES256", es, good(changes...)) }
	header := func(text string) string { return sign(t, "ES256", text, plain) }
	for name, token := range map[string]string{
		"nothing":      "",
		"no token":     "x",
		"dots":         "..",
		"five parts":   signed + ".x.y",
		"too long":     claims("pad", `"`+strings.Repeat("x", MaxToken)+`"`),
		"padding":      parts[0] + "=." + parts[1] + "." + parts[2],
		"a comma":      signed + "," + signed,
		"no signature": parts[0] + "." + parts[1] + ".",
		"other claims": parts[0] + "." + b64([]byte(good("org_id", `"org_b"`))) + "." + parts[2],
		"other key":    sign(t, "EdDSA", head("ES256"), plain),
		"spare bits":   signed[:len(signed)-1] + string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", signed[len(signed)-1])^1]),

		"alg none":                 b64([]byte(`{"alg": "none", "kid": "ES256"}`)) + "." + parts[1] + ".",
		"alg None":                 b64([]byte(`{"alg": "None", "kid": "ES256"}`)) + "." + parts[1] + ".",
		"alg HS256, public key":    hs(`{"alg": "HS256", "kid": "RS256"}`, public),
		"alg HS256, oct key":       hs(`{"alg": "HS256", "kid": "secret"}`, []byte("swordfish")),
		"alg missing":              header(`{"kid": "ES256"}`),
		"alg a number":             header(`{"alg": 1, "kid": "ES256"}`),
		"alg twice":                header(`{"alg": "none", "alg": "ES256", "kid": "ES256"}`),
		"alg in capitals":          header(`{"ALG": "ES256", "kid": "ES256"}`),
		"ES384":                    sign(t, "ES384", head("ES384"), plain),
		"ES256 with a P-384 key":   sign(t, "ES256", `{"alg": "ES256", "kid": "ES384"}`, plain),
		"RS256 with an EC key":     sign(t, "RS256", `{"alg": "RS256", "kid": "ES256"}`, plain),
		"a short RSA key":          sign(t, "weak", `{"alg": "RS256", "kid": "weak"}`, plain),
		"a key for something else": sign(t, "RS256", `{"alg": "RS256", "kid": "cipher"}`, plain),
		"a key of another alg":     sign(t, "RS256", `{"alg": "RS256", "kid": "PS"}`, plain),
		"kid missing":              header(`{"alg": "ES256"}`),
		"kid empty":                header(`{"alg": "ES256", "kid": ""}`),
		"kid unknown":              header(`{"alg": "ES256", "kid": "ES257"}`),
		"kid an array":             header(`{"alg": "ES256", "kid": ["ES256"]}`),
		"crit":                     header(`{"alg": "ES256", "kid": "ES256", "crit": ["exp"]}`),
		"crit null":                header(`{"alg": "ES256", "kid": "ES256", "crit": null}`),
		"typ of something else":    header(`{"alg": "ES256", "kid": "ES256", "typ": "at+jwt"}`),
		"typ a number":             header(`{"alg": "ES256", "kid": "ES256", "typ": 1}`),
		"header an array":          header(`[]`),
		"header and more":          header(`{"alg": "ES256", "kid": "ES256"} {}`),
		"own key in the header":    sign(t, "EdDSA", `{"alg": "EdDSA", "kid": "mine", "jwk": {"kty": "OKP"}}`, plain),

		"expired":                claims("exp", unix(-3)),
		"no exp":                 claims("exp", ""),
		"exp a string":           claims("exp", `"9999999999"`),
		"exp null":               claims("exp", "null"),
		"exp huge":               claims("exp", "1e300"),
		"exp negative":           claims("exp", "-1"),
		"not yet":                claims("nbf", unix(60)),
		"from the future":        claims("iat", unix(60)),
		"wrong iss":              claims("iss", `"https://evil.example"`),
		"no iss":                 claims("iss", ""),
		"iss an array":           claims("iss", `["https://hub.example"]`),
		"wrong aud":              claims("aud", `"other"`),
		"no aud":                 claims("aud", ""),
		"aud an object":          claims("aud", `{}`),
		"aud of numbers":         claims("aud", `[1]`),
		"org missing":            claims("org_id", ""),
		"org null":               claims("org_id", "null"),
		"org empty":              claims("org_id", `""`),
		"org an array":           claims("org_id", `["org_a"]`),
		"org system":             claims("org_id", `"system"`),
		"org_system is no org":   claims("org_id", `"org_"`),
		"org with a key":         claims("org_id", `"org_a#AGENT"`),
		"org with a line end":    claims("org_id", `"org_a\n"`),
		"org twice":              sign(t, "ES256", es, strings.Replace(plain, "{", `{"org_id": "org_b", `, 1)),
		"org twice, escaped":     sign(t, "ES256", es, strings.Replace(plain, "{", `{"org\u005fid": "org_b", `, 1)),
		"org in capitals":        claims("org_id", "", "ORG_ID", `"org_a"`),
		"two organizations":      claims("tenantId", `"org_b"`),
		"a name twice below":     claims("extra", `{"a": 1, "a": 2}`),
		"user missing":           claims("user_id", ""),
		"user a number":          claims("user_id", "7"),
		"user with a hash":       claims("user_id", `"user#1"`),
		"user with a space":      claims("user_id", `"user 1"`),
		"no jti":                 claims("jti", ""),
		"jti a number":           claims("jti", "1"),
		"jti empty":              claims("jti", `""`),
		"jti null":               claims("jti", "null"),
		"jti too long":           claims("jti", `"`+strings.Repeat("j", tenant.MaxJTI+1)+`"`),
		"the other form, no jti": sign(t, "ES256", es, other("jti", "")),
		"no iat":                 claims("iat", ""),
		"the other form, no iat": sign(t, "ES256", es, other("iat", "")),
		"iat null":               claims("iat", "null"),
		"iat a string":           claims("iat", `"`+unix(-60)+`"`),
		"a day and a second":     claims("iat", unix(-60), "exp", unix(86400-59)),
		"exp in the year 9999":   claims("exp", "253402300799"),
		"the other form, exp":    sign(t, "ES256", es, other("exp", "253402300799")),
		"iat 1970":               claims("iat", "0"),
		"exp before iat":         claims("iat", unix(1), "exp", unix(0)),
		"no roles":               claims("roles", ""),
		"empty roles":            claims("roles", "[]"),
		"roles a string":         claims("roles", `"admin"`),
		"an unknown role":        claims("roles", `["admin", "root"]`),
		"a role in capitals":     claims("roles", `["Admin"]`),
		"roles of numbers":       claims("roles", "[1]"),
		"the other form's role":  sign(t, "ES256", es, other("orgRole", `"root"`)),
		"the other form's roles": sign(t, "ES256", es, other("orgRole", `["admin"]`)),
		"the other form's org":   sign(t, "ES256", es, other("tenantId", `"org_a#AGENT"`)),
		"claims an array":        sign(t, "ES256", es, "[]"),
		"claims null":            sign(t, "ES256", es, "null"),
		"claims and more":        sign(t, "ES256", es, plain+" {}"),
		"claims too deep":        claims("deep", strings.Repeat("[", 200)+strings.Repeat("]", 200)),
	} {
		got, err := v.Caller(t.Context(), token)
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v, %v; want ErrInvalid", name, got, err)
		}
		if fault.From(err).Message != ErrInvalid.Message {
			t.Errorf("%s: the error shows its cause to the caller: %v", name, err)
		}
	}
}

func TestACallerHasTheSessionThatTheHubMayRevoke(t *testing.T) {
	t.Parallel()

	v := verifier(newHub())
	issued := now.Truncate(time.Second).Add(-time.Minute)
	for claims, id := range map[string]string{good(): "j1", good("jti", `"j2"`): "j2"} {
		who, err := v.Caller(t.Context(), sign(t, "ES256", head("ES256"), claims))
		if err != nil || who.Org != "org_a" || who.User != "user_1" || who.Session != id || !who.Issued.Equal(issued) {
			t.Errorf("%+v, %v; want the session %s", who, err, id)
		}
	}
}

func TestKeysAreFetchedOnceAndAgainForAnUnknownKey(t *testing.T) {
	t.Parallel()

	h := newHub()
	h.names = []string{"RS256"}
	v := verifier(h)
	clock := now
	v.Keys.Now = func() time.Time { return clock }
	try := func(key string) error {
		_, err := v.Caller(t.Context(), sign(t, key, head(key), good()))
		return err
	}
	steps := []struct {
		name  string
		do    func()
		key   string
		ok    bool
		asked int
	}{
		{"the first token", func() {}, "RS256", true, 1},
		{"the next one", func() {}, "RS256", true, 1},
		{"an unknown key, a moment later", func() {}, "ES256", false, 1},
		{"an unknown key, later", func() { clock = clock.Add(pause) }, "ES256", false, 2},
		{"many unknown keys at once", func() {}, "ES256", false, 2},
		{"the Hub has a new key", func() { clock = clock.Add(pause); h.names = []string{"ES256"} }, "ES256", true, 3},
		{"the old key is gone", func() {}, "RS256", false, 3},
		{"the keys are old", func() { clock = clock.Add(maxAge) }, "ES256", true, 4},
		{"the keys are old and the Hub is down", func() { clock = clock.Add(maxAge); h.down = true }, "ES256", true, 5},
	}
	for _, s := range steps {
		s.do()
		if err := try(s.key); (err == nil) != s.ok {
			t.Errorf("%s: %v", s.name, err)
		}
		if h.asked != s.asked {
			t.Errorf("%s: the Hub was asked %d times, want %d", s.name, h.asked, s.asked)
		}
	}
}

func TestAHubThatIsDownIsNotTheCallersFault(t *testing.T) {
	t.Parallel()

	h := newHub()
	h.down = true
	v := verifier(h)
	for range 2 {
		_, err := v.Caller(t.Context(), sign(t, "ES256", head("ES256"), good()))
		if err == nil || errors.Is(err, ErrInvalid) {
			t.Errorf("err = %v, want another error than ErrInvalid", err)
		}
	}
	if h.asked != 1 {
		t.Errorf("the Hub was asked %d times within a moment, want once", h.asked)
	}
}

func FuzzToken(f *testing.F) {
	f.Add(head("ES256"), good())
	f.Add(head("ES256"), other())
	f.Add(`{"alg": "ES256", "kid": "ES256", "crit": []}`, good("org_id", `"org_a#AGENT"`))
	f.Add(`{"alg": "ES256", "kid": "ES256", "alg": "none"}`, `{"exp": 1e999}`)
	v := verifier(newHub())
	f.Fuzz(func(t *testing.T, header, claims string) {
		who, err := v.Caller(t.Context(), sign(t, "ES256", header, claims))
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("err = %v, want ErrInvalid", err)
			}
			return
		}
		_, known := id.ParseOrg(string(who.Org))
		if !known || !id.ValidExternal(string(who.User)) || len(who.Roles) == 0 || !who.Human() {
			t.Errorf("%s %s made %+v", header, claims, who)
		}
		// A lenient parser of the same claims must not find another
		// organization.
		var lax map[string]any
		if json.Unmarshal([]byte(claims), &lax) != nil || lax["org_id"] != string(who.Org) && lax["tenantId"] != string(who.Org) {
			t.Errorf("%s made %+v", claims, who)
		}
	})
}
