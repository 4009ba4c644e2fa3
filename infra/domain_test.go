package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const certificateOfTests = "arn:aws:acm:us-east-1:111122223333:certificate/0b5d7a1e-0000-4000-8000-000000000000"

func TestTheAPIHasItsOwnHostAndNoOther(t *testing.T) {
	tmpl := inContext(t, map[string]any{
		"domainName": "agents.msp.example", "certificateArn": certificateOfTests, "hostedZoneId": "Z0123456789ABCDEFGHIJ",
	})
	_, api := tmpl.named(t, "AWS::ApiGatewayV2::Api", "Name", "one-agents")
	if api.Properties["DisableExecuteApiEndpoint"] != true {
		t.Error("the API answers at API Gateway's own host too")
	}
	id, domain := tmpl.named(t, "AWS::ApiGatewayV2::DomainName", "DomainName", "agents.msp.example")
	want := []any{map[string]any{"CertificateArn": certificateOfTests, "EndpointType": "REGIONAL", "SecurityPolicy": "TLS_1_2"}}
	if diff := cmp.Diff(any(want), domain.Properties["DomainNameConfigurations"]); diff != "" {
		t.Errorf("domain (-want +got)\n%s", diff)
	}
	for _, m := range tmpl.of("AWS::ApiGatewayV2::ApiMapping") {
		if m.Properties["ApiMappingKey"] != nil || dig(m.Properties, "DomainName", "Ref") != id {
			t.Errorf("the host leads to %s", dump(m.Properties))
		}
	}
	_, record := tmpl.named(t, "AWS::Route53::RecordSet", "Name", "agents.msp.example")
	if target := dump(record.Properties["AliasTarget"]); !strings.Contains(target, "RegionalDomainName") || !strings.Contains(target, "RegionalHostedZoneId") {
		t.Errorf("the record leads to %s", target)
	}
	if got := dig(tmpl.Outputs["ApiEndpoint"], "Value"); got != "https://agents.msp.example" {
		t.Errorf("ApiEndpoint is %v", got)
	}
	if tmpl.Outputs["ApiDomainTarget"] == nil {
		t.Error("no output names the target of a record in another DNS")
	}
}

func TestWithoutADomainTheAPIAnswersAtTheHostOfAPIGateway(t *testing.T) {
	tmpl := inProduction(t)
	_, api := tmpl.named(t, "AWS::ApiGatewayV2::Api", "Name", "one-agents")
	if api.Properties["DisableExecuteApiEndpoint"] == true || len(tmpl.of("AWS::ApiGatewayV2::DomainName")) != 0 {
		t.Error("the API has a domain, or answers nowhere")
	}
}

func TestADomainThatCannotBeMadeIsRefused(t *testing.T) {
	for want, context := range map[string]map[string]any{
		"domainName: want":     {"domainName": "https://agents.msp.example", "certificateArn": certificateOfTests},
		"certificateArn: want": {"domainName": "agents.msp.example", "certificateArn": strings.Replace(certificateOfTests, "us-east-1", "eu-west-1", 1)},
		"hostedZoneId: want":   {"domainName": "agents.msp.example", "certificateArn": certificateOfTests, "hostedZoneId": "msp.example"},
		"without it":           {"certificateArn": certificateOfTests},
	} {
		if _, err := synthesize(context); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", context, err, want)
		}
	}
}
