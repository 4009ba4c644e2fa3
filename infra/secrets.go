package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/jsii-runtime-go"
)

// A secret is the name of a secret in Secrets Manager. The stack makes it, unless a
// setting names an existing secret.
type secret struct {
	name string
	made bool
}

// secretLength is the length of a secret that the stack makes: 64 letters and digits
// have 381 random bits. Package callkey takes exactly this length for a seed.
const secretLength = 64

// punctuation is all of ASCII's. A seed has none.
const punctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"

// newSecrets makes the secrets that no setting names. Their value is the first
// generation, in the form that the functions read. CloudFormation makes another value
// when any of these properties changes, so none may change in a later release: the
// secrets of webhooks that organizations know are derived from it. A secret outlives
// its stack like the table does.
func newSecrets(stack awscdk.Stack, s settings) {
	for _, one := range []struct {
		id, about string
		secret    secret
	}{
		{"WebhookSecret", "Derives the secrets that sign webhooks.", s.HookSecret},
		{"CursorSecret", "Signs the cursors of lists.", s.CursorSecret},
		{"CallKeySecret", "Seed of the key that signs calls of products.", s.CallKey},
	} {
		if !one.secret.made {
			continue
		}
		awssecretsmanager.NewSecret(stack, jsii.String(one.id), &awssecretsmanager.SecretProps{
			SecretName:  jsii.String(one.secret.name),
			Description: jsii.String(one.about),
			GenerateSecretString: &awssecretsmanager.SecretStringGenerator{
				SecretStringTemplate: jsii.String("{}"),
				GenerateStringKey:    jsii.String("current"),
				PasswordLength:       jsii.Number(secretLength),
				ExcludePunctuation:   jsii.Bool(true),
				ExcludeCharacters:    jsii.String(punctuation), // the emulator obeys this one only
			},
			RemovalPolicy: awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE,
		})
	}
}
