package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"syscall"

	"theoneagents.app/agents/localstack/local/cloud"
	"theoneagents.app/agents/localstack/local/steps"
)

// The first ports that a new local cloud tries.
const (
	emulatorPort = 4566
	productsPort = 4580
	consolePort  = 4590
)

// portsTried is the number of ports to try.
const portsTried = 100

// A port is the wanted port of a server: a number, 0 for any free port, or
// unset. Unset means the port of the last run, or else the first free port from
// the default on.
type port struct {
	number int
	given  bool
}

// Set reads a port from the command line.
func (p *port) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%q is not a port: a port is a number from 1 to 65535, or 0 for any free port", s)
	}
	p.number, p.given = n, true
	return nil
}

func (p *port) String() string {
	if !p.given {
		return ""
	}
	return strconv.Itoa(p.number)
}

// url returns the address of a given port number, or an empty string.
func (p *port) url() string {
	if !p.given {
		return ""
	}
	return address(p.number)
}

// address returns the URL of a local port, or an empty string for port 0, which
// means any port.
func address(port int) string {
	if port == 0 {
		return ""
	}
	return "http://127.0.0.1:" + strconv.Itoa(port)
}

// hostOf returns host and port of a URL that this program made.
func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	return u.Host
}

// free returns nil when a program could listen at a URL now, and otherwise the
// reason.
func free(ctx context.Context, at string) error {
	if cloud.Open(ctx, at) { // Listen can succeed beside a program that listens at all addresses
		return syscall.EADDRINUSE
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", hostOf(at))
	if err != nil {
		return err
	}
	return l.Close()
}

// anyFree returns the address of a free port.
func anyFree(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer func() { _ = l.Close() }()
	return "http://" + l.Addr().String(), nil
}

// A site describes the addresses that a server may take.
type site struct {
	server string // name of the server
	option string // of make run, for another port
	port   port
	last   string // URL of the last run
	first  int    // first port to try
}

// choose returns a free address, and reports when it is not the expected one.
func (s site) choose(ctx context.Context, report steps.Reporter, occupant func(context.Context, string) string) (string, error) {
	if s.port.given {
		if s.port.number == 0 {
			return anyFree(ctx)
		}
		return s.insist(ctx, occupant)
	}
	if s.last != "" && free(ctx, s.last) == nil {
		return s.last, nil
	}
	wanted := s.first
	if u, err := url.Parse(s.last); err == nil && s.last != "" {
		if n, err := strconv.Atoi(u.Port()); err == nil {
			wanted = n
		}
	}
	for n := wanted; n < wanted+portsTried && n <= 65535; n++ {
		if free(ctx, address(n)) != nil {
			continue
		}
		if n != wanted {
			report.Say("Port %d is taken by %s: using port %d for the %s.", wanted, occupant(ctx, address(wanted)), n, s.server)
		}
		return address(n), nil
	}
	return "", fmt.Errorf("the ports from %d to %d are all taken: choose another one with make run %s=…", wanted, wanted+portsTried-1, s.option)
}

// insist returns the address of the given port if it is free.
func (s site) insist(ctx context.Context, occupant func(context.Context, string) string) (string, error) {
	at := s.port.url()
	err := free(ctx, at)
	switch {
	case err == nil:
		return at, nil
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return "", fmt.Errorf("this user may not listen at port %d: choose one above 1023 with make run %s=…", s.port.number, s.option)
	case errors.Is(err, syscall.EADDRINUSE):
		return "", fmt.Errorf("port %d is taken by %s: end it, or choose another port with make run %s=…", s.port.number, occupant(ctx, at), s.option)
	}
	return "", fmt.Errorf("the %s cannot listen at %s: %w", s.server, at, err)
}

// ports are the addresses of the last run.
type ports struct {
	Emulator string `json:"emulator,omitempty"`
	Products string `json:"products,omitempty"`
	Console  string `json:"console,omitempty"`
}

// lastPorts returns the servers' addresses of the last run; an unreadable record
// counts as none.
func (h home) lastPorts() ports {
	var p ports
	text, err := os.ReadFile(h.ports())
	if err != nil || json.Unmarshal(text, &p) != nil {
		return ports{}
	}
	return p
}

func (h home) rememberPorts(p ports) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return cloud.Replace(h.ports(), text)
}
