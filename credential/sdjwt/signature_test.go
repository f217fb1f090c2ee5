package sdjwt_test

import (
	"encoding/asn1"
	"math/big"
	"testing"
)

// fixed is an ASN.1 signature on P-256 as JOSE has it.
func fixed(t testing.TB, der []byte) []byte {
	t.Helper()
	var n struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &n); err != nil {
		t.Fatal(err)
	}
	raw := make([]byte, 64)
	n.R.FillBytes(raw[:32])
	n.S.FillBytes(raw[32:])
	return raw
}
