package cloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	gateway "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	table "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	bus "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	mail "github.com/aws/aws-sdk-go-v2/service/sesv2/types"
)

// archiveDays is how long the bus keeps events, as on AWS.
const archiveDays = 30

// Config returns the AWS configuration of the emulator at endpoint. It reads
// neither files nor environment, which would be slow and could lead to the real
// AWS.
func Config(endpoint string) aws.Config {
	return aws.Config{
		Region:       Region,
		BaseEndpoint: aws.String(endpoint),
		Credentials:  credentials.NewStaticCredentialsProvider(KeyID, Secret, ""),
	}
}

// Mend sets, by API calls, the properties that the emulator's CloudFormation
// drops: the table's time to live, the API's CORS and the archives of the buses.
// It also confirms the sender's address, which on AWS its owner does once. It
// takes the values from the template, so that each is defined once.
func (a App) Mend(ctx context.Context, o Outputs) error {
	t, err := a.template()
	if err != nil {
		return err
	}
	c := Config(o.Endpoint)
	return errors.Join(
		setExpiry(ctx, dynamodb.NewFromConfig(c), o.Table, t.expiry()),
		setCORS(ctx, apigatewayv2.NewFromConfig(c), o.Stack["ApiId"], t.cors()),
		setArchive(ctx, eventbridge.NewFromConfig(c), o.Bus, o.Stack["ArchiveName"]),
		setArchive(ctx, eventbridge.NewFromConfig(c), o.HubBus, o.Stack["HubArchiveName"]),
		confirmSender(ctx, sesv2.NewFromConfig(c), t.sender()),
	)
}

func setExpiry(ctx context.Context, db *dynamodb.Client, name, attribute string) error {
	if attribute == "" {
		return nil
	}
	now, err := db.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: aws.String(name)})
	if err != nil {
		return fmt.Errorf("read the table's time to live: %w", err)
	}
	if now.TimeToLiveDescription != nil && now.TimeToLiveDescription.TimeToLiveStatus == table.TimeToLiveStatusEnabled {
		return nil
	}
	_, err = db.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
		TableName: aws.String(name),
		TimeToLiveSpecification: &table.TimeToLiveSpecification{
			AttributeName: aws.String(attribute), Enabled: aws.Bool(true),
		},
	})
	if err != nil {
		return fmt.Errorf("set the table's time to live: %w", err)
	}
	return nil
}

func setCORS(ctx context.Context, api *apigatewayv2.Client, id string, c *cors) error {
	if c == nil {
		return nil
	}
	_, err := api.UpdateApi(ctx, &apigatewayv2.UpdateApiInput{
		ApiId: aws.String(id),
		CorsConfiguration: &gateway.Cors{
			AllowCredentials: aws.Bool(c.AllowCredentials),
			AllowHeaders:     c.AllowHeaders,
			AllowMethods:     c.AllowMethods,
			AllowOrigins:     c.AllowOrigins,
			ExposeHeaders:    c.ExposeHeaders,
			MaxAge:           aws.Int32(c.MaxAge),
		},
	})
	if err != nil {
		return fmt.Errorf("set the API's CORS: %w", err)
	}
	return nil
}

func setArchive(ctx context.Context, events *eventbridge.Client, busName, name string) error {
	found, err := events.DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{Name: aws.String(busName)})
	if err != nil {
		return fmt.Errorf("find the bus: %w", err)
	}
	_, err = events.CreateArchive(ctx, &eventbridge.CreateArchiveInput{
		ArchiveName:    aws.String(name),
		EventSourceArn: found.Arn,
		RetentionDays:  aws.Int32(archiveDays),
	})
	if _, exists := errors.AsType[*bus.ResourceAlreadyExistsException](err); err != nil && !exists {
		return fmt.Errorf("create the archive: %w", err)
	}
	return nil
}

func confirmSender(ctx context.Context, ses *sesv2.Client, address string) error {
	if address == "" {
		return nil
	}
	_, err := ses.CreateEmailIdentity(ctx, &sesv2.CreateEmailIdentityInput{EmailIdentity: aws.String(address)})
	if _, exists := errors.AsType[*mail.AlreadyExistsException](err); err != nil && !exists {
		return fmt.Errorf("confirm the sender %s: %w", address, err)
	}
	return nil
}

// A template is a CloudFormation template.
type template struct {
	Resources map[string]resource `json:"Resources"`
}

type resource struct {
	Type       string     `json:"Type"`
	Properties properties `json:"Properties"`
}

// properties are the properties of any resource that Mend reads.
type properties struct {
	Cors        *cors `json:"CorsConfiguration"`
	Environment struct {
		Variables map[string]any `json:"Variables"`
	} `json:"Environment"`
	TimeToLive struct {
		AttributeName string `json:"AttributeName"`
	} `json:"TimeToLiveSpecification"`
}

type cors struct {
	AllowCredentials bool     `json:"AllowCredentials"`
	AllowHeaders     []string `json:"AllowHeaders"`
	AllowMethods     []string `json:"AllowMethods"`
	AllowOrigins     []string `json:"AllowOrigins"`
	ExposeHeaders    []string `json:"ExposeHeaders"`
	MaxAge           int32    `json:"MaxAge"`
}

// template returns all the app's templates as one.
func (a App) template() (template, error) {
	all := template{Resources: map[string]resource{}}
	files, err := filepath.Glob(filepath.Join(a.assembly(), "*.template.json"))
	if err != nil {
		return all, err
	}
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // ours.
		if err != nil {
			return all, err
		}
		var t struct {
			Resources map[string]json.RawMessage `json:"Resources"`
		}
		if err := json.Unmarshal(text, &t); err != nil {
			return all, fmt.Errorf("read %s: %w", file, err)
		}
		for name, raw := range t.Resources {
			var r resource
			if json.Unmarshal(raw, &r) == nil { // a resource of another shape has none of these properties
				all.Resources[name] = r
			}
		}
	}
	return all, nil
}

func (t template) expiry() string {
	for _, r := range t.Resources {
		if r.Type == "AWS::DynamoDB::Table" {
			return r.Properties.TimeToLive.AttributeName
		}
	}
	return ""
}

func (t template) cors() *cors {
	for _, r := range t.Resources {
		if r.Type == "AWS::ApiGatewayV2::Api" {
			return r.Properties.Cors
		}
	}
	return nil
}

func (t template) sender() string {
	for _, r := range t.Resources {
		if sender, ok := r.Properties.Environment.Variables["EMAIL_SENDER"].(string); ok {
			return sender
		}
	}
	return ""
}
