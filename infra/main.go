// Command infra is the CDK app: all AWS resources of One Agents in one stack.
// CDK context configures the environments (see settings); the code knows no
// account or region.
package main

import (
	"cmp"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"theoneagents.app/agents/events"
)

func main() {
	if err := run(events.Files, os.Getenv); err != nil {
		slog.Error("synthesis failed", "err", err)
		os.Exit(1)
	}
}

// defaultRegion is the region when the app runs without the cdk command.
const defaultRegion = "us-east-1"

// run writes the cloud assembly to the folder that the cdk command names.
func run(catalogue fs.FS, getenv func(string) string) error {
	defer jsii.Close()

	app := awscdk.NewApp(nil)
	region := cmp.Or(getenv("CDK_DEFAULT_REGION"), defaultRegion) // the cdk command deploys there
	s, err := readStage(func(key string) any { return app.Node().TryGetContext(jsii.String(key)) }, region)
	if err != nil {
		return fmt.Errorf("read context: %w", err)
	}
	if _, err := newStack(app, s, catalogue); err != nil {
		return fmt.Errorf("declare stack: %w", err)
	}
	app.Synth(nil)
	return nil
}
