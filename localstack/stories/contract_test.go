package stories_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"theoneagents.app/agents/localstack/local/cloud"
)

// A contract is the OpenAPI document of a system, prepared for checking every
// answer.
type contract struct {
	document   doc
	operations map[string]operation // by pattern: "GET /api/agents/{id}"
	patterns   *http.ServeMux       // finds the pattern of a request
	problem    described            // the answer to a request for no operation
}

// An operation holds its documented answers by status.
type operation map[string]described

// A described answer has these headers and one of these bodies.
type described struct {
	headers map[string]heading
	content map[string]*jsonschema.Schema // by media type; empty: no body
}

type heading struct {
	required bool
	schema   *jsonschema.Schema
	number   bool
}

// served is the document of the system in LOCAL_OUTPUTS as that system serves
// it, so that the deployed API is checked against its own document.
var served = sync.OnceValues(func() (*contract, error) {
	outputs, err := cloud.ReadOutputs(os.Getenv("LOCAL_OUTPUTS"))
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, outputs.API+"/api/openapi.json", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // the body was only read.
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the document: status %d: %.300s", resp.StatusCode, body)
	}
	c, err := newContract(body)
	if err != nil {
		return nil, fmt.Errorf("the document: %w", err)
	}
	return c, c.fits(http.MethodGet, "/api/openapi.json", resp, body)
})

// newContract reads an OpenAPI document of version 3.1, whose schemas are JSON
// Schema.
func newContract(text []byte) (*contract, error) {
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	document, ok := parsed.(doc)
	if !ok {
		return nil, errors.New("not a JSON object")
	}
	r := reader{document, jsonschema.NewCompiler()}
	r.compiler.DefaultDraft(jsonschema.Draft2020)
	r.compiler.RegisterFormat(&jsonschema.Format{Name: "date-time", Validate: inSeconds})
	r.compiler.AssertFormat()
	if err := r.compiler.AddResource(here, document); err != nil {
		return nil, err
	}
	c := &contract{document: document, operations: map[string]operation{}, patterns: http.NewServeMux()}
	if c.problem, err = r.described("#/components/responses/Internal"); err != nil {
		return nil, err
	}
	for path, item := range object(document["paths"]) {
		for method, o := range object(item) {
			if method == "parameters" {
				continue
			}
			pattern := strings.ToUpper(method) + " " + path
			at := "#/paths/" + escaped(path) + "/" + method + "/responses/"
			c.operations[pattern] = operation{}
			for status := range object(object(o)["responses"]) {
				if c.operations[pattern][status], err = r.described(at + status); err != nil {
					return nil, fmt.Errorf("%s: %s: %w", pattern, status, err)
				}
			}
			c.patterns.Handle(pattern, http.NotFoundHandler())
		}
	}
	return c, nil
}

// here is the URL of the document in its schemas.
const here = "https://api.example/openapi.json"

