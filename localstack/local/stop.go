package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"

	"theoneagents.app/agents/localstack/local/cloud"
	"theoneagents.app/agents/localstack/local/proc"
)

func stop(ctx context.Context, w world, args []string) error {
	f, state := flags(w, "stop")
	if err := f.Parse(args); err != nil {
		return err
	}
	h := home(*state)
	release, err := h.lock()
	if err != nil {
		return err
	}
	defer release()
	return h.stop(ctx, w)
}

// reset forgets the local data: what ran, and what it left in the state folder.
// What make installed and built stays.
func reset(ctx context.Context, w world, args []string) error {
	f, state := flags(w, "reset")
	if err := f.Parse(args); err != nil {
		return err
	}
	h := home(*state)
	release, err := h.lock()
	if err != nil {
		return err
	}
	defer release()
	if err := h.stop(ctx, w); err != nil {
		return err
	}
	for _, left := range []string{
		h.outputs(), h.deployment(), h.hubKey(), h.path("stack.json"), h.path("emulator"), h.path("logs"), h.path("cdk.out"),
	} {
		if err := os.RemoveAll(left); err != nil {
			return err
		}
	}
	w.say("The local data is forgotten.")
	return nil
}

// stop ends what we started and says so.
func (h home) stop(ctx context.Context, w world) error {
	o, _ := h.readOutputs() // none is fine
	ended, err := end(ctx, h)
	if err != nil {
		return err
	}
	if len(ended) == 0 {
		w.say("Nothing that make run started is running.")
	} else {
		w.say("Ended the %s.", strings.Join(ended, " and the "))
	}
	if o.Endpoint != "" && cloud.Look(ctx, w.http, o.Endpoint) == cloud.Emulator {
		w.say("The emulator at %s was there before make run, so it and its data stay.", o.Endpoint)
	}
	return nil
}

// end ends the servers and returns the names of those that ran. The outputs go
// with them: they would lead nowhere.
func end(ctx context.Context, h home) ([]string, error) {
	var ended []string
	var errs []error
	for _, s := range []struct{ name, record string }{{"products", h.products()}, {"emulator", h.emulator()}} {
		was, err := proc.Stop(ctx, s.record)
		if was {
			ended = append(ended, s.name)
		}
		errs = append(errs, err)
	}
	if err := os.Remove(h.outputs()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		errs = append(errs, err)
	}
	return ended, errors.Join(errs...)
}
