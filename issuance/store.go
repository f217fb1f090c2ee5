package issuance

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"strings"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/keys"
)

// Errors that a store returns as they are (wrapped or not). After any of them
// from a method of a [Tx] that transaction is lost: [Store.Write] stores nothing.
// The one exception is the ErrNoCredential of Redeemed.
var (
	// ErrNoCredential: the store has no credential with this id or key.
	ErrNoCredential = errors.New("issuance: no such credential")
	// ErrNoBatch: the store has no batch with this id.
	ErrNoBatch = errors.New("issuance: no such batch")
	// ErrActiveExists: the record already holds a credential of the programme
	// that is not revoked.
	ErrActiveExists = errors.New("issuance: the record already holds a credential")
	// ErrIdempotencyUsed: a credential was stored under this idempotency key.
	ErrIdempotencyUsed = errors.New("issuance: idempotency key already used")
	// ErrSlotTaken: a status slot is used already.
	ErrSlotTaken = errors.New("issuance: status slot already used")
	// ErrListOpen: a list of this kind has room, or the URI is in use.
	ErrListOpen = errors.New("issuance: a status list of this kind is open")
	// ErrFinal: the credential is revoked, and that is final.
	ErrFinal = errors.New("issuance: the credential is revoked for good")
	// ErrState: the credential is in no state that this change starts from.
	ErrState = errors.New("issuance: not possible in this state")
	// ErrMoved: somebody else moved a batch, programme or publication on since
	// it was read.
	ErrMoved = errors.New("issuance: changed by somebody else meanwhile")
)

// A State is where a credential stands. Revoked is final. The only changes are
// intended to active or revoked, active to suspended or revoked, and suspended
// to active or revoked.
type State string

// The states of a credential.
const (
	// Intended: its record, slots and audit entry are stored; it may or may not
	// have been signed, and was never released.
	Intended State = "intended"
	// Active: signed, checked, and free to be released.
	Active State = "active"
	// Suspended: paused; its status says so until it is resumed or revoked.
	Suspended State = "suspended"
	// Revoked: ended for good.
	Revoked State = "revoked"
)

// A Reason says why a credential was suspended or revoked. The set is closed
// and never published.
type Reason string

// The reasons. An operator may give any but Leftover and Superseded, which are
// the service's own.
const (
	// NoReason belongs to credentials that are intended or active.
	NoReason Reason = ""
	// Requested: its holder asked for it.
	Requested Reason = "requested"
	// Lost: the document was lost or stolen.
	Lost Reason = "lost"
	// Death: the person has died.
	Death Reason = "death"
	// RecordChanged: the registry record no longer says what the credential says.
	RecordChanged Reason = "record_changed"
	// IssuedInError: it should not have been issued.
	IssuedInError Reason = "issued_in_error"
	// Withdrawn: the office withdrew the right that it documents.
	Withdrawn Reason = "withdrawn"
	// Investigation: paused or ended while a case is looked into.
	Investigation Reason = "investigation"
	// Other: for a reason that this list does not have. What it was is for the
	// office's own files.
	Other Reason = "other"
	// KeyCompromise: the key that signed it can no longer be trusted.
	KeyCompromise Reason = "key_compromise"
	// Superseded: replaced by a newer credential for the same record.
	Superseded Reason = "superseded"
	// Leftover: never released. A crash or a failed self-check left it behind.
	Leftover Reason = "leftover"
)

// Reasons is every reason an operator may give.
func Reasons() []Reason {
	return []Reason{Requested, Lost, Death, RecordChanged, IssuedInError, Withdrawn, Investigation, KeyCompromise, Other}
}

// A Pseudonym stands for a registry record in one programme: a keyed hash, so
// that the store names no record and two programmes cannot be joined.
type Pseudonym [32]byte

// A Slot is one entry of a status list.
type Slot struct {
	// List is the list's URI.
	List string
	// Index is the entry's place in the list.
	Index uint64
}

// A FormRecord is what is kept of one form of a credential: digests and its
// slot, never its content.
type FormRecord struct {
	// Form is the name of the form in the programme.
	Form string
	// Slot is the form's own status slot, of which no two forms and no two
	// credentials ever share one.
	Slot Slot
	// Key is the signing key.
	Key keys.ID
	// ToBeSigned is the SHA-256 of the exact bytes to be signed, stored before
	// they are.
	ToBeSigned [32]byte
	// Signed is the SHA-256 of the signed credential, zero until it is active.
	Signed [32]byte
}

