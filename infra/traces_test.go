package main

import (
	"slices"
	"testing"

	"theoneagents.app/agents/shared/boot"
)

// exporting returns the template of a stage with a collector of traces.
func exporting(t *testing.T) template {
	t.Helper()
	tmpl, err := synthesize(map[string]any{
		"otlpEndpoint": "https://collector.example:4318", "traceRatio": "0.1", "otlpHeadersSecretName": "one-agents/otlp",
	})
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

func TestOnlyTheFunctionsOfRunsExportTracesAndReadTheirHeaders(t *testing.T) {
	tmpl := exporting(t)
	for _, f := range plan() {
		_, fn := tmpl.named(t, "AWS::Lambda::Function", "FunctionName", "one-agents-"+f.name)
		traced := slices.Contains([]string{dispatcher, runner}, f.name)
		for name, want := range map[string]any{
			boot.EnvTraces: "https://collector.example:4318", boot.EnvTracesRatio: "0.1", boot.EnvTracesHeaders: "one-agents/otlp",
		} {
			if got := dig(fn.Properties, "Environment", "Variables", name); traced && got != want || !traced && got != nil {
				t.Errorf("%s has %s %v", f.name, name, got)
			}
		}
		if reads := slices.Contains(tmpl.actionsOf(t, f.name), "secretsmanager:GetSecretValue"); traced && !reads {
			t.Errorf("%s cannot read the headers", f.name)
		}
	}
}

func TestAStagePaysForOneKindOfTraces(t *testing.T) {
	for name, tc := range map[string]struct {
		tmpl template
		xray bool
	}{"without a collector": {inProduction(t), true}, "with a collector": {exporting(t), false}} {
		for _, f := range plan() {
			_, fn := tc.tmpl.named(t, "AWS::Lambda::Function", "FunctionName", "one-agents-"+f.name)
			if got := dig(fn.Properties, "TracingConfig", "Mode") == "Active"; got != tc.xray {
				t.Errorf("%s: X-Ray traces %s: %v", name, f.name, got)
			}
			if _, exports := dig(fn.Properties, "Environment", "Variables", boot.EnvTraces).(string); exports && tc.xray {
				t.Errorf("%s: %s exports traces too", name, f.name)
			}
		}
		for id, m := range tc.tmpl.of("AWS::StepFunctions::StateMachine") {
			if got := dig(m.Properties, "TracingConfiguration", "Enabled") == true; got != tc.xray {
				t.Errorf("%s: X-Ray traces %s: %v", name, id, got)
			}
		}
	}
}

func TestNoLogLevelHidesTheMetrics(t *testing.T) {
	tmpl, err := synthesize(map[string]any{"logLevel": "WARN"})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range plan() {
		_, fn := tmpl.named(t, "AWS::Lambda::Function", "FunctionName", "one-agents-"+f.name)
		if got := dig(fn.Properties, "LoggingConfig", "ApplicationLogLevel"); got != "TRACE" { // Lambda would drop lines of INFO
			t.Errorf("Lambda drops the lines of %s below %v", f.name, got)
		}
		if got := dig(fn.Properties, "Environment", "Variables", boot.EnvLogLevel); got != "WARN" {
			t.Errorf("%s logs at %v", f.name, got)
		}
	}
}
