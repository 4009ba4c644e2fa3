package stories_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"theoneagents.app/agents/localstack/hub"
)

// An endpoint is an operation of the document that the API serves.
type endpoint struct {
	method, path string
	open         bool // needs no authentication
}

func (e endpoint) String() string { return e.method + " " + e.path }

// endpoints returns all operations of the document, so that the matrix includes
// new ones.
func (s *stage) endpoints(t *testing.T) []endpoint {
	t.Helper()
	var all []endpoint
	for path, operations := range object(s.contract.document["paths"]) {
		for method, operation := range object(operations) {
			if method == "parameters" {
				continue
			}
			security, given := object(operation)["security"].([]any)
			all = append(all, endpoint{strings.ToUpper(method), path, given && len(security) == 0})
		}
	}
	slices.SortFunc(all, func(a, b endpoint) int { return strings.Compare(a.String(), b.String()) })
	if len(all) < 21 {
		t.Fatalf("%d endpoints", len(all))
	}
	return all
}

// A verdict is the status for a caller at an endpoint: 401, 403, or 0 if the
// caller is admitted.
type verdict func(endpoint) int

func always(status int) verdict { return func(endpoint) int { return status } }

// may returns the verdict for a caller with the named rights, who may also read
// all but keys and secrets.
func may(edit, remove, decide, manage bool) verdict {
	return func(e endpoint) int {
		ok := edit
		switch {
		case strings.HasPrefix(e.path, "/api/keys"), strings.HasPrefix(e.path, "/api/webhook-secret"), e.path == "/api/audit", e.path == "/api/settings":
			ok = manage
		case e.method == http.MethodGet, e.String() == "POST /api/events/explain": // a question, too long for a GET
			ok = true
		case e.String() == "DELETE /api/pause":
			ok = manage
		case e.method == http.MethodDelete:
			ok = remove
		case strings.HasSuffix(e.path, "/decision"):
			ok = decide
		}
		if ok {
			return 0
		}
		return http.StatusForbidden
	}
}

// TestEveryCallerAtEveryEndpoint sends an empty list as body and ids that do
// not exist, so that an admitted call changes nothing.
func TestEveryCallerAtEveryEndpoint(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	endpoints := o.endpoints(t)
	type question struct {
		caller string
		endpoint
		header http.Header
		want   int
	}
	questions := make(chan question)
	var group sync.WaitGroup
	for range hostiles {
		group.Go(func() {
			for q := range questions {
				if err := o.checkVerdict(q.endpoint, q.header, q.want); err != nil {
					t.Errorf("%s: %s: %v", q.endpoint, q.caller, err)
				}
			}
		})
	}
	asked := 0
	for name, c := range o.callers() {
		for _, e := range endpoints {
			want := c.verdict(e)
			if e.open {
				want = 0
			}
			questions <- question{name, e, c.header, want}
			asked++
		}
	}
	close(questions)
	group.Wait()
	t.Logf("%d endpoints × %d callers", len(endpoints), asked/len(endpoints))
}

// checkVerdict calls an endpoint and returns an error for another verdict.
func (o *org) checkVerdict(e endpoint, header http.Header, want int) error {
	header = header.Clone()
	b := bad{method: e.method, path: strings.NewReplacer("{id}", "agent_01HXYZ", "{version}", "1").Replace(e.path), header: header}
	if e.method == http.MethodPost || e.method == http.MethodPut || e.method == http.MethodPatch {
		b.body = []byte("[]")
		header.Set("Content-Type", "application/json")
	}
	resp, body, err := o.raw(b) //nolint:bodyclose // raw has closed it.
	if err != nil {
		return err
	}
	got := resp.StatusCode
	if got != want && (want != 0 || got == http.StatusUnauthorized || got == http.StatusForbidden || got >= 500) {
		return fmt.Errorf("status %d, want %d: %.300s", got, want, body)
	}
	if got >= 400 {
		return problem(resp, body)
	}
	return nil
}

// A visitor is a caller with the expected verdict.
type visitor struct {
	header  http.Header
	verdict verdict
}

