package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// settings differ between stages. Each is a key of the CDK context; a missing one
// has the value for production. Secrets are given by their names in Secrets Manager
// alone: the functions read them when they start.
type settings struct {
	Stage        string   // stage: part of every name; only the local cloud has none
	Region       string   // of the stack, as the CDK command knows it
	Table        string   // tableName: an existing table instead of the stack's own
	Stream       string   // tableStreamArn: of the stream of that table
	Protect      bool     // protect: whether table and stack refuse to be deleted
	ProductsURL  string   // productsUrl: base URL of the products' action endpoints
	JWKS         string   // hubJwksUrl: the Hub's signing keys
	Issuer       string   // hubIssuer
	Audience     string   // hubAudience
	Hub          string   // hubUrl: base URL of the Hub, where people sign in and out
	Console      string   // consoleUrl: base URL of the console, to which messages link
	Origins      []string // origins: web pages that may call the API with a cookie; the console is always among them
	AllowedHosts string   // allowedHosts: private host:port that may be called
	Provider     string   // modelProvider: "bedrock" or "openai"
	ModelURL     string   // modelEndpoint
	ModelKey     string   // modelKeySecretName; empty without one
	Models       string   // models: a JSON object, tier → model id, or a list of a model and its fallback
	Sender       string   // emailSender
	HookSecret   secret   // webhookSecretName; by default the stack makes the secret
	CursorSecret secret   // cursorSecretName, the same
	CallKey      secret   // callKeySecretName, the same
	Generation   string   // secretsGeneration: another text starts all functions anew
	CallIssuer   string   // callIssuer: the iss of the tokens of calls of products
	RateLimit    int      // rateLimit: requests a minute of all keys of an organization
	UserRate     int      // userRateLimit: requests a minute of a person
	AddressRate  int      // addressRateLimit: requests a minute of an address without a caller
	Retention    int      // retentionDays: for which a run is kept after its end
	Architecture string   // architecture: "arm64" or "x86_64"
	Archive      bool     // archive: whether the bus keeps its events
	Backups      bool     // backups: whether AWS Backup copies the table every day
	Canary       bool     // canary: whether the canary runs; only prod has it by default
	Alarms       bool     // alarms: whether there are alarms and a dashboard
	AlarmEmails  []string // alarmEmails: addresses that get every alarm
	AlarmTopic   string   // alarmTopicArn: an existing topic that gets the alarms of severity page
	Collector    string   // otlpEndpoint: URL of a collector of traces, without /v1/traces; empty without one
	TraceRatio   float64  // traceRatio: the part of the traces that is recorded, from 0 to 1
	TraceHeaders string   // otlpHeadersSecretName: the secret with the headers of the exports; empty without any
	Domain       string   // domainName: the API's own host; empty without one
	Certificate  string   // certificateArn: of that host, in the region of the stack
	Zone         string   // hostedZoneId: the zone of Route 53 that gets the host's record; empty for another DNS
	Rollout      string   // rollout: "gradual", "at-once", or "unversioned" in a local cloud
	LogLevel     string   // logLevel: TRACE, DEBUG, INFO, WARN, ERROR or FATAL
	Dist         string   // dist: folder of the built programs
	Programs     string   // programs: "linux", or "host" in a local cloud

	// Publishers are the principals that may publish the events of a product:
	// publishers, a JSON object, product → principals.
	Publishers map[string][]string

	// Concurrency is that of the account, of which each function has a part:
	// concurrency.
	Concurrency concurrency

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

	prodStage = "prod"

	linuxPrograms = "linux"
	hostPrograms  = "host"
)

// stageName matches the name of a stage. Roles have names of at most 64 characters.
var stageName = regexp.MustCompile(`^[a-z][a-z0-9]{0,11}$`)

// prefix returns the name of the stack, which begins the names of its resources.
func (s settings) prefix() string {
	if s.Stage == "" {
		return product
	}
	return product + "-" + s.Stage
}

// namespace returns the CloudWatch namespace of the metrics of the functions.
func (s settings) namespace() string {
	if s.Stage == "" {
		return "OneAgents"
	}
	return "OneAgents/" + s.Stage
}

