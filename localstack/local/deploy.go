package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/oklog/ulid/v2"

	"theoneagents.app/agents/localstack/hub"
	"theoneagents.app/agents/localstack/local/cloud"
	"theoneagents.app/agents/localstack/local/steps"
)

// A deployment records the last deployment.
type deployment struct {
	ID          string            `json:"id"` // also a tag in the emulator that has it
	Fingerprint string            `json:"fingerprint"`
	Stack       map[string]string `json:"stack"` // outputs of the CDK app
}

// deploy deploys the system unless it is up to date, verifies it and writes the
// outputs.
func (h home) deploy(ctx context.Context, w world, report steps.Reporter, e foundEmulator, stands cloud.Stands) (cloud.Outputs, error) {
	// The file is like the Hub's key: made at the first start, kept until make reset.
	key, err := hub.Open(h.rootKey())
	if err != nil {
		return cloud.Outputs{}, h.denied(err)
	}
	root, err := key.DER()
	if err != nil {
		return cloud.Outputs{}, err
	}
	app := cloud.App{
		CDK: cdkPath, Root: ".", State: string(h), Endpoint: e.url, Stands: stands, Environ: w.environ, RootKey: root,
	}
	fingerprint, err := app.Fingerprint()
	if err != nil {
		return cloud.Outputs{}, fmt.Errorf("%w: type make build first", err)
	}
	if err := app.PutSecrets(ctx); err != nil {
		return cloud.Outputs{}, err
	}
	mark := ""
	if e.ours {
		mark = h.mark()
	}
	last := h.lastDeployment()
	o := cloud.NewOutputs(e.url, mark, stands, last.Stack)
	if last.ID != "" && last.Fingerprint == fingerprint && cloud.Deployment(ctx, o) == last.ID && h.verify(ctx, w, o) == nil {
		report.Say("The deployed system is up to date.")
		return o, o.Write(h.outputs())
	}
	if !cloud.Bootstrapped(ctx, e.url) {
		if err := report.Do(ctx, "Preparing the emulator for CDK", app.Bootstrap); err != nil {
			return cloud.Outputs{}, err
		}
	}
	now := deployment{ID: ulid.Make().String(), Fingerprint: fingerprint}
	err = report.Do(ctx, "Deploying the system", func(ctx context.Context) error {
		if now.Stack, err = app.Deploy(ctx); err != nil {
			return err
		}
		o = cloud.NewOutputs(e.url, mark, stands, now.Stack)
		if err := app.Mend(ctx, o); err != nil {
			return err
		}
		if err := h.verify(ctx, w, o); err != nil {
			return fmt.Errorf("CDK has deployed the system, but its check failed: %w", err)
		}
		return cloud.Sign(ctx, o, now.ID)
	})
	if err != nil {
		return o, err
	}
	return o, errors.Join(h.remember(now), o.Write(h.outputs()))
}

// verify returns an error unless all parts of the system exist and the API
// accepts a session of the Hub. A 403 counts as accepted: the API checks the
// session first, and then may not know its organization yet.
func (h home) verify(ctx context.Context, w world, o cloud.Outputs) error {
	if err := cloud.Check(ctx, o); err != nil {
		return err
	}
	owner, err := w.as(h, o, demoOrg)
	if err != nil {
		return err
	}
	err = owner.known(ctx)
	if r, ok := errors.AsType[*refusal](err); ok && r.Status == http.StatusForbidden {
		return nil
	}
	return err
}

func (h home) remember(d deployment) error {
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return cloud.Replace(h.deployment(), text)
}

// lastDeployment returns the recorded deployment; an unreadable record counts as
// none.
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
