// Package audit is the issuer's record of what it did: typed events in an
// append-only Merkle log (RFC 6962 hashing through golang.org/x/mod/sumdb/tlog),
// with checkpoints signed as notes (C2SP tlog-checkpoint and signed-note).
//
// Whoever acts calls [Append] in the same transaction as the act itself: no
// entry, no act. [SignCheckpoint] signs the head of the log from time to time,
// [Export] writes the log as files, and [Verify] checks such files without the
// issuer: with an older checkpoint in hand it finds any change to what was there
// when that checkpoint was signed. A [Journal] is a second copy of the entries on
// another disk, written before the act takes effect. A [Witness], on a machine of
// somebody else, signs checkpoints that continue what it signed before
// ([OpenCosigned]).
//
// An entry is one line of JSON with its members in a fixed order. It holds no
// personal data: records appear as keyed pseudonyms, credentials as ids, slots
// and digests, people of the office as account names.
//
// Left to others: where entries and hashes are kept ([Storage]; package store),
// which keys may sign (package keys), when to sign a checkpoint, and asking
// witnesses. A
// log that was cut back to a point after the newest checkpoint which the auditor
// holds looks like a younger log; only a newer checkpoint or a witness tells.
//
// An entry is at most 8 KiB, a block of entries appended at once at most 16 384.
package audit

import (
	"time"
)

// A Kind says what happened. The set is closed.
type Kind string

// What can happen.
const (
	CredentialIntended   Kind = "credential.intended"   // is about to be signed
	CredentialSigned     Kind = "credential.signed"     // was signed and checked
	CredentialRevoked    Kind = "credential.revoked"    // is revoked for good
	CredentialSuspended  Kind = "credential.suspended"  // does not count for now
	CredentialResumed    Kind = "credential.resumed"    // counts again
	CredentialSuperseded Kind = "credential.superseded" // gave way to another
	CredentialLeftover   Kind = "credential.leftover"   // revoked: a crash left it unfinished

	BatchStarted  Kind = "batch.started"
	BatchResumed  Kind = "batch.resumed"
	BatchAdvanced Kind = "batch.advanced" // past records none of which it signed a credential for
	BatchFinished Kind = "batch.finished"
	BatchGivenUp  Kind = "batch.given_up" // a restore or a fail-over closed it before its end

	KeyGenerated   Kind = "key.generated"
	KeyActivated   Kind = "key.activated"
	KeyRetired     Kind = "key.retired"
	KeyCompromised Kind = "key.compromised"

	TrustPublished  Kind = "trust.published"
	StatusPublished Kind = "status.published"
	ProgrammeAdded  Kind = "programme.added"
	IssuerCreated   Kind = "issuer.created"
	IssuerRestored  Kind = "issuer.restored" // goes on after a backup was restored
	IssuerFenced    Kind = "issuer.fenced"   // was closed for work
	BackupMade      Kind = "backup.made"
	AuditCheckpoint Kind = "audit.checkpoint"
	ClockAccepted   Kind = "clock.accepted" // is right, though far ahead of the entry before

	// What an operator of the console does: Actor is the operator's id, Reason the
	// action, Detail the id of its subject, Digest that of what was shown.
	OperatorIntended Kind = "operator.intended" // is about to be done
	OperatorDone     Kind = "operator.done"     // was done
	OperatorFailed   Kind = "operator.failed"   // was not done after all
)

var kinds = []Kind{
	CredentialIntended, CredentialSigned, CredentialRevoked, CredentialSuspended, CredentialResumed,
	CredentialSuperseded, CredentialLeftover, BatchStarted, BatchResumed, BatchAdvanced, BatchFinished, BatchGivenUp, KeyGenerated,
	KeyActivated, KeyRetired, KeyCompromised, TrustPublished, StatusPublished, ProgrammeAdded, IssuerCreated,
	IssuerRestored, IssuerFenced, BackupMade, AuditCheckpoint, ClockAccepted,
	OperatorIntended, OperatorDone, OperatorFailed,
}

// Kinds is every kind of event.
func Kinds() []Kind { return append([]Kind(nil), kinds...) }

// An Event is one thing that an issuer does. Fields that do not apply stay
// empty. Event takes no claims, names or codes: what identifies a person goes in
// as the keyed pseudonym Record, what must stay secret not at all.
type Event struct {
	// Time is when it happened. [Append] records it in UTC to the millisecond,
	// and never earlier than the entry before.
	Time time.Time
	// Kind says what happened; required.
	Kind Kind
	// Actor is the account that acted, or the name of the program's own part,
	// such as "sweeper"; at most 128 bytes. Required.
	Actor string

	// Programme, Credential, Batch and Key are identifiers: visible ASCII
	// without blanks, quotes and backslashes, at most 128 bytes.
	Programme, Credential, Batch, Key string
	// Record is the pseudonym of the registry record in lower-case hexadecimal,
	// at most 64 digits.
	Record string
	// Slots are the status slots concerned, at most 16.
	Slots []SlotRef
	// Digest names what was signed or published; an identifier of at most 512
	// bytes, by custom hexadecimal SHA-256.
	Digest string
	// Count is how many things the event speaks of, where that matters.
	Count int

	// The rest is what it takes to write down anew what an event made, when a
	// backup from before it is restored; see [CredentialIntended].

	// Version is the version of Programme, or the number of a publication; 0 if it
	// does not matter.
	Version int
	// Row is the record's number in the source of Batch, from 1; 0 if there is none.
	Row int64
	// Expires is the last moment of the credential, in whole milliseconds of the
	// years 0 to 9999; zero if there is none.
	Expires time.Time
	// Idempotency is the keyed hash of the caller's idempotency key in lower-case
	// hexadecimal, at most 64 digits.
	Idempotency string
	// Reason is a stable code such as "key_compromise"; lower-case letters,
	// digits, "_", "-" and ".", at most 64 bytes.
	Reason string
	// Detail is a short text for the auditor, at most 256 bytes. It is not the
	// place for anything about a person.
	Detail string
}

// A SlotRef names one slot of a status list.
type SlotRef struct {
	URI   string // of the list, at most 512 bytes
	Index uint64
	// Size is the number of entries of the list; 0 where it does not matter.
	Size uint64
	// Form is the form of the credential that has the slot, an identifier of at
	// most 128 bytes; empty in entries that revoke, suspend or resume.
	Form string
	// Digest is what the event's Digest is, for this form alone; empty if the
	// credential has no other form.
	Digest string
}
