package notify_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/key"
	"theoneagents.app/agents/shared/notify"
	"theoneagents.app/agents/shared/step"
)

const secret = "a secret of ours"

// A hook is a tenant's server and the last request to it.
type hook struct {
	url string

	mu     sync.Mutex
	header http.Header
	body   []byte
	method string
	called int
}

func (h *hook) calls() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.called
}

func listen(t *testing.T, answer http.HandlerFunc) *hook {
	t.Helper()
	h := &hook{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		h.called++
		h.header, h.method = r.Header, r.Method
		h.body, _ = io.ReadAll(r.Body)
		h.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	h.url = s.URL
	return h
}

func (h *hook) host() string { return strings.TrimPrefix(h.url, "http://") }

// rotated is a signer with a secret and the one before it.
type rotated struct{}

func (rotated) Secrets(_ context.Context, org id.Org) ([][]byte, error) {
	if org == "org_unread" {
		return nil, errors.New("no table")
	}
	return [][]byte{key.Master(secret).Secret(org, 1), key.Master(secret).Secret(org, 0)}, nil
}

// sender returns a sender with these hosts allowed.
func sender(hosts ...string) notify.Hook {
	return notify.Hook{
		HTTP: notify.Client(hosts), Hosts: hosts, Signer: rotated{},
		Now: func() time.Time { return time.Date(2026, 3, 9, 14, 23, 1, 0, time.UTC) },
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func section(text string) any {
	return map[string]any{"type": "section", "text": map[string]any{"type": "mrkdwn", "text": text, "verbatim": true}}
}

func header(text string) any {
	return map[string]any{"type": "header", "text": map[string]any{"type": "plain_text", "text": text}}
}

func block(text string) any { return map[string]any{"type": "TextBlock", "text": text, "wrap": true} }

func title(text string) any {
	return map[string]any{"type": "TextBlock", "text": text, "wrap": true, "weight": "Bolder", "size": "Medium"}
}

func card(blocks ...any) map[string]any {
	return map[string]any{"type": "message", "attachments": []any{map[string]any{
		"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": nil,
		"content": map[string]any{
			"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4", "body": blocks,
		},
	}}}
}

func TestEachChatHasItsFormat(t *testing.T) {
	t.Parallel()

	plain := message(definition.Slack, "")
	const (
		subject  = "Disk  Bcc: everyone@example.com"
		slack    = "It's \"full\" &lt;b&gt;&amp;\nnow\r\n."
		markdown = `It's "full" \<b\>\&` + "\n\nnow\n\n\\."
	)
	for name, tc := range map[string]struct {
		channel definition.Channel
		subject string
		want    map[string]any
	}{
		"Slack":                   {definition.Slack, plain.Subject, map[string]any{"text": subject + "\n" + slack, "blocks": []any{header(subject), section(slack)}}},
		"Slack without a subject": {definition.Slack, "", map[string]any{"text": slack, "blocks": []any{section(slack)}}},
		"Teams":                   {definition.Teams, plain.Subject, card(title(subject), block(markdown))},
		"Teams without a subject": {definition.Teams, "", card(block(markdown))},
		"a webhook": {definition.Webhook, plain.Subject, map[string]any{
			"type": "agent.notification", "org_id": "org_a", "agent_id": "agent_1", "execution_id": "exec_1",
			"subject": plain.Subject, "body": plain.Body,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := listen(t, status(200))
			m := message(tc.channel, h.url+"/x?y=1")
			m.Subject = tc.subject
			if err := sender(h.host()).Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			var got map[string]any
			if err := json.Unmarshal(h.body, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("body (-want +got)\n%s", diff)
			}
			if h.method != http.MethodPost || h.header.Get("Content-Type") != "application/json" {
				t.Errorf("%s of %s", h.method, h.header.Get("Content-Type"))
			}
			if signed := h.header.Get("Webhook-Signature") != ""; signed != (tc.channel == definition.Webhook) {
				t.Errorf("signed: %v", signed)
			}
			for name := range h.header {
				if strings.EqualFold(name, "Bcc") {
					t.Error("the subject has become a header")
				}
			}
		})
	}
}

// posted returns the body that a chat or a webhook received.
func posted(t *testing.T, m step.Message) (body map[string]any, size int) {
	t.Helper()
	h := listen(t, status(200))
	m.Recipient = h.url
	if err := sender(h.host()).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(h.body, &body); err != nil {
		t.Fatal(err)
	}
	return body, len(h.body)
}

func TestAnAuthorMayUseTheMarkupOfAChat(t *testing.T) {
	t.Parallel()

	const subject = "<!channel> [a](b)"
	for channel, tc := range map[definition.Channel]struct {
		markup string
		want   map[string]any
	}{
		definition.Slack: {"<!here> *now*", map[string]any{
			"text": "&lt;!channel&gt; [a](b)\n<!here> *now*", "blocks": []any{header(subject), section("<!here> *now*")},
		}},
		definition.Teams: {"[log](https://a.example) **now**", card(title(`\<!channel\> \[a\]\(b\)`), block("[log](https://a.example) **now**"))},
	} {
		m := message(channel, "")
		m.Subject, m.Markup = subject, tc.markup
		got, _ := posted(t, m)
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", channel, diff)
		}
	}
}

func TestAChatMessageIsCutToTheLimitsOfItsChannel(t *testing.T) {
	t.Parallel()

	for name, text := range map[string]string{
		"letters": strings.Repeat("x", 60_000), "lines": strings.Repeat("a line\n", 9000), "umlauts": strings.Repeat("ü", 30_000),
		"beyond the first plane": strings.Repeat("🔥", 15_000), "escaped characters": strings.Repeat("<&*\\", 15_000),
		"not a text": strings.Repeat("\xff\u2028", 15_000), "a sentence": "It's full.",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := message(definition.Slack, "")
			m.Subject, m.Body = text, text
			got, _ := posted(t, m)
			count := func(v any, path string) int {
				s, _ := jsonvalue.Lookup(v, path)
				text, _ := s.(string)
				if !utf8.ValidString(text) || text == "" {
					t.Errorf("%s is %.20q", path, text)
				}
				return len(utf16.Encode([]rune(text)))
			}
			blocks, _ := got["blocks"].([]any)
			whole := 0
			for i, b := range blocks {
				n := count(b, "text.text")
				if whole += n; n > 3000 || i == 0 && n > 150 {
					t.Errorf("block %d has %d characters", i, n)
				}
			}
			if n := count(got, "text"); n > 40_000 || whole > 12_150 || len(blocks) < 2 {
				t.Errorf("the text has %d characters, and %d blocks %d", n, len(blocks), whole)
			}

			m.Channel = definition.Teams
			got, size := posted(t, m)
			count(got, "attachments.0.content.body.0.text")
			count(got, "attachments.0.content.body.1.text")
			if size > 20_000 {
				t.Errorf("Teams is sent %d bytes", size)
			}
		})
	}
}

