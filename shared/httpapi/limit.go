package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/limit"
)

// Limits takes permits from the rate limit of an organization. See package limit.
type Limits interface {
	Take(ctx context.Context, org id.Org) limit.Verdict
}

// limited returns limit.ErrLimited when the organization is over its rate limit.
// In either case it sets the X-RateLimit headers of the response.
func (e Edge) limited(ctx context.Context, h http.Header, org id.Org) error {
	v := e.Limits.Take(ctx, org)
	h.Set("X-RateLimit-Limit", strconv.Itoa(v.Limit))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(v.Remaining))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(v.Reset.Unix(), 10))
	if v.Allowed {
		return nil
	}
	// Rounded up, so that the limit has reset when the caller comes back.
	h.Set("Retry-After", strconv.FormatInt(int64((v.Wait+time.Second-1)/time.Second), 10))
	return limit.ErrLimited
}
