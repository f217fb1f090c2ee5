package trust

import (
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/keys"
)

// A Voucher is what something else than a signed bundle says of one issuer, such as a
// chain of certificates to a root that an operator named. Who makes one has checked it.
type Voucher struct {
	// By is who vouches, for reports; never empty.
	By string
	// Issuer has the keys that were vouched for.
	Issuer Issuer
	// Types are those that the issuer may sign, and their rules.
	Types []credential.Type
	// Lists are the status lists at hand, verified.
	Lists []*status.TokenInfo
	// AsOf is when this was found to be true, Until the first moment at which it is not
	// any more.
	AsOf, Until time.Time
}

// Bundle is the voucher in the form that package verification judges by, so that there is
// one set of rules. It has no version, no fingerprint and no signature, is made for one
// judgement and cannot be kept or handed on: [Bundle.VouchedBy] tells it from others.
func (v Voucher) Bundle() *Bundle {
	c := Content{
		AsOf: whole(v.AsOf), RefreshBy: whole(v.Until), OldAfter: whole(v.Until), Issuers: []Issuer{v.Issuer}, Types: v.Types, Algorithms: keys.Algorithms(),
	}
	b := newBundle(c, []signedRoot{{Root: Root{Issued: c.AsOf, Expires: c.OldAfter}}}, [32]byte{})
	b.fingerprint, b.vouchedBy = "", v.By
	for _, t := range v.Lists {
		l := &lazyList{snapshot: status.Snapshot{URI: t.URI, Bits: t.List.Bits(), Size: t.List.Size(), IssuedAt: whole(t.IssuedAt)}, list: t.List}
		l.once.Do(func() {}) // it is open
		b.lists[t.URI] = l
	}
	return b
}

// VouchedBy is who vouches for what a bundle of [Voucher.Bundle] says; "" for a bundle
// whose signatures were verified.
func (b *Bundle) VouchedBy() string { return b.vouchedBy }
