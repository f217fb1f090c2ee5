package verification

import (
	"errors"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/trust"
)

// Types that the bundle names for credentials which state none.
const (
	// TypeClaim169 is a bare Claim 169 code.
	TypeClaim169 = "claim169"
	// TypeHealthCert is a health certificate of the EU or WHO.
	TypeHealthCert = "hcert"
)

// DefaultSkew is how far the clocks of issuer and verifier may differ.
const DefaultSkew = 5 * time.Minute

// IssuerKeys finds the keys that may have signed a credential.
type IssuerKeys interface {
	// KeysFor returns all keys of the issuer that the hint kid fits, or all of
	// its keys if kid is nil; none if the issuer is unknown.
	KeysFor(issuer string, kid []byte) []keys.PublicKey
}

// A Format verifies credentials of one encoding. It must be safe for concurrent
// use.
type Format interface {
	// Verify decodes a credential and checks its signature against the keys. An
	// error that is no [*credential.RejectedError] means that nothing was
	// decided. Dates, status and the issuer's right are not its business.
	Verify(message []byte, keys IssuerKeys) (*credential.Verified, error)
}

// Config is what a [Checker] needs. Fields without "optional" must be set.
type Config struct {
	// COSE verifies credentials in COSE messages: codes and raw tokens.
	COSE Format
	// SDJWT verifies SD-JWT VCs, proofs by the holder included: whether one must be
	// there is its decision, made from the request that the credential answers.
	// Optional: without it they are not checked.
	SDJWT Format

	// Trust is the bundle to judge by. Optional: without it, and without Pinned,
	// the best verdict is undetermined.
	Trust *trust.Bundle
	// TrustProblem says why there is no bundle, for the report. Optional.
	TrustProblem string
	// Pinned is one issuer's key, taken in place of a bundle to see whether two
	// systems understand each other. Optional. Whose key it is nobody says, so
	// that the best verdict is check_needed.
	Pinned *keys.PublicKey

	// Counter is who checks live codes and what was asked of their holders. Optional;
	// [Checker.At] sets it for one check.
	Counter Counter

	// Now is the clock of the device.
	Now func() time.Time
	// NewestSeen is the newest [Report.Seen] of earlier checks, which the caller
	// keeps. Optional.
	NewestSeen time.Time
	// Skew is how far clocks may differ. Optional; [DefaultSkew] if zero.
	Skew time.Duration
}

// A Checker judges credentials. It is safe for concurrent use and keeps nothing
// from one check to the next.
type Checker struct {
	Config
}

// New returns a Checker, or an error that names what is missing or contradicts.
func New(c Config) (*Checker, error) {
	switch {
	case c.COSE == nil:
		return nil, errors.New("verification: Config.COSE is not set")
	case c.Now == nil:
		return nil, errors.New("verification: Config.Now is not set")
	case c.Trust != nil && c.Pinned != nil:
		return nil, errors.New("verification: Config.Trust and Config.Pinned exclude each other")
	case c.Pinned != nil && c.Pinned.IsZero():
		return nil, errors.New("verification: Config.Pinned is not a key")
	case c.Skew < 0:
		return nil, errors.New("verification: Config.Skew is negative")
	}
	if err := c.Counter.check(); err != nil {
		return nil, err
	}
	if c.Skew == 0 {
		c.Skew = DefaultSkew
	}
	return &Checker{c}, nil
}

// Check judges what was presented: the text of a code, an SD-JWT, the bytes of a
// credential, or those in hex or base64.
func (c *Checker) Check(presented []byte) Report {
	in, err := Open(presented)
	j := c.judge(in.Kind)
	if err != nil {
		if in.Kind == string(qr.WebLink) || in.Kind == string(qr.OtherLink) {
			j.r.Text = in.Text
		}
		j.refuse(err)
		return j.report()
	}
	format := c.COSE
	if in.Kind == string(qr.SDJWT) {
		if format = c.SDJWT; format == nil {
			j.refuse(credential.Reject(credential.UnsupportedFormat, "sd jwt, which is not checked here"))
			return j.report()
		}
	}
	j.verify(format, in.Message)
	return j.report()
}

// Unread is the report on something that did not even yield an input, such as a
// picture without a code ([credential.NoCode]).
func (c *Checker) Unread(kind string, why error) Report {
	j := c.judge(kind)
	j.refuse(why)
	return j.report()
}

// A judgement is one report in the making.
type judgement struct {
	*Checker
	r   Report
	now time.Time
	// device is what the clock of the device says, which is now unless it is wrong.
	device time.Time
	digest [32]byte // of a live code, once it is good

	v      *credential.Verified
	issuer trust.Issuer
	key    trust.IssuerKey
	known  bool // issuer and key are from the bundle
	typ    credential.Type
	ruled  bool // the bundle describes the type
}

func (c *Checker) judge(kind string) *judgement {
	j := &judgement{Checker: c}
	j.r = Report{Kind: kind, Holder: BindingNone, PersonCheck: "none", Claims: []Claim{}, Warnings: []Warning{}}
	for _, id := range CheckIDs() {
		j.r.Checks = append(j.r.Checks, Check{ID: id, Result: NotChecked})
	}
	j.clock()
	j.bundle()
	return j
}

