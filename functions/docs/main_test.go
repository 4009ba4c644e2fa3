package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
)

func TestTheContractNeedsNoCredentials(t *testing.T) {
	t.Parallel()

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
		got, err := handler()(t.Context(), request)
		if err != nil || got.StatusCode != want.status || !strings.Contains(got.Body, want.body) {
			t.Errorf("%s: %d, %v, %.200s; want %d with %s", path, got.StatusCode, err, got.Body, want.status, want.body)
		}
	}
}
