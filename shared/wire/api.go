package wire

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/backtest"
	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/callkey"
	"theoneagents.app/agents/shared/gateway"
	"theoneagents.app/agents/shared/httpapi"
	"theoneagents.app/agents/shared/limit"
	"theoneagents.app/agents/shared/session"
	"theoneagents.app/agents/shared/tenant"
)

// groups returns the API's functions by name, each with the endpoints that it
// answers.
func groups() map[string]func(*Wire) http.Handler {
	return map[string]func(*Wire) http.Handler{
		"agents": func(w *Wire) http.Handler {
			return httpapi.Agents(w.Agents(), w.Templates(), w.Store(), w.Stage(), w.edge())
		},
		"approvals": func(w *Wire) http.Handler { return httpapi.Approvals(w.Approvals(), w.Names(), w.Catalog(), w.edge()) },
		"audit":     func(w *Wire) http.Handler { return httpapi.Audit(&audit.Service{Store: w.Store()}, w.edge()) },
		"credits": func(w *Wire) http.Handler {
			return httpapi.Credits(w.Store(), w.Store(), w.Store(), w.Quotas(), w.edge())
		},
		"events": func(w *Wire) http.Handler { return httpapi.Events(w.Catalog(), w.Explanations(), w.edge()) },
		"executions": func(w *Wire) http.Handler {
			return httpapi.Executions(w.Executions(), w.Names(), w.Catalog(), w.edge())
		},
		"jobs": func(w *Wire) http.Handler {
			jobs := w.Jobs()
			return httpapi.Jobs(jobs, &backtest.Service{Store: w.Store(), Jobs: jobs, Now: w.Now}, w.Agents(), w.edge())
		},
		"keys":  func(w *Wire) http.Handler { return httpapi.Keys(w.Keys(), w.edge()) },
		"pause": func(w *Wire) http.Handler { return httpapi.Pause(w.Pauses(w.Machine()), w.edge()) },
		"settings": func(w *Wire) http.Handler {
			return httpapi.Settings(&tenant.SettingsService{Store: w.Store(), Now: w.Now}, w.env.Count(boot.EnvRetention), w.edge())
		},
	}
}

// Serve returns the program of the API function with this name.
func Serve(name string) Program {
	return Start(name, handlerOf(name), route)
}

// handlerOf returns the constructor of a group's handler.
func handlerOf(name string) func(*Wire) gateway.Handler {
	return func(w *Wire) gateway.Handler {
		group, ok := groups()[name]
		if !ok {
			w.env.Fault("function", fmt.Errorf("there is no group of endpoints %q", name))
			return nil
		}
		return gateway.Handle(group(w))
	}
}

// route returns the endpoint of an invocation, for the log.
func route(in events.APIGatewayV2HTTPRequest) slog.Attr {
	return slog.String("route", in.RouteKey)
}

// ServeCallKeys returns the program of the function that serves the public halves of
// the keys of calls, without authentication.
func ServeCallKeys() Program {
	return Start("jwks", showsCallKeys, route)
}

func showsCallKeys(w *Wire) gateway.Handler {
	return gateway.Handle(httpapi.CallKeys(w.openEdge(), w.callKeySet()))
}

// openEdge returns the parts that endpoints without authentication need.
func (w *Wire) openEdge() httpapi.Edge {
	return httpapi.Edge{
		Strangers: &limit.Addresses{Limit: w.env.Count(boot.EnvAddressRateLimit), Now: w.Now},
		Log:       w.Log, RequestID: gateway.RequestID, Address: gateway.Address, Now: w.Now,
	}
}

// callKeySet returns the public halves of the keys of calls.
func (w *Wire) callKeySet() []byte {
	keys := w.callKeys()
	if w.env.Err() != nil {
		return nil
	}
	set, err := callkey.Set(keys...)
	w.env.Fault(boot.EnvCallKey, err)
	return set
}

// keysTimeout bounds a download of the Hub's signing keys.
const keysTimeout = 5 * time.Second

// edge returns the parts that every group of endpoints needs: authentication,
// rate limit and the signing of cursors.
func (w *Wire) edge() httpapi.Edge {
	secret := w.needSecret(boot.EnvCursorSecret)
	cursor, old := sha256.Sum256([]byte(secret.Current)), []byte(nil)
	if secret.Previous != "" {
		sum := sha256.Sum256([]byte(secret.Previous))
		old = sum[:]
	}
	return httpapi.Edge{
		Auth: &httpapi.Auth{
			Sessions: &session.Verifier{
				Keys:   &session.Keys{URL: w.env.Need(boot.EnvJWKS), Client: &http.Client{Timeout: keysTimeout}, Now: w.Now},
				Issuer: w.env.Need(boot.EnvIssuer), Audience: w.env.Need(boot.EnvAudience), Now: w.Now,
			},
			Keys: w.Store(), Orgs: w.Store(), Origins: w.env.List(boot.EnvOrigins),
			Now: w.Now, Report: w.Report,
		},
		Limits: &limit.Limiter{
			Store: w.Store(), Rates: limit.Rates{User: w.env.Count(boot.EnvUserRateLimit), Keys: w.env.Count(boot.EnvRateLimit)},
			Now: w.Now, Report: w.Report,
		},
		Strangers: &limit.Addresses{Limit: w.env.Count(boot.EnvAddressRateLimit), Now: w.Now},
		Log:       w.Log, RequestID: gateway.RequestID, Address: gateway.Address, Now: w.Now, CursorKey: cursor[:], OldCursorKey: old,
	}
}