func TestALongBodyIsCutAtALineBreak(t *testing.T) {
	t.Parallel()

	a, b, c := strings.Repeat("a", 2000)+"\n", strings.Repeat("b", 2996), strings.Repeat("c", 9000)
	m := message(definition.Slack, "")
	m.Subject, m.Body = "", a+b+"&"+c
	got, _ := posted(t, m)
	want := []any{
		section(a), section(b), section("&amp;" + c[:2995]), section(c[:2999] + "…"),
	}
	if diff := cmp.Diff(want, got["blocks"]); diff != "" {
		t.Errorf("blocks (-want +got)\n%s", diff)
	}
}

func TestALinkIsNotCutInTwo(t *testing.T) {
	t.Parallel()

	const slack, teams = "<https://one.example/a|Decide>", "[Decide](https://one.example/a)"
	a := strings.Repeat("a", 2980)
	m := message(definition.Slack, "")
	m.Subject, m.Markup = "", a+slack+" b"
	got, _ := posted(t, m)
	if diff := cmp.Diff([]any{section(a), section(slack + " b")}, got["blocks"]); diff != "" {
		t.Errorf("blocks (-want +got)\n%s", diff)
	}
	for cut := 1; cut < len(teams); cut++ {
		a := strings.Repeat("a", 18_000-len("…")-cut)
		m := message(definition.Teams, "")
		m.Subject, m.Markup = "", a+teams+" and so on"
		got, _ := posted(t, m)
		if diff := cmp.Diff(card(block(a+"…")), got); diff != "" && cut > len("[Decide]") {
			t.Errorf("cut after %d (-want +got)\n%s", cut, diff)
		}
	}
}

