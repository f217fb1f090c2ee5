package issuer

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/oid4vci"
	"github.com/sanad-id/sanad/programme"
)

// A Document is a public file: its bytes and their media type.
type Document struct {
	Type    string
	Content []byte
}

// A configuration is one wallet form of a programme, as wallets ask for it.
type configuration struct {
	id        string
	programme *programme.Programme
	form      programme.Form
}

// copied are those of some keys that get a copy.
func (f configuration) copied(holders []keys.PublicKey) []keys.PublicKey {
	return holders[:min(len(holders), f.form.Copies)]
}

// A catalogue is what is known of the programmes, and what follows from it.
type catalogue struct {
	programmes     []*programme.Programme
	read           time.Time // when the office was asked for them
	configurations []configuration
	batch          int // the most copies of any form
	metadata       Document
	signed         Document            // zero if nobody signs
	server         Document            // of the authorization server
	types          map[string]Document // type metadata by vct
	logos          map[string]Document // pictures by id of their programme
}

// find returns the configuration with this id.
func (c *catalogue) find(id string) (configuration, bool) {
	i := slices.IndexFunc(c.configurations, func(f configuration) bool { return f.id == id })
	if i < 0 {
		return configuration{}, false
	}
	return c.configurations[i], true
}

// ids are those of all configurations.
func (c *catalogue) ids() []string {
	var all []string
	for _, f := range c.configurations {
		all = append(all, f.id)
	}
	return all
}

// configurationID is what wallets call a wallet form of a programme. It is also the
// scope that asks for it.
func configurationID(programmeID, form string) string { return programmeID + "." + form }

const (
	// catalogueFresh is how long a catalogue serves before it is made anew.
	catalogueFresh = 30 * time.Second
	// signedFor is how long signed metadata may be believed.
	signedFor = 24 * time.Hour
)

// catalogue returns what is known. While the office is out of reach that is what was
// known before, also to a process that was here earlier ([Config.Kept]).
func (e *Endpoints) catalogue(ctx context.Context) (*catalogue, error) {
	c, err := e.known.get(e.now, func(was *catalogue) (*catalogue, error) {
		all, read, err := e.programmes(ctx, was)
		if err != nil {
			return nil, err
		}
		return e.makeCatalogue(ctx, all, read)
	})
	switch {
	case c == nil:
		return nil, unavailable("catalogue", err)
	case err != nil:
		e.cfg.Log.WarnContext(ctx, "the catalogue is served as it was", "err", err)
	}
	return c, nil
}

// programmes are those of the office and when it was asked for them; if it cannot be,
// those that were known.
func (e *Endpoints) programmes(ctx context.Context, was *catalogue) ([]*programme.Programme, time.Time, error) {
	all, err := e.cfg.Office.Programmes(ctx)
	if err == nil {
		now := e.now()
		if err := e.keep(all, now); err != nil {
			e.cfg.Log.WarnContext(ctx, "programmes are not kept for a start without the database", "err", err)
		}
		return all, now, nil
	}
	err = fmt.Errorf("programmes: %w", err)
	if was != nil {
		all, now := was.programmes, was.read
		e.cfg.Log.WarnContext(ctx, "programmes are served as they were", "since", now, "err", err)
		return all, now, nil
	}
	all, read, missing := e.keptProgrammes()
	if missing != nil {
		return nil, time.Time{}, errors.Join(err, missing)
	}
	e.cfg.Log.WarnContext(ctx, "programmes are served as they were", "since", read, "err", err)
	return all, read, nil
}

func (e *Endpoints) makeCatalogue(ctx context.Context, all []*programme.Programme, read time.Time) (*catalogue, error) {
	c := &catalogue{programmes: all, read: read, types: map[string]Document{}, logos: e.logos(ctx, all)}
	for _, p := range all {
		for _, f := range p.Forms {
			if !f.Wallet() {
				continue
			}
			c.configurations = append(c.configurations, configuration{configurationID(p.ID, f.Name), p, f})
			c.batch = max(c.batch, f.Copies)
			if f.Kind != programme.FormSDJWT {
				continue // trust bundles describe its type
			}
			b, err := p.TypeMetadata(f.Name)
			if err != nil {
				return nil, err
			}
			c.types[f.VCT] = Document{web.MediaJSON, b}
		}
	}
	m := e.issuerMetadata(c, e.signing(ctx))
	b, err := m.JSON()
	if err != nil {
		return nil, err
	}
	c.metadata = Document{oid4vci.JSONType, b}
	if b, err = e.serverMetadata(c).JSON(); err != nil {
		return nil, err
	}
	c.server = Document{oid4vci.JSONType, b}
	return c, e.sign(ctx, c, m)
}