// whole matches a time of the API: UTC, whole seconds.
var whole = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`)

func inSeconds(v any) error {
	if s, ok := v.(string); ok && !whole.MatchString(s) {
		return errors.New("is not a time in UTC and whole seconds")
	}
	return nil
}

// A reader reads an OpenAPI document.
type reader struct {
	document doc
	compiler *jsonschema.Compiler
}

func object(v any) doc { m, _ := v.(doc); return m }

// escaped returns a name in the encoding of a JSON pointer.
func escaped(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }

// follow returns the object at a pointer and follows a reference there. It
// returns the pointer of the object as well.
func (r reader) follow(pointer string) (doc, string, error) {
	for range 5 {
		var v any = r.document
		for name := range strings.SplitSeq(strings.TrimPrefix(pointer, "#/"), "/") {
			v = object(v)[strings.NewReplacer("~1", "/", "~0", "~").Replace(name)]
		}
		found, ok := v.(doc)
		if !ok {
			return nil, "", fmt.Errorf("nothing is at %s", pointer)
		}
		ref, ok := found["$ref"].(string)
		if !ok {
			return found, pointer, nil
		}
		pointer = ref
	}
	return nil, "", fmt.Errorf("too many references at %s", pointer)
}

func (r reader) described(pointer string) (described, error) {
	d := described{map[string]heading{}, map[string]*jsonschema.Schema{}}
	response, pointer, err := r.follow(pointer)
	if err != nil {
		return d, err
	}
	for name := range object(response["headers"]) {
		header, at, err := r.follow(pointer + "/headers/" + escaped(name))
		if err != nil {
			return d, err
		}
		schema, err := r.compiler.Compile(here + at + "/schema")
		if err != nil {
			return d, err
		}
		kind := object(header["schema"])["type"]
		d.headers[name] = heading{header["required"] == true, schema, kind == "integer" || kind == "number"}
	}
	for media := range object(response["content"]) {
		at := here + pointer + "/content/" + url.PathEscape(escaped(media)) + "/schema"
		if d.content[media], err = r.compiler.Compile(at); err != nil {
			return d, err
		}
	}
	return d, nil
}

// operation returns the pattern of the operation of a request, or "". The
// gateway decodes a path once before it selects a route.
func (c *contract) operation(method, target string) string {
	raw, _, _ := strings.Cut(target, "?")
	decoded, err := url.PathUnescape(raw)
	if err != nil || path.Clean(decoded) != decoded {
		return ""
	}
	_, pattern := c.patterns.Handler(&http.Request{Method: method, URL: &url.URL{Path: decoded}})
	return pattern
}

// fits checks an answer against the document: by status, headers and body for a
// request of an operation, and as an error otherwise. The target is path and
// query as sent.
func (c *contract) fits(method, target string, resp *http.Response, body []byte) error {
	pattern, d := c.operation(method, target), c.problem
	switch answer, described := c.operations[pattern][strconv.Itoa(resp.StatusCode)]; {
	case described:
		d = answer
	case pattern != "":
		return unfit(resp, body, fmt.Errorf("%s has no status %d", pattern, resp.StatusCode))
	case resp.StatusCode < http.StatusBadRequest:
		return unfit(resp, body, errors.New("no such operation, and the answer is not an error"))
	}
	if err := d.fits(resp, body, method == http.MethodHead); err != nil {
		return unfit(resp, body, err)
	}
	return nil
}

func unfit(resp *http.Response, body []byte, err error) error {
	return fmt.Errorf("the answer does not match the document: %w\n%d %v\n%.1000s", err, resp.StatusCode, resp.Header, body)
}

func (d described) fits(resp *http.Response, body []byte, head bool) error {
	if resp.Header.Get("X-Request-Id") == "" {
		return errors.New("the answer has no X-Request-Id")
	}
	for _, name := range slices.Sorted(maps.Keys(d.headers)) {
		if err := d.headers[name].fits(resp.Header.Values(name)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if len(d.content) == 0 || head {
		if len(body) > 0 {
			return errors.New("the answer has a body, want none")
		}
		return nil
	}
	media, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	schema, ok := d.content[media]
	switch {
	case !ok:
		return fmt.Errorf("no documented body has the type %q", media)
	case media != "application/json":
		return nil
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

func (h heading) fits(values []string) error {
	switch {
	case len(values) > 1:
		return fmt.Errorf("the header occurs %d times, want 1", len(values))
	case len(values) == 0 && h.required:
		return errors.New("the header is missing")
	case len(values) == 0:
		return nil
	case !h.number:
		return h.schema.Validate(values[0])
	}
	if _, err := strconv.ParseFloat(values[0], 64); err != nil {
		return fmt.Errorf("%q is not a number", values[0])
	}
	return h.schema.Validate(json.Number(values[0]))
}

// TestAnAnswerOutsideTheDocumentIsFound checks answers that each break the
// document in one way.
func TestAnAnswerOutsideTheDocumentIsFound(t *testing.T) {
	t.Parallel()

	text, err := os.ReadFile("../../shared/httpapi/openapi.gen.json")
	if err != nil {
		t.Fatal(err)
	}
	c, err := newContract(text)
	if err != nil {
		t.Fatal(err)
	}
	const (
		key     = `{"id":"key_1","name":"a","access":"read","key":"ik_live_x","created_at":"2026-03-09T14:23:01Z","created_by":"user_1","expires_at":null}`
		problem = `{"error":"not_found","message":"No.","status":404,"request_id":"req_1"}`
		run     = `{"id":"exec_1","agent_id":"agent_1","status":"failed","credits_used":0,"created_at":"2026-03-09T14:23:01Z","completed_at":null,` +
			`"agent_version":1,"source_product":"psa","event_type":"ticket.created","client_id":null,` +
			`"started_by":{"type":"event","id":"evt_1"},"cancelled_by":null,"duration_ms":null,"warnings":0,"agent_name":null,"subject":null,"status_reason":null,` +
			`"error_code":null,"error_message":null,"at_step":null}`
		page = `{"executions":[` + run + `],"total":1,"total_relation":"eq","next_cursor":null}`
	)
	for _, a := range []struct {
		name, request string
		status        int
		body          string
		header        http.Header // besides a valid X-Request-Id and Content-Type
		want          string      // a part of the error; empty: the answer is valid
	}{
		{"a new key", "POST /api/keys", 201, key, nil, ""},
		{"a page", "GET /api/executions?limit=1", 200, page, http.Header{"X-Ratelimit-Limit": {"100"}}, ""},
		{"nothing after a deletion", "DELETE /api/keys/key_1", 204, "", nil, ""},
		{"the head of a page", "HEAD /api/executions", 200, "", nil, ""},
		{"an error", "GET /api/executions/exec_1", 404, problem, nil, ""},
		{"an error where nothing is", "GET /nowhere", 404, problem, nil, ""},
		{"an error of a method", "PATCH /api/agents", 405, problem, nil, ""},
		{"a name that decodes to another path", "PUT /api/agents/x%2Fclone", 405, problem, nil, ""},

		{"a status that is not described", "GET /api/executions", 409, problem, nil, "no status 409"},
		{"another success", "POST /api/keys", 200, key, nil, "no status 200"},
		{"a success where nothing is", "GET /nowhere", 200, "{}", nil, "no such operation"},
		{"a missing field", "GET /api/executions", 200, `{"executions":[],"total":0,"next_cursor":null}`, nil, "total_relation"},
		{"a field too many", "GET /api/executions", 200, strings.Replace(page, `"id"`, `"org_id":"org_a","id"`, 1), nil, "org_id"},
		{"an unknown word", "GET /api/executions", 200, strings.Replace(page, "failed", "lost", 1), nil, "/executions/0/status"},
		{"a time with a fraction", "POST /api/keys", 201, strings.Replace(key, "01Z", "01.5Z", 1), nil, "whole seconds"},
		{"a time elsewhere", "POST /api/keys", 201, strings.Replace(key, "01Z", "01+01:00", 1), nil, "whole seconds"},
		{"a number as text", "GET /api/executions", 200, strings.Replace(page, `"total":1`, `"total":"1"`, 1), nil, "/total"},
		{"a number beyond its bound", "GET /api/executions", 200, strings.Replace(page, `"total":1`, `"total":10001`, 1), nil, "/total"},
		{"no JSON", "GET /api/executions", 200, "{", nil, "EOF"},
		{"another type", "GET /api/executions", 200, page, http.Header{"Content-Type": {"text/html"}}, `"text/html"`},
		{"a body after a deletion", "DELETE /api/keys/key_1", 204, "{}", nil, "has a body"},
		{"an agent without its ETag", "POST /api/agents", 201, "{}", nil, "ETag: the header is missing"},
		{"a header that is no number", "GET /api/executions", 200, page, http.Header{"X-Ratelimit-Limit": {"many"}}, "X-RateLimit-Limit"},
		{"a header below its bound", "GET /api/executions", 200, page, http.Header{"X-Ratelimit-Remaining": {"-1"}}, "X-RateLimit-Remaining"},
		{"a header twice", "GET /api/executions", 200, page, http.Header{"X-Ratelimit-Reset": {"1", "1"}}, "2 times"},
		{"no name of the request", "GET /api/executions", 200, page, http.Header{"X-Request-Id": nil}, "X-Request-Id"},
		{"an error in other words", "GET /nowhere", 404, `{"message":"Not Found"}`, nil, "missing properties"},
		{"an error with a word too many", "GET /nowhere", 404, strings.Replace(problem, `"status"`, `"stack":"","status"`, 1), nil, "stack"},
		{"an error as text", "PATCH /api/agents", 405, "no", http.Header{"Content-Type": {"text/plain"}}, `"text/plain"`},
	} {
		resp := &http.Response{StatusCode: a.status, Header: http.Header{"X-Request-Id": {"req_1"}, "Content-Type": {"application/json"}}}
		if strings.Contains(a.request, "/api/executions") {
			resp.Header.Set("ETag", `W/"0f8fad5bd9cb469f"`)
		}
		maps.Copy(resp.Header, a.header)
		method, target, _ := strings.Cut(a.request, " ")
		err := c.fits(method, target, resp, []byte(a.body))
		if (err == nil) != (a.want == "") || err != nil && !strings.Contains(err.Error(), a.want) {
			t.Errorf("%s: %v, want %q", a.name, err, a.want)
		}
	}
}
