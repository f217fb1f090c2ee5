package batchwork

import (
	"archive/zip"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/sanad-id/sanad/internal/durable"
	"github.com/sanad-id/sanad/internal/safecsv"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/programme"
)

// ErrTooLarge: more bytes than an upload may have.
var ErrTooLarge = errors.New("batchwork: the file is too large")

// ErrEmpty: an upload of no bytes.
var ErrEmpty = errors.New("batchwork: the file is empty")

// ErrErased: the files of the job are gone.
var ErrErased = errors.New("batchwork: the files of this job were erased")

// Names in the folder of a job.
const (
	uploadName = "upload.csv"
	faultsName = "faults.csv"
	notesName  = "notes.csv"
	columnName = "columns.json"
	partPrefix = "part-"
	incoming   = "incoming"
)

// A Folder is the private folder of all jobs.
type Folder struct{ path string }

// OpenFolder makes the folder if need be. Others than its owner cannot look into it.
func OpenFolder(path string) (*Folder, error) {
	if err := os.MkdirAll(filepath.Join(path, incoming), 0o700); err != nil {
		return nil, fmt.Errorf("batchwork: %w", err)
	}
	for _, p := range []string{path, filepath.Join(path, incoming)} {
		if err := os.Chmod(p, 0o700); err != nil {
			return nil, fmt.Errorf("batchwork: %w", err)
		}
	}
	return &Folder{path}, nil
}

// identityName is the file that tells one folder from another.
const identityName = "folder-id"

// Identity is the folder's own id, made when it is asked for the first time: processes
// that see the same id work in the same folder.
func (f *Folder) Identity() (string, error) {
	path := filepath.Join(f.path, identityName)
	for range 2 {
		b, err := os.ReadFile(path)
		if err == nil {
			if id := strings.TrimSpace(string(b)); ValidID(id) {
				return id, nil
			}
			return "", fmt.Errorf("batchwork: %s holds no id", identityName)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		// Whoever is faster has made it whole.
		temporary := filepath.Join(f.path, incoming, newID())
		if err := durable.Create(temporary, []byte(newID()+"\n"), 0o600); err != nil {
			return "", err
		}
		err = os.Link(temporary, path)
		if err = errors.Join(ignore(err, fs.ErrExist), os.Remove(temporary), durable.Sync(f.path)); err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("batchwork: %s cannot be made", identityName)
}

// ignore is the error, unless it is that one.
func ignore(err, that error) error {
	if errors.Is(err, that) {
		return nil
	}
	return err
}

// of is a path in the folder of a job.
func (f *Folder) of(job string, name ...string) string {
	if !ValidID(job) {
		panic("batchwork: internal error: not the id of a job")
	}
	return filepath.Join(append([]string{f.path, job}, name...)...)
}

// Upload is where the uploaded file of a job is.
func (f *Folder) Upload(job string) string { return f.of(job, uploadName) }

// Receive stores an upload of at most so many bytes as the file of a new job, durably,
// and fills in the job's Digest and Size. It returns [ErrTooLarge] or [ErrEmpty], and
// leaves nothing behind then.
func (f *Folder) Receive(j Job, from io.Reader, most int64) (Job, error) {
	temporary, err := os.CreateTemp(filepath.Join(f.path, incoming), "upload-*")
	if err != nil {
		return j, fmt.Errorf("receive a file: %w", err)
	}
	defer os.Remove(temporary.Name()) //nolint:errcheck // it has moved, or is swept later
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(temporary, hash), io.LimitReader(from, most+1))
	switch {
	case err != nil:
	case n > most:
		err = fmt.Errorf("%w: more than %d bytes", ErrTooLarge, most)
	case n == 0:
		err = ErrEmpty
	default:
		err = temporary.Sync()
	}
	if err := errors.Join(err, temporary.Close()); err != nil {
		return j, fmt.Errorf("receive a file: %w", err)
	}
	if err := os.Mkdir(f.of(j.ID), 0o700); err != nil {
		return j, fmt.Errorf("receive a file: %w", err)
	}
	if err := os.Rename(temporary.Name(), f.Upload(j.ID)); err != nil {
		return j, fmt.Errorf("receive a file: %w", err)
	}
	j.Digest, j.Size = hex.EncodeToString(hash.Sum(nil)), n
	return j, errors.Join(durable.Sync(f.of(j.ID)), durable.Sync(f.path))
}

// prepare makes the folder of a job.
func (f *Folder) prepare(job string) error { return os.MkdirAll(f.of(job), 0o700) }

// Columns are the names of the columns of a source that cannot be used. They stand in the
// folder of the job, since a file without a header has a record where they should be.
type Columns struct {
	// Lacks are those that are needed, of which Has has none; Has has at most [mostNames].
	Lacks []string `json:"lacks"`
	Has   []string `json:"has"`
	// More counts those that Has leaves out.
	More int `json:"more"`
}

// Columns of a job are kept as far as a page shows them: so many names of so many bytes.
const (
	mostNames = 60
	nameBytes = 64
)

// keepColumns writes them beside what was uploaded, shortened.
func (f *Folder) keepColumns(job string, c Columns) error {
	c.More = max(0, len(c.Has)-mostNames)
	c.Has = slices.Clone(c.Has[:len(c.Has)-c.More])
	for i, name := range c.Has {
		if len(name) > nameBytes {
			c.Has[i] = strings.ToValidUTF8(name[:nameBytes], "") + "…"
		}
	}
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if err := f.prepare(job); err != nil {
		return err
	}
	return durable.Write(f.of(job, columnName), b, 0o600)
}

// Columns are those that a job cannot be made of; none if that is not what is wrong with
// it, or its files were erased.
func (f *Folder) Columns(job string) (c Columns, err error) {
	b, err := os.ReadFile(f.of(job, columnName))
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	return c, json.Unmarshal(b, &c)
}

// Erase removes everything of a job.
func (f *Folder) Erase(job string) error { return os.RemoveAll(f.of(job)) }

// parts are the folders in which processes have worked on a job.
func (f *Folder) parts(job string) ([]string, error) {
	entries, err := os.ReadDir(f.of(job))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrErased
	}
	if err != nil {
		return nil, err
	}
	var all []string
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), partPrefix) {
			all = append(all, f.of(job, e.Name()))
		}
	}
	slices.Sort(all)
	return all, nil
}

