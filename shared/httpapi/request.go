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

// The limits of a request.
const (
	maxBody      = 256 << 10
	defaultLimit = 50
	maxLimit     = 200
)

// A request reads one HTTP request. Each parameter or field that a reader asks for
// becomes known; done reports all unknown ones together with all faults.
type request struct {
	input.Reader

	r      *http.Request
	query  url.Values
	body   []byte
	known  map[string]bool // the query parameters that were read
	read   bool            // whether the body was read
	fields input.Object    // of a body whose fields are read one by one
	err    error           // the first fault that outranks all details
}

// newRequest returns the reader of r, or ErrRequest, ErrTooLarge or ErrMedia when
// r is unreadable.
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

// isJSON reports whether the content type is JSON in UTF-8.
func isJSON(values []string) bool {
	if len(values) != 1 {
		return false
	}
	kind, params, err := mime.ParseMediaType(values[0])
	charset, given := params["charset"]
	return err == nil && kind == "application/json" && (!given || strings.EqualFold(charset, "utf-8"))
}

// fail records err, which outranks all details; the first one wins.
func (in *request) fail(err error) {
	if in.err == nil {
		in.err = err
	}
}

// done returns the error of the request: the one passed to fail, or ErrRequest
// with all faults.
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

// id returns the identifier in the path. An invalid one fails with missing, so
// that it never becomes part of a database key.
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

// oneOf returns a query parameter that must be one of the values, or nil.
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

// someOf returns a query parameter that must be a list of the values, or nil. The
// values are separated by commas or, as many generated clients send them, each in a
// parameter of its own. Each is given once.
func someOf[T, V ~string](in *request, name string, values []V) *[]T {
	in.known[name] = true
	given, ok := in.query[name]
	if !ok {
		return nil
	}
	var list []T
	for part := range strings.SplitSeq(strings.Join(given, ","), ",") {
		switch {
		case !slices.Contains(values, V(part)):
			in.Fault(name, "must be one or more of %s, separated by commas", offer(part, values))
			return nil
		case slices.Contains(list, T(part)):
			in.Fault(name, "names %s more than once", part)
			return nil
		}
		list = append(list, T(part))
	}
	return &list
}

// offer lists the values, the most similar to the given one first.
func offer[V ~string](given string, values []V) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = string(v)
	}
	return fault.Offer(given, texts)
}

// boolean returns a query parameter that must be true or false, or nil.
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

// ref returns a query parameter that must be an id with the prefix, or nil.
func (in *request) ref(name, prefix string) *string {
	s := in.param(name)
	if s != nil && !id.Valid(prefix, *s) {
		in.Fault(name, "must be an identifier that begins with %s", prefix)
		return nil
	}
	return s
}

// time returns a query parameter that must be a time or a date, or nil. A date
// means its midnight in UTC.
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

// limit returns the maximum number of entries on a page.
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

// object returns the body for reading field by field.
func (in *request) object() input.Object {
	in.fields = in.Object("", *in.document())
	return in.fields
}

// unknown returns the message about an unknown query parameter.
func unknown(name string, known []string) string {
	const message = "is not a known parameter"
	if len(known) == 0 {
		return message
	}
	return message + "; " + fault.Suggest(name, known)
}
