package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSettingsAreReadFromContext(t *testing.T) {
	const certificate = "arn:aws:acm:eu-central-1:111122223333:certificate/0b5d7a1e-0000-4000-8000-000000000000"
	const models = `{"quick":"a","standard":"b","premium":"c","expert":"d"}`
	got, err := readSettings(func(key string) any {
		return map[string]any{
			"productsUrl": "p", "hubJwksUrl": "j", "hubIssuer": "i", "hubAudience": "a", "consoleUrl": "u/", "hubUrl": "hu/", "origins": "o1, o2",
			"allowedHosts": "h", "modelProvider": "openai", "modelEndpoint": "e", "modelKeySecretName": "kn",
			"models": models, "emailSender": "s", "webhookSecretName": "wn", "cursorSecretName": "cn", "callKeySecretName": "cs",
			"stage": "dev", "tableName": "t", "tableStreamArn": streamOf("t"), "protect": "false", "programs": "host", "callIssuer": "ci",
			"rateLimit": "6000", "retentionDays": "190", "backups": "false", "concurrency": "2000", "userRateLimit": "7000", "addressRateLimit": "8000", "architecture": "x86_64", "archive": "false", "logLevel": "DEBUG", "dist": "d", "rollout": "at-once",
			"otlpEndpoint": "https://collector.example:4318/", "traceRatio": "0.25", "otlpHeadersSecretName": "oh",
			"domainName": "agents.msp.example", "certificateArn": certificate, "hostedZoneId": "Z0123456789ABCDEFGHIJ",
			"publishers": `{"psa": ["111122223333"]}`, "operators": "111122223333, 444455556666",
			"canary": "true", "alarms": "true", "alarmEmails": "a@msp.example,b@msp.example", "alarmTopicArn": "arn:aws:sns:eu-central-1:111122223333:oncall",
		}[key]
	}, "eu-central-1")
	if err != nil {
		t.Fatal(err)
	}
	want := settings{
		ProductsURL: "p", JWKS: "j", Issuer: "i", Audience: "a", Console: "u", Hub: "hu", Origins: []string{"o1", "o2", "u"},
		AllowedHosts: "h", Provider: "openai", ModelURL: "e", ModelKey: "kn",
		Models: models, Sender: "s", HookSecret: secret{name: "wn"}, CursorSecret: secret{name: "cn"},
		Stage: "dev", Region: "eu-central-1", Table: "t", Stream: streamOf("t"), Protect: false, Programs: "host",
		CallKey: secret{name: "cs"}, CallIssuer: "ci",
		Retention: 190, RateLimit: 6000, Concurrency: 2000, UserRate: 7000, AddressRate: 8000, Architecture: "x86_64", Archive: false, LogLevel: "DEBUG", Dist: "d", Rollout: "at-once",
		Collector: "https://collector.example:4318", TraceRatio: 0.25, TraceHeaders: "oh",
		Domain: "agents.msp.example", Certificate: certificate, Zone: "Z0123456789ABCDEFGHIJ",
		Publishers: map[string][]string{"psa": {"111122223333"}}, Operators: []string{"111122223333", "444455556666"},
		Canary: true, Alarms: true, AlarmEmails: []string{"a@msp.example", "b@msp.example"}, AlarmTopic: "arn:aws:sns:eu-central-1:111122223333:oncall",
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(secret{})); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

func TestSettingsDefaultToProduction(t *testing.T) {
	got, err := readSettings(func(string) any { return nil }, defaultRegion)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Archive || !got.Backups || !got.Alarms || got.AlarmEmails != nil || got.AlarmTopic != "" || got.Architecture != "arm64" || got.Provider != "bedrock" || got.RateLimit != 100 || got.UserRate != 300 || got.AddressRate != 100 || got.Retention != 400 || got.Concurrency != 1000 || !got.Protect || got.Rollout != "gradual" || got.Programs != "linux" || got.HookSecret != (secret{"one-agents/webhook", true}) {
		t.Errorf("settings = %+v", got)
	}
}

// Pages and API have one origin, and a browser names it with every write.
func TestTheConsoleIsAnOriginAndHasTheHostOfTheAPI(t *testing.T) {
	for name, c := range map[string]struct {
		context map[string]any
		console string
		origins []string
	}{
		"by default":    {nil, "https://console.theoneagents.app", []string{"https://console.theoneagents.app"}},
		"a host":        {map[string]any{"domainName": "agents.msp.example", "certificateArn": "arn:aws:acm:us-east-1:111122223333:certificate/0b5d7a1e"}, "https://agents.msp.example", []string{"https://agents.msp.example"}},
		"other pages":   {map[string]any{"origins": "https://a.example"}, "https://console.theoneagents.app", []string{"https://a.example", "https://console.theoneagents.app"}},
		"its own again": {map[string]any{"consoleUrl": "https://c.example/", "origins": "https://c.example"}, "https://c.example", []string{"https://c.example"}},
	} {
		got, err := readSettings(func(key string) any { return c.context[key] }, defaultRegion)
		if err != nil || got.Console != c.console || !slices.Equal(got.Origins, c.origins) {
			t.Errorf("%s: console %s, origins %v, %v", name, got.Console, got.Origins, err)
		}
	}
}

func TestEveryInvalidSettingIsNamed(t *testing.T) {
	for key, value := range map[string]any{
		"stage": "Dev", "tableStreamArn": "t", "protect": "perhaps", "programs": "all", "archive": "maybe", "backups": "daily", "rateLimit": 0.5, "retentionDays": 29, "userRateLimit": 0, "addressRateLimit": -1, "concurrency": "249", "modelProvider": "cloud", "architecture": "mips", "logLevel": "loud", "rollout": "slow", "domainName": "Agents",
		"otlpEndpoint": "collector:4318", "traceRatio": "1.5",
		"models": `{"quick":"only"}`, "publishers": "*", "operators": "*",
		"alarms": "some", "canary": "sings", "alarmEmails": "ann", "alarmTopicArn": "oncall",
	} {
		_, err := readSettings(func(k string) any {
			if k == key {
				return value
			}
			return nil
		}, defaultRegion)
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s = %v: err = %v", key, value, err)
		}
	}
}

func TestModelsMayComeAsAnObject(t *testing.T) {
	got, err := settings{Provider: bedrock, Region: defaultRegion}.readModels(map[string]any{"quick": "a", "standard": "b", "premium": "c", "expert": "d"})
	if want := `{"expert":"d","premium":"c","quick":"a","standard":"b"}`; err != nil || got != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}
