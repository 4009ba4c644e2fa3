package docs

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/render"
)

// A block is a block of code of a guide. Its second word says how it is tested:
//
//	json agent               a valid definition
//	json refused             a definition with faults; the build shows them
//	json step, json steps    steps of a valid definition for a new ticket
//	json filters EVENT       filters that the sample of the event satisfies
//	json conditions EVENT    the same for conditions
//	json webhook             the body of a message; see the test of webhooks
//	template                 templates over the sample of a new ticket, and their results
//	sh                       a line for a shell; with "make", its targets exist
//	python, javascript verify  a function that the test of webhooks calls
type block struct{ page, info, text string }

func blocks(t *testing.T) []block {
	t.Helper()
	var all []block
	for _, page := range guideOrder() {
		source, err := sources.ReadFile("guides/" + page + ".md")
		if err != nil {
			t.Fatal(err)
		}
		for part := range strings.SplitSeq("\n"+string(source), "\n```") {
			info, text, _ := strings.Cut(part, "\n")
			if info != "" && part != "\n"+string(source) && regexp.MustCompile(`^[a-z]`).MatchString(info) {
				all = append(all, block{page, info, text})
			}
		}
	}
	return all
}

const ticket = "psa:ticket.created"

// happened returns the sample of an event type as an event.
func happened(t *testing.T, name string) event.Event {
	t.Helper()
	kind, ok := everything(t).Event(name)
	if !ok {
		t.Fatalf("there is no event %s", name)
	}
	return event.Event{ID: "evt_1", Type: kind.Type, Product: kind.Product, Org: "org_demo", Payload: kind.Sample}
}

// parsed returns a definition as the API reads it, or its faults.
func parsed(t *testing.T, doc map[string]any) (definition.Definition, error) {
	t.Helper()
	d, err := definition.Rules{Catalog: everything(t)}.Parse(doc)
	if err != nil {
		err = fmt.Errorf("%w: %v", err, fault.From(err).Details)
	}
	return d, err
}

// around returns a definition with the given parts.
func around(name string, parts map[string]any) map[string]any {
	product, kind, _ := strings.Cut(name, ":")
	doc := map[string]any{
		"name": "Example", "category": "service_desk",
		"trigger": map[string]any{"type": "bus_event", "source_product": product, "event_type": kind},
		"steps":   []any{map[string]any{"id": "pause", "type": "wait", "duration_seconds": json.Number("60")}},
	}
	for field, value := range parts {
		if field == "filters" {
			doc["trigger"].(map[string]any)["filters"] = value //nolint:errcheck // made above.
			continue
		}
		doc[field] = value
	}
	return decoded(doc)
}

// decoded returns a document as the API reads it.
func decoded(doc map[string]any) map[string]any {
	data, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	read, err := jsonvalue.Object(data)
	if err != nil {
		panic(err)
	}
	return read
}

func TestEveryExampleOfAGuideIsRight(t *testing.T) {
	t.Parallel()

	count := map[string]int{}
	for _, b := range blocks(t) {
		words := strings.Fields(b.info)
		kind := strings.Join(words[:min(2, len(words))], " ")
		count[kind]++
		var err error
		switch kind {
		case "json agent":
			doc, failed := jsonvalue.Object([]byte(b.text))
			if err = failed; err == nil {
				_, err = parsed(t, doc)
			}
		case "json step", "json steps":
			var steps any
			if err = json.Unmarshal([]byte(b.text), &steps); err == nil {
				if kind == "json step" {
					steps = []any{steps}
				}
				_, err = parsed(t, around(ticket, map[string]any{"steps": steps}))
			}
		case "json filters":
			var d definition.Definition
			d, err = with(t, b.text, words[2], "filters")
			for _, f := range d.Trigger.Filters {
				if ok, why := f.Holds(facts(t, words[2])); !ok {
					err = fmt.Errorf("the sample does not satisfy the filter: %s", why)
				}
			}
		case "json conditions":
			var d definition.Definition
			d, err = with(t, b.text, words[2], "conditions")
			for _, c := range d.Conditions {
				if ok, why := c.Holds(facts(t, words[2])); !ok {
					err = fmt.Errorf("the sample does not satisfy the condition: %s", why)
				}
			}
		case "template":
			err = shows(t, b.text)
		case "json refused", "text faults", "json webhook", "python verify", "javascript verify":
			// see the build, and the test of webhooks
		case "sh", "sh make":
			// see the tests below
		default:
			err = fmt.Errorf("the words %q say no way to test it", b.info)
		}
		if err != nil {
			t.Errorf("%s: %v\n%s", b.page, err, b.text)
		}
	}
	for _, kind := range []string{"json agent", "json refused", "json step", "json steps", "json filters", "json conditions", "template"} {
		if count[kind] == 0 {
			t.Errorf("no guide has an example of the kind %q", kind)
		}
	}
}

// with returns a valid definition with filters or conditions.
func with(t *testing.T, text, name, part string) (definition.Definition, error) {
	t.Helper()
	var list any
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return definition.Definition{}, err
	}
	return parsed(t, around(name, map[string]any{part: list}))
}

// facts returns the sample of an event with numbers as the platform reads them.
func facts(t *testing.T, name string) condition.Facts {
	t.Helper()
	e := happened(t, name)
	e.Payload = decoded(e.Payload)
	return condition.Facts{Event: e}
}

