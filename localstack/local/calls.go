package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"theoneagents.app/agents/localstack/local/cloud"
	"theoneagents.app/agents/localstack/products/journal"
)

// callWidth is the number of characters shown of a call's content.
const callWidth = 120

// lookEvery is the polling interval for new calls.
const lookEvery = 500 * time.Millisecond

// calls prints the calls to products, webhooks, chat, SMS and e-mail.
func calls(ctx context.Context, w world, args []string) error {
	f, state := flags(w, "calls")
	org := f.String("org", "", "only calls of this organization")
	kind := f.String("kind", "", "only calls of this kind")
	asJSON := f.Bool("json", false, "print JSON")
	follow := f.Bool("follow", false, "then print new calls until interrupted")
	if err := parse(f, args); err != nil {
		return err
	}
	if err := checkOrg(*org); *org != "" && err != nil {
		return err
	}
	if kinds := []string{"action", "webhook", "slack", "teams", "sms", "email"}; *kind != "" && !slices.Contains(kinds, *kind) {
		return misusef("there is no kind of call %q: a kind is %s", *kind, strings.Join(kinds, ", "))
	}
	if *follow && *asJSON {
		return misusef("-follow and -json exclude each other: -follow prints lines")
	}
	o, err := home(*state).readOutputs(ctx, w)
	if err != nil {
		return err
	}
	list, err := w.listCalls(ctx, o, *org, *kind)
	if err != nil {
		return err
	}
	if *asJSON {
		out := json.NewEncoder(w.out)
		out.SetEscapeHTML(false)
		out.SetIndent("", "  ")
		return out.Encode(map[string]any{"calls": list})
	}
	if len(list) == 0 && !*follow {
		w.say("No calls to products, webhooks, chat, SMS or e-mail.")
		return nil
	}
	if err := w.table(list); err != nil || !*follow {
		return err
	}
	return w.follow(ctx, o, *org, *kind, len(list))
}

// follow prints new calls until it is interrupted.
func (w world) follow(ctx context.Context, o cloud.Outputs, org, kind string, seen int) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(lookEvery):
		}
		list, err := w.listCalls(ctx, o, org, kind)
		if err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // an interrupt is its normal end.
			}
			return err
		}
		if len(list) > seen {
			if err := w.table(list[seen:]); err != nil {
				return err
			}
		}
		seen = len(list)
	}
}

func (w world) listCalls(ctx context.Context, o cloud.Outputs, org, kind string) ([]journal.Call, error) {
	var found struct {
		Calls []journal.Call `json:"calls"`
	}
	path := "/_calls?org_id=" + url.QueryEscape(org)
	if err := (api{base: o.Products, http: w.http}).call(ctx, http.MethodGet, path, nil, &found); err != nil {
		return nil, fmt.Errorf("list the calls: %w", err)
	}
	list := []journal.Call{}
	for _, c := range found.Calls {
		if kind == "" || c.Kind == kind {
			list = append(list, c)
		}
	}
	return list, nil
}

// table prints calls, a line each.
func (w world) table(list []journal.Call) error {
	t := tabwriter.NewWriter(w.out, 0, 0, 2, ' ', 0)
	for _, c := range list {
		target := c.Kind
		if c.Kind == "action" {
			target = c.Product + " " + c.Action
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%d%s\t%s\n", c.At.Local().Format("15:04:05"), c.Org, target, c.Status, remark(c), inline(c))
	}
	return t.Flush()
}

func remark(c journal.Call) string {
	switch {
	case c.Lost:
		return " reply lost"
	case c.Repeated:
		return " repeated"
	}
	return ""
}

// inline returns the content of a call on one line.
func inline(c journal.Call) string {
	raw := c.Params
	if raw == nil {
		raw = c.Body
	}
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return ""
	}
	runes := []rune(strings.Map(printable, b.String()))
	if len(runes) > callWidth {
		return string(runes[:callWidth-1]) + "…"
	}
	return string(runes)
}
