package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"theoneagents.app/agents/localstack/local/cloud"
	"theoneagents.app/agents/localstack/local/proc"
)

func stop(ctx context.Context, w world, args []string) error {
	f, state := flags(w, "stop")
	if err := parse(f, args); err != nil {
		return err
	}
	h := home(*state)
	release, err := h.lock()
	if err != nil {
		return err
	}
	defer release()
	return h.stop(ctx, w, true)
}

// reset stops the local cloud and deletes its data. Installed tools and built
// programs stay.
func reset(ctx context.Context, w world, args []string) error {
	f, state := flags(w, "reset")
	if err := parse(f, args); err != nil {
		return err
	}
	h := home(*state)
	release, err := h.lock()
	if err != nil {
		return err
	}
	defer release()
	if err := h.stop(ctx, w, false); err != nil {
		return err
	}
	for _, left := range []string{
		h.outputs(), h.deployment(), h.hubKey(), h.rootKey(), h.ports(), h.path("stack.json"),
		h.emulatorData(), h.productsData(), h.traces(), h.path("logs"), h.path("cdk.out"),
	} {
		if err := os.RemoveAll(left); err != nil {
			return h.denied(err)
		}
	}
	w.say("The local data is deleted.")
	return nil
}

// stop ends the servers that make run started and prints their names.
func (h home) stop(ctx context.Context, w world, keep bool) error {
	o, failed := cloud.ReadOutputs(h.outputs())
	ended, err := end(ctx, h)
	if err != nil {
		return err
	}
	if len(ended) == 0 {
		w.say("No server of make run is running.")
	} else {
		w.say("Stopped the %s.", listed(ended))
	}
	if failed == nil && o.Mark == "" {
		if answer, _ := cloud.Look(ctx, w.http, o.Endpoint); answer == cloud.Emulator {
			w.say("The emulator at %s keeps running with its data: make run did not start it.", o.Endpoint)
		}
	}
	if !keep || len(ended) == 0 {
		return nil
	}
	return h.sayKept(w)
}

// sayKept prints which data the next make run continues with.
func (h home) sayKept(w world) error {
	switch last := h.lastKept(); {
	case h.kept() && !last.IsZero():
		w.say("The data is kept in %s: make run continues with it, make reset deletes it.", h.emulatorData())
	case !h.kept() && last.IsZero():
		return errors.New("the emulator could not save its data, so the next make run starts empty: " + h.why())
	case !h.kept():
		return errors.New("the emulator could not save its newest data, so the next make run continues with the snapshot of " +
			last.Local().Format(time.DateTime) + ": " + h.why())
	}
	return nil
}

// why returns the emulator's last log line about saving its data.
func (h home) why() string {
	text, err := os.ReadFile(h.log("emulator"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for _, line := range slices.Backward(lines) {
		if why, ok := strings.CutPrefix(line, "keep: "); ok {
			return why
		}
	}
	return "it ended before it had saved everything, see " + h.log("emulator")
}

// end ends the servers and returns the names of the servers that ran. It also
// finds servers without a record, left by a killed make run. The emulator ends
// before the products, since a run that found none would fail. The outputs are removed,
// since no server answers at their addresses any more.
func end(ctx context.Context, h home) ([]string, error) {
	var ended []string
	var errs []error
	for _, s := range []struct{ name, record, data string }{
		{"console", h.console(), h.consoleData()}, {"emulator", h.emulator(), h.emulatorData()}, {"products", h.products(), h.productsData()},
	} {
		was, err := h.end(ctx, s.record)
		if p, held := proc.Holder(server{data: s.data}.marker()); err == nil && held {
			was, err = true, p.End(ctx, endTimeout)
		}
		if was {
			ended = append(ended, s.name)
		}
		errs = append(errs, err)
	}
	if err := os.Remove(h.outputs()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		errs = append(errs, err)
	}
	return ended, errors.Join(errs...)
}