// A Credential is what the issuer keeps of one credential. Times are in UTC and
// have whole milliseconds, the date of issue and the last moment whole seconds.
type Credential struct {
	// ID is 26 characters of Crockford base32, ordered by time of issue.
	ID string
	// Programme and Version name the programme it was issued under.
	Programme string
	Version   int
	// Record is the registry record that it documents.
	Record Pseudonym
	// State and Reason say where it stands. Reason is empty unless it is
	// suspended or revoked.
	State  State
	Reason Reason
	// IssuedAt is its date of issue, Expires its last moment (zero: none) and
	// Changed the time of its last change of state.
	IssuedAt, Expires, Changed time.Time
	// Batch is the batch that issued it and Row the number of the source's
	// record in it, from 1; empty and 0 for a single one.
	Batch string
	Row   int64
	// Supersedes is the credential that it replaced, or empty.
	Supersedes string
	// Idempotency is the keyed hash of the caller's idempotency key, zero if
	// there was none. No two credentials share one, whatever their state.
	Idempotency [32]byte
	// PartOf is the credential that this one is a part of, or empty. A part is what was
	// added to an active credential later, such as copies for a wallet: it climbed a
	// ladder of its own, has forms and slots of its own, and shares the fate of the
	// credential. Parts have none themselves, and are Many.
	PartOf string
	// Many says that its programme allows a record several credentials, so
	// that it does not count against the rule of one.
	Many bool
	// Forms are its forms in the order of the programme, at least one. They
	// share its fate.
	Forms []FormRecord
}

// A Holding is the credential that a record holds.
type Holding struct {
	ID    string
	State State
	Batch string
	Row   int64
	// Expires is its last moment, zero if it has none.
	Expires time.Time
}

// A Part is a part of a credential: its own id and where it stands.
type Part struct {
	ID    string
	State State
}

// A Mark says that a credential was signed and checked.
type Mark struct {
	ID string
	// Signed are the SHA-256 of its signed forms, in the order of its Forms.
	Signed [][32]byte
}

// A ListKind says what the slots of a status list are for: one form of one
// programme, with so many bits an entry.
type ListKind struct {
	Programme, Form string
	Bits            int
}

// A List is one status list. Next counts the slots given out or passed over;
// which indexes they are is known to the issuer alone, who passes the counter
// through a keyed permutation.
type List struct {
	URI  string
	Kind ListKind
	// Size is the number of its entries.
	Size uint64
	// Next is the next counter to be given out.
	Next   uint64
	Opened time.Time
	// Sealed is when the list was closed because a key was compromised, or
	// zero. A sealed list gives out no more slots, and which ones it gave out is
	// published, so that a forged credential with another slot shows.
	Sealed time.Time
	// Closed is when the list was closed after a restore, or zero. A closed list
	// gives out no more slots, since it may have given out some that were lost.
	Closed time.Time
}

// A Range is a run of N counters of a list, from First.
type Range struct {
	List     string
	Size     uint64
	First, N uint64
}

// A SlotState is the published value of a slot: 1 revoked, 2 suspended.
type SlotState struct {
	Index uint64
	Value byte
}

// A ProgrammeRow is one version of a programme in use.
type ProgrammeRow struct {
	ID      string
	Version int
	// Text is the file as it was given, Digest its SHA-256.
	Text   []byte
	Digest [32]byte
	Added  time.Time
}

// A BatchState says whether a batch has more to do.
type BatchState string

// The states of a batch. Finished is final.
const (
	BatchRunning  BatchState = "running"
	BatchFinished BatchState = "finished"
)

// A Batch is the durable progress of a batch. Its numbers never go down.
type Batch struct {
	ID        string
	Programme string
	Version   int
	// Source is the fingerprint of the source that it reads.
	Source string
	// Shared is what all processes that share the batch have in common, or empty
	// if one process works on it alone.
	Shared           string
	State            BatchState
	Started, Changed time.Time
	// Chunks counts the chunks that are signed and marked, Rows the records of
	// the source that they took, good and bad.
	Chunks, Rows int64
	// Issued, Failed and Skipped divide Rows by outcome.
	Issued, Failed, Skipped int64
	// Manifest is the length of the manifest after those chunks, in bytes; of a batch that
	// was given up ([Batch.GiveUp]) the greatest number that there is.
	Manifest int64
}

const (
	// manifestUnknown is the Manifest of a batch that was given up: how far its folders are
	// nobody knows.
	manifestUnknown = math.MaxInt64
	// manifestSince is that of a batch which finished after the backup that was restored.
	manifestSince = math.MaxInt64 - 1
)

// GiveUp closes a batch that is under way, after a restore or when a standby took over: what
// stands in its folders may be more than the store knows. Issued is how many of its
// credentials the store has, which stay what they are. A new batch over the same source
// skips their records.
func (b *Batch) GiveUp(issued int64, at time.Time) {
	b.State, b.Manifest, b.Changed = BatchFinished, manifestUnknown, later(at, b.Changed)
	b.Issued = max(b.Issued, issued)
	b.Rows = max(b.Rows, b.Issued+b.Failed+b.Skipped)
}

