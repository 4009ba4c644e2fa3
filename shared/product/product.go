// Package product performs actions through the products' HTTP APIs.
//
//	POST <base>/products/<product>/actions/<action>
//	Idempotency-Key: <execution>:<step>      the same at every try
//	X-Org-Id: <org>                          the organization
//	X-One-Agents-Execution: <execution>      the causing run and
//	X-One-Agents-Depth: <n>                  its depth, for resulting events
//	Authorization: Bearer <token>            proves that the call is ours; see [Claims]
//	traceparent: 00-<trace>-<span>-01        the place of the call in its trace, if there is one
//
// The body is the parameters as a JSON object. Every status from 200 to 299
// means that the action was done. The answer becomes the output of the step:
//
//	a JSON object             the object, with every digit
//	empty                     {}
//	any other JSON            {"value": [1]}
//	any other text            {"text": "OK"}
//	longer than 64 KiB,       {"text": "its beginning", "truncated": true}
//	or incomplete
//	no text (control codes)   {"unreadable": true}
//
// A product that makes an object answers with the object's id, in the field that the
// catalogue names. Products pass on the causing run and its depth in the metadata of
// their events. What they pass on cannot lower the depth: the record of the run
// decides, and an event about an object that a run made counts as caused by it.
//
// The statuses 408, 425, 429 and from 500 are temporary: the call is repeated
// under the same key, after the pause that Retry-After requests.
package product

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"theoneagents.app/agents/shared/callkey"
	"theoneagents.app/agents/shared/httpcall"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/span"
	"theoneagents.app/agents/shared/step"
)

// Limits of a reply, in bytes: up to the first it is kept whole, of a longer
// one the second is kept.
const (
	maxReply = 64 << 10
	maxKept  = 4 << 10
)

// Client performs actions in products.
type Client struct {
	Base   string // without a slash at its end
	HTTP   *http.Client
	Key    callkey.Key
	Issuer string // the iss of the tokens
	Now    func() time.Time
}

// Claims are the claims of a token, which is valid for one call of one body. A
// product verifies its signature by the keys at /.well-known/jwks.json of the
// API, and refuses a call that differs from its token.
type Claims struct {
	jwt.RegisteredClaims // aud is the product, sub the run, jti the idempotency key

	Org    id.Org  `json:"org"`
	Step   id.Step `json:"step"`
	Action string  `json:"action"`
	Body   string  `json:"body_sha256"` // of the bytes of the body, in hexadecimal
}

// lifetime is how long a token is valid. Each try has a token of its own.
const lifetime = time.Minute

// token returns the token of a call.
func (c Client) token(cmd step.Command, body []byte) (string, error) {
	now, sum := c.Now(), sha256.Sum256(body)
	return c.Key.Sign(Claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: c.Issuer, Audience: jwt.ClaimStrings{cmd.Product}, Subject: string(cmd.Execution), ID: cmd.Key,
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(lifetime)),
		},
		Org: cmd.Org, Step: cmd.Step, Action: cmd.Action, Body: hex.EncodeToString(sum[:]),
	})
}

// Act implements step.Products.
func (c Client) Act(ctx context.Context, cmd step.Command) (map[string]any, error) {
	body, err := json.Marshal(cmd.Params)
	if err != nil {
		return nil, httpcall.Failure{Text: "the parameters could not be encoded", Cause: err}
	}
	token, err := c.token(cmd, body)
	if err != nil {
		return nil, httpcall.Failure{Text: "the call could not be signed", Cause: err}
	}
	// Product and action are names of the catalogue, which need no escaping.
	url := c.Base + "/products/" + cmd.Product + "/actions/" + cmd.Action
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, httpcall.Failure{Text: "the address of the product is invalid", Cause: err}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Idempotency-Key", cmd.Key)
	req.Header.Set("X-Org-Id", string(cmd.Org))
	req.Header.Set("X-One-Agents-Execution", string(cmd.Execution))
	req.Header.Set("X-One-Agents-Depth", strconv.Itoa(cmd.Depth))
	ctx, calling := span.Start(ctx, "action", span.Client)
	defer calling.End()
	calling.Text(span.Product, cmd.Product)
	calling.Text(span.Action, cmd.Action)
	if place := cmp.Or(calling.Traceparent(), cmd.Traceparent); place != "" {
		req.Header.Set("Traceparent", place)
	}
	resp, err := c.straight().Do(req.WithContext(ctx))
	if err != nil {
		calling.Fail(step.ErrProduct.Code)
		return nil, httpcall.Failure{
			Text: "the product could not be reached or gave no answer", Cause: errors.Join(step.ErrAgain, err),
		}
	}
	defer resp.Body.Close() //nolint:errcheck // a failed close has no effect.
	calling.Number(span.StatusCode, int64(resp.StatusCode))
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	if !httpcall.Done(resp.StatusCode) {
		calling.Fail(step.ErrProduct.Code)
		return nil, c.refusal(resp, data)
	}
	return output(data, err == nil && len(data) <= maxReply), nil
}

// straight returns a client that follows no redirects: a redirect would turn
// the POST into a GET, or send it to another host.
func (c Client) straight() *http.Client {
	h := *c.HTTP
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &h
}

// refusal returns the failure for an answer with an error status.
func (c Client) refusal(resp *http.Response, data []byte) error {
	f := httpcall.Failure{Text: "the product " + httpcall.Answered(resp.StatusCode, data)}
	if httpcall.Passing(resp.StatusCode) {
		f.Cause, f.Wait = step.ErrAgain, httpcall.RetryAfter(resp.Header, c.Now())
	}
	return f
}

// output returns the output of the step for a successful answer; whole reports
// whether all of it was read.
func output(data []byte, whole bool) map[string]any {
	data = bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\ufeff"))) // without the byte order mark
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

// beginning returns the part of a text that is kept, in whole characters, and
// whether the rest was cut.
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
