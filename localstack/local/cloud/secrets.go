package cloud

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

// The names of the secrets. On AWS the stack makes them; here they exist before the
// stack, so that a cloud whose stack is made anew keeps them.
const (
	callKeySecret = "one-agents/call-key"
	cursorSecret  = "one-agents/cursor"  //nolint:gosec // a name.
	webhookSecret = "one-agents/webhook" //nolint:gosec // a name.
)

// secrets returns the secrets of the functions by their names. They are derived from the key of this local cloud: they
// stay the same until make reset, and no two clouds have the same.
func (a App) secrets() map[string]string {
	derived := func(name string) string {
		mac := hmac.New(sha256.New, a.RootKey)
		mac.Write([]byte(name))
		return hex.EncodeToString(mac.Sum(nil))
	}
	return map[string]string{
		callKeySecret: derived("call-key"),
		cursorSecret:  derived("cursor"),
		webhookSecret: derived("webhook"),
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
