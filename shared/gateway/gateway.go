// Package gateway connects an http.Handler to API Gateway.
//
// It uses two functions of the adapter (aws-lambda-go-api-proxy):
// ProxyWithContext and core.GetAPIGatewayV2ContextFromContext. The adapter's
// other accessors read the gateway's data from a header that any client can
// send.
package gateway

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/awslabs/aws-lambda-go-api-proxy/core"
	"github.com/awslabs/aws-lambda-go-api-proxy/httpadapter"
)

// A Handler is a Lambda handler of HTTP requests.
type Handler = func(context.Context, events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error)

// Handle returns the Lambda handler for h. It never returns an error: API
// Gateway would turn an error into a bare 500 without our body.
func Handle(h http.Handler) Handler {
	adapter := httpadapter.NewV2(h)
	return func(ctx context.Context, in events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		in = plain(in)
		if !readable(in) {
			return unreadable(name(ctx, in.RequestContext)), nil
		}
		out, err := adapter.ProxyWithContext(ctx, in)
		if err != nil {
			return unreadable(name(ctx, in.RequestContext)), nil //nolint:nilerr // the adapter has printed it; see above.
		}
		return compressed(in, out), nil
	}
}

// RequestID returns the id of the request that ctx belongs to.
func RequestID(ctx context.Context) string {
	request, _ := core.GetAPIGatewayV2ContextFromContext(ctx)
	return name(ctx, request)
}

// Address returns the address from which API Gateway received the request that
// ctx belongs to, or "" outside of a request. No header of the request can
// change it.
func Address(ctx context.Context) string {
	request, _ := core.GetAPIGatewayV2ContextFromContext(ctx)
	addr, err := netip.ParseAddr(request.HTTP.SourceIP)
	if err != nil || addr.Zone() != "" {
		return ""
	}
	return addr.String()
}

// name returns the request id of API Gateway, or else that of Lambda.
func name(ctx context.Context, request events.APIGatewayV2HTTPRequestContext) string {
	if lc, ok := lambdacontext.FromContext(ctx); ok && request.RequestID == "" {
		return lc.AwsRequestID
	}
	return request.RequestID
}

// readable reports whether the adapter can make a request of in. The adapter
// prints requests that it cannot read, and strangers must not fill our log.
func readable(in events.APIGatewayV2HTTPRequest) bool {
	uri := in.RawPath
	if in.RawQueryString != "" {
		uri += "?" + in.RawQueryString
	}
	_, err := url.ParseRequestURI(uri)
	if err == nil && in.IsBase64Encoded {
		_, err = base64.StdEncoding.DecodeString(in.Body)
	}
	return err == nil && method(in.RequestContext.HTTP.Method)
}

// method reports whether s is a valid method.
func method(s string) bool {
	return s != "" && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-") == ""
}

// plain returns in with a valid path, without the headers that the adapter uses
// for the gateway's data, and with all cookies in one header, since the adapter
// splits headers at commas.
func plain(in events.APIGatewayV2HTTPRequest) events.APIGatewayV2HTTPRequest {
	path := cmp.Or(in.RawPath, in.RequestContext.HTTP.Path)
	path = strings.NewReplacer("?", "%3F", "#", "%23").Replace(path) // the gateway decoded it
	in.RawPath = "/" + strings.TrimPrefix(path, "/")
	in.Headers = maps.Clone(in.Headers)
	for name, value := range in.Headers {
		switch lower := strings.ToLower(name); {
		case strings.HasPrefix(lower, "x-golambdaproxy-"):
			delete(in.Headers, name)
		case lower == "cookie":
			if len(in.Cookies) == 0 {
				in.Cookies = []string{value}
			}
			delete(in.Headers, name)
		}
	}
	return in
}

// unreadable returns the error for an invalid request, in the shape of every
// other error.
func unreadable(requestID string) events.APIGatewayV2HTTPResponse {
	body, err := json.Marshal(struct {
		Error     string `json:"error"`
		Message   string `json:"message"`
		Status    int    `json:"status"`
		RequestID string `json:"request_id"`
	}{"invalid_request", "The request could not be read.", http.StatusBadRequest, requestID})
	if err != nil {
		body = nil // strings and numbers always have JSON
	}
	return events.APIGatewayV2HTTPResponse{
		StatusCode: http.StatusBadRequest,
		Headers: map[string]string{
			"Content-Type": "application/json", "Cache-Control": "no-store",
			"X-Content-Type-Options": "nosniff", "X-Request-Id": requestID,
		},
		Body: string(body) + "\n",
	}
}
