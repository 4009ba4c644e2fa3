package gateway

import (
	"compress/gzip"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
)

// unpacked returns the body of a response.
func unpacked(t *testing.T, out events.APIGatewayV2HTTPResponse) string {
	t.Helper()
	if !out.IsBase64Encoded {
		return out.Body
	}
	r, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(out.Body)))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestALongBodyIsCompressedForACallerThatAcceptsIt(t *testing.T) {
	t.Parallel()

	long := strings.Repeat(`{"name": "Käse"},`, 100)
	for name, tc := range map[string]struct {
		accept, body string
		want         bool
	}{
		"a browser":            {"gzip, deflate, br, zstd", long, true},
		"in capitals":          {"GZIP", long, true},
		"with a quality":       {"br;q=1.0, gzip;q=0.5", long, true},
		"anything":             {"*", long, true},
		"anything but gzip":    {"*, gzip;q=0", long, false},
		"nothing else":         {"identity;q=1, *;q=0", long, false},
		"refused":              {"gzip;q=0.0", long, false},
		"another":              {"br", long, false},
		"an empty header":      {"", long, false},
		"a name that contains": {"notgzip", long, false},
		"a short body":         {"gzip", long[:minCompressed], false},
		"a byte more":          {"gzip", long[:minCompressed] + "x", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			in := fixture(t, "get")
			in.Headers["accept-encoding"] = tc.accept
			out, err := Handle(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("ETag", `"1"`)
				if _, err := io.WriteString(w, tc.body); err != nil {
					t.Error(err)
				}
			}))(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			if got := out.Headers["Content-Encoding"] == "gzip"; got != tc.want || got != out.IsBase64Encoded {
				t.Errorf("compressed: %t, %v", got, out.Headers)
			}
			if body := unpacked(t, out); body != tc.body || out.Headers["Etag"] != `"1"` {
				t.Errorf("%.100q, %v", body, out.Headers)
			}
			if varies := out.Headers["Vary"] == "Accept-Encoding"; varies != (len(tc.body) > minCompressed) {
				t.Errorf("%v", out.Headers)
			}
		})
	}
}

func TestABodyThatIsEncodedAlreadyStaysAsItIs(t *testing.T) {
	t.Parallel()

	in := fixture(t, "get")
	in.Headers["accept-encoding"] = "gzip"
	out := events.APIGatewayV2HTTPResponse{Body: strings.Repeat("x", 2*minCompressed), Headers: map[string]string{"Content-Encoding": "br"}}
	if got := compressed(in, out); got.Body != out.Body || got.Headers["Content-Encoding"] != "br" {
		t.Errorf("%v", got.Headers)
	}
	out.Headers, out.IsBase64Encoded = nil, true
	if got := compressed(in, out); got.Body != out.Body || got.Headers["Content-Encoding"] != "" {
		t.Errorf("%v", got.Headers)
	}
}
