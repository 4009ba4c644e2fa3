package notify_test

import (
	"context"
	"errors"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/notify"
	"theoneagents.app/agents/shared/step"
)

func message(c definition.Channel, to string) step.Message {
	return step.Message{
		Org: "org_a", Execution: "exec_1", Agent: "agent_1", Channel: c, Recipient: to,
		Subject: "Disk\r\nBcc: everyone@example.com", Body: "It's \"full\" <b>&\nnow\r\n.", Key: "exec_1:s:0",
	}
}

// The classification of a failed message.
const (
	never   = "cannot be reached" // step.ErrNotification
	again   = "not sent"          // step.ErrAgain
	unknown = "possibly sent"
	sent    = "sent"
)

func sort(err error) string {
	switch {
	case err == nil:
		return sent
	case errors.Is(err, step.ErrNotification):
		return never
	case errors.Is(err, step.ErrAgain):
		return again
	}
	return unknown
}

// ---- SNS and SES, behind their real clients ----

// cloud gives every AWS call the same answer.
type cloud struct {
	status int
	body   string
	kind   string
	hang   bool
	calls  atomic.Int32
}

func (c *cloud) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	c.calls.Add(1)
	if c.hang {
		panic(http.ErrAbortHandler)
	}
	if c.kind != "" {
		w.Header().Set("X-Amzn-ErrorType", c.kind)
	}
	w.WriteHeader(c.status)
	io.WriteString(w, c.body) //nolint:errcheck // the client complains.
}

func (c *cloud) serve(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(c)
	t.Cleanup(s.Close)
	return s.URL
}

func (c *cloud) sms(t *testing.T) notify.SMS {
	t.Helper()
	url := c.serve(t)
	return notify.SMS{API: sns.New(sns.Options{
		Region: "eu-central-1", BaseEndpoint: &url, RetryMaxAttempts: 1, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
	})}
}

func (c *cloud) email(t *testing.T) notify.Email {
	t.Helper()
	url := c.serve(t)
	return notify.Email{From: "agents@example.com", API: sesv2.New(sesv2.Options{
		Region: "eu-central-1", BaseEndpoint: &url, RetryMaxAttempts: 1, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
	})}
}

func refusal(code string) string {
	return `<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type><Code>` + code +
		`</Code><Message>no</Message></Error><RequestId>r</RequestId></ErrorResponse>`
}

func TestFailuresOfSNSAreClassified(t *testing.T) {
	t.Parallel()

	const ok = `<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>m</MessageId></PublishResult></PublishResponse>`
	for name, tc := range map[string]struct {
		cloud *cloud
		want  string
	}{
		"it is sent":              {&cloud{status: 200, body: ok}, sent},
		"a number it cannot use":  {&cloud{status: 400, body: refusal("InvalidParameter")}, never},
		"a number that opted out": {&cloud{status: 400, body: refusal("OptedOut")}, never},
		"no permission":           {&cloud{status: 403, body: refusal("AuthorizationError")}, never},
		"too many":                {&cloud{status: 429, body: refusal("Throttled")}, again},
		"too many at the door":    {&cloud{status: 400, body: refusal("Throttling")}, again},
		"too many, otherwise":     {&cloud{status: 400, body: refusal("ThrottlingException")}, again},
		"broken":                  {&cloud{status: 500, body: refusal("InternalError")}, again},
		"no answer":               {&cloud{hang: true}, unknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := sort(tc.cloud.sms(t).Send(t.Context(), message(definition.SMS, "+15551234567"))); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			if n := tc.cloud.calls.Load(); n != 1 {
				t.Errorf("%d calls: it may be sent twice", n)
			}
		})
	}
}

func TestFailuresOfSESAreClassified(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		cloud *cloud
		want  string
	}{
		"it is sent":               {&cloud{status: 200, body: `{"MessageId": "m"}`}, sent},
		"an address it cannot use": {&cloud{status: 400, kind: "BadRequestException", body: `{}`}, never},
		"a message it refuses":     {&cloud{status: 400, kind: "MessageRejected", body: `{}`}, never},
		"an unknown sender":        {&cloud{status: 400, kind: "MailFromDomainNotVerifiedException", body: `{}`}, never},
		"too many":                 {&cloud{status: 429, kind: "TooManyRequestsException", body: `{}`}, again},
		"too many at the door":     {&cloud{status: 400, kind: "ThrottlingException", body: `{}`}, again},
		"no answer":                {&cloud{hang: true}, unknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := sort(tc.cloud.email(t).Send(t.Context(), message(definition.Email, "a@example.com"))); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			if n := tc.cloud.calls.Load(); n != 1 {
				t.Errorf("%d calls: it may be sent twice", n)
			}
		})
	}
}

