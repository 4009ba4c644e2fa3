// Package cloud brings the system up in an emulator: it looks what answers at
// its address, deploys the CDK app as one would on AWS, and sets afterwards
// what the emulator's CloudFormation drops.
package cloud

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"time"
)

// What every client of an emulator says. No emulator checks the keys.
const (
	Region  = "us-east-1"
	Account = "000000000000"
	KeyID   = "test"
	Secret  = "test"
)

// Environment returns what a program needs to talk to the emulator at endpoint
// and to nothing else: of base it keeps all but the AWS settings.
func Environment(base []string, endpoint string) []string {
	return append(without(base, "AWS_"),
		"AWS_ENDPOINT_URL="+endpoint,
		"AWS_ENDPOINT_URL_S3="+endpoint, // host-style bucket names do not resolve
		"AWS_ACCESS_KEY_ID="+KeyID,
		"AWS_SECRET_ACCESS_KEY="+Secret,
		"AWS_REGION="+Region,
		"AWS_DEFAULT_REGION="+Region,
		"AWS_EC2_METADATA_DISABLED=true",
	)
}

// An Answer is what was found at an address.
type Answer string

// The answers.
const (
	Nobody   Answer = "nobody"
	Emulator Answer = "an emulator"
	Stranger Answer = "something else"
)

// Look asks who answers at endpoint, the URL of an emulator, and which mark it
// has: those that this project starts say whose they are.
func Look(ctx context.Context, client *http.Client, endpoint string) (Answer, string) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint+"/_localstack/health", http.NoBody)
	if err != nil {
		return Stranger, ""
	}
	resp, err := client.Do(req)
	if err != nil {
		if Open(ctx, endpoint) {
			return Stranger, ""
		}
		return Nobody, ""
	}
	defer func() { _ = resp.Body.Close() }()
	var health struct {
		Services map[string]any `json:"services"`
		Stack    string         `json:"stack"`
	}
	if json.NewDecoder(resp.Body).Decode(&health) != nil || len(health.Services) == 0 {
		return Stranger, ""
	}
	return Emulator, health.Stack
}

// Open reports whether anything listens at the host and port of a URL.
func Open(ctx context.Context, raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}
