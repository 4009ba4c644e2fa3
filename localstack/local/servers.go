package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"theoneagents.app/agents/localstack/local/cloud"
	"theoneagents.app/agents/localstack/local/steps"
)

// Where the programs are that make installs and builds.
const (
	pythonPath   = ".local/venv/bin/python"
	launcherPath = "localstack/launcher/launch.py"
	patchesPath  = "localstack/launcher/patches.py"
	pinsPath     = "localstack/requirements.txt"
	productsPath = ".local/bin/products"
	cdkPath      = ".local/tools/node_modules/.bin/cdk"
)

// A found is the emulator to use.
type found struct {
	url   string
	birth string // tells this start of it from others; empty when it is not ours
}

// emulator finds an emulator or starts one.
func (p plan) emulator(ctx context.Context, w world, report steps.Reporter) (found, error) {
	want, err := p.endpoint()
	if err != nil {
		return found{}, err
	}
	version, err := digest(launcherPath, patchesPath, pinsPath)
	if err != nil {
		return found{}, err
	}
	s := server{
		name: "emulator", record: p.home.emulator(), log: p.home.log("emulator"), version: version, env: w.environ,
		args: func(url string) []string {
			_, port, _ := strings.Cut(strings.TrimPrefix(url, "http://"), ":")
			return []string{pythonPath, "-B", launcherPath, "--port", port, "--state", p.home.path("emulator")}
		},
		healthy: func(ctx context.Context, url string) bool {
			return cloud.Look(ctx, w.http, url) == cloud.Emulator
		},
	}
	process, running, err := s.running(ctx, report, want)
	if err != nil || running {
		return found{process.Address, process.Birth}, err
	}
	if want, err = or(ctx, want); err != nil {
		return found{}, err
	}
	switch cloud.Look(ctx, w.http, want) {
	case cloud.Emulator:
		report.Say("Using the emulator that already answers at %s; make stop will leave it alone.", want)
		return found{url: want}, nil
	case cloud.Stranger:
		return found{}, fmt.Errorf("something that is no AWS emulator answers at %s: end it, or choose another port with make run PORT=…", want)
	case cloud.Nobody:
	}
	if err := isLocal(want); err != nil {
		return found{}, err
	}
	process, err = s.start(ctx, report, want)
	return found{want, process.Birth}, err
}

// endpoint returns where the emulator is or shall be.
func (p plan) endpoint() (string, error) {
	if p.elsewhere == "" {
		return address(p.port), nil
	}
	u, err := url.Parse(p.elsewhere)
	if err != nil || u.Scheme != "http" || u.Port() == "" || strings.Trim(u.Path, "/") != "" {
		return "", fmt.Errorf("AWS_ENDPOINT_URL is %q, not the address of an emulator like http://127.0.0.1:4566: correct it or unset it", p.elsewhere)
	}
	return "http://" + u.Host, nil
}

// isLocal returns an error unless a program of ours could listen at raw.
func isLocal(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return err
	}
	if host := u.Hostname(); host == "localhost" || net.ParseIP(host).IsLoopback() {
		return nil
	}
	return fmt.Errorf("nothing answers at %s: start the emulator there, or unset AWS_ENDPOINT_URL to have one started here", raw)
}

// products finds the stand-ins or starts them, and returns their URL.
func (p plan) products(ctx context.Context, w world, report steps.Reporter, endpoint string) (string, error) {
	version, err := digest(productsPath)
	if err != nil {
		return "", err
	}
	s := server{
		name: "products", record: p.home.products(), log: p.home.log("products"), version: version + " " + endpoint,
		env: cloud.Environment(w.environ, endpoint),
		args: func(url string) []string {
			return []string{productsPath, "-listen", strings.TrimPrefix(url, "http://"), "-key", p.home.hubKey(), "-endpoint", endpoint}
		},
		healthy: func(ctx context.Context, url string) bool {
			return api{base: url, http: w.http}.call(ctx, http.MethodGet, "/_health", nil, nil) == nil
		},
	}
	want := address(p.productsPort)
	process, running, err := s.running(ctx, report, want)
	if err != nil || running {
		return process.Address, err
	}
	if want, err = or(ctx, want); err != nil {
		return "", err
	}
	if cloud.Open(ctx, want) {
		return "", fmt.Errorf("something else answers at %s, where the products should: end it, or choose another port with make run PRODUCTS_PORT=…", want)
	}
	_, err = s.start(ctx, report, want)
	return want, err
}
