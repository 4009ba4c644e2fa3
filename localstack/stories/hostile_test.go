package stories_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"theoneagents.app/agents/localstack/hub"
)

// The number of bad requests, and how many are concurrent.
const (
	hostility = 2400
	hostiles  = 8
)

// TestABadRequestIsRefusedAndChangesNothing sends requests that must be
// refused. HOSTILE_SEED repeats the requests of a run, and HOSTILE_ONLY=n the
// n-th of them alone.
func TestABadRequestIsRefusedAndChangesNothing(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	h := newHostile(o)
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("HOSTILE_SEED"); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("HOSTILE_SEED=%d: %d requests", seed, hostility)

	before := h.snapshot()
	numbers := make(chan int)
	var group sync.WaitGroup
	for range hostiles {
		group.Go(func() {
			for n := range numbers {
				kind, b := h.request(seed, n)
				if err := h.refused(b); err != nil {
					t.Errorf("HOSTILE_SEED=%d HOSTILE_ONLY=%d %s: %s: %v", seed, n, kind, b, err)
				}
			}
		})
	}
	only, one := os.LookupEnv("HOSTILE_ONLY")
	for n := range hostility {
		if !one || strconv.Itoa(n) == only {
			numbers <- n
		}
	}
	close(numbers)
	group.Wait()

	if after := h.snapshot(); after != before {
		t.Errorf("a request changed something (HOSTILE_SEED=%d):\nbefore %s\nafter  %s", seed, before, after)
	}
}

// A bad is a request that must be refused.
type bad struct {
	method string
	path   string // unescaped, as sent
	header http.Header
	body   []byte
}

func (b bad) String() string {
	return fmt.Sprintf("%s %.200q %.100v %.200q", b.method, b.path, b.header, b.body)
}

// A hostile is an attacker with a valid session. All targets are in an
// organization that only this story knows.
type hostile struct {
	*org

	bearer    string
	agent     string
	execution string
	approval  string
	foreign   map[string]string            // ids of another organization, by kind
	cursors   map[string]map[string]string // cursors of "own" and "foreign", by list
}

func newHostile(o *org) *hostile {
	h := &hostile{org: o, bearer: "Bearer " + o.session(nil), foreign: map[string]string{}, cursors: map[string]map[string]string{}}
	h.agent, h.execution, h.approval = o.waiting()
	h.cursors["own"] = o.cursors(h.agent)

	other := o.tenant(o.t)
	h.foreign["agents"], h.foreign["executions"], h.foreign["approvals"] = other.waiting()
	h.cursors["foreign"] = other.cursors(h.foreign["agents"])
	return h
}

// session returns a session of the person with changed claims; nil removes a
// claim.
func (o *org) session(changed doc) string {
	o.t.Helper()
	token, err := o.key.Sign(o.claims(changed))
	if err != nil {
		o.t.Fatal(err)
	}
	return token
}

