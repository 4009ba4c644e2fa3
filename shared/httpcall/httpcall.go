// Package httpcall says why an HTTP call did not do what it should, in words
// that a customer's trace may show: the cause of a call without an answer, the
// status and the beginning of an answer that refuses, and how long the other
// side asks to wait. No text of a library and no address of ours is among them.
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

// A Failure is what went wrong with a call.
type Failure struct {
	Text  string        // may be shown
	Cause error         // is never shown; it says whether the call may be repeated
	Wait  time.Duration // what the other side asks for before the next call
}

// Error returns the words and the cause, for logs.
func (f Failure) Error() string {
	if f.Cause != nil {
		return f.Text + ": " + f.Cause.Error()
	}
	return f.Text
}

// Unwrap returns the cause.
func (f Failure) Unwrap() error { return f.Cause }

// Reason returns what may be shown.
func (f Failure) Reason() string { return f.Text }

// After returns how long the other side asks to wait before the next call.
func (f Failure) After() time.Duration { return f.Wait }

// Done reports whether a status says that the work is done.
func Done(status int) bool { return status >= http.StatusOK && status < http.StatusMultipleChoices }

// Passing reports whether a status may be another one a moment later.
func Passing(status int) bool {
	return status >= http.StatusInternalServerError || slices.Contains(
		[]int{http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests}, status)
}

// RetryAfter returns how long an answer asks to wait: a number of seconds, or a
// date of HTTP (RFC 9110, 10.2.3). It is 0 where the answer asks for nothing, or
// for what cannot be read.
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

// Unconnected reports whether a call without an answer was surely not sent: the
// connection never stood.
func Unconnected(err error) bool {
	op, is := errors.AsType[*net.OpError](err)
	return is && op.Op == "dial" || Insecure(err)
}

// Insecure reports whether a call failed because there is no secure connection.
func Insecure(err error) bool {
	_, is := securing(err)
	return is
}

// Unanswered says why a call got no answer.
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

// resolving says why a name has no address.
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

// securing says why there is no secure connection.
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

// Answered says what an answer refuses with: its status and the beginning of
// its text.
func Answered(status int, body []byte) string {
	text := "answered " + strconv.Itoa(status)
	if said := Said(body); said != "" {
		text += " (" + strings.TrimRight(said, ".") + ")"
	}
	return text
}

// Said returns what a body says of a failure, in one line: the message of a
// JSON object where it has one, and else the beginning of its text.
func Said(body []byte) string {
	if doc, err := jsonvalue.Object(body); err == nil {
		if message := messageOf(doc); message != "" {
			return Excerpt(message)
		}
	}
	return Excerpt(string(body))
}

// messageOf returns the message of a JSON object, by the names that APIs use.
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

// MaxExcerpt is how much of a text from outside is shown, in characters.
const MaxExcerpt = 200

var (
	unseen = regexp.MustCompile(`(?is)<(script|style|head)\b.*?</(script|style|head)\s*>|<!--.*?-->|<![^>]*>`)
	tag    = regexp.MustCompile(`<[^>]*>`)
)

// Excerpt returns the beginning of a text as one line without tags of HTML and
// control characters, and says how many characters of it are left out.
func Excerpt(text string) string {
	const most = 16 << 10 // of what is looked at
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
