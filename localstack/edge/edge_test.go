package main

import (
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"theoneagents.app/agents/localstack/hub"
	"theoneagents.app/agents/localstack/local/cloud"
)

// edge returns the handler beside an API that answers with the path it was asked for, and
// the folder of its pages.
func edge(t *testing.T) (handler http.Handler, site string) {
	t.Helper()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "deployed "+r.URL.EscapedPath())
	}))
	t.Cleanup(api.Close)
	dir := t.TempDir()
	c := config{outputs: filepath.Join(dir, "outputs.json"), site: filepath.Join(dir, "site"), mark: "/here/.local"}
	if err := (cloud.Outputs{API: api.URL + "/stage"}).Write(c.outputs); err != nil {
		t.Fatal(err)
	}
	key, err := hub.Open(filepath.Join(dir, "hub.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return newHandler(c, key, time.Now, slog.New(slog.DiscardHandler)), c.site
}

func ask(t *testing.T, h http.Handler, method, target string, form url.Values, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "http://127.0.0.1:4590"+target, strings.NewReader(form.Encode()))
	r.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	maps.Copy(r.Header, header)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestOnePressSignsInAndLeadsBack(t *testing.T) {
	t.Parallel()

	h, _ := edge(t)
	for _, role := range []string{"owner", "admin", "member", "viewer"} {
		w := ask(t, h, "POST", "/hub/sign-in", url.Values{"org": {"org_demo"}, "role": {role}, "return_to": {"/runs?status=failed"}}, nil)
		cookies := w.Result().Cookies()
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/runs?status=failed" || len(cookies) != 1 {
			t.Fatalf("%s: %d %v", role, w.Code, w.Header())
		}
		c := cookies[0]
		if c.Name != "hub_session" || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" {
			t.Errorf("%s: cookie %v", role, c)
		}
		claims := jwt.MapClaims{}
		if _, _, err := jwt.NewParser().ParseUnverified(c.Value, claims); err != nil || claims["org_id"] != "org_demo" || claims["user_id"] != "user_"+role {
			t.Errorf("%s: claims %v, %v", role, claims, err)
		}
	}
	out := ask(t, h, "GET", "/hub/sign-out?return_to=/", nil, nil)
	if c := out.Header().Get("Set-Cookie"); !strings.HasPrefix(c, "hub_session=;") || !strings.Contains(c, "Max-Age=0") {
		t.Errorf("signing out sets %q", c)
	}
}

func TestASignInLeadsToNoOtherOrigin(t *testing.T) {
	t.Parallel()

	h, _ := edge(t)
	for asked, want := range map[string]string{
		"/approvals/appr_1": "/approvals/appr_1", "http://127.0.0.1:4590/runs?x=1#y": "/runs?x=1#y", "": "/",
		"//evil.example/x": "/", "https://evil.example/": "/", `/\evil.example`: "/", "javascript:alert(1)": "/", "runs": "/",
		"http://127.0.0.1:4590//evil.example": "/", "/hub/sign-out": "/", "%": "/",
	} {
		w := ask(t, h, "POST", "/hub/sign-in", url.Values{"org": {"org_demo"}, "role": {"owner"}, "return_to": {asked}}, nil)
		if got := w.Header().Get("Location"); got != want {
			t.Errorf("%q leads to %q, want %q", asked, got, want)
		}
	}
}

func TestAWrongSignInIsRefused(t *testing.T) {
	t.Parallel()

	h, _ := edge(t)
	for name, form := range map[string]url.Values{
		"no role":         {"org": {"org_demo"}},
		"another role":    {"org": {"org_demo"}, "role": {"root"}},
		"no organization": {"role": {"owner"}},
		"a wrong one":     {"org": {"demo"}, "role": {"owner"}},
		"a wrong user":    {"org": {"org_demo"}, "role": {"owner"}, "user": {"a b"}},
	} {
		if w := ask(t, h, "POST", "/hub/sign-in", form, nil); w.Code != http.StatusBadRequest || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
	}
	w := ask(t, h, "POST", "/hub/sign-in", url.Values{"org": {"org_demo"}, "role": {"owner"}}, http.Header{"Sec-Fetch-Site": {"cross-site"}})
	if w.Code != http.StatusForbidden || w.Header().Get("Set-Cookie") != "" {
		t.Errorf("from another site: %d %v", w.Code, w.Header())
	}
}

func TestThePageOfTheSignInHasOnlyTextOfTheRequest(t *testing.T) {
	t.Parallel()

	h, _ := edge(t)
	w := ask(t, h, "GET", "/hub/sign-in?org="+url.QueryEscape(`"><script>`)+"&return_to="+url.QueryEscape(`/x"><script>`), nil, nil)
	if w.Code != http.StatusOK || strings.Contains(w.Body.String(), "<script>") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestPagesComeFromTheFolderWhileItExists(t *testing.T) {
	t.Parallel()

	h, site := edge(t)
	for target, want := range map[string]string{"/runs": "deployed /stage/runs", "/api/agents?x=1": "deployed /stage/api/agents", "/elsewhere": "deployed /stage/elsewhere"} {
		if got := ask(t, h, "GET", target, nil, nil).Body.String(); got != want {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
	}
	if err := os.MkdirAll(site, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(site, "index.html"), []byte(`hub: {{hub}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]string{"/runs": "hub: /hub", "/api/agents": "deployed /stage/api/agents", "/docs": "deployed /stage/docs"} {
		if got := ask(t, h, "GET", target, nil, nil).Body.String(); got != want {
			t.Errorf("with the folder, %s: %q, want %q", target, got, want)
		}
	}
}

func TestWithoutASystemItSaysWhatToDo(t *testing.T) {
	t.Parallel()

	h := forward(filepath.Join(t.TempDir(), "outputs.json"), slog.New(slog.DiscardHandler))
	if w := ask(t, h, "GET", "/runs", nil, nil); w.Code != http.StatusBadGateway || !strings.Contains(w.Body.String(), "make run") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
