package programme

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/registry"
)

// CheckOptions say what a check assumes. Now and Rand must be set.
type CheckOptions struct {
	// Now is the moment of issue to assume.
	Now time.Time
	// Rand is where a throw-away key comes from; nothing it signs is kept.
	Rand io.Reader
	// Issuer and StatusURI are as long as the real ones will be, since they
	// count for the size of the code. Optional.
	Issuer, StatusURI string
	// Records is how many records to look at; all if zero.
	Records int
	// Problems is how many problems to list one by one; 100 if zero. All are
	// counted.
	Problems int
}

// A Report is what a programme would issue from a source.
type Report struct {
	// Records is how many records were looked at; Issuable of them can be
	// issued, Failed cannot. Noted counts issuable records with notes.
	Records  int `json:"records"`
	Issuable int `json:"issuable"`
	Failed   int `json:"failed"`
	Noted    int `json:"noted"`
	// Fatal and Notes count problems by code.
	Fatal map[string]int `json:"fatal"`
	Notes map[string]int `json:"notes"`
	// Problems are the first ones, in the order of the source; More counts those
	// that are not listed.
	Problems []Problem `json:"problems"`
	More     int       `json:"more"`
	// Forms says for each form what sizes of code it needs.
	Forms []FormReport `json:"forms"`
	// Sample is what the first issuable record would say, SampleLine its line.
	Sample     []SampleForm `json:"sample"`
	SampleLine int          `json:"sample_line"`
}

// A FormReport says what sizes of code a form needs.
type FormReport struct {
	Name string `json:"name"`
	// Kind is [FormQR], [FormSDJWT] or [FormCWT].
	Kind string `json:"kind"`
	// Longest is the most characters of a code, of a live code that shows everything, or
	// of an SD-JWT VC.
	Longest int `json:"longest"`

	// Level is the error correction of a code.
	Level string `json:"level,omitempty"`
	// Versions counts codes by QR version; 0 stands for larger than any that is
	// printed.
	Versions map[int]int `json:"versions,omitempty"`

	// VCT is the type of a wallet form, Shown what it always shows, Hidden what the
	// holder can leave out, Absent the claims of the programme that it lacks. Copies is
	// how many may be asked for at once.
	VCT    string   `json:"vct,omitempty"`
	Shown  []string `json:"shown,omitempty"`
	Hidden []string `json:"hidden,omitempty"`
	Absent []string `json:"absent,omitempty"`
	Copies int      `json:"copies,omitempty"`
}

// FormReports describes the forms of the programme before anything was tried on them.
func (p *Programme) FormReports() []FormReport {
	all := make([]FormReport, len(p.Forms))
	for i, f := range p.Forms {
		all[i] = p.formReport(f)
	}
	return all
}

func (p *Programme) formReport(f Form) FormReport {
	r := FormReport{Name: f.Name, Kind: f.Kind}
	if f.Kind != FormSDJWT {
		r.Level, r.Versions = f.Level, map[int]int{}
	}
	if !f.Wallet() {
		return r
	}
	r.VCT, r.Copies = f.VCT, f.Copies
	for _, name := range p.claimNames() {
		switch {
		case !slices.Contains(f.Claims, name):
			r.Absent = append(r.Absent, name)
		case slices.Contains(f.Shown, name):
			r.Shown = append(r.Shown, name)
		default:
			r.Hidden = append(r.Hidden, name)
		}
	}
	return r
}

// A SampleForm is one form of one record; Version is 0 for a wallet form. Its claims are personal data and are
// there to be looked at.
type SampleForm struct {
	Form       string            `json:"form"`
	Characters int               `json:"characters"`
	Version    int               `json:"version,omitempty"`
	Claims     credential.Claims `json:"claims"`
	NotBefore  time.Time         `json:"not_before,omitzero"`
	Expires    time.Time         `json:"expires,omitzero"`
}

// MaxTwins is how many ids [Programme.Check] remembers to find those that come again: some
// 150 MB.
const MaxTwins = 1 << 23

