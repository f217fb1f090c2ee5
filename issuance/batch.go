package issuance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
)

// Errors of [Service.RunBatch] that callers tell apart.
var (
	// ErrOtherBatch: the folder belongs to a batch of other terms or of another
	// issuer.
	ErrOtherBatch = errors.New("issuance: the folder belongs to another batch")
	// ErrSourceChanged: the source is no longer what the batch began with.
	ErrSourceChanged = errors.New("issuance: the source has changed since the batch began")
	// ErrNotShared: the batch cannot be shared between processes, or is not.
	ErrNotShared = errors.New("issuance: not a batch that processes can share")
	// ErrGivenUp: the batch was closed before its end; see [Batch.GiveUp].
	ErrGivenUp = errors.New("issuance: the batch was given up before its end")
	// ErrFolder: the folder is in use, or not as the batch left it.
	ErrFolder = errors.New("issuance: the folder cannot be used")
)

// A FileKind is a kind of file that a batch writes for each form of a
// credential.
type FileKind string

// The kinds of files.
const (
	FileText FileKind = "text" // what the code says, in CREDENTIAL_ID.txt
	FilePNG  FileKind = "png"
	FileSVG  FileKind = "svg"
	// FileCSV is one file for each chunk of a batch, codes-NUMBER.csv, with the
	// columns credential_id, form and text: a national register has more codes than
	// a folder should have files.
	FileCSV FileKind = "csv"
)

// extension of a kind's files, empty if there is no such kind.
func (k FileKind) extension() string {
	return map[FileKind]string{FileText: ".txt", FilePNG: ".png", FileSVG: ".svg", FileCSV: ".csv"}[k]
}

// drawn says that the kind shows a picture of the code, not its text.
func (k FileKind) drawn() bool { return k == FilePNG || k == FileSVG }

// BatchRequest asks for credentials for every record of a source. Fields without
// "optional" must be set.
type BatchRequest struct {
	Programme string
	Source    registry.Source
	// Folder is where the files go, with manifest.csv and batch.json. It is made
	// if need be. A folder with an unfinished batch resumes that batch.
	Folder string
	// Kinds are the kinds of files to write, at least one.
	Kinds []FileKind
	// Draw makes the picture of a code. Optional if Kinds has only FileText and
	// FileCSV. It is called from several goroutines at once.
	Draw func(k FileKind, f programme.Form, text string) ([]byte, error)
	// Supersede revokes the credentials that records hold; without it such
	// records are skipped.
	Supersede bool
	// Actor is the account of the operator, for the audit log.
	Actor string
	// Shared begins a batch that several processes share, each with a folder of its
	// own, or resumes this folder's part of it. Source must be a [registry.Ranger].
	// Optional.
	Shared bool
	// Join is the id of a shared batch to take part in; optional.
	Join string
	// Begun is called with the id of the batch, each time that it is begun, resumed or
	// joined: once it is stored, so that others can join one that is shared, and before
	// this run's first chunk; optional.
	Begun func(batch string)
	// Version is the version of the programme that must be the one in use when the
	// batch is begun, Fingerprint what the source must say of itself then, as
	// [Service.DryRun] found them: [ErrMoved] or [ErrSourceChanged] otherwise, and no
	// batch. Optional; for whoever had exactly that approved.
	Version     int
	Fingerprint string

	// Chunk is how many records go into one transaction; optional, 500 for text
	// alone and 250 with pictures if 0. About eight chunks are in memory at a time.
	Chunk int
	// Total is the number of records of the source, for Progress; optional.
	Total int64
	// Progress is called after every chunk; optional.
	Progress func(Progress)
	// Notes is called, one record at a time, with the values that the programme
	// let be left out or simplified; optional.
	Notes func([]programme.Problem)
	// Sync makes all files of a folder durable. Optional: if nil every file is
	// flushed by itself, which takes longer than all the rest together.
	Sync func(folder string) error
}

