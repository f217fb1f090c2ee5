//go:build !js

package wallet

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/did"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/chain"
	"github.com/sanad-id/sanad/oid4vp"
	"github.com/sanad-id/sanad/trust"
)

// verifierChains establishes verifiers by their certificates. One that no root vouches
// for is still known by its certificate, and by nothing else: it comes without a name
// and without an anchor.
type verifierChains []*x509.Certificate

// Leaf implements [oid4vp.Chains].
func (c verifierChains) Leaf(ctx context.Context, x5c [][]byte, now time.Time) (oid4vp.Vouched, error) {
	v, err := oid4vp.Roots(c).Leaf(ctx, x5c, now)
	if !errors.Is(err, chain.ErrUntrusted) {
		return v, err
	}
	leaf, err := x509.ParseCertificate(x5c[0])
	if err != nil {
		return v, chain.ErrMalformed
	}
	if v.Key, err = keys.PublicKeyOf(leaf.PublicKey); err != nil {
		return v, chain.ErrUnsupported
	}
	v.Hosts = leaf.DNSNames
	for _, ip := range leaf.IPAddresses {
		v.Hosts = append(v.Hosts, ip.String())
	}
	return v, nil
}

// verifierDIDs establishes verifiers by their DIDs.
type verifierDIDs struct{ did.Resolver }

// Method implements [oid4vp.DIDs]. Nobody vouches for a DID: whoever has the web address
// has the did:web.
func (d verifierDIDs) Method(ctx context.Context, id, keyID string) (oid4vp.Vouched, error) {
	document, err := d.Resolve(ctx, id)
	if err != nil {
		return oid4vp.Vouched{}, err
	}
	key, err := document.Key(keyID, did.Authentication)
	if err != nil {
		return oid4vp.Vouched{}, err
	}
	v := oid4vp.Vouched{Key: key}
	if rest, ok := strings.CutPrefix(id, "did:web:"); ok {
		host, _, _ := strings.Cut(rest, ":")
		host, _, _ = strings.Cut(host, "%3A")
		v.Hosts = []string{host}
	}
	return v, nil
}

// verifier says how the verifier of a request is known.
func (a *Agent) verifier(r *oid4vp.Request) Party {
	p := Party{ID: r.Client.ID.String(), Vouched: ByNobody}
	if r.Client.Anchor != "" {
		p.Vouched, p.Anchor = ByCertificate, r.Client.Anchor
		if r.Client.Subject != "" {
			p.Names = map[string]string{"en": r.Client.Subject}
		}
	}
	if a.cfg.Trust == nil {
		return p
	}
	if v := a.registration(r); v != nil {
		p.Vouched, p.Names, p.Anchor = ByBundle, v.Names, a.cfg.Trust.Jurisdiction
	}
	return p
}

// registration is what the trust bundle says of the verifier of a request, nil if it does
// not name it. One that a root vouches for is also known by its name in the form
// x509_san_dns:HOST, so that it need not be registered anew with each certificate. Without
// a root nobody is known by a name, be it the one in the request: everybody can put any
// name into a certificate. A hash or a DID stands for the key itself, whoever certifies it.
func (a *Agent) registration(r *oid4vp.Request) *trust.Verifier {
	if a.cfg.Trust == nil {
		return nil
	}
	var ids []string
	if r.Client.ID.Prefix != oid4vp.X509SANDNS || r.Client.Anchor != "" {
		ids = append(ids, r.Client.ID.String())
	}
	if r.Client.Anchor != "" {
		for _, host := range r.Client.Hosts {
			ids = append(ids, oid4vp.ClientID{Prefix: oid4vp.X509SANDNS, Name: host}.String())
		}
	}
	for _, id := range ids {
		for i := range a.cfg.Trust.Verifiers {
			if v := &a.cfg.Trust.Verifiers[i]; v.ID == id {
				return v
			}
		}
	}
	return nil
}

// registered refuses a verifier that asks for more than it is registered for: for another
// type, or another claim of a type, be it optional.
func (a *Agent) registered(r *oid4vp.Request) error {
	v := a.registration(r)
	if v == nil || v.Asks == nil {
		return nil
	}
	for _, c := range r.Query.Credentials {
		if c.Format != credential.FormatSDJWT {
			continue // nothing in this wallet answers it
		}
		for _, t := range c.Types {
			if !v.Allows(t, "") {
				return refuse(OverAsking, "the type %.200q", t)
			}
			for _, claim := range c.Claims {
				// A dot in a name is not one between names.
				odd := slices.ContainsFunc(claim.Path, func(step any) bool {
					s, ok := step.(string)
					return ok && strings.ContainsAny(s, ".[")
				})
				if path := oid4vp.PathText(claim.Path); odd || !v.Allows(t, path) {
					return refuse(OverAsking, "%.200q of the type %.200q", path, t)
				}
			}
		}
	}
	return nil
}
