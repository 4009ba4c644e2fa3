// Package httpapi speaks HTTP: it reads requests, calls the services and writes
// responses. No other package knows a status code.
//
// The contract is openapi.yaml. go generate makes from it the types of all
// responses and a strict interface for each Lambda (spec/…, by tags), which the
// groups here implement: an operation without a handler, and a status or field
// that is not in the contract, are compile errors. make test-contract generates
// clients in other languages from the deployed document and runs a story with
// each.
//
// The server code of oapi-codegen is switched off (nothing.tmpl). Its handlers
// take the first of two parameters with one name, ignore unknown parameters and
// fields, stop at the first fault and need no credentials; this API promises the
// opposite of each. So input reads requests and collects every fault, and mount
// authenticates the caller before any handler runs.
//
// Every request takes one path:
//
//	exchange ─▶ mux ─▶ authenticate ─▶ authorize ─▶ rate limit ─▶ input ─▶ service ─▶ generated response
//	   └── every error of any stage ─▶ fail ─▶ the error body
package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/fault"
)

// The faults of this package.
var (
	ErrUnauthorized = fault.New(fault.Unauthenticated, "unauthorized", "Sign in or send an integration key.")
	ErrRequest      = fault.New(fault.Invalid, "invalid_request", "The request is not valid; see details.")
	ErrRoute        = fault.New(fault.Missing, "not_found", "There is no such endpoint.")
	ErrMethod       = fault.New(fault.Invalid, "method_not_allowed", "The endpoint does not accept this method.")
	ErrTooLarge     = fault.New(fault.TooLarge, "payload_too_large", "The body is larger than 256 KiB.")
	ErrMedia        = fault.New(fault.Invalid, "unsupported_media_type", "The body must be application/json.")
)

// An Authenticator returns the caller that sent a request, ErrUnauthorized, or
// caller.ErrForbidden for an authenticated caller without access. See Auth.
type Authenticator interface {
	Caller(r *http.Request) (caller.Caller, error)
}

// An Edge has the dependencies that all groups share.
type Edge struct {
	Auth      Authenticator
	Limits    Limits
	Strangers Strangers
	Log       *slog.Logger
	RequestID func(context.Context) string
	Address   func(context.Context) string // the caller's address as API Gateway saw it
	Now       func() time.Time
	CursorKey []byte // signs cursors and digests of URLs; at least 32 random bytes, equal in all instances of a function

	OldCursorKey []byte // the previous generation, which is still accepted; nil for none
}

// A handler writes one response, or returns an error and writes nothing.
type handler func(w http.ResponseWriter, r *http.Request) error

// A route is one line of the table in routes.go.
type route struct {
	pattern string     // of http.ServeMux: "GET /api/agents/{id}"
	act     caller.Act // the permission that the caller needs
	open    bool       // the route needs no authentication
	records *acts      // the acts in the audit log that it may write; nil for a route that only reads
	handle  handler
}

// serve returns the handler of an operation of the contract: read parses the
// request, do performs it, and write, a generated method, writes the result of
// do with its status.
func serve[Q, A any](
	read func(*request) Q, do func(context.Context, Q) (A, error), write func(A, http.ResponseWriter) error,
) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		in, err := newRequest(r)
		if err != nil {
			return err
		}
		q := read(in)
		if err := in.done(); err != nil {
			return err
		}
		a, err := do(r.Context(), q)
		if err != nil {
			return err
		}
		return write(a, w)
	}
}