func (o *org) claims(changed doc) doc {
	now := time.Now()
	claims := doc{
		"org_id": o.name, "user_id": o.user, "roles": []string{o.role}, "jti": "jti_" + rand.Text(),
		"iss": hub.Issuer, "aud": hub.Audience,
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	for name, value := range changed {
		if value == nil {
			delete(claims, name)
			continue
		}
		claims[name] = value
	}
	return claims
}

// waiting creates an agent with two runs that wait for approval.
func (o *org) waiting() (agent, execution, approval string) {
	o.t.Helper()
	agent = o.agent(doc{"id": "ask", "type": "approval_gate", "message": "May I?"})
	o.escalate()
	o.escalate()
	var open []any
	o.eventually("two runs wait", func() bool {
		open = list(o.get("/api/approvals?status=pending").body, "approvals")
		return len(open) == 2
	})
	o.must(http.StatusCreated, o.post("/api/keys", doc{"name": "a key", "access": "read"}))
	return agent, text(open[0], "execution_id"), text(open[0], "id")
}

// cursors returns a cursor of each list.
func (o *org) cursors(agent string) map[string]string {
	o.t.Helper()
	found := map[string]string{}
	for _, path := range []string{"/api/executions", "/api/approvals", "/api/agents/" + agent + "/activity"} {
		found[path] = text(o.must(http.StatusOK, o.get(path+"?limit=1")), "next_cursor")
		if found[path] == "" {
			o.t.Fatalf("%s has no second page", path)
		}
	}
	return found
}

// snapshot returns all data that a request could have changed.
func (h *hostile) snapshot() string {
	h.t.Helper()
	executions := h.read("/api/executions?limit=200")
	seen := doc{
		"agents":     list(h.read("/api/agents"), "agents"),
		"executions": list(executions, "executions"),
		"total":      at(executions, "total"),
		"approvals":  list(h.read("/api/approvals?limit=200"), "approvals"),
		"keys":       list(h.read("/api/keys"), "keys"),
		"agent":      h.read("/api/agents/" + h.agent),
		"execution":  h.read("/api/executions/" + h.execution),
	}
	b, err := json.Marshal(seen)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(b)
}

// read returns the document at a path, and waits while the rate limit refuses
// it.
func (h *hostile) read(path string) doc {
	h.t.Helper()
	var r reply
	h.eventually(path+" exists", func() bool {
		r = h.get(path)
		return r.status != http.StatusTooManyRequests
	})
	return h.must(http.StatusOK, r)
}

// request returns the n-th bad request of a seed, and its kind.
func (h *hostile) request(seed uint64, n int) (kind string, b bad) {
	r := mathrand.New(mathrand.NewPCG(seed, uint64(n)))
	kinds := []struct {
		name string
		make func(*mathrand.Rand) bad
	}{
		{"body", h.badBody},
		{"id", h.badID},
		{"query", h.badQuery},
		{"header", h.badHeader},
		{"body", h.badBody},
		{"id", h.badID},
		{"cursor", h.badCursor},
		{"method", h.badMethod},
	}
	k := kinds[n%len(kinds)]
	b = k.make(r)
	if b.header == nil {
		b.header = http.Header{}
	}
	if _, none := b.header["No-Session"]; none {
		delete(b.header, "No-Session") // the request brings its own session, or none
	} else {
		b.header.Set("Authorization", h.bearer)
	}
	return k.name, b
}

// raw sends a request exactly as given, and repeats it while the rate limit
// refuses it.
func (s *stage) raw(b bad) (*http.Response, []byte, error) {
	for deadline := time.Now().Add(2 * patience); ; {
		resp, body, err := s.once(b)
		if err != nil || resp.StatusCode != http.StatusTooManyRequests || time.Now().After(deadline) {
			return resp, body, err
		}
		seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
		if err != nil {
			return resp, body, nil //nolint:nilerr // it is another limit.
		}
		<-time.After(time.Duration(seconds) * time.Second)
	}
}

// once sends a request once. An answer outside the document is an error, except
// for a preflight, which the gateway answers.
func (s *stage) once(b bad) (*http.Response, []byte, error) {
	base, err := url.Parse(s.outputs.API)
	if err != nil {
		return nil, nil, err
	}
	req := &http.Request{
		Method: b.method, Host: base.Host, Header: b.header,
		URL: &url.URL{Scheme: base.Scheme, Host: base.Host, Opaque: base.EscapedPath() + b.path},
	}
	if len(b.body) > 0 {
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(b.body)), int64(len(b.body))
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // the body was only read.
	body, err := io.ReadAll(resp.Body)
	if err == nil && b.header.Get("Access-Control-Request-Method") == "" {
		err = s.contract.fits(b.method, b.path, resp, body)
	}
	return resp, body, err
}

// refused returns an error unless a request is refused with one of our errors.
func (s *stage) refused(b bad) error {
	resp, body, err := s.once(b) //nolint:bodyclose // once has closed it.
	if err != nil {
		return err
	}
	if resp.StatusCode < 400 || resp.StatusCode > 499 || resp.StatusCode == http.StatusTooManyRequests {
		return fmt.Errorf("status %d, want a 4xx that names the fault: %.500s", resp.StatusCode, body)
	}
	return problem(resp, body)
}

// problem returns an error unless an answer has the shape of all errors.
func problem(resp *http.Response, body []byte) error {
	var p struct {
		Error     string `json:"error"`
		Message   string `json:"message"`
		Status    int    `json:"status"`
		RequestID string `json:"request_id"`
		Details   []struct {
			Path    *string `json:"path"`
			Message string  `json:"message"`
		} `json:"details"`
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return fmt.Errorf("status %d with %.500q: %w", resp.StatusCode, body, err)
	}
	whole := p.Error != "" && p.Message != "" && p.RequestID != "" && p.Status == resp.StatusCode
	for _, f := range p.Details {
		whole = whole && f.Path != nil && f.Message != ""
	}
	if !whole || resp.Header.Get("Content-Type") != "application/json" {
		return fmt.Errorf("status %d, %v: %.500s", resp.StatusCode, resp.Header, body)
	}
	return nil
}

func pick[T any](r *mathrand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func noise(r *mathrand.Rand, alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(b)
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

// A target is an endpoint with a body that it would accept.
type target struct {
	method, path string
	body         doc
}

// targets returns endpoints at which a valid body would change something.
func (h *hostile) targets() []target {
	definition := func() doc {
		return doc{
			"name": "Bad", "description": "Never to be made.", "category": "service_desk",
			"trigger":      doc{"type": "bus_event", "source_product": "psa", "event_type": "ticket.created", "filters": []any{doc{"field": "priority", "operator": "eq", "value": "p1"}}},
			"conditions":   []any{doc{"any": []any{doc{"field": "priority", "operator": "eq", "value": "p1"}}}},
			"steps":        []any{note("note", "hello"), doc{"id": "ask", "type": "approval_gate", "message": "May I?", "timeout_seconds": 60}},
			"client_scope": doc{"include": []any{"client_1"}}, "execution_limit": doc{"max_per_hour": 5},
		}
	}
	return []target{
		{http.MethodPost, "/api/agents", definition()},
		{http.MethodPut, "/api/agents/" + h.agent, definition()},
		{http.MethodPost, "/api/agents/" + h.agent + "/clone", doc{"name": "A copy"}},
		{http.MethodPost, "/api/approvals/" + h.approval + "/decision", doc{"decision": "denied", "note": "no"}},
		{http.MethodPost, "/api/keys", doc{"name": "A key", "access": "read"}},
	}
}

// badBody sends a body that no endpoint accepts.
func (h *hostile) badBody(r *mathrand.Rand) bad {
	to := pick(r, h.targets()...)
	if r.IntN(2) == 0 {
		corrupt(r, to.body)
	}
	good, err := json.Marshal(to.body)
	if err != nil {
		panic(err) // strings and numbers always have JSON
	}
	s := string(good)
	name := s[:strings.Index(s, `":`)+2] // {"first":
	body := pick(r,
		func() string { return s[:1+r.IntN(len(s)-1)] },
		func() string { return s + pick(r, "}", "{}", ",", "x", "\x00", "null", s) },
		func() string { i := 1 + r.IntN(len(s)-1); return s[:i] + pick(r, "\x00", "\x01", "\x1f") + s[i:] },
		// In a name: the emulator replaces invalid UTF-8 by U+FFFD, which would
		// make a value valid before it reaches us.
		func() string { return `{"` + pick(r, "\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf8") + s[2:] },
		func() string { return "\ufeff" + s },
		func() string { return s[:len(s)-1] + "," + name[1:] + `"again"}` },
		func() string { return "[" + s + "]" },
		func() string {
			return pick(r, "null", "true", "[]", `"text"`, "0", "-1", "1e400", "NaN", "Infinity", "''", "{,}", `{"a"}`, "{'a':1}", "/**/{}", "undefined")
		},
		func() string {
			n := pick(r, 100, 10_000, 100_000)
			return strings.Repeat("[", n) + strings.Repeat("]", n)
		},
		func() string {
			n := pick(r, 1000, 20_000)
			return strings.Repeat(`{"steps":`, n) + "1" + strings.Repeat("}", n)
		},
		func() string {
			return name + pick(r, "1e400", "-1e999999", strings.Repeat("9", 5000), "01", "0x10", ".5", "1.") + "}"
		},
		func() string { return strings.Repeat(" ", 257<<10) + s },
		func() string { return s[:len(s)-1] + `,"` + noise(r, letters, 1+r.IntN(60)) + `":1}` },
		func() string { return s[:len(s)-1] + `,"` + strings.ToUpper(name[2:3]) + name[3:] + `1}` },
		func() string { b := make([]byte, 1+r.IntN(200)); fill(r, b); return "\x80" + string(b) },
		func() string { return string(utf16(s)) },
		func() string { corrupt(r, to.body); b, _ := json.Marshal(to.body); return string(b) },
		func() string { corrupt(r, to.body); b, _ := json.Marshal(to.body); return string(b) },
	)()
	return bad{method: to.method, path: to.path, body: []byte(body), header: http.Header{"Content-Type": {"application/json"}}}
}

func fill(r *mathrand.Rand, b []byte) {
	for i := range b {
		b[i] = byte(r.IntN(256))
	}
}

func utf16(s string) []byte {
	b := []byte{0xff, 0xfe}
	for i := range len(s) {
		b = append(b, s[i], 0)
	}
	return b
}

// corrupt puts a fault into a valid body, at any depth.
func corrupt(r *mathrand.Rand, body doc) {
	if len(body) == 0 || r.IntN(4) == 0 {
		body["unknown_"+noise(r, letters, 5)] = pick[any](r, 1, "x", nil, doc{}, []any{})
		return
	}
	names := make([]string, 0, len(body))
	for name := range body {
		names = append(names, name)
	}
	slices.Sort(names)
	name := pick(r, names...)
	switch value := body[name].(type) {
	case doc:
		if name != "params" && r.IntN(2) == 0 {
			corrupt(r, value)
			return
		}
	case []any:
		if inner, ok := at(value, 0).(doc); ok && r.IntN(2) == 0 {
			corrupt(r, inner)
			return
		}
	case string:
		if name == "value" {
			body[name] = pick[any](r, doc{}, []any{}) // no scalar is valid as one; a condition may compare with any scalar
			return
		}
		if name == "description" || name == "note" {
			body[name] = strings.Repeat("ü", 2001)
			return
		}
	}
	body[name] = pick[any](r, true, -1e300, -5, []any{[]any{}}, doc{"": 1}, doc{"a": doc{}}, []any{1, "a", nil}, strings.Repeat("x", 30_000))
}

// badID requests a missing or foreign id.
func (h *hostile) badID(r *mathrand.Rand) bad {
	to := pick(r,
		target{http.MethodGet, "/api/agents/ID", nil},
		target{http.MethodPut, "/api/agents/ID", doc{"name": "taken"}},
		target{http.MethodDelete, "/api/agents/ID", nil},
		target{http.MethodPost, "/api/agents/ID/clone", doc{"name": "taken"}},
		target{http.MethodGet, "/api/agents/ID/activity", nil},
		target{http.MethodGet, "/api/executions/ID", nil},
		target{http.MethodPost, "/api/executions/ID/cancel", nil},
		target{http.MethodPost, "/api/executions/ID/retry", nil},
		target{http.MethodGet, "/api/approvals/ID", nil},
		target{http.MethodPost, "/api/approvals/ID/decision", doc{"decision": "approved"}},
		target{http.MethodDelete, "/api/keys/ID", nil},
	)
	kind := strings.Split(to.path, "/")[2]
	own := map[string]string{"agents": h.agent, "executions": h.execution, "approvals": h.approval, "keys": "key_01HXYZ"}
	known := own[kind]
	delete(own, kind)
	id := pick(r,
		func() string {
			return pick(r, "%23", "%2F", "%00", "%0d%0a", "%20", "%7f", "%25", "%2e%2e%2f", "%3F", "%5c", "%F0%9F%92%A9", "*", "%22", "%3Cb%3E", "-1", "0", "null", "undefined", "%ff%fe")
		},
		func() string { return pick(r, "%", "%z", "%zz", "%u0041", "%1") },
		func() string {
			return pick(r, "..%2f..%2fnowhere", "%2e%2e", "..%5c..", "....%2f%2f", "%2fetc%2fpasswd", "%252e%252e%252f")
		},
		func() string {
			return known + pick(r, "%00", "%20", "%0a", "%23AGENT", "%2F", ";v=1", "%25", "x", ".json", "%EF%BC%8E")
		},
		func() string { return strings.ToLower(known[:5]) + strings.ToLower(known[5:]) + "q" },
		func() string { return strings.Split(known, "_")[0] + "_" + noise(r, letters, r.IntN(80)) },
		func() string { return strings.Split(known, "_")[0] + "_" + noise(r, letters[26:36], 26) },
		func() string { return strings.Repeat("a", pick(r, 200, 2000, 7000)) },
		func() string { return known + strings.Repeat(pick(r, "0", "%00", "%C3%A9"), pick(r, 10, 1000)) },
		func() string {
			return url.PathEscape(string([]rune{rune(0x80 + r.IntN(0x2000)), rune(0x1F300 + r.IntN(200))}))
		},
		func() string {
			return pick(r, own["agents"]+"!", own["executions"], own["approvals"], h.name, h.user, h.name+"%23AGENT%23"+known)
		},
		func() string {
			return pick(r, h.foreign[kind], "exec_01HXYZ", "appr_01HXYZ", "key_01HXYZ", "agent_01HXYZ", "tmpl_01HXYZ")
		},
		func() string { return "system" + pick(r, "", "%23", "_dispatch", "%2Fagent_system_dispatch") },
	)()
	if id == "" {
		id = "agent_"
	}
	b := bad{method: to.method, path: strings.Replace(to.path, "ID", id, 1), header: http.Header{}}
	if to.body != nil {
		b.body, _ = json.Marshal(to.body)
		b.header.Set("Content-Type", "application/json")
	}
	return b
}

// badQuery sends a query that no endpoint accepts.
func (h *hostile) badQuery(r *mathrand.Rand) bad {
	lists := []string{"/api/executions", "/api/approvals", "/api/agents/" + h.agent + "/activity"}
	unknown := func() string {
		name := pick(r, "", "x", "Limit", "LIMIT", "limit%00", "limit[]", "offset", "page", "org_id", "__proto__", "%ff", "a%5Bb%5D", noise(r, letters, 30), noise(r, letters, 4000)) + noise(r, letters, r.IntN(3))
		return url.PathEscape("q" + name)
	}
	switch r.IntN(6) {
	case 0:
		limit := pick(r, "", "0", "-1", "201", "1000000000", "99999999999999999999999", "-99999999999999999999", "abc", "1.5", "1e2", "%201", "1%20", "0x1",
			"%EF%BC%91", "NaN", "null", "1,2", "1%00", "true", noise(r, "0123456789", 3000), strconv.Itoa(201+r.IntN(1<<30)), strconv.Itoa(-r.IntN(1<<30)))
		return bad{method: http.MethodGet, path: pick(r, lists...) + "?limit=" + limit}
	case 1:
		name := pick(r, "limit=1", "cursor=x")
		return bad{method: http.MethodGet, path: pick(r, lists...) + "?" + name + "&" + name}
	case 2:
		path := pick(r, append(lists, "/api/agents", "/api/agents/"+h.agent, "/api/executions/"+h.execution, "/api/approvals/"+h.approval,
			"/api/events", "/api/credits", "/api/credits/history", "/api/keys", "/api/audit", "/api/settings", "/api/pause", "/api/webhook-secret")...)
		return bad{method: http.MethodGet, path: path + "?" + unknown() + pick(r, "", "=", "=1", "=%00", "=a=b")}
	case 3:
		name := pick(r, "/api/agents?status", "/api/agents?type", "/api/agents?category", "/api/executions?status", "/api/approvals?status", "/api/events?category", "/api/events?source_product")
		return bad{method: http.MethodGet, path: name + "=" + pick(r, "", "ACTIVE", "Pending", "%00", "active%20", "active,paused", "nothing", "null", "%F0%9F%92%A9", noise(r, letters, 5000), noise(r, letters, 12))}
	case 4:
		return bad{method: http.MethodGet, path: "/api/executions?" + pick(r, "from", "to") + "=" + pick(r, "", "yesterday", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z",
			"2026-3-1", "2026-02-30", "1700000000", "2026-03-01T00:00:00", "2026-03-01T25:00:00Z", "2026-03-01T00:00:00+99:00", "now()", "%00", "0000", "99999-01-01T00:00:00Z", noise(r, "0123456789-:TZ", 20))}
	}
	return bad{method: http.MethodGet, path: pick(r, "/api/executions?status=failed&status=failed", "/api/agents?type=custom&type=custom", "/api/executions?agent_id=", "/api/executions?agent_id=%23", "/api/executions?agent_id=exec_1",
		"/api/executions?agent_id=agent_"+noise(r, letters, 100), "/api/executions?limit", "/api/executions?=", "/api/executions?%zz=1", "/api/executions?limit=%", "/api/executions?limit=1;limit=2", "/api/agents?limit=1", "/api/agents?a;b",
		"/api/executions?agent_id=agent_1%23")}
}

// badCursor pages with a cursor that was not returned for this list.
func (h *hostile) badCursor(r *mathrand.Rand) bad {
	paths := []string{"/api/executions", "/api/approvals", "/api/agents/" + h.agent + "/activity"}
	path := pick(r, paths...)
	good := h.cursors["own"][path]
	cursor := pick(r,
		func() string {
			return pick(r, "", "x", "null", "0", "%00", "eyJ9", "e30", "e30=", "%F0%9F%92%A9", "..", "{}", "%7B%7D")
		},
		func() string { return noise(r, letters, 1+r.IntN(400)) },
		func() string { return noise(r, letters, 6000) },
		func() string {
			i := r.IntN(len(good) - 1)
			return good[:i] + pick(r, "A", "b", "_", "%", "-")[:1] + "%21" + good[i+1:]
		},
		func() string { return good[:1+r.IntN(len(good)-1)] },
		func() string { return good + pick(r, "A", "AA", "=", "%0a", "%20", good) },
		func() string { return "A" + good },
		func() string { return swapped(r, good) },
		func() string {
			for _, p := range paths {
				if p != path {
					return h.cursors["own"][p]
				}
			}
			return ""
		},
		func() string {
			for p, c := range h.cursors["foreign"] {
				if p == path || strings.HasSuffix(p, "/activity") && strings.HasSuffix(path, "/activity") {
					return c
				}
			}
			return ""
		},
		func() string { // with another filter than the cursor's
			if strings.HasSuffix(path, "/activity") {
				return ""
			}
			return good + "&status=" + pick(r, "pending")
		},
	)()
	return bad{method: http.MethodGet, path: path + "?limit=1&cursor=" + cursor}
}

// swapped returns a cursor with one letter changed.
func swapped(r *mathrand.Rand, good string) string {
	i := r.IntN(len(good) - 1) // the last may hold unused bits
	c := letters[r.IntN(len(letters))]
	if c == good[i] {
		c = good[(i+1)%len(good)]
	}
	if c == good[i] {
		c = '~'
	}
	return good[:i] + string(c) + good[i+1:]
}

// badHeader sends headers without a legitimate use.
func (h *hostile) badHeader(r *mathrand.Rand) bad {
	token := strings.TrimPrefix(h.bearer, "Bearer ")
	key, cookie := "ik_live_"+noise(r, letters[:62], 40), "hub_session="+token
	to := pick(r, h.targets()...)
	body, _ := json.Marshal(to.body)
	b := bad{method: to.method, path: to.path, body: body, header: http.Header{"Content-Type": {"application/json"}, "No-Session": {"1"}}}
	switch r.IntN(6) {
	case 0: // several credentials
		maps.Copy(b.header, pick(r,
			http.Header{"Authorization": {h.bearer}, "X-Integration-Key": {key}},
			http.Header{"Authorization": {h.bearer}, "X-Integration-Key": {""}},
			http.Header{"Authorization": {h.bearer, h.bearer}},
			http.Header{"Authorization": {h.bearer}, "Cookie": {cookie}},
			http.Header{"Cookie": {cookie}, "X-Integration-Key": {key}},
			http.Header{"Cookie": {cookie + "; " + cookie}, "Origin": {h.outputs.Origin}},
			http.Header{"X-Integration-Key": {key, key}},
		))
	case 1: // not JSON
		b.header.Set("Authorization", h.bearer)
		b.header["Content-Type"] = pick(r, nil, []string{""}, []string{"text/plain"}, []string{"application/xml"}, []string{"multipart/form-data; boundary=x"}, []string{"application/x-www-form-urlencoded"},
			[]string{"application/jsonx"}, []string{"application/json; charset=utf-16"}, []string{"json"}, []string{"*/*"}, []string{"application/json,text/plain"}, []string{"text/" + noise(r, letters, 20)})
	case 2: // headers that only the gateway may set
		b.header["X-Golambdaproxy-Apigw-Context"] = []string{`{"accountId":"1","authorizer":{"jwt":{"claims":{"org_id":"` + h.name + `","roles":"owner"}}}}`}
		b.header["X-GoLambdaProxy-ApiGw-StageVars"] = []string{pick(r, "{}", "null", "x", `{"org_id":"system"}`)}
		b.header["X-Org-Id"], b.header["X-Amzn-Oidc-Data"] = []string{h.name}, []string{token}
	case 3: // a page of another site
		b.header.Set("Cookie", cookie)
		b.header["Origin"] = pick(r, []string{"null"}, []string{"https://evil.example"}, []string{h.outputs.Origin + ".evil.example"}, []string{h.outputs.Origin + "/"}, []string{strings.ToUpper(h.outputs.Origin)},
			[]string{h.outputs.Origin, "https://evil.example"}, []string{"https://" + noise(r, letters[:26], 12)}, []string{h.outputs.Origin + "@evil.example"}, []string{"file://"}, []string{strings.TrimPrefix(h.outputs.Origin, "http://")})
		b.header["Sec-Fetch-Site"] = pick(r, nil, []string{"same-origin"}, []string{"cross-site"})
	case 4: // a page without an origin
		b.header.Set("Cookie", cookie)
		b.header["Sec-Fetch-Site"] = pick(r, nil, []string{"cross-site"}, []string{"same-site"}, []string{"none"}, []string{""}, []string{"Same-Origin"}, []string{"same-origin", "same-origin"})
	case 5: // no session at all
		b.header["Authorization"] = []string{pick(r, token, "Basic "+token, "Bearer", "Bearer ", "Bearer  "+token, "bearer: "+token, "Bearer "+token+"x", "Bearer "+token+" "+token, "Bearer "+token[:len(token)-9], "Token "+token,
			"Bearer "+strings.Repeat("a.", 2000), "Bearer ..", "Bearer "+noise(r, letters, 200), "Bearer "+key, "Bearer null", "Bearer\t"+token)}
	}
	return b
}

// badMethod calls a method or a path that does not exist.
func (h *hostile) badMethod(r *mathrand.Rand) bad {
	path := pick(r, "/api/agents", "/api/agents/"+h.agent, "/api/executions", "/api/executions/"+h.execution, "/api/executions/"+h.execution+"/cancel", "/api/approvals", "/api/approvals/"+h.approval,
		"/api/approvals/"+h.approval+"/decision", "/api/events", "/api/credits", "/api/credits/history", "/api/keys", "/api/audit", "/api/webhook-secret", "/api/openapi.json", "/docs", "/", "/runs", "/settings/keys")
	if r.IntN(2) == 0 {
		return bad{method: pick(r, "PATCH", "TRACE", "PROPFIND", "MKCOL", "QUERY", "LOCK", "X-"+noise(r, letters[26:52], 8)), path: path}
	}
	nowhere := pick(r, "/api", "/api/", "/assets/", "/assets/none.js", "/api/agent", "/API/agents", "/api/agents/", "/api//agents", "//api/agents", "/api/./agents", "/api/agents/"+h.agent+"/", "/api/agents/"+h.agent+"/nothing", "/api/executions/"+h.execution+"/steps/1",
		"/api/agents.json", "/api/%61gents/%00", "/api/keys/", "/docs/", "/docs/index.html", "/.env", "/api/openapi.yaml", "/api/v1/agents", "/"+noise(r, letters, 40), "/api/"+noise(r, letters, 12), "/api/agents%2F", "/api/credits/history/2026-01", "/api/../nowhere", "/api/agents/../../nowhere/x")
	return bad{method: pick(r, http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete), path: nowhere}
}
