package batchwork

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sanad-id/sanad/issuance"
)

// Errors that callers tell apart.
var (
	// ErrNoJob: the store has no job with this id.
	ErrNoJob = errors.New("batchwork: no such job")
	// ErrMoved: somebody else changed the job since it was read.
	ErrMoved = errors.New("batchwork: changed by somebody else meanwhile")
	// ErrState: the job is in no state in which this can be done.
	ErrState = errors.New("batchwork: not possible in this state")
	// ErrOwn: nobody approves what he asked for.
	ErrOwn = errors.New("batchwork: who asked for it cannot approve it")
	// ErrTerms: what was approved is not what the job says now.
	ErrTerms = errors.New("batchwork: not what was approved")
)

// A State is where a job stands.
type State string

// The states of a job.
const (
	// Checking: a dry run is to be made, or is under way.
	Checking State = "checking"
	// Checked: the dry run is done, and somebody may propose to issue.
	Checked State = "checked"
	// Unusable: the source cannot be read as a whole; Why says what is wrong.
	Unusable State = "unusable"
	// Proposed: a second person is asked.
	Proposed State = "proposed"
	// Running: to be issued, or being issued.
	Running State = "running"
	// Paused: stopped by somebody, and to go on when somebody says so.
	Paused State = "paused"
	// Failed: stopped by what will not pass by itself; Why says what.
	Failed State = "failed"
	// Cancelled: given up. What was issued stays issued.
	Cancelled State = "cancelled"
	// Finished: every record is dealt with.
	Finished State = "finished"
)

// States is every state.
func States() []State {
	return []State{Checking, Checked, Unusable, Proposed, Running, Paused, Failed, Cancelled, Finished}
}

// Over reports whether nothing comes after the state.
func (s State) Over() bool { return s == Cancelled || s == Finished || s == Unusable }

// A Deed moves a job from one state to another.
type Deed string

// The deeds. Those of the runner are Find, Reject, Fail and Finish.
const (
	Find    Deed = "find"    // the dry run is done
	Reject  Deed = "reject"  // the source cannot be used
	Recheck Deed = "recheck" // make the dry run again
	Propose Deed = "propose" // ask a second person
	Decline Deed = "decline" // the second person says no, or the first takes it back
	Approve Deed = "approve" // the second person says yes
	Alone   Deed = "alone"   // one person decides, where that is enough
	Pause   Deed = "pause"
	Resume  Deed = "resume"
	Cancel  Deed = "cancel"
	Fail    Deed = "fail"
	Finish  Deed = "finish"
)

// Deeds is every deed.
func Deeds() []Deed {
	return []Deed{Find, Reject, Recheck, Propose, Decline, Approve, Alone, Pause, Resume, Cancel, Fail, Finish}
}

// next is the table of what may follow what. What is not in it cannot be done.
var next = map[State]map[Deed]State{
	Checking: {Find: Checked, Reject: Unusable, Cancel: Cancelled},
	Checked:  {Recheck: Checking, Propose: Proposed, Alone: Running, Cancel: Cancelled},
	Proposed: {Decline: Checked, Approve: Running, Recheck: Checking, Cancel: Cancelled},
	Running:  {Pause: Paused, Cancel: Cancelled, Fail: Failed, Finish: Finished},
	Paused:   {Resume: Running, Cancel: Cancelled, Finish: Finished},
	Failed:   {Resume: Running, Cancel: Cancelled},
}

// A Why says why a job failed, cannot be used, or waits although it runs. The set is
// closed: each has a sentence in every catalogue.
type Why string

// The reasons.
const (
	NoReason       Why = ""
	Unreadable     Why = "unreadable"       // not a table that we can read
	NoIDColumn     Why = "no_id_column"     // lacks the column that names a record
	WrongSource    Why = "wrong_source"     // a source of the settings is not what they say
	NoColumns      Why = "no_columns"       // lacks every other column of the programme
	TooManyRecords Why = "too_many_records" // more than may be in one batch
	TooManyColumns Why = "too_many_columns" // more than may be in one file
	NothingToDo    Why = "nothing_to_do"    // no record
	NoProgramme    Why = "no_programme"     // the programme is gone
	Moved          Why = "moved"            // the programme was changed since the dry run
	SourceChanged  Why = "source_changed"   // the source says something else by now
	FilesGone      Why = "files_gone"       // the folder is not as the batch left it
	GivenUp        Why = "given_up"         // a restore or a fail-over has closed it
	NoKey          Why = "no_key"           // no key may sign now
	NoWitness      Why = "no_witness"       // the audit log has been without a witness for too long
	Contradicted   Why = "contradicted"     // a witness has seen another audit log
	ClockAhead     Why = "clock_ahead"      // the clock lies far ahead of all that was done
	ClockBack      Why = "clock_back"       // the clock stands behind what was issued
	Unprintable    Why = "unprintable"      // no certificate of it can be printed so
	Away           Why = "away"             // a database or a disk is out of reach
)

