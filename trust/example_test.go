package trust_test

import (
	"crypto/rand"
	"fmt"
	"testing"

	"github.com/sanad-id/sanad/trust"
)

// A publisher signs a bundle every day; a verifier takes the first by its
// fingerprint and the next as a delta.
func Example() {
	var t testing.T
	c := newCountry(&t) // keys and a root, as the other tests use them

	first, err := c.content(&t).Sign(rand.Reader, c.bundleKeys[:2], now)
	if err != nil {
		fmt.Println(err)
		return
	}
	published, _ := trust.Open(first)
	poster := published.Fingerprint() // printed in the official gazette

	// The next day one more certificate is revoked.
	content := published.Next(days(0))
	content.Status[0] = packed(&t, listURI, days(0), 7, 8)
	second, _ := content.Sign(rand.Reader, c.bundleKeys[:2], now)
	delta, _ := trust.MakeDelta(first, second)

	// A verifier without a network gets both files by hand.
	var st trust.State
	st, bundle, err := trust.Accept(st, first, trust.Pinned(poster))
	if err != nil {
		fmt.Println(err)
		return
	}
	list, _, _ := bundle.StatusList(listURI)
	fmt.Println("version", bundle.Version, "- entry 8:", list.Check(8))

	if st, bundle, err = trust.Accept(st, delta, nil); err != nil {
		fmt.Println(err)
		return
	}
	list, _, _ = bundle.StatusList(listURI)
	fmt.Println("version", bundle.Version, "- entry 8:", list.Check(8))

	_, _, err = trust.Accept(st, first, nil)
	fmt.Println(err)
	// Output:
	// version 1 - entry 8: <nil>
	// version 2 - entry 8: revoked
	// accept trust bundle: trust: older than the bundle in use: version 1, version 2 is in use
}