func TestARefusalOfAWSIsDescribedWithItsCode(t *testing.T) {
	t.Parallel()

	for code, want := range map[string]string{
		"OptedOut":         "Amazon SNS may not send to the number, which has opted out (OptedOut)",
		"Throttled":        "Amazon SNS is limiting the rate of messages (Throttled)",
		"SomethingElse":    "Amazon SNS refused the message (SomethingElse)",
		"some &lt;b> text": "Amazon SNS refused the message",
	} {
		c := &cloud{status: 400, body: refusal(code)}
		if got := reasonOf(c.sms(t).Send(t.Context(), message(definition.SMS, "+15551234567"))); got != want {
			t.Errorf("%s: %q, want %q", code, got, want)
		}
	}
	c := &cloud{status: 400, kind: "MessageRejected", body: `{"message": "arn:aws:ses:secret"}`}
	got := reasonOf(c.email(t).Send(t.Context(), message(definition.Email, "a@example.com")))
	if want := "Amazon SES rejected the message; the address or the sender may not be verified (MessageRejected)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	c = &cloud{hang: true}
	if got := reasonOf(c.email(t).Send(t.Context(), message(definition.Email, "a@example.com"))); got != "Amazon SES gave no answer" {
		t.Error(got)
	}
}

// phone and post record their input.
type phone struct{ in *sns.PublishInput }

func (p *phone) Publish(_ context.Context, in *sns.PublishInput, _ ...func(*sns.Options)) (*sns.PublishOutput, error) {
	p.in = in
	return &sns.PublishOutput{}, nil
}

type post struct{ in *sesv2.SendEmailInput }

func (p *post) SendEmail(_ context.Context, in *sesv2.SendEmailInput, _ ...func(*sesv2.Options)) (*sesv2.SendEmailOutput, error) {
	p.in = in
	return &sesv2.SendEmailOutput{}, nil
}

func TestAnSMSIsTaggedWithItsOrganization(t *testing.T) {
	t.Parallel()
	p := &phone{}
	m := message(definition.SMS, "+15551234567")
	if err := (notify.SMS{API: p}).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if *p.in.PhoneNumber != m.Recipient || *p.in.Message != m.Body || p.in.TopicArn != nil || p.in.TargetArn != nil {
		t.Errorf("published %+v", p.in)
	}
	got := map[string]string{}
	for name, v := range p.in.MessageAttributes {
		got[name] = *v.StringValue
	}
	if diff := cmp.Diff(map[string]string{"org_id": "org_a", "idempotency_key": "exec_1:s:0"}, got); diff != "" {
		t.Errorf("attributes (-want +got)\n%s", diff)
	}
}

func TestAnSMSIsCutToTheLimitOfSNS(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct{ body, want string }{
		"what fits":               {strings.Repeat("x", 1600), strings.Repeat("x", 1600)},
		"one character more":      {strings.Repeat("x", 1601), strings.Repeat("x", 1599) + "…"},
		"characters that are two": {strings.Repeat("🔥", 801), strings.Repeat("🔥", 799) + "…"},
		"control characters":      {"a\x00\x1b[31mb\u0085\tc\r\nd", "a[31mb\tc\r\nd"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &phone{}
			m := message(definition.SMS, "+15551234567")
			m.Body = tc.body
			if err := (notify.SMS{API: p}).Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			if *p.in.Message != tc.want {
				t.Errorf("got %q, want %q", *p.in.Message, tc.want)
			}
		})
	}
}

