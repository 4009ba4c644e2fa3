package cloud

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// An App is the CDK app and the emulator to deploy it to.
type App struct {
	CDK      string // the cdk command
	Root     string // the project, where cdk.json is
	State    string // folder for outputs, templates and logs
	Endpoint string // of the emulator
	Stands   Stands
	Environ  []string
	Table    string // an existing table instead of the stack's own; empty for none
	Stream   string // the ARN of its stream

	RootKey []byte // of the local cloud: its secrets are derived from it
}

// Stands are the URLs of what stands in for the outside.
type Stands struct {
	Products string
	Console  string // the origin of the console, with the Hub's sign-in
}

// context returns the CDK context: the app's settings in a local cloud.
func (a App) context() map[string]string {
	architecture := "x86_64"
	if runtime.GOARCH == "arm64" {
		architecture = "arm64"
	}
	settings := map[string]string{
		"addressRateLimit":  "6000",
		"alarms":            "false", // the emulator refuses alarms on formulas
		"allowedHosts":      strings.TrimPrefix(a.Stands.Products, "http://"),
		"architecture":      architecture,
		"callKeySecretName": callKeySecret,
		"concurrency":       "0", // the launcher limits the processes
		"consoleUrl":        a.Stands.Console,
		"hubUrl":            a.Stands.Console + "/hub",
		"backups":           "false", // the emulator knows no AWS Backup
		"archive":           "false", // the emulator's CloudFormation refuses it: see Mend
		"hubJwksUrl":        a.Stands.Products + "/hub/jwks.json",
		"modelEndpoint":     a.Stands.Products + "/bedrock",
		"cursorSecretName":  cursorSecret,
		"modelProvider":     "bedrock",
		"origins":           a.Endpoint,
		"otlpEndpoint":      a.Stands.Products,
		"productsUrl":       a.Stands.Products,
		"programs":          "host",
		"rateLimit":         "6000",
		"userRateLimit":     "6000",
		"rollout":           "unversioned", // the functions of a local cloud have no versions
		"webhookSecretName": webhookSecret,
	}
	if a.Table != "" {
		settings["tableName"], settings["tableStreamArn"] = a.Table, a.Stream
	}
	return settings
}

// Bootstrap prepares the emulator for deployments by CDK.
func (a App) Bootstrap(ctx context.Context) error {
	return a.cdk(ctx, "bootstrap", "aws://"+Account+"/"+Region, "--app", "")
}

// Deploy deploys the app and returns its outputs.
func (a App) Deploy(ctx context.Context) (map[string]string, error) {
	outputs := filepath.Join(a.State, "stack.json")
	args := []string{"deploy", "--all", "--require-approval", "never", "--method", "direct", "--outputs-file", outputs}
	settings := a.context()
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "--context", key+"="+settings[key])
	}
	if err := a.cdk(ctx, args...); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(outputs) //nolint:gosec // ours.
	if err != nil {
		return nil, err
	}
	var stacks map[string]map[string]string
	if err := json.Unmarshal(text, &stacks); err != nil {
		return nil, fmt.Errorf("read %s: %w", outputs, err)
	}
	all := map[string]string{}
	for _, stack := range stacks {
		maps.Copy(all, stack)
	}
	return all, nil
}

// assembly is the folder with the templates as they were deployed.
func (a App) assembly() string { return filepath.Join(a.State, "cdk.out") }

func (a App) cdk(ctx context.Context, args ...string) error {
	assembly, err := filepath.Abs(a.assembly())
	if err != nil {
		return err
	}
	cdk, err := filepath.Abs(a.CDK)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, cdk, append(args, "--output", assembly)...) //nolint:gosec // ours to choose.
	cmd.Dir = a.Root
	cmd.Env = append(Environment(a.Environ, a.Endpoint), "CDK_DISABLE_CLI_TELEMETRY=true", "CI=true")
	said, failed := cmd.CombinedOutput()
	log := filepath.Join(a.State, "logs", "cdk-"+args[0]+".log")
	if err := write(log, said); err != nil {
		return err
	}
	if failed != nil {
		return fmt.Errorf("cdk %s failed (%w):\n%s\nThe whole log is %s", args[0], failed, tail(said, 12), log)
	}
	return nil
}

// Fingerprint returns a hash of the built programs and the settings, which changes
// when the app has to be deployed again.
func (a App) Fingerprint() (string, error) {
	sum := sha256.New()
	settings, err := json.Marshal(a.context())
	if err != nil {
		return "", err
	}
	app, err := os.ReadFile(filepath.Join(a.Root, "cdk.json"))
	if err != nil {
		return "", err
	}
	_, _ = fmt.Fprintf(sum, "%s\n%s\n", settings, app) // writing to a hash never fails
	err = filepath.WalkDir(filepath.Join(a.Root, "dist"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		_, _ = fmt.Fprintln(sum, path)
		return pour(sum, path)
	})
	return hex.EncodeToString(sum.Sum(nil)), err
}

// pour writes a file to w.
func pour(w io.Writer, path string) error {
	f, err := os.Open(path) //nolint:gosec // ours.
	if err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return errors.Join(err, f.Close())
}

func write(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// tail returns the last lines of a text.
func tail(text []byte, lines int) string {
	all := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}

// without returns env without the variables whose names begin with prefix.
func without(env []string, prefix string) []string {
	var kept []string
	for _, v := range env {
		if !strings.HasPrefix(v, prefix) {
			kept = append(kept, v)
		}
	}
	return kept
}
