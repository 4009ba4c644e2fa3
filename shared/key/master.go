package key

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"

	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/id"
)

// A Master is the secret from which every organization's signing secret is
// derived. Whoever knows it can sign for all of them; nobody is shown it.
type Master []byte

// Secret returns the 32 bytes that the webhooks of the organization are signed
// with. They are always the same, and tell nothing of those of another one.
func (m Master) Secret(org id.Org) []byte {
	mac := hmac.New(sha256.New, m)
	mac.Write([]byte("webhook\n" + string(org)))
	return mac.Sum(nil)
}

// WebhookSecret returns the secret of the caller's organization as the libraries
// of Standard Webhooks take it: whsec_ and base64.
func (s *Service) WebhookSecret(who caller.Caller) string {
	return "whsec_" + base64.StdEncoding.EncodeToString(s.Master.Secret(who.Org))
}
