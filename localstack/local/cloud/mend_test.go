package cloud

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTheTemplateHasThePropertiesToMend(t *testing.T) {
	t.Parallel()

	app := App{State: t.TempDir()}
	if err := os.MkdirAll(app.assembly(), 0o700); err != nil {
		t.Fatal(err)
	}
	text := `{"Resources": {
		"Table": {"Type": "AWS::DynamoDB::Table", "Properties": {"TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": true}}},
		"Api": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"CorsConfiguration": {"AllowOrigins": ["http://a"], "MaxAge": 60}}},
		"Function": {"Type": "AWS::Lambda::Function", "Properties": {"Environment": {"Variables": {"EMAIL_SENDER": "a@b.c", "TABLE": {"Ref": "Table"}}}}},
		"Other": {"Type": "AWS::Odd", "Properties": {"Environment": "production"}}}}`
	if err := os.WriteFile(filepath.Join(app.assembly(), "Stack.template.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := app.template()
	if err != nil {
		t.Fatal(err)
	}
	if got.expiry() != "expires" || got.sender() != "a@b.c" {
		t.Errorf("expiry %q, sender %q", got.expiry(), got.sender())
	}
	if c := got.cors(); c == nil || c.MaxAge != 60 || len(c.AllowOrigins) != 1 {
		t.Errorf("cors %+v", c)
	}
}