func TestABlankMessageHasNoBlocks(t *testing.T) {
	t.Parallel()

	for channel, want := range map[definition.Channel]map[string]any{definition.Slack: {"text": " \n"}, definition.Teams: card()} {
		m := message(channel, "")
		m.Subject, m.Body = "\n", " \n"
		got, _ := posted(t, m)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got)\n%s", channel, diff)
		}
	}
}

func TestAWebhookIsSignedWithTheOrganizationsSecret(t *testing.T) {
	t.Parallel()
	h := listen(t, status(204))
	m := message(definition.Webhook, h.url)
	if err := sender(h.host()).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if h.header.Get("Webhook-Id") != m.Key || h.header.Get("Webhook-Timestamp") != "1773066181" {
		t.Errorf("headers = %v", h.header)
	}
	verify := func(org string) error {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte("webhook\n" + org))
		v, err := standardwebhooks.NewWebhookRaw(mac.Sum(nil))
		if err != nil {
			t.Fatal(err)
		}
		return v.VerifyIgnoringTimestamp(h.body, h.header)
	}
	if err := verify("org_a"); err != nil {
		t.Errorf("the signature is refused: %v", err)
	}
	if err := verify("org_a\n1"); err != nil {
		t.Errorf("the signature of the secret after a rotation is refused: %v", err)
	}
	m.Org = "org_unread"
	if err := sender(h.host()).Send(t.Context(), m); !errors.Is(err, step.ErrAgain) || h.called != 1 {
		t.Errorf("a message that cannot be signed: %v, sent %d times", err, h.called)
	}
	if verify("org_b") == nil {
		t.Error("another organization's secret verifies it too")
	}
	h.body = append(h.body, ' ')
	if verify("org_a") == nil {
		t.Error("a changed body is verified")
	}
}

func TestAnswersOfHooksAreClassified(t *testing.T) {
	t.Parallel()

	hangsUp := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	breaksOff := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "short") //nolint:errcheck // it is broken off anyway.
	}
	for name, tc := range map[string]struct {
		answer        http.HandlerFunc
		chat, webhook string
	}{
		"ok":                {status(200), sent, sent},
		"accepted":          {status(202), sent, sent},
		"gone":              {status(410), never, never},
		"unauthorized":      {status(401), never, never},
		"busy":              {status(429), again, again},
		"broken":            {status(500), again, again},
		"down":              {status(503), again, again},
		"not modified":      {status(304), never, never},
		"no answer":         {hangsUp, unknown, again},
		"early":             {status(425), again, again},
		"slow":              {status(408), again, again},
		"a broken answer":   {breaksOff, sent, sent},
		"an endless answer": {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat("x", 2<<20)) }, sent, sent}, //nolint:errcheck // the client gives up.
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for c, want := range map[definition.Channel]string{definition.Slack: tc.chat, definition.Teams: tc.chat, definition.Webhook: tc.webhook} {
				h := listen(t, tc.answer)
				if got := sort(sender(h.host()).Send(t.Context(), message(c, h.url))); got != want {
					t.Errorf("%s: %s, want %s", c, got, want)
				}
				if h.calls() != 1 {
					t.Errorf("%s: %d calls", c, h.calls())
				}
			}
		})
	}
}

func answers(code int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		io.WriteString(w, text) //nolint:errcheck // the client complains.
	}
}

