// Package fsck proves that what an issuer keeps is of one mind: credentials, status
// lists, batches, programmes, publications, the audit log with its hashes and
// checkpoints, the keystore and the journal. Where they disagree it says who and what.
//
// Start with [Check]. It reads one moment of the database ([Source]), each table once
// or twice, in memory that does not grow with the number of credentials: of every
// credential both sides, store and log, add the hash of what they say to one of many
// sums, and only where sums differ are names looked for in a second pass. It needs a few bits
// for each status slot, and a place for each credential that is suspended.
//
// [Code.Remedy] says what to do about a finding; docs/operating.md has the same in a table.
//
// Left to others: whether the past itself was rewritten together with everything here, which only a
// checkpoint that somebody else keeps can tell (package audit).
package fsck

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/sanad-id/sanad/internal/copytext"
	"github.com/sanad-id/sanad/keys"
)

// A Code says what is wrong. The set is closed; docs/operating.md says what to do
// about each.
type Code string

// The codes.
const (
	// Pages: the database itself says that its file is damaged.
	Pages Code = "pages"
	// Index: an index of the database does not have what its table has.
	Index Code = "index"
	// Derived: what PostgreSQL keeps of the states of credentials, in place of an index, is
	// not what they are.
	Derived Code = "derived"
	// NotInLog: the log has no entry for the intent of a credential.
	NotInLog Code = "not_in_log"
	// NotInStore: the log speaks of a credential that the store does not have.
	NotInStore Code = "not_in_store"
	// Facts: record, programme and its version, date of issue, batch and row, key, slots, end,
	// idempotency key, what was to be signed, or what it is a part of or replaces are not
	// what the log says.
	Facts Code = "facts"
	// Signed: what was signed, or whether, is not what the log says.
	Signed Code = "signed"
	// State: a credential is in another state, or for another reason, than in the log.
	State Code = "state"
	// SlotRange: a slot beyond its list, or of no list.
	SlotRange Code = "slot_range"
	// SlotTwice: two credentials have one slot.
	SlotTwice Code = "slot_twice"
	// SlotCounter: a slot was never given out by the counter of its list.
	SlotCounter Code = "slot_counter"
	// SlotValue: a slot does not say what the state of its credential says.
	SlotValue Code = "slot_value"
	// KeyMissing: the keystore lacks a key that credentials in force were signed with.
	KeyMissing Code = "key_missing"
	// Programme: the text of a programme is not what was stored, or not in the log.
	Programme Code = "programme"
	// Batch: the counts of a batch are not those of its credentials, or how it stands is not
	// what the log says.
	Batch Code = "batch"
	// Publication: something published is not what was signed, or not by our keys.
	Publication Code = "publication"
	// PublicationLog: number or digest of a publication are not those in the log.
	PublicationLog Code = "publication_log"
	// Unrevoked: a publication lacks a revocation from before it.
	Unrevoked Code = "unrevoked"
	// Overrevoked: a publication shows as revoked what the store does not.
	Overrevoked Code = "overrevoked"
	// FolderMissing: a file of the published folder is missing, or its index does not
	// name it.
	FolderMissing Code = "folder_missing"
	// FolderDamaged: the index of the published folder cannot be read, or a file is not
	// what it says.
	FolderDamaged Code = "folder_damaged"
	// FolderUnknown: the published folder has what this issuer never published.
	FolderUnknown Code = "folder_unknown"
	// FolderLate: the published folder has something older than what was published last,
	// for longer than a revocation may take.
	FolderLate Code = "folder_late"
	// AuditEntry: the audit log has a gap or something that is no entry.
	AuditEntry Code = "audit_entry"
	// AuditHash: a stored hash of the log's tree is not that of its entries.
	AuditHash Code = "audit_hash"
	// Checkpoint: a checkpoint is not of this log, or not signed by its keys.
	Checkpoint Code = "checkpoint"
	// JournalDiffers: the journal holds another entry than the log.
	JournalDiffers Code = "journal_differs"
	// JournalBehind: the journal lacks entries; the next change catches it up.
	JournalBehind Code = "journal_behind"
	// JournalAhead: the journal holds what the database confirmed and has lost.
	JournalAhead Code = "journal_ahead"
	// Desk: what the console keeps is damaged, or cannot be read.
	Desk Code = "desk"
	// DeskCredential: work of the console names a credential that the store has not.
	DeskCredential Code = "desk_credential"
	// Chain: a certificate cannot be read, or is of no key that is here.
	Chain Code = "chain"
)

// Codes returns every code.
func Codes() []Code {
	return []Code{
		Pages, Index, Derived, NotInLog, NotInStore, Facts, Signed, State, SlotRange, SlotTwice, SlotCounter, SlotValue, KeyMissing, Programme,
		Batch, Publication, PublicationLog, Unrevoked, Overrevoked, FolderMissing, FolderDamaged, FolderUnknown, FolderLate, AuditEntry,
		AuditHash, Checkpoint, JournalDiffers, JournalBehind, JournalAhead, Desk, DeskCredential, Chain,
	}
}

