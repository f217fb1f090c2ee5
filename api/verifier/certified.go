package verifier

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/chain"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/trust"
	"github.com/sanad-id/sanad/verification"
)

// An IssuerRoot is an authority whose certificates are believed about issuers that the
// trust bundle does not name (HAIP 1.0 section 6.1.1).
type IssuerRoot struct {
	// Name is what reports call it.
	Name string
	// Certificates are those of the authority; one at least. None stands in two roots.
	Certificates []*x509.Certificate
	// Types are the credential types, by vct, that its issuers are taken for; one at least.
	Types []string
	// StatusFresh is how old a status list may be. It must be set.
	StatusFresh time.Duration
}

// A ListSource asks for status lists of issuers that are known by a certificate.
type ListSource interface {
	// List is the Status List Token in JWT form at an address; nothing about it was
	// verified. An error means that it was not to be had.
	List(ctx context.Context, address string) ([]byte, error)
}

// checkRoots returns what is wrong with the roots of a Config.
func checkRoots(roots []IssuerRoot, lists ListSource) error {
	var seen []*x509.Certificate
	for _, r := range roots {
		switch {
		case r.Name == "" || len(r.Certificates) == 0 || len(r.Types) == 0 || slices.Contains(r.Types, "") || r.StatusFresh <= 0:
			return fmt.Errorf("the root %q needs a name, certificates, types and how old a status list may be", r.Name)
		case lists == nil:
			return errors.New("Config.Lists is not set")
		}
		for _, c := range r.Certificates {
			if slices.ContainsFunc(seen, c.Equal) {
				return fmt.Errorf("a certificate of the root %q stands twice", r.Name)
			}
			seen = append(seen, c)
		}
	}
	return nil
}

// A certified credential names its issuer by certificates.
type certified struct {
	*Service
	// at is the moment to judge certificates and lists at: what the rules will take for now.
	at     time.Time
	bundle *trust.Bundle
	parsed *sdjwt.Parsed
	// message is what it was read from.
	message []byte
	// unlisted is why the issuer's status list is not at hand; nil if nothing is missing.
	unlisted error
}

// certified reads what was presented, and returns nil if it is nothing to look at
// certificates for: anything but an SD-JWT with some, and every credential whose issuer the
// bundle names. Without a bundle nobody can say which issuers these are.
func (s *Service) certified(at time.Time, bundle *trust.Bundle, presented []byte) *certified {
	if len(s.IssuerRoots) == 0 || bundle == nil {
		return nil
	}
	in, err := verification.Open(presented)
	if err != nil || in.Kind != string(qr.SDJWT) {
		return nil
	}
	p, err := sdjwt.Parse(string(in.Message))
	if err != nil || p.Problem != nil || len(p.X5C) == 0 {
		return nil
	}
	if _, known := bundle.Issuer(p.Credential.Issuer); known {
		return nil
	}
	return &certified{Service: s, at: at, bundle: bundle, parsed: p, message: in.Message}
}

// introduce has the certificates introduce the issuer: what the rules then judge by, and the
// format with its answer, which was needed before anything was asked of anybody. If they do
// not, an error says why and the bundle is what counts.
func (c *certified) introduce(ctx context.Context, format verification.Format) (*trust.Bundle, verification.Format, error) {
	if c.at.After(c.bundle.AsOf.AddDate(1, 0, 0)) {
		return nil, nil, errors.New("the clock is more than a year ahead of the trust bundle")
	}
	leaf, err := chain.Verify(c.parsed.X5C, c.anchors(), c.at, chain.Want{Purpose: keys.Credential})
	if err != nil {
		return nil, nil, err
	}
	root := c.root(leaf.Anchor)
	issuer := nameOf(leaf.Certificate, c.parsed.Credential.Issuer)
	if hasKey(c.bundle, leaf.Key.ID()) {
		return nil, nil, errors.New("the trust bundle has this key, for another issuer")
	}
	if _, known := c.bundle.Issuer(issuer); known {
		return nil, nil, errors.New("the trust bundle names this issuer, and another key")
	}
	// Certificates are valid to the end of their last second.
	end := leaf.NotAfter.Add(time.Second)
	voucher := trust.Voucher{
		By: root.Name, AsOf: c.at, Until: end,
		Issuer: trust.Issuer{ID: issuer, Names: map[string]string{"en": ownerOf(leaf.Certificate)}, Keys: []trust.IssuerKey{{
			KeyID: leaf.Key.ID(), Key: leaf.Key, State: keys.Active, ValidFrom: leaf.Certificate.NotBefore, SignUntil: end, ValidTo: end, Types: root.Types,
		}}},
	}
	for _, id := range root.Types {
		voucher.Types = append(voucher.Types, credential.Type{ID: id, Labels: map[string]string{"en": id}, FreshFor: root.StatusFresh, OldAfter: root.StatusFresh})
	}
	v, err := format.Verify(c.message, oneKey{leaf.Key})
	if err != nil {
		return voucher.Bundle(), settled{nil, err}, nil
	}
	if v.Issuer == "" { // SD-JWT VC: optional where a certificate names it
		v.Issuer = issuer
	}
	if v.Status != nil && v.Issuer == issuer && slices.Contains(root.Types, v.Type) {
		list, err := c.list(ctx, v.Status.URI, root)
		if c.unlisted = err; err != nil {
			c.Log.WarnContext(ctx, "the status list of an issuer known by certificate is not at hand", "root", root.Name, "err", err)
		} else {
			voucher.Lists = append(voucher.Lists, list)
		}
	}
	return voucher.Bundle(), settled{v, nil}, nil
}