// Check tries the programme on records, such as those of
// [registry.Source.Records], and issues nothing. A record whose id an earlier one
// had cannot be issued, as in a batch, unless the programme allows many credentials
// of one record. To tell, 8 bytes are kept of each of the first [MaxTwins] ids; beyond
// them memory does not grow. Its error means that the records could not be read or that
// the options are not complete; what is wrong with single records is in the report.
func (p *Programme) Check(ctx context.Context, records iter.Seq2[registry.Record, error], o CheckOptions) (*Report, error) {
	c, err := p.newChecker(o)
	if err != nil {
		return nil, err
	}
	for r, err := range records {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		row, broken := errors.AsType[*registry.RowError](err)
		if err != nil && !broken {
			return nil, fmt.Errorf("check programme %s: %w", p.ID, err)
		}
		c.Records++
		if broken {
			c.Failed++
			c.note(Problem{Line: row.Line, Code: row.Code, Detail: row.Detail, Fatal: true})
		} else if err := c.record(r); err != nil {
			return nil, fmt.Errorf("check programme %s: %w", p.ID, err)
		}
		if c.Records == o.Records {
			break
		}
	}
	return &c.Report, nil
}

// A checker keeps the report and what it takes to measure a code.
type checker struct {
	Report
	programme *Programme
	options   CheckOptions
	signer    keys.Signer
	seen      map[uint64]struct{} // ids of records that nothing but their codes can keep from being issued
}

func (p *Programme) newChecker(o CheckOptions) (*checker, error) {
	switch {
	case o.Now.IsZero():
		return nil, errors.New("programme: CheckOptions.Now is not set")
	case o.Rand == nil:
		return nil, errors.New("programme: CheckOptions.Rand is not set")
	}
	o.Now = o.Now.Truncate(time.Second)
	if o.Issuer == "" {
		o.Issuer = "xx-registry"
	}
	if o.StatusURI == "" {
		o.StatusURI = "https://status.example.org/1"
	}
	if o.Problems == 0 {
		o.Problems = 100
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), o.Rand)
	if err != nil {
		return nil, fmt.Errorf("make a throw-away key: %w", err)
	}
	public, err := keys.NewPublicKey(keys.ES256, private.Public())
	if err != nil {
		return nil, fmt.Errorf("make a throw-away key: %w", err)
	}
	signer, err := keys.NewSigner(keys.Key{
		Public: public, Purpose: keys.Credential, State: keys.Active, Created: o.Now, Published: o.Now,
		SignFrom: o.Now, SignUntil: o.Now.Add(time.Hour),
	}, private)
	if err != nil {
		return nil, fmt.Errorf("make a throw-away key: %w", err)
	}
	c := &checker{programme: p, options: o, signer: signer, seen: map[uint64]struct{}{}}
	c.Fatal, c.Notes = map[string]int{}, map[string]int{}
	c.Forms = p.FormReports()
	return c, nil
}

func (c *checker) note(problem Problem) {
	if problem.Fatal {
		c.Fatal[problem.Code]++
	} else {
		c.Notes[problem.Code]++
	}
	if len(c.Problems) < c.options.Problems {
		c.Problems = append(c.Problems, problem)
	} else {
		c.More++
	}
}

// twin says whether a record with this id was there before.
func (c *checker) twin(id string) bool {
	if c.programme.AllowMany {
		return false
	}
	hash := sha256.Sum256([]byte(id))
	short := binary.BigEndian.Uint64(hash[:]) // a hundred million ids have a false twin in one run of 20 000
	_, before := c.seen[short]
	if len(c.seen) < MaxTwins {
		c.seen[short] = struct{}{}
	}
	return before
}

