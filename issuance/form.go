package issuance

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/qr"
)

// A drafted form is fixed to the byte and not signed yet. There is one kind for
// each format.
type drafted interface {
	// Hash is the SHA-256 of the exact bytes to be signed.
	Hash() [sha256.Size]byte
	// sign is rungs 3 and 4: it signs, and checks what came back against the
	// published key and the hash that was stored.
	sign(rnd io.Reader, o *order, at time.Time, stored [sha256.Size]byte) (SignedForm, error)
}

// draftedCode is a CWT for a QR code.
type draftedCode struct {
	*cwt.Draft
	form string
}

// prepareCodes does of draftCode what needs no slot, so that what is left to do in a
// transaction that others wait for is little.
func (s *Service) prepareCodes(o *order, c *candidate, now time.Time) {
	c.codes = make([]*cwt.Prepared, len(c.which))
	for j, f := range c.which {
		if f.Wallet() {
			continue
		}
		var err error
		if c.codes[j], err = s.prepareCode(o, c, f, now); err != nil {
			c.codes = nil // draftCode refuses it, after the look at what the record holds
			return
		}
	}
}

func (s *Service) prepareCode(o *order, c *candidate, f programme.Form, now time.Time) (*cwt.Prepared, error) {
	t := c.content.Token(f.Name)
	t.Issuer, t.IssuedAt = s.cfg.Issuer, now
	return cwt.Prepare(t, o.key.Public)
}

// draftCode fixes code number j of a candidate.
func (s *Service) draftCode(o *order, c *candidate, j int, ref *credential.StatusRef) (drafted, *RecordError) {
	f := c.which[j]
	var p *cwt.Prepared
	var err error
	if c.codes != nil {
		p = c.codes[j]
	} else if p, err = s.prepareCode(o, c, f, c.cred.IssuedAt); err != nil {
		return nil, refuse(c.line, CodeLint, err.Error())
	}
	d, err := p.Draft(c.cred.IssuedAt, ref)
	if err != nil {
		return nil, refuse(c.line, CodeLint, err.Error())
	}
	if err := s.fitsLikely(f, d.ToBeSigned(), o.key.Public.Algorithm().SignatureSize()); err != nil {
		return nil, refuse(c.line, programme.CodeTooBig, err.Error())
	}
	return draftedCode{d, f.Name}, nil
}

func (d draftedCode) sign(rnd io.Reader, o *order, at time.Time, stored [sha256.Size]byte) (SignedForm, error) {
	token, err := d.Sign(rnd, o.signer, at)
	if err != nil {
		return SignedForm{}, err
	}
	if err := cwt.Check(token, o.key.Public, stored); err != nil {
		return SignedForm{}, fmt.Errorf("key %s: %w: %w", o.key.ID(), ErrSelfCheck, err)
	}
	text, err := qr.Encode(token)
	if err != nil {
		return SignedForm{}, fmt.Errorf("encode: %w", err)
	}
	return SignedForm{Form: d.form, Token: token, Text: text}, nil
}

// draftedCard is a CWT for a holder's key.
type draftedCard struct {
	*cwt.Draft
	form string
}

// draftCard fixes copy number j of a candidate.
func (s *Service) draftCard(o *order, c *candidate, j int, ref *credential.StatusRef) (drafted, *RecordError) {
	f := c.which[j]
	t := c.content.Token(f.Name)
	t.Issuer, t.IssuedAt, t.Status, t.Holder, t.Rand = s.cfg.Issuer, c.cred.IssuedAt, ref, &c.holders[j], s.cfg.Rand
	t.Expires = earlier(t.Expires, c.cred.Expires)
	d, err := cwt.NewDraft(t, o.key.Public)
	if err != nil {
		return nil, refuse(c.line, CodeLint, err.Error())
	}
	if err := s.cfg.Fits(f, d.LiveCharacters()); err != nil {
		return nil, refuse(c.line, programme.CodeTooBig, err.Error())
	}
	return draftedCard{d, f.Name}, nil
}

// sign makes the text of a card, which is that of the message in base64url: cards
// travel to wallets and are no codes.
func (d draftedCard) sign(rnd io.Reader, o *order, at time.Time, stored [sha256.Size]byte) (SignedForm, error) {
	token, err := d.Sign(rnd, o.signer, at)
	if err != nil {
		return SignedForm{}, err
	}
	if err := cwt.Check(token, o.key.Public, stored); err != nil {
		return SignedForm{}, fmt.Errorf("key %s: %w: %w", o.key.ID(), ErrSelfCheck, err)
	}
	return SignedForm{Form: d.form, Token: token, Text: base64.RawURLEncoding.EncodeToString(token)}, nil
}

// draftedWallet is an SD-JWT VC.
type draftedWallet struct {
	*sdjwt.Draft
	form string
}

// draftWallet fixes copy number j of a candidate.
func (s *Service) draftWallet(o *order, c *candidate, j int, ref *credential.StatusRef) (drafted, *RecordError) {
	f := c.which[j]
	integrity, err := s.integrity(o.programme, f.Name)
	if err != nil {
		return nil, refuse(c.line, CodeLint, err.Error())
	}
	t := c.content.SDJWT(f.Name)
	t.Issuer, t.IssuedAt, t.Status, t.Holder = s.cfg.URL, c.cred.IssuedAt, ref, &c.holders[j]
	t.Expires = earlier(t.Expires, c.cred.Expires)
	t.TypeIntegrity, t.X5C = integrity, s.cfg.Chain(o.key.ID())
	d, err := sdjwt.NewDraft(s.cfg.Rand, t, o.key.Public)
	if err != nil {
		return nil, refuse(c.line, CodeLint, err.Error())
	}
	return draftedWallet{d, f.Name}, nil
}

// A describedForm is a wallet form of a programme, which never changes.
type describedForm struct {
	programme *programme.Programme
	form      string
}

// integrity is the hash of a type's description, which is made once.
func (s *Service) integrity(p *programme.Programme, form string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := describedForm{p, form}
	if known, ok := s.described[d]; ok {
		return known, nil
	}
	metadata, err := p.TypeMetadata(form)
	if err != nil {
		return "", err
	}
	s.described[d] = sdjwt.Integrity(metadata)
	return s.described[d], nil
}

func (d draftedWallet) sign(rnd io.Reader, o *order, at time.Time, stored [sha256.Size]byte) (SignedForm, error) {
	token, err := d.Sign(rnd, o.signer, at)
	if err != nil {
		return SignedForm{}, err
	}
	if err := sdjwt.Check(token, o.key.Public, stored); err != nil {
		return SignedForm{}, fmt.Errorf("key %s: %w: %w", o.key.ID(), ErrSelfCheck, err)
	}
	return SignedForm{Form: d.form, Token: []byte(token), Text: token}, nil
}