// set records the outcome of a check. Of two reasons the heavier stays.
func (j *judgement) set(c Check) {
	for i, old := range j.r.Checks {
		if old.ID != c.ID {
			continue
		}
		if old.Reason == "" || c.Reason != "" && VerdictFor(c.Reason).weight() > VerdictFor(old.Reason).weight() {
			j.r.Checks[i] = c
		}
	}
}

// refuse records why nothing more could be done with the input.
func (j *judgement) refuse(err error) {
	rej, ok := errors.AsType[*credential.RejectedError](err)
	if !ok {
		j.set(Check{ID: CheckFormat, Result: Unknown, Reason: credential.UnsupportedFormat, Detail: err.Error()})
		return
	}
	id, result := CheckFormat, Fail
	switch rej.Reason {
	case credential.BadSignature, credential.Unsigned:
		id = CheckSignature
	case credential.UnsupportedAlgorithm:
		id, result = CheckSignature, Unknown
	case credential.WrongIssuer:
		id = CheckIssuer
	case credential.UnknownIssuer:
		id, result = CheckIssuer, Unknown
	case credential.StatusUnsupported:
		id, result = CheckStatus, Unknown
	case credential.HolderProofMissing:
		id, result = CheckHolder, Missing
	case credential.HolderProofBad, credential.HolderProofOld, credential.WrongAudience, credential.WrongNonce:
		id = CheckHolder
	case credential.UnknownFormat, credential.UnsupportedFormat, credential.Encrypted, credential.SeveralCodes, credential.TooLarge:
		result = Unknown
	case credential.NoCode:
		result = Missing
	}
	c := Check{ID: id, Result: result, Reason: rej.Reason, Detail: rej.Detail}
	if id != CheckFormat {
		j.set(Check{ID: CheckFormat, Result: Pass})
		c.AsOf = j.r.Basis.KeysAsOf
	}
	j.set(c)
}

// verify checks the signature and, only if it is good, everything else.
func (j *judgement) verify(format Format, message []byte) {
	v, err := format.Verify(message, j.finder())
	if err == nil && v == nil {
		err = errors.New("the format gave no answer")
	}
	if err != nil {
		rej, ok := errors.AsType[*credential.RejectedError](err)
		if ok && rej.Reason == credential.UnknownIssuer && j.Trust == nil {
			// Of course: nothing is known. The trust check says so.
			j.set(Check{ID: CheckFormat, Result: Pass})
			return
		}
		j.refuse(err)
		return
	}
	j.v = v
	j.set(Check{ID: CheckFormat, Result: Pass, Detail: string(v.Format)})
	j.set(Check{ID: CheckSignature, Result: Pass, Detail: string(v.Key.Algorithm()), AsOf: j.r.Basis.KeysAsOf})
	j.authority()
	j.times()
	j.signingKey()
	j.status()
	j.holder()
	j.describe()
}

// finder is where the format looks for keys.
func (j *judgement) finder() IssuerKeys {
	switch {
	case j.Pinned != nil:
		return pinnedKey{*j.Pinned}
	case j.Trust != nil:
		return bundleKeys{j.Trust}
	}
	return noKeys{}
}

type noKeys struct{}

func (noKeys) KeysFor(string, []byte) []keys.PublicKey { return nil }

// pinnedKey answers every question with one key.
type pinnedKey struct{ key keys.PublicKey }

func (p pinnedKey) KeysFor(string, []byte) []keys.PublicKey { return []keys.PublicKey{p.key} }

// bundleKeys are the keys of a bundle. Where the named issuer has none that fits,
// a key of another issuer with this id is tried, so that a credential which was
// signed in a foreign name is refused as that and not just unknown.
type bundleKeys struct{ *trust.Bundle }

func (b bundleKeys) KeysFor(issuer string, kid []byte) []keys.PublicKey {
	if ks := b.Bundle.KeysFor(issuer, kid); len(ks) > 0 {
		return ks
	}
	return b.KeysWithID(kid)
}

// report draws the verdict from the checks.
func (j *judgement) report() Report {
	verdict := Valid
	for _, c := range j.r.Checks {
		if c.Reason != "" {
			verdict = Worse(verdict, VerdictFor(c.Reason))
		}
	}
	if j.unlisted() {
		verdict = Worse(verdict, Undetermined)
	}
	if verdict == Valid && !j.complete() {
		verdict = Undetermined
	}
	verdict = j.once(j.again(verdict))
	j.r.Verdict = verdict
	if verdict == Invalid {
		j.r.Seen = time.Time{}
	}
	return j.r
}

// unlisted reports whether a list is missing or old that was to be had by asking. An office
// that publishes bundles says for how long its lists do, also where there is no network; of
// an issuer that is vouched for otherwise nobody has said that one may do without.
func (j *judgement) unlisted() bool {
	if j.Trust == nil || j.Trust.VouchedBy() == "" {
		return false
	}
	reason := j.r.Check(CheckStatus).Reason
	return reason == credential.StatusUnavailable || reason == credential.StatusOld
}

// complete reports whether everything was looked at that valid stands for. The
// reasons see to that; this is the second lock on the door.
func (j *judgement) complete() bool {
	for _, c := range j.r.Checks {
		optional := c.ID == CheckHolder || c.ID == CheckStatus && j.v != nil && j.v.Status == nil && !j.typ.StatusRequired
		if c.Result != Pass && !(optional && c.Result == NotChecked) {
			return false
		}
	}
	return j.v != nil && j.known && j.ruled
}
