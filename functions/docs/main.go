// Command docs serves the API's contract and the documentation, from the folder site
// beside it, without authentication. It answers every path without an endpoint too.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/gateway"
	"theoneagents.app/agents/shared/httpapi"
	"theoneagents.app/agents/shared/limit"
)

// codeFolder is set by Lambda: the folder with the files of the function.
const codeFolder = "LAMBDA_TASK_ROOT"

func main() { boot.Main(run) }

func run(ctx context.Context, getenv boot.Getenv) error {
	handle, err := handler(getenv)
	if err != nil {
		return err
	}
	lambda.StartWithOptions(handle, lambda.WithContext(ctx))
	return nil
}

func handler(getenv boot.Getenv) (gateway.Handler, error) {
	env := boot.NewEnv(getenv)
	strangers := &limit.Addresses{Limit: env.Count(boot.EnvAddressRateLimit), Now: time.Now}
	folder, level := env.Need(codeFolder), env.LogLevel()
	if err := env.Err(); err != nil {
		return nil, err
	}
	return gateway.Handle(httpapi.Documents(httpapi.Edge{
		Log: boot.Logger("docs", level), RequestID: gateway.RequestID, Address: gateway.Address, Now: time.Now,
		Strangers: strangers,
	}, os.DirFS(folder+"/site"))), nil
}
