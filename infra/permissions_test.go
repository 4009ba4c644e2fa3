package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAnInferenceProfileNeedsItsModelToo(t *testing.T) {
	got := modelResources([]string{"amazon.nova-lite-v1:0", "us.anthropic.claude-x", "us.anthropic.claude-x"})
	want := []modelResource{
		{"foundation-model", "amazon.nova-lite-v1:0"},
		{"inference-profile", "us.anthropic.claude-x"},
		{"foundation-model", "anthropic.claude-x"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(modelResource{})); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
}