func TestAnEmailSaysTheSameInHTML(t *testing.T) {
	t.Parallel()
	p := &post{}
	m := message(definition.Email, "a@example.com")
	m.Subject, m.Body = "<b>Disk</b>\x00\u2028", "<a href=\"https://evil.example\">Log in</a> &amp;\r\n\r\n  https://b.example\x00\n</p><script>alert(1)</script>"
	if err := (notify.Email{API: p, From: "agents@example.com"}).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	got := *p.in.Content.Simple.Body.Html.Data
	for _, want := range []string{
		"<title>&lt;b&gt;Disk&lt;/b&gt;  </title>", ">&lt;b&gt;Disk&lt;/b&gt;  </h1>",
		`>&lt;a href=&#34;https://evil.example&#34;&gt;Log in&lt;/a&gt; &amp;amp;<br/><br/>  https://b.example<br/>&lt;/p&gt;&lt;script&gt;alert(1)&lt;/script&gt;</p>`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("it does not say %s", want)
		}
	}
	for _, never := range []string{"<a", "<img", "<link", "<script", "href=\"", "src=", "url(", "\x00"} {
		if strings.Contains(got, never) {
			t.Errorf("it has %q", never)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}

func TestAnEmailHasOnlyTheLinkOfThePlatform(t *testing.T) {
	t.Parallel()
	anchors := regexp.MustCompile(`<a href="([^"]*)"[^>]*>([^<]*)</a>`)
	for name, tc := range map[string]struct {
		link step.Link
		want []string // address and text of each
	}{
		"none":                          {step.Link{}, nil},
		"ours":                          {step.Link{Text: "Decide", URL: "https://one.example/approvals/appr_1"}, []string{"https://one.example/approvals/appr_1", "Decide"}},
		"ours, which has to be encoded": {step.Link{Text: `"><b>`, URL: `https://one.example/?a=1&b="><script>`}, []string{`https://one.example/?a=1&b="><script>`, `"><b>`}},
		"not a web address":             {step.Link{Text: "Decide", URL: "javascript:alert(1)"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &post{}
			m := message(definition.Email, "a@example.com")
			m.Body, m.Link = `See https://one.example/approvals/appr_1 or <a href="https://evil.example">here</a>`, tc.link
			if err := (notify.Email{API: p, From: "agents@example.com"}).Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, a := range anchors.FindAllStringSubmatch(*p.in.Content.Simple.Body.Html.Data, -1) {
				got = append(got, html.UnescapeString(a[1]), html.UnescapeString(a[2]))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("links (-want +got)\n%s\n%s", diff, *p.in.Content.Simple.Body.Html.Data)
			}
			if *p.in.Content.Simple.Body.Text.Data != m.Body {
				t.Errorf("the text is %q", *p.in.Content.Simple.Body.Text.Data)
			}
		})
	}
}

func TestAnEmailWithoutASubjectHasNoHeading(t *testing.T) {
	t.Parallel()
	p := &post{}
	m := message(definition.Email, "a@example.com")
	m.Subject = ""
	if err := (notify.Email{API: p, From: "agents@example.com"}).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if got := *p.in.Content.Simple.Body.Html.Data; strings.Contains(got, "<h1") {
		t.Error(got)
	}
}

func TestASubjectAddsNoHeaders(t *testing.T) {
	t.Parallel()
	p := &post{}
	m := message(definition.Email, "a@example.com")
	if err := (notify.Email{API: p, From: "agents@example.com"}).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	in := p.in.Content.Simple
	if got := *in.Subject.Data; strings.ContainsAny(got, "\r\n") || !strings.HasPrefix(got, "Disk") {
		t.Errorf("subject = %q", got)
	}
	if *in.Body.Text.Data != m.Body {
		t.Errorf("the text is %q", *in.Body.Text.Data)
	}
	if diff := cmp.Diff([]string{"a@example.com"}, p.in.Destination.ToAddresses); diff != "" || len(p.in.Destination.BccAddresses)+len(p.in.Destination.CcAddresses) > 0 {
		t.Errorf("to %+v", p.in.Destination)
	}
	got := map[string]string{}
	for _, h := range in.Headers {
		got[*h.Name] = *h.Value
	}
	if diff := cmp.Diff(map[string]string{"X-Org-Id": "org_a", "Idempotency-Key": "exec_1:s:0"}, got); diff != "" {
		t.Errorf("headers (-want +got)\n%s", diff)
	}
}
