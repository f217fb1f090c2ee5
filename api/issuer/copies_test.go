package issuer_test

import (
	"strings"
	"testing"
	"time"

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

// TestDeferredFewerCopies: what was put off is made by the newest version of its programme
// (section 9.2), also if that has fewer copies than keys were brought for.
func TestDeferredFewerCopies(t *testing.T) {
	b := newBed(t, engines[0])
	w := b.wallet()
	w.signIn(b.offer(1))
	b.registry.down.Store(true)
	first := w.fetch(5)
	_, err := b.offices[0].service.AddProgramme(t.Context(), []byte(strings.NewReplacer("version: 1", "version: 2", ", copies: 8", ", copies: 2").Replace(licence)), "tester")
	b.must(err)
	b.registry.down.Store(false)
	b.clock.add(time.Minute) // and the catalogue is made anew
	media, body, err := oid4vci.DeferredRequest{TransactionID: first.TransactionID}.Encode(nil)
	b.must(err)
	w.check(w.read(w.send(post{path: "/oid4vci/deferred", media: media, body: body, token: w.token.AccessToken}), 5), 1, 2)
}