// logos are the pictures of programmes that wallets get from this server.
func (e *Endpoints) logos(ctx context.Context, all []*programme.Programme) map[string]Document {
	logos := map[string]Document{}
	for _, p := range all {
		if p.Logo.File == "" || e.cfg.Picture == nil {
			continue
		}
		d, err := e.cfg.Picture(p)
		if err != nil {
			e.cfg.Log.WarnContext(ctx, "a programme is served without its logo", "programme", p.ID, "err", err)
			continue
		}
		logos[p.ID] = d
	}
	return logos
}

// sign adds signed metadata, if somebody signs them.
func (e *Endpoints) sign(ctx context.Context, c *catalogue, m oid4vci.IssuerMetadata) error {
	if e.cfg.Metadata == nil {
		return nil
	}
	s, err := e.cfg.Metadata(ctx)
	if err != nil || s.Signer == nil {
		return err
	}
	now := e.now()
	token, err := oid4vci.SignMetadata(e.cfg.Rand, s.Signer, s.Chain, m, now, now.Add(signedFor))
	c.signed = Document{oid4vci.JWTType, []byte(token)}
	return err
}

// signing are the algorithms that credentials are signed with, as far as that can be told.
func (e *Endpoints) signing(ctx context.Context) []string {
	if e.cfg.SigningAlgorithm == nil {
		return nil
	}
	a, err := e.cfg.SigningAlgorithm(ctx)
	if err != nil {
		e.cfg.Log.WarnContext(ctx, "metadata do not say how credentials are signed", "err", err)
	}
	if err != nil || a == "" {
		return nil
	}
	return []string{string(a)}
}

func (e *Endpoints) issuerMetadata(c *catalogue, signing []string) oid4vci.IssuerMetadata {
	m := oid4vci.IssuerMetadata{
		Issuer: e.cfg.Issuer, CredentialEndpoint: e.url(pathCredential), NonceEndpoint: e.url(pathNonce),
		DeferredEndpoint: e.url(pathDeferred), NotificationEndpoint: e.url(pathNotification),
		BatchSize: c.batch, Display: display(e.cfg.Names),
	}
	if e.cfg.Logo.Content != nil {
		for i := range m.Display {
			m.Display[i].Logo = &oid4vci.Image{URI: e.url(pathLogo), AltText: m.Display[i].Name}
		}
	}
	if len(e.cfg.EncryptionKeys) > 0 {
		encryptions := []jose.Encryption{jose.A128GCM, jose.A256GCM}
		m.RequestEncryption = &oid4vci.RequestEncryption{Encryptions: encryptions, Required: e.cfg.EncryptionRequired}
		for _, k := range e.cfg.EncryptionKeys {
			m.RequestEncryption.Keys = append(m.RequestEncryption.Keys, k.Public())
		}
		m.ResponseEncryption = &oid4vci.ResponseEncryption{Encryptions: encryptions, Required: e.cfg.EncryptionRequired}
	}
	for _, f := range c.configurations {
		format := oid4vci.SDJWTFormat
		if f.form.Kind == programme.FormCWT {
			format = oid4vci.CWTFormat
		}
		m.Configurations = append(m.Configurations, oid4vci.Configuration{
			ID: f.id, Format: format, Type: f.form.VCT, Scope: f.id, SigningAlgorithms: signing,
			Bindings: []string{oid4vci.JWKBinding}, Proofs: e.proofTypes(f), Display: e.credentialDisplay(c, f.programme), Claims: claims(f),
		})
	}
	return m
}

