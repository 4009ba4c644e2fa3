package main

import (
	"bytes"
	"context"
	"net"
	"strconv"
	"strings"
	"testing"

	"theoneagents.app/agents/localstack/local/steps"
)

// taken returns a busy port. The next port is free most of the time.
func taken(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	n, err := strconv.Atoi(portOf("http://" + l.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// unused returns a free port.
func unused(t *testing.T) int {
	t.Helper()
	at, err := anyFree(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(portOf(at))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func otherEmulator(context.Context, string) string { return "the emulator of /other/.local" }

func TestAServerGetsAPortThatIsFree(t *testing.T) {
	t.Parallel()

	busy, idle := taken(t), unused(t)
	tests := map[string]struct {
		site site
		want string // empty: any but the busy one
		says string
	}{
		"the default":                    {site{first: idle}, address(idle), ""},
		"the port of the last run":       {site{last: address(idle), first: busy}, address(idle), ""},
		"a given port":                   {site{port: port{idle, true}, last: address(busy), first: busy}, address(idle), ""},
		"any free port":                  {site{port: port{0, true}, first: busy}, "", ""},
		"the port after a busy default":  {site{first: busy}, "", "is taken by the emulator of /other/.local"},
		"the port after a busy last one": {site{last: address(busy), first: idle}, "", "is taken by the emulator of /other/.local"},
	}
	for name, test := range tests { // not in parallel, since the cases share the ports
		var said bytes.Buffer
		got, err := test.site.choose(t.Context(), steps.Reporter{Out: &said}, otherEmulator)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got == address(busy) || test.want != "" && got != test.want || free(t.Context(), got) != nil {
			t.Errorf("%s: got %s, want %q", name, got, test.want)
		}
		if !strings.Contains(said.String(), test.says) || test.says == "" && said.Len() > 0 {
			t.Errorf("%s: said %q, want %q", name, &said, test.says)
		}
	}
}

func TestABusyGivenPortIsRefused(t *testing.T) {
	t.Parallel()

	s := site{option: "PORT", port: port{taken(t), true}}
	_, err := s.choose(t.Context(), steps.Reporter{}, otherEmulator)
	if err == nil || !strings.Contains(err.Error(), "/other/.local") || !strings.Contains(err.Error(), "PORT=") {
		t.Errorf("err = %v", err)
	}
}

func TestAPortIsANumber(t *testing.T) {
	t.Parallel()

	for text, good := range map[string]bool{"1": true, "0": true, "65535": true, "65536": false, "-1": false, "x": false, "": false, "4566 ": false} {
		var p port
		if err := p.Set(text); (err == nil) != good || p.given != good {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestPortsAreRemembered(t *testing.T) {
	t.Parallel()

	h := home(t.TempDir())
	if got := h.lastPorts(); got != (ports{}) {
		t.Errorf("at first %+v", got)
	}
	want := ports{Emulator: address(1), Products: address(2), Console: address(3)}
	if err := h.rememberPorts(want); err != nil {
		t.Fatal(err)
	}
	if got := h.lastPorts(); got != want {
		t.Errorf("got %+v", got)
	}
}