// record maps one record and measures its codes.
func (c *checker) record(r registry.Record) error {
	content, problems := c.programme.Map(r, c.options.Now)
	if !Fatal(problems) && c.twin(r.ID) {
		problems = append(problems, Problem{Line: r.Line, Column: c.programme.Records.IDColumn, Code: registry.RowDuplicateID, Fatal: true,
			Detail: "an earlier record has the same id"})
	}
	var sample []SampleForm
	if !Fatal(problems) {
		for i, f := range c.programme.Forms {
			if !content.Makes(f) {
				continue
			}
			measure := c.measure
			switch f.Kind {
			case FormSDJWT:
				measure = c.measureWallet
			case FormCWT:
				measure = c.measureCard
			}
			s, err := measure(content, f)
			switch {
			case errors.Is(err, cwt.ErrNotIssuable), errors.Is(err, sdjwt.ErrNotIssuable):
				problems = append(problems, Problem{Line: r.Line, Code: CodeNotIssuable, Fatal: true, Detail: "the form " + f.Name + ": " + err.Error()})
				continue
			case errors.Is(err, qr.ErrTooLarge):
				problems = append(problems, Problem{Line: r.Line, Code: CodeTooBig, Fatal: true, Detail: "the form " + f.Name + ": " + err.Error()})
				continue
			case err != nil:
				return err
			}
			sample = append(sample, s)
			report := &c.Forms[i]
			report.Longest = max(report.Longest, s.Characters)
			if f.Kind == FormSDJWT {
				continue
			}
			report.Versions[s.Version]++
			if _, ok := f.Version(s.Characters); !ok {
				problems = append(problems, Problem{Line: r.Line, Code: CodeTooBig, Fatal: true,
					Detail: fmt.Sprintf("the form %s would need %d characters, which is more than version %d at level %s holds; carry fewer claims or shorter texts", f.Name, s.Characters, f.MaxVersion, f.Level)})
			}
		}
	}
	for _, problem := range problems {
		c.note(problem)
	}
	switch {
	case Fatal(problems):
		c.Failed++
		return nil
	case len(problems) > 0:
		c.Noted++
	}
	c.Issuable++
	if c.Sample == nil {
		c.Sample, c.SampleLine = sample, r.Line
	}
	return nil
}

// measure makes the code of one form as it would be issued, with a throw-away
// key.
func (c *checker) measure(content Content, f Form) (SampleForm, error) {
	t := content.Token(f.Name)
	t.Issuer, t.IssuedAt = c.options.Issuer, c.options.Now
	// Most indexes of a list of 2^20 take four bytes; so does this one.
	t.Status = &credential.StatusRef{URI: c.options.StatusURI, Index: 1<<20 - 1}
	draft, err := cwt.NewDraft(t, c.signer.Key().Public)
	if err != nil {
		return SampleForm{}, err
	}
	token, err := draft.Sign(c.options.Rand, c.signer, c.options.Now)
	if err != nil {
		return SampleForm{}, err
	}
	text, err := qr.Encode(token)
	if err != nil {
		return SampleForm{}, err
	}
	version, _ := f.Version(len(text))
	return SampleForm{Form: f.Name, Characters: len(text), Version: version, Claims: content.Claims(f.Name), NotBefore: t.NotBefore, Expires: t.Expires}, nil
}

// measureCard makes a card as it would be issued, with throw-away keys, and measures
// the live code that shows all of it.
func (c *checker) measureCard(content Content, f Form) (SampleForm, error) {
	t := content.Token(f.Name)
	holder := c.signer.Key().Public // as long as a holder's own
	t.Issuer, t.IssuedAt, t.Holder, t.Rand = c.options.Issuer, c.options.Now, &holder, c.options.Rand
	t.Status = &credential.StatusRef{URI: c.options.StatusURI, Index: 1<<20 - 1}
	draft, err := cwt.NewDraft(t, c.signer.Key().Public)
	if err != nil {
		return SampleForm{}, err
	}
	n := draft.LiveCharacters()
	version, _ := f.Version(n)
	return SampleForm{Form: f.Name, Characters: n, Version: version, Claims: content.Claims(f.Name), NotBefore: t.NotBefore, Expires: t.Expires}, nil
}

// measureWallet makes a wallet form as it would be issued, with throw-away keys.
func (c *checker) measureWallet(content Content, f Form) (SampleForm, error) {
	metadata, err := c.programme.TypeMetadata(f.Name)
	if err != nil {
		return SampleForm{}, err
	}
	t := content.SDJWT(f.Name)
	holder := c.signer.Key().Public // as long as a holder's own
	t.Issuer, t.IssuedAt, t.Holder, t.TypeIntegrity = c.options.Issuer, c.options.Now, &holder, sdjwt.Integrity(metadata)
	t.Status = &credential.StatusRef{URI: c.options.StatusURI, Index: 1<<20 - 1}
	draft, err := sdjwt.NewDraft(c.options.Rand, t, c.signer.Key().Public)
	if err != nil {
		return SampleForm{}, err
	}
	token, err := draft.Sign(c.options.Rand, c.signer, c.options.Now)
	if err != nil {
		return SampleForm{}, err
	}
	return SampleForm{Form: f.Name, Characters: len(token), Claims: content.Claims(f.Name), NotBefore: t.NotBefore, Expires: t.Expires}, nil
}
