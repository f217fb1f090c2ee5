package did_test

import (
	"context"
	"fmt"

	"github.com/sanad-id/sanad/did"
)

// A kid of a token leads to its DID, the DID to a document, and the document to the key,
// if it is listed for what the token is.
func Example() {
	const kid = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK#z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
	id, _ := did.Of(kid)
	doc, _ := did.New(did.Config{}).Resolve(context.Background(), id)
	key, err := doc.Key(kid, did.Assertion)
	fmt.Println(key.Algorithm(), err)
	// Output: EdDSA <nil>
}
