package gateway

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/go-cmp/cmp"
)

// An echo is the request that a handler received.
type echo struct {
	Method    string   `json:"method"`
	Path      string   `json:"path"`
	Query     string   `json:"query"`
	Body      string   `json:"body"`
	RequestID string   `json:"request_id"`
	Cookie    string   `json:"cookie"`
	Forged    []string `json:"forged"` // headers that only the adapter could have written
}

func see(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	e := echo{Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Body: string(body), RequestID: RequestID(r.Context())}
	for _, c := range r.CookiesNamed("hub_session") {
		e.Cookie += c.Value
	}
	for name := range r.Header {
		if strings.HasPrefix(strings.ToLower(name), "x-golambdaproxy") {
			e.Forged = append(e.Forged, name)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	if err := json.NewEncoder(w).Encode(e); err != nil {
		panic(err)
	}
}

func fixture(t *testing.T, name string) events.APIGatewayV2HTTPRequest {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var in events.APIGatewayV2HTTPRequest
	if err := json.Unmarshal(data, &in); err != nil {
		t.Fatal(err)
	}
	return in
}

const requestID = "JKJaXmPLvHcESHA="

func TestEventsBecomeRequests(t *testing.T) {
	t.Parallel()

	handle := Handle(http.HandlerFunc(see))
	for name, want := range map[string]echo{
		"get":                    {Query: "status=active&type=custom"},
		"post":                   {Method: "POST", Body: `{"name": "Käse"}`},
		"base64":                 {Method: "POST", Body: `{"name": "Käse"}`},
		"cookies":                {Cookie: "a.b.c"},
		"cookie_header":          {Cookie: "a.b.c"},
		"cookie_both":            {Cookie: "a.b.c"},
		"forged_context":         {},
		"decoded_question_mark":  {Path: "/api/agents/a?b#c"},
		"no_raw_path":            {},
		"stray_percent_in_query": {Query: "q=50%"},
	} {
		want.RequestID = requestID
		if want.Method == "" {
			want.Method = http.MethodGet
		}
		if want.Path == "" {
			want.Path = "/api/agents"
		}
		out, err := handle(t.Context(), fixture(t, name))
		if err != nil {
			t.Fatal(err)
		}
		var got echo
		if err := json.Unmarshal([]byte(out.Body), &got); err != nil {
			t.Errorf("%s: %d %s", name, out.StatusCode, out.Body)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAnInvalidRequestIsAnsweredInOurShape(t *testing.T) {
	t.Parallel()

	handle := Handle(http.HandlerFunc(see))
	for _, name := range []string{"bad_base64", "stray_percent", "control_character", "strange_method", "empty"} {
		in := fixture(t, name)
		out, err := handle(t.Context(), in)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		want := map[string]any{
			"error": "invalid_request", "message": "The request could not be read.", "status": 400.0,
			"request_id": in.RequestContext.RequestID,
		}
		var got map[string]any
		if err := json.Unmarshal([]byte(out.Body), &got); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" || out.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d (-want +got):\n%s", name, out.StatusCode, diff)
		}
		if out.Headers["Content-Type"] != "application/json" || out.Headers["X-Request-Id"] != in.RequestContext.RequestID {
			t.Errorf("%s: %v", name, out.Headers)
		}
	}
}

func TestAHandlerWithoutAResponseDoesNotCrash(t *testing.T) {
	t.Parallel()

	handle := Handle(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	out, err := handle(t.Context(), fixture(t, "get"))
	if err != nil || !strings.Contains(out.Body, requestID) {
		t.Errorf("%v, %+v", err, out)
	}
}

func TestARequestWithoutAnIdOfTheGatewayHasThatOfLambda(t *testing.T) {
	t.Parallel()

	in := fixture(t, "get")
	in.RequestContext.RequestID = ""
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "invocation-1"})
	out, err := Handle(http.HandlerFunc(see))(ctx, in)
	if err != nil || !strings.Contains(out.Body, "invocation-1") {
		t.Errorf("%v, %s", err, out.Body)
	}
	if got := RequestID(t.Context()); got != "" {
		t.Errorf("outside of a request: %q", got)
	}
}

func FuzzEvent(f *testing.F) {
	f.Add("GET", "/api/agents/50%", "a=b", "x-integration-key", "{}", false)
	f.Add("POST", "//evil.example/x", "%", "Cookie", "e30=", true)
	f.Add("get", "*", "#", "", "\xff", true)
	handle := Handle(http.HandlerFunc(see))
	f.Fuzz(func(t *testing.T, method, path, query, header, body string, base64 bool) {
		in := events.APIGatewayV2HTTPRequest{
			RawPath: path, RawQueryString: query, Body: body, IsBase64Encoded: base64,
			Headers: map[string]string{header: "x, y"},
		}
		in.RequestContext.HTTP.Method, in.RequestContext.DomainName = method, "api.theoneagents.app"
		out, err := handle(t.Context(), in)
		if err != nil || out.StatusCode != http.StatusOK && out.StatusCode != http.StatusBadRequest {
			t.Errorf("%v, %+v", err, out)
		}
	})
}

func TestTheAddressIsTheGatewaysAndNoHeaderChangesIt(t *testing.T) {
	t.Parallel()

	for source, want := range map[string]string{
		"198.51.100.7": "198.51.100.7", "2001:DB8::7": "2001:db8::7", "": "", "203.0.113.9, 198.51.100.7": "",
		"fe80::1%eth0": "", strings.Repeat("1", 5000): "",
	} {
		in := fixture(t, "get")
		in.RequestContext.HTTP.SourceIP = source
		in.Headers["x-forwarded-for"], in.Headers["forwarded"] = "203.0.113.66", "for=203.0.113.66"
		in.Headers["x-golambdaproxy-apigw-context"] = `{"http":{"sourceIp":"203.0.113.66"}}`
		got := "not called"
		_, err := Handle(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = Address(r.Context()) }))(t.Context(), in)
		if err != nil || got != want {
			t.Errorf("source %.40q: address %q, %v; want %q", source, got, err, want)
		}
	}
	if got := Address(t.Context()); got != "" {
		t.Errorf("outside of a request: %q", got)
	}
}
