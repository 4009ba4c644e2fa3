package simulation_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/callkey"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/key"
	"theoneagents.app/agents/shared/memory"
	"theoneagents.app/agents/shared/notify"
	"theoneagents.app/agents/shared/product"
	"theoneagents.app/agents/shared/quota"
	"theoneagents.app/agents/shared/render"
	"theoneagents.app/agents/shared/step"
)

// A wire receives everything that leaves the process.
type wire struct {
	testing.TB

	in    injection
	deeds []deed
	told  []string

	public *ecdsa.PublicKey // of the key that signs calls of products
}

// connect puts the real clients into the world.
func (o *wire) connect(w *world) {
	client := &http.Client{Transport: o}
	hook := notify.Hook{HTTP: client, Signer: &key.Signer{
		Store: memory.New(), Masters: key.Masters{Current: key.Master("a secret of this test")}, Now: time.Now,
	}, Now: time.Now}
	w.runner.Steps = &step.Service{
		Model: w.model, Products: both{w.products, product.Client{
			Base: "https://products.example", HTTP: client, Key: o.signs(), Issuer: "https://agents.example", Now: time.Now,
		}},
		Senders: map[definition.Channel]step.Sender{
			definition.SMS: notify.SMS{API: o}, definition.Email: notify.Email{API: o, From: "agents@one.example"},
			definition.Slack: hook, definition.Teams: hook, definition.Webhook: hook,
		},
		Quotas: &quota.Service{Store: w.store, Limits: w.quotas, Now: time.Now},
		Rules:  rules(), Now: time.Now, Sleep: sleep, Failed: w.report,
	}
}

// signs returns a new key for calls of products, and keeps its public half.
func (o *wire) signs() callkey.Key {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		o.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		o.Fatal(err)
	}
	key, err := callkey.Parse(base64.StdEncoding.EncodeToString(secret))
	if err != nil {
		o.Fatal(err)
	}
	o.public = &private.PublicKey
	return key
}

// signed checks the token of a call.
func (o *wire) signed(r *http.Request, d deed, data []byte) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	var c product.Claims
	_, err := jwt.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return o.public, nil }, jwt.WithTimeFunc(time.Now))
	execution, id, _ := strings.Cut(c.ID, ":")
	sum := sha256.Sum256(data)
	if err != nil || !slices.Equal(c.Audience, []string{d.Product}) || c.Subject != execution || string(c.Step) != id ||
		c.Org != "org_acme" || c.Action != d.Action || c.Body != hex.EncodeToString(sum[:]) || c.ID != r.Header.Get("Idempotency-Key") {
		o.Errorf("the token of %s.%s says %+v, %v", d.Product, d.Action, c, err)
	}
}

// both combines the products that the auditor checks with a real client.
type both struct {
	audited step.Products
	real    step.Products
}

// Act implements step.Products.
func (b both) Act(ctx context.Context, c step.Command) (map[string]any, error) {
	if _, err := b.audited.Act(ctx, c); err != nil {
		return nil, err
	}
	return b.real.Act(ctx, c)
}

// RoundTrip implements http.RoundTripper.
func (o *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	body, err := jsonvalue.Object(data)
	if err != nil || r.Method != http.MethodPost {
		o.Errorf("%s %s: %q", r.Method, r.URL, data)
	}
	if r.URL.Host == "products.example" {
		o.acts(r, body, data)
	} else {
		o.posts(r, body)
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{}, Request: r, Body: io.NopCloser(strings.NewReader(`{"ok": true}`)),
	}, nil
}

