package issuer_test

import (
	"context"
	"slices"
	"testing"

	"github.com/sanad-id/sanad/api/issuer"
	"github.com/sanad-id/sanad/keys"
)

// TestSigningAlgorithm: the metadata name the algorithm that credentials are signed with,
// and no other (OpenID4VCI section 12.2.4); none if that cannot be told.
func TestSigningAlgorithm(t *testing.T) {
	for name, tt := range map[string]struct {
		tell func(context.Context) (keys.Algorithm, error)
		want []string
	}{
		"one":            {func(context.Context) (keys.Algorithm, error) { return keys.ES384, nil }, []string{"ES384"}},
		"no key":         {func(context.Context) (keys.Algorithm, error) { return "", nil }, nil},
		"out of reach":   {func(context.Context) (keys.Algorithm, error) { return keys.ES256, errRegistry }, nil},
		"nobody to tell": {nil, nil},
	} {
		b := newBed(t, engines[0], func(c *issuer.Config) { c.SigningAlgorithm = tt.tell })
		if c, ok := b.wallet().metadata().Configuration(configuration); !ok || !slices.Equal(c.SigningAlgorithms, tt.want) {
			t.Errorf("%s: %q, want %q", name, c.SigningAlgorithms, tt.want)
		}
	}
}
