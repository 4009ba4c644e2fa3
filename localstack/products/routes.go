package main

import (
	"log/slog"
	"net/http"
	"slices"
	"time"

	"theoneagents.app/agents/localstack/hub"
	"theoneagents.app/agents/localstack/products/collector"
	"theoneagents.app/agents/localstack/products/desk"
	"theoneagents.app/agents/localstack/products/journal"
	"theoneagents.app/agents/localstack/products/model"
	"theoneagents.app/agents/localstack/products/outbox"
	"theoneagents.app/agents/localstack/products/reply"
)

// maxBytes is the approximate limit of recorded calls, and of the model's calls.
const maxBytes = 128 << 20

// A world has all stand-ins and their records.
type world struct {
	calls  *journal.Log[journal.Call]
	outbox *outbox.Outbox
	desk   *desk.Desk
	model  *model.Model
	traces *collector.Collector
	log    *slog.Logger
	mark   string // identifies the checkout
}

// newWorld returns a world that keeps at most limit entries of each kind.
func newWorld(sent *outbox.Outbox, from desk.Callers, now func() time.Time, limit int, log *slog.Logger) *world {
	calls := journal.New[journal.Call](limit, maxBytes)
	return &world{
		calls: calls, outbox: sent, log: log, traces: collector.New("", 0),
		desk:  desk.New(calls, from, now, limit),
		model: model.New(journal.New[model.Call](limit, maxBytes), now),
	}
}

// newHandler returns the handler of all stand-ins, which keeps at most limit
// entries of each kind.
func newHandler(key *hub.Key, sent *outbox.Outbox, from desk.Callers, now func() time.Time, limit int, log *slog.Logger) (http.Handler, error) {
	return newWorld(sent, from, now, limit, log).handler(key)
}

// handler returns the handler of all stand-ins.
func (o *world) handler(key *hub.Key) (http.Handler, error) {
	jwks, err := key.JWKS()
	if err != nil {
		return nil, err
	}
	health := map[string]string{"status": "ok"}
	if o.mark != "" {
		health["stack"] = o.mark
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_health", func(w http.ResponseWriter, _ *http.Request) {
		reply.JSON(w, http.StatusOK, health)
	})
	mux.HandleFunc("GET /hub/jwks.json", func(w http.ResponseWriter, _ *http.Request) {
		reply.Raw(w, http.StatusOK, "application/json", jwks)
	})
	mux.HandleFunc("GET /_calls", o.list)
	mux.HandleFunc("DELETE /_calls", o.forget)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		reply.Error(w, http.StatusNotFound, "no route for "+r.Method+" "+r.URL.Path)
	})
	o.desk.Mount(mux)
	o.model.Mount(mux)
	o.traces.Mount(mux)
	return mux, nil
}

// of returns the filter for r's parameter org_id; without it, all calls pass.
func of(r *http.Request) func(journal.Call) bool {
	org := r.URL.Query().Get("org_id")
	return func(c journal.Call) bool { return org == "" || c.Org == org }
}

// list answers with all calls in order of time.
func (o *world) list(w http.ResponseWriter, r *http.Request) {
	mine := of(r)
	calls := o.calls.List(mine)
	sent, err := o.outbox.List(r.Context())
	if err != nil {
		o.fail(w, r, err)
		return
	}
	for _, c := range sent {
		if mine(c) {
			calls = append(calls, c)
		}
	}
	slices.SortStableFunc(calls, func(a, b journal.Call) int { return a.At.Compare(b.At) })
	reply.JSON(w, http.StatusOK, map[string][]journal.Call{"calls": calls})
}

// forget removes all recorded calls up to now.
func (o *world) forget(w http.ResponseWriter, r *http.Request) {
	o.calls.Forget(of(r))
	if err := o.outbox.Forget(r.Context(), of(r)); err != nil {
		o.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (o *world) fail(w http.ResponseWriter, r *http.Request, err error) {
	o.log.WarnContext(r.Context(), "emulator", "err", err)
	reply.Error(w, http.StatusBadGateway, err.Error())
}
