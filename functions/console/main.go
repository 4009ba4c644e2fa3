// Command console serves the pages that people see, from the folder site beside it. It
// has no table, no secret and no permission.
package main

import (
	"context"
	"net/http"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/console"
	"theoneagents.app/agents/shared/gateway"
)

// codeFolder is set by Lambda: the folder with the files of the function.
const codeFolder = "LAMBDA_TASK_ROOT"

func main() { boot.Main(run) }

func run(ctx context.Context, getenv boot.Getenv) error {
	env := boot.NewEnv(getenv)
	folder, hub, level := env.Need(codeFolder), env.Need(boot.EnvHub), env.LogLevel()
	if err := env.Err(); err != nil {
		return err
	}
	handler := console.Handler(os.DirFS(folder+"/site"), console.Settings{
		Hub: hub, Log: boot.Logger("console", level),
		RequestID: func(r *http.Request) string { return gateway.RequestID(r.Context()) },
	})
	lambda.StartWithOptions(gateway.Handle(handler), lambda.WithContext(ctx))
	return nil
}
