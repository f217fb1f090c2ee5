package wallet

import (
	"context"
	"errors"
	"net/url"
	"slices"

	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/chain"
)

// Status asks the issuer's status list about a credential. It returns nil if nothing is
// held against it or if it has no status, a [*credential.RejectedError] if something is,
// and any other error if the list was not to be had, which says nothing about it.
//
// The list is signed by a key of the issuer: one that a certificate under the roots
// vouches for, or one that the issuer publishes at its own address.
func (a *Agent) Status(ctx context.Context, h Held, p *sdjwt.Parsed) error {
	ref := p.Credential.Status
	if ref == nil {
		return nil
	}
	answer, err := a.document(ctx, ref.URI, status.MediaTypeJWT, 4<<20)
	if err != nil {
		return err
	}
	list, err := a.statusKeys(ctx, h, string(answer.Body))
	if err != nil {
		return err
	}
	token, err := status.VerifyJWT(string(answer.Body), status.Expect{URI: ref.URI, Now: a.now(), Keys: list}, jose.Tokens{})
	if err != nil {
		return err
	}
	return token.List.Check(ref.Index)
}

// statusKeys are the keys that may have signed a list of the issuer.
func (a *Agent) statusKeys(ctx context.Context, h Held, token string) ([]keys.PublicKey, error) {
	m, err := jose.Inspect(token, 4<<20)
	if err != nil {
		return nil, err
	}
	if len(m.X5C) > 0 && len(a.cfg.Roots) > 0 {
		leaf, err := chain.Verify(m.X5C, a.cfg.Roots, a.now(), chain.Want{Purpose: keys.StatusList, URI: h.Issuer})
		if err != nil {
			return nil, err
		}
		return []keys.PublicKey{leaf.Key}, nil
	}
	u, err := url.Parse(h.Issuer)
	if err != nil {
		return nil, err
	}
	answer, err := a.document(ctx, u.JoinPath("jwks.json").String(), "application/jwk-set+json, application/json", 256<<10)
	if err != nil {
		return nil, err
	}
	set, err := keys.ParseJWKS(answer.Body)
	if err != nil {
		return nil, err
	}
	all := slices.Clone(set.All())
	if len(all) == 0 {
		return nil, errors.New("wallet: the issuer publishes no keys")
	}
	return all, nil
}