// Whys is every reason but the empty one.
func Whys() []Why {
	return []Why{
		Unreadable, NoIDColumn, WrongSource, NoColumns, TooManyRecords, TooManyColumns, NothingToDo, NoProgramme, Moved, SourceChanged, FilesGone, GivenUp, NoKey,
		NoWitness, Contradicted, ClockAhead, ClockBack, Unprintable, Away,
	}
}

// Counts are the records of a job by what becomes of them.
type Counts struct {
	Records int64 `json:"records"`
	// Good of them are issued for, or can be; Faulty cannot; Skipped need not.
	Good    int64 `json:"good"`
	Faulty  int64 `json:"faulty"`
	Skipped int64 `json:"skipped"`
	// Noted of the good ones have values that are left out or simplified.
	Noted int64 `json:"noted"`
}

// A Job is a batch of the console.
type Job struct {
	// ID is random; Office and Programme say whose and what.
	ID        string `json:"id"`
	Kind      Kind   `json:"kind,omitempty"`
	Office    string `json:"office"`
	Programme string `json:"programme"`
	// Source names a source of the settings; empty if a file was uploaded. Name is how
	// the person who uploaded it calls the file.
	Source string `json:"source"`
	Name   string `json:"name"`
	// Digest is the SHA-256 of the uploaded file in hexadecimal, Size its bytes.
	Digest string `json:"digest"`
	Size   int64  `json:"size"`
	// Kinds are the kinds of files to make. Supersede replaces what records hold.
	Kinds     []issuance.FileKind `json:"kinds"`
	Supersede bool                `json:"supersede"`

	// Revoke says what a job of kind [Revoking] revokes, and Due when it begins.
	Revoke *Revocation `json:"revoke,omitempty"`
	Due    time.Time   `json:"due,omitzero"`

	// Alone says that one process works on it: its source cannot be cut into parts.
	Alone bool `json:"alone"`

	State State `json:"state"`
	Why   Why   `json:"why"`

	// Version and Fingerprint are those of the programme and of the source in the dry
	// run, Dry what it found. Checking says how far it is.
	Version     int    `json:"version"`
	Fingerprint string `json:"fingerprint"`
	Dry         Counts `json:"dry"`

	// Requester asked for it and Approver, another one, approved. Proposal is the
	// approval's id; Approved the digest of the terms that it is about.
	Requester string `json:"requester"`
	Approver  string `json:"approver"`
	Proposal  string `json:"proposal"`
	Approved  string `json:"approved"`

	// Batch is the id of the batch in the issuer's store, empty before it is begun.
	// Done says how far it is, Rate how many records a second that was lately.
	Batch string  `json:"batch"`
	Done  Counts  `json:"done"`
	Rate  float64 `json:"rate"`

	// Print is the file of all its certificates, ready to be printed.
	Print Print `json:"print,omitzero"`

	// Made to Ended are when things happened, zero if they did not. Changed is of the
	// last change; Erased of when its files went.
	Made       time.Time `json:"made"`
	CheckedAt  time.Time `json:"checked_at,omitzero"`
	ProposedAt time.Time `json:"proposed_at,omitzero"`
	ApprovedAt time.Time `json:"approved_at,omitzero"`
	Began      time.Time `json:"began,omitzero"`
	Ended      time.Time `json:"ended,omitzero"`
	Erased     time.Time `json:"erased,omitzero"`
	Changed    time.Time `json:"changed"`

	// Revision counts the changes. The store raises it.
	Revision int64 `json:"revision"`
}

// Order is what somebody asks for: the terms of a new job.
type Order struct {
	Office, Programme, Requester string
	// Source names a source of the settings; Name is that of an uploaded file. One of
	// the two must be set.
	Source, Name string
	Kinds        []issuance.FileKind
	Supersede    bool
	// Alone is that of [Job]: an office's share of a source of the settings.
	Alone bool
}

// New makes a job that is to be checked.
func New(o Order, now time.Time) (Job, error) {
	switch {
	case o.Office == "" || o.Programme == "" || o.Requester == "":
		return Job{}, errors.New("batchwork: Order lacks office, programme or requester")
	case (o.Source == "") == (o.Name == ""):
		return Job{}, errors.New("batchwork: Order needs a source or the name of a file")
	case len(o.Kinds) == 0:
		return Job{}, errors.New("batchwork: Order.Kinds is not set")
	}
	return Job{
		ID: newID(), Office: o.Office, Programme: o.Programme, Requester: o.Requester, Source: o.Source, Name: cleanName(o.Name),
		Kinds: o.Kinds, Supersede: o.Supersede, Alone: o.Alone, State: Checking, Made: now, Changed: now,
	}, nil
}

func newID() string { return rand.Text() }

