// Command approvals answers the API's requests about approvals.
package main

import (
	"context"
	"net/http"

	"github.com/aws/aws-lambda-go/lambda"

	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/gateway"
	"theoneagents.app/agents/shared/httpapi"
	"theoneagents.app/agents/shared/parts"
)

func main() { boot.Main(run) }

func run(ctx context.Context, getenv boot.Getenv) error {
	handle, err := handler(ctx, getenv)
	if err != nil {
		return err
	}
	lambda.StartWithOptions(handle, lambda.WithContext(ctx))
	return nil
}

func handler(ctx context.Context, getenv boot.Getenv) (gateway.Handler, error) {
	return parts.API(ctx, "approvals", getenv, func(p parts.Parts, env *boot.Env) http.Handler {
		return httpapi.Approvals(p.Approvals(), p.Edge(env))
	})
}