// acts checks a command on its way to a product.
func (o *wire) acts(r *http.Request, body map[string]any, data []byte) {
	name, key, _ := strings.Cut(r.Header.Get("Idempotency-Key"), ":")
	want := http.Header{
		"Content-Type": {"application/json"}, "Idempotency-Key": {name + ":" + key}, "X-Org-Id": {"org_acme"},
		"X-One-Agents-Execution": {name}, "X-One-Agents-Depth": {"1"}, "Authorization": r.Header["Authorization"],
	}
	if diff := cmp.Diff(want, r.Header); diff != "" {
		o.Errorf("headers (-want +got)\n%s", diff)
	}
	var d deed
	if n, err := fmt.Sscanf(strings.ReplaceAll(r.URL.String(), "/", " "), "https:  products.example products %s actions %s", &d.Product, &d.Action); n != 2 {
		o.Errorf("%s is no address of an action: %v", r.URL, err)
	}
	o.signed(r, d, data)
	d.Step, d.Params = key, body
	o.deeds = append(o.deeds, d)
}

// posts checks a message on its way to a chat or a webhook.
func (o *wire) posts(r *http.Request, body map[string]any) {
	o.told = append(o.told, "post "+r.URL.String())
	if r.Host != r.URL.Host || r.URL.User != nil || r.URL.Fragment != "" || strings.Count(r.URL.RawQuery, "&") > 0 {
		o.Errorf("the address is %s at %s", r.URL, r.Host)
	}
	o.same("header names", []string{"Content-Type"}, slices.DeleteFunc(slices.Sorted(maps.Keys(r.Header)), func(name string) bool {
		return r.URL.Host == "hook.example" && strings.HasPrefix(name, "Webhook-")
	}))
	switch r.URL.Host {
	case "slack.example":
		o.slack(body, r.URL.Path == "/gate")
	case "teams.example":
		o.teams(body)
	default:
		o.same("the webhook's fields", []string{"agent_id", "body", "execution_id", "org_id", "subject", "type"}, slices.Sorted(maps.Keys(body)))
		if body["org_id"] != "org_acme" || body["agent_id"] != "agent_trusting" || body["type"] != "agent.notification" {
			o.Errorf("the webhook says it comes from %v of %v", body["agent_id"], body["org_id"])
		}
		o.same("the webhook's texts", []any{o.in.says, o.in.says}, []any{body["subject"], body["body"]})
	}
}

// slack checks that a message for Slack contains nothing but text.
func (o *wire) slack(body map[string]any, gate bool) {
	o.same("Slack's fields", []string{"blocks", "text"}, slices.Sorted(maps.Keys(body)))
	blocks, _ := body["blocks"].([]any)
	var said strings.Builder
	for i, b := range blocks {
		text := lookup(b, "text.text")
		if i == 0 {
			o.same("the header's kind", "plain_text", lookup(b, "text.type"))
			continue
		}
		o.same("the section is verbatim", true, lookup(b, "text.verbatim"))
		fmt.Fprint(&said, text)
	}
	written, want := said.String(), o.in.says
	m := o.asked(fmt.Sprint(lookup(blocks[0], "text.text")))
	if gate {
		want = m.text
	} else {
		written = strings.TrimPrefix(written, "<https://desk.example|Desk>: ")
	}
	fallback := strings.Replace(fmt.Sprint(body["text"]), "<https://desk.example|Desk>", "", 1)
	if gate {
		written, fallback = o.decided(written, "<%s|"+m.link+">", m.end), o.decided(fallback, "<%s|"+m.link+">", m.end)
	}
	if strings.ContainsAny(written+fallback, "<>") {
		o.Errorf("Slack is sent markup: %s", written)
	}
	o.reads("Slack", html.UnescapeString(written), want, gate, m.end)
}

// An asking is the expected message of a gate: its question or its outcome.
type asking struct {
	text string // the beginning of the message
	end  string // text after the question
	link string // label of the link
}

