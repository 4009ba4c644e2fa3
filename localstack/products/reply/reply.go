// Package reply reads bounded JSON requests and writes JSON replies.
package reply

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// MaxBody is the maximum size of a request in bytes.
const MaxBody = 1 << 20

// ErrTooLarge says that a request is larger than MaxBody.
var ErrTooLarge = fmt.Errorf("the body is larger than %d bytes", MaxBody)

// Body returns the whole body of r, or ErrTooLarge.
func Body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, ErrTooLarge
	}
	return body, err
}

// Decode returns the one JSON value in text. A field that T does not have is an
// error, so that a misspelt rule is refused. Numbers keep all their digits.
func Decode[T any](text []byte) (T, error) {
	var v T
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return v, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return v, errors.New("the body holds more than one value")
	}
	return v, nil
}

// JSON answers with v.
func JSON(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		Error(w, http.StatusInternalServerError, err.Error())
		return
	}
	Raw(w, status, "application/json", text)
}

// Raw answers with text of the given type.
func Raw(w http.ResponseWriter, status int, contentType string, text []byte) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(text) // an error means that the client has disconnected
}

// A Problem is the body of every error.
type Problem struct {
	Error   string `json:"error"`
	Message string `json:"message"`
}

// Error answers with the problem of a status.
func Error(w http.ResponseWriter, status int, message string) {
	JSON(w, status, Problem{Error: Code(status), Message: message})
}

// Unreadable answers a request whose body is invalid because of err.
func Unreadable(w http.ResponseWriter, err error) {
	Error(w, UnreadableStatus(err), err.Error())
}

// UnreadableStatus returns the status for an invalid body.
func UnreadableStatus(err error) int {
	if errors.Is(err, ErrTooLarge) {
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadRequest
}

// Code returns the error code of a status: 503 is service_unavailable.
func Code(status int) string {
	name := http.StatusText(status)
	if name == "" {
		return "error"
	}
	return strings.ToLower(strings.NewReplacer(" ", "_", "-", "_", "'", "").Replace(name))
}
