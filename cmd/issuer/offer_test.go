package main

import (
	"strings"
	"testing"
)

// TestOfferCodeIsReadable: what cameras would not read is not drawn, and somebody is told why.
func TestOfferCodeIsReadable(t *testing.T) {
	for _, tt := range []struct {
		length int
		drawn  bool
	}{{500, true}, {1200, false}, {5000, false}} {
		code, err := drawOffer("openid-credential-offer://?credential_offer=" + strings.Repeat("a", tt.length))
		if (err == nil) != tt.drawn || (code != nil) != tt.drawn {
			t.Errorf("%d characters: drawn %v, %v; want %v", tt.length, code != nil, err, tt.drawn)
		}
	}
}