// Manifest writes the manifest of the batch: those of all parts, one after the other
// under one header.
func (f *Folder) Manifest(job string, to io.Writer) error {
	parts, err := f.parts(job)
	if err != nil {
		return err
	}
	for i, p := range parts {
		if err := appendFile(to, filepath.Join(p, "manifest.csv"), i > 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// appendFile copies a file, without its first line if told so.
func appendFile(to io.Writer, path string, tail bool) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	r := bufio.NewReaderSize(in, 64<<10)
	if tail {
		if _, err := r.ReadString('\n'); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	_, err = r.WriteTo(to)
	return err
}

// Zip writes everything that was made for a job as one ZIP file, with flat memory: the
// manifest, and the files that it names. Files are what the batch itself called them.
func (f *Folder) Zip(ctx context.Context, job string, to io.Writer) error {
	parts, err := f.parts(job)
	if err != nil {
		return err
	}
	z := zip.NewWriter(to)
	w, err := z.Create("manifest.csv")
	if err == nil {
		err = f.Manifest(job, w)
	}
	for _, p := range parts {
		if err == nil {
			err = zipPart(ctx, z, p, len(parts) > 1)
		}
	}
	return errors.Join(err, z.Close())
}

func zipPart(ctx context.Context, z *zip.Writer, part string, apart bool) error {
	d, err := os.Open(part)
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		names, err := d.Readdirnames(512)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		slices.Sort(names)
		for _, name := range names {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if !made(name) {
				continue
			}
			to := name
			if apart && strings.HasPrefix(name, "codes-") { // numbers of chunks are unique, but nobody should rely on it here
				to = filepath.Base(part) + "-" + name
			}
			if err := zipFile(z, filepath.Join(part, name), to); err != nil {
				return err
			}
		}
	}
}

// made reports whether a batch makes files of this name to be handed out.
func made(name string) bool {
	switch filepath.Ext(name) {
	case ".txt", ".png", ".svg":
		return true
	case ".csv":
		return strings.HasPrefix(name, "codes-")
	}
	return false
}

func zipFile(z *zip.Writer, path, name string) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	method := zip.Deflate
	if filepath.Ext(name) == ".png" {
		method = zip.Store
	}
	w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: method})
	if err != nil {
		return err
	}
	_, err = io.Copy(w, in)
	return err
}

