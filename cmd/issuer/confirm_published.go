package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	statuslist "github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/trust"
)

// readBundle reads a bundle of this issuer that the backup does not have.
func (a *app) readBundle(cmd *cobra.Command, path string) (pub issuance.Published, b []byte, err error) {
	all, err := a.keys.Keys(cmd.Context())
	if err != nil {
		return pub, nil, err
	}
	if b, err = os.ReadFile(path); err != nil {
		return pub, nil, err
	}
	if pub, err = a.readPublished(b, all); err == nil && pub.Name != issuance.TrustName {
		err = errors.New("not a trust bundle")
	}
	if err != nil {
		err = cli.Hint(fmt.Errorf("%s: %w", path, err), "beside a journal --published takes the newest trust bundle of this issuer")
	}
	return pub, b, err
}

// surveyPublished reads what was published since the backup.
func (r *restoring) surveyPublished(cmd *cobra.Command) error {
	all, err := r.app.keys.Keys(cmd.Context())
	if err != nil {
		return err
	}
	for _, f := range r.o.published {
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		pub, err := r.app.readPublished(b, all)
		if err != nil {
			return cli.Hint(fmt.Errorf("%s: %w", f, err), "--published takes trust bundles and status list tokens that this issuer signed")
		}
		r.published = append(r.published, pub)
	}
	return nil
}

// readPublished reads what was published and checks that a key of ours signed it.
func (a *app) readPublished(b []byte, all []keys.Key) (issuance.Published, error) {
	var own []keys.PublicKey
	for _, k := range all {
		if k.Purpose == keys.StatusList {
			own = append(own, k.Public)
		}
	}
	if t, err := parseList(b); err == nil {
		name := t.URI
		if isJWT(b) {
			name = issuance.JWTName(name)
		}
		if t, err = issuance.OpenList(name, b, own); err != nil {
			return issuance.Published{}, err
		}
		return issuance.Published{Name: name, IssuedAt: t.IssuedAt, Digest: sha256.Sum256(b), Lists: map[string]*statuslist.List{t.URI: t.List}}, nil
	}
	bundle, err := trust.Open(b)
	if err != nil {
		return issuance.Published{}, err
	}
	ours := slices.ContainsFunc(all, func(k keys.Key) bool {
		return k.Purpose == keys.TrustBundle && slices.ContainsFunc(bundle.Root.BundleKeys, k.Public.Equal)
	})
	if !ours {
		return issuance.Published{}, errors.New("no bundle key of this issuer is named in it")
	}
	pub := issuance.Published{
		Name: issuance.TrustName, Number: bundle.Version, IssuedAt: bundle.AsOf, Digest: sha256.Sum256(b), Lists: map[string]*statuslist.List{},
	}
	for _, s := range bundle.Status {
		if !strings.HasPrefix(s.URI, a.cfg.statusBase()) {
			continue
		}
		l, err := s.Open(0)
		if err != nil {
			return pub, err
		}
		pub.Lists[s.URI] = l
	}
	return pub, nil
}