// shows fills templates; the line after each has its result.
func shows(t *testing.T, text string) error {
	t.Helper()
	e := happened(t, ticket)
	scope := render.Scope{"event_payload": e.Payload, "event": e.Document()}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i := 0; i+1 < len(lines); i += 2 {
		got, err := render.Text(lines[i], scope)
		if err != nil {
			return err
		}
		if want := strings.TrimPrefix(lines[i+1], "→ "); got != want {
			return fmt.Errorf("%s is %q, and the guide says %q", lines[i], got, want)
		}
	}
	if len(lines)%2 != 0 {
		return errors.New("a template has no result")
	}
	return nil
}

func TestEveryExampleOfAnOperatorIsRight(t *testing.T) {
	t.Parallel()

	for name, e := range operators() {
		value := func(text string) map[string]any {
			if text == "" {
				return map[string]any{} // the field is missing
			}
			return decoded(map[string]any{"field": json.RawMessage(text)})
		}
		want := value(e.want)["field"]
		if faults := name.Takes("value", want); len(faults) > 0 {
			t.Errorf("%s does not take %s: %v", name, e.want, faults)
		}
		for found, hold := range map[string]bool{e.yes: true, e.no: false} {
			f := condition.Filter{Field: "field", Operator: name, Value: want}
			if ok, why := f.Holds(condition.Facts{Event: event.Event{Payload: value(found)}}); ok != hold {
				t.Errorf("%s %s holds for %q: %t, want %t (%s)", name, e.want, found, ok, hold, why)
			}
		}
		f := condition.Filter{Field: "field", Operator: name, Value: want}
		missing, _ := f.Holds(condition.Facts{Event: event.Event{Payload: map[string]any{}}})
		if said := strings.HasPrefix(e.missing, "holds") && !strings.Contains(e.missing, "false"); missing != said {
			t.Errorf("%s holds for a missing field: %t, and the table says %q", name, missing, e.missing)
		}
	}
}

// A message of the platform's own signer passes the functions of the guide, and one that
// somebody changed does not.
func TestTheFunctionsThatVerifyAWebhookAreRight(t *testing.T) {
	t.Parallel()

	secret := []byte("a secret of thirty-two bytes ok!")
	signer, err := standardwebhooks.NewWebhookRaw(secret)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	var body string
	code := map[string]string{}
	for _, b := range blocks(t) {
		switch b.info {
		case "json webhook":
			body = b.text
		case "python verify", "javascript verify":
			code[b.info] = b.text
		}
	}
	if body == "" || len(code) != 2 {
		t.Fatalf("the guide has a body of %d bytes and %d functions", len(body), len(code))
	}
	signature, err := signer.Sign("exec_1:tell", now, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	input, err := json.Marshal(map[string]any{
		"secret": "whsec_" + base64.StdEncoding.EncodeToString(secret), "body": body,
		"headers": map[string]string{
			"webhook-id": "exec_1:tell", "webhook-timestamp": strconv.FormatInt(now.Unix(), 10), "webhook-signature": "v1,b3RoZXI= " + signature,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for info, tc := range map[string]struct {
		program []string
		ending  string
	}{
		"python verify": {[]string{"python3", "-c"}, `
import json, sys
d = json.load(sys.stdin)
print(verify(d["secret"], d["headers"], d["body"].encode()), verify(d["secret"], d["headers"], (d["body"] + " ").encode()),
      verify(d["secret"], {**d["headers"], "webhook-timestamp": "1"}, d["body"].encode()))`},
		"javascript verify": {[]string{"node", "--input-type=module", "-e"}, `
import { readFileSync } from 'node:fs';
const d = JSON.parse(readFileSync(0, 'utf8'));
const word = (is) => (is ? 'True' : 'False');
console.log(word(verify(d.secret, d.headers, d.body)), word(verify(d.secret, d.headers, d.body + ' ')),
  word(verify(d.secret, { ...d.headers, 'webhook-timestamp': '1' }, d.body)));`},
	} {
		if _, err := exec.LookPath(tc.program[0]); err != nil {
			if os.Getenv("CI") != "" {
				t.Errorf("%s is not installed", tc.program[0])
			}
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, tc.program[0], append(tc.program[1:], code[info]+tc.ending)...)
		cmd.Stdin = strings.NewReader(string(input))
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != "True False False" {
			t.Errorf("%s: %v, %s; want the message to pass, and a changed and an old one not", info, err, got)
		}
	}
}

func TestEveryCommandOfTheGuidesExists(t *testing.T) {
	t.Parallel()

	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile("../httpapi/openapi.gen.json")
	if err != nil {
		t.Fatal(err)
	}
	o, err := outlineOf(document)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, g := range o.Groups {
		for _, op := range g.Operations {
			paths = append(paths, regexp.MustCompile(`\{[a-z]+\}`).ReplaceAllString(op.Path, "…"))
		}
	}
	targets, calls := 0, 0
	for _, b := range blocks(t) {
		if !strings.HasPrefix(b.info, "sh") {
			continue
		}
		for _, m := range regexp.MustCompile(`(?m)\bmake (?:-s )?([a-z-]+)`).FindAllStringSubmatch(b.text, -1) {
			if targets++; !strings.Contains(string(makefile), "\n"+m[1]+":") {
				t.Errorf("%s: there is no make %s", b.page, m[1])
			}
		}
		for _, m := range regexp.MustCompile(`"\$api(/[^"?]*)`).FindAllStringSubmatch(b.text, -1) {
			path := regexp.MustCompile(`[a-z]+_…`).ReplaceAllString(m[1], "…")
			if calls++; !slices.Contains(paths, path) {
				t.Errorf("%s: the API has no path %s", b.page, path)
			}
		}
	}
	if targets < 8 || calls < 8 {
		t.Errorf("%d targets and %d calls were checked", targets, calls)
	}
}
