package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/oklog/ulid/v2"

	"theoneagents.app/agents/localstack/local/cloud"
	"theoneagents.app/agents/localstack/local/steps"
)

// A deployment is what was deployed last.
type deployment struct {
	ID          string            `json:"id"` // the emulator that has it knows it too
	Fingerprint string            `json:"fingerprint"`
	Stack       map[string]string `json:"stack"` // outputs of the CDK app
}

// deploy deploys the system unless that is done, makes sure that it is there,
// and writes the outputs.
func (h home) deploy(ctx context.Context, w world, report steps.Reporter, e found, products string) (cloud.Outputs, error) {
	app := cloud.App{
		CDK: cdkPath, Root: ".", State: string(h), Endpoint: e.url, Products: products, Environ: w.environ,
	}
	fingerprint, err := app.Fingerprint()
	if err != nil {
		return cloud.Outputs{}, fmt.Errorf("%w: type make build first", err)
	}
	mark := ""
	if e.ours {
		mark = h.mark()
	}
	last := h.lastDeployment()
	o := cloud.NewOutputs(e.url, mark, products, last.Stack)
	if last.ID != "" && last.Fingerprint == fingerprint && cloud.Deployment(ctx, o) == last.ID && h.verify(ctx, w, o) == nil {
		report.Say("The system is deployed already.")
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
		o = cloud.NewOutputs(e.url, mark, products, now.Stack)
		if err := app.Mend(ctx, o); err != nil {
			return err
		}
		if err := h.verify(ctx, w, o); err != nil {
			return fmt.Errorf("CDK has deployed the system, but it is not whole: %w", err)
		}
		return cloud.Sign(ctx, o, now.ID)
	})
	if err != nil {
		return o, err
	}
	return o, errors.Join(h.remember(now), o.Write(h.outputs()))
}

// verify returns an error unless the parts of the system are there and the API
// knows a session of the Hub. The organization of the session may be unknown
// yet: the API refuses it with 403 only after it has checked the session.
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
