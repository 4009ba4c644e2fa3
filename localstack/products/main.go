// Products stands in, on a developer's machine, for all external systems: the Hub,
// the products' actions, chat and webhooks, the AI models, and a collector
// of traces. It records every call and serves the records. It keeps its data in memory, and with
// -keep also on disk.
package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"theoneagents.app/agents/localstack/hub"
	"theoneagents.app/agents/localstack/products/callers"
	"theoneagents.app/agents/localstack/products/collector"
	"theoneagents.app/agents/localstack/products/outbox"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := run(ctx, os.Args[1:], time.Now, log); err != nil {
		log.ErrorContext(ctx, "products", "err", err)
		os.Exit(1)
	}
}

// A config holds the flags.
type config struct {
	listen, key, endpoint string
	outputs               string
	keep, mark, traces    string
	limit                 int
}

func parse(args []string) (config, error) {
	var c config
	f := flag.NewFlagSet("products", flag.ContinueOnError)
	f.StringVar(&c.listen, "listen", "127.0.0.1:4580", "address to listen at")
	f.StringVar(&c.key, "key", ".local/hub.pem", "file with the Hub's key; made if absent")
	f.StringVar(&c.endpoint, "endpoint", "", "URL of the AWS emulator, for text messages and e-mails")
	f.StringVar(&c.outputs, "outputs", ".local/outputs.json", "file with the address of the API, whose keys sign the calls of actions")
	f.StringVar(&c.keep, "keep", "", "folder that keeps the data for the next start; without it the data is lost")
	f.StringVar(&c.traces, "traces", "", "folder for the latest spans of traces; without it they are lost")
	f.StringVar(&c.mark, "mark", "", "identifies the checkout of this program in GET /_health")
	f.IntVar(&c.limit, "calls-limit", 50_000, "maximum number of recorded calls")
	if err := f.Parse(args); err != nil {
		return c, err
	}
	if f.NArg() > 0 || c.limit < 1 {
		return c, errors.New("wrong arguments: products takes only flags, and -calls-limit must be positive")
	}
	return c, nil
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, now func() time.Time, log *slog.Logger) (failed error) {
	c, err := parse(args)
	if err != nil {
		return err
	}
	key, err := hub.Open(c.key)
	if err != nil {
		return err
	}
	clock := func() time.Time { return now().UTC() }
	sent := outbox.New(c.endpoint, &http.Client{Timeout: 10 * time.Second}, clock)
	from := &callers.Callers{Outputs: c.outputs, HTTP: &http.Client{Timeout: 10 * time.Second}, Now: clock}
	w := newWorld(sent, from, clock, c.limit, log)
	w.mark = c.mark
	if c.traces != "" {
		if err := os.MkdirAll(c.traces, 0o700); err != nil {
			return err
		}
		w.traces = collector.New(filepath.Join(c.traces, "spans.jsonl"), collector.MaxFile)
	}
	handler, err := w.handler(key)
	if err != nil {
		return err
	}
	if c.keep != "" {
		k, err := w.keep(c.keep)
		if err != nil {
			return err
		}
		defer func() { failed = errors.Join(failed, k.close()) }()
		go k.run(ctx, now)
		handler = k.watch(handler)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.listen)
	if err != nil {
		return err
	}
	log.InfoContext(ctx, "products", "listen", listener.Addr().String(), "kid", key.ID())
	return serve(ctx, listener, handler)
}

// serve answers requests until ctx ends. That also ends the delays of open
// requests; serve then waits for their answers.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		stopped <- server.Shutdown(grace)
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}
