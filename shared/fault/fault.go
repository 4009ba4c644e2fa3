// Package fault is the error type of every failure that a caller may see.
//
// A domain package declares its faults once, as values. Code returns them, tests
// compare them with errors.Is, and package httpapi turns them into responses. Any
// other error is internal: it is logged in full, and the caller sees only
// internal_error.
package fault

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// Class is the kind of a failure. It determines how the caller can react.
type Class string

// The classes. Package httpapi has one HTTP status for each.
const (
	Invalid         Class = "invalid"         // correct the request
	Unauthenticated Class = "unauthenticated" // send valid credentials
	Forbidden       Class = "forbidden"       // request the permission
	Missing         Class = "missing"         // the organization has no such record
	Conflict        Class = "conflict"        // the record's current state forbids the request
	Unpaid          Class = "unpaid"          // buy credits
	Limited         Class = "limited"         // use less, or wait
	TooLarge        Class = "too_large"       // send less
	Stale           Class = "stale"           // the record has changed: read it again
	Internal        Class = "internal"        // a bug of the service
)

// A Detail is one fault of an input: its place and how to correct it.
type Detail struct {
	Path    string `json:"path"`    // e.g. "steps[2].params.ticket_id"
	Message string `json:"message"` // a sentence
}

// An Error is a failure with a code that is part of the API.
type Error struct {
	Class   Class
	Code    string   // stable, machine-readable, e.g. "agent_not_found"
	Message string   // for people; safe to show to any caller
	Details []Detail // all faults of the input; only for Invalid
	cause   error    // for the log only
}

// errInternal stands for every error that is not a fault.
var errInternal = New(Internal, "internal_error", "Something went wrong on our side.")

// New declares a fault. Use it only for package-level variables.
func New(class Class, code, message string) *Error {
	return &Error{Class: class, Code: code, Message: message}
}

// MaxMessage is the maximum size of a message, in bytes: it is stored in records
// of limited size.
const MaxMessage = 1 << 10

// Sayf returns a copy of e with a more specific message.
func (e *Error) Sayf(format string, args ...any) *Error {
	c := *e
	c.Message = Sentencef(format, args...)
	return &c
}

// Sentencef formats a message and cuts it to MaxMessage, in whole characters.
func Sentencef(format string, args ...any) string {
	text := fmt.Sprintf(format, args...)
	if len(text) <= MaxMessage {
		return text
	}
	end := MaxMessage - len("…")
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// Naming returns a copy of e that names every fault of the input.
func (e *Error) Naming(details []Detail) *Error {
	c := *e
	c.Details = details
	return &c
}

// Because returns a copy of e with a cause for the log.
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

// Is reports whether target is a fault with the same code. A copy by Sayf, Naming
// or Because therefore still matches the declared fault.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// From returns the first fault in err's chain, or otherwise the internal fault with
// err as its cause.
func From(err error) *Error {
	if f, ok := errors.AsType[*Error](err); ok {
		return f
	}
	return errInternal.Because(err)
}
