package issuance

import (
	"context"
	"fmt"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/trust"
)

// PartName is the name of the issuer's own part among the publications.
const PartName = "part"

// PublishPart makes, signs and stores the issuer's own part of a trust bundle
// that another office publishes (see [trust.Contribution]), with what
// [Service.PublishTrust] promises. Its bundle key signs it; Roots, BundleKeys and
// Edit of the request do not apply.
func (s *Service) PublishPart(ctx context.Context, r TrustRequest) (Publication, error) {
	types, err := s.types(ctx)
	if err != nil {
		return Publication{}, err
	}
	var p Publication
	var carried []keys.Key
	err = s.cfg.Store.Write(ctx, func(tx Tx) error {
		last, err := tx.Publication(PartName)
		if err != nil {
			return err
		}
		p = Publication{Name: PartName, Number: last.Number + 1}
		if p.IssuedAt, err = s.publishAt(last); err != nil {
			return err
		}
		all, err := s.cfg.Keys.Keys(ctx)
		if err != nil {
			return fmt.Errorf("list keys: %w", err)
		}
		c := trust.Content{AsOf: p.IssuedAt}
		if carried, err = s.fillContent(tx, r, &c, types, all); err != nil {
			return err
		}
		key, signer, err := s.signer(ctx, keys.TrustBundle, p.IssuedAt)
		if err != nil {
			return err
		}
		carried = append(carried, announced(all, []keys.PublicKey{key.Public})...)
		part := trust.Contribution{Version: p.Number, AsOf: p.IssuedAt, Issuer: c.Issuers[0], Types: c.Types, Status: c.Status}
		if p.Content, err = trust.SignContribution(s.cfg.Rand, signer, part, p.IssuedAt); err != nil {
			return err
		}
		detail := fmt.Sprintf("part %d, %d types, %d lists", part.Version, len(part.Types), len(part.Status))
		return s.savePublication(tx, &p, audit.TrustPublished, r.Actor, detail)
	})
	if err != nil {
		return Publication{}, fmt.Errorf("publish the part: %w", err)
	}
	s.cfg.Crash(PointPublished)
	return p, s.markPublished(ctx, carried, p.IssuedAt)
}