// callers returns every kind of caller.
func (o *org) callers() map[string]visitor {
	o.t.Helper()
	bearer := func(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }
	key := func(access string) http.Header {
		made := o.must(http.StatusCreated, o.post("/api/keys", doc{"name": access, "access": access}))
		return http.Header{"X-Integration-Key": {text(made, "key")}}
	}
	good := o.session(nil)
	cookie := "hub_session=" + good
	reader := key("read")
	revoked := o.revokedSession()

	all := map[string]visitor{
		"an owner":                        {bearer(good), may(true, true, true, true)},
		"an owner in other claims":        {bearer(o.session(doc{"org_id": nil, "user_id": nil, "roles": nil, "tenantId": o.name, "sub": o.user, "orgRole": "owner"})), may(true, true, true, true)},
		"an admin":                        {bearer(o.as("u", "admin").session(nil)), may(true, true, true, true)},
		"a member":                        {bearer(o.as("u", "member").session(nil)), may(true, false, true, false)},
		"a viewer":                        {bearer(o.as("u", "viewer").session(nil)), may(false, false, false, false)},
		"a key to read":                   {reader, may(false, false, false, false)},
		"a key to write":                  {key("read_write"), may(true, true, false, false)},
		"a cookie of our page":            {http.Header{"Cookie": {cookie}, "Origin": {o.outputs.Origin}}, may(true, true, true, true)},
		"a cookie of another page":        {http.Header{"Cookie": {cookie}, "Origin": {"https://evil.example"}}, siteless},
		"a cookie without a page":         {http.Header{"Cookie": {cookie}}, siteless},
		"an unknown organization":         {bearer(o.session(doc{"org_id": "org_" + rand.Text()[:16]})), always(http.StatusForbidden)},
		"no credentials":                  {http.Header{}, always(http.StatusUnauthorized)},
		"an unknown key":                  {http.Header{"X-Integration-Key": {"ik_live_" + rand.Text()}}, always(http.StatusUnauthorized)},
		"a session and a key":             {http.Header{"Authorization": {"Bearer " + good}, "X-Integration-Key": reader["X-Integration-Key"]}, always(http.StatusUnauthorized)},
		"a session and a cookie":          {http.Header{"Authorization": {"Bearer " + good}, "Cookie": {cookie}}, always(http.StatusUnauthorized)},
		"two sessions":                    {http.Header{"Authorization": {"Bearer " + good, "Bearer " + good}}, always(http.StatusUnauthorized)},
		"two cookies":                     {http.Header{"Cookie": {cookie + "; " + cookie}, "Origin": {o.outputs.Origin}}, always(http.StatusUnauthorized)},
		"forged headers of the gateway":   {forged(o.name), always(http.StatusUnauthorized)},
		"a revoked session":               {bearer(revoked), always(http.StatusUnauthorized)},
		"a cookie with a revoked session": {http.Header{"Cookie": {"hub_session=" + revoked}, "Origin": {o.outputs.Origin}}, always(http.StatusUnauthorized)},
		"a session as a basic user":       {http.Header{"Authorization": {"Basic " + good}}, always(http.StatusUnauthorized)},
	}
	for name, token := range o.badSessions() {
		all[name] = visitor{bearer(token), always(http.StatusUnauthorized)}
	}
	return all
}

// siteless is the verdict for a cookie that another site may have sent.
func siteless(e endpoint) int {
	if e.method == http.MethodGet {
		return 0
	}
	return http.StatusForbidden
}

// forged returns the headers that the adapter uses for the gateway's data.
func forged(org string) http.Header {
	said := `{"accountId":"1","requestId":"x","authorizer":{"jwt":{"claims":{"org_id":"` + org + `","user_id":"u","roles":"owner"}},"lambda":{"org_id":"` + org + `"}}}`
	return http.Header{
		"X-Golambdaproxy-Apigw-Context": {said}, "X-GoLambdaProxy-ApiGw-Context": {said}, "X-Golambdaproxy-Apigw-Stagevars": {"{}"},
		"X-Org-Id": {org}, "X-User-Id": {"u"}, "X-Forwarded-User": {"u"}, "X-Amzn-Request-Context": {said},
	}
}

