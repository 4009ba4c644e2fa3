package parts

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/oklog/ulid/v2"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/gateway"
	"theoneagents.app/agents/shared/httpapi"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/key"
	"theoneagents.app/agents/shared/limit"
	"theoneagents.app/agents/shared/session"
	"theoneagents.app/agents/shared/template"
)

// keysTimeout is how long the Hub may take to send its signing keys.
const keysTimeout = 5 * time.Second

// Edge returns what every group of endpoints needs: who asks, how often they
// may, and how cursors are signed.
func (p Parts) Edge(env *boot.Env) httpapi.Edge {
	cursor := sha256.Sum256([]byte(env.Need(boot.EnvCursorSecret)))
	return httpapi.Edge{
		Auth: &httpapi.Auth{
			Sessions: &session.Verifier{
				Keys:   &session.Keys{URL: env.Need(boot.EnvJWKS), Client: &http.Client{Timeout: keysTimeout}, Now: p.Now},
				Issuer: env.Need(boot.EnvIssuer), Audience: env.Need(boot.EnvAudience), Now: p.Now,
				Revoked: p.Store.Revoked,
			},
			Keys: p.Store, Tenants: p.Store, Origins: env.List(boot.EnvOrigins),
		},
		Limits: &limit.Limiter{Store: p.Store, Limit: env.Count(boot.EnvRateLimit), Now: p.Now, Report: boot.Reporter(p.Log)},
		Log:    p.Log, RequestID: gateway.RequestID, Now: p.Now, CursorKey: cursor[:],
	}
}

// API opens the parts of a group of endpoints and returns its Lambda handler. It
// fails when the environment lacks what the group asks of it.
func API(ctx context.Context, name string, getenv boot.Getenv, group func(Parts, *boot.Env) http.Handler) (gateway.Handler, error) {
	env := boot.NewEnv(getenv)
	p, err := Open(ctx, name, env)
	if err != nil {
		return nil, err
	}
	handler := gateway.Handle(group(p, env))
	return Metered(p, route, handler), env.Err()
}

// route says which endpoint an invocation is about.
func route(in events.APIGatewayV2HTTPRequest) slog.Attr {
	return slog.String("route", in.RouteKey)
}

// Agents returns the service of agents.
func (p Parts) Agents() *agent.Service {
	return &agent.Service{
		Store: p.Store, Plans: p.Store, Runs: p.Executions(), Rules: p.Rules, System: p.System, Now: p.Now,
		NewID: func() id.Agent { return id.Agent("agent_" + ulid.Make().String()) },
	}
}

// Templates returns the service of templates, which reads them when they are
// first asked for.
func (p Parts) Templates() *template.Service {
	return &template.Service{
		Agents: p.Agents(),
		All:    sync.OnceValues(func() ([]template.Template, error) { return template.Load(template.Files, p.Rules) }),
	}
}

// Approvals returns the service of approvals.
func (p Parts) Approvals() *approval.Service {
	return &approval.Service{Store: p.Store, Doorbell: p.Doorbell, Now: p.Now}
}

// Keys returns the service of keys.
func (p Parts) Keys(env *boot.Env) *key.Service {
	return &key.Service{
		Store: p.Store, Now: p.Now, Random: random, Master: master(env),
		NewID: func() id.Key { return id.Key("key_" + ulid.Make().String()) },
	}
}
