package wallet

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/oid4vci"
)

// A Proposal is an offer as the person is asked about it.
type Proposal struct {
	// Issuer is who offers.
	Issuer Party `json:"issuer"`
	// Credentials are what is offered, as far as this wallet can hold it.
	Credentials []Offered `json:"credentials"`
	// TxCode describes the transaction code that is needed; nil if none is.
	TxCode *oid4vci.TxCodeInput `json:"tx_code,omitempty"`
	// PreAuthorized says that [Agent.Redeem] gets it, SignIn that [Agent.SignIn] does;
	// either or both.
	PreAuthorized bool `json:"pre_authorized"`
	SignIn        bool `json:"sign_in"`

	offer  *oid4vci.Offer
	meta   *oid4vci.IssuerMetadata
	server *oid4vci.ServerMetadata
}

// Offered is one credential of a proposal.
type Offered struct {
	Configuration string            `json:"configuration"`
	Format        string            `json:"format"`
	Type          string            `json:"type"`
	Names         map[string]string `json:"names,omitempty"`
	Claims        []OfferedClaim    `json:"claims,omitempty"`
}

// An OfferedClaim is one that the credential will have.
type OfferedClaim struct {
	Path   string            `json:"path"`
	Labels map[string]string `json:"labels,omitempty"`
}

// Offer reads the link of an offer, asks the issuer about itself, and returns what the
// person has to decide. Nothing has been accepted then.
func (a *Agent) Offer(ctx context.Context, link string) (*Proposal, error) {
	l, err := a.reader.OfferLink(strings.TrimSpace(link))
	if err != nil {
		return nil, asOffer(err)
	}
	p := &Proposal{offer: l.Offer}
	if p.offer == nil {
		answer, err := a.document(ctx, l.URI, oid4vci.JSONType, oid4vci.MaxOffer)
		if err != nil {
			return nil, err
		}
		if p.offer, err = a.reader.Offer(answer.Body); err != nil {
			return nil, asOffer(err)
		}
	}
	if p.meta, p.Issuer, err = a.issuer(ctx, p.offer.Issuer); err != nil {
		return nil, err
	}
	if err := p.choose(); err != nil {
		return nil, err
	}
	pre, code := p.offer.PreAuthorized, p.offer.AuthorizationCode
	hint := ""
	switch {
	case pre != nil:
		hint, p.TxCode, p.PreAuthorized = pre.Server, pre.TxCode, true
	case code != nil:
		hint = code.Server
	}
	if p.server, err = a.server(ctx, p.meta, hint); err != nil {
		return nil, err
	}
	p.SignIn = (code != nil || pre == nil) && p.server.CheckCodeFlow() == nil
	if !p.PreAuthorized && !p.SignIn {
		return nil, because(WeakServer, p.server.CheckCodeFlow())
	}
	return p, nil
}

// asOffer is a refusal for what oid4vci found wrong with an offer.
func asOffer(err error) error {
	if errors.Is(err, oid4vci.ErrURL) {
		return because(UnsafeAddress, err)
	}
	return because(BadLink, err)
}

// asMessage is one for what it found wrong with a message of the other side.
func asMessage(err error) error {
	switch {
	case errors.Is(err, oid4vci.ErrPeer):
		return because(PeerRefused, err)
	case errors.Is(err, oid4vci.ErrIssuer):
		return because(OtherIssuer, err)
	case errors.Is(err, oid4vci.ErrURL):
		return because(UnsafeAddress, err)
	}
	return because(BadMessage, err)
}

// issuer gets the metadata of an issuer, signed ones if there are roots to judge them
// by, and says how the issuer is known. One that nobody vouches for is refused unless
// the settings take it.
func (a *Agent) issuer(ctx context.Context, id string) (*oid4vci.IssuerMetadata, Party, error) {
	party := Party{ID: id, Vouched: ByNobody}
	address, err := oid4vci.WellKnown(id, oid4vci.IssuerWellKnown)
	if err != nil {
		return nil, party, because(UnsafeAddress, err)
	}
	accept := oid4vci.JSONType
	if len(a.cfg.Roots) > 0 {
		accept = oid4vci.JWTType + ", " + oid4vci.JSONType
	}
	answer, err := a.document(ctx, address, accept, oid4vci.MaxMetadata)
	if err != nil {
		return nil, party, err
	}
	var m *oid4vci.IssuerMetadata
	if mediaType(answer.Type) == oid4vci.JWTType {
		m, party, err = a.signedMetadata(string(answer.Body), id)
		if errors.Is(err, errNoChain) {
			// Nobody can tell whose key that is: then what counts is the plain document.
			if answer, err = a.document(ctx, address, oid4vci.JSONType, oid4vci.MaxMetadata); err != nil {
				return nil, party, err
			}
			m, err = a.reader.IssuerMetadata(answer.Body, id)
		}
	} else {
		m, err = a.reader.IssuerMetadata(answer.Body, id)
	}
	if err != nil {
		if _, ok := errors.AsType[*RefusedError](err); !ok {
			err = asMessage(err)
		}
		return nil, party, err
	}
	party.Said = names(m.Display)
	if a.cfg.Trust != nil {
		if i, ok := a.cfg.Trust.Issuer(id); ok {
			party.Vouched, party.Names, party.Anchor = ByBundle, i.Names, a.cfg.Trust.Jurisdiction
		}
	}
	if party.Vouched == ByNobody && !a.cfg.UnknownIssuers {
		return nil, party, refuse(UnknownIssuer, "%s", id)
	}
	return m, party, nil
}