// GivenUp reports whether the batch was closed by [Batch.GiveUp].
func (b *Batch) GivenUp() bool { return b.State == BatchFinished && b.Manifest == manifestUnknown }

// finishAgain finishes a batch as its entry in the log says, when a journal is replayed.
func (b *Batch) finishAgain(e *audit.Event) {
	b.State, b.Manifest, b.Changed = BatchFinished, manifestSince, later(e.Time, b.Changed)
	b.recount(e)
}

// finishedSince reports whether the batch was finished by [Batch.finishAgain]: what the store
// knows of its chunks may be older than its folders.
func (b *Batch) finishedSince() bool { return b.State == BatchFinished && b.Manifest == manifestSince }

// Event is the entry of the log about a batch, as it now is.
func (b *Batch) Event(kind audit.Kind, actor string, at time.Time) audit.Event {
	return audit.Event{
		Time: at, Kind: kind, Actor: actor, Programme: b.Programme, Batch: b.ID, Count: int(b.Issued),
		Detail: fmt.Sprintf("programme version %d, %d records done, %d failed, %d skipped", b.Version, b.Rows, b.Failed, b.Skipped),
	}
}

// recount takes the counts of an entry over, as far as they are higher.
func (b *Batch) recount(e *audit.Event) {
	_, counts, _ := strings.Cut(e.Detail, ", ")
	var rows, failed, skipped int64
	if _, err := fmt.Sscanf(counts, "%d records done, %d failed, %d skipped", &rows, &failed, &skipped); err == nil {
		b.Rows, b.Failed, b.Skipped = max(b.Rows, rows), max(b.Failed, failed), max(b.Skipped, skipped)
	}
	b.Issued = max(b.Issued, int64(e.Count))
	b.Rows = max(b.Rows, b.Issued+b.Failed+b.Skipped)
}

// A Publication is the newest signed artefact of its name: the trust bundle or
// one status list token. It contains no personal data.
type Publication struct {
	// Name is "trust" or the URI of a status list.
	Name string
	// Number counts the publications of this name from 1.
	Number uint64
	// IssuedAt never goes back.
	IssuedAt time.Time
	// Digest is the SHA-256 of Content.
	Digest  [32]byte
	Content []byte
}

// A Query selects credentials. A zero field selects nothing away.
type Query struct {
	Programme string
	Record    Pseudonym
	Batch     string
	State     State
	// PartOf selects the parts of this credential.
	PartOf string
	// List selects the credentials with a slot in this list.
	List string
	// Number selects by [DocumentNumber]. No index has it: the ids of all credentials
	// are read, though not the credentials.
	Number string
	// FirstRow and LastRow select by the row in its batch; 0 is no bound.
	FirstRow, LastRow int64
	// Abandoned selects those whose writer, the process that intended them, is
	// gone. With the state Intended that is what a crash left behind.
	Abandoned bool
	// After selects ids greater than this one.
	After string
	// Limit is the greatest number of credentials, 0 for all.
	Limit int
}

// A Store keeps what the issuer must not forget. Its methods may be called at
// once from several goroutines.
//
// A store starts only on a state that it knows and never creates one by itself.
// Errors without a sentinel of this package mean that no decision was reached;
// of a failed Write they leave open whether it was stored.
type Store interface {
	// Write runs f in one transaction. When it returns nil everything that f
	// did is stored and survives a loss of power; if f returns an error nothing
	// of it is, and Write returns that error as it is. Two calls never overlap in
	// effect: each sees the other's whole work or nothing. f must not keep tx
	// and must not call the store's other methods.
	Write(ctx context.Context, f func(tx Tx) error) error

	// Credential returns the credential with this id, or ErrNoCredential.
	Credential(ctx context.Context, id string) (Credential, error)

	// Find yields the credentials that match, in the order of their ids. An
	// error ends the sequence. Memory does not grow with their number.
	Find(ctx context.Context, q Query) iter.Seq2[Credential, error]

	// Programmes returns every version of every programme, by id and version.
	Programmes(ctx context.Context) ([]ProgrammeRow, error)

	// Batch returns the batch with this id, or ErrNoBatch.
	Batch(ctx context.Context, id string) (Batch, error)

	// Chunks yields the chunks of a shared batch in order, without Start. An
	// error ends the sequence. Memory does not grow with their number.
	Chunks(ctx context.Context, batch string) iter.Seq2[Chunk, error]

	// Publication returns the newest publication of this name; one with Number
	// 0 if there is none.
	Publication(ctx context.Context, name string) (Publication, error)

	// Lists returns every status list, in the order in which they were opened.
	Lists(ctx context.Context) ([]List, error)
}

