package batchwork

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/internal/durable"
	"github.com/sanad-id/sanad/internal/safecsv"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
)

// A Kind says what a job does.
type Kind string

// The kinds of jobs.
const (
	Issuing  Kind = ""       // issues for the records of a source
	Revoking Kind = "revoke" // revokes certificates
)

// Undo is how long a revocation waits once it is agreed to, so that it can be undone.
const Undo = 10 * time.Minute

// A Revocation says which certificates of the job's programme are revoked, and why.
type Revocation struct {
	Reason issuance.Reason `json:"reason"`
	// Batch selects those that were issued in this batch. List selects those of an
	// uploaded list of ids or document numbers. With neither it is those that were issued
	// from From on and before To, each optional.
	Batch string    `json:"batch,omitempty"`
	List  bool      `json:"list,omitempty"`
	From  time.Time `json:"from,omitzero"`
	To    time.Time `json:"to,omitzero"`
}

// Codes of lines of a list that are not revoked.
const (
	NotFound  = "not_found" // no certificate of this programme and office
	Ambiguous = "ambiguous" // a document number that several have
	NotIssued = "not_issued"
	Already   = "already_revoked"
	Twice     = "twice"     // it stands in the list before
	NoID      = "no_number" // neither an id nor a document number
)

// A Revoker is what a runner needs to revoke.
type Revoker interface {
	Programme(ctx context.Context, id string, version int) (*programme.Programme, error)
	Find(ctx context.Context, q issuance.Query) iter.Seq2[issuance.Credential, error]
	Credential(ctx context.Context, id string) (issuance.Credential, error)
	Pseudonym(programmeID, recordID string) issuance.Pseudonym
	Revoke(ctx context.Context, id string, r issuance.Reason, actor string) (issuance.Credential, error)
	Note(ctx context.Context, n issuance.Note) error
}

// NewRevocation makes a job whose list is to be made.
func NewRevocation(o Order, what Revocation, now time.Time) (Job, error) {
	switch {
	case o.Office == "" || o.Programme == "" || o.Requester == "":
		return Job{}, errors.New("batchwork: Order lacks office, programme or requester")
	case what.List != (o.Name != "") || what.List && what.Batch != "":
		return Job{}, errors.New("batchwork: a Revocation is of a batch, of a list or of a time")
	case !slices.Contains(issuance.Reasons(), what.Reason):
		return Job{}, errors.New("batchwork: Revocation.Reason is none of an operator")
	}
	return Job{
		ID: newID(), Kind: Revoking, Office: o.Office, Programme: o.Programme, Requester: o.Requester, Name: cleanName(o.Name), Revoke: &what, Alone: true,
		State: Checking, Made: now, Changed: now,
	}, nil
}

// Waits reports whether the job is agreed to and can still be undone.
func (j Job) Waits(now time.Time) bool {
	return j.Kind == Revoking && j.State == Running && now.Before(j.Due)
}

// Hurry returns the job as one that no longer waits.
func (j Job) Hurry(now time.Time) (Job, error) {
	if !j.Waits(now) {
		return j, fmt.Errorf("%w: it does not wait", ErrState)
	}
	j.Due, j.Changed = now, now
	return j, nil
}

// affectedName is the list of what a revocation revokes.
const affectedName = "affected.csv"

var affectedHeader = []string{"credential_id", "document_number", "issued", "state"}

// Affected calls do with every certificate that a revocation is about: its id, document
// number, day of issue and state when the list was made.
func (f *Folder) Affected(job string, do func(id, number, issued, state string) error) error {
	err := eachRow(f.of(job, affectedName), len(affectedHeader), func(c []string) error { return do(c[0], c[1], c[2], c[3]) })
	if errors.Is(err, os.ErrNotExist) {
		return ErrErased
	}
	return err
}

// affectedDigest is the SHA-256 of the list.
func (f *Folder) affectedDigest(job string) (string, error) {
	in, err := os.Open(f.of(job, affectedName))
	if err != nil {
		return "", err
	}
	defer in.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, in); err != nil {
		return "", err
	}
	return "sha256:" + hex.EncodeToString(hash.Sum(nil)), nil
}

// Revokes reports whether the runner can revoke.
func (r *Runner) Revokes() bool { return r.cfg.Revoker != nil }

// A listing is the list of a revocation while it is made.
type listing struct {
	r      *Runner
	job    Job
	s      Revoker
	faults []FaultLine
	counts Counts
	found  map[string]issuance.Credential
	row    map[string]int64  // of the list, by id
	typed  map[string]string // what stood there, by id
}

