package issuer_test

import (
	"strings"
	"testing"

	"github.com/sanad-id/sanad/api/issuer"
	"github.com/sanad-id/sanad/oid4vci"
)

// TestFewerCopies: the metadata have one batch size for all credentials (OpenID4VCI section
// 12.2.4). A wallet that uses it gets as many copies as the credential has, for the first of
// its keys (section 14.6).
func TestFewerCopies(t *testing.T) {
	b := newBed(t, engines[0])
	_, err := b.offices[0].service.AddProgramme(t.Context(), []byte(strings.Replace(nestedProgramme, ", copies: 8", ", copies: 2", 1)), "tester")
	b.must(err)
	w := b.wallet()
	size := w.metadata().BatchSize
	w.signIn(b.offer(1, func(r *issuer.OfferRequest) { r.Programme = "nested" }))
	r := w.request(size)
	r.Configuration = nestedConfiguration
	w.check(w.read(w.send(w.ask(r)), size), 1, 2)
	if size != 8 {
		t.Errorf("the batch size is %d, want 8", size)
	}
	r = w.request(size + 1)
	r.Configuration = nestedConfiguration
	if a := w.send(w.ask(r)); a.code() != oid4vci.InvalidProof {
		t.Errorf("VCI-20 more proofs than the metadata say: %v", a)
	}
}
