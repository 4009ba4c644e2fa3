package wire

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"theoneagents.app/agents/shared/boot"
)

// settings has a value for every setting.
func settings(name string) string {
	if slices.Contains([]string{boot.EnvRateLimit, boot.EnvUserRateLimit, boot.EnvAddressRateLimit, boot.EnvRetention}, name) {
		return "100"
	}
	if slices.Contains([]string{boot.EnvLogLevel, boot.EnvTraces, boot.EnvTracesHeaders}, name) {
		return "" // they have defaults
	}
	return "of " + name
}

// needs returns the settings that a group of endpoints requires.
func needs(group string) []string {
	all := []string{boot.EnvTable, boot.EnvJWKS, boot.EnvIssuer, boot.EnvAudience, boot.EnvCursorSecret, boot.EnvRateLimit, boot.EnvUserRateLimit, boot.EnvAddressRateLimit}
	switch group {
	case "executions":
		return append(all, boot.EnvRuns, boot.EnvRetention)
	case "settings":
		return append(all, boot.EnvRetention)
	case "pause":
		return append(all, boot.EnvRuns)
	case "keys":
		return append(all, boot.EnvHookSecret)
	}
	return all
}

func TestEveryGroupOfEndpointsRequiresCredentials(t *testing.T) {
	t.Parallel()

	for name := range groups() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			handle, err := NewHandler(t.Context(), name, settings, handlerOf(name), route)
			if err != nil {
				t.Fatal(err)
			}
			request := events.APIGatewayV2HTTPRequest{RawPath: "/api/" + name}
			request.RequestContext.HTTP.Method = http.MethodGet
			got, err := handle(t.Context(), request)
			if err != nil || got.StatusCode != http.StatusUnauthorized || !strings.Contains(got.Body, `"unauthorized"`) {
				t.Errorf("status %d, %v, body %s; want 401 with our error", got.StatusCode, err, got.Body)
			}
		})
	}
}

func TestAGroupWithoutOneOfItsSettingsDoesNotStart(t *testing.T) {
	t.Parallel()

	for name := range groups() {
		for _, missing := range needs(name) {
			_, err := NewHandler(t.Context(), name, func(setting string) string {
				if setting == missing {
					return ""
				}
				return settings(setting)
			}, handlerOf(name), route)
			if err == nil || !strings.Contains(err.Error(), missing+" is not set") {
				t.Errorf("%s without %s: %v", name, missing, err)
			}
		}
	}
}

func TestAGroupThatIsNotInTheTableDoesNotStart(t *testing.T) {
	t.Parallel()

	if _, err := NewHandler(t.Context(), "nope", settings, handlerOf("nope"), route); err == nil || !strings.Contains(err.Error(), `"nope"`) {
		t.Errorf("err = %v, want it to name the group", err)
	}
}

// The secret of the test is its own name, which is a seed.
func TestThePublicHalvesOfTheKeysOfCallsNeedNoCredentials(t *testing.T) {
	t.Parallel()

	handle, err := NewHandler(t.Context(), "jwks", func(name string) string {
		return map[string]string{boot.EnvCallKey: strings.Repeat("a", 64), boot.EnvAddressRateLimit: "100"}[name]
	}, showsCallKeys, route)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/.well-known/jwks.json": http.StatusOK, "/docs": http.StatusNotFound} {
		request := events.APIGatewayV2HTTPRequest{RawPath: path}
		request.RequestContext.HTTP.Method = http.MethodGet
		got, err := handle(t.Context(), request)
		if err != nil || got.StatusCode != want || strings.Contains(got.Body, `"d":`) ||
			want == http.StatusOK && !strings.Contains(got.Body, `{"keys":[{"kty":"EC"`) {
			t.Errorf("%s: %d, %v, %s; want %d", path, got.StatusCode, err, got.Body, want)
		}
	}
}

func TestTheKeysOfCallsAreNotServedFromASecretThatHasNone(t *testing.T) {
	t.Parallel()

	for _, name := range []string{"", "missing", "no key"} {
		_, err := NewHandler(t.Context(), "jwks", func(setting string) string {
			return map[string]string{boot.EnvCallKey: name, boot.EnvAddressRateLimit: "100"}[setting]
		}, showsCallKeys, route)
		if err == nil || !strings.Contains(err.Error(), boot.EnvCallKey) {
			t.Errorf("%q: %v; want it to name the setting", name, err)
		}
	}
}
