package gateway

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/aws/aws-lambda-go/events"
)

// minCompressed is the size above which a body is compressed, in bytes. A smaller one
// fits one packet anyway. It is also larger than every response with a secret: the
// length of a compressed secret beside text of a stranger's could tell about it.
const minCompressed = 1 << 10

// compressed returns the response with its body compressed by gzip, if the body is long
// and the caller accepts that.
func compressed(in events.APIGatewayV2HTTPRequest, out events.APIGatewayV2HTTPResponse) events.APIGatewayV2HTTPResponse {
	if len(out.Body) <= minCompressed || out.IsBase64Encoded || out.Headers["Content-Encoding"] != "" {
		return out
	}
	if out.Headers == nil {
		out.Headers = map[string]string{}
	}
	out.Headers["Vary"] = "Accept-Encoding"
	if !acceptsGzip(in.Headers) {
		return out
	}
	var b bytes.Buffer
	// The fastest level: a function has a part of a processor, and the others save little.
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err == nil {
		_, err = w.Write([]byte(out.Body))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return out // impossible: the level is valid, and a buffer takes every write
	}
	out.Body, out.IsBase64Encoded = base64.StdEncoding.EncodeToString(b.Bytes()), true
	out.Headers["Content-Encoding"] = "gzip"
	delete(out.Headers, "Content-Length")
	return out
}

// acceptsGzip reports whether Accept-Encoding allows gzip, by its name or by *.
func acceptsGzip(headers map[string]string) bool {
	named, other := -1.0, -1.0 // the qualities of gzip and of *, or -1
	for name, value := range headers {
		if !strings.EqualFold(name, "Accept-Encoding") {
			continue
		}
		for part := range strings.SplitSeq(value, ",") {
			coding, params, _ := strings.Cut(part, ";")
			switch quality := quality(params); strings.ToLower(strings.TrimSpace(coding)) {
			case "gzip", "x-gzip":
				named = quality
			case "*":
				other = quality
			}
		}
	}
	return named > 0 || named < 0 && other > 0
}

// quality returns the quality in the parameters of a coding, 1 without a valid one.
func quality(params string) float64 {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		if q, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil && strings.EqualFold(strings.TrimSpace(name), "q") {
			return q
		}
	}
	return 1
}