// Bulk returns a context for a call of [Store.Write] that stores much, such as the
// intents of a chunk.
func Bulk(ctx context.Context) context.Context { return context.WithValue(ctx, bulk{}, true) }

// IsBulk reports whether a context comes from [Bulk]. A store whose calls share a
// commit may have to keep what was there before each of them but the first: it lets
// this one be the first. It changes nothing else.
func IsBulk(ctx context.Context) bool { return ctx.Value(bulk{}) != nil }

type bulk struct{}

// A Tx is what can be done in one transaction of a [Store]. Its methods are
// called from one goroutine at a time, and a sequence must have ended before the
// next method is called.
type Tx interface {
	CredentialTx
	SlotTx
	PublicationTx
	ChunkTx

	// SaveProgramme stores a new version of a programme. The version must be
	// greater than every stored one of that id; ErrMoved otherwise.
	SaveProgramme(p ProgrammeRow) error

	// SaveBatch stores a new batch (with Chunks 0) or moves a stored one on.
	// Chunks must be the stored number or one more, no number may go down, and ID,
	// Programme, Version, Source, Shared and Started must be as stored; a finished
	// batch does not change. ErrMoved otherwise.
	SaveBatch(b Batch) error

	// Append adds events to the audit log, in this order, as part of this
	// transaction. Without its events nothing of the transaction is stored.
	Append(events []audit.Event) error
}

// A CredentialTx writes credentials.
type CredentialTx interface {
	// Tick returns now, or the latest time that any transaction which was stored
	// got from Tick if that is later, and remembers it. So dates of issue never go
	// back, whatever the clock does.
	Tick(now time.Time) (time.Time, error)

	// Held returns which of these records hold a credential of the programme
	// that is not revoked and not Many, whether intended, active or suspended.
	// Records that hold none are absent.
	Held(programme string, records []Pseudonym) (map[Pseudonym]Holding, error)

	// Redeemed returns the credential that was stored under this idempotency
	// key, in whatever state it is by now, or ErrNoCredential, after which the
	// transaction goes on.
	Redeemed(key [32]byte) (Credential, error)

	// Parts returns the parts of a credential that are not revoked, in the order of
	// their ids.
	Parts(id string) ([]Part, error)

	// Intend stores new credentials in state Intended. A part must be one of an
	// active credential of the same programme and record. It returns ErrActiveExists,
	// ErrIdempotencyUsed, ErrSlotTaken or (for a part) ErrState if one of them
	// breaks that rule, and then stores none.
	Intend(creds []Credential) error

	// Complete makes intended credentials active and stores the hashes of what
	// was signed. It returns ErrNoCredential, ErrFinal or ErrState if one of them
	// is not intended, or is a part of one that is not active, and then completes none.
	Complete(marks []Mark, at time.Time) error

	// Change moves a credential to another state for this reason and returns
	// it as it then is. It returns ErrNoCredential, ErrFinal if it is revoked,
	// and ErrState for a change that [State] does not allow. Intended
	// credentials become active through Complete only, and only they can be
	// revoked as a Leftover. It returns ErrState, too, if a part would be left in
	// force, or would come into force, without its credential: parts are ended
	// before their credential and resumed after it.
	Change(id string, to State, r Reason, at time.Time) (Credential, error)
}

// A SlotTx hands out status slots.
type SlotTx interface {
	// OpenList adds an empty list. It returns ErrListOpen if one of this kind
	// still has room and is neither sealed nor closed, or if the URI is in use.
	OpenList(l List) error

	// TakeSlots takes up to n counters from the open list of this kind: as many
	// as it has left, none (N 0) if there is no open list. A counter is given out
	// once and never again, unless the transaction is not stored.
	TakeSlots(kind ListKind, n uint64) (Range, error)

	// SealLists seals every list that is not sealed yet.
	SealLists(at time.Time) error
}

// A PublicationTx reads what a publication is made of and writes it down, in
// one transaction, so that no change that was acknowledged before is missing.
type PublicationTx interface {
	// Lists is [Store.Lists] as of this transaction.
	Lists() ([]List, error)

	// SlotStates yields the slots of a list whose credential is revoked or
	// suspended, by ascending index. An error ends the sequence.
	SlotStates(uri string) iter.Seq2[SlotState, error]

	// IssuedSlots yields every slot of a list that belongs to a credential, in
	// whatever state, by ascending index. An error ends the sequence.
	IssuedSlots(uri string) iter.Seq2[uint64, error]

	// Publication is [Store.Publication] as of this transaction.
	Publication(name string) (Publication, error)

	// SavePublication replaces the publication of this name. Its Number must be
	// one more than the stored one and its IssuedAt not earlier; ErrMoved
	// otherwise.
	SavePublication(p Publication) error
}
