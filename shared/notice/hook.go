package notice

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
	"syscall"
	"time"

	"code.dny.dev/ssrf"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/key"
	"theoneagents.app/agents/shared/step"
)

// The bounds of a call to an address that a tenant has chosen.
const (
	hookTimeout = 10 * time.Second
	maxAnswer   = 1 << 20 // bytes that are read before the connection is given up
)

// Client returns an HTTP client for addresses that tenants choose: the address
// that a name resolves to is checked when the connection is made, so a name
// cannot point elsewhere after it was looked at. Private addresses are refused
// but for allowed ones ("127.0.0.1:4580"). Redirects are not followed and no
// proxy is used.
func Client(allowed []string) *http.Client {
	guard := ssrf.New(ssrf.WithPorts(80, 443, 8443)) //nolint:mnd // the usual ports of https.
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

// Hook posts to chats and webhooks.
type Hook struct {
	HTTP   *http.Client
	Hosts  []string   // allowed over plain http
	Master key.Master // of the secrets that webhooks are signed with
	Now    func() time.Time
}

// Send implements step.Sender.
func (h Hook) Send(ctx context.Context, m step.Message) error {
	if err := h.mayReach(m.Recipient); err != nil {
		return err
	}
	body, err := content(m)
	if err != nil {
		return fmt.Errorf("%s: %w", m.Channel, errors.Join(step.ErrNotification, err))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.Recipient, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s: %w", m.Channel, errors.Join(step.ErrNotification, err))
	}
	req.Header.Set("Content-Type", "application/json")
	if m.Channel == agent.Webhook {
		if err := h.sign(req.Header, m, body); err != nil {
			return err
		}
	}
	resp, err := h.HTTP.Do(req)
	if err != nil {
		return unanswered(m.Channel, err)
	}
	defer resp.Body.Close() //nolint:errcheck // nothing depends on its end.
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)); err != nil && m.Channel == agent.Webhook {
		return fmt.Errorf("%s: %w", m.Channel, errors.Join(step.ErrAgain, err))
	}
	return judge(m.Channel, resp.StatusCode)
}

func (h Hook) mayReach(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.User != nil || u.Scheme != "https" && !slices.Contains(h.Hosts, u.Host) {
		return fmt.Errorf("not an https address: %w", step.ErrNotification)
	}
	return nil
}

// unanswered sorts a call without an answer: before the connection stood nothing
// was sent.
func unanswered(c agent.Channel, err error) error {
	op, ok := errors.AsType[*net.OpError](err)
	switch {
	case errors.Is(err, ssrf.ErrProhibitedIP), errors.Is(err, ssrf.ErrProhibitedPort):
		return fmt.Errorf("%s: %w", c, errors.Join(step.ErrNotification, err))
	case ok && op.Op == "dial", c == agent.Webhook:
		return fmt.Errorf("%s: %w", c, errors.Join(step.ErrAgain, err))
	}
	return fmt.Errorf("%s: %w", c, err)
}

func judge(c agent.Channel, status int) error {
	switch {
	case status >= http.StatusOK && status < http.StatusMultipleChoices:
		return nil
	case status == http.StatusTooManyRequests, status >= http.StatusInternalServerError:
		return fmt.Errorf("%s answered %d: %w", c, status, step.ErrAgain)
	}
	return fmt.Errorf("%s answered %d: %w", c, status, step.ErrNotification)
}

// content returns the message in the format of its channel: Slack's, Teams', or
// our own.
func content(m step.Message) ([]byte, error) {
	switch m.Channel {
	case agent.Slack:
		return json.Marshal(slack(m))
	case agent.Teams:
		return json.Marshal(teams(m))
	case agent.Webhook, agent.SMS, agent.Email:
	}
	return json.Marshal(map[string]any{
		"type": "agent.notification", "org_id": m.Org, "agent_id": m.Agent, "execution_id": m.Execution,
		"subject": m.Subject, "body": m.Body,
	})
}

// sign adds the headers of Standard Webhooks
// (github.com/standard-webhooks/standard-webhooks, spec of 2023). The id is the
// idempotency key: the same at every try.
func (h Hook) sign(header http.Header, m step.Message, body []byte) error {
	signer, err := standardwebhooks.NewWebhookRaw(h.Master.Secret(m.Org))
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	now := h.Now()
	signature, err := signer.Sign(m.Key, now, body)
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	header.Set("Webhook-Id", m.Key)
	header.Set("Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10))
	header.Set("Webhook-Signature", signature)
	return nil
}
