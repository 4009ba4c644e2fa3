// Package product asks the products' APIs to act, over HTTP.
//
//	POST <base>/products/<product>/actions/<action>
//	Idempotency-Key: <execution>:<step>      the same at every try
//	X-Org-Id: <org>                          whose product
//	X-One-Agents-Execution: <execution>      what caused it,
//	X-One-Agents-Depth: <n>                  for the events that follow
//
// with the parameters as a JSON object; the reply is a JSON object.
package product

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"theoneagents.app/agents/shared/document"
	"theoneagents.app/agents/shared/step"
)

// maxReply is how large a reply may be, in bytes.
const maxReply = 64 << 10

// Client asks products to act.
type Client struct {
	Base string // without a slash at its end
	HTTP *http.Client
}

// A failure is what went wrong, in words that may be shown.
type failure struct {
	reason string
	cause  error
}

func (f failure) Error() string {
	if f.cause != nil {
		return f.reason + ": " + f.cause.Error()
	}
	return f.reason
}

func (f failure) Unwrap() error { return f.cause }

// Reason returns what may be shown.
func (f failure) Reason() string { return f.reason }

// Act implements step.Products.
func (c Client) Act(ctx context.Context, cmd step.Command) (map[string]any, error) {
	body, err := json.Marshal(cmd.Params)
	if err != nil {
		return nil, failure{reason: "the parameters cannot be sent", cause: err}
	}
	// Product and action come from the catalogue, whose names need no escaping.
	url := c.Base + "/products/" + cmd.Product + "/actions/" + cmd.Action
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, failure{reason: "the product cannot be called", cause: err}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", cmd.Key)
	req.Header.Set("X-Org-Id", string(cmd.Org))
	req.Header.Set("X-One-Agents-Execution", string(cmd.Execution))
	req.Header.Set("X-One-Agents-Depth", strconv.Itoa(cmd.Depth))
	resp, err := c.straight().Do(req)
	if err != nil {
		return nil, failure{reason: "the product could not be reached or gave no answer", cause: errors.Join(step.ErrAgain, err)}
	}
	defer resp.Body.Close() //nolint:errcheck // it was read; nothing depends on its end.
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	if err != nil {
		return nil, failure{reason: "the product's answer broke off", cause: errors.Join(step.ErrAgain, err)}
	}
	return reply(resp.StatusCode, data)
}

// straight returns the client that follows no redirect: that would turn the
// command into a GET, or send it to somebody else.
func (c Client) straight() *http.Client {
	h := *c.HTTP
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &h
}

// reply judges an answer.
func reply(status int, data []byte) (map[string]any, error) {
	switch {
	case status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status >= http.StatusInternalServerError:
		return nil, failure{reason: said(status, data), cause: step.ErrAgain}
	case status < http.StatusOK || status >= http.StatusMultipleChoices:
		return nil, failure{reason: said(status, data)}
	case len(data) > maxReply:
		return nil, failure{reason: fmt.Sprintf("the product's answer is larger than %d bytes", maxReply)}
	case len(bytes.TrimSpace(data)) == 0:
		return map[string]any{}, nil
	}
	v, err := document.Object(data)
	if err != nil {
		return nil, failure{reason: "the product's answer is no JSON object"}
	}
	return v, nil
}

// said returns what a product says of its refusal.
func said(status int, data []byte) string {
	text := fmt.Sprintf("the product answered %d", status)
	v, err := document.Object(data)
	if err != nil {
		return text
	}
	const most = 200
	if message, ok := v["message"].(string); ok && message != "" && len(message) <= most {
		return text + " (" + strings.TrimRight(message, ".") + ")"
	}
	return text
}