// eachRow reads a file of ours with so many columns, without its header.
func eachRow(path string, columns int, do func(row []string) error) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	r := csv.NewReader(bufio.NewReaderSize(in, 64<<10))
	r.FieldsPerRecord, r.ReuseRecord = columns, true
	for first := true; ; first = false {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", filepath.Base(path), err)
		}
		if first {
			continue
		}
		if err := do(row); err != nil {
			return err
		}
	}
}

// A FaultLine is one thing that is wrong with one record, as the dry run found it.
type FaultLine struct {
	// Row counts the records from 1, Line is the line in the file.
	Row, Line int64
	// Record is the record's id as a file of ours holds it: with an apostrophe before
	// what could be a formula.
	Record, Column, Claim, Code, Detail string
	// Skipped says that nothing is wrong with the record.
	Skipped bool
}

const faultColumns = 8

var faultHeader = []string{"row", "line", "record_id", "column", "claim", "code", "detail", "outcome"}

// A faultWriter writes the faults of a dry run, a line for each problem.
type faultWriter struct {
	file *os.File
	out  *bufio.Writer
	row  []byte
}

func (f *Folder) newFaultWriter(job, name string) (*faultWriter, error) {
	file, err := os.OpenFile(f.of(job, name), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	w := &faultWriter{file: file, out: bufio.NewWriterSize(file, 64<<10)}
	_, err = w.out.Write(safecsv.AppendRow(nil, faultHeader...))
	return w, err
}

func (w *faultWriter) fault(x issuance.Fault) error {
	outcome := "refused"
	if x.Skipped {
		outcome = "skipped"
	}
	return w.lines(x.Row, x.Line, x.Record, outcome, x.Problems)
}

func (w *faultWriter) lines(row int64, line int, record, outcome string, problems []programme.Problem) error {
	for _, p := range problems {
		at := ""
		if line > 0 {
			at = strconv.Itoa(line)
		}
		w.row = safecsv.AppendRow(w.row[:0], strconv.FormatInt(row, 10), at, record, p.Column, p.Claim, p.Code, p.Detail, outcome)
		if _, err := w.out.Write(w.row); err != nil {
			return err
		}
	}
	return nil
}

func (w *faultWriter) close() error {
	return errors.Join(w.out.Flush(), w.file.Sync(), w.file.Close())
}

// Faults calls do with every line of the dry run's list of faults, in the order of the
// source. An error of do ends it and is returned.
func (f *Folder) Faults(job string, do func(FaultLine) error) error {
	return f.faultLines(job, faultsName, do)
}

// Notes is Faults for values that are left out or simplified.
func (f *Folder) Notes(job string, do func(FaultLine) error) error {
	return f.faultLines(job, notesName, do)
}

func (f *Folder) faultLines(job, name string, do func(FaultLine) error) error {
	err := eachRow(f.of(job, name), faultColumns, func(c []string) error {
		l := FaultLine{Record: c[2], Column: c[3], Claim: c[4], Code: c[5], Detail: c[6], Skipped: c[7] == "skipped"}
		l.Row, _ = strconv.ParseInt(c[0], 10, 64) // we have written it
		l.Line, _ = strconv.ParseInt(c[1], 10, 64)
		return do(l)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return ErrErased
	}
	return err
}