// Progress is how far a batch is.
type Progress struct {
	// Done counts the records of the source that are dealt with, Total all of
	// them (0 if unknown).
	Done, Total int64
	// Issued, Failed and Skipped divide Done.
	Issued, Failed, Skipped int64
	// Rate is records a second in this run, Remaining what it means for the rest;
	// zero if unknown.
	Rate      float64
	Remaining time.Duration
}

// An Outcome is how a run of a batch ended.
type Outcome string

// The outcomes.
const (
	// Complete: every record was issued for, or skipped because it holds a
	// credential or the programme is not about it.
	Complete Outcome = "complete"
	// Partial: finished, and some records could not be issued for. The manifest
	// names them.
	Partial Outcome = "partial"
	// Stopped: there is more to do. Run the batch again on the same folder.
	Stopped Outcome = "stopped"
)

// Result is what a run of a batch achieved.
type Result struct {
	Outcome Outcome
	// Batch is the progress of the whole batch, all runs and all processes
	// together.
	Batch Batch
	// Here counts the records that this run has dealt with.
	Here int64
	// Already says that the batch was finished before and nothing was done.
	Already bool
	// Resumed says that an earlier run had begun it.
	Resumed bool
	// Leftovers are the credentials of an earlier run that were never released
	// and are now revoked. Their records are issued for again.
	Leftovers int
}

// RunBatch issues for every record of a source, in chunks: one durable
// transaction stores the intents of a chunk with their audit entries, all cores
// sign and check, the chunk's output is made durable, a second transaction marks
// the chunk as signed together with the progress of the batch, and then its
// files and its rows of the manifest are released.
//
// When ctx ends, the chunks under way are finished and the outcome is
// [Stopped]. After that, and after a crash at any point, RunBatch with the same
// folder goes on where the last mark stands: records of unmarked chunks are
// issued for again (their first credentials are revoked leftovers), chunks that
// are marked and not released are released. A finished batch does nothing.
//
// A record that cannot be issued for takes a row of the manifest with the
// reason and does not stop the others. An error of the signer, the store or the
// folder stops the batch; the next run resumes it.
func (s *Service) RunBatch(ctx context.Context, r BatchRequest) (Result, error) {
	if err := r.check(); err != nil {
		return Result{}, err
	}
	f, err := openFolder(r.Folder)
	if err != nil {
		return Result{}, err
	}
	defer f.close()
	f.sync = r.Sync
	b := &batchRun{s: s, r: r, folder: f, result: Result{Outcome: Stopped}}
	if r.Shared || r.Join != "" {
		return b.runShared(ctx)
	}
	err = b.open(ctx)
	b.result.Leftovers = int(b.leftovers.Load())
	if err != nil || b.result.Already {
		return b.result, err
	}
	b.id, b.length = b.batch.ID, b.batch.Manifest
	r.Begun(b.id)
	err = b.run(ctx)
	b.result.Batch = b.batch
	return b.result, err
}

func (r *BatchRequest) check() error {
	switch {
	case r.Programme == "":
		return errors.New("issuance: BatchRequest.Programme is not set")
	case r.Source == nil:
		return errors.New("issuance: BatchRequest.Source is not set")
	case r.Folder == "":
		return errors.New("issuance: BatchRequest.Folder is not set")
	case len(r.Kinds) == 0:
		return errors.New("issuance: BatchRequest.Kinds is not set")
	}
	seen := map[FileKind]bool{}
	textOnly := true
	for _, k := range r.Kinds {
		if k.extension() == "" || seen[k] {
			return fmt.Errorf("issuance: BatchRequest.Kinds: %q is unknown or twice there", clip(string(k)))
		}
		seen[k] = true
		textOnly = textOnly && !k.drawn()
	}
	if r.Draw == nil && !textOnly {
		return errors.New("issuance: BatchRequest.Draw is not set")
	}
	if r.Chunk <= 0 {
		r.Chunk = 250
		if textOnly {
			r.Chunk = 500
		}
	}
	if r.Begun == nil {
		r.Begun = func(string) {}
	}
	if r.Progress == nil {
		r.Progress = func(Progress) {}
	}
	return nil
}