// proofTypes are the ways to prove keys for a configuration.
func (e *Endpoints) proofTypes(f configuration) map[oid4vci.ProofType]oid4vci.ProofSupport {
	support := oid4vci.ProofSupport{Algorithms: algorithms}
	if needs, ok := e.cfg.KeyAttestation[f.programme.ID]; ok {
		support.Attestation = &needs
	}
	types := map[oid4vci.ProofType]oid4vci.ProofSupport{oid4vci.JWTProof: support}
	if e.cfg.KeyAttesters != nil {
		types[oid4vci.AttestationProof] = support
	}
	return types
}

// display is a name in each language, in the order of the tags.
func display(texts map[string]string) []oid4vci.Display {
	var list []oid4vci.Display
	for tag, text := range texts {
		list = append(list, oid4vci.Display{Locale: tag, Name: text})
	}
	slices.SortFunc(list, func(a, b oid4vci.Display) int { return strings.Compare(a.Locale, b.Locale) })
	return list
}

// credentialDisplay is the name of a programme's credentials in each language, with the
// logo if there is one.
func (e *Endpoints) credentialDisplay(c *catalogue, p *programme.Programme) []oid4vci.Display {
	list, uri := display(p.Labels), p.Logo.URI
	if _, ok := c.logos[p.ID]; ok {
		uri = e.url(pathLogo + "/" + p.ID)
	}
	if uri == "" {
		return list
	}
	for i := range list {
		list[i].Logo = &oid4vci.Image{URI: uri, AltText: cmp.Or(p.Logo.AltText[list[i].Locale], list[i].Name)}
	}
	return list
}

// claims describe those of a form, in the order in which they are shown.
func claims(f configuration) []oid4vci.Claim {
	var list []oid4vci.Claim
	for i := range f.programme.Claims {
		if c := &f.programme.Claims[i]; slices.Contains(f.form.Claims, c.Name) {
			path := c.Path()
			if f.form.Kind == programme.FormCWT {
				path = []any{c.Name} // a card has keys, and no objects
			}
			list = append(list, oid4vci.Claim{Path: path, Mandatory: c.Required, Display: display(c.Labels)})
		}
	}
	return list
}

func (e *Endpoints) serverMetadata(c *catalogue) oid4vci.ServerMetadata {
	m := oid4vci.ServerMetadata{
		Issuer: e.cfg.Issuer, TokenEndpoint: e.url(pathToken), AuthorizationEndpoint: e.url(pathAuthorize), PAREndpoint: e.url(pathPAR),
		JWKSURI: e.url(PathJWKS), RequirePAR: true, GrantTypes: []oid4vci.GrantType{oid4vci.AuthorizationCode, oid4vci.PreAuthorizedCode},
		ChallengeMethods: []string{oid4vci.S256}, DPoPAlgorithms: algorithms, Scopes: c.ids(), DetailTypes: []string{oid4vci.DetailType},
		IssParameter: true, Anonymous: !e.cfg.Attestation.Required,
	}
	if e.cfg.Lifetimes.Refresh > 0 {
		m.GrantTypes = append(m.GrantTypes, oid4vci.RefreshToken)
	}
	if !e.cfg.Attestation.Required {
		m.ClientAuth = append(m.ClientAuth, oid4vci.NoClientAuth)
	}
	if e.cfg.Attestation.Attesters != nil {
		m.ClientAuth = append(m.ClientAuth, oid4vci.AttestClient, oid4vci.AttestClientDPoP)
		m.AttestationAlgorithms, m.PoPAlgorithms, m.ChallengeEndpoint = algorithms, algorithms, e.url(pathChallenge)
	}
	return m
}

// dated says how old is what documents were made of.
func (c *catalogue) dated(w http.ResponseWriter) {
	w.Header().Set("Last-Modified", c.read.UTC().Format(http.TimeFormat))
}

// answer serves a public document with its digest as entity tag.
func (d Document) answer(w http.ResponseWriter, r *http.Request) error {
	sum := sha256.Sum256(d.Content)
	return d.answerAs(w, r, hex.EncodeToString(sum[:16]))
}

