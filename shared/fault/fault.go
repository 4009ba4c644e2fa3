// Package fault gives every failure that a caller may see one shape.
//
// A domain package declares its faults once, as values; code returns them,
// tests compare them with errors.Is, and package httpapi turns them into
// responses. An error that is not a fault is ours alone: it is logged in full
// and the caller is told only that something went wrong.
package fault

import (
	"errors"
	"fmt"
)

// Class says what kind of failure it is, and so what the caller can do about it.
type Class string

// The classes. Package httpapi has one HTTP status for each.
const (
	Invalid         Class = "invalid"         // fix the request
	Unauthenticated Class = "unauthenticated" // say who you are
	Forbidden       Class = "forbidden"       // ask for rights
	Missing         Class = "missing"         // no such thing in your org
	Conflict        Class = "conflict"        // right request, wrong moment
	Unpaid          Class = "unpaid"          // buy credits
	Limited         Class = "limited"         // use less, or wait
	TooLarge        Class = "too_large"       // send less
	Stale           Class = "stale"           // read again: it has changed since
	Internal        Class = "internal"        // nothing; it is our bug
)

// A Detail is one fault of an input: where it is and how to mend it.
type Detail struct {
	Path    string `json:"path"`    // e.g. "steps[2].params.ticket_id"
	Message string `json:"message"` // a sentence
}

// An Error is a failure with a code that is part of the API.
type Error struct {
	Class   Class
	Code    string   // stable, machine-readable, e.g. "agent_not_found"
	Message string   // for a person; safe to show to any caller
	Details []Detail // each fault of the input; only for Invalid
	cause   error    // for the log only
}

// errInternal stands for every error that is not a fault.
var errInternal = New(Internal, "internal_error", "Something went wrong on our side.")

// New declares a fault. Call it for package-level values only.
func New(class Class, code, message string) *Error {
	return &Error{Class: class, Code: code, Message: message}
}

// Sayf returns a copy of e with a more exact message.
func (e *Error) Sayf(format string, args ...any) *Error {
	c := *e
	c.Message = fmt.Sprintf(format, args...)
	return &c
}

// Naming returns a copy of e that names every fault of the input.
func (e *Error) Naming(details []Detail) *Error {
	c := *e
	c.Details = details
	return &c
}

// Because returns a copy of e that remembers cause for the log.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

func (e *Error) Error() string {
	if e.cause != nil {
		return e.Code + ": " + e.Message + ": " + e.cause.Error()
	}
	return e.Code + ": " + e.Message
}

// Unwrap returns the cause, or nil.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is a fault with the same code, so that a copy made
// by Sayf or Because still equals the value it was declared as.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// From returns the first fault in err's chain, or the internal fault with err
// as its cause when there is none.
func From(err error) *Error {
	if f, ok := errors.AsType[*Error](err); ok {
		return f
	}
	return errInternal.Because(err)
}
