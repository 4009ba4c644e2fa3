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
	"unicode/utf8"

	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
)

// The bounds of a request.
const (
	maxBody      = 256 << 10
	defaultLimit = 50
	maxLimit     = 200
)

// An input is a request that is being read. What is asked for is known; done
// reports what nobody asked for, together with all faults.
type input struct {
	r      *http.Request
	query  url.Values
	body   []byte
	known  map[string]bool // the query parameters that were asked for
	read   bool            // whether the body was asked for
	faults []fault.Detail
	err    error // the first fault that is worse than a detail
}

// newInput returns the input of r, or ErrRequest, ErrTooLarge or ErrMedia when
// it cannot be read at all.
func newInput(r *http.Request) (*input, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, ErrRequest.Sayf("The query string cannot be read.").Because(err)
	}
	body, err := bodyOf(r)
	if err != nil {
		return nil, err
	}
	return &input{r: r, query: query, body: body, known: map[string]bool{}}, nil
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
func (in *input) fail(err error) {
	if in.err == nil {
		in.err = err
	}
}

func (in *input) fault(path, message string) {
	in.faults = append(in.faults, fault.Detail{Path: path, Message: message})
}

// done returns what is wrong with the request.
func (in *input) done() error {
	for _, name := range slices.Sorted(maps.Keys(in.query)) {
		if !in.known[name] {
			in.fault(name, unknown("parameter", name, slices.Sorted(maps.Keys(in.known))))
		}
	}
	if !in.read && len(in.body) > 0 {
		in.object() // an operation without a body takes an empty object
	}
	switch {
	case in.err != nil:
		return in.err
	case len(in.faults) > 0:
		return ErrRequest.Naming(in.faults)
	}
	return nil
}

// id returns the identifier in the path. One that cannot name anything is
// missing, before it becomes part of a key.
func (in *input) id(prefix string, missing error) string {
	s := in.r.PathValue("id")
	if !id.Valid(prefix, s) {
		in.fail(missing)
	}
	return s
}

// param returns a query parameter, or nil.
func (in *input) param(name string) *string {
	in.known[name] = true
	values, ok := in.query[name]
	switch {
	case !ok:
		return nil
	case len(values) > 1:
		in.fault(name, "is given more than once")
		return nil
	case values[0] == "":
		in.fault(name, "must not be empty")
		return nil
	}
	return &values[0]
}

// oneOf returns a query parameter that has one of the values, or nil.
func oneOf[T, V ~string](in *input, name string, values []V) *T {
	s := in.param(name)
	if s == nil {
		return nil
	}
	if !slices.Contains(values, V(*s)) {
		in.fault(name, "must be one of "+offer(*s, values))
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
func (in *input) boolean(name string) *bool {
	s := in.param(name)
	if s == nil {
		return nil
	}
	if *s != "true" && *s != "false" {
		in.fault(name, "must be true or false")
		return nil
	}
	b := *s == "true"
	return &b
}

// ref returns a query parameter that may name something, or nil.
func (in *input) ref(name, prefix string) *string {
	s := in.param(name)
	if s != nil && !id.Valid(prefix, *s) {
		in.fault(name, "must be an identifier that begins with "+prefix)
		return nil
	}
	return s
}

// time returns a query parameter that is a time, or a date, which stands for its
// midnight in UTC; or nil.
func (in *input) time(name string) *time.Time {
	s := in.param(name)
	if s == nil {
		return nil
	}
	t, err := time.Parse(time.RFC3339, *s)
	if err != nil {
		t, err = time.Parse(time.DateOnly, *s)
	}
	if err != nil {
		in.fault(name, "must be a time like 2026-03-01T00:00:00Z or a date like 2026-03-01")
		return nil
	}
	return &t
}

var digits = regexp.MustCompile(`^[0-9]{1,3}$`)

// limit returns how many entries a page may have.
func (in *input) limit() *int {
	n := defaultLimit
	s := in.param("limit")
	if s == nil {
		return &n
	}
	n, err := strconv.Atoi(*s)
	if err != nil || !digits.MatchString(*s) || n < 1 || n > maxLimit {
		in.fault("limit", "must be a whole number from 1 to 200")
	}
	return &n
}

// document returns the body, which must be a JSON object.
func (in *input) document() *map[string]any {
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

// object reads a small body and reports every field that is not known.
func (in *input) object(known ...string) object {
	doc := *in.document()
	for _, name := range slices.Sorted(maps.Keys(doc)) {
		if !slices.Contains(known, name) {
			in.fault(name, unknown("field", name, known))
		}
	}
	return object{in, doc}
}

// unknown says that a name is not known, and which there are.
func unknown(what, name string, known []string) string {
	message := "is not a known " + what
	if len(known) == 0 {
		return message
	}
	return message + "; " + fault.Suggest(name, known)
}

// An object is a small body.
type object struct {
	*input

	fields map[string]any
}

// text returns a field of low to high characters, or nil. A field that is null
// is absent.
func (o object) text(name string, low, high int) *string {
	v := o.fields[name]
	if v == nil {
		return nil
	}
	s, ok := v.(string)
	n := utf8.RuneCountInString(s)
	switch {
	case !ok:
		o.fault(name, "must be a string, not "+jsonvalue.Kind(v))
	case n < low || n > high:
		o.fault(name, "must have "+strconv.Itoa(low)+" to "+strconv.Itoa(high)+" characters")
	case strings.ContainsRune(s, 0):
		o.fault(name, "must not contain NUL")
	}
	return &s
}

// needText returns a required field of low to high characters.
func (o object) needText(name string, low, high int) string {
	s := o.text(name, low, high)
	if s == nil {
		o.fault(name, "is required")
		return ""
	}
	return *s
}

// needOne returns a required field that has one of the values.
func needOne[T ~string](o object, name string, values ...T) T {
	v := o.fields[name]
	if v == nil {
		o.fault(name, "is required")
		return ""
	}
	s, ok := v.(string)
	if !ok || !slices.Contains(values, T(s)) {
		o.fault(name, "must be one of "+offer(s, values))
	}
	return T(s)
}
