// Package cloud deploys the system to an emulator. It checks which program
// answers at the emulator's address, deploys the CDK app as on AWS, and then sets
// the properties that the emulator's CloudFormation drops.
package cloud

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"time"
)

// The settings of every client of an emulator, which does not check the keys.
const (
	Region  = "us-east-1"
	Account = "000000000000"
	KeyID   = "test"
	Secret  = "test"
)

// Environment returns base with the AWS settings of the emulator at endpoint
// instead of its own, so that a program cannot reach the real AWS.
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

// An Answer is the kind of program that was found at an address.
type Answer string

// The answers.
const (
	Nobody   Answer = "nobody"
	Emulator Answer = "an emulator"
	Stranger Answer = "something else"
)

// Look returns the kind of program that answers at endpoint, and its mark, which
// names the checkout whose make run started the emulator.
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

// Open reports whether a program listens at the host and port of a URL.
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
