package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"theoneagents.app/agents/localstack/local/cloud"
	"theoneagents.app/agents/localstack/local/steps"
)

// A plan describes the local cloud to start.
type plan struct {
	home         home
	port         port   // of the emulator
	productsPort port   // of the stand-ins
	consolePort  port   // of the console
	elsewhere    string // URL of an emulator to use instead, if one answers there
	keep         bool   // the data outlives the servers
}

func up(ctx context.Context, w world, args []string) error {
	f, state := flags(w, "up")
	p := plan{elsewhere: w.getenv("AWS_ENDPOINT_URL"), keep: true}
	f.Var(&p.port, "port", "port of the emulator, 0 for any free port; default: the port of the last run, or the first free port from 4566 on")
	f.Var(&p.productsPort, "products-port", "port of the products, 0 for any free port; default: the port of the last run, or the first free port from 4580 on")
	f.Var(&p.consolePort, "console-port", "port of the console, 0 for any free port; default: the port of the last run, or the first free port from 4590 on")
	quiet := f.Bool("quiet", false, "print no progress")
	noDemo := f.Bool("no-demo", false, "do not publish the demonstration event")
	if err := parse(f, args); err != nil {
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
	if err == nil && !*noDemo {
		err = demo(ctx, w, report, p.home, o)
	}
	if err != nil && ctx.Err() != nil {
		return interrupted(p.home)
	}
	if err != nil || *noDemo {
		return err
	}
	report.Say("Ready after %.1f s. The system keeps running; make stop stops it and keeps its data.", w.now().Sub(began).Seconds())
	return nil
}

// listed joins names of servers: "emulator, the products and the console".
func listed(names []string) string {
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", the ") + " and the " + names[last]
}

// errInterrupted says that a signal ended the command.
var errInterrupted = errors.New("Interrupted.") //nolint:revive,staticcheck // printed as it is.

// interrupted returns the error of an interrupted make run. It names the servers
// that keep running.
func interrupted(h home) error {
	var left []string
	for _, s := range []struct{ name, record string }{{"emulator", h.emulator()}, {"products", h.products()}, {"console", h.console()}} {
		if _, alive := h.find(s.record); alive {
			left = append(left, s.name)
		}
	}
	switch len(left) {
	case 0:
		return fmt.Errorf("%w No server keeps running; make run starts again", errInterrupted)
	case 1:
		return fmt.Errorf("%w The %s keeps running: make run continues, make stop stops it", errInterrupted, left[0])
	}
	return fmt.Errorf("%w The %s keep running: make run continues, make stop stops them", errInterrupted, listed(left))
}

// with starts a local cloud of its own, runs a command against it, and always
// stops the cloud afterwards. With -bare the cloud is an emulator without the
// system and its products.
func with(ctx context.Context, w world, args []string) (err error) {
	f, state := flags(w, "with")
	p := plan{port: port{given: true}, productsPort: port{given: true}, consolePort: port{given: true}}
	f.Var(&p.port, "port", "port of the emulator; 0 takes a free one")
	f.Var(&p.productsPort, "products-port", "port of the products; 0 takes a free one")
	bare := f.Bool("bare", false, "start only the emulator, and deploy nothing")
	if err := f.Parse(args); err != nil {
		return asked(err)
	}
	if f.NArg() == 0 {
		return misusef("local with: name the command to run")
	}
	p.home = home(*state)
	release, err := p.home.lock()
	if err != nil {
		return err
	}
	defer release()

	if _, err := end(ctx, p.home); err != nil { // ends servers that a killed command left running
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		_, failed := end(ctx, p.home)
		err = errors.Join(err, failed)
	}()
	if *bare {
		e, err := p.emulator(ctx, w, w.report(false))
		if err != nil {
			return err
		}
		return w.command(ctx, f.Args(), cloud.Environment(w.environ, e.url))
	}
	o, err := start(ctx, w, w.report(false), p)
	if err != nil {
		return err
	}
	file, err := filepath.Abs(p.home.outputs())
	if err != nil {
		return err
	}
	return w.command(ctx, f.Args(), append(cloud.Environment(w.environ, o.Endpoint), "LOCAL_OUTPUTS="+file))
}

// command runs a command in an environment with the local cloud's addresses.
func (w world) command(ctx context.Context, args, env []string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...) //nolint:gosec // the operator's command.
	cmd.Env = append(env, "INTEGRATION=must")
	cmd.Stdout, cmd.Stderr = w.out, w.err
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return nil
}

// start starts the servers that do not run, and deploys the system unless it is
// up to date.
func start(ctx context.Context, w world, report steps.Reporter, p plan) (cloud.Outputs, error) {
	e, err := p.emulator(ctx, w, report)
	if err != nil {
		return cloud.Outputs{}, err
	}
	products, err := p.products(ctx, w, report, e.url)
	if err != nil {
		return cloud.Outputs{}, err
	}
	console, err := p.console(ctx, w, report)
	if err != nil {
		return cloud.Outputs{}, err
	}
	now := ports{Products: products, Console: console}
	if e.ours {
		now.Emulator = e.url
	}
	if err := p.home.rememberPorts(now); err != nil {
		return cloud.Outputs{}, err
	}
	return p.home.deploy(ctx, w, report, e, cloud.Stands{Products: products, Console: console})
}

func (w world) report(quiet bool) steps.Reporter {
	if quiet {
		return steps.Reporter{Out: io.Discard, Now: w.now}
	}
	return steps.Reporter{Out: w.out, Now: w.now}
}
