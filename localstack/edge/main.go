// Edge stands in, on a developer's machine, for the domain of the console and for the
// Hub's sign-in. On AWS the console's host leads to the API, so that pages and API have
// one origin; in the emulator the API is below a path, and a page at / could not share
// it. Edge listens at that origin and forwards every request to the deployed system.
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
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := run(ctx, os.Args[1:], time.Now, log); err != nil {
		log.ErrorContext(ctx, "edge", "err", err)
		os.Exit(1)
	}
}

// A config holds the flags.
type config struct{ listen, key, outputs, site, mark string }

func parse(args []string) (config, error) {
	var c config
	f := flag.NewFlagSet("edge", flag.ContinueOnError)
	f.StringVar(&c.listen, "listen", "127.0.0.1:4590", "address to listen at")
	f.StringVar(&c.key, "key", ".local/hub.pem", "file with the Hub's key; made if absent")
	f.StringVar(&c.outputs, "outputs", ".local/outputs.json", "file with the address of the API")
	f.StringVar(&c.site, "site", ".local/console/site", "folder with a build of the pages; while it exists, they are served from it instead of the deployed function")
	f.StringVar(&c.mark, "mark", "", "identifies the checkout of this program in GET /_health")
	if err := f.Parse(args); err != nil {
		return c, err
	}
	if f.NArg() > 0 {
		return c, errors.New("wrong arguments: edge takes only flags")
	}
	return c, nil
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, now func() time.Time, log *slog.Logger) error {
	c, err := parse(args)
	if err != nil {
		return err
	}
	key, err := hub.Open(c.key)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.listen)
	if err != nil {
		return err
	}
	log.InfoContext(ctx, "edge", "listen", listener.Addr().String())
	server := &http.Server{Handler: newHandler(c, key, now, log), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
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
