package key

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"

	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/id"
)

// A Master is the secret from which the signing secret of every organization is
// derived. Its holder can sign for all organizations; it is never shown.
type Master []byte

// Secret returns the 32 bytes that sign the webhooks of the organization. They
// are always the same, and reveal nothing about those of another organization.
func (m Master) Secret(org id.Org) []byte {
	mac := hmac.New(sha256.New, m)
	mac.Write([]byte("webhook\n" + string(org)))
	return mac.Sum(nil)
}

// WebhookSecret returns the secret of the caller's organization in the form of
// the Standard Webhooks libraries: whsec_ and base64.
func (s *Service) WebhookSecret(who caller.Caller) string {
	return "whsec_" + base64.StdEncoding.EncodeToString(s.Master.Secret(who.Org))
}
