package cloud_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/localstack/local/cloud"
)

func TestLookTellsAnEmulatorFromOtherPrograms(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		body string
		want cloud.Answer
		mark string
	}{
		"an emulator":               {`{"services": {"sqs": "available"}}`, cloud.Emulator, ""},
		"an emulator of a checkout": {`{"services": {"sqs": "available"}, "stack": "/a/.local"}`, cloud.Emulator, "/a/.local"},
		"a page":                    {`<html>`, cloud.Stranger, ""},
		"another JSON":              {`{"status": "ok"}`, cloud.Stranger, ""},
		"nothing to say":            {``, cloud.Stranger, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, test.body)
			}))
			if got, mark := cloud.Look(t.Context(), server.Client(), server.URL); got != test.want || mark != test.mark {
				t.Errorf("got %s of %q, want %s of %q", got, mark, test.want, test.mark)
			}
			server.Close()
			if got, _ := cloud.Look(t.Context(), server.Client(), server.URL); got != cloud.Nobody {
				t.Errorf("after it closed: %s", got)
			}
		})
	}
}

func TestTheEnvironmentCannotReachTheRealAWS(t *testing.T) {
	t.Parallel()

	env := cloud.Environment([]string{"PATH=/bin", "AWS_PROFILE=production", "AWS_ENDPOINT_URL_SQS=https://x"}, "http://127.0.0.1:4566")
	for _, v := range env {
		if strings.HasPrefix(v, "AWS_PROFILE") || strings.HasPrefix(v, "AWS_ENDPOINT_URL_SQS") {
			t.Errorf("%s is still there", v)
		}
	}
	for _, want := range []string{"PATH=/bin", "AWS_ENDPOINT_URL=http://127.0.0.1:4566", "AWS_ACCESS_KEY_ID=test"} {
		if !slices.Contains(env, want) {
			t.Errorf("%s is missing", want)
		}
	}
}

func TestOutputsAreReadAsTheyWereWritten(t *testing.T) {
	t.Parallel()

	path := filepath.Join(t.TempDir(), "outputs.json")
	want := cloud.NewOutputs("http://127.0.0.1:4566", "/a/.local", cloud.Stands{Products: "http://127.0.0.1:4580", Console: "http://127.0.0.1:4590"}, map[string]string{
		"ApiId": "abc", "BusName": "bus", "TableName": "table", "DeadLetterQueueUrl": "dead",
	})
	if err := want.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := cloud.ReadOutputs(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if want := "http://127.0.0.1:4566/_aws/execute-api/abc/$default"; got.API != want {
		t.Errorf("api %s, want %s", got.API, want)
	}
	if want := "http://127.0.0.1:4580/hooks/{org}/{channel}"; got.Hook != want {
		t.Errorf("hook %s, want %s", got.Hook, want)
	}
}

func TestOutputsLeadOnlyToTheirOwnEmulator(t *testing.T) {
	t.Parallel()

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"services": {"sqs": "available"}, "stack": "/a/.local"}`)
	}))
	t.Cleanup(server.Close)
	tests := map[string]struct {
		outputs cloud.Outputs
		want    string // part of the error; empty: no error
	}{
		"its own emulator":            {cloud.Outputs{Endpoint: server.URL, Mark: "/a/.local"}, ""},
		"an emulator without a mark":  {cloud.Outputs{Endpoint: server.URL}, ""},
		"another checkout's emulator": {cloud.Outputs{Endpoint: server.URL, Mark: "/b/.local"}, "another one (/a/.local)"},
		"an emulator that ended":      {cloud.Outputs{Endpoint: "http://127.0.0.1:1", Mark: "/a/.local"}, "has ended"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			err := test.outputs.Present(t.Context(), server.Client())
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("err = %v, want %q", err, test.want)
			}
		})
	}
}

// newApp returns an app whose cdk is a script.
func newApp(t *testing.T, script string) cloud.App {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{"cdk.json": "{}", "dist/f/bootstrap": "v1", "cdk": "#!/bin/sh\n" + script} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return cloud.App{
		CDK: filepath.Join(root, "cdk"), Root: root, State: filepath.Join(root, "state"),
		Endpoint: "http://127.0.0.1:4566", Stands: cloud.Stands{Products: "http://127.0.0.1:4580"}, Environ: os.Environ(),
	}
}

func TestADeploymentReturnsTheOutputs(t *testing.T) {
	t.Parallel()

	app := newApp(t, `
echo "$@"
while [ "$1" != --outputs-file ]; do shift; done
echo '{"Stack": {"ApiId": "abc"}}' >"$2"`)
	if err := os.MkdirAll(app.State, 0o700); err != nil {
		t.Fatal(err)
	}
	got, err := app.Deploy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got["ApiId"] != "abc" {
		t.Errorf("outputs %v", got)
	}
	said, err := os.ReadFile(filepath.Join(app.State, "logs", "cdk-deploy.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"deploy --all", "archive=false", "allowedHosts=127.0.0.1:4580", "productsUrl=http://127.0.0.1:4580"} {
		if !strings.Contains(string(said), want) {
			t.Errorf("cdk was not called with %q", want)
		}
	}
}

func TestAFailedDeploymentShowsItsLastLines(t *testing.T) {
	t.Parallel()

	app := newApp(t, "seq 100; echo the reason >&2; exit 1")
	_, err := app.Deploy(t.Context())
	if err == nil {
		t.Fatal("no error")
	}
	if text := err.Error(); !strings.Contains(text, "the reason") || strings.Contains(text, "\n50\n") || !strings.Contains(text, "cdk-deploy.log") {
		t.Error(text)
	}
}

func TestTheFingerprintChangesWithProgramsAndSettings(t *testing.T) {
	t.Parallel()

	app := newApp(t, "")
	fingerprint := func() string {
		t.Helper()
		got, err := app.Fingerprint()
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	first := fingerprint()
	if again := fingerprint(); again != first {
		t.Error("the fingerprint changed without a change")
	}
	if err := os.WriteFile(filepath.Join(app.Root, "dist/f/bootstrap"), []byte("v2"), 0o600); err != nil {
		t.Fatal(err)
	}
	second := fingerprint()
	app.Stands.Products = "http://127.0.0.1:4581"
	if third := fingerprint(); first == second || second == third {
		t.Errorf("%s %s %s", first, second, third)
	}
}
