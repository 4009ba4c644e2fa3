package main

import (
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"time"

	"theoneagents.app/agents/localstack/hub"
	"theoneagents.app/agents/localstack/local/cloud"
	"theoneagents.app/agents/localstack/products/reply"
	"theoneagents.app/agents/shared/console"
)

// hubPath is where the stand-in of the Hub is.
const hubPath = "/hub"

// newHandler returns the handler of the whole origin.
func newHandler(c config, key *hub.Key, now func() time.Time, log *slog.Logger) http.Handler {
	health := map[string]string{"status": "ok"}
	if c.mark != "" {
		health["stack"] = c.mark
	}
	s := signIn{key: key, now: now, log: log}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_health", func(w http.ResponseWriter, _ *http.Request) { reply.JSON(w, http.StatusOK, health) })
	mux.HandleFunc("GET "+hubPath+"/sign-in", s.form)
	mux.Handle("POST "+hubPath+"/sign-in", http.NewCrossOriginProtection().Handler(http.HandlerFunc(s.enter)))
	mux.HandleFunc("GET "+hubPath+"/sign-out", s.leave)
	mux.Handle("/", pages(c.site, log, forward(c.outputs, log)))
	return mux
}

// pages serves the console from a folder while it exists. Everything else, and
// otherwise the console too, goes to next.
func pages(folder string, log *slog.Logger, next http.Handler) http.Handler {
	fromDisk := console.Handler(os.DirFS(folder), console.Settings{
		Hub: hubPath, Log: log, RequestID: func(*http.Request) string { return "" },
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if console.IsPage(r.URL.Path) || strings.HasPrefix(r.URL.Path, "/assets/") {
			if _, err := os.Stat(folder); err == nil {
				fromDisk.ServeHTTP(w, r)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// forward sends every request to the API that the outputs name at that time: a new
// deployment may have another address.
func forward(outputs string, log *slog.Logger) http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			if api, err := apiOf(outputs); err == nil {
				r.SetURL(api)
			}
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			log.WarnContext(r.Context(), "forward", "path", r.URL.Path, "err", err)
			reply.Error(w, http.StatusBadGateway, "the API does not answer: make run starts it")
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := apiOf(outputs); err != nil {
			reply.Error(w, http.StatusBadGateway, "no local cloud runs here: type make run first")
			return
		}
		proxy.ServeHTTP(w, r)
	})
}

func apiOf(outputs string) (*url.URL, error) {
	o, err := cloud.ReadOutputs(outputs)
	if err != nil {
		return nil, err
	}
	return url.Parse(o.API)
}