// Remedy says what to do about findings of this code.
func (c Code) Remedy() string {
	switch c {
	case Pages:
		return "stop work, keep a copy of the damaged files, then `issuer restore` of the newest backup on another disk, and `issuer restore confirm` with the journal"
	case Index:
		return "stop work, `REINDEX INDEX NAME` as the owner of the tables, then `issuer fsck` again; if it comes back, another disk"
	case Derived:
		return "somebody changed the database: with `state` or `signed` as for those; alone: `issuer backup`, and `issuer restore` into another database, which derives it anew"
	case NotInLog, Facts, Signed:
		return "somebody changed the database: restore, and find out who"
	case NotInStore:
		return "restore with the journal"
	case State:
		return "if the log says revoked: restore with the journal; never set it by hand"
	case SlotRange, SlotTwice, SlotCounter, SlotValue:
		return "restore with the journal"
	case KeyMissing:
		return "find the newer keystore file; without it the next bundle makes them unverifiable"
	case Programme:
		return "restore; a programme is changed by a higher version only"
	case Batch:
		return "its `manifest.csv` says what was released; restore if the numbers matter"
	case Publication, PublicationLog:
		return "publish again; ask who could write to the database"
	case Unrevoked:
		return "publish again now; then find out why"
	case Overrevoked:
		return "with `state`: a revocation was undone, restore. Alone: publish again"
	case FolderMissing, FolderDamaged:
		return "`issuer status publish --out FOLDER` writes it anew; then find out who else writes there, and look at the disk"
	case FolderUnknown:
		return "keep a copy; if a backup was restored or a standby took over, `issuer restore confirm` first; else take it away and ask who put it there"
	case FolderLate:
		return "`issuer status publish --out FOLDER` now; then see why whatever publishes there does not"
	case AuditEntry, AuditHash, Checkpoint:
		return "restore; compare with exported logs and witnesses"
	case JournalDiffers:
		return "one of them was changed: compare both with a checkpoint that somebody else keeps"
	case JournalBehind:
		return "the next change catches it up; if it stays, look at its disk"
	case JournalAhead:
		return "`issuer restore confirm` with the journal; of several machines the one whose journal has the most entries"
	case Desk:
		return "restore it from a backup, or begin anew: nothing that was issued depends on it"
	case DeskCredential:
		return "one of the two databases is older than the other: restore both from one backup"
	case Chain:
		return "copy the folder from a backup, or `issuer keys certify` again"
	}
	panic("fsck: internal error: a code without a remedy")
}

// A Source is the database as it stood at one moment. One table is read at a time.
type Source interface {
	// Columns returns the columns of a table in their order. Beside the tables there
	// is "credentials", credential with the columns of credential_form, a row for
	// each form.
	Columns(table string) []string
	// Rows yields the rows of a table in the order of its key, those of credentials
	// by credential_no and form_no. A row is good until the next; an error ends the
	// sequence.
	Rows(ctx context.Context, table string) iter.Seq2[[]copytext.Value, error]
}

// A Journal is the second copy of the audit log.
type Journal interface {
	// Size is how many entries the database has confirmed to it.
	Size() int64
	// Entries yields the entries from number first on.
	Entries(ctx context.Context, first int64) iter.Seq2[[]byte, error]
}

// Config is what Check needs. Fields without "optional" must be set.
type Config struct {
	Source Source
	// Keys are all keys of the keystore, Secret its secrets by label.
	Keys   []keys.Key
	Secret func(label string) ([]byte, error)
	// LogKeys are the keys of the audit log, a line each, under every name that it
	// had (see [audit.VerifierKey]).
	LogKeys string
	// Journal is optional.
	Journal Journal
	// Folder is the published folder. Optional.
	Folder *Folder
	// Pages reads the database through and returns what it says is damaged, a text for
	// each place. Optional.
	Pages func(ctx context.Context) ([]string, error)
	// Indexes compares the indexes of the database with its tables and returns what is
	// wrong, "NAME: WHAT" for each. Optional.
	Indexes func(ctx context.Context) ([]string, error)
	// Derived compares what the database derives from the states of credentials with them
	// and returns what is wrong, a text for each. Optional.
	Derived func(ctx context.Context) ([]string, error)
	// Warnings are what keeps the database from noticing damage. Optional.
	Warnings []string
	// Most is how many findings of one code are named; optional, 20 if 0.
	Most int
	// Progress is told now and then what is read and how many rows of it were;
	// optional.
	Progress func(what string, rows int64)
}

// A Finding is one thing that is wrong.
type Finding struct {
	Code Code `json:"code"`
	// Subject is the credential, list, publication or entry that is concerned.
	Subject string `json:"subject,omitempty"`
	Detail  string `json:"detail"`
	// Remedy is what to do about it.
	Remedy string `json:"remedy"`
}

// Add adds a finding.
func (r *Report) Add(c Code, subject, detail string) {
	r.Findings = append(r.Findings, Finding{c, subject, detail, c.Remedy()})
}

