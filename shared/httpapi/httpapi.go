// Package httpapi speaks HTTP: it reads requests, calls the services and writes
// responses. It is the only package that knows a status code.
//
// The contract is openapi.yaml, written first. From it come, by go generate,
// the types of all responses and a strict interface for each Lambda (spec/…, its
// tags), which the groups here implement: an operation without a handler,
// a status or a field that the contract does not have is a compile error.
// make test-clients generates clients in other languages from the deployed
// document and plays a story through each.
//
// The rest of what oapi-codegen offers a server is left out (nothing.tmpl).
// Its handlers take the first of two parameters of one name, ignore unknown
// parameters and fields, stop at the first fault and need no credentials; this
// API promises the opposite of each. So requests are read by input, which
// collects every fault, and mounted by mount, which asks first who is there.
//
// A request goes through one pipe:
//
//	exchange ─▶ mux ─▶ who? ─▶ too often? ─▶ may they? ─▶ input ─▶ service ─▶ generated response
//	   └── everything that goes wrong anywhere ─▶ fail ─▶ our error body
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
	ErrMethod       = fault.New(fault.Invalid, "method_not_allowed", "The endpoint does not take this method.")
	ErrTooLarge     = fault.New(fault.TooLarge, "payload_too_large", "The body is larger than 256 KiB.")
	ErrMedia        = fault.New(fault.Invalid, "unsupported_media_type", "The body must be application/json.")
)

// An Authenticator tells who sent a request, or returns ErrUnauthorized, or
// caller.ErrForbidden for somebody who is known and not let in. See Auth.
type Authenticator interface {
	Caller(r *http.Request) (caller.Caller, error)
}

// An Edge is what all groups share.
type Edge struct {
	Auth      Authenticator
	Limits    Limits
	Log       *slog.Logger
	RequestID func(context.Context) string
	Now       func() time.Time
	CursorKey []byte // signs cursors; at least 32 random bytes, the same in all instances of a function
}

// A handler answers one request, or returns an error without having written.
type handler func(w http.ResponseWriter, r *http.Request) error

// A route is one line of the table in routes.go.
type route struct {
	pattern string     // as http.ServeMux has it: "GET /api/agents/{id}"
	act     caller.Act // what the caller must be allowed to do
	open    bool       // whether anybody may, without credentials
	handle  handler
}

// serve returns the handler of an operation of the contract: read makes its
// request, do does it, and write is the generated method that writes what do
// returns, status included.
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
