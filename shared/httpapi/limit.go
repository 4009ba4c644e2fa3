package httpapi

import (
	"context"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/limit"
)

// Limits takes permits from the pots of callers. See package limit.
type Limits interface {
	Take(ctx context.Context, who caller.Caller) limit.Verdict

	// Spare takes a permit of the caller's reserve for acts of security.
	Spare(ctx context.Context, who caller.Caller) limit.Verdict
}

// Strangers counts requests without a caller who has the right for them. See
// limit.Addresses.
type Strangers interface {
	Take(network string) limit.Verdict
}

// limited returns limit.ErrLimited when the caller's pot is empty and the route,
// or its reserve, has no permit either. It sets the X-RateLimit headers of the
// response to the state of the pot.
func (a *api) limited(r *http.Request, x *exchange, rt route) error {
	v := a.Limits.Take(r.Context(), x.who)
	h := x.Header()
	h.Set("X-RateLimit-Limit", strconv.Itoa(v.Limit))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(v.Remaining))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(v.Reset.Unix(), 10))
	if v.Allowed || rt.records.urgent(r) && a.Limits.Spare(r.Context(), x.who).Allowed {
		return nil
	}
	wait(h, v.Wait)
	return limit.ErrLimited
}

// stranger returns err, the reason why a request has no caller with the right for
// it, or limit.ErrAddress when its address sent too many such requests.
func (a *api) stranger(x *exchange, err error) error {
	if v := a.Strangers.Take(networkOf(x.address)); !v.Allowed {
		wait(x.Header(), v.Wait)
		return limit.ErrAddress
	}
	return err
}

// wait sets Retry-After, rounded up, so that the limit has reset when the caller
// comes back.
func wait(h http.Header, d time.Duration) {
	h.Set("Retry-After", strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10))
}

// subscriber is the length of the prefix of an IPv6 address that belongs to one
// subscriber, who can send from any address in it.
const subscriber = 64

// networkOf returns the network that an address counts for: the address itself,
// the prefix of an IPv6 address, or "" for an unknown one.
func networkOf(address string) string {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	if addr = addr.Unmap().WithZone(""); addr.Is4() {
		return addr.String()
	}
	p, err := addr.Prefix(subscriber)
	if err != nil {
		return ""
	}
	return p.String()
}