// list makes the list of what a revocation revokes. Nothing is revoked.
func (r *Runner) list(ctx context.Context, j Job) error {
	if !r.Revokes() {
		return errors.New("batchwork: this process cannot revoke")
	}
	var version int
	var counts Counts
	err := r.cfg.Revoker(ctx, func(s Revoker) error {
		p, err := s.Programme(ctx, j.Programme, 0)
		if err != nil {
			return err
		}
		version = p.Version
		if err := r.cfg.Folder.prepare(j.ID); err != nil {
			return err
		}
		faults, err := r.cfg.Folder.newFaultWriter(j.ID, faultsName)
		if err != nil {
			return err
		}
		l := &listing{r: r, job: j, s: s, found: map[string]issuance.Credential{}, row: map[string]int64{}, typed: map[string]string{}}
		if err = l.collect(ctx); err == nil {
			err = l.writeFaults(faults)
		}
		if err = errors.Join(err, faults.close()); err == nil {
			err = l.write()
		}
		counts = l.counts
		return err
	})
	if goesOn, err := r.looked(ctx, j.ID, counts.Records, err); !goesOn {
		return err
	}
	digest, err := r.cfg.Folder.affectedDigest(j.ID)
	if err != nil {
		return err
	}
	r.cfg.Crash(PointTried)
	return r.settle(ctx, j.ID, Find, func(j *Job) {
		j.Version, j.Fingerprint, j.Dry, j.Done, j.Rate = version, digest, counts, Counts{}, 0
	})
}

// collect finds the certificates, and leaves out those that are not the office's.
func (l *listing) collect(ctx context.Context) error {
	var err error
	if l.job.Revoke.List {
		err = l.fromList(ctx)
	} else {
		err = l.fromStore(ctx)
	}
	// What the office issued in a batch of its own is its own.
	if err == nil && l.job.Revoke.Batch == "" {
		err = l.ownOnly(ctx)
	}
	return err
}

// fault notes a line of the list that is not revoked.
func (l *listing) fault(row int64, typed, code string, skipped bool) {
	if skipped {
		l.counts.Skipped++
	} else {
		l.counts.Faulty++
	}
	l.faults = append(l.faults, FaultLine{Row: row, Record: typed, Code: code, Skipped: skipped})
}

// writeFaults writes them in the order of the list.
func (l *listing) writeFaults(w *faultWriter) error {
	slices.SortFunc(l.faults, func(a, b FaultLine) int { return cmp.Compare(a.Row, b.Row) })
	for _, f := range l.faults {
		outcome := "refused"
		if f.Skipped {
			outcome = "skipped"
		}
		if err := w.lines(f.Row, 0, f.Record, outcome, []programme.Problem{{Code: f.Code}}); err != nil {
			return err
		}
	}
	return nil
}

// fromStore takes the certificates of a batch or of a time.
func (l *listing) fromStore(ctx context.Context) error {
	what := l.job.Revoke
	for c, err := range l.s.Find(ctx, issuance.Query{Programme: l.job.Programme, Batch: what.Batch}) {
		if err != nil {
			return err
		}
		if c.PartOf != "" || c.State != issuance.Active && c.State != issuance.Suspended ||
			!what.From.IsZero() && c.IssuedAt.Before(what.From) || !what.To.IsZero() && !c.IssuedAt.Before(what.To) {
			continue
		}
		if int64(len(l.found)) == l.r.cfg.Limits.FileRecords {
			return fmt.Errorf("%w: more than %d certificates", issuance.ErrTooMany, len(l.found))
		}
		l.found[c.ID] = c
	}
	return nil
}

// fromList takes those of an uploaded list: the first cell of each line is an id or a
// document number.
func (l *listing) fromList(ctx context.Context) error {
	in, err := os.Open(l.r.cfg.Folder.Upload(l.job.ID))
	if err != nil {
		return &SourceError{Why: FilesGone, Err: err}
	}
	defer in.Close()
	numbers := map[string]int64{} // row by document number
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 64<<10)
	for first := true; lines.Scan(); first = false {
		typed := firstCell(lines.Text())
		switch {
		case typed == "", first && strings.Contains(strings.ToLower(typed), "_"): // an empty line, the names of columns
			continue
		}
		l.counts.Records++
		if l.counts.Records > l.r.cfg.Limits.FileRecords {
			return fmt.Errorf("%w: more than %d lines", issuance.ErrTooMany, l.counts.Records-1)
		}
		row := l.counts.Records
		if number, ok := issuance.ParseDocumentNumber(typed); ok {
			if _, again := numbers[number]; again {
				l.fault(row, typed, Twice, true)
			} else {
				numbers[number] = row
			}
		} else if id := strings.ToUpper(typed); issuance.ValidID(id) {
			if err := l.byID(ctx, row, id); err != nil {
				return err
			}
		} else {
			l.fault(row, clean(typed), NoID, false)
		}
	}
	if err := lines.Err(); err != nil {
		return &SourceError{Why: Unreadable, Err: err}
	}
	return l.byNumbers(ctx, numbers)
}

