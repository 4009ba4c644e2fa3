package main

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/jsii-runtime-go"
)

var (
	hostName       = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$`)
	certificateARN = regexp.MustCompile(`^arn:aws[a-z-]*:acm:([a-z0-9-]+):\d{12}:certificate/[a-f0-9-]+$`)
	zoneID         = regexp.MustCompile(`^Z[A-Z0-9]{1,31}$`)
)

// checkDomain refuses a domain that a deployment could not make.
func checkDomain(s settings) error {
	if s.Domain == "" {
		if s.Certificate != "" || s.Zone != "" {
			return errors.New("domainName: certificateArn or hostedZoneId is set without it")
		}
		return nil
	}
	var faults []error
	if !hostName.MatchString(s.Domain) {
		faults = append(faults, fmt.Errorf("domainName: want a host in small letters, such as agents.msp.example, got %q", s.Domain))
	}
	if c := certificateARN.FindStringSubmatch(s.Certificate); c == nil || c[1] != s.Region {
		faults = append(faults, fmt.Errorf("certificateArn: want the ARN of a certificate of ACM in %s for %s, got %q", s.Region, s.Domain, s.Certificate))
	}
	if s.Zone != "" && !zoneID.MatchString(s.Zone) {
		faults = append(faults, fmt.Errorf("hostedZoneId: want the id of a zone of Route 53, such as Z0123456789ABCDEFGHIJ, got %q", s.Zone))
	}
	return errors.Join(faults...)
}

// newDomain gives the API a host of its own. The output ApiDomainTarget is the host to which
// its DNS record leads; in a zone of Route 53 the stack makes that record.
func newDomain(stack awscdk.Stack, s settings, api awsapigatewayv2.HttpApi) {
	domain := awsapigatewayv2.NewCfnDomainName(stack, jsii.String("Domain"), &awsapigatewayv2.CfnDomainNameProps{
		DomainName: jsii.String(s.Domain),
		DomainNameConfigurations: []any{awsapigatewayv2.CfnDomainName_DomainNameConfigurationProperty{
			CertificateArn: jsii.String(s.Certificate), EndpointType: jsii.String("REGIONAL"), SecurityPolicy: jsii.String("TLS_1_2"),
		}},
	})
	awsapigatewayv2.NewCfnApiMapping(stack, jsii.String("DomainMapping"), &awsapigatewayv2.CfnApiMappingProps{
		ApiId: api.ApiId(), DomainName: domain.Ref(), Stage: api.DefaultStage().StageName(),
	})
	awscdk.NewCfnOutput(stack, jsii.String("ApiDomainTarget"), &awscdk.CfnOutputProps{Value: domain.AttrRegionalDomainName()})
	if s.Zone == "" {
		return
	}
	awscdk.NewCfnResource(stack, jsii.String("DomainRecord"), &awscdk.CfnResourceProps{
		Type: jsii.String("AWS::Route53::RecordSet"),
		Properties: &map[string]any{
			"HostedZoneId": s.Zone, "Name": s.Domain, "Type": "A",
			"AliasTarget": map[string]any{"DNSName": domain.AttrRegionalDomainName(), "HostedZoneId": domain.AttrRegionalHostedZoneId()},
		},
	})
}

// endpoint returns the base URL of the API.
func endpoint(s settings, api awsapigatewayv2.HttpApi) *string {
	if s.Domain != "" {
		return jsii.String("https://" + s.Domain)
	}
	return api.ApiEndpoint()
}