// readSettings reads the context. Its error names every invalid setting.
func readSettings(get func(key string) any, region string) (settings, error) {
	text := func(key, otherwise string) string {
		if v, ok := get(key).(string); ok {
			return v
		}
		return otherwise
	}
	stage := text("stage", "")
	vault := func(key, name string) secret {
		if given := text(key, ""); given != "" {
			return secret{name: given}
		}
		return secret{name: settings{Stage: stage}.prefix() + "/" + name, made: true}
	}
	s := settings{
		Stage: stage, Region: region, Table: text("tableName", ""), Stream: text("tableStreamArn", ""), Programs: text("programs", linuxPrograms),
		ProductsURL:  text("productsUrl", "https://products.theoneagents.app"),
		JWKS:         text("hubJwksUrl", "https://hub.theoneagents.app/.well-known/jwks.json"),
		Issuer:       text("hubIssuer", "https://hub.theoneagents.app"),
		Audience:     text("hubAudience", "one-agents"),
		Hub:          strings.TrimRight(text("hubUrl", "https://hub.theoneagents.app"), "/"),
		Origins:      list(text("origins", "")),
		AllowedHosts: text("allowedHosts", ""),
		Provider:     text("modelProvider", bedrock),
		ModelURL:     text("modelEndpoint", ""),
		ModelKey:     text("modelKeySecretName", ""),
		Sender:       text("emailSender", "agents@theoneagents.app"),
		HookSecret:   vault("webhookSecretName", "webhook"),
		CursorSecret: vault("cursorSecretName", "cursor"),
		CallKey:      vault("callKeySecretName", "call-key"),
		Generation:   text("secretsGeneration", ""),
		CallIssuer:   text("callIssuer", "https://agents.theoneagents.app"),
		Architecture: text("architecture", arm64),
		Domain:       text("domainName", ""),
		Certificate:  text("certificateArn", ""),
		Zone:         text("hostedZoneId", ""),
		Rollout:      text("rollout", gradual),
		LogLevel:     text("logLevel", "INFO"),
		Collector:    strings.TrimRight(text("otlpEndpoint", ""), "/"),
		TraceHeaders: text("otlpHeadersSecretName", ""),
		Dist:         text("dist", "dist"),
	}
	s.Console = strings.TrimRight(text("consoleUrl", s.consoleHost()), "/")
	if !slices.Contains(s.Origins, s.Console) {
		s.Origins = append(s.Origins, s.Console)
	}
	s.AlarmEmails, s.AlarmTopic = list(text("alarmEmails", "")), text("alarmTopicArn", "")
	var archive, protect, alarms, runs, rate, user, address, parallel, models, publishers, ratio error
	s.Archive, archive = flag("archive", get("archive"), true)
	s.Canary, runs = flag("canary", get("canary"), stage == prodStage)
	s.Alarms, alarms = flag("alarms", get("alarms"), true)
	s.Protect, protect = flag("protect", get("protect"), true)
	s.RateLimit, rate = count("rateLimit", get("rateLimit"), 100)
	s.UserRate, user = count("userRateLimit", get("userRateLimit"), 300)
	s.AddressRate, address = count("addressRateLimit", get("addressRateLimit"), 100)
	s.Concurrency, parallel = readConcurrency(get("concurrency"))
	s.TraceRatio, ratio = part("traceRatio", get("traceRatio"), 1)
	var retention, backups error
	s.Backups, backups = flag("backups", get("backups"), true)
	s.Retention, retention = days("retentionDays", get("retentionDays"), 400, minRetention, maxRetention)
	s.Models, models = s.readModels(get("models"))
	s.Publishers, publishers = readPublishers(get("publishers"))
	s.Operators = list(text("operators", ""))
	operators := checkPrincipals("operators", s.Operators)
	if len(s.Operators) == 0 {
		s.Operators = []string{thisAccount}
	}
	return s, errors.Join(checkStage(stage), archive, protect, alarms, runs, rate, user, address, parallel, models, publishers, operators, ratio,
		checkTable(s), checkAlarms(s), checkRollout(s), checkDomain(s), checkCollector(s.Collector), retention, backups,
		oneOf("modelProvider", s.Provider, bedrock, openai),
		oneOf("architecture", s.Architecture, arm64, x8664),
		oneOf("programs", s.Programs, linuxPrograms, hostPrograms),
		oneOf("logLevel", s.LogLevel, "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"))
}

