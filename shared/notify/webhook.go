package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/httpcall"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/step"
)

// Limits for calls to URLs that a tenant has chosen.
const (
	hookTimeout = 10 * time.Second
	maxAnswer   = 64 << 10 // bytes read of an answer
)

// Client returns an HTTP client for URLs that tenants choose. It checks the
// resolved address when the connection is made, so a name cannot resolve to
// another address after the check. It refuses private addresses except the
// allowed ones ("127.0.0.1:4580"), follows no redirects and uses no proxy.
func Client(allowed []string) *http.Client {
	guard := ssrf.New(ssrf.WithPorts(80, 443, 8443)) //nolint:mnd // the usual ports of HTTPS.
	dialer := &net.Dialer{Timeout: hookTimeout, Control: func(network, address string, c syscall.RawConn) error {
		if slices.Contains(allowed, address) {
			return nil
		}
		return guard.Safe(network, address, c)
	}}
	return &http.Client{
		Timeout:       hookTimeout,
		Transport:     &http.Transport{DialContext: dialer.DialContext, TLSHandshakeTimeout: hookTimeout, MaxIdleConns: 20},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Hook posts messages to chats and webhooks.
type Hook struct {
	HTTP   *http.Client
	Hosts  []string // allowed over plain HTTP
	Signer Signer
	Now    func() time.Time
}

// A Signer finds the secrets that sign a webhook: the current one and, after a
// rotation, those before it. See key.Signer.
type Signer interface {
	Secrets(ctx context.Context, org id.Org) ([][]byte, error)
}

// Send implements step.Sender.
func (h Hook) Send(ctx context.Context, m step.Message) error {
	if err := h.mayReach(m.Recipient); err != nil {
		return err
	}
	body, err := content(m)
	if err != nil {
		return permanent("the message could not be encoded", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.Recipient, bytes.NewReader(body))
	if err != nil {
		return permanent("its address cannot be called", bare(err))
	}
	req.Header.Set("Content-Type", "application/json")
	if m.Channel == definition.Webhook {
		if err := h.sign(ctx, req.Header, m, body); err != nil {
			return err
		}
	}
	resp, err := h.HTTP.Do(req)
	if err != nil {
		return classifyUnanswered(m.Channel, bare(err))
	}
	defer resp.Body.Close() //nolint:errcheck // a failed close has no effect.
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	return h.judge(m.Channel, resp, text, err == nil && len(text) <= maxAnswer)
}

func (h Hook) mayReach(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.User != nil || u.Scheme != "https" && !slices.Contains(h.Hosts, u.Host) {
		return permanent("its address must begin with https://", bare(err))
	}
	return nil
}

// bare returns the cause of a failed call without its URL, which is a credential and
// must not be logged.
func bare(err error) error {
	if failed, is := errors.AsType[*url.Error](err); is {
		return failed.Err
	}
	return err
}

// permanent returns a permanent failure of a message that was not sent.
func permanent(words string, cause error) error {
	return httpcall.Failure{Text: words, Cause: errors.Join(step.ErrNotification, cause)}
}

// classifyUnanswered returns the failure for a call without an answer. Without
// a connection nothing was sent; errors of the address or the certificate are
// permanent.
func classifyUnanswered(c definition.Channel, err error) error {
	f := httpcall.Failure{Text: httpcall.Unanswered(err), Cause: err}
	switch {
	case errors.Is(err, ssrf.ErrProhibitedIP), errors.Is(err, ssrf.ErrProhibitedPort), httpcall.Insecure(err):
		f.Cause = errors.Join(step.ErrNotification, err)
	case httpcall.Unconnected(err), c == definition.Webhook:
		f.Cause = errors.Join(step.ErrAgain, err)
	}
	return f
}

// judge classifies an answer; whole reports whether all of its text was read.
// The status alone decides for a webhook. A chat may refuse a message with
// status 200.
func (h Hook) judge(c definition.Channel, resp *http.Response, text []byte, whole bool) error {
	f := httpcall.Failure{Text: "it " + httpcall.Answered(resp.StatusCode, text), Cause: step.ErrNotification}
	switch {
	case httpcall.Passing(resp.StatusCode):
		f.Cause, f.Wait = step.ErrAgain, httpcall.RetryAfter(resp.Header, h.Now())
	case !httpcall.Done(resp.StatusCode):
	case c == definition.Webhook, !whole, !refuses(c, resp.StatusCode, text):
		return nil
	case throttles(text):
		f.Cause, f.Wait = step.ErrAgain, httpcall.RetryAfter(resp.Header, h.Now())
	}
	return f
}

// content returns the message in the format of its channel: Slack, Teams, or
// the platform's own for webhooks.
func content(m step.Message) ([]byte, error) {
	switch m.Channel {
	case definition.Slack:
		return json.Marshal(slack(m))
	case definition.Teams:
		return json.Marshal(teams(m))
	case definition.Webhook, definition.SMS, definition.Email:
	}
	return json.Marshal(map[string]any{
		"type": "agent.notification", "org_id": m.Org, "agent_id": m.Agent, "execution_id": m.Execution,
		"subject": m.Subject, "body": m.Body,
	})
}

// sign adds the headers of Standard Webhooks
// (github.com/standard-webhooks/standard-webhooks, spec of 2023), with a signature of
// each valid secret. The id is the idempotency key: the same at every try.
func (h Hook) sign(ctx context.Context, header http.Header, m step.Message, body []byte) error {
	secrets, err := h.Signer.Secrets(ctx, m.Org)
	if err != nil {
		return httpcall.Failure{Text: "the message could not be signed", Cause: errors.Join(step.ErrAgain, err)}
	}
	now := h.Now()
	signatures := make([]string, len(secrets))
	for i, secret := range secrets {
		signer, err := standardwebhooks.NewWebhookRaw(secret)
		if err != nil {
			return fmt.Errorf("webhook: %w", err)
		}
		if signatures[i], err = signer.Sign(m.Key, now, body); err != nil {
			return fmt.Errorf("webhook: %w", err)
		}
	}
	header.Set("Webhook-Id", m.Key)
	header.Set("Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10))
	header.Set("Webhook-Signature", strings.Join(signatures, " "))
	return nil
}
