// Package httpcall describes failed HTTP calls in words that a customer's trace
// may show: the cause of a call without an answer, the status and beginning of
// a refusing answer, and the requested pause. The words contain no text of a
// library and no internal address.
package httpcall

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"code.dny.dev/ssrf"

	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/render"
)

// A Failure describes a failed call.
type Failure struct {
	Text  string        // may be shown to customers
	Cause error         // never shown; decides whether the call may be repeated
	Wait  time.Duration // pause requested before the next call
}

// Error returns text and cause, for logs.
func (f Failure) Error() string {
	if f.Cause != nil {
		return f.Text + ": " + f.Cause.Error()
	}
	return f.Text
}

// Unwrap returns the cause.
func (f Failure) Unwrap() error { return f.Cause }

// Reason returns the text for customers.
func (f Failure) Reason() string { return f.Text }

// After returns the pause requested before the next call.
func (f Failure) After() time.Duration { return f.Wait }

// Done reports whether a status means success.
func Done(status int) bool { return status >= http.StatusOK && status < http.StatusMultipleChoices }

// Passing reports whether a status is temporary.
func Passing(status int) bool {
	return status >= http.StatusInternalServerError || slices.Contains(
		[]int{http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests}, status)
}

// RetryAfter returns the pause that an answer requests: a number of seconds, or
// an HTTP date (RFC 9110, 10.2.3). It is 0 for a missing or unreadable header.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	const longest = 365 * 24 * time.Hour
	text := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds >= 0 {
		return time.Duration(min(seconds, longest.Seconds()) * float64(time.Second))
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), longest)
}

// Unconnected reports whether a call without an answer was certainly not sent,
// because no connection was established.
func Unconnected(err error) bool {
	op, is := errors.AsType[*net.OpError](err)
	return is && op.Op == "dial" || Insecure(err)
}

// Insecure reports whether a call failed because no TLS connection was
// established.
func Insecure(err error) bool {
	_, is := securing(err)
	return is
}

// Unanswered returns why a call got no answer.
func Unanswered(err error) string {
	if words, is := resolving(err); is {
		return words
	}
	if words, is := securing(err); is {
		return words
	}
	timeout, slow := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, ssrf.ErrProhibitedIP):
		return "its address is private or reserved, and only public addresses are called"
	case errors.Is(err, ssrf.ErrProhibitedPort):
		return "its port is not among the ports that are called: 80, 443, 8443"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "it refused the connection"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "its address cannot be reached"
	case errors.Is(err, context.DeadlineExceeded), slow && timeout.Timeout():
		return "it did not answer in time"
	}
	return "the connection ended before it answered"
}

// resolving returns why a name has no address.
func resolving(err error) (string, bool) {
	dns, is := errors.AsType[*net.DNSError](err)
	switch {
	case !is:
		return "", false
	case dns.IsNotFound:
		return fmt.Sprintf("the name %s does not exist in DNS", Excerpt(dns.Name)), true
	case dns.IsTimeout:
		return fmt.Sprintf("DNS did not answer for the name %s in time", Excerpt(dns.Name)), true
	}
	return "DNS has no answer for the name " + Excerpt(dns.Name), true
}

// securing returns why no TLS connection was established.
func securing(err error) (string, bool) {
	invalid, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	_, isHost := errors.AsType[x509.HostnameError](err)
	_, isUnknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, isRecord := errors.AsType[tls.RecordHeaderError](err)
	_, isAlert := errors.AsType[tls.AlertError](err)
	_, isCertificate := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case isInvalid && invalid.Reason == x509.Expired:
		return "its TLS certificate has expired or is not valid yet", true
	case isHost:
		return "its TLS certificate is for another name", true
	case isUnknown:
		return "its TLS certificate is not signed by a known authority", true
	case isInvalid, isCertificate:
		return "its TLS certificate is not valid", true
	case isRecord, errors.Is(err, http.ErrSchemeMismatch):
		return "it does not speak TLS at that port", true
	case isAlert:
		return "it ended the TLS handshake", true
	}
	return "", false
}

// Answered describes a refusing answer by its status and the beginning of its
// text.
func Answered(status int, body []byte) string {
	text := "answered " + strconv.Itoa(status)
	if said := Said(body); said != "" {
		text += " (" + strings.TrimRight(said, ".") + ")"
	}
	return text
}

// Said returns the error text of a body, in one line: the message of a JSON
// object if it has one, otherwise the beginning of the text.
func Said(body []byte) string {
	if doc, err := jsonvalue.Object(body); err == nil {
		if message := messageOf(doc); message != "" {
			return Excerpt(message)
		}
	}
	return Excerpt(string(body))
}

// messageOf returns the message of a JSON object, looked up by the usual field
// names.
func messageOf(doc map[string]any) string {
	for _, name := range []string{"message", "detail", "error_description", "error", "title"} {
		switch v := doc[name].(type) {
		case string:
			if strings.TrimSpace(v) != "" {
				return v
			}
		case map[string]any:
			if message := messageOf(v); message != "" {
				return message
			}
		}
	}
	return ""
}

// MaxExcerpt limits the shown part of a text from outside, in characters.
const MaxExcerpt = 200

var (
	unseen = regexp.MustCompile(`(?is)<(script|style|head)\b.*?</(script|style|head)\s*>|<!--.*?-->|<![^>]*>`)
	tag    = regexp.MustCompile(`<[^>]*>`)
)

// Excerpt returns the beginning of a text as one line without HTML tags and
// control characters, and the number of characters left out.
func Excerpt(text string) string {
	const most = 16 << 10 // bytes that are examined
	beyond := 0
	if len(text) > most {
		beyond = utf8.RuneCountInString(text[most:])
		text = text[:most]
	}
	text = strings.ToValidUTF8(text, "�")
	if strings.HasPrefix(strings.TrimSpace(text), "<") {
		text = tag.ReplaceAllString(unseen.ReplaceAllString(text, " "), " ")
	}
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), unicode.IsControl(r):
			return ' '
		case unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, text)
	runes := []rune(strings.Join(strings.Fields(text), " "))
	if over := len(runes) - MaxExcerpt; over > 0 || beyond > 0 {
		return fmt.Sprintf("%s… (%s more characters)", string(runes[:min(len(runes), MaxExcerpt)]), render.Count(max(over, 0)+beyond))
	}
	return string(runes)
}