// consoleHost returns the address of the console without a setting: the API's own host
// serves it too.
func (s settings) consoleHost() string {
	if s.Domain != "" {
		return "https://" + s.Domain
	}
	return "https://console.theoneagents.app"
}

var (
	emailAddress = regexp.MustCompile(`^[^\s@,]+@[^\s@,]+\.[^\s@,]+$`)
	topicARN     = regexp.MustCompile(`^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]+$`)
)

// checkTable refuses a table without its stream, without which no statistics would be
// summed.
func checkTable(s settings) error {
	_, rest, _ := strings.Cut(s.Stream, ":table/")
	of, label, _ := strings.Cut(rest, "/stream/")
	switch {
	case s.Table == "" && s.Stream == "", s.Table != "" && of == s.Table && label != "":
		return nil
	case s.Table == "":
		return errors.New("tableStreamArn: it belongs to tableName, which is missing: give both or none")
	}
	return fmt.Errorf("tableStreamArn: want the ARN of the stream of %s, which aws dynamodb describe-table shows as LatestStreamArn, got %q", s.Table, s.Stream)
}

// checkAlarms refuses recipients of alarms that SNS would not reach.
func checkAlarms(s settings) error {
	var faults []error
	for _, address := range s.AlarmEmails {
		if !emailAddress.MatchString(address) {
			faults = append(faults, fmt.Errorf("alarmEmails: %q is not an e-mail address: give addresses with commas between them", address))
		}
	}
	if s.AlarmTopic != "" && !topicARN.MatchString(s.AlarmTopic) {
		faults = append(faults, fmt.Errorf("alarmTopicArn: want the ARN of a topic, such as arn:aws:sns:eu-central-1:111122223333:oncall, got %q", s.AlarmTopic))
	}
	if len(s.AlarmEmails) > 0 && !s.Alarms {
		faults = append(faults, errors.New("alarmEmails: no alarm sends a message while alarms is false: leave one of the two settings out"))
	}
	return errors.Join(faults...)
}

func checkStage(stage string) error {
	if stage == "" || stageName.MatchString(stage) {
		return nil
	}
	return fmt.Errorf("stage: want up to 12 small letters and digits, a letter first, such as dev, got %q", stage)
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
func flag(key string, v any, otherwise bool) (bool, error) {
	switch v {
	case nil:
		return otherwise, nil
	case true, "true":
		return true, nil
	case false, "false":
		return false, nil
	}
	return false, fmt.Errorf("%s: want true or false, got %v", key, v)
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

// part reads a number from 0 to 1, which is a string when it comes from the command
// line.
func part(key string, v any, otherwise float64) (float64, error) {
	if v == nil {
		return otherwise, nil
	}
	text := fmt.Sprint(v)
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n >= 0 && n <= 1) {
		return 0, fmt.Errorf("%s: want a number from 0 to 1, got %q", key, text)
	}
	return n, nil
}

func checkCollector(endpoint string) error {
	u, err := url.Parse(endpoint)
	if endpoint == "" || err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil && u.RawQuery == "" {
		return nil
	}
	return fmt.Errorf("otlpEndpoint: want a URL like https://collector.msp.example:4318, got %q", endpoint)
}

// readConcurrency reads the concurrency of the account, which may be 0.
func readConcurrency(v any) (concurrency, error) {
	if v != nil && fmt.Sprint(v) == "0" {
		return 0, nil
	}
	n, err := count("concurrency", v, accountConcurrency)
	if err != nil {
		return 0, err
	}
	return concurrency(n), concurrency(n).check()
}

// The bounds of retentionDays. The EU's AI Act asks for half a year of logs of uses of
// high risk.
const (
	minRetention = 30
	maxRetention = 3650
)

// days reads a number of days within bounds.
func days(key string, v any, otherwise, least, most int) (int, error) {
	n, err := count(key, v, otherwise)
	if err == nil && (n < least || n > most) {
		err = fmt.Errorf("%s: want %d to %d days, got %d", key, least, most, n)
	}
	return n, err
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
