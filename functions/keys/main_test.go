package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
)

// settings are all settings that there may be.
func settings(name string) string {
	if name == "RATE_LIMIT" {
		return "100"
	}
	return "of " + name
}

func TestItAsksForCredentials(t *testing.T) {
	t.Parallel()

	handle, err := handler(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	request := events.APIGatewayV2HTTPRequest{RawPath: "/api/keys"}
	request.RequestContext.HTTP.Method = http.MethodGet
	got, err := handle(t.Context(), request)
	if err != nil || got.StatusCode != http.StatusUnauthorized || !strings.Contains(got.Body, `"unauthorized"`) {
		t.Errorf("status %d, %v, body %s; want 401 in our words", got.StatusCode, err, got.Body)
	}
}

func TestItSaysEverythingThatIsMissing(t *testing.T) {
	t.Parallel()

	_, err := handler(t.Context(), func(string) string { return "" })
	for _, name := range []string{"TABLE_NAME", "HUB_JWKS_URL", "HUB_ISSUER", "HUB_AUDIENCE", "CURSOR_SECRET", "RATE_LIMIT", "WEBHOOK_SECRET"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("err = %v, want it to name %s", err, name)
		}
	}
}
