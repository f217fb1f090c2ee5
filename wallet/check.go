package wallet

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/trust"
)

// check holds the credentials that came against what was asked for, as a careful wallet
// does (OpenID4VCI section 13, corpus VCI-18): each is bound to another of our keys, is
// of the type that was asked for, and was signed by the issuer that was asked. What it
// returns can be kept.
func (a *Agent) check(ctx context.Context, h Held, came []string) (*Held, error) {
	if h.Card() {
		return a.checkCards(ctx, h, came)
	}
	if len(came) > len(h.Copies) {
		return nil, refuse(BadMessage, "%d credentials for %d keys", len(came), len(h.Copies))
	}
	var kept []Copy
	for _, text := range came {
		p, err := sdjwt.Parse(text)
		switch {
		case err != nil:
			return nil, because(NotAsIssued, err)
		case p.Bound:
			return nil, refuse(NotAsIssued, "it comes with a proof by a holder") // corpus SDJ-11
		case p.Problem != nil:
			return nil, because(NotAsIssued, p.Problem)
		case p.Credential.Type != h.Type:
			return nil, refuse(OtherType, "%q", p.Credential.Type)
		}
		i := slices.IndexFunc(h.Copies, func(c Copy) bool {
			s, err := a.cfg.Keys.Signer(c.Key)
			return err == nil && p.Credential.Holder != nil && s.Key().Public.Equal(*p.Credential.Holder)
		})
		if i < 0 || slices.ContainsFunc(kept, func(c Copy) bool { return string(c.Key) == string(h.Copies[i].Key) }) {
			return nil, refuse(OtherKey, "")
		}
		if err := a.checkIssued(ctx, h, p, text); err != nil {
			return nil, err
		}
		kept = append(kept, Copy{Credential: text, Key: h.Copies[i].Key})
		if len(kept) == 1 {
			if err := a.describe(ctx, &h, p); err != nil {
				return nil, err
			}
		}
	}
	h.Copies = kept
	return &h, nil
}

// checkIssued checks whose credential it is, its signature and its dates.
func (a *Agent) checkIssued(ctx context.Context, h Held, p *sdjwt.Parsed, text string) error {
	candidates, err := a.issuerKeys(ctx, h, p)
	if err != nil {
		return err
	}
	_, err = sdjwt.Verify(text, sdjwt.Expect{Keys: candidates, Now: a.now(), Binding: sdjwt.BindingRefused})
	r, ok := errors.AsType[*credential.RejectedError](err)
	switch {
	case err == nil:
		return nil
	case !ok:
		return err
	case slices.Contains([]credential.Reason{credential.Expired, credential.NotYetValid, credential.IssuedInFuture}, r.Reason):
		return because(BadDates, err)
	case slices.Contains([]credential.Reason{credential.BadSignature, credential.UnknownIssuer, credential.Unsigned, credential.UnsupportedAlgorithm}, r.Reason):
		return because(BadSignature, err)
	}
	return because(NotAsIssued, err)
}

// keysOf are the keys of the one issuer at hand.
type keysOf []keys.PublicKey

// KeysFor implements [sdjwt.IssuerKeys].
func (k keysOf) KeysFor(string, []byte) []keys.PublicKey { return k }

// issuerKeys are the keys that may have signed this credential: those of the bundle if
// it names the issuer, else that of its certificate, else those that the issuer
// publishes at its own address. The issuer is the one that was asked, under that name
// or, in the bundle, another of its names.
func (a *Agent) issuerKeys(ctx context.Context, h Held, p *sdjwt.Parsed) (keysOf, error) {
	iss := p.Credential.Issuer
	if a.cfg.Trust != nil {
		if known, ok := a.cfg.Trust.Issuer(h.Issuer); ok {
			if iss != h.Issuer && !known.Is(iss) {
				return nil, refuse(OtherCredentialIssuer, "%q", iss)
			}
			var all keysOf
			for _, k := range known.Keys {
				if signs(k, h.Type, p.Credential.IssuedAt, a.now()) {
					all = append(all, k.Key)
				}
			}
			return all, nil
		}
	}
	if iss != h.Issuer && !(iss == "" && len(p.X5C) > 0) {
		return nil, refuse(OtherCredentialIssuer, "%q", iss)
	}
	if len(p.X5C) > 0 && len(a.cfg.Roots) > 0 {
		leaf, err := a.certify(p.X5C, keys.Credential, h.Issuer)
		if err != nil {
			return nil, because(BadSignature, err)
		}
		return keysOf{leaf.key}, nil
	}
	if iss == "" {
		return nil, refuse(BadSignature, "the credential names its issuer by a certificate only, and there are no roots")
	}
	return a.publishedKeys(ctx, iss)
}

