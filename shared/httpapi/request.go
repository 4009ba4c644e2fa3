package httpapi

import (
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/input"
	"theoneagents.app/agents/shared/jsonvalue"
)

// The bounds of a request.
const (
	maxBody      = 256 << 10
	defaultLimit = 50
	maxLimit     = 200
)

// A request is being read. Reading a parameter or a field makes it known; done
// reports the unknown ones together with all faults.
type request struct {
	input.Reader

	r      *http.Request
	query  url.Values
	body   []byte
	known  map[string]bool // the query parameters that were read
	read   bool            // whether the body was read
	fields input.Object    // of a body whose fields are read one by one
	err    error           // the first fault that is worse than a detail
}

// newInput returns the input of r, or ErrRequest, ErrTooLarge or ErrMedia when
// it cannot be read at all.
func newRequest(r *http.Request) (*request, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, ErrRequest.Sayf("The query string cannot be read.").Because(err)
	}
	body, err := bodyOf(r)
	if err != nil {
		return nil, err
	}
	return &request{r: r, query: query, body: body, known: map[string]bool{}}, nil
}

func bodyOf(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	data, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, ErrRequest.Sayf("The body cannot be read.").Because(err)
	case len(data) > maxBody:
		return nil, ErrTooLarge
	case len(data) > 0 && !isJSON(r.Header.Values("Content-Type")):
		return nil, ErrMedia
	}
	return data, nil
}

// isJSON reports whether a content type is JSON, in its only encoding.
func isJSON(values []string) bool {
	if len(values) != 1 {
		return false
	}
	kind, params, err := mime.ParseMediaType(values[0])
	charset, given := params["charset"]
	return err == nil && kind == "application/json" && (!given || strings.EqualFold(charset, "utf-8"))
}

// fail remembers the first fault that is worse than a detail.
func (in *request) fail(err error) {
	if in.err == nil {
		in.err = err
	}
}

// done returns what is wrong with the request.
func (in *request) done() error {
	for _, name := range slices.Sorted(maps.Keys(in.query)) {
		if !in.known[name] {
			in.Fault(name, "%s", unknown(name, slices.Sorted(maps.Keys(in.known))))
		}
	}
	if !in.read && len(in.body) > 0 {
		in.object() // an operation without a body takes an empty object
	}
	in.fields.Done()
	switch {
	case in.err != nil:
		return in.err
	case len(in.Faults) > 0:
		return ErrRequest.Naming(in.Faults)
	}
	return nil
}

// id returns the identifier in the path. One that cannot name anything is
// missing, before it becomes part of a key.
func (in *request) id(prefix string, missing error) string {
	s := in.r.PathValue("id")
	if !id.Valid(prefix, s) {
		in.fail(missing)
	}
	return s
}

// param returns a query parameter, or nil.
func (in *request) param(name string) *string {
	in.known[name] = true
	values, ok := in.query[name]
	switch {
	case !ok:
		return nil
	case len(values) > 1:
		in.Fault(name, "is given more than once")
		return nil
	case values[0] == "":
		in.Fault(name, "must not be empty")
		return nil
	}
	return &values[0]
}

// oneOf returns a query parameter that has one of the values, or nil.
func oneOf[T, V ~string](in *request, name string, values []V) *T {
	s := in.param(name)
	if s == nil {
		return nil
	}
	if !slices.Contains(values, V(*s)) {
		in.Fault(name, "must be one of %s", offer(*s, values))
		return nil
	}
	v := T(*s)
	return &v
}

// offer lists values, the one that was probably meant first.
func offer[V ~string](given string, values []V) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = string(v)
	}
	return fault.Offer(given, texts)
}

// boolean returns a query parameter that is true or false, or nil.
func (in *request) boolean(name string) *bool {
	s := in.param(name)
	if s == nil {
		return nil
	}
	if *s != "true" && *s != "false" {
		in.Fault(name, "must be true or false")
		return nil
	}
	b := *s == "true"
	return &b
}

// ref returns a query parameter that may name something, or nil.
func (in *request) ref(name, prefix string) *string {
	s := in.param(name)
	if s != nil && !id.Valid(prefix, *s) {
		in.Fault(name, "must be an identifier that begins with %s", prefix)
		return nil
	}
	return s
}

// time returns a query parameter that is a time, or a date, which stands for its
// midnight in UTC; or nil.
func (in *request) time(name string) *time.Time {
	s := in.param(name)
	if s == nil {
		return nil
	}
	t, err := time.Parse(time.RFC3339, *s)
	if err != nil {
		t, err = time.Parse(time.DateOnly, *s)
	}
	if err != nil {
		in.Fault(name, "must be a time like 2026-03-01T00:00:00Z or a date like 2026-03-01")
		return nil
	}
	return &t
}

var digits = regexp.MustCompile(`^[0-9]{1,3}$`)

// limit returns how many entries a page may have.
func (in *request) limit() *int {
	n := defaultLimit
	s := in.param("limit")
	if s == nil {
		return &n
	}
	n, err := strconv.Atoi(*s)
	if err != nil || !digits.MatchString(*s) || n < 1 || n > maxLimit {
		in.Fault("limit", "must be a whole number from 1 to 200")
	}
	return &n
}

// document returns the body, which must be a JSON object.
func (in *request) document() *map[string]any {
	in.read = true
	doc := map[string]any{}
	if len(in.body) == 0 {
		in.fail(ErrRequest.Sayf("The request needs a body: a JSON object."))
		return &doc
	}
	got, err := jsonvalue.Object(in.body)
	if err != nil {
		in.fail(ErrRequest.Sayf("The body is not a JSON object: %v.", err))
	} else {
		doc = got
	}
	return &doc
}

// object returns the body, to be read field by field.
func (in *request) object() input.Object {
	in.fields = in.Object("", *in.document())
	return in.fields
}

// unknown returns the fault of an unknown query parameter.
func unknown(name string, known []string) string {
	const message = "is not a known parameter"
	if len(known) == 0 {
		return message
	}
	return message + "; " + fault.Suggest(name, known)
}