func TestAChatMayRefuseWithStatus200(t *testing.T) {
	t.Parallel()

	const throttled = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with ContextId tcid=0."
	for name, tc := range map[string]struct {
		channel definition.Channel
		status  int
		text    string
		want    string
		reason  string
	}{
		"a connector of Teams says 1":   {definition.Teams, 200, "1", sent, ""},
		"Workflows of Teams accept":     {definition.Teams, 202, "", sent, ""},
		"Workflows answer with JSON":    {definition.Teams, 200, `{"ok": true}`, sent, ""},
		"Teams names the failure":       {definition.Teams, 200, "Webhook message delivery failed with error: Bad payload.", never, "it answered 200 (Webhook message delivery failed with error: Bad payload)"},
		"Teams says any other text":     {definition.Teams, 200, "Summary or Text is required.", never, "it answered 200 (Summary or Text is required)"},
		"Teams says it in JSON":         {definition.Teams, 200, `{"error": {"code": "x", "message": "No such flow"}}`, never, "it answered 200 (No such flow)"},
		"Teams is busy":                 {definition.Teams, 200, throttled, again, "it answered 200 (" + strings.TrimSuffix(throttled, ".") + ")"},
		"a page answers for Teams":      {definition.Teams, 200, "<html><head><title>x</title></head><body><h1>Sign in</h1></body></html>", never, "it answered 200 (Sign in)"},
		"Slack says ok":                 {definition.Slack, 200, "ok", sent, ""},
		"Slack says that it is not":     {definition.Slack, 200, `{"ok": false, "error": "channel_not_found"}`, never, "it answered 200 (channel_not_found)"},
		"Slack says why with a status":  {definition.Slack, 404, "channel_is_archived", never, "it answered 404 (channel_is_archived)"},
		"Slack refuses the message":     {definition.Slack, 400, "invalid_payload", never, "it answered 400 (invalid_payload)"},
		"a webhook may answer any text": {definition.Webhook, 200, "failed with error", sent, ""},
		"a webhook that refuses":        {definition.Webhook, 422, `{"detail": "Unknown\n hook."}`, never, "it answered 422 (Unknown hook)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := listen(t, answers(tc.status, tc.text))
			err := sender(h.host()).Send(t.Context(), message(tc.channel, h.url))
			if sort(err) != tc.want || err != nil && reasonOf(err) != tc.reason {
				t.Errorf("%s, %q; want %s, %q", sort(err), reasonOf(err), tc.want, tc.reason)
			}
		})
	}
}

// reasonOf returns the text of a failure for users.
func reasonOf(err error) string {
	var s interface{ Reason() string }
	if !errors.As(err, &s) {
		return ""
	}
	return s.Reason()
}

func TestTheRetryAfterOfAHookIsKept(t *testing.T) {
	t.Parallel()
	for _, c := range []definition.Channel{definition.Slack, definition.Teams, definition.Webhook} {
		for header, want := range map[string]time.Duration{"30": 30 * time.Second, "Mon, 09 Mar 2026 14:23:11 GMT": 10 * time.Second, "": 0} {
			h := listen(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", header)
				w.WriteHeader(http.StatusTooManyRequests)
			})
			err := sender(h.host()).Send(t.Context(), message(c, h.url))
			var wait interface{ After() time.Duration }
			if !errors.As(err, &wait) || wait.After() != want {
				t.Errorf("%s after %q: %v", c, header, err)
			}
		}
	}
}

func TestTheCauseOfAMissingAnswerIsDescribed(t *testing.T) {
	t.Parallel()

	closed := httptest.NewServer(nil)
	closed.Close()
	secure := httptest.NewTLSServer(nil)
	t.Cleanup(secure.Close)
	plain := httptest.NewServer(nil)
	t.Cleanup(plain.Close)
	silent := listen(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	for name, tc := range map[string]struct{ url, allowed, want, reason string }{
		"no such name":            {"https://hooks.acme.invalid/x", "", again, "the name hooks.acme.invalid does not exist in DNS"},
		"no listener on the port": {closed.URL, strings.TrimPrefix(closed.URL, "http://"), again, "it refused the connection"},
		"a private address":       {"https://10.0.0.1/", "", never, "its address is private or reserved, and only public addresses are called"},
		"a port of our own":       {"https://8.8.8.8:22/", "", never, "its port is not among the ports that are called: 80, 443, 8443"},
		"a certificate":           {secure.URL, strings.TrimPrefix(secure.URL, "https://"), never, "its TLS certificate is not signed by a known authority"},
		"no TLS":                  {"https" + strings.TrimPrefix(plain.URL, "http"), strings.TrimPrefix(plain.URL, "http://"), never, "it does not speak TLS at that port"},
		"no answer":               {silent.url, silent.host(), unknown, "it did not answer in time"},
		"plain http":              {"http://example.com/", "", never, "its address must begin with https://"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			patience := time.Minute // for a busy machine
			if tc.want == unknown {
				patience = 500 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			err := sender(tc.allowed).Send(ctx, message(definition.Slack, tc.url))
			if name == "no such name" && strings.HasPrefix(reasonOf(err), "DNS ") {
				t.Skip("there is no DNS here")
			}
			if sort(err) != tc.want || reasonOf(err) != tc.reason {
				t.Errorf("%s, %q (%v); want %s, %q", sort(err), reasonOf(err), err, tc.want, tc.reason)
			}
		})
	}
}

func TestARefusedConnectionMeansNotSent(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(nil)
	closed := s.URL
	s.Close()
	for _, c := range []definition.Channel{definition.Slack, definition.Teams, definition.Webhook} {
		if got := sort(sender(strings.TrimPrefix(closed, "http://")).Send(t.Context(), message(c, closed))); got != again {
			t.Errorf("%s: %s, want %s", c, got, again)
		}
	}
}

func TestATimeoutOfAChatHasAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	h := listen(t, func(http.ResponseWriter, *http.Request) { <-over })
	defer close(over)
	for c, want := range map[definition.Channel]string{definition.Slack: unknown, definition.Webhook: again} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if got := sort(sender(h.host()).Send(ctx, message(c, h.url))); got != want {
			t.Errorf("%s: %s, want %s", c, got, want)
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()

	for _, code := range []int{301, 302, 303, 307, 308} {
		other := listen(t, status(200))
		h := listen(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.url, code) })
		got := sort(sender(h.host(), other.host()).Send(t.Context(), message(definition.Webhook, h.url)))
		if got != never || other.calls() != 0 {
			t.Errorf("%d: %s, and %d calls of the other", code, got, other.calls())
		}
	}
}

