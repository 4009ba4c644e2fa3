package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// settings differ between environments. Each is a key of the CDK context; a
// missing one has the value for production. Secrets are given by their names in
// Secrets Manager alone: the functions read them when they start.
type settings struct {
	ProductsURL  string   // productsUrl: base URL of the products' action endpoints
	JWKS         string   // hubJwksUrl: the Hub's signing keys
	Issuer       string   // hubIssuer
	Audience     string   // hubAudience
	Console      string   // consoleUrl: base URL of the approval pages, below /approvals/
	Origins      []string // origins: web pages that may call the API with a cookie
	AllowedHosts string   // allowedHosts: private host:port that may be called
	Provider     string   // modelProvider: "bedrock" or "openai"
	ModelURL     string   // modelEndpoint
	ModelKey     string   // modelKeySecretName; empty without one
	Models       string   // models: a JSON object, tier → model id, or a list of a model and its fallback
	Sender       string   // emailSender
	HookSecret   string   // webhookSecretName
	CursorSecret string   // cursorSecretName
	CallKey      string   // callKeySecretName
	CallPublic   string   // callPublicKeys, or else the parameter of that name in Systems Manager
	Generation   string   // secretsGeneration: another text starts all functions anew
	CallIssuer   string   // callIssuer: the iss of the tokens of calls of products
	RateLimit    int      // rateLimit: requests a minute of all keys of an organization
	UserRate     int      // userRateLimit: requests a minute of a person
	AddressRate  int      // addressRateLimit: requests a minute of an address without a caller
	Architecture string   // architecture: "arm64" or "x86_64"
	Archive      bool     // archive: whether the bus keeps its events
	LogLevel     string   // logLevel: TRACE, DEBUG, INFO, WARN, ERROR or FATAL
	Dist         string   // dist: folder of the built programs

	// Publishers are the principals that may publish the events of a product:
	// publishers, a JSON object, product → principals.
	Publishers map[string][]string
	// Operators may publish the events of every product, for a redrive:
	// operators.
	Operators []string
}

// The permitted values of some settings.
const (
	bedrock = "bedrock"
	openai  = "openai"
	arm64   = "arm64"
	x8664   = "x86_64"
)

// tiers returns the model tiers of the definition language.
func tiers() []string { return []string{"expert", "premium", "quick", "standard"} }

