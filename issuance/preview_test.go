package issuance_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
)

// TestPreviewIsWhatIsSigned: what a preview discloses is what the signed code
// discloses, field for field, and as long but for its status slot.
func TestPreviewIsWhatIsSigned(t *testing.T) {
	b := newBed(t, newMemory())
	for n := 1; n <= 3; n++ {
		r := person(n)
		shown, err := b.service.Preview(t.Context(), "farmer-card", r)
		if err != nil {
			t.Fatal(err)
		}
		issued, err := b.service.Issue(t.Context(), issuance.Request{Programme: "farmer-card", Record: r, Actor: "tester"})
		if err != nil {
			t.Fatal(err)
		}
		if len(shown.Forms) != len(issued.Forms) || len(issued.Forms) != 2 {
			t.Fatalf("%d forms shown, %d signed", len(shown.Forms), len(issued.Forms))
		}
		for i, f := range issued.Forms {
			read, err := cwt.Parse(f.Token)
			if err != nil {
				t.Fatal(err)
			}
			got, want := shown.Forms[i].Claims, issuance.Named(shown.Programme, read.Person, read.Fields)
			if len(want) == 0 || !reflect.DeepEqual(got, want) {
				t.Errorf("form %s: the preview disclosed %d claims, the signed code %d, or others", f.Form, len(got), len(want))
			}
			// The index of the status slot takes one byte to five.
			if more := len(shown.Forms[i].Token) - len(f.Token); more < 0 || more > 4 {
				t.Errorf("form %s: preview of %d bytes, signed %d", f.Form, len(shown.Forms[i].Token), len(f.Token))
			}
		}
		if !shown.Issued.Equal(issued.Credential.IssuedAt) || !shown.Expires.Equal(issued.Credential.Expires) {
			t.Errorf("preview from %v to %v, signed %v to %v", shown.Issued, shown.Expires, issued.Credential.IssuedAt, issued.Credential.Expires)
		}
	}
}

// TestPreviewStoresNothing: no credential, no slot, no audit entry, and no key of the
// issuer under the token.
func TestPreviewStoresNothing(t *testing.T) {
	b := newBed(t, newMemory())
	shown, err := b.service.Preview(t.Context(), "farmer-card", person(1))
	if err != nil {
		t.Fatal(err)
	}
	if all := b.all(issuance.Query{}); len(all) != 0 {
		t.Errorf("%d credentials stored", len(all))
	}
	ks, err := b.ring.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range shown.Forms {
		for _, k := range ks {
			if err := cwt.Check(f.Token, k.Public, [32]byte{}); err == nil {
				t.Errorf("form %s is signed with the issuer's key", f.Form.Name)
			}
		}
		if _, err := cwt.Verify(f.Token, cwt.Expect{Keys: knownKeys(ks)}); err == nil {
			t.Errorf("form %s verifies", f.Form.Name)
		}
	}
	_, err = b.service.Preview(t.Context(), "farmer-card", changed(person(1), "name", ""))
	if e, ok := errors.AsType[*issuance.RecordError](err); !ok || e.Code() != "missing" {
		t.Errorf("Preview of a record without a name: %v", err)
	}
	if _, err := b.service.Preview(t.Context(), "no-such", person(1)); !errors.Is(err, issuance.ErrNoProgramme) {
		t.Errorf("Preview under no programme: %v", err)
	}
}

// knownKeys trusts keys for every issuer.
type knownKeys []keys.Key

func (l knownKeys) KeysFor(string, []byte) []keys.PublicKey {
	var all []keys.PublicKey
	for _, k := range l {
		all = append(all, k.Public)
	}
	return all
}