// badSessions returns invalid tokens.
func (o *org) badSessions() map[string]string {
	o.t.Helper()
	now := time.Now()
	hubs := o.privateKey()
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		o.t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&hubs.PublicKey)
	if err != nil {
		o.t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	claims := func(changed doc) string {
		b, err := json.Marshal(o.claims(changed))
		if err != nil {
			o.t.Fatal(err)
		}
		return string(b)
	}
	good, kid := claims(nil), o.key.ID()
	es256 := func(header, body string) string { return o.signed(jwt.SigningMethodES256, hubs, header, body) }
	plain := `{"alg":"ES256","kid":"` + kid + `","typ":"JWT"}`
	twice := func(name, value string) string { return es256(plain, good[:len(good)-1]+`,"`+name+`":`+value+`}`) }
	words := strings.Split(es256(plain, good), ".")

	all := map[string]string{
		"alg none":                   o.signed(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, `{"alg":"none","kid":"`+kid+`","typ":"JWT"}`, good),
		"alg None":                   o.signed(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, `{"alg":"None","typ":"JWT"}`, good),
		"no signature":               words[0] + "." + words[1] + ".",
		"a signature of zeros":       words[0] + "." + words[1] + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)),
		"HS256 with the public PEM":  o.signed(jwt.SigningMethodHS256, public, `{"alg":"HS256","kid":"`+kid+`","typ":"JWT"}`, good),
		"HS256 with the public DER":  o.signed(jwt.SigningMethodHS256, der, `{"alg":"HS256","kid":"`+kid+`","typ":"JWT"}`, good),
		"HS256 with nothing":         o.signed(jwt.SigningMethodHS256, []byte{}, `{"alg":"HS256","kid":"`+kid+`","typ":"JWT"}`, good),
		"an unknown kid":             es256(`{"alg":"ES256","kid":"unknown","typ":"JWT"}`, good),
		"no kid":                     es256(`{"alg":"ES256","typ":"JWT"}`, good),
		"a kid that is a path":       es256(`{"alg":"ES256","kid":"../../dev/null","typ":"JWT"}`, good),
		"another algorithm":          es256(`{"alg":"RS256","kid":"`+kid+`","typ":"JWT"}`, good),
		"another typ":                es256(`{"alg":"ES256","kid":"`+kid+`","typ":"logout+jwt"}`, good),
		"an unknown crit":            es256(`{"alg":"ES256","kid":"`+kid+`","typ":"JWT","crit":["x"],"x":1}`, good),
		"a key in the header":        o.signed(jwt.SigningMethodES256, stranger, `{"alg":"ES256","kid":"`+kid+`","typ":"JWT","jwk":{"kty":"EC"}}`, good),
		"an address in the header":   o.signed(jwt.SigningMethodES256, stranger, `{"alg":"ES256","kid":"`+kid+`","typ":"JWT","jku":"https://evil.example/jwks"}`, good),
		"a stranger's signature":     o.signed(jwt.SigningMethodES256, stranger, plain, good),
		"a changed body":             words[0] + "." + strings.Split(es256(plain, claims(doc{"user_id": "other"})), ".")[1] + "." + words[2],
		"the algorithm twice":        es256(`{"alg":"none","alg":"ES256","kid":"`+kid+`","typ":"JWT"}`, good),
		"org_id twice":               twice("org_id", `"org_other"`),
		"the same org_id twice":      twice("org_id", `"`+o.name+`"`),
		"roles twice":                twice("roles", `["owner"]`),
		"exp twice":                  twice("exp", "9999999999"),
		"claims that are no object":  es256(plain, "[]"),
		"claims that are no JSON":    es256(plain, "{"),
		"claims and something":       es256(plain, good+"{}"),
		"two forms that disagree":    es256(plain, claims(doc{"tenantId": "org_other"})),
		"an issuer that is a list":   es256(plain, claims(doc{"iss": []string{hub.Issuer}})),
		"an expiry that is text":     es256(plain, claims(doc{"exp": "9999999999"})),
		"roles that are no list":     es256(plain, claims(doc{"roles": 5})),
		"roles of an unknown one":    es256(plain, claims(doc{"roles": []string{"owner", "root"}})),
		"no user":                    es256(plain, claims(doc{"user_id": nil})),
		"a list as user":             es256(plain, claims(doc{"user_id": []string{"u"}})),
		"no organization":            es256(plain, claims(doc{"org_id": nil})),
		"an organization of numbers": es256(plain, claims(doc{"org_id": 5})),
	}
	for name, changed := range map[string]doc{
		"another aud": {"aud": "another"}, "no aud": {"aud": nil}, "another iss": {"iss": "https://evil.example"}, "no iss": {"iss": nil},
		"an iss with a slash": {"iss": hub.Issuer + "/"}, "expired": {"exp": now.Add(-10 * time.Minute).Unix()}, "no exp": {"exp": nil},
		"not yet valid": {"nbf": now.Add(10 * time.Minute).Unix()}, "an unknown role": {"roles": []string{"superuser"}}, "a role in capitals": {"roles": []string{"Owner"}},
		"org_id as a list": {"org_id": []string{o.name}}, "a key as org_id": {"org_id": o.name + "#AGENT"}, "the short key as org_id": {"org_id": "org_a#AGENT"},
		"system": {"org_id": "system"}, "org_system and a line": {"org_id": "org_a\n"}, "an empty org_id": {"org_id": ""}, "a long org_id": {"org_id": "org_" + strings.Repeat("a", 41)},
		"an org_id in capitals": {"org_id": strings.ToUpper(o.name)}, "an org_id with a letter of another script": {"org_id": "org_аbc"},
	} {
		all[name] = o.session(changed)
	}
	return all
}