func TestPrivateAddressesAreRefused(t *testing.T) {
	t.Parallel()

	for _, url := range []string{
		"https://127.0.0.1/", "https://localhost/", "https://[::1]/", "https://10.0.0.1/", "https://192.168.1.1/", "https://172.16.0.1/",
		"https://169.254.169.254/latest/meta-data", "https://0.0.0.0/", "https://[::ffff:127.0.0.1]/", "https://[fd00::1]/",
		"https://100.64.0.1/", "https://224.0.0.1/", "https://127.1/", "https://2130706433/", "https://8.8.8.8:22/",
	} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			for _, c := range []definition.Channel{definition.Slack, definition.Webhook} {
				err := sender().Send(ctx, message(c, url))
				if got := sort(err); got != never && !strings.Contains(url, "127.1") && !strings.Contains(url, "2130706433") || got == sent {
					t.Errorf("%s: %s (%v), want %s", c, got, err, never)
				}
			}
		})
	}

	t.Run("even over https to a server that is there", func(t *testing.T) {
		t.Parallel()
		calls := 0
		s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls++ }))
		defer s.Close()
		if got := sort(sender().Send(t.Context(), message(definition.Webhook, s.URL))); got != never || calls != 0 {
			t.Errorf("%s after %d calls", got, calls)
		}
	})

	t.Run("and one allowed host does not allow its neighbour", func(t *testing.T) {
		t.Parallel()
		h, neighbour := listen(t, status(200)), listen(t, status(200))
		s := sender(h.host())
		s.Hosts = append(s.Hosts, neighbour.host()) // the scheme would be allowed, the address is not
		if got := sort(s.Send(t.Context(), message(definition.Webhook, neighbour.url))); got != never || neighbour.calls() != 0 {
			t.Errorf("%s after %d calls", got, neighbour.calls())
		}
	})
}

func TestOnlyHTTPSIsCalled(t *testing.T) {
	t.Parallel()
	h := listen(t, status(200))
	for _, url := range []string{
		h.url, "http://example.com/", "ftp://example.com/", "file:///etc/passwd", "//example.com/", "example.com", "",
		"https://user:password@example.com/", "https://exa mple.com/", "https://\r\nexample.com",
	} {
		s := sender()
		s.HTTP = notify.Client([]string{h.host()})
		if got := sort(s.Send(t.Context(), message(definition.Webhook, url))); got != never || h.calls() != 0 {
			t.Errorf("%q: %s after %d calls", url, got, h.calls())
		}
	}
}

// A proxy would connect without the address check.
func TestNoProxyIsUsed(t *testing.T) {
	t.Parallel()
	transport, ok := notify.Client(nil).Transport.(*http.Transport)
	if !ok || transport.Proxy != nil {
		t.Errorf("the transport is %+v", transport)
	}
}
