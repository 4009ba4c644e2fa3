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

	handle, err := handler(func(name string) string {
		return map[string]string{boot.EnvAddressRateLimit: "100"}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]struct {
		status int
		body   string
	}{
		"/api/openapi.json": {http.StatusOK, `"openapi"`},
		"/docs":             {http.StatusOK, "<html"},
		"/elsewhere":        {http.StatusNotFound, `"not_found"`},
	} {
		request := events.APIGatewayV2HTTPRequest{RawPath: path}
		request.RequestContext.HTTP.Method = http.MethodGet
		got, err := handle(t.Context(), request)
		if err != nil || got.StatusCode != want.status || !strings.Contains(got.Body, want.body) {
			t.Errorf("%s: %d, %v, %.200s; want %d with %s", path, got.StatusCode, err, got.Body, want.status, want.body)
		}
	}
}

func TestItDoesNotStartWithoutTheLimitOfAddresses(t *testing.T) {
	t.Parallel()

	for _, limit := range []string{"", "x"} {
		if _, err := handler(func(string) string { return limit }); err == nil || !strings.Contains(err.Error(), boot.EnvAddressRateLimit) {
			t.Errorf("%q: err = %v, want it to name the setting", limit, err)
		}
	}
}
