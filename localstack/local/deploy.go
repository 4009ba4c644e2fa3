package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"theoneagents.app/agents/localstack/local/cloud"
	"theoneagents.app/agents/localstack/local/steps"
)

// A deployment is what was deployed last.
type deployment struct {
	Emulator    string        `json:"emulator"` // which start of which; empty when it is not ours
	Fingerprint string        `json:"fingerprint"`
	Outputs     cloud.Outputs `json:"outputs"`
}

// deploy deploys the system unless that is done, and writes the outputs.
func (h home) deploy(ctx context.Context, w world, report steps.Reporter, e found, products string) (cloud.Outputs, error) {
	app := cloud.App{
		CDK: cdkPath, Root: ".", State: string(h), Endpoint: e.url, Products: products, Environ: w.environ,
	}
	fingerprint, err := app.Fingerprint()
	if err != nil {
		return cloud.Outputs{}, fmt.Errorf("%w: type make build first", err)
	}
	last := h.lastDeployment()
	if last.Emulator == e.birth && last.Fingerprint == fingerprint && cloud.Deployed(ctx, e.url, last.Outputs.Table) {
		report.Say("The system is deployed already.")
		return last.Outputs, last.Outputs.Write(h.outputs())
	}
	// In an emulator that is not ours nobody knows whether CDK was prepared;
	// doing it again does no harm.
	if e.birth == "" || last.Emulator != e.birth {
		if err := report.Do(ctx, "Preparing the emulator for CDK", app.Bootstrap); err != nil {
			return cloud.Outputs{}, err
		}
	}
	now := deployment{Emulator: e.birth, Fingerprint: fingerprint}
	err = report.Do(ctx, "Deploying the system", func(ctx context.Context) error {
		stack, err := app.Deploy(ctx)
		if err != nil {
			return err
		}
		now.Outputs = cloud.NewOutputs(e.url, products, stack)
		return app.Mend(ctx, now.Outputs)
	})
	if err != nil {
		return now.Outputs, err
	}
	return now.Outputs, errors.Join(h.remember(now), now.Outputs.Write(h.outputs()))
}

func (h home) remember(d deployment) error {
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return os.WriteFile(h.deployment(), text, 0o600)
}

// lastDeployment returns what was deployed last; a record that cannot be read
// is as good as none.
func (h home) lastDeployment() deployment {
	text, err := os.ReadFile(h.deployment())
	if err != nil {
		return deployment{}
	}
	var d deployment
	if err := json.Unmarshal(text, &d); err != nil {
		return deployment{}
	}
	return d
}
