package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"theoneagents.app/agents/shared/boot"
)

func TestTheContractNeedsNoCredentials(t *testing.T) {
	t.Parallel()

	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "site"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "site", "index.html"), []byte("<html lang=en>"), 0o600); err != nil {
		t.Fatal(err)
	}
	handle, err := handler(func(name string) string {
		return map[string]string{boot.EnvAddressRateLimit: "100", codeFolder: folder}[name]
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

func TestItDoesNotStartWithoutTheLimitOfAddressesOrItsFolder(t *testing.T) {
	t.Parallel()

	for _, tc := range []struct{ limit, folder, want string }{
		{"", "/var/task", boot.EnvAddressRateLimit}, {"x", "/var/task", boot.EnvAddressRateLimit}, {"100", "", codeFolder},
	} {
		settings := map[string]string{boot.EnvAddressRateLimit: tc.limit, codeFolder: tc.folder}
		if _, err := handler(func(name string) string { return settings[name] }); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v: err = %v, want it to name the setting", tc, err)
		}
	}
}
