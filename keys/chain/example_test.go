package chain_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/chain"
	"github.com/sanad-id/sanad/keys/keystest"
)

// A state makes a root, the root vouches for an office, and somebody who trusts the
// root checks what the office sends.
func Example() {
	ctx, now := context.Background(), time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	state, office := new(keystest.Memory), new(keystest.Memory)
	rootKey, _ := keys.Bootstrap(ctx, state, keys.Spec{Purpose: keys.CertificateRoot, Created: now})
	rootSigner, _ := state.Signer(ctx, rootKey.ID())
	der, _ := chain.NewRoot(nil, rootSigner, chain.Name{Organization: "Xanadu", Country: "XA"}, now, now.AddDate(20, 0, 0))
	root, _ := chain.ParseRoot(der)

	key, _ := keys.Bootstrap(ctx, office, keys.Spec{Purpose: keys.Credential, Created: now})
	leaf, _ := chain.Issue(nil, root, rootSigner, chain.Subject{
		Name: chain.Name{Organization: "Civil Registry"}, Address: "https://registry.gov.xa", Key: key.Public,
	}, now, now.AddDate(3, 0, 0))

	got, err := chain.Verify([][]byte{leaf}, []*x509.Certificate{root}, now, chain.Want{Purpose: keys.Credential, DNS: "registry.gov.xa"})
	fmt.Println(got.Key.Equal(key.Public), got.Certificate.Subject, err)
	// Output: true CN=Civil Registry,O=Civil Registry,C=XA <nil>
}