// errNoChain: signed metadata without a chain of certificates.
var errNoChain = errors.New("wallet: signed metadata without certificates")

// signedMetadata reads metadata that a certificate under one of the roots vouches for:
// corpus VCI-21.
func (a *Agent) signedMetadata(token, id string) (*oid4vci.IssuerMetadata, Party, error) {
	party := Party{ID: id, Vouched: ByNobody}
	var why error
	m, err := a.reader.SignedIssuerMetadata(token, id, a.now(), func(h oid4vci.SignerHint) ([]keys.PublicKey, error) {
		if len(h.X5C) == 0 {
			why = errNoChain
			return nil, nil
		}
		leaf, err := a.certify(h.X5C, keys.Metadata, id)
		if err != nil {
			why = because(MetadataSigner, err)
			return nil, nil
		}
		party.Vouched, party.Anchor = ByCertificate, leaf.anchor
		if leaf.name != "" {
			party.Names = map[string]string{"en": leaf.name}
		}
		return []keys.PublicKey{leaf.key}, nil
	})
	switch {
	case why != nil:
		return nil, Party{ID: id, Vouched: ByNobody}, why
	case errors.Is(err, oid4vci.ErrSignature) || errors.Is(err, oid4vci.ErrUntrusted):
		err = because(MetadataSigner, err)
	}
	return m, party, err
}

// choose takes the configurations that are offered and that this wallet can hold.
func (p *Proposal) choose() error {
	why := ""
	for _, id := range p.offer.Configurations {
		c, ok := p.meta.Configuration(id)
		if c.Proofs[oid4vci.JWTProof].Attestation != nil {
			why = ", for keys that somebody attests only"
		}
		if !ok || c.Format != oid4vci.SDJWTFormat && c.Format != oid4vci.CWTFormat || c.Type == "" || !provable(c) {
			continue
		}
		o := Offered{Configuration: id, Format: c.Format, Type: c.Type, Names: names(c.Display)}
		for _, claim := range c.Claims {
			o.Claims = append(o.Claims, OfferedClaim{sdjwt.Path(claim.Path).Text(), names(claim.Display)})
		}
		p.Credentials = append(p.Credentials, o)
	}
	if len(p.Credentials) == 0 {
		return refuse(NotUsable, "none of %d credentials%s", len(p.offer.Configurations), why)
	}
	return nil
}

// provable reports whether a credential is bound to a key that this wallet can prove.
func provable(c oid4vci.Configuration) bool {
	s, ok := c.Proofs[oid4vci.JWTProof]
	return ok && s.Attestation == nil && slices.Contains(s.Algorithms, keys.ES256) && slices.Contains(c.Bindings, oid4vci.JWKBinding)
}

// names are those of a display, by language.
func names(all []oid4vci.Display) map[string]string {
	m := map[string]string{}
	for _, d := range all {
		tag := d.Locale
		if tag == "" {
			tag = "en"
		}
		if _, ok := m[tag]; !ok && d.Name != "" {
			m[tag] = d.Name
		}
	}
	return m
}

// server gets the metadata of the authorization server that the issuer names.
func (a *Agent) server(ctx context.Context, m *oid4vci.IssuerMetadata, hint string) (*oid4vci.ServerMetadata, error) {
	id, err := m.Server(hint)
	if err != nil {
		return nil, because(OtherIssuer, err) // corpus VCI-17
	}
	address, err := oid4vci.WellKnown(id, oid4vci.ServerWellKnown)
	if err != nil {
		return nil, because(UnsafeAddress, err)
	}
	answer, err := a.document(ctx, address, oid4vci.JSONType, oid4vci.MaxMetadata)
	if err != nil {
		return nil, err
	}
	s, err := a.reader.ServerMetadata(answer.Body, id)
	if err != nil {
		return nil, asMessage(err)
	}
	if !slices.Contains(s.DPoPAlgorithms, keys.ES256) {
		return nil, refuse(WeakServer, "no DPoP with ES256: whoever sees a token could use it")
	}
	return s, nil
}
