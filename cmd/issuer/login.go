package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sanad-id/sanad/api/issuer"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/programme"
)

// setClients is what makes signing in possible.
const setClients = "serve.clients names wallets that may; serve.any_client: true lets every wallet, for pilots"

// walletProgrammes are the ids of the programmes that have wallet forms, in their order.
func walletProgrammes(all []*programme.Programme) []string {
	var ids []string
	for _, p := range all {
		if slices.ContainsFunc(p.Forms, programme.Form.Wallet) {
			ids = append(ids, p.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// fault is nil if it is clear whom the provider's record_claim means.
func (l LoginConfig) fault(all []*programme.Programme) error {
	ids := walletProgrammes(all)
	if l.Issuer == "" || len(l.Programmes) > 0 || len(ids) < 2 {
		return nil
	}
	return cli.Hint(fmt.Errorf("serve.login does not say for which programmes it is: %s have wallet forms, and the same id may be two persons in two registries", strings.Join(ids, ", ")),
		"serve.login.programmes: [%s] if %s is the id of a record there", ids[0], l.RecordClaim)
}

// checkLogin refuses to serve a login that could give somebody the credential of another
// person. A database that is out of reach decides nothing: who signs in later is held to
// the same rule.
func checkLogin(ctx context.Context, cfg Config, office issuer.Office) error {
	if cfg.Serve.Login.Issuer == "" {
		return nil
	}
	all, err := office.Programmes(ctx)
	if err != nil {
		return nil // see above
	}
	return cfg.Serve.Login.fault(all)
}

// walletWarnings say where wallets are served less than the settings promise: no signed
// metadata, nobody who may have holders sign in. What `issuer serve` refuses is an error.
func (a *app) walletWarnings(ctx context.Context, have []keys.Key) ([]string, error) {
	all, err := a.service.Programmes(ctx)
	if err != nil {
		return nil, err
	}
	s, ids := a.cfg.Serve, walletProgrammes(all)
	if err := s.Login.fault(all); err != nil {
		return nil, err
	}
	var warnings []string
	if k, err := keys.SigningKey(have, keys.Metadata, a.now()); len(ids) > 0 && err == nil && len(a.chain(k.ID())) == 0 {
		warnings = append(warnings, fmt.Sprintf("metadata are served without a signature: `issuer keys certify %s`, or `issuer keys csr %s`", k.ID(), k.ID()))
	} else if len(ids) > 0 && err != nil {
		warnings = append(warnings, "metadata are served without a signature: `issuer keys rotate --purpose metadata`, `issuer trust export`, the first again, then `issuer keys certify`")
	}
	for _, prog := range all {
		if prog.Logo.File == "" || !slices.Contains(ids, prog.ID) {
			continue
		}
		if _, err := readPicture(logoPath(a.dir, prog)); err != nil {
			warnings = append(warnings, fmt.Sprintf("%s is served without its logo: %v (`issuer programme add` puts it there)", prog.ID, err))
		}
	}
	if len(ids) > 0 && len(s.Clients) == 0 && !s.AnyClient {
		what := "--claim-code and --login are refused"
		if s.Login.Issuer != "" {
			what = "serve.login serves nobody, and " + what
		}
		warnings = append(warnings, "no wallet may have holders sign in: "+what+" ("+setClients+")")
	}
	// A slip in one of these names is a rule that holds nobody.
	for _, list := range []struct {
		setting string
		names   []string
	}{
		{"login.programmes", s.Login.Programmes}, {"high_assurance", s.HighAssurance}, {"key_attestation", slices.Sorted(maps.Keys(s.KeyAttestation))},
	} {
		for _, id := range list.names {
			if !slices.Contains(ids, id) {
				warnings = append(warnings, fmt.Sprintf("serve.%s names %s, which is no programme with a wallet form", list.setting, id))
			}
		}
	}
	return warnings, nil
}

// explainOffer adds to an error of an offer what a person can do.
func explainOffer(err error) error {
	switch {
	case errors.Is(err, issuer.ErrNoConfiguration):
		return cli.Hint(err, "add a form of kind sd-jwt to the programme: docs/programmes.md")
	case errors.Is(err, issuer.ErrNeedsCode):
		return cli.Hint(err, "--tx-code, --claim-code or --login")
	case errors.Is(err, issuer.ErrNoClient):
		return cli.Hint(err, "in the settings %s; --tx-code needs neither", setClients)
	case errors.Is(err, issuer.ErrNoLogin):
		return cli.Hint(err, "serve.login.programmes in the settings names those in whose registries the provider's record_claim is the id of a record")
	}
	return err
}