// signs reports whether a verifier takes what a key of the bundle has signed: a credential of
// this type, issued at this time (see [trust.IssuerKey]). A credential that just came and is by
// a stolen key is of the thief.
func signs(k trust.IssuerKey, typ string, issued, now time.Time) bool {
	return !k.Key.IsZero() && k.State != keys.Compromised && k.MaySign(typ) && !issued.Before(k.ValidFrom) &&
		(k.SignUntil.IsZero() || issued.Before(k.SignUntil)) && (k.ValidTo.IsZero() || now.Before(k.ValidTo))
}

// publishedKeys are those that an issuer publishes at its own address (SD-JWT VC, JWT VC
// Issuer Metadata).
func (a *Agent) publishedKeys(ctx context.Context, iss string) (keysOf, error) {
	var local []string
	if u, err := url.Parse(iss); err == nil && a.cfg.LoopbackHTTP && loopback(u.Hostname()) {
		local = []string{u.Hostname()}
	}
	address, err := sdjwt.IssuerMetadataURL(iss, local...)
	if err != nil {
		return nil, because(UnsafeAddress, err)
	}
	answer, err := a.document(ctx, address, "application/json", 256<<10)
	if err != nil {
		return nil, err
	}
	set, more, err := sdjwt.ParseIssuerMetadata(answer.Body, iss)
	if err != nil {
		return nil, because(BadMessage, err)
	}
	if more != "" {
		if answer, err = a.document(ctx, more, "application/jwk-set+json, application/json", 256<<10); err != nil {
			return nil, err
		}
		if set, err = keys.ParseJWKS(answer.Body); err != nil {
			return nil, because(BadMessage, err)
		}
	}
	return set.All(), nil
}

// describe takes the description of the type, which must be the one whose hash the
// credential states, and the names in it. A type whose name is no address may be
// described below the issuer's own; without a stated hash it need not be described.
func (a *Agent) describe(ctx context.Context, h *Held, p *sdjwt.Parsed) error {
	integrity, _ := p.Claims["vct#integrity"].(string)
	if integrity == "" && !strings.HasPrefix(h.Type, "https://") {
		return nil
	}
	var unreachable error
	m, err := sdjwt.ResolveType(h.Type, integrity, func(vct string) ([]byte, error) {
		address := vct
		if !strings.HasPrefix(vct, "https://") && !strings.HasPrefix(vct, "http://") {
			address = h.Issuer + "/type/" + (&url.URL{Path: vct}).EscapedPath()
		}
		answer, err := a.document(ctx, address, "application/json", sdjwt.MaxMetadata)
		if err != nil {
			unreachable = err
		}
		return answer.Body, err
	})
	switch {
	case unreachable != nil && integrity == "":
		return nil // nothing rests on it
	case unreachable != nil:
		return unreachable
	case err != nil:
		return because(BadType, err)
	}
	if err := m.Check(p); err != nil {
		return because(BadType, err)
	}
	for _, d := range m.Display {
		set(&h.Names, d.Locale, d.Name)
	}
	for _, c := range m.Claims {
		for _, d := range c.Display {
			labels := h.Labels[c.Path.Text()]
			set(&labels, d.Locale, d.Label)
			if h.Labels == nil {
				h.Labels = map[string]map[string]string{}
			}
			h.Labels[c.Path.Text()] = labels
		}
	}
	return nil
}

// set adds a name, unless there is one.
func set(m *map[string]string, language, name string) {
	if *m == nil {
		*m = map[string]string{}
	}
	if _, ok := (*m)[language]; !ok && name != "" {
		(*m)[language] = name
	}
}
