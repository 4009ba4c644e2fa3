package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"theoneagents.app/agents/localstack/hub"
	"theoneagents.app/agents/localstack/local/cloud"
)

// An api calls the API with one caller's token.
type api struct {
	base, token string
	http        *http.Client
}

// A refusal is an error answer of the API.
type refusal struct {
	Status  int    `json:"-"`
	Code    string `json:"error"`
	Message string `json:"message"`
}

func (r *refusal) Error() string {
	return fmt.Sprintf("the API answers %d %s: %s", r.Status, r.Code, r.Message)
}

// as returns an api that calls as an owner of org.
func (w world) as(h home, o cloud.Outputs, org string) (api, error) {
	token, err := w.mint(h, hub.Claims{Org: org, User: "user_demo", Roles: []string{"owner"}, TTL: session})
	return api{base: o.API, token: token, http: w.http}, err
}

// call sends in as JSON, unless it is nil, and decodes the answer into out, unless
// that is nil.
func (a api) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader = http.NoBody
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return fmt.Errorf("the API does not answer (is it running? make run starts it): %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		r := refusal{Status: resp.StatusCode}
		if json.Unmarshal(text, &r) != nil || r.Code == "" {
			r.Message = string(text)
		}
		return &r
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}
