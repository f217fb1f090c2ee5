package credential

import "fmt"

// A Reason says why a credential was refused or why no more can be said of it.
// The set is closed: each has a sentence in every catalogue of internal/i18n and
// a test that provokes it. Package verification maps a reason to a verdict.
type Reason string

const (
	// Malformed: the bytes are not what the format allows.
	Malformed Reason = "malformed"
	// TooLarge: a limit on size, depth or count was passed.
	TooLarge Reason = "too_large"
	// UnsupportedFormat: a kind of code or credential we know but cannot check.
	UnsupportedFormat Reason = "unsupported_format"
	// UnknownFormat: not a kind of code we know.
	UnknownFormat Reason = "unknown_format"
	// Encrypted: the content is encrypted and we hold no key.
	Encrypted Reason = "encrypted"
	// UnsupportedAlgorithm: signed with an algorithm that we do not carry.
	UnsupportedAlgorithm Reason = "unsupported_algorithm"
	// Unsigned: there is no signature at all.
	Unsigned Reason = "unsigned"
	// BadSignature: no key that could have signed this verifies it.
	BadSignature Reason = "bad_signature"
	// UnknownIssuer: the trust data name no such issuer or key.
	UnknownIssuer Reason = "unknown_issuer"
	// WrongIssuer: signed by a known key that belongs to another issuer.
	WrongIssuer Reason = "wrong_issuer"
	// NotAuthorised: the key is known but may not sign this type.
	NotAuthorised Reason = "not_authorised"
	// UnknownType: the trust data do not describe this type.
	UnknownType Reason = "unknown_type"
	// IssuerNotEstablished: checked against a pinned key only.
	IssuerNotEstablished Reason = "issuer_not_established"
	// NoTrust: no trust bundle was given.
	NoTrust Reason = "no_trust"
	// TrustOld: the trust bundle is past its refresh date.
	TrustOld Reason = "trust_old"
	// TrustExpired: the trust bundle or its root is past its last date.
	TrustExpired Reason = "trust_expired"
	// Expired: the credential's last moment has passed.
	Expired Reason = "expired"
	// NotYetValid: the credential's first moment has not come.
	NotYetValid Reason = "not_yet_valid"
	// IssuedInFuture: the issue date lies ahead of every clock we have.
	IssuedInFuture Reason = "issued_in_future"
	// NoIssueDate: the credential does not say when it was issued.
	NoIssueDate Reason = "no_issue_date"
	// KeyNotInWindow: issued outside the time in which the key might sign.
	KeyNotInWindow Reason = "key_not_in_window"
	// KeyCompromised: issued after the key was reported compromised.
	KeyCompromised Reason = "key_compromised"
	// SlotNotIssued: the status slot was never given out.
	SlotNotIssued Reason = "slot_not_issued"
	// Revoked: the status list says revoked.
	Revoked Reason = "revoked"
	// Suspended: the status list says suspended.
	Suspended Reason = "suspended"
	// StatusUnknownValue: the status list holds a value we give no meaning.
	StatusUnknownValue Reason = "status_unknown_value"
	// StatusOutOfRange: the index lies beyond the list.
	StatusOutOfRange Reason = "status_out_of_range"
	// StatusMissing: the type requires a status reference and there is none.
	StatusMissing Reason = "status_missing"
	// StatusUnavailable: no list for this reference is at hand.
	StatusUnavailable Reason = "status_unavailable"
	// StatusOld: the list is older than the type allows.
	StatusOld Reason = "status_old"
	// StatusUnsupported: a status mechanism that we do not know.
	StatusUnsupported Reason = "status_unsupported"
	// ClockDoubtful: the device clock contradicts signed data.
	ClockDoubtful Reason = "clock_doubtful"
	// HolderNotProven: policy wants the holder's key and the copy shows none.
	HolderNotProven Reason = "holder_not_proven"
	// HolderProofMissing: a proof by the holder's key was asked for and left out.
	HolderProofMissing Reason = "holder_proof_missing"
	// HolderProofBad: the proof is not by the holder's key or not for what is shown.
	HolderProofBad Reason = "holder_proof_bad"
	// HolderProofOld: the proof was made too long ago.
	HolderProofOld Reason = "holder_proof_old"
	// HolderProofAhead: the proof is of the future, by the clock of this device.
	HolderProofAhead Reason = "holder_proof_ahead"
	// Replayed: this very code was accepted here a moment ago.
	Replayed Reason = "replayed"
	// CopyExpired: the copy was good until a date that has passed.
	CopyExpired Reason = "copy_expired"
	// RecipientNotConfirmed: a copy made out to somebody, and nobody said who checks it.
	RecipientNotConfirmed Reason = "recipient_not_confirmed"
	// WrongAudience: the proof was made for another verifier.
	WrongAudience Reason = "wrong_audience"
	// WrongNonce: the proof answers another request.
	WrongNonce Reason = "wrong_nonce"
	// AlreadySeen: this entitlement was accepted before on the same day.
	AlreadySeen Reason = "already_seen"
	// OnceUnknown: whether it was accepted before cannot be known.
	OnceUnknown Reason = "once_unknown"
	// SeveralCodes: the picture shows more than one different code.
	SeveralCodes Reason = "several_codes"
	// NoCode: the picture shows no code that can be read.
	NoCode Reason = "no_code"
)

// Reasons is every reason, for the tests that keep catalogues complete.
func Reasons() []Reason {
	return []Reason{
		Malformed, TooLarge, UnsupportedFormat, UnknownFormat, Encrypted, UnsupportedAlgorithm, Unsigned,
		BadSignature, UnknownIssuer, WrongIssuer, NotAuthorised, UnknownType, IssuerNotEstablished, NoTrust, TrustOld, TrustExpired,
		Expired, NotYetValid, IssuedInFuture, NoIssueDate, KeyNotInWindow, KeyCompromised, SlotNotIssued,
		Revoked, Suspended, StatusUnknownValue, StatusOutOfRange, StatusMissing, StatusUnavailable, StatusOld, StatusUnsupported,
		ClockDoubtful, HolderNotProven, HolderProofMissing, HolderProofBad, HolderProofOld,
		HolderProofAhead, Replayed, CopyExpired, RecipientNotConfirmed, WrongAudience, WrongNonce, AlreadySeen, OnceUnknown, SeveralCodes, NoCode,
	}
}

// A RejectedError is a decision: the input was understood and refused for this
// reason. Any other error of a Verify function means that no decision was
// reached.
type RejectedError struct {
	Reason Reason
	// Detail is for the operator; it never holds a claim's value.
	Detail string
}

// Error returns reason and detail.
func (e *RejectedError) Error() string {
	if e.Detail == "" {
		return string(e.Reason)
	}
	return string(e.Reason) + ": " + e.Detail
}

// Reject returns a [*RejectedError].
func Reject(r Reason, format string, args ...any) error {
	return &RejectedError{Reason: r, Detail: fmt.Sprintf(format, args...)}
}
