package wire

import (
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"theoneagents.app/agents/shared/boot"
)

// A vault reads the secrets of a function when it starts, all at once: a cold start
// waits for the slowest of at most four calls, one round trip of some 20 ms, and
// each call costs $0.000005. A warm function reads none.
type vault struct {
	reads map[string]func() (boot.Secret, error)
}

// secretsTimeout bounds the reads; a function that cannot read its secrets does not
// start, and Lambda starts another.
const secretsTimeout = 8 * time.Second

// openVault begins to read the secrets that the environment names.
func openVault(ctx context.Context, cfg aws.Config, getenv boot.Getenv) vault {
	v := vault{reads: map[string]func() (boot.Secret, error){}}
	var client *secretsmanager.Client
	for _, variable := range boot.SecretNames() {
		name := getenv(variable)
		if name == "" {
			continue
		}
		if client == nil {
			client = secretsmanager.NewFromConfig(cfg)
		}
		read := sync.OnceValues(func() (boot.Secret, error) { return readSecret(ctx, client, name) })
		go read() //nolint:errcheck // the result is kept for secret.
		v.reads[variable] = read
	}
	return v
}

func readSecret(ctx context.Context, client *secretsmanager.Client, name string) (boot.Secret, error) {
	bounded, cancel := context.WithTimeout(ctx, secretsTimeout)
	defer cancel()
	out, err := client.GetSecretValue(bounded, &secretsmanager.GetSecretValueInput{SecretId: &name})
	if err != nil {
		return boot.Secret{}, err
	}
	return boot.ParseSecret(aws.ToString(out.SecretString))
}

// secret returns the secret that a variable names, and records a fault when that
// cannot be read. Without the variable it returns an empty secret.
func (w *Wire) secret(variable string) boot.Secret {
	read, ok := w.vault.reads[variable]
	if !ok {
		return boot.Secret{}
	}
	s, err := read()
	w.env.Fault(variable, err)
	return s
}

// needSecret is secret for a variable that must be set.
func (w *Wire) needSecret(variable string) boot.Secret {
	w.env.Need(variable)
	return w.secret(variable)
}