// answerAs serves it with an entity tag, which is known already.
func (d Document) answerAs(w http.ResponseWriter, r *http.Request, tag string) error {
	tag = `"` + tag + `"`
	w.Header().Set("ETag", tag)
	if slices.ContainsFunc(strings.Split(r.Header.Get("If-None-Match"), ","), func(s string) bool {
		return strings.TrimPrefix(strings.TrimSpace(s), "W/") == tag
	}) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	web.Write(w, http.StatusOK, d.Type, d.Content)
	return nil
}

// serveMetadata answers with the issuer's metadata, signed if the wallet asks for
// that (section 12.2.2).
func (e *Endpoints) serveMetadata(w http.ResponseWriter, r *http.Request) error {
	c, err := e.catalogue(r.Context())
	if err != nil {
		return err
	}
	w.Header().Add("Vary", "Accept")
	c.dated(w)
	if c.signed.Content != nil && wants(r.Header.Values("Accept"), oid4vci.JWTType) {
		return c.signed.answer(w, r)
	}
	return c.metadata.answer(w, r)
}

// wants reports whether a media type stands in an Accept header by its name. Who names it
// can read it, whatever its weight, unless that is 0 (RFC 9110 section 12.4.2).
func wants(accept []string, media string) bool {
	for _, part := range strings.Split(strings.Join(accept, ","), ",") {
		name, weight, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(name), media) {
			return !noWeight.MatchString(weight)
		}
	}
	return false
}

// noWeight is the weight of what is not acceptable.
var noWeight = regexp.MustCompile(`(?i)^\s*q=0(\.0{0,3})?\s*$`)

func (e *Endpoints) serveServerMetadata(w http.ResponseWriter, r *http.Request) error {
	c, err := e.catalogue(r.Context())
	if err != nil {
		return err
	}
	c.dated(w)
	return c.server.answer(w, r)
}

// keyDocuments are the documents about keys, and why there are not all of them.
type keyDocuments struct {
	documents map[string]Document
	missing   error
}

// serveKeys answers with one of the documents about keys. They follow from the keystore
// alone.
func (e *Endpoints) serveKeys(path string) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		ctx := r.Context()
		k, err := e.keys.get(e.now, func(*keyDocuments) (*keyDocuments, error) {
			made, err := e.cfg.Keys(ctx)
			if made == nil {
				return nil, unavailable("keys", err)
			}
			if err != nil {
				e.cfg.Log.ErrorContext(ctx, "a document about keys is missing", "err", err)
			}
			return &keyDocuments{made, err}, nil
		})
		if k == nil {
			return err
		}
		if err != nil {
			e.cfg.Log.WarnContext(ctx, "documents about keys are served as they were", "err", err)
		}
		d, ok := k.documents[path]
		switch {
		case ok:
			return d.answer(w, r)
		case k.missing != nil: // not an old one: it might vouch for a key that was stolen
			return unavailable("keys", k.missing)
		}
		return notFound()
	}
}

// serveLogo answers with the issuer's picture.
func (e *Endpoints) serveLogo(w http.ResponseWriter, r *http.Request) error {
	return e.cfg.Logo.draw(w, r)
}

// serveProgrammeLogo answers with the picture of a programme.
func (e *Endpoints) serveProgrammeLogo(w http.ResponseWriter, r *http.Request) error {
	c, err := e.catalogue(r.Context())
	if err != nil {
		return err
	}
	d, ok := c.logos[r.PathValue("programme")]
	if !ok {
		return notFound()
	}
	return d.draw(w, r)
}

// draw serves a picture. A browser that opens it runs nothing in it.
func (d Document) draw(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
	return d.answer(w, r)
}

func notFound() error {
	return web.Refuse(http.StatusNotFound, "not_found", "there is nothing at this address")
}

// serveType answers with the description of a type: under the path of its vct if that
// is an address of ours, else under the vct itself.
func (e *Endpoints) serveType(w http.ResponseWriter, r *http.Request) error {
	c, err := e.catalogue(r.Context())
	if err != nil {
		return err
	}
	rest := r.PathValue("vct")
	for _, vct := range []string{e.url(pathType + rest), e.url(pathType + escapePath(rest)), rest} {
		if d, ok := c.types[vct]; ok {
			c.dated(w)
			return d.answer(w, r)
		}
	}
	return notFound()
}

func escapePath(p string) string { return (&url.URL{Path: p}).EscapedPath() }
