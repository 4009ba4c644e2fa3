package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"theoneagents.app/agents/localstack/hub"
	"theoneagents.app/agents/localstack/local/cloud"
	"theoneagents.app/agents/localstack/local/proc"
	"theoneagents.app/agents/localstack/local/steps"
)

// newWorld returns a world without environment, and its output.
func newWorld(t *testing.T) (world, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	return world{
		getenv: func(string) string { return "" }, now: time.Now, http: http.DefaultClient, out: &out, err: io.Discard,
	}, &out
}

func TestAnUnknownCommandGetsTheUsage(t *testing.T) {
	t.Parallel()

	w, _ := newWorld(t)
	for _, args := range [][]string{nil, {"dance"}} {
		if err := run(t.Context(), w, args); !errors.Is(err, errUsage) {
			t.Errorf("%q: err = %v, want the usage", args, err)
		}
	}
}

func TestATokenHasTheClaimsOfItsFlags(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		args []string
		want map[string]string
	}{
		"by default the owner of org_demo": {nil, map[string]string{"org_id": "org_demo", "user_id": "user_demo"}},
		"anyone":                           {[]string{"-org", "org_x", "-user", "user_y", "-role", "viewer"}, map[string]string{"org_id": "org_x", "user_id": "user_y"}},
		"the other form": {
			[]string{"-org", "org_x", "-user", "user_y", "-role", "viewer", "-form", "hub"},
			map[string]string{"tenantId": "org_x", "sub": "user_y", "orgRole": "viewer"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w, out := newWorld(t)
			if err := run(t.Context(), w, append([]string{"token", "-state", t.TempDir()}, test.args...)); err != nil {
				t.Fatal(err)
			}
			claims := jwt.MapClaims{}
			if _, _, err := jwt.NewParser().ParseUnverified(strings.TrimSpace(out.String()), claims); err != nil {
				t.Fatal(err)
			}
			for claim, want := range test.want {
				if got := claims[claim]; got != want {
					t.Errorf("%s = %v, want %s", claim, got, want)
				}
			}
		})
	}
}

func TestAKeyIsCreatedByAnOwner(t *testing.T) {
	t.Parallel()

	h := home(t.TempDir())
	var asked map[string]string
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/_localstack/health" {
			_, _ = io.WriteString(rw, `{"services": {"sqs": "available"}}`)
			return
		}
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		claims := jwt.MapClaims{}
		if _, _, err := jwt.NewParser().ParseUnverified(token, claims); err != nil || claims["org_id"] != "org_x" {
			t.Errorf("session %v, err %v", claims, err)
		}
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			t.Error(err)
		}
		rw.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(rw, `{"id": "key_1", "key": "ik_live_1"}`)
	}))
	t.Cleanup(server.Close)
	if err := (cloud.Outputs{API: server.URL, Endpoint: server.URL}).Write(h.outputs()); err != nil {
		t.Fatal(err)
	}

	w, out := newWorld(t)
	if err := run(t.Context(), w, []string{"key", "-state", string(h), "-org", "org_x", "-access", "read"}); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != "ik_live_1\n" || asked["access"] != "read" || asked["name"] == "" {
		t.Errorf("printed %q after asking for %v", got, asked)
	}
}

func TestATraceIsThatOfTheNewestRun(t *testing.T) {
	t.Parallel()

	h, org, asked := home(t.TempDir()), "", ""
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/_localstack/health":
			_, _ = io.WriteString(rw, `{"services": {"sqs": "available"}}`)
		case "/api/executions":
			claims := jwt.MapClaims{}
			_, _, err := jwt.NewParser().ParseUnverified(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), claims)
			if err != nil {
				t.Error(err)
			}
			if org, _ = claims["org_id"].(string); org == "org_new" {
				_, _ = io.WriteString(rw, `{"executions": []}`)
				return
			}
			_, _ = io.WriteString(rw, `{"executions": [{"id": "exec_newest"}, {"id": "exec_older"}]}`)
		case "/_traces":
			asked = r.URL.Query().Get("run")
			_, _ = io.WriteString(rw, `{"spans": [{"span_id": "1", "service": "runner", "name": "run"}]}`)
		}
	}))
	t.Cleanup(server.Close)
	if err := (cloud.Outputs{API: server.URL, Endpoint: server.URL, Products: server.URL}).Write(h.outputs()); err != nil {
		t.Fatal(err)
	}
	w, out := newWorld(t)
	if err := run(t.Context(), w, []string{"trace", "-state", string(h), "-org", "org_x"}); err != nil || org != "org_x" || asked != "exec_newest" {
		t.Errorf("the trace of %q of %q, %v", asked, org, err)
	}
	if !strings.Contains(out.String(), "runner") {
		t.Errorf("printed %q", out)
	}
	if err := run(t.Context(), w, []string{"trace", "-state", string(h), "-run", "exec_older"}); err != nil || asked != "exec_older" {
		t.Errorf("the trace of %q, %v", asked, err)
	}
	if err := run(t.Context(), w, []string{"trace", "-state", string(h), "-org", "org_new"}); err == nil || !strings.Contains(err.Error(), "no runs yet") {
		t.Errorf("err = %v", err)
	}
}

func TestARefusalRepeatsTheMessageOfTheAPI(t *testing.T) {
	t.Parallel()

	tests := map[string]string{
		`{"error": "forbidden", "message": "Owners only.", "status": 403}`: "the API answers 403 forbidden: Owners only.",
		`<html>`: "the API answers 403 : <html>",
	}
	for body, want := range tests {
		server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(rw, body)
		}))
		err := api{base: server.URL, http: server.Client()}.call(t.Context(), http.MethodGet, "/", nil, nil)
		server.Close()
		if err == nil || err.Error() != want {
			t.Errorf("err = %v, want %s", err, want)
		}
	}
}

