package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"theoneagents.app/agents/localstack/local/cloud"
	"theoneagents.app/agents/localstack/local/steps"
)

// A plan says which local cloud is wanted.
type plan struct {
	home         home
	port         int    // of the emulator
	productsPort int    // of the stand-ins
	elsewhere    string // URL of an emulator to use instead, if one answers there
}

func up(ctx context.Context, w world, args []string) error {
	f, state := flags(w, "up")
	p := plan{elsewhere: w.getenv("AWS_ENDPOINT_URL")}
	f.IntVar(&p.port, "port", 4566, "port of the emulator; 0 takes a free one")
	f.IntVar(&p.productsPort, "products-port", 4580, "port of the products; 0 takes a free one")
	quiet := f.Bool("quiet", false, "print no progress")
	noDemo := f.Bool("no-demo", false, "publish no first event")
	if err := f.Parse(args); err != nil {
		return err
	}
	p.home = home(*state)
	release, err := p.home.lock()
	if err != nil {
		return err
	}
	defer release()

	began, report := w.now(), w.report(*quiet)
	o, err := start(ctx, w, report, p)
	if err != nil || *noDemo {
		return err
	}
	if err := demo(ctx, w, report, p.home, o); err != nil {
		return err
	}
	report.Say("Ready after %.1f s, and it keeps running: make stop ends it.", w.now().Sub(began).Seconds())
	return nil
}

// with brings up a local cloud of its own, runs a command beside it, and always
// ends the cloud again.
func with(ctx context.Context, w world, args []string) (err error) {
	f, state := flags(w, "with")
	var p plan
	f.IntVar(&p.port, "port", 0, "port of the emulator; 0 takes a free one")
	f.IntVar(&p.productsPort, "products-port", 0, "port of the products; 0 takes a free one")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() == 0 {
		return errors.New("local with: name the command to run")
	}
	p.home = home(*state)
	release, err := p.home.lock()
	if err != nil {
		return err
	}
	defer release()

	if _, err := end(ctx, p.home); err != nil { // what one that was killed left behind
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		_, failed := end(ctx, p.home)
		err = errors.Join(err, failed)
	}()
	if _, err := start(ctx, w, w.report(false), p); err != nil {
		return err
	}
	return w.command(ctx, p.home, f.Args())
}

// command runs a command that finds the local cloud by its environment.
func (w world) command(ctx context.Context, h home, args []string) error {
	o, err := h.readOutputs()
	if err != nil {
		return err
	}
	file, err := filepath.Abs(h.outputs())
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...) //nolint:gosec // the operator's command.
	cmd.Env = append(cloud.Environment(w.environ, o.Endpoint), "LOCAL_OUTPUTS="+file, "INTEGRATION=must")
	cmd.Stdout, cmd.Stderr = w.out, w.err
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return nil
}

// start does what is not done yet.
func start(ctx context.Context, w world, report steps.Reporter, p plan) (cloud.Outputs, error) {
	e, err := p.emulator(ctx, w, report)
	if err != nil {
		return cloud.Outputs{}, err
	}
	products, err := p.products(ctx, w, report, e.url)
	if err != nil {
		return cloud.Outputs{}, err
	}
	return p.home.deploy(ctx, w, report, e, products)
}

func (w world) report(quiet bool) steps.Reporter {
	if quiet {
		return steps.Reporter{Out: io.Discard, Now: w.now}
	}
	return steps.Reporter{Out: w.out, Now: w.now}
}
