// Products stands in, on a developer's machine, for all that the platform finds
// outside itself: the Hub, the console, the products' actions, chat and webhooks,
// and the AI models. It keeps everything in memory, and on disk where -keep says
// so, and shows what reached it.
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
	"syscall"
	"time"

	"theoneagents.app/agents/localstack/hub"
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

// A config is what the command line says.
type config struct {
	listen, key, endpoint string
	keep, mark            string
	limit                 int
}

func parse(args []string) (config, error) {
	var c config
	f := flag.NewFlagSet("products", flag.ContinueOnError)
	f.StringVar(&c.listen, "listen", "127.0.0.1:4580", "address to listen at")
	f.StringVar(&c.key, "key", ".local/hub.pem", "file with the Hub's key; made if absent")
	f.StringVar(&c.endpoint, "endpoint", "", "URL of the AWS emulator, for text messages and e-mails")
	f.StringVar(&c.keep, "keep", "", "folder in which everything is kept for the next start; without it everything is forgotten")
	f.StringVar(&c.mark, "mark", "", "what GET /_health says: whose they are")
	f.IntVar(&c.limit, "calls-limit", 50_000, "how many calls are kept")
	if err := f.Parse(args); err != nil {
		return c, err
	}
	if f.NArg() > 0 || c.limit < 1 {
		return c, errors.New("products takes flags only, and a positive -calls-limit")
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
	w := newWorld(sent, clock, c.limit, log)
	w.mark = c.mark
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

// serve answers requests until ctx ends, which ends the delays of those under
// way too, and then lets them finish.
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