// productionModels returns the model of each tier and its fallback model. All
// are inference profiles: newer models cannot be called on demand without one.
func productionModels() map[string][]string {
	return map[string][]string{
		"quick":    {"us.amazon.nova-lite-v1:0", "us.amazon.nova-micro-v1:0"},
		"standard": {"us.anthropic.claude-haiku-4-5-20251001-v1:0", "us.amazon.nova-pro-v1:0"},
		"premium":  {"us.anthropic.claude-sonnet-4-5-20250929-v1:0", "us.anthropic.claude-sonnet-4-20250514-v1:0"},
		"expert":   {"us.anthropic.claude-opus-4-5-20251101-v1:0", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"},
	}
}

// readSettings reads the context. Its error names every invalid setting.
func readSettings(get func(key string) any) (settings, error) {
	text := func(key, otherwise string) string {
		if v, ok := get(key).(string); ok {
			return v
		}
		return otherwise
	}
	s := settings{
		ProductsURL:  text("productsUrl", "https://products.theoneagents.app"),
		JWKS:         text("hubJwksUrl", "https://hub.theoneagents.app/.well-known/jwks.json"),
		Issuer:       text("hubIssuer", "https://hub.theoneagents.app"),
		Audience:     text("hubAudience", "one-agents"),
		Console:      text("consoleUrl", "https://console.theoneagents.app"),
		Origins:      list(text("origins", "https://console.theoneagents.app")),
		AllowedHosts: text("allowedHosts", ""),
		Provider:     text("modelProvider", bedrock),
		ModelURL:     text("modelEndpoint", ""),
		ModelKey:     text("modelKeySecretName", ""),
		Sender:       text("emailSender", "agents@theoneagents.app"),
		HookSecret:   text("webhookSecretName", "one-agents/webhook"),
		CursorSecret: text("cursorSecretName", "one-agents/cursor"),
		CallKey:      text("callKeySecretName", "one-agents/call-key"),
		CallPublic:   text("callPublicKeys", "{{resolve:ssm:/one-agents/call-public-keys}}"),
		Generation:   text("secretsGeneration", ""),
		CallIssuer:   text("callIssuer", "https://agents.theoneagents.app"),
		Architecture: text("architecture", arm64),
		LogLevel:     text("logLevel", "INFO"),
		Dist:         text("dist", "dist"),
	}
	var archive, rate, user, address, models, publishers error
	s.Archive, archive = flag(get("archive"), true)
	s.RateLimit, rate = count("rateLimit", get("rateLimit"), 100)
	s.UserRate, user = count("userRateLimit", get("userRateLimit"), 300)
	s.AddressRate, address = count("addressRateLimit", get("addressRateLimit"), 100)
	s.Models, models = readModels(get("models"))
	s.Publishers, publishers = readPublishers(get("publishers"))
	s.Operators = list(text("operators", ""))
	operators := checkPrincipals("operators", s.Operators)
	if len(s.Operators) == 0 {
		s.Operators = []string{thisAccount}
	}
	return s, errors.Join(archive, rate, user, address, models, publishers, operators,
		oneOf("modelProvider", s.Provider, bedrock, openai),
		oneOf("architecture", s.Architecture, arm64, x8664),
		oneOf("logLevel", s.LogLevel, "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"))
}

// list splits a comma-separated list.
func list(s string) []string {
	var out []string
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// flag reads a boolean, which is a string when it comes from the command line.
func flag(v any, otherwise bool) (bool, error) {
	switch v {
	case nil:
		return otherwise, nil
	case true, "true":
		return true, nil
	case false, "false":
		return false, nil
	}
	return false, fmt.Errorf("archive: want true or false, got %v", v)
}

// count reads a whole number from 1, which is a string when it comes from the
// command line.
func count(key string, v any, otherwise int) (int, error) {
	if v == nil {
		return otherwise, nil
	}
	text := fmt.Sprint(v)
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%s: want a whole number from 1, got %q", key, text)
	}
	return n, nil
}

// readModels returns the models as JSON. They are an object in a file and a
// string on the command line.
func readModels(v any) (string, error) {
	text, isText := v.(string)
	switch {
	case v == nil:
		v = productionModels()
	case isText:
		v = json.RawMessage(text)
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("models: %w", err)
	}
	models, err := parseModels(string(raw))
	if err != nil {
		return "", err
	}
	if got := slices.Sorted(maps.Keys(models)); !slices.Equal(got, tiers()) {
		return "", fmt.Errorf("models: want one for each of %v, got %v", tiers(), got)
	}
	return string(raw), nil
}

// parseModels returns the models of each tier: one, or one and its fallback.
func parseModels(raw string) (map[string][]string, error) {
	var tiers map[string]json.RawMessage
	if err := json.Unmarshal([]byte(raw), &tiers); err != nil {
		return nil, fmt.Errorf("models: %w", err)
	}
	models := make(map[string][]string, len(tiers))
	for tier, text := range tiers {
		var one string
		if json.Unmarshal(text, &one) == nil {
			models[tier] = []string{one}
			continue
		}
		var some []string
		if err := json.Unmarshal(text, &some); err != nil || len(some) == 0 || len(some) > 2 {
			return nil, fmt.Errorf("models: %s: want a model or a list of two, got %s", tier, text)
		}
		models[tier] = some
	}
	return models, nil
}

// readPublishers returns the principals of each product. They are an object in a
// file and a string on the command line.
func readPublishers(v any) (map[string][]string, error) {
	if v == nil {
		return nil, nil //nolint:nilnil // no product has principals of its own.
	}
	raw, isText := v.(string)
	if !isText {
		text, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("publishers: %w", err)
		}
		raw = string(text)
	}
	publishers := map[string][]string{}
	if err := json.Unmarshal([]byte(raw), &publishers); err != nil {
		return nil, fmt.Errorf(`publishers: want a JSON object like {"psa": ["111122223333"]}: %w`, err)
	}
	for _, product := range slices.Sorted(maps.Keys(publishers)) {
		if len(publishers[product]) == 0 {
			return nil, fmt.Errorf("publishers: %s has no principals", product)
		}
		if err := checkPrincipals("publishers: "+product, publishers[product]); err != nil {
			return nil, err
		}
	}
	return publishers, nil
}

func oneOf(key, got string, want ...string) error {
	if slices.Contains(want, got) {
		return nil
	}
	return fmt.Errorf("%s: want one of %v, got %q", key, want, got)
}
