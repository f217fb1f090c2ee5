package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/internal/copytext"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/store"
	"github.com/sanad-id/sanad/store/desk"
)

// maxFile is how large settings and keystore may be, and all files of a folder together.
const maxFile = 16 << 20

// An Office is an issuer of which a backup is taken.
type Office struct {
	DB *store.DB
	// Settings and Keystore are the two files as they are, Chains the certificates of its
	// keys, if there are any.
	Settings, Keystore []byte
	Chains             []File
	// Logos are the pictures of programmes that wallets get; optional.
	Logos []File
	// Desk is what the console keeps; nil if there is no console.
	Desk *desk.DB
	// Program is the version of the program.
	Program string
	// Now is the clock.
	Now func() time.Time
	// Progress is told now and then which part is written and how many bytes of it
	// there are; optional.
	Progress func(part string, bytes int64)
}

// Take writes a backup of an office as it stands at this moment; the office goes on
// working. What is written is of no use before Take returns nil.
func Take(ctx context.Context, w io.Writer, to []Lock, s keys.Signer, o Office) (m Manifest, err error) {
	// The console comes first: whatever its work says was issued is in the store then.
	var people *desk.Snapshot
	if o.Desk != nil {
		if people, err = o.Desk.Snapshot(ctx); err != nil {
			return m, fmt.Errorf("backup: %w", err)
		}
		defer func() { err = errors.Join(err, people.Close()) }()
	}
	snap, err := o.DB.Snapshot(ctx)
	if err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	m, err = o.take(ctx, w, to, s, snap, people)
	return m, errors.Join(err, snap.Close())
}

func (o Office) take(ctx context.Context, w io.Writer, to []Lock, s keys.Signer, snap *store.Snapshot, people *desk.Snapshot) (Manifest, error) {
	m := Manifest{Program: o.Program, Taken: o.Now().UTC().Truncate(time.Second)}
	facts, err := snap.Facts(ctx)
	if err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	m.Instance, m.Schema, m.Epoch, m.LogNo = facts.Instance, snap.Schema, facts.Epoch, facts.LogNo
	m.AuditSize, m.AuditRoot, m.Checkpoint = facts.Head.Size, facts.Head.Root.String(), string(facts.Checkpoint)
	layout, err := json.Marshal(Layout{Schema: snap.Schema, Tables: snap.Tables})
	if err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	file := func(name string, content []byte) Source {
		return Source{name, func(w io.Writer) (int64, error) {
			if len(content) > maxFile { // it could not be restored
				return 0, fmt.Errorf("backup: %s: over %d bytes", name, maxFile)
			}
			_, err := w.Write(content)
			return 0, err
		}}
	}
	chains, err := json.Marshal(append([]File{}, o.Chains...))
	if err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	parts := []Source{file(SettingsPart, o.Settings), file(KeystorePart, o.Keystore), file(LayoutPart, layout), file(ChainsPart, chains)}
	if len(o.Logos) > 0 {
		logos, err := json.Marshal(o.Logos)
		if err != nil {
			return m, fmt.Errorf("backup: %w", err)
		}
		parts = append(parts, file(LogosPart, logos))
	}
	told := func(w io.Writer, name string) io.Writer { return &counter{w: w, name: name, told: o.Progress} }
	if people != nil {
		layout, err := json.Marshal(DeskLayout{people.Schema, people.Tables})
		if err != nil {
			return m, fmt.Errorf("backup: %w", err)
		}
		parts = append(parts, file(DeskPart, layout))
		for _, t := range people.Tables {
			parts = append(parts, Source{DeskPrefix + t.Name, func(w io.Writer) (int64, error) { return people.Copy(ctx, t.Name, told(w, t.Name)) }})
		}
	}
	for _, t := range snap.Tables {
		parts = append(parts, Source{TablePrefix + t.Name, func(w io.Writer) (int64, error) {
			return snap.Copy(ctx, t.Name, told(w, t.Name))
		}})
	}
	return Write(w, to, s, o.Now, m, parts)
}

// A counter tells how much was written.
type counter struct {
	w    io.Writer
	name string
	n    int64
	told func(string, int64)
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	if c.n += int64(n); c.told != nil {
		c.told(c.name, c.n)
	}
	return n, err
}

