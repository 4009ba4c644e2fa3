// Command docs serves the API's contract without authentication, and answers
// every path without an endpoint.
package main

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/gateway"
	"theoneagents.app/agents/shared/httpapi"
)

func main() { boot.Main(run) }

func run(ctx context.Context, _ boot.Getenv) error {
	lambda.StartWithOptions(handler(), lambda.WithContext(ctx))
	return nil
}

func handler() gateway.Handler {
	return gateway.Handle(httpapi.Documents(httpapi.Edge{
		Log: boot.Logger("docs"), RequestID: gateway.RequestID, Address: gateway.Address, Now: time.Now,
	}))
}