// asked returns the expected message of a gate with a subject.
func (o *wire) asked(subject string) asking {
	ask := asking{"May I? The model says " + marked(o.in.says) + "\n\nDecide until ", "\n\nDecide until ", "Decide"}
	if strings.HasSuffix(subject, " waits for approval") && !strings.HasSuffix(subject, "no longer waits for approval") {
		return ask
	}
	first, _, _ := strings.Cut(subject, ": ")
	said := map[string]string{
		"Approved": "Approved by user_owner.\nNote: as I see it", "Denied": "Denied by user_owner.\nNote: as I see it",
		"Expired": "No decision was made in time. The execution was cancelled.",
	}[first]
	return asking{said + "\n\nThe question was: May I? The model says " + marked(o.in.says) + "\n\nSee ", "\n\nSee ", "the approval"}
}

// toDecide matches the URL at which an approval is decided.
var toDecide = regexp.MustCompile(`https://console\.example/approvals/appr_[0-9A-Z]{26}`)

// decided returns a text without the required link of a gate's message, unless
// the text was cut before it.
func (o *wire) decided(text, link, end string) string {
	for _, url := range toDecide.FindAllString(text, -1) {
		if before, after, ok := strings.Cut(text, fmt.Sprintf(link, url)); ok {
			return before + after
		}
	}
	if !strings.HasSuffix(text, "…") || strings.Contains(text, end) {
		o.Errorf("there is no link like %s in\n%.2000s", link, text)
	}
	return text
}

// teams checks that a card contains nothing but text.
func (o *wire) teams(body map[string]any) {
	cards, _ := body["attachments"].([]any)
	blocks, _ := lookup(body, "attachments.0.content.body").([]any)
	if len(cards) != 1 || len(blocks) != 2 || lookup(body, "attachments.0.content.actions") != nil {
		o.Errorf("Teams is sent %v", body)
		return
	}
	for i, b := range blocks {
		text := fmt.Sprint(lookup(b, "text"))
		var read strings.Builder
		for paragraph := range strings.SplitSeq(text, "\n\n") {
			read.WriteString(o.unmarked(paragraph) + "\n")
		}
		if i == 1 {
			o.reads("Teams", strings.TrimSuffix(read.String(), "\n"), strings.Join(lines("It says: "+o.in.says), "\n"), false, "")
		}
	}
}

// unmarked returns a paragraph of Markdown without escapes, and reports whether
// it contains markup.
func (o *wire) unmarked(paragraph string) string {
	const always, first = "`*_{}[]()<>~&", "-+=#|"
	if start := strings.TrimSpace(paragraph); start != "" && strings.Contains(first, start[:1]) {
		o.Errorf("a paragraph for Teams begins with markup: %q", paragraph)
	}
	if number := strings.TrimLeft(strings.TrimSpace(paragraph), "0123456789"); strings.HasPrefix(number, ".") && number != strings.TrimSpace(paragraph) {
		o.Errorf("a paragraph for Teams begins a list: %q", paragraph)
	}
	var b strings.Builder
	for i := 0; i < len(paragraph); i++ {
		switch c := paragraph[i]; {
		case c == '\\' && i+1 < len(paragraph):
			i++
		case c == '\\', strings.IndexByte(always, c) >= 0:
			o.Errorf("Teams is sent markup: %q", paragraph)
		}
		b.WriteByte(paragraph[i])
	}
	return b.String()
}

// Publish implements notify.Publisher.
func (o *wire) Publish(_ context.Context, in *sns.PublishInput, _ ...func(*sns.Options)) (*sns.PublishOutput, error) {
	o.told = append(o.told, "sms "+*in.PhoneNumber)
	if in.TopicArn != nil || in.TargetArn != nil || in.Subject != nil || in.MessageStructure != nil {
		o.Errorf("more than a text message: %+v", in)
	}
	o.same("attributes", []string{"idempotency_key", "org_id"}, slices.Sorted(maps.Keys(in.MessageAttributes)))
	o.reads("an SMS", *in.Message, "AI: "+visible(o.in.says), false, "")
	return &sns.PublishOutput{}, nil
}