// hasKey reports whether a key of an issuer has this id, also one that the bundle took back and
// that this program could not use: of such a key the id is all that there is.
func hasKey(b *trust.Bundle, id keys.ID) bool {
	return slices.ContainsFunc(b.Issuers, func(i trust.Issuer) bool {
		return slices.ContainsFunc(i.Keys, func(k trust.IssuerKey) bool { return k.KeyID == id })
	})
}

func (s *Service) anchors() []*x509.Certificate {
	var all []*x509.Certificate
	for _, r := range s.IssuerRoots {
		all = append(all, r.Certificates...)
	}
	return all
}

// root is the one of the settings that a certificate belongs to.
func (s *Service) root(anchor *x509.Certificate) *IssuerRoot {
	i := slices.IndexFunc(s.IssuerRoots, func(r IssuerRoot) bool { return slices.ContainsFunc(r.Certificates, anchor.Equal) })
	return &s.IssuerRoots[i] // it is one of anchors
}

// list asks for a status list. A key signed it that is certified for lists under the same
// root as the issuer's: whose lists these are says the issuer, by the address that it signed.
func (c *certified) list(ctx context.Context, address string, root *IssuerRoot) (*status.TokenInfo, error) {
	token, err := c.Lists.List(ctx, address)
	if err != nil {
		return nil, err
	}
	k := keyOfList(token, address, root)
	if open := c.open.find(k, c.at); open != nil {
		return open, nil
	}
	m, err := jose.Inspect(string(token), maxList)
	if err != nil {
		return nil, err
	}
	leaf, err := chain.Verify(m.X5C, root.Certificates, c.at, chain.Want{Purpose: keys.StatusList})
	if err != nil {
		return nil, err
	}
	info, err := status.VerifyJWT(string(token), status.Expect{URI: address, Now: c.at, Keys: []keys.PublicKey{leaf.Key}}, jose.Tokens{})
	if err != nil {
		return nil, err
	}
	until := leaf.NotAfter
	if !info.Expires.IsZero() && info.Expires.Before(until) {
		until = info.Expires
	}
	info.List = info.List.Clone() // it was inflated into more room than it takes
	c.open.keep(k, info, c.at, until)
	return info, nil
}

// maxList is the most bytes of a Status List Token.
const maxList = 4 << 20

// nameOf is the address by which a certificate names its owner: the one that the credential
// states, if it is there, or the only one, or else the certificate itself.
func nameOf(c *x509.Certificate, stated string) string {
	if stated != "" && slices.ContainsFunc(c.URIs, func(u *url.URL) bool { return u.String() == stated }) {
		return stated
	}
	if len(c.URIs) == 1 {
		return c.URIs[0].String()
	}
	return "x509_hash:" + chain.Hash(c.Raw)
}

// ownerOf is what people call the owner of a certificate.
func ownerOf(c *x509.Certificate) string {
	if c.Subject.CommonName != "" {
		return c.Subject.CommonName
	}
	return c.Subject.String()
}

// oneKey is the key of whoever the credential names.
type oneKey struct{ key keys.PublicKey }

// KeysFor implements [verification.IssuerKeys].
func (k oneKey) KeysFor(string, []byte) []keys.PublicKey { return []keys.PublicKey{k.key} }

// settled is a format that has answered.
type settled struct {
	v   *credential.Verified
	err error
}

// Verify implements [verification.Format].
func (f settled) Verify([]byte, verification.IssuerKeys) (*credential.Verified, error) {
	return f.v, f.err
}

// explained is a format that says why certificates did not make an unknown issuer known.
type explained struct {
	verification.Format
	why error
}

// Verify implements [verification.Format].
func (f explained) Verify(message []byte, issuers verification.IssuerKeys) (*credential.Verified, error) {
	v, err := f.Format.Verify(message, issuers)
	if r, ok := errors.AsType[*credential.RejectedError](err); ok && r.Reason == credential.UnknownIssuer {
		err = credential.Reject(r.Reason, "%s; its certificates: %v", r.Detail, f.why)
	}
	return v, err
}