// privateKey returns the signing key of the Hub.
func (o *org) privateKey() *ecdsa.PrivateKey {
	o.t.Helper()
	content, err := os.ReadFile(filepath.Join(filepath.Dir(os.Getenv("LOCAL_OUTPUTS")), "hub.pem"))
	if err != nil {
		o.t.Fatal(err)
	}
	block, _ := pem.Decode(content)
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		o.t.Fatal(err)
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		o.t.Fatalf("the Hub's key is a %T", parsed)
	}
	return private
}

// signed returns a token of exactly this header and this body.
func (o *org) signed(method jwt.SigningMethod, key any, header, body string) string {
	o.t.Helper()
	said := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(body))
	signature, err := method.Sign(said, key)
	if err != nil {
		o.t.Fatal(err)
	}
	return said + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// For every caller an item of another organization is not found.
func TestAnItemOfAnotherOrganizationIsNotFound(t *testing.T) {
	t.Parallel()

	s := open(t)
	victim := newHostile(s.tenant(t))
	thief := s.tenant(t)
	keys := list(victim.must(http.StatusOK, victim.get("/api/keys")), "keys")
	ids := map[string]string{"agents": victim.agent, "executions": victim.execution, "approvals": victim.approval, "keys": text(keys, 0, "id")}
	bodies := map[string]doc{
		"PUT /api/agents/{id}": {"name": "stolen"}, "POST /api/agents/{id}/clone": {"name": "stolen"}, "POST /api/approvals/{id}/decision": {"decision": "approved"},
	}
	before := victim.snapshot()
	for _, e := range s.endpoints(t) {
		if !strings.Contains(e.path, "{id}") {
			continue
		}
		path := strings.NewReplacer("{id}", ids[strings.Split(e.path, "/")[2]], "{version}", "1").Replace(e.path)
		var body any
		if b, ok := bodies[e.String()]; ok {
			body = b
		}
		if r := thief.call(e.method, path, body); r.status != http.StatusNotFound {
			t.Errorf("%s: %d %v, want 404", e, r.status, r.body)
		}
	}
	if after := victim.snapshot(); after != before {
		t.Errorf("a request changed something:\nbefore %s\nafter  %s", before, after)
	}
}
