package verification

import (
	"fmt"
	"slices"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/trust"
)

// clock finds the moment to judge at (qr-and-offline 4.3 rule 4).
func (j *judgement) clock() {
	device := j.Now().UTC().Truncate(time.Second)
	j.now, j.device = device, device
	ahead := false
	if j.Trust != nil {
		j.now = later(j.now, j.Trust.AsOf)
		ahead = device.After(j.Trust.AsOf.AddDate(1, 0, 0))
	}
	j.now = later(j.now, j.NewestSeen)
	j.r.Judged = j.now
	switch {
	case device.Before(j.now.Add(-j.Skew)):
		j.doubt("the clock of this device is behind signed data")
	case ahead:
		j.doubt("the clock of this device is more than a year ahead of the trust bundle")
	default:
		j.set(Check{ID: CheckClock, Result: Pass})
	}
}

// doubt records that the clock cannot be believed.
func (j *judgement) doubt(why string) {
	j.set(Check{ID: CheckClock, Result: Fail, Reason: credential.ClockDoubtful, Detail: why, AsOf: j.now})
	if !slices.Contains(j.r.Warnings, WarnSetClock) {
		j.r.Warnings = append(j.r.Warnings, WarnSetClock)
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b.UTC()
	}
	return a
}

// bundle judges the bundle itself: a banner when it should be replaced, a softer
// verdict when it is old, none when its root has ended.
func (j *judgement) bundle() {
	b := j.Trust
	if b == nil {
		if j.Pinned == nil {
			j.set(Check{ID: CheckTrust, Result: Missing, Reason: credential.NoTrust, Detail: j.TrustProblem})
		}
		return
	}
	j.r.Basis.BundleVersion, j.r.Basis.KeysAsOf, j.r.Basis.VouchedBy = b.Version, b.AsOf, b.VouchedBy()
	c := Check{ID: CheckTrust, Result: Pass, AsOf: b.AsOf}
	switch {
	case !j.now.Before(b.Root.Expires):
		c.Result, c.Reason, c.Detail = Fail, credential.TrustExpired, "the root of the trust bundle ended on "+day(b.Root.Expires)
	case !j.now.Before(b.OldAfter):
		c.Result, c.Reason, c.Detail = Stale, credential.TrustOld, "the trust bundle is old since "+day(b.OldAfter)
	}
	j.set(c)
	switch b.Age(j.now) {
	case trust.Fresh:
	case trust.UpdateSoon:
		j.r.Warnings = append(j.r.Warnings, WarnUpdateSoon)
	default:
		j.r.Warnings = append(j.r.Warnings, WarnUpdateOverdue)
	}
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// authority checks that the owner of the key is the issuer that the credential
// names, and that the key may sign its type.
func (j *judgement) authority() {
	if j.Trust == nil {
		j.set(Check{ID: CheckIssuer, Result: Unknown, Reason: credential.IssuerNotEstablished, Detail: "checked against one given key"})
		return
	}
	asOf := j.Trust.AsOf
	issuer, key, ok := j.Trust.IssuerKey(j.v.Key)
	if !ok {
		j.set(Check{ID: CheckIssuer, Result: Unknown, Reason: credential.UnknownIssuer, AsOf: asOf})
		return
	}
	// Only wallet formats name an issuer by its address.
	if issuer.ID != j.v.Issuer && !(j.v.Format == credential.FormatSDJWT && issuer.Is(j.v.Issuer)) {
		j.set(Check{ID: CheckIssuer, Result: Fail, Reason: credential.WrongIssuer, Detail: "the key belongs to another issuer", AsOf: asOf})
		return
	}
	j.issuer, j.key, j.known = issuer, key, true
	j.set(Check{ID: CheckIssuer, Result: Pass, AsOf: asOf})

	id := j.typeID()
	j.typ, j.ruled = j.Trust.Type(id)
	j.r.Basis.Policy = j.typ.Policy
	switch {
	case !j.ruled:
		j.set(Check{ID: CheckType, Result: Unknown, Reason: credential.UnknownType, Detail: noRules(j.Trust), AsOf: asOf})
	case !key.MaySign(id):
		j.set(Check{ID: CheckType, Result: Fail, Reason: credential.NotAuthorised, Detail: "this key may not sign this type", AsOf: asOf})
	default:
		j.set(Check{ID: CheckType, Result: Pass, AsOf: asOf})
	}
}

func noRules(b *trust.Bundle) string {
	if b.VouchedBy() != "" {
		return "not a type that issuers under this root are taken for"
	}
	return "the trust bundle has no rules for this type"
}

// typeID is the type, also of a credential that states none.
func (j *judgement) typeID() string {
	switch {
	case j.v.Type != "":
		return j.v.Type
	case j.v.Format == credential.FormatHealthCert:
		return TypeHealthCert
	}
	return TypeClaim169
}

// times holds the credential's own dates against now.
func (j *judgement) times() {
	j.set(Check{ID: CheckTime, Result: Pass, AsOf: j.now})
	bad := func(result Result, r credential.Reason, detail string) {
		j.set(Check{ID: CheckTime, Result: result, Reason: r, Detail: detail, AsOf: j.now})
	}
	v := j.v
	if !v.Expires.IsZero() && !j.now.Before(v.Expires) {
		bad(Fail, credential.Expired, "")
	}
	if v.NotBefore.After(j.now.Add(j.Skew)) {
		bad(Fail, credential.NotYetValid, "")
	}
	switch {
	case v.IssuedAt.IsZero():
		// A pinned key has no signing window to hold the date against.
		if j.Pinned == nil {
			bad(Missing, credential.NoIssueDate, "")
		}
	case v.IssuedAt.After(j.now.Add(j.Skew)):
		bad(Fail, credential.IssuedInFuture, "the issue date lies ahead of the clock and of all signed data")
		j.doubt("the clock of this device is behind the issue date")
	}
}

// signingKey checks that the credential was issued while its key might sign, and
// what is known of a theft of the key (qr-and-offline 4.4).
func (j *judgement) signingKey() {
	if !j.known || j.v.IssuedAt.IsZero() {
		return
	}
	iat, k, asOf := j.v.IssuedAt, j.key, j.Trust.AsOf
	c := Check{ID: CheckKey, Result: Pass, AsOf: asOf}
	switch {
	case iat.Before(k.ValidFrom):
		c.Result, c.Reason, c.Detail = Fail, credential.KeyNotInWindow, "issued before the key came into use"
	case !k.SignUntil.IsZero() && !iat.Before(k.SignUntil):
		c.Result, c.Reason, c.Detail = Fail, credential.KeyNotInWindow, "issued after the key went out of use"
	case !k.ValidTo.IsZero() && !j.now.Before(k.ValidTo):
		c.Result, c.Reason, c.Detail = Fail, credential.KeyNotInWindow, "the key counts for nothing any more"
	case k.State == keys.Compromised:
		j.set(j.theft(c))
		return
	}
	j.set(c)
	// What came with a good signature in its window proves that it has been this
	// late. A year is the most that one credential may move the clock.
	if c.Result == Pass && !iat.After(later(j.now, asOf.AddDate(1, 0, 0))) {
		j.r.Seen = iat
	}
}

// theft judges a credential of a key that was reported compromised.
func (j *judgement) theft(c Check) Check {
	since := j.key.CompromisedSince
	c.Result, c.Reason = Fail, credential.KeyCompromised
	switch {
	case since.IsZero() || !j.v.IssuedAt.Before(since):
		c.Detail = "issued after the key was reported stolen"
		return c
	case j.v.Status == nil:
		c.Detail = "the key was reported stolen, and the credential has no status slot that would show its age"
		return c
	}
	switch given, known := j.slotGiven(); {
	case !known:
		c.Result, c.Reason, c.Detail = Unknown, credential.StatusUnavailable, "the key was reported stolen later, and the list of slots given out is not at hand"
	case !given:
		c.Reason, c.Detail = credential.SlotNotIssued, "the status slot was never given out"
	default:
		c.Result, c.Reason, c.Detail = Pass, "", "issued before the key was reported stolen on "+day(since)
	}
	return c
}

// slotGiven reports whether the status slot was ever given out, if the bundle
// says which were.
func (j *judgement) slotGiven() (given, known bool) {
	slots, known := j.Trust.IssuedSlots(j.v.Status.URI)
	if !known {
		return false, false
	}
	mark, err := slots.Get(j.v.Status.Index)
	return err == nil && mark == 1, true
}

// status looks the credential up in its list.
func (j *judgement) status() {
	ref := j.v.Status
	if ref == nil {
		if j.typ.StatusRequired {
			j.set(Check{ID: CheckStatus, Result: Missing, Reason: credential.StatusMissing, Detail: "this type has a status list, and the credential names none"})
		}
		return
	}
	if ref.Beside { // corpus ST-08: the worst answer stands
		j.set(Check{ID: CheckStatus, Result: Unknown, Reason: credential.StatusUnsupported, Detail: "a mechanism beside the list"})
	}
	if j.Trust == nil {
		j.set(Check{ID: CheckStatus, Result: Missing, Reason: credential.StatusUnavailable, Detail: "no status lists without a trust bundle"})
		return
	}
	list, info, ok := j.Trust.StatusList(ref.URI)
	if !ok && j.Trust.VouchedBy() != "" {
		j.set(Check{ID: CheckStatus, Result: Missing, Reason: credential.StatusUnavailable, Detail: "the issuer's list was asked for and is not at hand"})
		return
	}
	if !ok {
		j.set(Check{ID: CheckStatus, Result: Missing, Reason: credential.StatusUnavailable, Detail: "the trust bundle does not have this list"})
		return
	}
	j.r.Basis.StatusAsOf, j.r.StatusAge = info.IssuedAt, j.now.Sub(info.IssuedAt)
	value, err := list.Get(ref.Index)
	j.set(statusCheck(value, err, info.IssuedAt))
	if given, known := j.slotGiven(); err == nil && known && !given {
		j.set(Check{ID: CheckStatus, Result: Fail, Reason: credential.SlotNotIssued, Detail: "the status slot was never given out", AsOf: info.IssuedAt})
	}
	j.freshness(info.IssuedAt)
}

// statusCheck is the outcome for what the list says.
func statusCheck(value byte, err error, asOf time.Time) Check {
	c := Check{ID: CheckStatus, Result: Fail, AsOf: asOf}
	switch {
	case err != nil:
		c.Reason, c.Detail = credential.StatusOutOfRange, "the status slot lies beyond the list"
	case value == status.Valid:
		c.Result = Pass
	case value == status.Invalid:
		c.Reason = credential.Revoked
	case value == status.Suspended:
		c.Reason = credential.Suspended
	default:
		c.Result, c.Reason, c.Detail = Unknown, credential.StatusUnknownValue, fmt.Sprintf("the list says %d, which we give no meaning", value)
	}
	return c
}

// freshness holds the age of the list against the limit of the type. A list of
// the future is no fresher than the clock that says so.
func (j *judgement) freshness(asOf time.Time) {
	switch age := j.now.Sub(asOf); {
	case age < -j.Skew:
		j.doubt("the clock of this device is behind the status list")
	case age > j.typ.FreshFor:
		j.set(Check{
			ID: CheckStatus, Result: Stale, Reason: credential.StatusOld, AsOf: asOf,
			Detail: "list older than " + span(j.typ.FreshFor),
		})
	}
}

// span is a duration in whole days or hours.
func span(d time.Duration) string {
	const d1 = 24 * time.Hour
	switch {
	case d <= 0:
		return "the type allows"
	case d == d1:
		return "1 day"
	case d%d1 == 0:
		return fmt.Sprintf("%d days", d/d1)
	}
	return d.String()
}

// holder says what ties the credential to the person who shows it: a proof that the
// format checked for this very request, or nothing. Codes on paper tie nothing; that
// is a fault only where policy or the credential itself asks for the holder's key.
func (j *judgement) holder() {
	if at := j.v.HolderProof; !at.IsZero() && j.v.Holder != nil {
		j.r.Holder, j.r.Age = BindingKeyChallenge, max(0, j.now.Sub(at))
		j.set(Check{ID: CheckHolder, Result: Pass, Detail: "signed with the holder's key for this request", AsOf: at})
		return
	}
	if j.v.Withheld > 0 {
		j.r.Warnings = append(j.r.Warnings, WarnPartShown)
	}
	if j.v.KeyBinding != nil {
		j.live(j.v.KeyBinding)
		return
	}
	if j.Counter.asks() {
		j.r.Holder = BindingNone
		j.set(Check{ID: CheckHolder, Result: Missing, Reason: credential.HolderProofMissing, Detail: "a live code was asked for"})
		return
	}
	j.paper()
}

// paper is what anyone may have: sheets, pictures, copies.
func (j *judgement) paper() {
	j.r.Holder = BindingNone
	j.r.Warnings = append(j.r.Warnings, WarnCopy)
	switch {
	case j.typ.HolderRequired:
		j.set(Check{ID: CheckHolder, Result: Missing, Reason: credential.HolderNotProven, Detail: "policy asks for a proof by the holder's key"})
	case j.v.Holder != nil && j.r.Mode != ModeCopy:
		j.set(Check{ID: CheckHolder, Result: Missing, Reason: credential.HolderNotProven, Detail: "bound to a holder's key, and shown without a proof by it"})
	}
}
