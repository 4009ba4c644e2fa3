package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/backtest"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/correlation"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/quota"
	"theoneagents.app/agents/shared/rehearsal"
	"theoneagents.app/agents/shared/tenant"
)

// An api is a set of mounted routes.
type api struct {
	Edge

	mux *http.ServeMux
}

// mount returns the handler of the routes. Every route goes through it, so that
// only an open route is reachable without authentication and authorization.
func (e Edge) mount(routes []route) http.Handler {
	a := &api{Edge: e, mux: http.NewServeMux()}
	methods := map[string][]string{}
	for _, rt := range routes {
		rt.mustRecord()
		a.mux.HandleFunc(rt.pattern, a.handler(rt))
		method, path, _ := strings.Cut(rt.pattern, " ")
		methods[path] = append(methods[path], method)
	}
	for path, allowed := range methods {
		if !overlaps(path, methods) {
			a.mux.HandleFunc(path, a.otherMethod(allowed))
			continue
		}
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			if !slices.Contains(allowed, method) {
				a.mux.HandleFunc(method+" "+path, a.otherMethod(allowed))
			}
		}
	}
	a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { a.refuse(w, r, ErrRoute) })
	return a
}

// overlaps reports whether a request of a path without wildcards also fits another
// path. http.ServeMux refuses such a path for all methods beside single methods of the
// other; methods that no route has go to the other path.
func overlaps(path string, all map[string][]string) bool {
	parts := strings.Split(path, "/")
	for other := range all {
		others := strings.Split(other, "/")
		if other == path || len(others) != len(parts) || strings.Contains(path, "{") {
			continue
		}
		fits := true
		for i, part := range others {
			fits = fits && (part == parts[i] || strings.HasPrefix(part, "{"))
		}
		if fits {
			return true
		}
	}
	return false
}

// mustRecord panics when a route that changes something records no known kind of
// act, or a route that only reads records one: a change without an entry in the
// audit log must not be reachable.
func (rt route) mustRecord() {
	method, _, _ := strings.Cut(rt.pattern, " ")
	reads := method == http.MethodGet || method == http.MethodHead || rt.records != nil && rt.records.nothing
	kinds := rt.records.all()
	unknown := slices.ContainsFunc(kinds, func(k audit.Kind) bool { return !k.Known() })
	if unknown || reads != (len(kinds) == 0) {
		panic(fmt.Sprintf("httpapi: %s must record acts of the audit log if and only if it changes something; it records %q", rt.pattern, kinds))
	}
}

// handler returns the handler of a route.
func (a *api) handler(rt route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := a.admit(rt, r)
		if err == nil {
			err = rt.handle(w, r)
		}
		if err != nil {
			a.fail(w, r, err)
		}
	}
}

// admit authenticates the caller, checks the caller's permission for the route, and
// takes a permit of the rate limit. A request without the right takes no permit of
// its caller; it counts for its address.
func (a *api) admit(rt route, r *http.Request) error {
	x := exchangeOf(r.Context())
	if rt.open {
		return a.stranger(x, nil)
	}
	who, err := a.Auth.Caller(r)
	if err != nil {
		if fault.From(err).Class == fault.Internal {
			return err // our failure does not count against the caller
		}
		return a.stranger(x, err)
	}
	who.Address = x.address
	x.who = who
	// The object of the path may belong to another organization: only the line about the
	// request names it, as what was asked for.
	correlation.Set(r.Context(), func(f *correlation.Fields) { f.Org = who.Org })
	if err := who.May(rt.act); err != nil {
		return a.stranger(x, err)
	}
	return a.limited(r, x, rt)
}

// otherMethod answers a method that the path does not have, in place of the
// plain text of http.ServeMux.
func (a *api) otherMethod(allowed []string) http.HandlerFunc {
	if slices.Contains(allowed, http.MethodGet) {
		allowed = append(allowed, http.MethodHead)
	}
	slices.Sort(allowed)
	allow := strings.Join(allowed, ", ")
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", allow)
		a.refuse(w, r, ErrMethod.Sayf("The endpoint accepts only %s.", allow))
	}
}

// refuse answers a request that no route serves.
func (a *api) refuse(w http.ResponseWriter, r *http.Request, err error) {
	a.fail(w, r, a.stranger(exchangeOf(r.Context()), err))
}

// An exchange is one request with the state of its response.
type exchange struct {
	http.ResponseWriter

	requestID string
	address   string
	head      bool // the response has no body
	who       caller.Caller
	status    int // 0 before the response is written
}

type exchangeKey struct{}

// exchangeOf returns the exchange that ctx belongs to.
func exchangeOf(ctx context.Context) *exchange {
	x, ok := ctx.Value(exchangeKey{}).(*exchange)
	if !ok {
		panic("httpapi: a handler outside of an exchange")
	}
	return x
}

// callerIn returns the caller that ctx belongs to.
func callerIn(ctx context.Context) caller.Caller { return exchangeOf(ctx).who }

func (x *exchange) WriteHeader(status int) {
	x.status = status
	x.ResponseWriter.WriteHeader(status)
}