// A Target is where a backup is restored to.
type Target struct {
	// Open gets settings and keystore and returns whose the backup must be and the
	// keys of which one must have signed it. Nothing of the database was read then.
	Open func(settings, keystore []byte) (instance string, known []keys.Key, err error)
	// Chains gets the certificates; not called for a backup that has none of them.
	Chains func(files []File) error
	// Logos gets the pictures of programmes; not called for a backup that has none.
	Logos func(files []File) error
	// Desk gets the tables of the console, before anything is known to be true: they must
	// count for nothing until Restore returns nil. It reads each to its end. Not called for
	// a backup without a console.
	Desk func(d desk.Dump) error
	// Load gets the tables (see [store.Load]).
	Load func(instance string, d store.Dump) error
	// Progress is as in [Office].
	Progress func(part string, bytes int64)
}

// Restore reads a backup into a target. The signature and every digest are checked
// before Load may let anything count.
func Restore(r *Reader, t Target) (Manifest, error) {
	files := map[string][]byte{}
	for _, want := range []string{SettingsPart, KeystorePart, LayoutPart} {
		b, err := r.file(want)
		if err != nil {
			return Manifest{}, err
		}
		files[want] = b
	}
	var layout Layout
	if err := json.Unmarshal(files[LayoutPart], &layout); err != nil {
		return Manifest{}, r.broken("layout: %v", err)
	}
	instance, known, err := t.Open(files[SettingsPart], files[KeystorePart])
	if err != nil {
		return Manifest{}, err
	}
	more := ""
	if r.format > 1 {
		if more, err = r.beside(t); err == io.EOF {
			err = r.broken("it has no tables")
		}
		if err != nil {
			return Manifest{}, err
		}
	}
	d := store.Dump{Schema: layout.Schema, Next: r.tables(layout, more, t.Progress)}
	d.Verify = func() error {
		m, ended := r.Manifest()
		if !ended {
			return r.broken("it was not read to its end")
		}
		if _, err := r.Verify(known); err != nil {
			return err
		}
		if m.Instance != instance || m.Schema != layout.Schema {
			return fmt.Errorf("%w: it says that it is of %.80q", ErrSignature, m.Instance)
		}
		return nil
	}
	if err := t.Load(instance, d); err != nil {
		return Manifest{}, err
	}
	m, _ := r.Manifest()
	return m, nil
}

// file reads a part that must come next.
func (r *Reader) file(want string) ([]byte, error) {
	name, err := r.Next()
	if err != nil && err != io.EOF {
		return nil, err
	}
	if name != want {
		return nil, r.broken("no %s in its place", want)
	}
	return r.rest(want)
}

// rest reads a part that has begun.
func (r *Reader) rest(name string) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = r.broken("a part %s over %d bytes", name, maxFile)
	}
	return b, err
}