func TestACommandWithoutOutputsIsRefused(t *testing.T) {
	t.Parallel()

	for _, args := range [][]string{
		{"key"}, {"show"}, {"publish", "-event", "psa:ticket.created"}, {"org", "-org", "org_a"}, {"calls"}, {"logs"}, {"trace"},
	} {
		w, _ := newWorld(t)
		if err := run(t.Context(), w, append(args, "-state", t.TempDir())); !errors.Is(err, errNothingRuns) {
			t.Errorf("%s: err = %v", args[0], err)
		}
	}
}

func TestOneCommandAtATimeChangesACloud(t *testing.T) {
	t.Parallel()

	h := home(t.TempDir())
	release, err := h.lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.lock(); err == nil || !strings.Contains(err.Error(), "wait") {
		t.Errorf("err = %v, want an error that asks the caller to wait", err)
	}
	release()
	release, err = h.lock()
	if err != nil {
		t.Fatal(err)
	}
	release()
}

func TestTheEndpointComesFromTheEnvironment(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		plan plan
		want string // empty: an error
	}{
		"an address":           {plan{elsewhere: "http://localhost:4600/"}, "http://localhost:4600"},
		"the real AWS":         {plan{elsewhere: "https://dynamodb.us-east-1.amazonaws.com"}, ""},
		"no address":           {plan{elsewhere: "localhost:4566"}, ""},
		"an address of a page": {plan{elsewhere: "http://localhost:4566/page"}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, err := test.plan.endpoint()
			if got != test.want || (err == nil) != (test.want != "") {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestAnEmulatorIsStartedOnlyOnThisMachine(t *testing.T) {
	t.Parallel()

	tests := map[string]bool{
		"http://127.0.0.1:4566": true, "http://localhost:4566": true, "http://[::1]:4566": true,
		"http://10.0.0.7:4566": false, "http://emulator:4566": false,
	}
	for address, want := range tests {
		if err := isLocal(address); (err == nil) != want {
			t.Errorf("%s: err = %v", address, err)
		}
	}
}

func TestAServerIsReusedOnlyWhenUsable(t *testing.T) {
	t.Parallel()

	yes := func(context.Context, string) bool { return true }
	no := func(context.Context, string) bool { return false }
	tests := map[string]struct {
		want    string // wanted address
		version string
		healthy func(context.Context, string) bool

		reused, fails bool
	}{
		"the same again":              {"http://a", "1", yes, true, false},
		"any address will do":         {"", "1", yes, true, false},
		"another address":             {"http://b", "1", yes, false, true},
		"a newer build":               {"http://a", "2", yes, false, false},
		"a start that did not finish": {"http://a", "1", no, false, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			h := home(t.TempDir())
			_, err := proc.Start(proc.Program{
				Args: []string{"/bin/sleep", "60"}, Log: h.log("log"), Record: h.emulator(), Address: "http://a", Version: "1",
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if _, err := proc.Stop(context.Background(), h.emulator()); err != nil {
					t.Error(err)
				}
			})
			s := server{name: "emulator", home: h, record: h.emulator(), data: h.emulatorData(), version: test.version, healthy: test.healthy}
			_, reused, err := s.running(t.Context(), steps.Reporter{Out: io.Discard}, test.want)
			if reused != test.reused || (err != nil) != test.fails {
				t.Errorf("reused %t, err %v", reused, err)
			}
			if _, alive := proc.Find(h.emulator()); alive != (test.reused || test.fails) {
				t.Errorf("alive: %t", alive)
			}
		})
	}
}

func TestAServerThatEndsAtOnceShowsItsLog(t *testing.T) {
	t.Parallel()

	h := home(t.TempDir())
	s := server{
		name: "emulator", home: h, record: h.emulator(), data: h.emulatorData(), log: h.log("emulator"),
		args:    func(string) []string { return []string{"/bin/sh", "-c", "echo no luck; exit 1"} },
		healthy: func(context.Context, string) bool { return false },
	}
	_, err := s.start(t.Context(), steps.Reporter{Out: io.Discard, Now: time.Now}, "http://a")
	if err == nil || !strings.Contains(err.Error(), "ended at once") {
		t.Errorf("err = %v", err)
	}
}

func TestStopLeavesAForeignEmulatorRunning(t *testing.T) {
	t.Parallel()

	stranger := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(rw, `{"services": {"sqs": "available"}}`)
	}))
	t.Cleanup(stranger.Close)
	h := home(t.TempDir())
	if err := (cloud.Outputs{Endpoint: stranger.URL}).Write(h.outputs()); err != nil {
		t.Fatal(err)
	}
	w, out := newWorld(t)
	if err := run(t.Context(), w, []string{"stop", "-state", string(h)}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "keeps running") {
		t.Errorf("said %q", out)
	}
	if _, err := os.Stat(h.outputs()); err == nil {
		t.Error("the outputs are still there")
	}
}

func TestResetDeletesTheData(t *testing.T) {
	t.Parallel()

	h := home(t.TempDir())
	if _, err := hub.Open(h.hubKey()); err != nil {
		t.Fatal(err)
	}
	if _, err := hub.Open(h.rootKey()); err != nil {
		t.Fatal(err)
	}
	if err := h.remember(deployment{Fingerprint: "f"}); err != nil {
		t.Fatal(err)
	}
	w, _ := newWorld(t)
	if err := run(t.Context(), w, []string{"reset", "-state", string(h)}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(h.rootKey()); err == nil {
		t.Error("the key of calls is left")
	}
	if _, err := os.Stat(h.hubKey()); err == nil || h.lastDeployment().Fingerprint != "" {
		t.Error("the key or the deployment is left")
	}
}
