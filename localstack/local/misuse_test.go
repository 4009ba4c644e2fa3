package main

import (
	"context"
	"errors"
	"flag"
	"strings"
	"testing"
)

func TestAWrongArgumentIsRefusedWithTheAllowedOnes(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		args []string
		want string
	}{
		"a role":                         {[]string{"token", "-role", "boss"}, "owner, admin, member, viewer"},
		"a form":                         {[]string{"token", "-form", "saml"}, "session, hub"},
		"an organization of a session":   {[]string{"token", "-org", "system"}, `"system" is not an organization id`},
		"a user":                         {[]string{"token", "-user", "a b"}, `"a b" is not a user id`},
		"a lifetime":                     {[]string{"token", "-ttl", "86401"}, "at most 86400 seconds, not 86401"},
		"an access":                      {[]string{"key", "-access", "write"}, "read, read_write"},
		"an organization of a key":       {[]string{"key", "-org", "org_a#b"}, "is not an organization id"},
		"a key without a name":           {[]string{"key", "-name", ""}, "characters, not 0"},
		"a run":                          {[]string{"show", "-run", "run_1"}, "exec_"},
		"an organization of a run":       {[]string{"show", "-org", "acme"}, "is not an organization id"},
		"the run of a trace":             {[]string{"trace", "-run", "run_1"}, "exec_"},
		"no organization":                {[]string{"org"}, "ORG="},
		"a new organization":             {[]string{"org", "-org", "acme"}, "is not an organization id"},
		"a plan":                         {[]string{"org", "-org", "org_a", "-plan", "gold"}, "starter, growth, scale"},
		"a kind of call":                 {[]string{"calls", "-kind", "fax"}, "action, webhook, slack, teams, sms, email"},
		"an organization of calls":       {[]string{"calls", "-org", "x"}, "is not an organization id"},
		"-follow with -json":             {[]string{"calls", "-follow", "-json"}, "exclude each other"},
		"a negative duration":            {[]string{"logs", "-since", "-5m"}, "10m"},
		"an address of an emulator":      {[]string{"up"}, "AWS_ENDPOINT_URL"},
		"no command":                     {[]string{"with"}, "name the command"},
		"an argument that is not a flag": {[]string{"stop", "now"}, `unexpected argument "now"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w, _ := newWorld(t)
			w.getenv = func(string) string { return "nowhere" }
			args := test.args
			if args[0] != "stop" {
				args = append(args[:1:1], append([]string{"-state", t.TempDir()}, args[1:]...)...)
			}
			err := run(t.Context(), w, args)
			if code := exitCode(t.Context(), err); code != exitMisuse || !strings.Contains(err.Error(), test.want) {
				t.Errorf("exit code %d: %v, want %q", code, err, test.want)
			}
		})
	}
}

func TestTheExitCodeTellsFailureMisuseAndInterruptApart(t *testing.T) {
	t.Parallel()

	over, cancel := context.WithCancel(t.Context())
	cancel()
	tests := map[string]struct {
		ctx  context.Context //nolint:containedctx // of a row.
		err  error
		want int
	}{
		"no error":                {t.Context(), nil, 0},
		"no error after a signal": {over, nil, 0},
		"a failure":               {t.Context(), errors.New("no luck"), exitFailed},
		"a misuse":                {t.Context(), misusef("no"), exitMisuse},
		"no command":              {t.Context(), errUsage, exitMisuse},
		"an unknown flag":         {t.Context(), asked(errors.New("flag provided but not defined")), exitMisuse},
		"-h":                      {t.Context(), asked(flag.ErrHelp), 0},
		"Ctrl-C":                  {over, errors.New("signal: killed"), exitInterrupted},
		"Ctrl-C at make run":      {t.Context(), interrupted(home(t.TempDir())), exitInterrupted},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if got := exitCode(test.ctx, test.err); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}