// firstCell is what stands first in a line of a table.
func firstCell(line string) string {
	if i := strings.IndexAny(line, ",;\t"); i >= 0 {
		line = line[:i]
	}
	return strings.Trim(line, "\ufeff \"'\r")
}

// clean is a text from outside as a list of ours may hold it.
func clean(text string) string {
	if len(text) > 64 {
		text = text[:64]
	}
	return strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, text), "")
}

func (l *listing) byID(ctx context.Context, row int64, id string) error {
	c, err := l.s.Credential(ctx, id)
	if errors.Is(err, issuance.ErrNoCredential) || err == nil && (c.Programme != l.job.Programme || c.PartOf != "") {
		l.fault(row, id, NotFound, false)
		return nil
	}
	if err != nil {
		return err
	}
	l.take(row, id, c)
	return nil
}

// take puts a certificate of a list among those that are revoked, for now: whether it is
// the office's is seen later, so its state is told then.
func (l *listing) take(row int64, typed string, c issuance.Credential) {
	if _, again := l.found[c.ID]; again {
		l.fault(row, typed, Twice, true)
		return
	}
	l.found[c.ID], l.row[c.ID], l.typed[c.ID] = c, row, typed
}

// byNumbers finds the certificates with these document numbers, which the issuer's store
// has no index of: it reads those of the programme once.
func (l *listing) byNumbers(ctx context.Context, numbers map[string]int64) error {
	if len(numbers) == 0 {
		return nil
	}
	with := map[string][]issuance.Credential{}
	for c, err := range l.s.Find(ctx, issuance.Query{Programme: l.job.Programme}) {
		if err != nil {
			return err
		}
		if number := issuance.DocumentNumber(c.ID); c.PartOf == "" && numbers[number] > 0 {
			with[number] = append(with[number], c)
		}
	}
	for number, row := range numbers {
		switch all := with[number]; len(all) {
		case 0:
			l.fault(row, number, NotFound, false)
		case 1:
			l.take(row, number, all[0])
		default:
			l.fault(row, number, Ambiguous, false)
		}
	}
	return nil
}

// ownOnly leaves out what is about records that the office does not see, as if it did
// not exist, and what cannot be revoked.
func (l *listing) ownOnly(ctx context.Context) error {
	own, err := l.own(ctx)
	if err != nil {
		return err
	}
	for id, c := range l.found {
		code, skipped := "", false
		switch {
		case own != nil && !own[c.Record]:
			code = NotFound
		case c.State == issuance.Revoked:
			code, skipped = Already, true
		case c.State == issuance.Intended:
			code = NotIssued
		default:
			continue
		}
		delete(l.found, id)
		if l.job.Revoke.List {
			l.fault(l.row[id], l.typed[id], code, skipped)
		}
	}
	return nil
}

// own are the records, of those that were found, which the office sees; nil if it sees
// all. The store knows pseudonyms only, so the registry is read once.
func (l *listing) own(ctx context.Context) (map[issuance.Pseudonym]bool, error) {
	if l.r.cfg.Share == nil {
		return nil, nil
	}
	share, err := l.r.cfg.Share(ctx, l.job)
	if err != nil || share.Sees == nil {
		return nil, err
	}
	own := make(map[issuance.Pseudonym]bool, len(l.found))
	if len(l.found) == 0 {
		return own, nil
	}
	asked := make(map[issuance.Pseudonym]bool, len(l.found))
	for _, c := range l.found {
		asked[c.Record] = true
	}
	if l.r.cfg.Registry == nil {
		return nil, &SourceError{Why: Away, Err: errors.New("no registry to see whose the records are")}
	}
	src, done, err := l.r.cfg.Registry(ctx, l.job)
	if err != nil {
		return nil, &SourceError{Why: Away, Err: err}
	}
	defer done()
	for rec, err := range src.Records(ctx) {
		if _, broken := errors.AsType[*registry.RowError](err); broken {
			continue // nobody knows whose it is
		}
		if err != nil {
			return nil, err
		}
		if share.Sees(rec) {
			if p := l.s.Pseudonym(l.job.Programme, rec.ID); asked[p] {
				own[p] = true
			}
		}
	}
	return own, nil
}

