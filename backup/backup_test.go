package backup_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/backup"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/internal/officetest"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/store"
	"github.com/sanad-id/sanad/store/desk"
)

// open is what is inside of a backup; seal puts it back.
func open(t testing.TB, file []byte) []byte {
	t.Helper()
	r, err := age.Decrypt(bytes.NewReader(file), identity())
	if err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func seal(t testing.TB, inner []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := age.Encrypt(&b, identity().Recipient())
	if err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewWriter(w)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(inner); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(z.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// small is an office with a few credentials, and a backup of it.
func small(t testing.TB) (*officetest.Office, []byte) {
	t.Helper()
	o := officetest.New(t, officetest.Options{Journal: true})
	for n := range 5 {
		o.Issue("farmer-card", n)
	}
	o.Publish()
	o.Checkpoint()
	return o, take(t, o)
}

func TestInspect(t *testing.T) {
	o, file := small(t)
	r, err := backup.NewReader(bytes.NewReader(file), identity())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	m, err := backup.Inspect(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	known, err := o.Keys.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if k, err := r.Verify(known); err != nil || k.Purpose != keys.Backup {
		t.Errorf("Verify: %v, %v", k, err)
	}
	c, err := o.DB.Checkpoints(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if m.Instance != o.Instance() || m.Part("table/credential").Rows != 5 || m.Epoch != 1 || m.LogNo != 1 || m.AuditSize != c[0].Size ||
		m.AuditRoot != c[0].Root.String() || m.Checkpoint != string(c[0].Note) || !m.Taken.Equal(o.Clock.Now()) {
		t.Errorf("manifest %+v", m)
	}
	// The keys that others may have by now do not count.
	for i, k := range known {
		if k.Purpose == keys.Backup {
			if known[i], err = k.Compromise(m.Taken.Add(-time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := r.Verify(known); !errors.Is(err, backup.ErrSignature) {
		t.Errorf("Verify with a compromised key: %v", err)
	}
}

// TestP26 gives files to restore that are not good backups of this issuer, or not
// where they should go. None may leave anything.
func TestP26(t *testing.T) {
	o, good := small(t)
	other, foreign := small(t)
	_ = other
	inner := open(t, good)
	replace := func(old, with string) []byte {
		spoiled := bytes.Replace(inner, []byte(old), []byte(with), 1)
		if bytes.Equal(spoiled, inner) {
			t.Fatalf("nothing to spoil: %q", old)
		}
		return seal(t, spoiled)
	}
	last := func(old, with string) []byte {
		i := bytes.LastIndex(inner, []byte(old))
		return seal(t, append(append(bytes.Clone(inner[:i]), with...), inner[i+len(old):]...))
	}
	end := bytes.LastIndex(inner, []byte(`{"program"`))
	for _, tt := range []struct {
		name string
		file []byte
		want error // nil: any
	}{
		{"nothing", nil, backup.ErrNotABackup},
		{"another file", []byte("issuer:\n  id: xa\n"), backup.ErrNotABackup},
		{"another age file", seal(t, []byte("hello, this is not a backup")), backup.ErrNotABackup},
		{"cut off", good[:len(good)-20], backup.ErrNotABackup},
		{"cut off in the middle", good[:len(good)/2], backup.ErrNotABackup},
		{"a flipped bit", func() []byte { b := bytes.Clone(good); b[len(b)-30] ^= 1; return b }(), backup.ErrNotABackup},
		{"without its end", seal(t, inner[:end-5]), backup.ErrNotABackup},
		{"something behind its end", seal(t, append(bytes.Clone(inner), 'x')), backup.ErrNotABackup},
		{"another version", replace("sanad backup 2", "sanad backup 3"), backup.ErrNotABackup},
		{"as an older version", replace("sanad backup 2", "sanad backup 1"), backup.ErrNotABackup},
		{"a certificate that climbs out", replace(`"name":"roots.pem"`, `"name":"../ro.pem"`), backup.ErrNotABackup},
		{"a picture that climbs out", replace(`"name":"card.svg"`, `"name":"../d.svg"`), backup.ErrNotABackup},
		{"a picture that is none", replace(`"name":"card.svg"`, `"name":"card.exe"`), backup.ErrNotABackup},
		{"a person was renamed", replace("Amina", "Anima"), nil},
		{"a table of the console of another name", replace("desk/passkey", "desk/passkez"), backup.ErrNotABackup},
		{"a part of another name", replace("table/meta", "table/memo"), backup.ErrNotABackup},
		{"a row was changed", replace("\tactive\t", "\trevoke\t"), nil},
		{"settings were changed", replace("issuer: {}", "issuer: []"), backup.ErrNotABackup},
		{"the manifest was changed", last(`"epoch":1`, `"epoch":2`), backup.ErrSignature},
		{"the manifest has a member more", last(`"epoch":1`, `"epochs":`), backup.ErrNotABackup},
		{"a digest in the manifest was changed", func() []byte {
			i := bytes.LastIndex(inner, []byte(`"sha256":"`)) + len(`"sha256":"`)
			b := bytes.Clone(inner)
			b[i] ^= 1
			return seal(t, b)
		}(), backup.ErrNotABackup},
		{"the backup of another issuer", foreign, backup.ErrSignature},
		{"for other eyes", func() []byte {
			var b bytes.Buffer
			id, _ := age.GenerateX25519Identity()
			w, _ := age.Encrypt(&b, id.Recipient())
			_, _ = w.Write(inner)
			_ = w.Close()
			return b.Bytes()
		}(), backup.ErrKey},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			err := tryRestore(o, tt.file, filepath.Join(dir, "issuer.db"))
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("restore: %v, want %v", err, tt.want)
			}
			left, _ := filepath.Glob(filepath.Join(dir, "*"))
			for _, f := range left {
				if !strings.HasSuffix(f, ".lock") {
					t.Errorf("%s is left", f)
				}
			}
		})
	}
	t.Run("there is a database", func(t *testing.T) {
		if err := tryRestore(o, good, filepath.Join(o.Dir, "issuer.db")); !errors.Is(err, store.ErrExists) {
			t.Errorf("restore: %v", err)
		}
	})
}

// TestTakesNothingTooLarge: what could not be restored is no backup.
func TestTakesNothingTooLarge(t *testing.T) {
	o, _ := small(t)
	_, err := backup.Take(t.Context(), io.Discard, []backup.Lock{identity().Recipient()}, o.Signer(keys.Backup), backup.Office{
		DB: o.DB, Program: "test", Now: o.Clock.Now, Logos: []backup.File{{Name: "card.svg", Content: make([]byte, 16<<20)}},
	})
	if err == nil || !strings.Contains(err.Error(), "logos: over") {
		t.Errorf("too large a picture: %v", err)
	}
}

// TestConsoleAndFolders: certificates, pictures and what the console keeps come back as they were.
func TestConsoleAndFolders(t *testing.T) {
	o, file := small(t)
	r, err := backup.NewReader(bytes.NewReader(file), identity())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	known, err := o.Keys.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var files, pictures []backup.File
	people := filepath.Join(t.TempDir(), "desk.db")
	m, err := backup.Restore(r, backup.Target{
		Open:   func(_, _ []byte) (string, []keys.Key, error) { return o.Instance(), known, nil },
		Chains: func(f []backup.File) error { files = f; return nil },
		Logos:  func(f []backup.File) error { pictures = f; return nil },
		Desk:   func(d desk.Dump) error { return desk.Load(t.Context(), people, desk.Options{}, d, o.Clock.Now()) },
		Load: func(instance string, d store.Dump) error {
			return store.Load(t.Context(), filepath.Join(t.TempDir(), "issuer.db"), store.Options{Instance: instance, Now: o.Clock.Now}, d)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 1 || files[0].Name != "roots.pem" || string(files[0].Content) != "certificates\n" || m.Part("desk/operator").Rows != 1 {
		t.Errorf("certificates %q, %d people", files, m.Part("desk/operator").Rows)
	}
	if len(pictures) != 1 || pictures[0].Name != "card.svg" || string(pictures[0].Content) != "<svg/>" {
		t.Errorf("pictures %q", pictures)
	}
	db, err := desk.Open(t.Context(), people, desk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	all, err := db.Operators(t.Context(), "")
	if err != nil || len(all) != 1 || all[0].Name != "Amina" {
		t.Errorf("people: %v, %v", all, err)
	}
}

// TestFirstFormat restores a backup as it was written before there were certificates and
// a console in it.
func TestFirstFormat(t *testing.T) {
	o, file := small(t)
	r, err := backup.NewReader(bytes.NewReader(file), identity())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var parts []backup.Source
	for {
		name, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if name != backup.ChainsPart && name != backup.LogosPart && !strings.HasPrefix(name, "desk") {
			parts = append(parts, backup.Source{Name: name, Write: func(w io.Writer) (int64, error) {
				_, err := w.Write(content)
				return 0, err
			}})
		}
	}
	m, _ := r.Manifest()
	m.Parts = nil
	var again bytes.Buffer
	if _, err := backup.Write(&again, []backup.Lock{identity().Recipient()}, o.Signer(keys.Backup), o.Clock.Now, m, parts); err != nil {
		t.Fatal(err)
	}
	old := seal(t, bytes.Replace(open(t, again.Bytes()), []byte("sanad backup 2\n"), []byte("sanad backup 1\n"), 1))
	is := restore(t, o, old, filepath.Join(t.TempDir(), "issuer.db"))
	n := 0
	for _, err := range is.DB.Find(t.Context(), issuance.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 5 {
		t.Errorf("%d credentials, want 5", n)
	}
}

// TestTakeRefuses: a backup is signed by a key for backups, for somebody.
func TestTakeRefuses(t *testing.T) {
	o, _ := small(t)
	for name, f := range map[string]func() error{
		"a key of another purpose": func() error {
			_, err := backup.Take(t.Context(), io.Discard, []backup.Lock{identity().Recipient()}, o.Signer(keys.Audit), backup.Office{DB: o.DB, Now: o.Clock.Now})
			return err
		},
		"nobody to open it": func() error {
			_, err := backup.Take(t.Context(), io.Discard, nil, o.Signer(keys.Backup), backup.Office{DB: o.DB, Now: o.Clock.Now})
			return err
		},
	} {
		if f() == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// TestSurveyRefuses gives journals that do not belong to the restored log.
func TestSurveyRefuses(t *testing.T) {
	o, file := small(t)
	o.Issue("farmer-card", 50)
	other, _ := small(t)
	is := restore(t, o, file, filepath.Join(t.TempDir(), "issuer.db"))
	ctx := context.Background()
	snap, err := is.DB.Snapshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	f, err := snap.Facts(ctx)
	if err != nil {
		t.Fatal(err)
	}
	j, err := audit.OpenJournal(other.Folder)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	at := func(n int64) (audit.Head, error) { return snap.HeadAt(ctx, n) }
	if _, err := issuance.SurveyJournal(ctx, j, f.Head.Size, at); !errors.Is(err, issuance.ErrJournalForked) {
		t.Errorf("the journal of another issuer: %v", err)
	}
	empty := filepath.Join(t.TempDir(), "journal")
	if err := audit.CreateJournal(empty); err != nil {
		t.Fatal(err)
	}
	k, err := audit.OpenJournal(empty)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	if _, err := issuance.SurveyJournal(ctx, k, f.Head.Size, at); !errors.Is(err, issuance.ErrJournalShort) {
		t.Errorf("an empty journal: %v", err)
	}
	own, err := audit.OpenJournal(o.Folder)
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	if _, err := issuance.SurveyJournal(ctx, vagueJournal{own, f.Head.Size}, f.Head.Size, at); !errors.Is(err, issuance.ErrReplay) {
		t.Errorf("an intent without its version: %v", err)
	}
}

// A vagueJournal is a journal whose intents, from an entry on, do not say of which
// version they are.
type vagueJournal struct {
	issuance.Journal
	from int64
}

// Entries implements [issuance.Journal].
func (j vagueJournal) Entries(ctx context.Context, first int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for line, err := range j.Journal.Entries(ctx, first) {
			if n, e, broken := audit.ParseEntry(line); broken == nil && e.Kind == audit.CredentialIntended && n >= j.from {
				e.Version = 0
				line, err = e.Marshal(n)
			}
			if !yield(line, err) {
				return
			}
		}
	}
}

// TestReplayNeedsProgrammes: the text of a programme that was added since is asked
// for, and nothing of the chunk is done without it.
func TestReplayNeedsProgrammes(t *testing.T) {
	o, file := small(t)
	if _, err := o.Service.AddProgramme(t.Context(), []byte(officetest.CardTwo()), "tester"); err != nil {
		t.Fatal(err)
	}
	is := restore(t, o, file, filepath.Join(t.TempDir(), "issuer.db"))
	j, err := audit.OpenJournal(o.Folder)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	s := survey(t, is, j)
	if len(s.Programmes) != 1 || s.Programmes[0].ID != "farmer-card" || s.Programmes[0].Version != 2 {
		t.Errorf("programmes %+v", s.Programmes)
	}
	if err := is.Service.Replay(t.Context(), j, s.From, nil, nil); !errors.Is(err, issuance.ErrReplay) {
		t.Errorf("Replay: %v", err)
	}
	if size, err := is.DB.AuditSize(t.Context()); err != nil || size != s.From {
		t.Errorf("the log has %d entries, %v, want %d", size, err, s.From)
	}
}

// TestDB14 restores last week's backup: what was revoked since stays revoked (ST-10), keys
// that were compromised since are known, and the sealed lists stay sealed.
func TestDB14(t *testing.T) {
	o, file := small(t)
	c := o.Issue("farmer-card", 70)
	o.Clock.Add(7 * 24 * time.Hour)
	d := o.Issue("farmer-card", 71)
	o.Revoke(c.ID)
	o.Publish()
	key := o.Signer(keys.Credential).Key()
	since := o.Clock.Now().Add(-time.Hour)
	if _, err := o.Service.CompromiseKey(t.Context(), key.ID(), since, "tester"); err != nil {
		t.Fatal(err)
	}
	is := restore(t, o, file, filepath.Join(t.TempDir(), "issuer.db"))
	s := replay(t, is, o.Folder)
	if len(s.Keys) != 1 || s.Keys[0].Kind != audit.KeyCompromised || s.Keys[0].Key != key.ID().String() || !s.Keys[0].Since.Equal(since) {
		t.Errorf("keys %+v, want %s compromised since %s", s.Keys, key.ID(), since)
	}
	got := all(t, is)
	if got[c.ID].State != issuance.Revoked || got[d.ID].State != issuance.Active {
		t.Errorf("revoked: %s, issued: %s", got[c.ID].State, got[d.ID].State)
	}
	lists, err := is.DB.Lists(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lists {
		if l.Sealed.IsZero() {
			t.Errorf("list %s is not sealed", l.URI)
		}
	}
	is.Clean()
	if b := is.Publish(); b.Version <= 2 {
		t.Errorf("bundle version %d", b.Version)
	}
	is.Clean()
}

// TestWithoutJournal brings a restored office up to what was published since.
func TestWithoutJournal(t *testing.T) {
	o, file := small(t)
	known := all(t, o)
	late := o.Issue("farmer-card", 80) // issued and revoked after the backup
	quiet := o.Issue("receipt", 80)    // of a list that the backup does not know
	o.Revoke(late.ID)
	o.Revoke(quiet.ID)
	var revoked, suspended string
	for id := range known {
		if revoked == "" {
			revoked = id
			o.Revoke(id)
		} else if suspended == "" {
			suspended = id
			if _, err := o.Service.Suspend(t.Context(), id, issuance.Lost, "tester"); err != nil {
				t.Fatal(err)
			}
		}
	}
	bundle := o.Publish()
	pub := issuance.Published{Name: issuance.TrustName, Number: bundle.Version, IssuedAt: bundle.AsOf, Lists: map[string]*status.List{}}
	for _, s := range bundle.Status {
		l, err := s.Open(0)
		if err != nil {
			t.Fatal(err)
		}
		pub.Lists[s.URI] = l
	}
	is := restore(t, o, file, filepath.Join(t.TempDir(), "issuer.db"))
	var a issuance.Adoption
	for range 2 { // it may be done again
		got, err := is.Service.Adopt(t.Context(), []issuance.Published{pub}, "tester")
		if err != nil {
			t.Fatal(err)
		}
		if a == (issuance.Adoption{}) {
			a = got
		} else if got != (issuance.Adoption{}) {
			t.Errorf("the second time: %+v", got)
		}
	}
	if want := (issuance.Adoption{Revoked: 1, Suspended: 1, Unknown: 3, Lists: 1}); a != want {
		t.Errorf("%+v, want %+v", a, want)
	}
	confirm(t, is, store.BeginLog)
	if is.DB.LogNo() != 2 {
		t.Errorf("log %d, want 2", is.DB.LogNo())
	}
	got := all(t, is)
	if got[revoked].State != issuance.Revoked || got[suspended].State != issuance.Suspended {
		t.Errorf("%s and %s", got[revoked].State, got[suspended].State)
	}
	is.Clean()
	is.Clock.Add(time.Minute)
	next := is.Publish()
	// Whoever has the last one refuses another right behind it, so one is left out.
	if next.Version < bundle.Version+2 {
		t.Errorf("bundle version %d after %d", next.Version, bundle.Version)
	}
	for uri, before := range pub.Lists {
		l, _, ok := next.StatusList(uri)
		if !ok {
			t.Errorf("the next bundle lacks list %s", uri)
			continue
		}
		for i := range before.Size() {
			was, _ := before.Get(i)
			now, _ := l.Get(i)
			if was == status.Invalid && now != status.Invalid {
				t.Errorf("slot %d of %s came back", i, uri)
			}
		}
	}
	c := is.Issue("farmer-card", 81)
	for _, f := range c.Forms {
		if pub.Lists[f.Slot.List] != nil {
			t.Errorf("list %s gives out slots", f.Slot.List)
		}
	}
	is.Checkpoint()
	is.Clean()
}

// fuzzedBackup is one backup for all processes of the fuzzer: what the first of them adds
// is signed by the key that the others know.
func fuzzedBackup(f *testing.F) []byte {
	const where = "SANAD_FUZZ_BACKUP"
	if path := os.Getenv(where); path != "" {
		inner, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		return inner
	}
	_, file := small(f)
	inner, path := open(f, file), filepath.Join(f.TempDir(), "backup")
	if err := os.WriteFile(path, inner, 0o600); err != nil {
		f.Fatal(err)
	}
	f.Setenv(where, path)
	return inner
}

// FuzzReader: nothing that is not the backup itself is taken for one.
func FuzzReader(f *testing.F) {
	inner := fuzzedBackup(f)
	f.Add(inner)
	f.Add([]byte("sanad backup 1\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	// The backup is sealed first.
	boundtest.FuzzParses(f, 4, func(t *testing.T, in []byte) {
		r, err := backup.NewReader(bytes.NewReader(seal(t, in)), identity())
		if err != nil {
			return
		}
		defer r.Close()
		m, err := backup.Inspect(r, nil)
		if err == nil && r.SignedBy(m.Key) && !bytes.Equal(in, inner) {
			text, _ := json.Marshal(m)
			t.Fatalf("another backup is signed: %s", text)
		}
	})
}
