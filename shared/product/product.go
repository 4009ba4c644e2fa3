// Package product asks the products' APIs to act, over HTTP.
//
//	POST <base>/products/<product>/actions/<action>
//	Idempotency-Key: <execution>:<step>      the same at every try
//	X-Org-Id: <org>                          whose product
//	X-One-Agents-Execution: <execution>      what caused it,
//	X-One-Agents-Depth: <n>                  for the events that follow
//
// with the parameters as a JSON object. Any status from 200 to 299 says that the
// work is done, whatever the answer is:
//
//	a JSON object             is the output of the step, with every digit
//	nothing                   {}
//	any other JSON            {"value": [1]}
//	any other text            {"text": "OK"}
//	longer than 64 KiB,       {"text": "its beginning", "truncated": true}
//	or broken off
//	no text (control codes)   {"unreadable": true}
//
// The statuses 408, 425, 429 and from 500 may be others a moment later; such a
// call is repeated under the same key, after the time that Retry-After asks for.
package product

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"theoneagents.app/agents/shared/httpcall"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/step"
)

// The bounds of a reply, in bytes: of one that is kept whole, and of what is
// kept of any other.
const (
	maxReply = 64 << 10
	maxKept  = 4 << 10
)

// Client asks products to act.
type Client struct {
	Base string // without a slash at its end
	HTTP *http.Client
	Now  func() time.Time
}

// Act implements step.Products.
func (c Client) Act(ctx context.Context, cmd step.Command) (map[string]any, error) {
	body, err := json.Marshal(cmd.Params)
	if err != nil {
		return nil, httpcall.Failure{Text: "the parameters cannot be sent", Cause: err}
	}
	// Product and action come from the catalogue, whose names need no escaping.
	url := c.Base + "/products/" + cmd.Product + "/actions/" + cmd.Action
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, httpcall.Failure{Text: "the product cannot be called", Cause: err}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", cmd.Key)
	req.Header.Set("X-Org-Id", string(cmd.Org))
	req.Header.Set("X-One-Agents-Execution", string(cmd.Execution))
	req.Header.Set("X-One-Agents-Depth", strconv.Itoa(cmd.Depth))
	resp, err := c.straight().Do(req)
	if err != nil {
		return nil, httpcall.Failure{
			Text: "the product could not be reached or gave no answer", Cause: errors.Join(step.ErrAgain, err),
		}
	}
	defer resp.Body.Close() //nolint:errcheck // it was read; nothing depends on its end.
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	if !httpcall.Done(resp.StatusCode) {
		return nil, c.refusal(resp, data)
	}
	return output(data, err == nil && len(data) <= maxReply), nil
}

// straight returns the client that follows no redirect: that would turn the
// command into a GET, or send it to somebody else.
func (c Client) straight() *http.Client {
	h := *c.HTTP
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &h
}

// refusal returns the failure that an answer stands for.
func (c Client) refusal(resp *http.Response, data []byte) error {
	f := httpcall.Failure{Text: "the product " + httpcall.Answered(resp.StatusCode, data)}
	if httpcall.Passing(resp.StatusCode) {
		f.Cause, f.Wait = step.ErrAgain, httpcall.RetryAfter(resp.Header, c.Now())
	}
	return f
}

// output returns what the step keeps of an answer that says the work is done;
// whole is whether all of it was read.
func output(data []byte, whole bool) map[string]any {
	data = bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\ufeff"))) // a byte order mark says nothing
	switch v, err := jsonvalue.Decode(data); {
	case whole && len(data) == 0:
		return map[string]any{}
	case whole && err == nil:
		if object, is := v.(map[string]any); is {
			return object
		}
		return map[string]any{"value": v}
	}
	text, cut := beginning(data)
	switch {
	case strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && !unicode.IsSpace(r) }):
		return map[string]any{"unreadable": true}
	case cut || !whole:
		return map[string]any{"text": text, "truncated": true}
	}
	return map[string]any{"text": text}
}

// beginning returns as much of a text as is kept, in whole characters, and
// whether something is left out.
func beginning(data []byte) (text string, cut bool) {
	if cut = len(data) > maxKept; cut {
		n := maxKept
		for n > 0 && !utf8.RuneStart(data[n]) {
			n--
		}
		data = data[:n]
	}
	return strings.ToValidUTF8(string(data), "\ufffd"), cut
}
