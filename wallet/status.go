package wallet

import (
	"context"
	"errors"
	"net/url"
	"slices"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/keys"
)

// Status asks the issuer's status list about a credential, copy by copy, and notes in the
// wallet what is revoked. It returns nil if nothing is held against the copy that would be
// shown next, a [*credential.RejectedError] if something is, and any other error if the
// list was not to be had, which says nothing about it.
//
// The list is signed by a key of the issuer: one that a certificate under the roots
// vouches for, or one that the issuer publishes at its own address. The issuer learns that
// somebody asked for the list.
func (a *Agent) Status(ctx context.Context, h Held) error {
	lists := map[string]*status.List{}
	found := make([]error, len(h.Copies))
	changed := false
	for i := range h.Copies {
		if h.Copies[i].Revoked {
			found[i] = credential.Reject(credential.Revoked, "")
			continue
		}
		found[i] = a.statusOf(ctx, h, h.Copies[i].Credential, lists)
		if r, ok := errors.AsType[*credential.RejectedError](found[i]); ok && r.Reason == credential.Revoked {
			h.Copies[i].Revoked, changed = true, true
		}
	}
	if changed {
		if err := a.cfg.Wallet.Put(h); err != nil {
			return err
		}
	}
	return found[h.Fresh()]
}

// statusOf is what the list says about one copy. Lists are those that were fetched.
func (a *Agent) statusOf(ctx context.Context, h Held, text string, lists map[string]*status.List) error {
	v, err := h.says(text)
	if err != nil {
		return err
	}
	ref := v.Status
	if ref == nil {
		return nil
	}
	if l := lists[ref.URI]; l != nil {
		return l.Check(ref.Index)
	}
	answer, err := a.document(ctx, ref.URI, status.MediaTypeJWT, 4<<20)
	if err != nil {
		return err
	}
	signers, err := a.statusKeys(ctx, h, string(answer.Body))
	if err != nil {
		return err
	}
	token, err := status.VerifyJWT(string(answer.Body), status.Expect{URI: ref.URI, Now: a.now(), Keys: signers}, jose.Tokens{})
	if err != nil {
		return err
	}
	lists[ref.URI] = token.List
	return token.List.Check(ref.Index)
}

// statusKeys are the keys that may have signed a list of the issuer.
func (a *Agent) statusKeys(ctx context.Context, h Held, token string) ([]keys.PublicKey, error) {
	m, err := jose.Inspect(token, 4<<20)
	if err != nil {
		return nil, err
	}
	if len(m.X5C) > 0 && len(a.cfg.Roots) > 0 {
		leaf, err := a.certify(m.X5C, keys.StatusList, h.Issuer)
		if err != nil {
			return nil, err
		}
		return []keys.PublicKey{leaf.key}, nil
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
