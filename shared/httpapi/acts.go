package httpapi

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/jsonvalue"
)

// acts are the acts that a route may write to the audit log.
type acts struct {
	kinds []audit.Kind

	nothing bool // the route changes nothing, although its method could

	// reserve reports whether a request is an act of security, which may spend
	// the caller's reserve when its pot is empty; nil for a route without one.
	reserve func(*http.Request) bool
}

// records returns the acts of a route.
func records(kinds ...audit.Kind) *acts { return &acts{kinds: kinds} }

// changesNothing is for a route that changes nothing, although its method could.
func changesNothing() *acts { return &acts{nothing: true} }

// withReserve marks the route as one of acts of security: they stop something, so
// the requests of others must not delay them.
func (a *acts) withReserve() *acts {
	return a.withReserveIf(func(*http.Request) bool { return true })
}

// withReserveIf marks the requests of a route that are acts of security.
func (a *acts) withReserveIf(reserve func(*http.Request) bool) *acts {
	a.reserve = reserve
	return a
}

// all returns the kinds of acts; none for a route that only reads.
func (a *acts) all() []audit.Kind {
	if a == nil {
		return nil
	}
	return a.kinds
}

// urgent reports whether a request is an act of security.
func (a *acts) urgent(r *http.Request) bool {
	return a != nil && a.reserve != nil && a.reserve(r)
}

// pauses reports whether a request for a change of an agent only pauses it.
func pauses(r *http.Request) bool {
	body, err := peek(r)
	if err != nil {
		return false
	}
	doc, err := jsonvalue.Object(body)
	return err == nil && len(doc) == 1 && doc["status"] == any("paused")
}

// peek returns the body of a request and leaves it to be read again. A body that
// is too large or broken stays so for the next reader.
func peek(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	read, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(read), r.Body), r.Body}
	if len(read) > maxBody {
		return nil, errors.Join(ErrTooLarge, err)
	}
	return read, err
}