// write writes the list, in the order of ids, which is that of issue.
func (l *listing) write() error {
	if !l.job.Revoke.List {
		l.counts.Records = int64(len(l.found))
	}
	l.counts.Good = int64(len(l.found))
	ids := make([]string, 0, len(l.found))
	for id := range l.found {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return durable.ReplaceFunc(l.r.cfg.Folder.of(l.job.ID, affectedName), 0o600, func(to io.Writer) error {
		w := bufio.NewWriterSize(to, 64<<10)
		_, err := w.Write(safecsv.AppendRow(nil, affectedHeader...))
		var row []byte
		for _, id := range ids {
			if err != nil {
				return err
			}
			c := l.found[id]
			row = safecsv.AppendRow(row[:0], id, issuance.DocumentNumber(id), c.IssuedAt.UTC().Format(time.DateOnly), string(c.State))
			_, err = w.Write(row)
		}
		return errors.Join(err, w.Flush())
	})
}

// revoke revokes what stands in the list. Each is revoked once, whoever begins anew:
// what is revoked already is not touched.
func (r *Runner) revoke(ctx context.Context, j Job) error {
	digest, err := r.cfg.Folder.affectedDigest(j.ID)
	if err != nil || digest != j.Fingerprint || !j.sound() {
		return errors.Join(err, r.settle(ctx, j.ID, Fail, func(j *Job) { j.Why = FilesGone }))
	}
	if !r.Revokes() {
		return errors.New("batchwork: this process cannot revoke")
	}
	done := Counts{}
	err = r.cfg.Revoker(ctx, func(s Revoker) error {
		note := issuance.Note{Kind: audit.OperatorIntended, Actor: j.Requester, Action: "revoke_many", Subject: j.ID, Digest: sha256.Sum256(j.Terms().Bytes())}
		if err := s.Note(ctx, note); err != nil {
			return err // nothing is revoked that the audit log does not announce
		}
		began := r.now()
		if err := r.begin(ctx, j.ID, began); err != nil {
			return err
		}
		report := r.reporter(ctx, j.ID, Running)
		start := time.Now()
		err := r.cfg.Folder.Affected(j.ID, func(id, _, _, _ string) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := r.revokeOne(ctx, s, j, id, &done); err != nil {
				return err
			}
			report(issuance.Progress{
				Done: done.Records, Issued: done.Good, Failed: done.Faulty, Skipped: done.Skipped, Rate: float64(done.Records) / time.Since(start).Seconds(),
			})
			return nil
		})
		note.Kind = audit.OperatorDone
		if err != nil {
			note.Kind = audit.OperatorFailed
		}
		after, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if e := s.Note(after, note); e != nil {
			r.cfg.Log.WarnContext(ctx, "the end of a revocation is not in the audit log", "job", j.ID, "err", e)
		}
		return err
	})
	switch {
	case errors.Is(err, errNotNow):
		return nil
	case ctx.Err() != nil:
		return r.settleDone(ctx, j.ID, done)
	}
	if err != nil {
		why, lasting := reason(err)
		if !lasting {
			return errors.Join(err, r.trouble(ctx, j.ID, why))
		}
		return errors.Join(err, r.settle(ctx, j.ID, Fail, func(j *Job) { j.Why = why }))
	}
	if err := r.settleDone(ctx, j.ID, done); err != nil {
		return err
	}
	return r.settle(ctx, j.ID, Finish, func(*Job) {})
}

// begin notes when a revocation begins for the first time. Whoever undoes it at the same
// moment is faster or too late.
func (r *Runner) begin(ctx context.Context, id string, now time.Time) error {
	_, err := change(ctx, r.cfg.Store, id, func(j Job) (Job, error) {
		switch {
		case j.State != Running || j.Waits(now):
			return j, errNotNow
		case j.Began.IsZero():
			j.Began = now
		}
		return j, nil
	})
	return err
}

var errNotNow = errors.New("batchwork: internal error: nothing is to be revoked now")

// revokeOne revokes a certificate and counts what became of it.
func (r *Runner) revokeOne(ctx context.Context, s Revoker, j Job, id string, done *Counts) error {
	c, err := s.Credential(ctx, id)
	if err == nil && c.State != issuance.Revoked {
		if _, err = s.Revoke(ctx, id, j.Revoke.Reason, j.Requester); errors.Is(err, issuance.ErrFinal) {
			c, err = s.Credential(ctx, id) // somebody else was faster
		} else if err == nil {
			done.Records++
			done.Good++
			return nil
		}
	}
	switch {
	case errors.Is(err, issuance.ErrNoCredential):
		done.Faulty++
	case err != nil:
		return err
	case c.Reason == j.Revoke.Reason && !c.Changed.Before(j.Due):
		done.Good++ // by whoever began this, and was stopped
	default:
		done.Skipped++
	}
	done.Records++
	return nil
}

// settleDone notes how far a revocation came.
func (r *Runner) settleDone(ctx context.Context, id string, done Counts) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_, err := change(ctx, r.cfg.Store, id, func(j Job) (Job, error) {
		if done.Records >= j.Done.Records {
			j.Done = done
		}
		j.Rate = 0
		return j, nil
	})
	return err
}