// SendEmail implements notify.Mailer.
func (o *wire) SendEmail(_ context.Context, in *sesv2.SendEmailInput, _ ...func(*sesv2.Options)) (*sesv2.SendEmailOutput, error) {
	to := in.Destination
	o.told = append(o.told, "email "+strings.Join(slices.Concat(to.ToAddresses, to.CcAddresses, to.BccAddresses), ","))
	m := in.Content.Simple
	if *in.FromEmailAddress != "agents@one.example" || in.ReplyToAddresses != nil || m.Attachments != nil || len(m.Headers) != 2 {
		o.Errorf("a mail from %s, answers to %v, with headers %+v", *in.FromEmailAddress, in.ReplyToAddresses, m.Headers)
	}
	for _, text := range []string{*m.Subject.Data, *m.Headers[0].Value, *m.Headers[1].Value} {
		if strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }) {
			o.Errorf("a header has lines: %q", text)
		}
	}
	gate := to.ToAddresses[0] == "boss@desk.example"
	want, ask := "It says "+o.in.says, o.asked(*m.Subject.Data)
	if gate {
		want = ask.text
	}
	o.reads("the text of a mail", *m.Body.Text.Data, want, gate, ask.end)
	_, page, _ := strings.Cut(*m.Body.Html.Data, "white-space:pre-wrap\">")
	page, after, _ := strings.Cut(page, "</p>")
	if gate {
		after = o.decided(after, "\n<p style=\"margin:16px 0 0\"><a href=\"%s\" style=\"color:#1d4ed8\">"+ask.link+"</a></p>", ask.end)
	}
	o.same("after the text", "\n</div>\n\n\n</body></html>", after)
	page = strings.ReplaceAll(page, "<br/>", "\n")
	if strings.ContainsAny(page, "<>") {
		o.Errorf("a mail has markup: %s", page)
	}
	o.reads("the page of a mail", html.UnescapeString(page), strings.Join(lines(want), "\n"), gate, ask.end)
	return &sesv2.SendEmailOutput{}, nil
}

// reads fails if a text is not the wanted one. It may be cut; a gate's message
// may continue after it, and its question may be cut too.
func (o *wire) reads(where, got, want string, more bool, end string) {
	if question, _, ok := strings.Cut(got, "…"+end); more && ok && len([]rune(question)) >= 1000 {
		got = question + "…"
	}
	if cut, ok := strings.CutSuffix(got, "…"); ok && len(cut) >= 1000 {
		got, want = cut, want[:min(len(cut), len(want))]
	}
	if more {
		got = got[:min(len(got), len(want))]
	}
	o.same(where, want, got)
}

func (o *wire) same(what string, want, got any) {
	if diff := cmp.Diff(want, got); diff != "" {
		o.Errorf("%s (-want +got)\n%s", what, diff)
	}
}

func lookup(v any, path string) any {
	v, _ = jsonvalue.Lookup(v, path)
	return v
}

// visible returns a text without control characters except line breaks and
// tabs.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && !strings.ContainsRune("\r\n\t", r) {
			return -1
		}
		return r
	}, s)
}

// lines returns the lines of a text, without control characters.
func lines(s string) []string {
	return strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(visible(s)), "\n")
}

// seen returns a text without characters that change how the rest is read.
func seen(s string) string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n").Replace(s)
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, s)
}

// marked returns a value as messages about an approval show it: on one line, in
// quotation marks that it cannot end, and at most 500 characters of it.
func marked(s string) string {
	line := strings.Join(strings.Fields(seen(s)), " ")
	if line == "" {
		return ""
	}
	line = strings.NewReplacer("“", `"`, "”", `"`, "„", `"`).Replace(line)
	const most = 500
	kept, left := line, most
	for i, r := range line {
		if left -= max(utf16.RuneLen(r), 1); left < 0 {
			kept = line[:i]
			break
		}
	}
	if more := len([]rune(line)) - len([]rune(kept)); more > 0 {
		return fmt.Sprintf("“%s…” (%s more characters)", kept, render.Count(more))
	}
	return "“" + line + "”"
}
