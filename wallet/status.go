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
	lists := map[string]listed{}
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

// listed is a list that was asked for, or why it was not to be had.
type listed struct {
	list *status.List
	err  error
}

// statusOf is what the list says about one copy. Lists are those that were asked for: each
// is asked for once, also one that does not answer.
func (a *Agent) statusOf(ctx context.Context, h Held, text string, lists map[string]listed) error {
	v, err := h.says(text)
	if err != nil {
		return err
	}
	ref := v.Status
	if ref == nil {
		return nil
	}
	l, asked := lists[ref.URI]
	if !asked {
		l.list, l.err = a.fetchList(ctx, h, ref.URI)
		lists[ref.URI] = l
	}
	if l.err != nil {
		return l.err
	}
	if err := l.list.Check(ref.Index); err != nil || !ref.Beside {
		return err
	}
	return credential.Reject(credential.StatusUnsupported, "another mechanism stands beside the list")
}

// maxListToken is the most bytes of a Status List Token.
const maxListToken = 4 << 20

// fetchList asks for the list of the issuer at an address.
func (a *Agent) fetchList(ctx context.Context, h Held, address string) (*status.List, error) {
	answer, err := a.get(ctx, Request{Address: address, Accept: status.MediaTypeJWT, MaxBytes: maxListToken, Document: true, StatusList: true})
	if err != nil {
		return nil, err
	}
	signers, err := a.statusKeys(ctx, h, string(answer.Body))
	if err != nil {
		return nil, err
	}
	token, err := status.VerifyJWT(string(answer.Body), status.Expect{URI: address, Now: a.now(), Keys: signers}, jose.Tokens{})
	if err != nil {
		return nil, err
	}
	return token.List, nil
}

// statusKeys are the keys that may have signed a list of the issuer.
func (a *Agent) statusKeys(ctx context.Context, h Held, token string) ([]keys.PublicKey, error) {
	m, err := jose.Inspect(token, maxListToken)
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
