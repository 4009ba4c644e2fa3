package cloud

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

// secrets returns the secrets of the functions by their names, which are the
// defaults of the CDK app. They are derived from the key of this local cloud: they
// stay the same until make reset, and no two clouds have the same.
func (a App) secrets() map[string]string {
	derived := func(name string) string {
		mac := hmac.New(sha256.New, a.CallKey)
		mac.Write([]byte(name))
		return base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	return map[string]string{
		"one-agents/call-key": base64.StdEncoding.EncodeToString(a.CallKey),
		"one-agents/cursor":   derived("cursor"),
		"one-agents/webhook":  derived("webhook"),
	}
}

// PutSecrets stores the secrets that the emulator does not have. A secret that it
// has is kept: somebody may have rotated it.
func (a App) PutSecrets(ctx context.Context) error {
	vault := secretsmanager.NewFromConfig(Config(a.Endpoint))
	var failed []error
	for name, value := range a.secrets() {
		text, err := json.Marshal(map[string]string{"current": value})
		if err != nil {
			return err
		}
		_, err = vault.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: aws.String(name), SecretString: aws.String(string(text))})
		if _, exists := errors.AsType[*types.ResourceExistsException](err); err != nil && !exists {
			failed = append(failed, fmt.Errorf("store the secret %s: %w", name, err))
		}
	}
	return errors.Join(failed...)
}
