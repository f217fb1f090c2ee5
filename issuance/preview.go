package issuance

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"fmt"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/registry"
)

// A Preview is what [Service.Issue] would make of a record now. It contains personal
// data.
type Preview struct {
	// Programme is the programme in its newest version.
	Programme *programme.Programme
	// Notes are values that the programme lets be left out or simplified.
	Notes []programme.Problem
	// Forms are the codes in the order of the programme, then the wallet forms that
	// have something to say of the record.
	Forms []PreviewForm
	// Issued is the date of issue that was assumed, Expires the last moment; zero for
	// none.
	Issued, Expires time.Time
}

// A PreviewForm is one form of a preview.
type PreviewForm struct {
	Form programme.Form
	// Text is what the QR code would say, as long as it can become. It is
	// signed with a key that was thrown away, so that nobody accepts it. Empty for a
	// wallet form.
	Text string
	// Token is the same in bytes.
	Token []byte
	// Version is the QR version that it needs.
	Version int
	// Claims are what the form discloses: of a code as it was read back out of the
	// token, of a wallet form as the wallet gets it.
	Claims credential.Claims
}

// String names the programme and shows nothing of the record.
func (p Preview) String() string { return fmt.Sprintf("preview of %d forms", len(p.Forms)) }

// GoString is String.
func (p Preview) GoString() string { return p.String() }

// String names the form and shows nothing of it.
func (f PreviewForm) String() string { return "preview of form " + f.Form.Name }

// GoString is String.
func (f PreviewForm) GoString() string { return f.String() }

// Preview makes what [Service.Issue] would make of a record now, on rung 1 and no
// further: nothing is stored and the issuer's key is not used. It returns a
// [*RecordError] if the record cannot be issued for. Whether the record already holds
// a credential is not asked.
func (s *Service) Preview(ctx context.Context, programmeID string, r registry.Record) (Preview, error) {
	p, err := s.Programme(ctx, programmeID, 0)
	if err != nil {
		return Preview{}, err
	}
	now := s.now().Truncate(time.Second)
	o := &order{programme: p}
	c := s.candidate(o, r, now, func(*order, *candidate) {})
	if c.refused != nil {
		return Preview{}, c.refused
	}
	if o.signer, err = throwaway(s, now); err != nil {
		return Preview{}, err
	}
	o.key = o.signer.Key()
	c.cred.IssuedAt, c.cred.Expires = now, c.content.Expires()
	shown := Preview{Programme: p, Notes: c.notes, Issued: now, Expires: c.content.Expires()}
	for _, name := range c.content.Forms() {
		f, _ := p.Form(name)
		c.which = append(c.which, f)
	}
	for j := range c.which {
		f, err := s.previewCode(o, c, j)
		if err != nil {
			return Preview{}, err
		}
		shown.Forms = append(shown.Forms, f)
	}
	for _, f := range p.Forms {
		if f.Wallet() && c.content.Makes(f) {
			shown.Forms = append(shown.Forms, PreviewForm{Form: f, Claims: c.content.Claims(f.Name)})
		}
	}
	return shown, nil
}

// previewCode makes code number j and reads it back.
func (s *Service) previewCode(o *order, c *candidate, j int) (PreviewForm, error) {
	f := c.which[j]
	// A status reference as long as the real one.
	ref := &credential.StatusRef{URI: s.cfg.StatusBase + "000000", Index: s.cfg.ListSize - 1}
	d, refused := s.draftCode(o, c, j, ref)
	if refused != nil {
		return PreviewForm{}, refused
	}
	token, err := d.(draftedCode).Sign(s.cfg.Rand, o.signer, c.cred.IssuedAt)
	if err != nil {
		return PreviewForm{}, fmt.Errorf("preview: %w", err)
	}
	text, err := qr.Encode(token)
	if err != nil {
		return PreviewForm{}, refuse(c.line, programme.CodeTooBig, err.Error())
	}
	if err := s.cfg.Fits(f, len(text)); err != nil {
		return PreviewForm{}, refuse(c.line, programme.CodeTooBig, err.Error())
	}
	version, _ := f.Version(len(text))
	read, err := cwt.Parse(token)
	if err != nil {
		return PreviewForm{}, fmt.Errorf("read the preview: %w", err)
	}
	return PreviewForm{Form: f, Text: text, Token: token, Version: version, Claims: Named(o.programme, read.Person, read.Fields)}, nil
}

// Named gives the claims that were read out of a code the names of a programme, in the
// order of the programme. What the programme does not have, such as a portrait, comes
// last under the name it has in the code.
func Named(p *programme.Programme, person, fields credential.Claims) credential.Claims {
	var list credential.Claims
	rest := append(append(credential.Claims{}, person...), fields...)
	for i := range p.Claims {
		own := &p.Claims[i]
		for j := range rest {
			inPerson := j < len(person)
			if rest[j].Key == own.Key && inPerson == own.Person {
				list = append(list, credential.Claim{Key: own.Key, Name: own.Name, Value: rest[j].Value})
				rest[j].Key = -1
			}
		}
	}
	for j := range rest {
		if rest[j].Key != -1 {
			list = append(list, rest[j])
		}
	}
	return list
}

// throwaway makes a signer that exists for one preview.
func throwaway(s *Service, now time.Time) (keys.Signer, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), s.cfg.Rand)
	if err != nil {
		return nil, fmt.Errorf("make a throw-away key: %w", err)
	}
	public, err := keys.NewPublicKey(keys.ES256, private.Public())
	if err != nil {
		return nil, fmt.Errorf("make a throw-away key: %w", err)
	}
	signer, err := keys.NewSigner(keys.Key{
		Public: public, Purpose: keys.Credential, State: keys.Active, Created: now, Published: now, SignFrom: now, SignUntil: now.Add(time.Hour),
	}, private)
	if err != nil {
		return nil, fmt.Errorf("make a throw-away key: %w", err)
	}
	return signer, nil
}
