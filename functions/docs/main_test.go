package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"theoneagents.app/agents/shared/boot"
)

func TestTheContractNeedsNoCredentials(t *testing.T) {
	t.Parallel()

	const key = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ=="
	handle, err := handler(func(name string) string {
		if name == boot.EnvAddressRateLimit {
			return "100"
		}
		return key
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]struct {
		status int
		body   string
	}{
		"/api/openapi.json":      {http.StatusOK, `"openapi"`},
		"/.well-known/jwks.json": {http.StatusOK, `{"keys":[{"kty":"EC"`},
		"/docs":                  {http.StatusOK, "<html"},
		"/elsewhere":             {http.StatusNotFound, `"not_found"`},
	} {
		request := events.APIGatewayV2HTTPRequest{RawPath: path}
		request.RequestContext.HTTP.Method = http.MethodGet
		got, err := handle(t.Context(), request)
		if err != nil || got.StatusCode != want.status || !strings.Contains(got.Body, want.body) {
			t.Errorf("%s: %d, %v, %.200s; want %d with %s", path, got.StatusCode, err, got.Body, want.status, want.body)
		}
	}
}

func TestItDoesNotStartWithoutThePublicKeys(t *testing.T) {
	t.Parallel()

	for _, keys := range []string{"", "x"} {
		if _, err := handler(func(string) string { return keys }); err == nil || !strings.Contains(err.Error(), "CALL_PUBLIC_KEYS") {
			t.Errorf("%q: err = %v, want it to name the setting", keys, err)
		}
	}
}
