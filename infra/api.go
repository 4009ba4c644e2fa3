package main

import (
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2integrations"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/jsii-runtime-go"
)

// newAPI declares the HTTP API. Its routes only select a function, which serves
// all paths below its routes and authenticates the caller. All other paths go
// to docs, so that API Gateway never answers with an error format of its own.
func newAPI(stack awscdk.Stack, s settings, f *factory) awsapigatewayv2.HttpApi {
	api := awsapigatewayv2.NewHttpApi(stack, jsii.String("Api"), &awsapigatewayv2.HttpApiProps{
		ApiName:            jsii.String(prefix(stack)),
		CorsPreflight:      cors(s.Origins),
		DefaultIntegration: integration(docs, f.live(docs)),
		// Requests to API Gateway's own host would pass by the firewall of the domain.
		DisableExecuteApiEndpoint: jsii.Bool(s.Domain != ""),
	})
	bound(stack, api)
	if s.Domain != "" {
		newDomain(stack, s, api)
	}
	for _, p := range plan() {
		to := integration(p.name, f.live(p.name))
		for _, path := range p.paths() {
			api.AddRoutes(&awsapigatewayv2.AddRoutesOptions{
				Path:        jsii.String(path),
				Methods:     &[]awsapigatewayv2.HttpMethod{awsapigatewayv2.HttpMethod_ANY},
				Integration: to,
			})
		}
	}
	return api
}

// The bounds of the whole API: requests a second, and in one burst. Beyond them API
// Gateway refuses a request before it costs an invocation.
const (
	stageRate  = 500
	stageBurst = 1000
)

// bound gives the API's stage its bounds and its log.
func bound(stack awscdk.Stack, api awsapigatewayv2.HttpApi) {
	// The prefix keeps the policy of the log's delivery within its size.
	log := awslogs.NewLogGroup(stack, jsii.String("AccessLog"), &awslogs.LogGroupProps{
		LogGroupName:  jsii.String("/aws/vendedlogs/" + *named(stack, "access")),
		Retention:     awslogs.RetentionDays_ONE_MONTH,
		RemovalPolicy: awscdk.RemovalPolicy_DESTROY,
	})
	stage, ok := api.DefaultStage().Node().DefaultChild().(awsapigatewayv2.CfnStage)
	if !ok {
		panic("infra: the API has no stage of its own")
	}
	stage.SetDefaultRouteSettings(&awsapigatewayv2.CfnStage_RouteSettingsProperty{
		ThrottlingRateLimit: jsii.Number(stageRate), ThrottlingBurstLimit: jsii.Number(stageBurst),
	})
	stage.SetAccessLogSettings(&awsapigatewayv2.CfnStage_AccessLogSettingsProperty{
		DestinationArn: log.LogGroupArn(), Format: jsii.String(accessFormat()),
	})
}

// accessFormat returns the format of a line of the access log. It has no path, query
// or header, which may hold secrets; the function's log has the route and the
// caller of the same request.
func accessFormat() string {
	var fields []string
	for _, f := range [][2]string{
		{"request_id", "requestId"},
		{"at", "requestTimeEpoch"},
		{"source", "identity.sourceIp"},
		{"method", "httpMethod"},
		{"route", "routeKey"},
		{"status", "status"},
		{"bytes", "responseLength"},
		{"latency_ms", "responseLatency"},
		{"integration_ms", "integrationLatency"},
		{"error", "error.responseType"},
	} {
		fields = append(fields, fmt.Sprintf(`"%s":"$context.%s"`, f[0], f[1]))
	}
	return "{" + strings.Join(fields, ",") + "}"
}

// integration connects a route to a function. Each route keeps its own
// permission, as by default: one for the whole API would not match the default
// route, whose ARN has no path.
func integration(name string, fn awslambda.IFunction) awsapigatewayv2integrations.HttpLambdaIntegration {
	return awsapigatewayv2integrations.NewHttpLambdaIntegration(jsii.String("Integration-"+name), fn,
		&awsapigatewayv2integrations.HttpLambdaIntegrationProps{
			PayloadFormatVersion: awsapigatewayv2.PayloadFormatVersion_VERSION_2_0(),
		})
}

// cors lets our own pages call the API with their cookie. API Gateway then
// answers every OPTIONS request itself.
func cors(origins []string) *awsapigatewayv2.CorsPreflightOptions {
	return &awsapigatewayv2.CorsPreflightOptions{
		AllowOrigins:     jsii.Strings(origins...),
		AllowCredentials: jsii.Bool(true),
		AllowMethods: &[]awsapigatewayv2.CorsHttpMethod{
			awsapigatewayv2.CorsHttpMethod_GET, awsapigatewayv2.CorsHttpMethod_POST,
			awsapigatewayv2.CorsHttpMethod_PUT, awsapigatewayv2.CorsHttpMethod_PATCH,
			awsapigatewayv2.CorsHttpMethod_DELETE,
		},
		AllowHeaders: jsii.Strings("authorization", "content-type", "if-match", "if-none-match", "x-integration-key"),
		ExposeHeaders: jsii.Strings("etag", "retry-after",
			"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"),
		MaxAge: awscdk.Duration_Hours(jsii.Number(1)),
	}
}