// ValidID reports whether id could be that of a job.
func ValidID(id string) bool {
	return len(id) == 26 && strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}

// cleanName is the last part of a path that a browser gave us, fit to be shown.
func cleanName(name string) string {
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	name = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, name)
	const most = 80
	if r := []rune(name); len(r) > most {
		name = string(r[:most])
	}
	return name
}

// Can reports whether a deed can be done now.
func (j Job) Can(d Deed) bool { return next[j.State][d] != "" }

// Do returns the job after a deed of this operator; the runner is "". It returns
// [ErrState], or [ErrOwn] if an operator approves what he asked for himself.
func (j Job) Do(d Deed, operator string, now time.Time) (Job, error) {
	to, ok := next[j.State][d]
	if !ok {
		return j, fmt.Errorf("%w: %s when it is %s", ErrState, d, j.State)
	}
	switch d {
	case Propose:
		if j.Dry.Good == 0 {
			return j, fmt.Errorf("%w: there is nothing to issue", ErrState)
		}
		j.Requester, j.ProposedAt = operator, now
	case Alone:
		if j.Kind != Issuing || operator == "" {
			return j, fmt.Errorf("%w: one person does not decide this", ErrState)
		}
		if j.Dry.Good == 0 {
			return j, fmt.Errorf("%w: there is nothing to issue", ErrState)
		}
		j.Requester, j.ApprovedAt, j.Approved = operator, now, j.Terms().Hash()
	case Approve:
		if operator == "" || operator == j.Requester {
			return j, ErrOwn
		}
		j.Approver, j.ApprovedAt, j.Approved = operator, now, j.Terms().Hash()
		if j.Kind == Revoking {
			j.Due = now.Add(Undo)
		}
	case Decline, Recheck:
		j.Proposal, j.ProposedAt = "", time.Time{}
	}
	switch {
	case d == Recheck:
		j.Dry, j.CheckedAt, j.Version, j.Fingerprint = Counts{}, time.Time{}, 0, ""
	case to == Checked && d == Find:
		j.CheckedAt = now
	}
	if d != Reject && d != Fail {
		j.Why = NoReason
	}
	if to.Over() {
		j.Ended = now
	}
	j.State, j.Changed = to, now
	return j, nil
}

// Terms are what a second person approves: everything that decides what will be issued.
type Terms struct {
	Job         string              `json:"job"`
	Office      string              `json:"office"`
	Programme   string              `json:"programme"`
	Version     int                 `json:"version"`
	Source      string              `json:"source"`
	Digest      string              `json:"digest"`
	Fingerprint string              `json:"fingerprint"`
	Kinds       []issuance.FileKind `json:"kinds"`
	Supersede   bool                `json:"supersede"`
	Dry         Counts              `json:"dry"`
	Kind        Kind                `json:"kind,omitempty"`
	Revoke      *Revocation         `json:"revoke,omitempty"`
}

// Terms are those of the job as it stands.
func (j Job) Terms() Terms {
	return Terms{j.ID, j.Office, j.Programme, j.Version, j.Source, j.Digest, j.Fingerprint, j.Kinds, j.Supersede, j.Dry, j.Kind, j.Revoke}
}

// Bytes is the text that an approval is bound to.
func (t Terms) Bytes() []byte {
	b, err := json.Marshal(t)
	if err != nil {
		panic("batchwork: internal error: " + err.Error())
	}
	return append([]byte("sanad batch terms 1\n"), b...)
}

// Hash is the SHA-256 of [Terms.Bytes] in hexadecimal.
func (t Terms) Hash() string {
	sum := sha256.Sum256(t.Bytes())
	return hex.EncodeToString(sum[:])
}

// stage says what is at hand: the state, or the print of a job that is over.
func (j Job) stage() string {
	if j.Print.Pending() {
		return string(Printing)
	}
	return string(j.State)
}

// sound reports whether a running job is what was approved.
func (j Job) sound() bool { return j.Approved != "" && j.Approved == j.Terms().Hash() }

// Share is how much of the present work is done, from 0 to 1; negative if unknown.
func (j Job) Share() float64 {
	switch {
	case j.State == Finished:
		return 1
	case j.Kind == Revoking && j.Dry.Good > 0 && j.State != Checking:
		return min(1, float64(j.Done.Records)/float64(j.Dry.Good))
	case j.Dry.Records > 0 && (j.Batch != "" || j.State == Running):
		return min(1, float64(j.Done.Records)/float64(j.Dry.Records))
	}
	return -1
}

// Remaining is how long the rest will take, 0 if unknown.
func (j Job) Remaining() time.Duration {
	left := j.Dry.Records - j.Done.Records
	if j.Kind == Revoking {
		left = j.Dry.Good - j.Done.Records
	}
	if j.Rate > 0 && left > 0 {
		return time.Duration(float64(left) / j.Rate * float64(time.Second)).Round(time.Second)
	}
	return 0
}