// folder hands over the files of a folder, whose names end in one of these and lead
// nowhere else.
func (r *Reader) folder(part string, text []byte, to func([]File) error, endings ...string) error {
	var files []File
	if err := json.Unmarshal(text, &files); err != nil {
		return r.broken("%s: %v", part, err)
	}
	for _, f := range files {
		if f.Name == "" || f.Name != filepath.Base(f.Name) || strings.ContainsAny(f.Name, `/\`) || !slices.Contains(endings, filepath.Ext(f.Name)) {
			return r.broken("%s: a file %.40q", part, f.Name)
		}
	}
	if to == nil || len(files) == 0 {
		return nil
	}
	return to(files)
}

// beside reads certificates, pictures and the tables of the console, and returns the name
// of the part that comes behind them.
func (r *Reader) beside(t Target) (next string, err error) {
	text, err := r.file(ChainsPart)
	if err != nil {
		return "", err
	}
	if err := r.folder(ChainsPart, text, t.Chains, ".pem"); err != nil {
		return "", err
	}
	if next, err = r.Next(); err == nil && next == LogosPart {
		if text, err = r.rest(LogosPart); err != nil {
			return "", err
		}
		if err := r.folder(LogosPart, text, t.Logos, ".svg", ".png"); err != nil {
			return "", err
		}
		next, err = r.Next()
	}
	if err != nil || next != DeskPart {
		return next, err
	}
	if text, err = io.ReadAll(io.LimitReader(r, maxFile)); err != nil {
		return "", err
	}
	var layout DeskLayout
	if err := json.Unmarshal(text, &layout); err != nil {
		return "", r.broken("desk: %v", err)
	}
	i := -1
	d := desk.Dump{Schema: layout.Schema, Next: func() (desk.Table, io.Reader, error) {
		if i++; i == len(layout.Tables) {
			return desk.Table{}, nil, io.EOF
		}
		name, err := r.Next()
		if err != nil && err != io.EOF {
			return desk.Table{}, nil, err
		}
		if name != DeskPrefix+layout.Tables[i].Name {
			return desk.Table{}, nil, r.broken("table %.40q of the console is missing", layout.Tables[i].Name)
		}
		return layout.Tables[i], &readCounter{r: r, name: name, told: t.Progress}, nil
	}}
	if t.Desk != nil {
		err = t.Desk(d)
	} else {
		err = pass(d, func(desk.Table, io.Reader) error { return nil })
	}
	if err != nil {
		return "", err
	}
	return r.Next()
}

// pass goes through a dump.
func pass(d desk.Dump, f func(desk.Table, io.Reader) error) error {
	for {
		t, rows, err := d.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = f(t, rows)
		}
		if err != nil {
			return err
		}
	}
}

// tables goes through the tables of a layout; all must come, in their order. The name of
// the first was read already if it is not empty.
func (r *Reader) tables(l Layout, name string, told func(string, int64)) func() (store.Table, io.Reader, error) {
	i := -1
	return func() (store.Table, io.Reader, error) {
		i++
		var err error
		if i > 0 || name == "" {
			name, err = r.Next()
		}
		if err != nil && err != io.EOF {
			return store.Table{}, nil, err
		}
		if err == io.EOF {
			if i < len(l.Tables) {
				return store.Table{}, nil, r.broken("table %.40q is missing", l.Tables[i].Name)
			}
			return store.Table{}, nil, io.EOF
		}
		if i >= len(l.Tables) || name != TablePrefix+l.Tables[i].Name {
			return store.Table{}, nil, r.broken("part %s is not in the layout there", name)
		}
		return l.Tables[i], &readCounter{r: r, name: l.Tables[i].Name, told: told}, nil
	}
}

type readCounter struct {
	r    io.Reader
	name string
	n    int64
	told func(string, int64)
}

func (c *readCounter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	if c.n += int64(n); c.told != nil {
		c.told(c.name, c.n)
	}
	return n, err
}

// Inspect reads a backup through and checks all that can be checked without a
// place to restore it to: every digest, that the tables are rows of their columns and
// as many as the manifest says. Who signed is for the caller ([Reader.Verify]).
func Inspect(r *Reader, told func(part string, bytes int64)) (Manifest, error) {
	rows := map[string]int64{}
	load := func(_ string, d store.Dump) error {
		for {
			t, from, err := d.Next()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			in := copytext.NewReader(from, len(t.Columns))
			for _, err = in.Read(); err == nil; _, err = in.Read() {
				rows[TablePrefix+t.Name]++
			}
			if err != io.EOF {
				return fmt.Errorf("%w: table %s: %w", ErrNotABackup, t.Name, err)
			}
		}
	}
	people := func(d desk.Dump) error {
		return pass(d, func(t desk.Table, from io.Reader) error {
			in := copytext.NewReader(from, len(t.Columns))
			var err error
			for _, err = in.Read(); err == nil; _, err = in.Read() {
				rows[DeskPrefix+t.Name]++
			}
			if err != io.EOF {
				return fmt.Errorf("%w: table %s of the console: %w", ErrNotABackup, t.Name, err)
			}
			return nil
		})
	}
	open := func(_, _ []byte) (string, []keys.Key, error) { return "", nil, nil }
	m, err := Restore(r, Target{Open: open, Desk: people, Load: load, Progress: told})
	if err != nil {
		return m, err
	}
	for _, p := range m.Parts {
		if (strings.HasPrefix(p.Name, TablePrefix) || strings.HasPrefix(p.Name, DeskPrefix)) && p.Rows != rows[p.Name] {
			return m, r.broken("%s has %d rows, the manifest says %d", p.Name, rows[p.Name], p.Rows)
		}
	}
	return m, nil
}

// Part returns what the manifest says of a part.
func (m Manifest) Part(name string) Part {
	for _, p := range m.Parts {
		if p.Name == name {
			return p
		}
	}
	return Part{}
}