func (x *exchange) Write(b []byte) (int, error) {
	if x.status == 0 {
		x.WriteHeader(http.StatusOK)
	}
	if x.head {
		return len(b), nil
	}
	return x.ResponseWriter.Write(b)
}

// ServeHTTP answers every request, also when its handler panics.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := a.Now()
	x := &exchange{ResponseWriter: w, requestID: a.RequestID(r.Context()), address: a.Address(r.Context()), head: r.Method == http.MethodHead}
	ctx := context.WithValue(r.Context(), exchangeKey{}, x)
	correlation.Set(ctx, func(f *correlation.Fields) { f.Request = x.requestID })
	r = r.WithContext(ctx)
	h := x.Header()
	h.Set("X-Request-Id", x.requestID)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	defer a.end(x, r, began)
	if !clean(r) {
		a.refuse(x, r, ErrRoute)
		return
	}
	a.mux.ServeHTTP(x, r)
}

// end answers 500 when a handler panicked, and logs the request with its status.
// The caller must defer end directly: recover works only there.
func (a *api) end(x *exchange, r *http.Request, began time.Time) {
	if p := recover(); p != nil {
		a.fail(x, r, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
	}
	a.Log.InfoContext(r.Context(), "request", "request_id", x.requestID, "method", r.Method,
		"route", r.Pattern, "status", x.status, "org_id", x.who.Org, "user_id", x.who.User,
		"key_id", x.who.Key, "object_id", objectOf(r), "source", x.address, "duration_ms", a.Now().Sub(began).Milliseconds())
}

// objectOf returns the identifier in the path, or "" without a valid one: the log
// takes no other text of a stranger's.
func objectOf(r *http.Request) string {
	if name := r.PathValue("id"); id.Valid("", name) {
		return name
	}
	return ""
}

// clean reports whether the path is canonical: http.ServeMux would answer any
// other path with an HTML redirect.
func clean(r *http.Request) bool {
	p := r.URL.EscapedPath()
	c := path.Clean("/" + p)
	return p == c || p == c+"/"
}

// status returns the HTTP status of a fault.
func status(f *fault.Error) int {
	switch {
	case errors.Is(f, agent.ErrChanged), errors.Is(f, tenant.ErrChanged):
		return http.StatusPreconditionFailed
	case errors.Is(f, ErrMethod):
		return http.StatusMethodNotAllowed
	case errors.Is(f, ErrMedia):
		return http.StatusUnsupportedMediaType
	case errors.Is(f, rehearsal.ErrTooLong), errors.Is(f, backtest.ErrNone):
		return http.StatusUnprocessableEntity
	}
	switch f.Class {
	case fault.Invalid:
		return http.StatusBadRequest
	case fault.Unauthenticated:
		return http.StatusUnauthorized
	case fault.Unpaid:
		return http.StatusPaymentRequired
	case fault.Forbidden:
		return http.StatusForbidden
	case fault.Missing:
		return http.StatusNotFound
	case fault.Conflict, fault.Stale:
		return http.StatusConflict
	case fault.TooLarge:
		return http.StatusRequestEntityTooLarge
	case fault.Limited:
		return http.StatusTooManyRequests
	case fault.Internal:
		return http.StatusInternalServerError
	}
	return http.StatusInternalServerError
}

// A problem is the body of every error.
type problem struct {
	Error     string         `json:"error"`
	Message   string         `json:"message"`
	Status    int            `json:"status"`
	RequestID string         `json:"request_id"`
	Details   []fault.Detail `json:"details,omitempty"`
}

// fail turns an error into a response and logs it; no other code does either. It
// logs internal errors, failed authentications, and the conflicts that come from
// lost races instead of from the request.
func (a *api) fail(w http.ResponseWriter, r *http.Request, err error) {
	x, f := exchangeOf(r.Context()), fault.From(err)
	code := status(f)
	switch code {
	case http.StatusInternalServerError:
		a.Log.ErrorContext(r.Context(), "request failed", "request_id", x.requestID, "route", r.Pattern, "err", err)
	case http.StatusConflict:
		if f.Class == fault.Stale || f.Unwrap() != nil {
			a.Log.WarnContext(r.Context(), "race lost", "request_id", x.requestID, "route", r.Pattern, "err", err)
		}
	case http.StatusUnauthorized:
		a.Log.InfoContext(r.Context(), "not authenticated", "request_id", x.requestID, "route", r.Pattern, "err", err)
		w.Header().Set("WWW-Authenticate", `Bearer realm="One Agents"`)
	}
	if full, ok := errors.AsType[*quota.Reached](err); ok {
		wait(w.Header(), full.Wait)
	}
	if x.status != 0 {
		return // the response has already begun
	}
	body, err := json.Marshal(problem{f.Code, f.Message, code, x.requestID, f.Details})
	if err != nil {
		a.Log.ErrorContext(r.Context(), "encode problem", "request_id", x.requestID, "err", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if _, err := w.Write(append(body, '\n')); err != nil {
		a.Log.WarnContext(r.Context(), "write response", "request_id", x.requestID, "err", err)
	}
}