// A Report says what was read and what was found.
type Report struct {
	Credentials int64  `json:"credentials"`
	Lists       int    `json:"lists"`
	Entries     int64  `json:"audit_entries"`
	Root        string `json:"audit_root"`
	Checkpoints int    `json:"checkpoints"`
	Published   int    `json:"publications"`
	Journal     int64  `json:"journal_entries"`
	Files       int    `json:"published_files"`
	// Warnings say what this check may not have seen, or what else to look at.
	Warnings []string `json:"warnings,omitempty"`
	// Findings are empty if all is of one mind. More counts those that were not
	// named any more, by code.
	Findings []Finding      `json:"findings"`
	More     map[Code]int64 `json:"more,omitempty"`
}

// Clean says that nothing was found.
func (r *Report) Clean() bool { return len(r.Findings) == 0 }

// Check reads everything and reports what does not agree. An error means that it
// could not be checked.
func Check(ctx context.Context, c Config) (Report, error) {
	switch {
	case c.Source == nil:
		return Report{}, errors.New("fsck: Config.Source is not set")
	case c.Secret == nil:
		return Report{}, errors.New("fsck: Config.Secret is not set")
	case c.LogKeys == "":
		return Report{}, errors.New("fsck: Config.LogKeys is not set")
	}
	if c.Most == 0 {
		c.Most = 20
	}
	if c.Progress == nil {
		c.Progress = func(string, int64) {}
	}
	k := &checker{
		Config: c, ctx: ctx, found: map[Code]int{}, programmes: map[int64]string{}, lists: map[int64]*list{}, byURI: map[string]*list{},
		batches: map[int64]*batch{}, byBatch: map[string]*batch{}, used: map[keys.ID]int64{}, named: map[string]*publication{}, digests: map[string]bool{},
		suspended: map[string]string{}, roots: map[int64]root{}, logged: map[string]logged{},
	}
	k.report.Findings, k.report.Warnings = []Finding{}, c.Warnings
	if _, err := rand.Read(k.salt[:]); err != nil {
		return k.report, fmt.Errorf("fsck: %w", err)
	}
	for _, step := range []func() error{
		k.pages, k.indexes, k.derived, k.readProgrammes, k.readLists, k.readBatches, k.readPublications, k.readCheckpoints, k.readCredentials, k.readLog,
		k.readHashes, k.checkSlots, k.checkPublished, k.checkFolder, k.checkRest, k.second,
	} {
		err := step()
		if err != nil && ctx.Err() == nil && k.found[Pages]+k.found[Index] > 0 {
			// What is damaged cannot be compared with anything, which is found already.
			code := Index
			if k.found[Pages] > 0 {
				code = Pages
			}
			k.find(code, "", "nothing more could be compared: %v", err)
			break
		}
		if err != nil {
			return k.report, fmt.Errorf("fsck: %w", err)
		}
	}
	return k.report, nil
}

// find notes a finding.
func (k *checker) find(c Code, subject, format string, args ...any) {
	k.found[c]++
	if k.found[c] > k.Most {
		if k.report.More == nil {
			k.report.More = map[Code]int64{}
		}
		k.report.More[c]++
		return
	}
	k.report.Add(c, subject, fmt.Sprintf(format, args...))
}

// rows reads a table; f gets a row whose values are asked for by column.
func (k *checker) rows(table string, f func(r row) error) error {
	columns := map[string]int{}
	for i, c := range k.Source.Columns(table) {
		columns[c] = i
	}
	n := int64(0)
	for values, err := range k.Source.Rows(k.ctx, table) {
		if err != nil {
			return fmt.Errorf("read %s: %w", table, err)
		}
		r := row{columns: columns, values: values, err: new(error)}
		if err := f(r); err != nil {
			return err
		}
		if *r.err != nil {
			return fmt.Errorf("read %s: row %d: %w", table, n+1, *r.err)
		}
		if n++; n%4096 == 0 {
			k.Progress(table, n)
		}
	}
	k.Progress(table, n)
	return nil
}

// A row is a row of a table. What a value is not, is an error of the row.
type row struct {
	columns map[string]int
	values  []copytext.Value
	err     *error
}

func (r row) value(column string) copytext.Value {
	i, ok := r.columns[column]
	if !ok {
		*r.err = errors.Join(*r.err, fmt.Errorf("no column %s", column))
		return copytext.Value{Null: true}
	}
	return r.values[i]
}

func (r row) null(column string) bool { return r.value(column).Null }

func (r row) int(column string) int64 {
	v := r.value(column)
	if v.Null {
		return 0
	}
	n, err := v.Int()
	if err != nil {
		*r.err = errors.Join(*r.err, fmt.Errorf("column %s: %w", column, err))
	}
	return n
}

func (r row) text(column string) string { return string(r.value(column).Text) }

func (r row) bytes(column string) []byte {
	v := r.value(column)
	if v.Null {
		return nil
	}
	b, err := v.Bytes(nil)
	if err != nil {
		*r.err = errors.Join(*r.err, fmt.Errorf("column %s: %w", column, err))
	}
	return b
}

func (r row) time(column string) time.Time {
	if ms := r.int(column); ms != 0 {
		return time.UnixMilli(ms).UTC()
	}
	return time.Time{}
}
